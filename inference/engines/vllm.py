"""Steps from a vLLM engine in this process."""

from collections.abc import Mapping, Sequence
from typing import Any

from vllm.sampling_params import RequestOutputKind, SamplingParams

from inference.chat import LocalTokens
from inference.conversation import Conversation
from inference.engines.ahead import Ahead
from inference.engines.base import TOP_TOKENS, ContextFullError, Usage
from inference.engines.pieces import Piece, decode_step
from inference.engines.settings import EngineSettings
from inference.prompts import Prompts
from inference.step import SEPARATOR, Step, Stop
from inference.vllm_thread import VllmModel


class VllmEngine:
    """Proposes steps with a model on the vLLM thread; the KV cache of a prefix serves whoever asks next.

    Attributes:
        usage: what it was asked so far.
    """

    def __init__(self, model: VllmModel, settings: EngineSettings) -> None:
        self._model, self._sampling, self._name = model, settings.sampling, str(settings.model)
        self._prompts = Prompts(LocalTokens(model.tokenizer, settings.chat))
        self._context = model.context
        self._ahead = Ahead(model.tokenizer, settings.ahead_tokens) if settings.ahead_tokens else None
        self.usage = Usage()

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        """Write the next step.

        Raises:
            ContextFullError: the prefix leaves no room in the model's context.
            EngineError: vLLM failed.
        """
        prefix = await self._prefix(question, steps)
        limit = min(self._context - len(prefix), self._sampling.max_step_tokens)

        async def decode(pieces: Sequence[Piece], limit: int, seed: int) -> Piece:
            return await self._decode(prefix + [token for piece in pieces for token in piece.token_ids], limit, seed)

        return await decode_step(decode, limit=limit, seed=seed, vocabulary=await self._prompts.vocabulary())

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:
        """Encode a prefix: one token is decoded behind it and thrown away.

        Raises:
            ContextFullError: the prefix leaves no room in the model's context.
            EngineError: vLLM failed.
        """
        prefix = await self._prefix(question, steps)
        parameters = SamplingParams(temperature=0, max_tokens=1, detokenize=False, output_kind=_FINAL)
        output = await self._model.ask(prefix, parameters)
        self.usage.add_prefill(prompt=len(prefix), cached=output.num_cached_tokens, decoded=1)

    async def first_token(self, question: Conversation) -> Mapping[str, float]:
        """Log-probabilities of the likeliest first tokens of an answer.

        Raises:
            ContextFullError: the conversation leaves no room in the model's context.
            EngineError: vLLM failed.
        """
        prefix = await self._prefix(question, ())
        parameters = SamplingParams(temperature=0, max_tokens=1, logprobs=TOP_TOKENS, output_kind=_FINAL)
        output = await self._model.ask(prefix, parameters)
        self.usage.add_call(prompt=len(prefix), cached=output.num_cached_tokens, decoded=1)
        (first,) = output.outputs[0].logprobs
        return {str(found.decoded_token): found.logprob for found in first.values()}

    async def close(self) -> None:
        """Nothing: the thread releases its models."""

    async def _prefix(self, question: Conversation, steps: Sequence[Step]) -> list[int]:
        prefix = await self._prompts.prefix_ids(question, steps)
        if len(prefix) >= self._context:
            raise ContextFullError.of(self._name, tokens=len(prefix), context=self._context)
        return prefix

    async def _decode(self, ids: list[int], limit: int, seed: int) -> Piece:
        if self._ahead is None:
            decoded = await self._generate(
                ids, max_tokens=limit, seed=seed, stop=[SEPARATOR], include_stop_str_in_output=True
            )
            stop = Stop.SEPARATOR if decoded.stop_reason == SEPARATOR else _STOPS[decoded.finish_reason]
            return Piece(decoded.text.split(SEPARATOR)[0], tuple(decoded.token_ids), stop, len(decoded.token_ids))
        waiting = self._ahead.take(ids, limit)
        if waiting is not None:
            return waiting
        most = self._ahead.most(limit, self._context - len(ids))
        decoded = await self._generate(ids, max_tokens=most, detokenize=False)
        return self._ahead.keep(ids, decoded.token_ids, limit, ended=decoded.finish_reason == "stop")

    async def _generate(self, ids: list[int], **asked: Any) -> Any:
        parameters = SamplingParams(
            temperature=self._sampling.temperature,
            top_p=self._sampling.top_p,
            output_kind=_FINAL,
            skip_clone=True,  # it is ours alone, and copying takes longer than decoding a token
            **asked,
        )
        output = await self._model.ask(ids, parameters)
        written = output.outputs[0]
        self.usage.add_call(prompt=len(ids), cached=output.num_cached_tokens, decoded=len(written.token_ids))
        return written


_FINAL = RequestOutputKind.FINAL_ONLY
_STOPS = {"stop": Stop.END, "length": Stop.LENGTH}
