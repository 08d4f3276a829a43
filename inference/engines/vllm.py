"""Steps from a vLLM OpenAI-compatible server."""

import asyncio
from collections.abc import Sequence

from inference.engines.base import Sampling, vocabulary_of
from inference.step import PROBE, SEPARATOR, Step, Stop
from inference.vllm_api import VllmApi, field


class VllmEngine:
    """Proposes steps with the model that a server serves; prompts go out as token ids."""

    def __init__(self, url: str, sampling: Sampling) -> None:
        self._api = VllmApi(url)
        self._sampling = sampling
        self._vocabulary: asyncio.Task[str] | None = None

    async def propose(self, problem: str, steps: Sequence[Step], *, seed: int) -> Step:
        """Write the next step.

        Raises:
            EngineError: the server refuses the prefix or does not answer.
        """
        vocabulary = await self._own_vocabulary()
        prompt = list(await self._api.prompt_ids(problem))
        for step in steps:
            same = step.vocabulary == vocabulary
            prompt += step.token_ids if same else await self._api.text_ids(step.text + SEPARATOR)
        answer = await self._api.post(
            "/v1/completions",
            {
                "prompt": prompt,
                "max_tokens": self._sampling.max_step_tokens,
                "temperature": self._sampling.temperature,
                "seed": seed,
                "stop": [SEPARATOR],
                "include_stop_str_in_output": True,
                "return_token_ids": True,
            },
        )
        return self._step(field(answer, "choices.0", self._api.url), vocabulary)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _own_vocabulary(self) -> str:
        if self._vocabulary is None:
            self._vocabulary = asyncio.create_task(self._probe())
        return await self._vocabulary

    async def _probe(self) -> str:
        return vocabulary_of(await self._api.text_ids(PROBE))

    def _step(self, choice: dict[str, object], vocabulary: str) -> Step:
        text, ids = (field(choice, key, self._api.url) for key in ("text", "token_ids"))
        if choice.get("finish_reason") == "length":
            stop = Stop.LENGTH
        else:
            stop = Stop.SEPARATOR if choice.get("stop_reason") == SEPARATOR else Stop.END
        return Step(text.split(SEPARATOR)[0], tuple(ids), vocabulary, stop)
