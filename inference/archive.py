"""The writing end of a run's episodes: each goes into a journal when it is finished, and with the others into a parquet part."""

from pathlib import Path
from types import TracebackType
from typing import Self

from inference.journal import Journal
from inference.records import Episode, episode_row, journal_of, read_journalled, read_parts, write_part

_PART_EPISODES = 4096


class Archive:
    """Appends episodes; a context manager that leaves nothing but parts.

    Args:
        directory: of the parts; what a killed process left in the journal becomes a part first.
        part_episodes: how many make a part while the run goes on.

    Raises:
        ArtefactError: the journal or a part is damaged, or of another version.
    """

    def __init__(self, directory: Path, *, part_episodes: int = _PART_EPISODES) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._part_episodes = directory, part_episodes
        self._compact()
        self._journal, self._count = Journal(journal_of(directory)), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.close()
        self._compact()

    def append(self, episode: Episode) -> None:
        """Keep a finished episode: it survives a kill from here on.

        Raises:
            OSError: the disk does not take it.
        """
        self._journal.append(episode_row(episode))
        self._count += 1
        if self._count == self._part_episodes:
            self._journal.close()
            self._compact()
            self._journal, self._count = Journal(journal_of(self._directory)), 0

    def _compact(self) -> None:
        """Move the journal into a part. A kill between the two leaves episodes in both: they are taken once."""
        kept = set(read_parts(self._directory)["problem_id"])
        fresh = [episode for episode in read_journalled(self._directory) if episode.problem_id not in kept]
        if fresh:
            write_part(self._directory, fresh)
        journal_of(self._directory).unlink(missing_ok=True)
