"""The embedded engine: a causal language model in this process, through transformers.

Waiting proposals are decoded together. Each row draws from its own generator, so a step does not depend on who shares its batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedTokenizerBase

from inference.batching import Batcher
from inference.chat import LocalTokens
from inference.conversation import Conversation
from inference.engines.base import TOP_TOKENS, ContextFullError, Usage
from inference.engines.pieces import Piece, decode_step
from inference.engines.settings import EngineSettings
from inference.prompts import Prompts
from inference.step import SEPARATOR, Step, Stop


class TransformersEngine:
    """Proposes steps with the model in a directory.

    Attributes:
        usage: what it was asked so far.
    """

    def __init__(self, settings: EngineSettings, *, largest_batch: int = 64) -> None:
        directory = str(settings.model)
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(directory)
        self._model: torch.nn.Module = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
        self._name, self._sampling = directory, settings.sampling
        self._tokenizer = tokenizer
        self._prompts = Prompts(LocalTokens(tokenizer, settings.chat))
        self._context: int = self._model.config.max_position_embeddings
        self._ends = _end_ids(self._model, tokenizer)
        self._batcher: Batcher[_Row, Piece] = Batcher(self._decode, largest=largest_batch)
        self._firsts: Batcher[list[int], dict[str, float]] = Batcher(self._first_tokens, largest=largest_batch)
        self.usage = Usage()

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        """Write the next step.

        Raises:
            ContextFullError: the prefix leaves no room in the model's context.
        """
        prefix = await self._prefix(question, steps)
        limit = min(self._context - len(prefix), self._sampling.max_step_tokens)

        async def decode(pieces: Sequence[Piece], limit: int, seed: int) -> Piece:
            return await self._ask(prefix + [token for piece in pieces for token in piece.token_ids], limit, seed)

        return await decode_step(decode, limit=limit, seed=seed, vocabulary=await self._prompts.vocabulary())

    async def first_token(self, question: Conversation) -> Mapping[str, float]:
        """Log-probabilities of the likeliest first tokens of an answer.

        Raises:
            ContextFullError: the conversation leaves no room in the model's context.
        """
        prefix = await self._prefix(question, ())
        self.usage.add_call(prompt=len(prefix), cached=0, decoded=1)
        return await self._firsts.ask(prefix)

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:
        """Nothing: no cache outlives a batch."""

    async def close(self) -> None:
        """Finish the batch under way and end the thread."""
        await self._batcher.close()
        await self._firsts.close()

    async def _prefix(self, question: Conversation, steps: Sequence[Step]) -> list[int]:
        prefix = await self._prompts.prefix_ids(question, steps)
        if len(prefix) >= self._context:
            raise ContextFullError.of(self._name, tokens=len(prefix), context=self._context)
        return prefix

    async def _ask(self, ids: list[int], limit: int, seed: int) -> Piece:
        piece = await self._batcher.ask(_Row(ids, torch.Generator().manual_seed(seed), limit))
        self.usage.add_call(prompt=len(ids), cached=0, decoded=len(piece.token_ids))
        return piece

    @torch.inference_mode()
    def _first_tokens(self, prompts: Sequence[list[int]]) -> list[dict[str, float]]:
        return [self._likeliest(self._model(torch.tensor([ids]), logits_to_keep=1).logits[0, -1]) for ids in prompts]

    def _likeliest(self, logits: torch.Tensor) -> dict[str, float]:
        values, ids = logits.log_softmax(-1).topk(min(TOP_TOKENS, len(logits)))
        return {
            str(self._tokenizer.decode([token])): value
            for token, value in zip(ids.tolist(), values.tolist(), strict=True)
        }

    @torch.inference_mode()
    def _decode(self, rows: Sequence["_Row"]) -> list[Piece]:
        """Decode until every row has its step; rows are padded on the left."""
        width = max(len(row.prefix) for row in rows)
        ids = torch.tensor([[0] * (width - len(row.prefix)) + row.prefix for row in rows])
        mask = torch.tensor([[0] * (width - len(row.prefix)) + [1] * len(row.prefix) for row in rows])
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        cache, active = DynamicCache(), list(rows)
        while True:
            logits = self._model(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1
            ).logits[:, -1]
            tokens = self._sample(logits, active)
            for row, token in zip(active, tokens, strict=True):
                self._extend(row, token)
            going = torch.tensor([index for index, row in enumerate(active) if row.stop is None], dtype=torch.long)
            if not len(going):
                return [self._piece(row) for row in rows]
            ids, positions = torch.tensor(tokens)[:, None], positions[:, -1:] + 1
            mask = torch.nn.functional.pad(mask, (0, 1), value=1)
            if 2 * len(going) <= len(active):  # decode no more rows that are done than rows that are not
                cache.batch_select_indices(going)
                ids, positions, mask = ids[going], positions[going], mask[going]
                active = [active[index] for index in going.tolist()]

    def _sample(self, logits: torch.Tensor, rows: Sequence["_Row"]) -> list[int]:
        """Sample with the Gumbel-max trick: argmax of logits / temperature plus each row's own noise."""
        if self._sampling.temperature > 0:
            uniform = torch.stack([torch.rand(logits.shape[1], generator=row.generator) for row in rows])
            logits = (
                _within(logits / self._sampling.temperature, self._sampling.top_p)
                - (-uniform.clamp(min=1e-20).log()).log()
            )
        chosen: list[int] = logits.argmax(dim=1).tolist()
        return chosen

    def _extend(self, row: "_Row", token: int) -> None:
        if row.stop:
            return
        row.decoded.append(token)
        if token in self._ends:
            row.stop = Stop.END
        elif SEPARATOR in self._text(row):
            row.stop = Stop.SEPARATOR
        elif len(row.decoded) >= row.limit:
            row.stop = Stop.LENGTH

    def _text(self, row: "_Row") -> str:
        return str(self._tokenizer.decode(row.decoded, skip_special_tokens=True))

    def _piece(self, row: "_Row") -> Piece:
        return Piece(self._text(row).split(SEPARATOR)[0], tuple(row.decoded), row.stop or Stop.LENGTH, len(row.decoded))


@dataclass(slots=True)
class _Row:
    prefix: list[int]
    generator: torch.Generator
    limit: int
    decoded: list[int] = field(default_factory=list)
    stop: Stop | None = None


def _within(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Logits `[B, V]` with all but the likeliest tokens that together have `top_p` of the probability taken out."""
    if top_p >= 1:
        return logits
    ordered, places = logits.sort(dim=-1, descending=True)
    before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
    kept = ordered.masked_fill(before >= top_p, -torch.inf)
    return torch.empty_like(logits).scatter(-1, places, kept)


def _end_ids(model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = [configured] if isinstance(configured, int) else list(configured or [])
    return frozenset([*ids, tokenizer.eos_token_id])
