"""The models that a run drives: M_w, M_s and the PRM, wherever they live."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from inference.engines.base import Engine, Sampling
from inference.scorers.base import Scorer
from kde.errors import InputError


class EngineKind(StrEnum):
    """What runs a model directory."""

    TRANSFORMERS = "transformers"
    """In this process."""
    VLLM = "vllm"
    """A vLLM server that is started for the run and stopped after it."""


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Where the three models are.

    Attributes:
        weak, strong, prm: a model directory, or the http:// or https:// URL of a vLLM server that is up already.
        kind: what runs the directories.
        sampling: how steps are sampled.
        logs: directory for the logs of the servers that are started.
    """

    weak: str
    strong: str
    prm: str
    kind: EngineKind
    sampling: Sampling
    logs: Path


@dataclass(frozen=True, slots=True)
class Fleet:
    """Three models, ready to be asked."""

    weak: Engine
    strong: Engine
    scorer: Scorer


@asynccontextmanager
async def open_fleet(settings: FleetSettings) -> AsyncIterator[Fleet]:
    """Load the models or connect to them; release them at the end.

    Raises:
        InputError: a directory does not hold a model, or what should run it is not installed.
        EngineError: a server did not start.
    """
    places = {"weak": settings.weak, "strong": settings.strong, "prm": settings.prm}
    async with AsyncExitStack() as stack:
        if settings.kind is EngineKind.VLLM:
            places |= await stack.enter_async_context(_start_servers(places, settings.logs))
        fleet = Fleet(
            weak=_engine(places["weak"], settings.sampling),
            strong=_engine(places["strong"], settings.sampling),
            scorer=open_scorer(places["prm"]),
        )
        for model in (fleet.weak, fleet.strong, fleet.scorer):
            stack.push_async_callback(model.close)
        yield fleet


@asynccontextmanager
async def _start_servers(places: dict[str, str], logs: Path) -> AsyncIterator[dict[str, str]]:
    from transformers import AutoTokenizer  # noqa: PLC0415  heavy, and URLs do not need it

    from inference.chat import step_tag_id  # noqa: PLC0415
    from inference.vllm_server import LocalServers, ServedModel  # noqa: PLC0415

    models = []
    for name, place in places.items():
        if not is_url(place):
            directory = _model_directory(place)
            tag = step_tag_id(AutoTokenizer.from_pretrained(directory)) if name == "prm" else None
            models.append(ServedModel(name, directory, step_tag_id=tag))
    async with LocalServers(models, logs) as urls:
        yield dict(urls)


def _engine(place: str, sampling: Sampling) -> Engine:
    if is_url(place):
        from inference.engines.vllm import VllmEngine  # noqa: PLC0415

        return VllmEngine(place, sampling)
    directory = _model_directory(place)
    from inference.engines.transformers import TransformersEngine  # noqa: PLC0415  torch, only where a model runs here

    return TransformersEngine(directory, sampling)


def open_scorer(place: str) -> Scorer:
    """The PRM in a directory, or behind the URL of a vLLM pooling server.

    Raises:
        InputError: the directory does not hold a model, or what should run it is not installed.
    """
    if is_url(place):
        from inference.scorers.vllm import VllmScorer  # noqa: PLC0415

        return VllmScorer(place)
    directory = _model_directory(place)
    from inference.scorers.transformers import TransformersScorer  # noqa: PLC0415  as above

    return TransformersScorer(directory)


def is_url(place: str) -> bool:
    """Whether a model's place is a server rather than a directory."""
    return place.startswith(("http://", "https://"))


def _model_directory(place: str) -> Path:
    directory = Path(place)
    if not (directory / "config.json").is_file():
        raise InputError(
            "engines",
            field="model",
            value=place,
            remedy="name a directory with config.json, or the URL of a vLLM server",
        )
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise InputError(
                "engines", field=package, value="not installed", remedy="pip install 'trim-routing[transformers]'"
            )
    return directory
