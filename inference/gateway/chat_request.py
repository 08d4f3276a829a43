"""What `/v1/chat/completions` accepts. What it cannot honour it refuses by name; nothing is ignored."""

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from inference.conversation import Conversation, Message
from inference.gateway.refusals import InvalidRequestError

_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "stop": ([],),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "logit_bias": ({},),
    "logprobs": (False,),
    "presence_penalty": (0, 0.0),
    "frequency_penalty": (0, 0.0),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "store": (False,),
    "service_tier": ("auto", "default"),
}
"""Parameters that may be there as long as they ask for nothing: their values that mean so, beside null."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TextPart(_Strict):
    """A part of a message's content; text is the only kind."""

    type: Literal["text"]
    text: str


class ChatMessage(_Strict):
    """One message of a conversation; `developer` is the newer word for `system`."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @field_validator("content")
    @classmethod
    def _is_unicode(cls, content: str | list[TextPart]) -> str | list[TextPart]:
        """JSON can spell half of a surrogate pair; no tokenizer takes it."""
        try:
            _text(content).encode()
        except UnicodeEncodeError as error:
            raise PydanticCustomError("string_unicode", "Input should be valid Unicode") from error
        return content

    @property
    def message(self) -> Message:
        """The message as engines take it; parts of a content stand on lines of their own."""
        return Message("system" if self.role == "developer" else self.role, _text(self.content))


def _text(content: str | list[TextPart]) -> str:
    return content if isinstance(content, str) else "\n".join(part.text for part in content)


class StreamOptions(_Strict):
    """What a stream carries beside its chunks."""

    include_usage: bool = False


class ChatRequest(_Strict):
    """A request for a completion.

    Attributes: OpenAI's, of the same name; `docs/generation.md` says what each does here.
    """

    model: str = Field(min_length=1)
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "ChatRequest":
        if self.messages[-1].role != "user":
            raise ValueError("messages must end with one of role user")
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("max_tokens and max_completion_tokens are one limit: give one of them")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options go with stream")
        return self

    @property
    def conversation(self) -> Conversation:
        """What is asked."""
        return tuple(message.message for message in self.messages)

    @property
    def token_limit(self) -> int | None:
        """Most tokens of the answer, if one was asked for."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


def read_chat_request(body: bytes) -> ChatRequest:
    """The request in a body.

    Raises:
        InvalidRequestError: it is not JSON, or a parameter is missing, malformed or not supported; `param` names it.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("the body is not JSON", param=None, code="invalid_json") from error
    if not isinstance(document, dict):
        raise InvalidRequestError("the body is not a JSON object", param=None, code="invalid_json")
    asked = {name: value for name, value in document.items() if not _asks_for_nothing(name, value)}
    if isinstance(messages := asked.get("messages"), list):
        asked["messages"] = [_without_nulls(message) for message in messages]
    try:
        return ChatRequest.model_validate(asked)
    except ValidationError as error:
        raise _refusal(error) from error


def _asks_for_nothing(name: str, value: object) -> bool:
    return value is None or any(type(value) is type(neutral) and value == neutral for neutral in _NEUTRAL.get(name, ()))


def _without_nulls(message: object) -> object:
    """Clients send back answers as they got them, with fields that are null."""
    if not isinstance(message, dict):
        return message
    return {name: value for name, value in message.items() if value is not None}


def _refusal(error: ValidationError) -> InvalidRequestError:
    errors = error.errors()
    within = [other for other in errors if _param(other["loc"]).startswith(_param(errors[0]["loc"]))]
    first = max(within, key=lambda other: len(other["loc"]))  # of a union's complaints, the one that looked furthest
    param = _param(first["loc"])
    match first["type"]:
        case "extra_forbidden":
            known = first["loc"][0] in _NEUTRAL
            reason = "with this value" if known else "by the gateway"
            return InvalidRequestError(
                f"{param} is not supported {reason}",
                param=param,
                code="unsupported_value" if known else "unsupported_parameter",
            )
        case "missing":
            return InvalidRequestError(f"{param} is missing", param=param, code="missing_required_parameter")
        case "value_error":
            told = str(first["msg"]).removeprefix("Value error, ")
            return InvalidRequestError(told, param=told.split()[0], code="invalid_value")
        case _:
            return InvalidRequestError(f"{param}: {first['msg']}", param=param, code="invalid_value")


def _param(place: tuple[int | str, ...]) -> str:
    """`messages[0].content` of ("messages", 0, "content", "str"): the names of union members are pydantic's own."""
    members = {"str", "list[TextPart]"}
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in place if part not in members]
    return "".join(parts).removeprefix(".")
