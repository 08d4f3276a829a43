"""Whether engines answer: for load balancers, who ask often."""

import asyncio
import os

import httpx

from inference.engines.settings import ModelSettings

PROBE_SECONDS = 1.0
"""What an answer may take; a server that is busy for longer is no help to anybody."""


async def answers(model: ModelSettings) -> bool:
    """Whether any replica of a model answers; a model in this process always does."""
    if not model.urls:
        return True
    key = None if model.api_key_env is None else os.environ.get(model.api_key_env)
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(timeout=PROBE_SECONDS, headers=headers) as client:
        return any(await asyncio.gather(*(_answers(client, url) for url in model.urls)))


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url.rstrip('/')}/v1/models")).is_success
    except httpx.TransportError:
        return False
