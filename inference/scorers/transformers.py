"""A process reward model in this process, through transformers."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from inference.batching import Batcher
from inference.chat import prompt_ids, step_tag_id
from inference.conversation import Conversation
from inference.engines.base import ContextFullError
from inference.engines.settings import ChatSettings
from inference.scorers.base import Scores
from inference.scorers.process_reward_model import ProcessRewardModel


class TransformersScorer:
    """Scores with the `Qwen2ForProcessRewardModel` in a directory."""

    def __init__(self, directory: Path, chat: ChatSettings, *, largest_batch: int = 64) -> None:
        self._name, self._chat = str(directory), chat
        self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(directory)
        self._model = ProcessRewardModel.load(directory).eval()
        self._context: int = self._model.model.config.max_position_embeddings
        self._step_tag = step_tag_id(self._tokenizer)
        self._batcher: Batcher[list[int], tuple[float, ...]] = Batcher(self._score, largest=largest_batch)

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        """Scores of all steps.

        Raises:
            ContextFullError: the solution is longer than the model's context.
        """
        ids = prompt_ids(self._tokenizer, question, self._chat)
        for step in steps:
            ids += [*self._tokenizer.encode(step, add_special_tokens=False), self._step_tag]
        if len(ids) > self._context:
            raise ContextFullError(self._name, tokens=len(ids), context=self._context)
        return Scores(await self._batcher.ask(ids))

    async def close(self) -> None:
        """Finish the batch under way and end the thread."""
        await self._batcher.close()

    @torch.inference_mode()
    def _score(self, batch: Sequence[list[int]]) -> list[tuple[float, ...]]:
        """Padding stands on the right, where a causal model does not look."""
        width = max(len(ids) for ids in batch)
        padded = torch.tensor([ids + [0] * (width - len(ids)) for ids in batch])
        lengths = torch.tensor([len(ids) for ids in batch])
        mask = (torch.arange(width) < lengths[:, None]).long()
        good = self._model(input_ids=padded, attention_mask=mask).softmax(dim=-1)[..., 1]
        tags = (padded == self._step_tag) & mask.bool()
        return [tuple(row[tag].tolist()) for row, tag in zip(good, tags, strict=True)]
