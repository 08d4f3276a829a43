"""Scores that were written down, looked up by the text that they belong to."""

from collections.abc import Sequence
from pathlib import Path

from inference.conversation import Conversation
from inference.engines.base import EngineError
from inference.scorers.base import Scores
from kde.hub import read_labels
from kde.prefixes import match_scores
from kde.records import read_records
from kde.traces import ScoredTrace


class RecordedScorer:
    """The scores of labelled traces and of all their prefixes.

    Args:
        file: scores as `trim score --labels` writes them.
        labels: the traces that were scored.

    Raises:
        InputError: a file holds something else, or scores belong to no trace.
    """

    def __init__(self, file: Path, labels: Path) -> None:
        self._file = file
        self._scores = {
            (matched.trace.problem, tuple(matched.trace.steps)[:end]): matched.scores[:end]
            for matched in match_scores(read_labels(str(labels)), read_records(file, ScoredTrace), source=str(file))
            for end in range(1, len(matched.scores) + 1)
        }

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        """The scores that were recorded for exactly these steps.

        Raises:
            EngineError: none were.
        """
        problem = question[-1].content
        found = self._scores.get((problem, tuple(steps)))
        if found is None:
            raise EngineError(
                f"{self._file}: no scores are recorded for step {len(steps)} {steps[-1][:60]!r} of the problem {problem[:60]!r}; "
                "record them with `trim score`"
            )
        return Scores(tuple(found))

    async def close(self) -> None:
        """Nothing."""
