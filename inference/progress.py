"""What the live progress of a run says."""

from rich.progress import Progress

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
        note = f"{accuracy}strong tokens {self._strong_tokens / self._episodes:.1f}  strong steps {self._strong_steps / self._steps:.0%}"
        self._progress.update(self._task, advance=1, note=note)
