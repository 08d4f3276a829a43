"""One vLLM OpenAI-compatible server, as engines and scorers see it."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import stamina

from inference.engines.base import EngineError

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_CONNECTIONS = httpx.Limits(max_connections=256, max_keepalive_connections=256)
_ATTEMPTS = 4


class VllmApi:
    """Requests to one server. A request that failed in passing (no connection, 5xx) is sent again: all of them are safe to repeat."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.AsyncClient(base_url=self.url, timeout=_TIMEOUT, limits=_CONNECTIONS)
        self._model: str | None = None
        self._prompts: dict[str, list[int]] = {}
        self._pieces: dict[str, list[int]] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def model(self) -> str:
        """Name of the model that the server serves."""
        if self._model is None:
            self._model = str((await self._send("GET", "/v1/models", None))["data"][0]["id"])
        return self._model

    async def prompt_ids(self, problem: str) -> list[int]:
        """Token ids of the conversation that asks a problem, up to where the answer begins."""
        if problem not in self._prompts:
            messages = [{"role": "user", "content": problem}]
            self._prompts[problem] = await self._tokenize({"messages": messages, "add_generation_prompt": True})
        return self._prompts[problem]

    async def text_ids(self, text: str) -> list[int]:
        """Token ids of a piece of text."""
        if text not in self._pieces:
            self._pieces[text] = await self._tokenize({"prompt": text, "add_special_tokens": False})
        return self._pieces[text]

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request for this server's model.

        Raises:
            EngineError: the server refuses it, does not answer within the retries, or answers something else than a JSON object.
        """
        return await self._send("POST", path, {"model": await self.model(), **body})

    async def _tokenize(self, body: Mapping[str, Any]) -> list[int]:
        return field(await self.post("/tokenize", body), "tokens", self.url)  # type: ignore[no-any-return]

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        try:
            async for attempt in stamina.retry_context(on=_is_passing, attempts=_ATTEMPTS, timeout=None, wait_max=2.0):
                with attempt:
                    response = await self._client.request(method, path, json=body)
                    response.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise EngineError(
                f"{self.url}{path}: status {error.response.status_code}: {error.response.text[:200]}"
            ) from error
        except httpx.HTTPError as error:
            raise EngineError(f"{self.url}{path}: no answer ({type(error).__name__}); is the server up?") from error
        try:
            document = response.json()
        except ValueError as error:
            raise EngineError(f"{self.url}{path}: the answer is not JSON ({error})") from error
        if not isinstance(document, dict):
            raise EngineError(f"{self.url}{path}: the answer is not a JSON object")
        return document


def field(document: Any, path: str, url: str) -> Any:
    """The value at a dotted path of an answer.

    Raises:
        EngineError: it is not there.
    """
    value = document
    for key in path.split("."):
        try:
            value = value[int(key)] if isinstance(value, Sequence) else value[key]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise EngineError(
                f"{url}: the answer has no field {path}; is it a vLLM server of a version we know?"
            ) from error
    return value


def _is_passing(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError)
