"""A process reward model behind a vLLM pooling server (STEP pooling on the step tag)."""

from collections.abc import Sequence

from inference.engines.base import EngineError
from inference.scorers.base import STEP_TAG
from inference.vllm_api import VllmApi, field


class VllmScorer:
    """Scores through `/pooling`; the server's `step_tag_id` must be the id of the step tag."""

    def __init__(self, url: str) -> None:
        self._api = VllmApi(url)

    async def score(self, problem: str, steps: Sequence[str]) -> tuple[float, ...]:
        """Scores of all steps.

        Raises:
            EngineError: the server refuses the solution, does not answer, or does not score every step.
        """
        ids = list(await self._api.prompt_ids(problem))
        for step in steps:
            ids += await self._api.text_ids(step + STEP_TAG)
        answer = await self._api.post("/pooling", {"task": "token_classify", "input": ids})
        rows = field(answer, "data.0.data", self._api.url)
        if len(rows) != len(steps):
            raise EngineError(
                f"{self._api.url}/pooling: {len(rows)} scores for {len(steps)} steps; start it with step_tag_id of {STEP_TAG}"
            )
        return tuple(float(row[1]) for row in rows)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()
