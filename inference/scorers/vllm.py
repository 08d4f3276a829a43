"""A process reward model behind a vLLM pooling server (STEP pooling on the step tag)."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from inference.conversation import Conversation
from inference.engines.base import EngineError
from inference.engines.settings import ScorerSettings
from inference.scorers.base import STEP_TAG, Scores
from inference.vllm_api import VllmApi

_Probability = Annotated[float, Field(ge=0, le=1)]


class _Pooled(BaseModel):
    data: list[tuple[_Probability, _Probability]]


class _Pooling(BaseModel):
    data: list[_Pooled] = Field(min_length=1)


class VllmScorer:
    """Scores through `/pooling`; the server's `step_tag_id` must be the id of the step tag."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._api = VllmApi(settings.urls[0], settings.chat)

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        """Scores of all steps.

        Raises:
            EngineError: the server refuses the solution, does not answer, or does not score every step.
        """
        ids = list(await self._api.prompt_ids(question))
        for step in steps:
            ids += await self._api.text_ids(step + STEP_TAG)
        rows = (await self._api.post("/pooling", {"task": "token_classify", "input": ids}, _Pooling)).data[0].data
        if len(rows) != len(steps):
            remedy = f"start it with STEP pooling and the step_tag_id of {STEP_TAG}"
            raise EngineError(f"{self._api.url}/pooling: {len(rows)} scores for {len(steps)} steps; {remedy}")
        return Scores(tuple(good for _, good in rows))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()
