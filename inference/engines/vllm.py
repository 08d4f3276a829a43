"""Steps from a vLLM OpenAI-compatible server."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from inference.engines.base import Sampling, vocabulary_of
from inference.step import PROBE, SEPARATOR, Step, Stop
from inference.vllm_api import VllmApi

_NEUTRAL = {
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Said explicitly: otherwise the server takes them from the model's generation_config.json."""


class _Choice(BaseModel):
    text: str
    token_ids: list[int] = Field(min_length=1)
    finish_reason: Literal["stop", "length"]
    stop_reason: str | int | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)


class VllmEngine:
    """Proposes steps with the model that a server serves; prompts go out as token ids."""

    def __init__(self, url: str, sampling: Sampling) -> None:
        self._api = VllmApi(url)
        self._sampling = sampling

    async def propose(self, problem: str, steps: Sequence[Step], *, seed: int) -> Step:
        """Write the next step.

        Raises:
            EngineError: the server refuses the prefix or does not answer.
        """
        vocabulary = vocabulary_of(await self._api.text_ids(PROBE))
        prompt = list(await self._api.prompt_ids(problem))
        for step in steps:
            same = step.vocabulary == vocabulary
            prompt += step.token_ids if same else await self._api.text_ids(step.text + step.separator)
        body = {
            "prompt": prompt,
            "max_tokens": self._sampling.max_step_tokens,
            "temperature": self._sampling.temperature,
            "seed": seed,
            "stop": [SEPARATOR],
            "include_stop_str_in_output": True,
            "return_token_ids": True,
            **_NEUTRAL,
        }
        (choice, *_) = (await self._api.post("/v1/completions", body, _Completion)).choices
        return Step(choice.text.split(SEPARATOR)[0], tuple(choice.token_ids), vocabulary, _stop(choice))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


def _stop(choice: _Choice) -> Stop:
    if choice.finish_reason == "length":
        return Stop.LENGTH
    return Stop.SEPARATOR if choice.stop_reason == SEPARATOR else Stop.END
