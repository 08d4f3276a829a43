"""A client's connection: its request read within limits, and its leaving noticed at once."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from inference.gateway.refusals import InvalidRequestError

Result = TypeVar("Result")


class ClientLeftError(Exception):
    """The client has closed its connection; nobody waits for the answer."""


async def read_body(request: Request, most: int) -> bytes:
    """The body of a JSON request.

    A web page can send other content types to a server on its reader's machine without asking; JSON makes the browser ask.

    Raises:
        InvalidRequestError: it is too long, or not declared as JSON.
        ClientLeftError: it did not come whole.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise InvalidRequestError(
            "send Content-Type: application/json", param=None, code="unsupported_media_type", status=415
        )
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise InvalidRequestError(
                    f"the body has more than {most} bytes", param=None, code="request_too_large", status=413
                )
    except ClientDisconnect as error:
        raise ClientLeftError from error
    return bytes(body)


async def unless_gone(receive: Receive, work: Coroutine[None, None, Result]) -> Result:
    """The result of `work`, which is cancelled as soon as the client leaves.

    Raises:
        ClientLeftError: it left.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeftError
        return await working
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
