"""Steps from vLLM servers; token ids are the truth of a prefix."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from inference.conversation import Conversation
from inference.endpoint import Endpoint
from inference.endpoint_tokens import ahead_of, tokens_of
from inference.engines.base import TOP_TOKENS, ContextFullError, Usage
from inference.engines.pieces import Piece, decode_step
from inference.engines.settings import EngineSettings
from inference.prompts import Prompts
from inference.step import SEPARATOR, Step, Stop

NEUTRAL = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""Said explicitly: otherwise vLLM takes them from the model's generation_config.json."""


class _LogProbs(BaseModel):
    top_logprobs: list[dict[str, float]] = Field(min_length=1)


class _Choice(BaseModel):
    text: str
    token_ids: list[int] = Field(min_length=1)
    finish_reason: Literal["stop", "length"]
    stop_reason: str | int | None = None
    logprobs: _LogProbs | None = None


class _CachedTokens(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens_details: _CachedTokens | None = None

    @property
    def cached(self) -> int:
        return (self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens) or 0


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage = _Usage()


class ServerEngine:
    """Proposes steps with the model that an endpoint serves; prompts go out as token ids.

    Attributes:
        usage: what it was asked so far; cached tokens where the server gives them (--enable-prompt-tokens-details).
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._endpoint = Endpoint(settings)
        self._prompts = Prompts(tokens_of(self._endpoint, settings))
        self._ahead = ahead_of(settings)
        self._sampling = settings.sampling
        self.usage = Usage()

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        """Write the next step.

        Raises:
            ContextFullError: the prefix leaves no room in the model's context.
            EngineError: the server refuses the prefix or does not answer.
        """
        prefix, limit = await self._prefix(question, steps)

        async def decode(pieces: Sequence[Piece], limit: int, seed: int) -> Piece:
            return await self._decode(prefix + [token for piece in pieces for token in piece.token_ids], limit, seed)

        return await decode_step(decode, limit=limit, seed=seed, vocabulary=await self._prompts.vocabulary())

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:
        """Have the server encode a prefix: one token is decoded behind it and thrown away.

        Raises:
            ContextFullError: the prefix leaves no room in the model's context.
            EngineError: the server refuses the prefix or does not answer.
        """
        prefix, _ = await self._prefix(question, steps)
        found = await self._complete(prefix, max_tokens=1, temperature=0.0)
        self.usage.add_prefill(prompt=len(prefix), cached=found.usage.cached, decoded=1)

    async def first_token(self, question: Conversation) -> Mapping[str, float]:
        """Log-probabilities of the likeliest first tokens of an answer.

        Raises:
            ContextFullError: the conversation leaves no room in the model's context.
            EngineError: the server refuses it or does not answer.
        """
        prefix, _ = await self._prefix(question, ())
        found = await self._complete(prefix, max_tokens=1, temperature=0.0, logprobs=TOP_TOKENS)
        self.usage.add_call(prompt=len(prefix), cached=found.usage.cached, decoded=1)
        logprobs = found.choices[0].logprobs
        return {} if logprobs is None else logprobs.top_logprobs[0]

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()

    async def _prefix(self, question: Conversation, steps: Sequence[Step]) -> tuple[list[int], int]:
        """Token ids of a prefix, and how many may be written behind it."""
        prefix, context = await self._prompts.prefix_ids(question, steps), await self._endpoint.context()
        if context is None:
            return prefix, self._sampling.max_step_tokens
        if len(prefix) >= context:
            raise ContextFullError.of(self._endpoint.where, tokens=len(prefix), context=context)
        return prefix, min(context - len(prefix), self._sampling.max_step_tokens)

    async def _decode(self, ids: list[int], limit: int, seed: int) -> Piece:
        if self._ahead is None:
            choice = await self._generate(
                ids, max_tokens=limit, seed=seed, stop=[SEPARATOR], include_stop_str_in_output=True
            )
            return Piece(choice.text.split(SEPARATOR)[0], tuple(choice.token_ids), _stop(choice), len(choice.token_ids))
        waiting = self._ahead.take(ids, limit)
        if waiting is not None:
            return waiting
        context = await self._endpoint.context()
        most = self._ahead.most(limit, limit if context is None else context - len(ids))
        choice = await self._generate(ids, max_tokens=most)
        return self._ahead.keep(ids, choice.token_ids, limit, ended=choice.finish_reason == "stop")

    async def _generate(self, ids: list[int], **asked: Any) -> _Choice:
        found = await self._complete(ids, temperature=self._sampling.temperature, top_p=self._sampling.top_p, **asked)
        choice = found.choices[0]
        self.usage.add_call(prompt=len(ids), cached=found.usage.cached, decoded=len(choice.token_ids))
        return choice

    async def _complete(self, prompt: list[int], **body: Any) -> _Completion:
        return await self._endpoint.post(
            "/v1/completions", {"prompt": prompt, "return_token_ids": True, **NEUTRAL, **body}, _Completion
        )


def _stop(choice: _Choice) -> Stop:
    if choice.finish_reason == "length":
        return Stop.LENGTH
    return Stop.SEPARATOR if choice.stop_reason == SEPARATOR else Stop.END
