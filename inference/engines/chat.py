"""Steps from any OpenAI-compatible chat endpoint; text is the truth of a prefix.

An endpoint that does not say why it stopped (vLLM's `stop_reason`) cannot tell the separator from the end of the answer: its steps
are taken to end with the separator, and the answer ends when it is boxed, or when nothing more comes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from inference.conversation import Conversation
from inference.endpoint import Endpoint
from inference.engines.base import TOP_TOKENS, Usage
from inference.engines.pieces import Piece, decode_step
from inference.engines.server import NEUTRAL
from inference.engines.settings import EngineSettings
from inference.step import SEPARATOR, Step, Stop

_NEXT_STEP: Final = (
    "Go on with your solution exactly where it stops. Write only its next step, without repeating anything, and put the final answer "
    "in \\boxed{} when you reach it."
)


class _TopToken(BaseModel):
    token: str
    logprob: float


class _FirstToken(BaseModel):
    top_logprobs: list[_TopToken]


class _LogProbs(BaseModel):
    content: list[_FirstToken] = Field(min_length=1)


class _Text(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Text
    finish_reason: Literal["stop", "length"]
    stop_reason: str | int | None = None
    logprobs: _LogProbs | None = None


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class _ChatCompletion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage


class ChatEngine:
    """Proposes steps through `/v1/chat/completions`.

    Attributes:
        usage: what it was asked so far, as the endpoint counts.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._endpoint, self._settings = Endpoint(settings), settings
        self.usage = Usage()

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        """Write the next step.

        Raises:
            ContextFullError: the prefix leaves no room in the model's context.
            EngineError: the endpoint refuses the prefix or does not answer.
        """
        prefix = _text(steps)

        async def decode(pieces: Sequence[Piece], limit: int, seed: int) -> Piece:
            return await self._decode(question, prefix + "".join(p.text + SEPARATOR for p in pieces), limit, seed)

        limit = self._settings.sampling.max_step_tokens
        return await decode_step(decode, limit=limit, seed=seed, vocabulary="")

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:
        """Have a vLLM server encode a prefix by decoding one token behind it; nothing elsewhere, where it would only cost.

        Raises:
            ContextFullError: the prefix leaves no room in the model's context.
            EngineError: the endpoint refuses the prefix or does not answer.
        """
        if self._settings.continuation == "vllm":
            found = await self._chat(question, _text(steps), max_tokens=1, temperature=0.0)
            self.usage.add_prefill(prompt=found.usage.prompt_tokens, cached=0, decoded=1)

    async def first_token(self, question: Conversation) -> Mapping[str, float]:
        """Log-probabilities of the likeliest first tokens of an answer.

        Raises:
            EngineError: the endpoint refuses the conversation or does not answer.
        """
        found = await self._chat(question, "", max_tokens=1, temperature=0.0, logprobs=True, top_logprobs=TOP_TOKENS)
        self.usage.add_call(prompt=found.usage.prompt_tokens, cached=0, decoded=1)
        logprobs = found.choices[0].logprobs
        return {} if logprobs is None else {top.token: top.logprob for top in logprobs.content[0].top_logprobs}

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()

    async def _decode(self, question: Conversation, prefix: str, limit: int, seed: int) -> Piece:
        sampling = self._settings.sampling
        found = await self._chat(
            question,
            prefix,
            max_tokens=limit,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=seed,
            stop=[SEPARATOR],
        )
        (choice, *_), usage = found.choices, found.usage
        self.usage.add_call(prompt=usage.prompt_tokens, cached=0, decoded=usage.completion_tokens)
        return Piece(choice.message.content.split(SEPARATOR)[0], (), _stop(choice), usage.completion_tokens)

    async def _chat(self, question: Conversation, prefix: str, **body: Any) -> _ChatCompletion:
        messages: list[dict[str, Any]] = [*self._settings.chat.messages(question)]
        if prefix:
            messages.append({"role": "assistant", "content": prefix})
            match self._settings.continuation:
                case "vllm":
                    body |= {"add_generation_prompt": False, "continue_final_message": True}
                case "prefix":
                    messages[-1]["prefix"] = True
                case "instruction":
                    messages.append({"role": "user", "content": _NEXT_STEP})
        if self._settings.continuation == "vllm":
            body |= NEUTRAL
        if self._settings.chat.template_arguments:
            body["chat_template_kwargs"] = self._settings.chat.template_arguments
        return await self._endpoint.post("/v1/chat/completions", {"messages": messages, **body}, _ChatCompletion)


def _text(steps: Sequence[Step]) -> str:
    return "".join(step.text + step.separator for step in steps)


def _stop(choice: _Choice) -> Stop:
    if choice.finish_reason == "length":
        return Stop.LENGTH
    if "stop_reason" in choice.model_fields_set:
        return Stop.SEPARATOR if choice.stop_reason == SEPARATOR else Stop.END
    return Stop.SEPARATOR if choice.message.content.strip() else Stop.END
