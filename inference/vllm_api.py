"""One vLLM OpenAI-compatible server, as engines and scorers see it."""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
import stamina
from pydantic import BaseModel, ValidationError

from inference.conversation import Conversation
from inference.engines.base import EngineError
from inference.engines.settings import ChatSettings

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_CONNECTIONS = httpx.Limits(max_connections=256, max_keepalive_connections=256)
_ATTEMPTS = 4

Answer = TypeVar("Answer", bound=BaseModel)


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


class _Tokens(BaseModel):
    tokens: list[int]


class VllmApi:
    """Requests to one server. A request that failed in passing (no connection, 5xx) is sent again: all of them are safe to repeat.

    Raises:
        EngineError: the URL cannot be one.
    """

    def __init__(self, url: str, chat: ChatSettings) -> None:
        self._chat = chat
        self.url = url.rstrip("/")
        try:
            self._client = httpx.AsyncClient(base_url=self.url, timeout=_TIMEOUT, limits=_CONNECTIONS)
        except httpx.InvalidURL as error:
            raise EngineError(f"{url}: {error}; write http://HOST:PORT") from error
        self._asking = asyncio.Lock()
        self._model = ""
        self._prompts: dict[Conversation, list[int]] = {}
        self._pieces: dict[str, list[int]] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def model(self) -> str:
        """Name of the model that the server serves."""
        async with self._asking:
            if not self._model:
                served = (await self._send("GET", "/v1/models", None, _Models)).data
                if not served:
                    raise EngineError(f"{self.url}/v1/models: the server serves no model")
                self._model = served[0].id
        return self._model

    async def prompt_ids(self, question: Conversation) -> list[int]:
        """Token ids of a conversation, up to where the answer begins."""
        if question not in self._prompts:
            body = {
                "messages": self._chat.messages(question),
                "add_generation_prompt": True,
                "chat_template_kwargs": self._chat.template_arguments,
            }
            self._prompts[question] = (await self.post("/tokenize", body, _Tokens)).tokens
        return self._prompts[question]

    async def text_ids(self, text: str) -> list[int]:
        """Token ids of a piece of text."""
        if text not in self._pieces:
            body = {"prompt": text, "add_special_tokens": False}
            self._pieces[text] = (await self.post("/tokenize", body, _Tokens)).tokens
        return self._pieces[text]

    async def post(self, path: str, body: Mapping[str, Any], answer: type[Answer]) -> Answer:
        """Send a request for this server's model.

        Raises:
            EngineError: the server refuses it, does not answer within the retries, or answers something else than `answer`.
        """
        return await self._send("POST", path, {"model": await self.model(), **body}, answer)

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None, answer: type[Answer]) -> Answer:
        try:
            async for attempt in stamina.retry_context(on=_is_passing, attempts=_ATTEMPTS, timeout=None, wait_max=2.0):
                with attempt:
                    response = await self._client.request(method, path, json=body)
                    response.raise_for_status()
        except httpx.HTTPStatusError as error:
            told = " ".join(error.response.text[:200].split())
            raise EngineError(f"{self.url}{path}: status {error.response.status_code}: {told}") from error
        except httpx.HTTPError as error:
            raise EngineError(f"{self.url}{path}: no answer ({type(error).__name__}); is the server up?") from error
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the answer"
            raise EngineError(
                f"{self.url}{path}: {place}: {first['msg']}; is it a vLLM server of a version we know?"
            ) from error


def _is_passing(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError)
