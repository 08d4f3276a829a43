"""A process reward model behind vLLM pooling servers (STEP pooling on the step tag)."""

import sys
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from inference.conversation import Conversation
from inference.endpoint import Endpoint
from inference.endpoint_tokens import tokens_of
from inference.engines.settings import PrmSettings
from inference.prompts import Prompts
from inference.scorers.base import Scores
from inference.scorers.windows import PrmInputs

_Probability = Annotated[float, Field(ge=0, le=1)]


class _Pooled(BaseModel):
    data: list[tuple[_Probability, _Probability]]


class _Pooling(BaseModel):
    data: list[_Pooled] = Field(min_length=1)


class ServerScorer:
    """Scores through `/pooling`; the server's `step_tag_id` must be the id of the step tag."""

    def __init__(self, settings: PrmSettings) -> None:
        self._endpoint = Endpoint(settings)
        self._inputs = PrmInputs(Prompts(tokens_of(self._endpoint, settings)), settings, self._pool)

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        """Scores of all steps.

        Raises:
            ContextFullError: a step is longer than the model's context.
            EngineError: the server refuses the solution, does not answer, or does not score every step.
        """
        context = await self._endpoint.context() or sys.maxsize
        return await self._inputs.score(question, steps, context=context, model=f"{self._endpoint.where}/pooling")

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()

    async def _pool(self, ids: list[int]) -> list[float]:
        found = await self._endpoint.post("/pooling", {"task": "token_classify", "input": ids}, _Pooling)
        return [good for _, good in found.data[0].data]
