"""Live progress of the training runs: bars on a terminal, a line per measurement elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from inference.lab.train.loop import Progress as TrainingProgress


class TrainingDisplay:
    """Shows each report of a training run on standard error; a context manager, to be called with the reports."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:>6}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._shown: dict[str, dict[str, float]] = {}

    def __enter__(self) -> Self:
        """Starts drawing."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops drawing."""
        self._bars.stop()

    def __call__(self, progress: TrainingProgress) -> None:
        """Shows one report."""
        if progress.model not in self._tasks:
            self._tasks[progress.model] = self._bars.add_task(progress.model, total=progress.steps, figures="")
        figures = _figures(progress)
        self._bars.update(self._tasks[progress.model], completed=progress.step, figures=figures)
        if not self._console.is_terminal and self._shown.get(progress.model) != dict(progress.errors):
            self._shown[progress.model] = dict(progress.errors)
            self._console.print(f"{progress.model} {progress.step}/{progress.steps} {figures}", soft_wrap=True)


def _figures(progress: TrainingProgress) -> str:
    errors = "  ".join(f"{kind} {error:.1%}" for kind, error in progress.errors.items())
    return (
        f"{progress.tokens_per_second:,.0f} tokens/s  loss {progress.loss:.3f}  error: {errors or 'not yet measured'}"
    )
