"""The models that a run drives: M_w, M_s and the scorer, wherever they live."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inference.engines.base import Engine, Usage
from inference.engines.bounded import BoundedEngine, BoundedScorer, Turns
from inference.engines.settings import (
    EngineSettings,
    EnginesFile,
    ModelSettings,
    PrmSettings,
    RecordedSettings,
    Sampling,
    SelfEvaluationSettings,
    is_url,
)
from inference.opening import open_engine, open_prm, started
from inference.scorers.base import Scorer
from inference.scorers.noise import NoisyScorer
from inference.scorers.recorded import RecordedScorer
from inference.scorers.self_evaluation import SelfEvaluationScorer
from inference.vllm_thread import VllmThread
from kde.errors import InputError


class EngineKind(StrEnum):
    """What runs a model directory that is named on the command line."""

    TRANSFORMERS = "transformers"
    """transformers, in this process."""
    VLLM = "vllm"
    """vLLM, in this process."""
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
    backend = "server" if kind is EngineKind.VLLM_SERVER else kind.value

    def where(name: str) -> dict[str, Any]:
        place = places[name]
        return {"backend": "server", "urls": (place,)} if is_url(place) else {"backend": backend, "model": place}

    try:
        models: dict[str, Any] = {
            name: EngineSettings(**where(name), sampling=Sampling(**sampling)) for name in places if name != "prm"
        }
        if "prm" in places:
            models["scorer"] = PrmSettings(**where("prm"))
        return EnginesFile(**models)
    except ValidationError as error:
        raise InputError.of_validation("models", error) from error


class Fleet:
    """The models of some settings; each is loaded, or connected to, when it is first asked for."""

    def __init__(self, engines: EnginesFile) -> None:
        self._engines = engines
        self._vllm = VllmThread()
        self._closing: list[Callable[[], Awaitable[None]]] = [self._vllm.close]

    @cached_property
    def weak(self) -> Engine:
        """M_w."""
        return self._weak

    @cached_property
    def strong(self) -> Engine:
        """M_s."""
        return self._strong

    @cached_property
    def scorer(self) -> Scorer:
        """What scores the steps."""
        settings = self._engines.scorer
        if settings is None:
            raise _unnamed("prm")
        scorer = self._scorer(settings)
        self._closing.append(scorer.close)
        if settings.noise.logit_sigma:
            return NoisyScorer(scorer, sigma=settings.noise.logit_sigma, seed=settings.noise.seed)
        return scorer

    @cached_property
    def base_grader(self) -> Scorer:
        """M_s, which grades every step from 0 to 9: what SpecReason decides by."""
        return SelfEvaluationScorer(self._strong)

    @property
    def usage(self) -> dict[str, Usage]:
        """What M_w and M_s were asked so far, those that are in use."""
        return {name: getattr(self, f"_{name}").usage for name in ("weak", "strong") if f"_{name}" in self.__dict__}

    async def close(self) -> None:
        """Release every model that was opened."""
        for close in reversed(self._closing):
            await close()

    @cached_property
    def _weak(self) -> BoundedEngine:
        return self._engine("weak", self._engines.weak)

    @cached_property
    def _strong(self) -> BoundedEngine:
        return self._engine("strong", self._engines.strong)

    def _engine(self, name: str, settings: EngineSettings | None) -> BoundedEngine:
        if settings is None:
            raise _unnamed(name)
        engine = BoundedEngine(open_engine(settings, self._vllm), _calls(name, settings))
        self._closing.append(engine.close)
        return engine

    def _scorer(self, settings: PrmSettings | SelfEvaluationSettings | RecordedSettings) -> Scorer:
        match settings:
            case PrmSettings():
                return BoundedScorer(open_prm(settings, self._vllm), _calls("scorer", settings))
            case SelfEvaluationSettings():
                return SelfEvaluationScorer({"weak": lambda: self._weak, "strong": lambda: self._strong}[settings.by]())
            case RecordedSettings():
                return RecordedScorer(settings.file, settings.labels)


@asynccontextmanager
async def open_fleet(engines: EnginesFile, logs: Path) -> AsyncIterator[Fleet]:
    """The models of a run; servers without URLs are started, with their logs in `logs`, and everything is released at the end.

    Raises:
        InputError: a directory does not hold a model, or what should run it is not installed.
        EngineError: a server did not start.
    """
    async with AsyncExitStack() as stack:
        fleet = Fleet(await stack.enter_async_context(started(engines, logs)))
        stack.push_async_callback(fleet.close)
        yield fleet


def _unnamed(name: str) -> InputError:
    return InputError("models", field=f"--{name}", value=None, remedy="this policy needs it: name a directory or a URL")


def _calls(name: str, settings: ModelSettings) -> Turns:
    return Turns(name, in_flight=settings.in_flight, deadline_seconds=settings.deadline_seconds)
