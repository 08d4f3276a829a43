"""The embedded engine: a causal language model in this process, through transformers.

Waiting proposals are decoded together. Each row draws from its own generator, so a step does not depend on who shares its batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedTokenizerBase

from inference.batching import Batcher
from inference.chat import prompt_ids
from inference.conversation import Conversation
from inference.engines.base import ContextFullError, vocabulary_of
from inference.engines.settings import ChatSettings, Sampling
from inference.step import PROBE, SEPARATOR, Step, Stop


class TransformersEngine:
    """Proposes steps with the model in a directory."""

    def __init__(self, directory: Path, sampling: Sampling, chat: ChatSettings, *, largest_batch: int = 64) -> None:
        self._name = str(directory)
        self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(directory)
        self._model: torch.nn.Module = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
        self._sampling, self._chat = sampling, chat
        self._context: int = self._model.config.max_position_embeddings
        self._ends = _end_ids(self._model, self._tokenizer)
        self._vocabulary = vocabulary_of(self._tokenizer.encode(PROBE, add_special_tokens=False))
        self._batcher: Batcher[_Row, Step] = Batcher(self._decode, largest=largest_batch)

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        """Write the next step.

        Raises:
            ContextFullError: the prefix leaves no room in the model's context.
        """
        ids = prompt_ids(self._tokenizer, question, self._chat)
        for step in steps:
            same = step.vocabulary == self._vocabulary
            ids += (
                step.token_ids if same else self._tokenizer.encode(step.text + step.separator, add_special_tokens=False)
            )
        room = self._context - len(ids)
        if room < 1:
            raise ContextFullError(self._name, tokens=len(ids), context=self._context)
        row = _Row(ids, torch.Generator().manual_seed(seed), limit=min(room, self._sampling.max_step_tokens))
        return await self._batcher.ask(row)

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:
        """Nothing: no cache outlives a batch."""

    async def close(self) -> None:
        """Finish the batch under way and end the thread."""
        await self._batcher.close()

    @torch.inference_mode()
    def _decode(self, rows: Sequence["_Row"]) -> list[Step]:
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
                return [self._step(row) for row in rows]
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
            logits = logits / self._sampling.temperature - (-uniform.clamp(min=1e-20).log()).log()
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

    def _step(self, row: "_Row") -> Step:
        text = self._text(row).split(SEPARATOR)[0]
        return Step(text, tuple(row.decoded), self._vocabulary, row.stop or Stop.LENGTH)


@dataclass(slots=True)
class _Row:
    prefix: list[int]
    generator: torch.Generator
    limit: int
    decoded: list[int] = field(default_factory=list)
    stop: Stop | None = None


def _end_ids(model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = [configured] if isinstance(configured, int) else list(configured or [])
    return frozenset([*ids, tokenizer.eos_token_id])
