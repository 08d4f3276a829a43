"""Steps from a vLLM OpenAI-compatible server."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from inference.conversation import Conversation
from inference.engines.base import vocabulary_of
from inference.engines.settings import EngineSettings
from inference.step import PROBE, SEPARATOR, Step, Stop
from inference.vllm_api import VllmApi

_NEUTRAL = {
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

    def __init__(self, settings: EngineSettings) -> None:
        self._api = VllmApi(settings.urls[0], settings.chat)
        self._sampling = settings.sampling

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        """Write the next step.

        Raises:
            EngineError: the server refuses the prefix or does not answer.
        """
        body = {
            "prompt": await self._prefix(question, steps),
            "max_tokens": self._sampling.max_step_tokens,
            "temperature": self._sampling.temperature,
            "seed": seed,
            "stop": [SEPARATOR],
            "include_stop_str_in_output": True,
            "return_token_ids": True,
            **_NEUTRAL,
            "top_p": self._sampling.top_p,
        }
        (choice, *_) = (await self._api.post("/v1/completions", body, _Completion)).choices
        return Step(choice.text.split(SEPARATOR)[0], tuple(choice.token_ids), await self._vocabulary(), _stop(choice))

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:
        """Let the server encode a prefix: one token is decoded behind it and thrown away.

        Raises:
            EngineError: the server refuses the prefix or does not answer.
        """
        body = {"prompt": await self._prefix(question, steps), "max_tokens": 1, "return_token_ids": True}
        await self._api.post("/v1/completions", body, _Completion)

    async def _vocabulary(self) -> str:
        return vocabulary_of(await self._api.text_ids(PROBE))

    async def _prefix(self, question: Conversation, steps: Sequence[Step]) -> list[int]:
        vocabulary = await self._vocabulary()
        prompt = list(await self._api.prompt_ids(question))
        for step in steps:
            same = step.vocabulary == vocabulary
            prompt += step.token_ids if same else await self._api.text_ids(step.text + step.separator)
        return prompt

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


def _stop(choice: _Choice) -> Stop:
    if choice.finish_reason == "length":
        return Stop.LENGTH
    return Stop.SEPARATOR if choice.stop_reason == SEPARATOR else Stop.END
