"""The models that a run drives: M_w, M_s and the scorer, wherever they live."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inference.engines.base import Engine, EngineError
from inference.engines.settings import EngineSettings, EnginesFile, Sampling, ScorerSettings, is_url, model_directory
from inference.scorers.base import Scorer
from kde.errors import InputError


class EngineKind(StrEnum):
    """What runs a model directory that is named on the command line."""

    TRANSFORMERS = "transformers"
    """transformers, in this process."""
    VLLM_SERVER = "vllm-server"
    """A vLLM server that is started for the run and stopped after it."""


def engines_at(places: Mapping[str, str], kind: EngineKind, sampling: dict[str, Any]) -> EnginesFile:
    """Settings of models by their places.

    Args:
        places: of `weak`, `strong` and `prm`, those that are needed: a model directory, or the http(s) URL of a vLLM server.
        kind: what runs the directories.
        sampling: how steps are sampled, as `Sampling` takes it.

    Raises:
        InputError: a value is not accepted.
    """
    backend = "transformers" if kind is EngineKind.TRANSFORMERS else "server"

    def where(name: str) -> dict[str, Any]:
        place = places[name]
        return {"backend": "server", "urls": (place,)} if is_url(place) else {"backend": backend, "model": place}

    try:
        models: dict[str, Any] = {
            name: EngineSettings(**where(name), sampling=Sampling(**sampling)) for name in places if name != "prm"
        }
        if "prm" in places:
            models["scorer"] = ScorerSettings(**where("prm"))
        return EnginesFile(**models)
    except ValidationError as error:
        raise InputError.of_validation("models", error) from error


class Fleet:
    """The models of some settings; each is loaded, or connected to, when it is first asked for."""

    def __init__(self, engines: EnginesFile) -> None:
        self._engines = engines
        self._closing: list[Callable[[], Awaitable[None]]] = []

    @cached_property
    def weak(self) -> Engine:
        """M_w."""
        return self._engine("weak", self._engines.weak)

    @cached_property
    def strong(self) -> Engine:
        """M_s."""
        return self._engine("strong", self._engines.strong)

    @cached_property
    def scorer(self) -> Scorer:
        """The process reward model."""
        if self._engines.scorer is None:
            raise _unnamed("prm")
        scorer = _open_scorer(self._engines.scorer)
        self._closing.append(scorer.close)
        return scorer

    async def close(self) -> None:
        """Release every model that was opened."""
        for close in self._closing:
            await close()

    def _engine(self, name: str, settings: EngineSettings | None) -> Engine:
        if settings is None:
            raise _unnamed(name)
        engine = _open_engine(settings)
        self._closing.append(engine.close)
        return engine


@asynccontextmanager
async def open_fleet(engines: EnginesFile, logs: Path) -> AsyncIterator[Fleet]:
    """The models of a run; servers without URLs are started, with their logs in `logs`, and everything is released at the end.

    Raises:
        InputError: a directory does not hold a model, or what should run it is not installed.
        EngineError: a server did not start.
    """
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(_start_servers(engines, logs))
        fleet = Fleet(_at(engines, urls))
        stack.push_async_callback(fleet.close)
        yield fleet


def _at(engines: EnginesFile, urls: Mapping[str, str]) -> EnginesFile:
    models = {"weak": engines.weak, "strong": engines.strong, "scorer": engines.scorer}
    started = {
        name: model.model_copy(update={"urls": (urls[name],)})
        for name, model in models.items()
        if name in urls and model is not None
    }
    return engines.model_copy(update=started)


@asynccontextmanager
async def _start_servers(engines: EnginesFile, logs: Path) -> AsyncIterator[dict[str, str]]:
    models = {"weak": engines.weak, "strong": engines.strong, "scorer": engines.scorer}
    directories = {
        name: _loadable(str(model.model))
        for name, model in models.items()
        if model is not None and model.backend == "server" and not model.urls
    }
    if not directories:
        yield {}
        return
    from transformers import AutoTokenizer  # noqa: PLC0415  heavy, and URLs do not need it

    from inference.chat import step_tag_id  # noqa: PLC0415
    from inference.vllm_server import LocalServers, ServedModel  # noqa: PLC0415

    served = []
    for name, directory in directories.items():
        tag = step_tag_id(AutoTokenizer.from_pretrained(directory)) if name == "scorer" else None
        served.append(ServedModel(name, directory, step_tag_id=tag))
    async with LocalServers(served, logs) as urls:
        yield dict(urls)


def _open_engine(settings: EngineSettings) -> Engine:
    if settings.backend == "server":
        from inference.engines.vllm import VllmEngine  # noqa: PLC0415

        return VllmEngine(settings)
    directory = _loadable(str(settings.model))
    from inference.engines.transformers import TransformersEngine  # noqa: PLC0415  torch, only where a model runs here

    _share_cores()
    try:
        return TransformersEngine(directory, settings.sampling, settings.chat)
    except (OSError, ValueError) as error:
        raise EngineError(_unloadable(directory, error)) from error


def _open_scorer(settings: ScorerSettings) -> Scorer:
    if settings.backend == "server":
        from inference.scorers.vllm import VllmScorer  # noqa: PLC0415

        return VllmScorer(settings)
    directory = _loadable(str(settings.model))
    from inference.scorers.transformers import TransformersScorer  # noqa: PLC0415  as above

    _share_cores()
    try:
        return TransformersScorer(directory, settings.chat)
    except (OSError, ValueError) as error:
        raise EngineError(_unloadable(directory, error)) from error


def _unnamed(name: str) -> InputError:
    return InputError("models", field=f"--{name}", value=None, remedy="this policy needs it: name a directory or a URL")


def _unloadable(directory: Path, error: Exception) -> str:
    return f"{directory}: the model cannot be loaded ({' '.join(str(error).split())[:200]})"


def _share_cores() -> None:
    """M_w, M_s and the PRM run side by side; threads of one model that wait for each other would only take turns."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 3))


def _loadable(place: str) -> Path:
    directory = model_directory(place)
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise InputError(
                "engines", field=package, value="not installed", remedy="pip install 'trim-routing[transformers]'"
            )
    return directory
