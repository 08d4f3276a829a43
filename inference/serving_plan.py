"""From a file of engines to the servers that `trim engines up` runs."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from inference.engines.settings import EnginesFile, ModelSettings
from inference.vllm_server import ServedModel, ServerProcess
from kde.errors import InputError


def planned_servers(file: Path, engines: EnginesFile, logs: Path) -> list[ServerProcess]:
    """A server for every URL of every model that has a table `serve`.

    Raises:
        InputError: no model is to be served, or one cannot be where the file wants it.
    """
    found = [
        server
        for name in ("weak", "strong", "scorer")
        if isinstance(settings := getattr(engines, name), ModelSettings) and "serve" in settings.model_fields_set
        for server in _replicas(file, name, settings, logs)
    ]
    if not found:
        remedy = "add [weak.serve], [strong.serve] or [scorer.serve] to what is to run here: `trim engines example` shows one"
        raise InputError(file, field="serve", value=None, remedy=remedy)
    return found


def _replicas(file: Path, name: str, settings: ModelSettings, logs: Path) -> Iterator[ServerProcess]:
    if settings.model is None:
        raise InputError(file, field=f"{name}.model", value=None, remedy="name the model that is to be served")
    serve, urls = settings.serve, settings.urls
    if not urls:
        remedy = "write where it is to listen: http://127.0.0.1:PORT"
        raise InputError(file, field=f"{name}.urls", value=urls, remedy=remedy)
    if len(serve.gpus) % len(urls):
        remedy = f"{len(urls)} replicas share them evenly"
        raise InputError(file, field=f"{name}.serve.gpus", value=list(serve.gpus), remedy=remedy)
    places = [_free_address(file, name, url) for url in urls]
    each = len(serve.gpus) // len(urls)
    tag = _step_tag(settings.model) if name == "scorer" else None
    secret = {} if settings.api_key_env is None else {"VLLM_API_KEY": _secret(file, name, settings.api_key_env)}
    for index, (host, port) in enumerate(places):
        own = name if len(urls) == 1 else f"{name}-{index}"
        model = ServedModel(
            own,
            settings.model,
            step_tag_id=tag,
            gpus=serve.gpus[index * each : (index + 1) * each],
            flags=serve.flags,
            environment=secret | serve.environment,
            served_as=settings.served_model or name,
        )
        yield ServerProcess(model, host, port, logs / f"{own}.log")


def _free_address(file: Path, name: str, url: str) -> tuple[str, int]:
    """Host and port of a URL, where a server can listen at the moment."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None or parts.port is None or parts.path.strip("/"):
        raise InputError(file, field=f"{name}.urls", value=url, remedy="a server of ours listens at http://HOST:PORT")
    family = socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET
    try:
        socket.create_server((parts.hostname, parts.port), family=family).close()
    except OSError as error:
        remedy = f"it cannot listen there ({error.strerror}): stop what does, or choose another address"
        raise InputError(file, field=f"{name}.urls", value=url, remedy=remedy) from error
    return parts.hostname, parts.port


def _step_tag(model: str) -> int:
    from transformers import AutoTokenizer  # noqa: PLC0415  heavy

    from inference.chat import step_tag_id  # noqa: PLC0415

    return step_tag_id(AutoTokenizer.from_pretrained(model))


def _secret(file: Path, name: str, variable: str) -> str:
    if variable not in os.environ:
        raise InputError(file, field=f"{name}.api_key_env", value=variable, remedy="that variable is not set")
    return os.environ[variable]
