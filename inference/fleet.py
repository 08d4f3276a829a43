"""The models that a run drives: M_w, M_s and the PRM, wherever they live."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inference.engines.base import Engine, EngineError, Sampling
from inference.scorers.base import Scorer
from kde.artefact import sha256_file
from kde.errors import InputError


class EngineKind(StrEnum):
    """What runs a model directory."""

    TRANSFORMERS = "transformers"
    """In this process."""
    VLLM = "vllm"
    """A vLLM server that is started for the run and stopped after it."""


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Where the models are.

    Attributes:
        places: of `weak`, `strong` and `prm`, those that are needed: a model directory, or the http(s) URL of a vLLM server.
        kind: what runs the directories.
        sampling: how steps are sampled.
        logs: directory for the logs of the servers that are started.
    """

    places: Mapping[str, str]
    kind: EngineKind
    sampling: Sampling
    logs: Path

    def describe(self) -> dict[str, Any]:
        """What tells one fleet from another: kind, sampling, and the models by the SHA-256 of their weights, or by URL.

        Raises:
            InputError: a directory does not hold a model.
        """
        models = {name: place if is_url(place) else _weights_sha256(place) for name, place in self.places.items()}
        return {"engine": self.kind.value, "sampling": self.sampling.model_dump(), "models": models}


class Fleet:
    """The models at `places`; each is loaded, or connected to, when it is first asked for."""

    def __init__(self, places: Mapping[str, str], sampling: Sampling) -> None:
        self._places, self._sampling = places, sampling
        self._closing: list[Callable[[], Awaitable[None]]] = []

    @cached_property
    def weak(self) -> Engine:
        """M_w."""
        return self._engine("weak")

    @cached_property
    def strong(self) -> Engine:
        """M_s."""
        return self._engine("strong")

    @cached_property
    def scorer(self) -> Scorer:
        """The process reward model."""
        scorer = open_scorer(self._place("prm"))
        self._closing.append(scorer.close)
        return scorer

    async def close(self) -> None:
        """Release every model that was opened."""
        for close in self._closing:
            await close()

    def _engine(self, name: str) -> Engine:
        engine = _open_engine(self._place(name), self._sampling)
        self._closing.append(engine.close)
        return engine

    def _place(self, name: str) -> str:
        if name not in self._places:
            raise InputError(
                "models", field=f"--{name}", value=None, remedy="this policy needs it: name a directory or a URL"
            )
        return self._places[name]


@asynccontextmanager
async def open_fleet(settings: FleetSettings) -> AsyncIterator[Fleet]:
    """The models of a run; servers are started where that is asked for, and everything is released at the end.

    Raises:
        InputError: a directory does not hold a model, or what should run it is not installed.
        EngineError: a server did not start.
    """
    places = dict(settings.places)
    async with AsyncExitStack() as stack:
        if settings.kind is EngineKind.VLLM:
            places |= await stack.enter_async_context(_start_servers(places, settings.logs))
        fleet = Fleet(places, settings.sampling)
        stack.push_async_callback(fleet.close)
        yield fleet


@asynccontextmanager
async def _start_servers(places: Mapping[str, str], logs: Path) -> AsyncIterator[dict[str, str]]:
    directories = {name: _model_directory(place) for name, place in places.items() if not is_url(place)}
    from transformers import AutoTokenizer  # noqa: PLC0415  heavy, and URLs do not need it

    from inference.chat import step_tag_id  # noqa: PLC0415
    from inference.vllm_server import LocalServers, ServedModel  # noqa: PLC0415

    models = []
    for name, directory in directories.items():
        tag = step_tag_id(AutoTokenizer.from_pretrained(directory)) if name == "prm" else None
        models.append(ServedModel(name, directory, step_tag_id=tag))
    async with LocalServers(models, logs) as urls:
        yield dict(urls)


def _open_engine(place: str, sampling: Sampling) -> Engine:
    if is_url(place):
        from inference.engines.vllm import VllmEngine  # noqa: PLC0415

        return VllmEngine(place, sampling)
    directory = _model_directory(place)
    from inference.engines.transformers import TransformersEngine  # noqa: PLC0415  torch, only where a model runs here

    _share_cores()
    try:
        return TransformersEngine(directory, sampling)
    except (OSError, ValueError) as error:
        raise EngineError(_unloadable(directory, error)) from error


def open_scorer(place: str) -> Scorer:
    """The PRM in a directory, or behind the URL of a vLLM pooling server.

    Raises:
        InputError: the directory does not hold a model, or what should run it is not installed.
        EngineError: the model cannot be loaded.
    """
    if is_url(place):
        from inference.scorers.vllm import VllmScorer  # noqa: PLC0415

        return VllmScorer(place)
    directory = _model_directory(place)
    from inference.scorers.transformers import TransformersScorer  # noqa: PLC0415  as above

    _share_cores()
    try:
        return TransformersScorer(directory)
    except (OSError, ValueError) as error:
        raise EngineError(_unloadable(directory, error)) from error


def is_url(place: str) -> bool:
    """Whether a model's place is a server rather than a directory."""
    return place.startswith(("http://", "https://"))


def _unloadable(directory: Path, error: Exception) -> str:
    return f"{directory}: the model cannot be loaded ({' '.join(str(error).split())[:200]})"


def _share_cores() -> None:
    """M_w, M_s and the PRM run side by side; threads of one model that wait for each other would only take turns."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 3))


def _model_directory(place: str) -> Path:
    directory = Path(place)
    if not (directory / "config.json").is_file():
        remedy = "name a directory with config.json, or the URL of a vLLM server"
        raise InputError("engines", field="model", value=place, remedy=remedy)
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise InputError(
                "engines", field=package, value="not installed", remedy="pip install 'trim-routing[transformers]'"
            )
    return directory


def _weights_sha256(place: str) -> list[str]:
    return [sha256_file(file) for file in sorted(_model_directory(place).glob("*.safetensors"))]
