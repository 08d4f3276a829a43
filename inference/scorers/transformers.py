"""A process reward model in this process, through transformers."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from inference.batching import Batcher
from inference.chat import LocalTokens, step_tag_id
from inference.conversation import Conversation
from inference.engines.settings import PrmSettings
from inference.prompts import Prompts
from inference.scorers.base import Scores
from inference.scorers.process_reward_model import ProcessRewardModel
from inference.scorers.windows import PrmInputs


class TransformersScorer:
    """Scores with the `Qwen2ForProcessRewardModel` in a directory."""

    def __init__(self, settings: PrmSettings, *, largest_batch: int = 64) -> None:
        directory = Path(str(settings.model))
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(directory)
        self._name = str(directory)
        self._model = ProcessRewardModel.load(directory).eval()
        self._context: int = self._model.model.config.max_position_embeddings
        self._step_tag = step_tag_id(tokenizer)
        self._batcher: Batcher[list[int], tuple[float, ...]] = Batcher(self._score, largest=largest_batch)
        self._inputs = PrmInputs(Prompts(LocalTokens(tokenizer, settings.chat)), settings, self._batcher.ask)

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        """Scores of all steps.

        Raises:
            ContextFullError: a step is longer than the model's context.
        """
        return await self._inputs.score(question, steps, context=self._context, model=self._name)

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
