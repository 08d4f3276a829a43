"""A run: many episodes at once, durable and resumable."""

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from inference.archive import Archive
from inference.concurrency import for_each
from inference.lock import exclusive
from inference.problems import Problem, fingerprint
from inference.records import Episode, read_episodes
from kde.artefact import replace_file
from kde.errors import ArtefactError, InputError

_SCHEMA_VERSION = 2
"""Of `run.json` and of the episodes beside it."""

Solve = Callable[[Problem], Awaitable[Episode]]


class Run:
    """A run's directory: `run.json` says what it is, `episodes/` and the journal beside it hold what is finished.

    Args:
        directory: where it lives; nothing is written there before `finish`.
        settings: what the run is (JSON values); a directory holds one run, and only the same settings resume it.
        problems: what it solves.

    Raises:
        InputError: the directory holds a run with other settings or problems.
        ArtefactError: its files cannot be read.
    """

    def __init__(self, directory: Path, settings: dict[str, Any], problems: Sequence[Problem]) -> None:
        self.episodes = directory / "episodes"
        self._directory = directory
        self._problems = problems
        self._settings = json.loads(
            json.dumps(
                {
                    "schema_version": _SCHEMA_VERSION,
                    **settings,
                    "problems": len(problems),
                    "problems_sha256": fingerprint(problems),
                }
            )
        )
        self._check()

    def remaining(self) -> list[Problem]:
        """Problems without a finished episode, in order."""
        finished = set(read_episodes(self.episodes)["problem_id"])
        return [problem for problem in self._problems if problem.id not in finished]

    async def finish(
        self, solve: Solve, *, concurrency: int, on_episode: Callable[[Episode], None] = lambda _: None
    ) -> None:
        """Solve what remains, `concurrency` problems at once.

        Each is on record as soon as it is finished. The first error ends the run: episodes under way are cancelled and the error is
        raised.

        Raises:
            InputError: another process is at work on this run, or has made another run of the directory.
        """
        with exclusive(self._directory / ".lock"):
            self._check()
            replace_file(self._directory / "run.json", (json.dumps(self._settings, indent=2) + "\n").encode())
            with Archive(self.episodes) as archive:

                async def work(problem: Problem) -> None:
                    episode = await solve(problem)
                    archive.append(episode)
                    on_episode(episode)

                await for_each(self.remaining(), work, concurrency=concurrency)

    def _check(self) -> None:
        """Compare with the run that the directory holds, if any."""
        path = self._directory / "run.json"
        if not path.exists():
            return
        try:
            found = json.loads(path.read_bytes())
        except ValueError as error:
            raise ArtefactError(path, f"is not JSON ({error})", remedy="remove the directory") from error
        if not isinstance(found, dict):
            raise ArtefactError(path, "is not a JSON object", remedy="remove the directory")
        if found.get("schema_version") != _SCHEMA_VERSION:
            told = f"schema_version is {found.get('schema_version')!r}, and this version writes {_SCHEMA_VERSION}"
            raise ArtefactError(path, told, remedy="choose another --out, or go on with the version that began the run")
        for key in sorted(self._settings.keys() | found.keys()):
            if self._settings.get(key) != found.get(key):
                remedy = (
                    f"you ask for {self._settings.get(key)!r}: repeat the settings to resume, or choose another --out"
                )
                raise InputError(path, field=key, value=found.get(key), remedy=remedy)
