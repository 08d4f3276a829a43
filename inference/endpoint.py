"""One model behind one or more replicas of an OpenAI-compatible server.

Every request is safe to repeat, so whatever goes wrong in passing - no connection, no answer in time, status 429 or 5xx, an answer
that is cut or lacks something - is sent again, to another replica where there is one.
"""

import asyncio
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import BaseModel, ValidationError

from inference.engines.base import ContextFullError, EngineError
from inference.engines.settings import ModelSettings
from kde.errors import InputError

_ATTEMPTS: Final = 4
_CONNECT_SECONDS: Final = 5.0
_WAIT_SECONDS: Final = 0.1
"""Before the second attempt; twice as long before every further one, and up to twice that by chance."""
_SHUNNED_SECONDS: Final = 5.0
"""How long a replica that failed is only asked where no other is left."""

Answer = TypeVar("Answer", bound=BaseModel)


class _Model(BaseModel):
    id: str
    max_model_len: int | None = None


class _Models(BaseModel):
    data: list[_Model]


class _PassingError(EngineError):
    """Worth another attempt."""


@dataclass(slots=True)
class Replica:
    """One server.

    Attributes:
        in_flight: calls under way.
        shunned_until: on the monotonic clock.
    """

    url: str
    in_flight: int = 0
    shunned_until: float = 0.0


class Endpoint:
    """Requests for one model.

    Attributes:
        replicas: the servers.

    Raises:
        InputError: a URL cannot be one, or the environment lacks the key.
    """

    def __init__(self, settings: ModelSettings) -> None:
        self.replicas = [Replica(_base(url)) for url in settings.urls]
        self._attempt_seconds = settings.deadline_seconds / 2
        self._name = settings.served_model
        self._key = _key(settings.api_key_env)
        self._asking = asyncio.Lock()
        self._served: _Model | None = None
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    @property
    def where(self) -> str:
        """The first replica's URL, for messages."""
        return self.replicas[0].url

    async def model(self) -> str:
        """The model's name at the endpoint.

        Raises:
            EngineError: the endpoint does not serve it.
        """
        return (await self._model()).id

    async def context(self) -> int | None:
        """Tokens that fit the model; None where the endpoint does not say.

        Raises:
            EngineError: the endpoint does not serve the model.
        """
        return (await self._model()).max_model_len

    async def post(self, path: str, body: Mapping[str, Any], answer: type[Answer]) -> Answer:
        """Send a request for the model.

        Raises:
            ContextFullError: the server says that the prompt is longer than the model takes.
            EngineError: it is refused, or failed at every attempt; or the answer is something else than `answer`.
        """
        return await self._send("POST", path, {"model": await self.model(), **body}, answer)

    async def _model(self) -> _Model:
        async with self._asking:
            if self._served is None:
                served = (await self._send("GET", "/v1/models", None, _Models)).data
                found = [model for model in served if self._name in {None, model.id}]
                if not found:
                    wanted = "no model" if self._name is None else f"{[m.id for m in served]}, not {self._name}"
                    raise EngineError(f"{self.where}/v1/models: the server serves {wanted}")
                self._served = found[0]
        return self._served

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None, answer: type[Answer]) -> Answer:
        for attempt in range(_ATTEMPTS):
            replica = min(self.replicas, key=lambda one: (one.shunned_until > time.monotonic(), one.in_flight))
            replica.in_flight += 1
            try:
                return await self._ask(replica, method, path, body, answer)
            except _PassingError:
                replica.shunned_until = time.monotonic() + _SHUNNED_SECONDS
                if attempt == _ATTEMPTS - 1:
                    raise
            finally:
                replica.in_flight -= 1
            await asyncio.sleep(_WAIT_SECONDS * 2**attempt * (1 + random.random()))  # noqa: S311  no secret
        raise AssertionError("unreachable: the last attempt raises")

    async def _ask(
        self, replica: Replica, method: str, path: str, body: Mapping[str, Any] | None, answer: type[Answer]
    ) -> Answer:
        place = f"{replica.url}{path}"
        try:
            async with self._connections().request(method, place, json=body) as response:
                content = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _PassingError(f"{place}: no answer ({type(error).__name__}); is the server up?") from error
        if response.status >= 400:
            raise self._refusal(place, response.status, content)
        try:
            return answer.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "the answer"
            raise _PassingError(f"{place}: {field}: {first['msg']}; is it a server of a version we know?") from error

    def _refusal(self, place: str, status: int, content: bytes) -> EngineError:
        told = " ".join(content.decode(errors="replace").split())
        if self._key:
            told = told.replace(self._key, "***")
        message = f"{place}: status {status}: {told[:200]}"
        if status == 400 and ("context length" in told or "context_length_exceeded" in told):
            return ContextFullError(message)
        return _PassingError(message) if status == 429 or status >= 500 else EngineError(message)

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=self._attempt_seconds, sock_connect=_CONNECT_SECONDS),
                headers={"Authorization": f"Bearer {self._key}"} if self._key else None,
            )
        return self._session


def _base(url: str) -> str:
    """The URL without a trailing `/v1`, which many providers write."""
    base = url.rstrip("/").removesuffix("/v1")
    try:
        urlsplit(base).port  # noqa: B018  it raises
    except ValueError as error:
        raise InputError("engines", field="urls", value=url, remedy=f"write http://HOST:PORT ({error})") from error
    return base


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise InputError(
            "engines", field="api_key_env", value=variable, remedy="set this environment variable to the key"
        )
    return os.environ[variable]
