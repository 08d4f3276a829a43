"""What the live progress of a run says."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress import Progress

from inference.meters import Meters
from inference.records import Episode


class EpisodeTally:
    """Counts episodes into a progress row: accuracy so far, strong tokens a problem, share of steps by M_s."""

    def __init__(self, progress: Progress, description: str, *, total: int, done: int = 0) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total, completed=done, note="")
        self._episodes = self._graded = self._right = self._strong_tokens = self._strong_steps = self._steps = 0

    def add(self, episode: Episode) -> None:
        """Count one finished episode."""
        self._episodes += 1
        self._graded += episode.correct is not None
        self._right += bool(episode.correct)
        self._strong_tokens += episode.strong_tokens
        self._steps += len(episode.steps)
        self._strong_steps += sum(step.author == "strong" for step in episode.steps)
        accuracy = f"accuracy {self._right / self._graded:.3f}  " if self._graded else ""
        tokens = self._strong_tokens / self._episodes
        note = f"{accuracy}strong tokens {tokens:.1f}  strong steps {self._strong_steps / max(self._steps, 1):.0%}"
        self._progress.update(self._task, advance=1, note=note)


class MetersView:
    """How fast it goes, and who is waited for: one line for the run, one for each model and the planner."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What it says now."""
        seconds = self._meters.seconds
        yield f"{self._meters.steps / seconds:.1f} steps/s, {self._meters.tokens / seconds:.1f} tokens/s"
        for name, meter in self._meters.by_name.items():
            p50, p95 = meter.quantiles()
            yield f"  {name:<8} {meter.under_way:>5} under way   p50 {1000 * p50:.0f} ms   p95 {1000 * p95:.0f} ms"
