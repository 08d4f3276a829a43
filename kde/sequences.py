"""Score sequences of whole traces as arrays, and belief filters run along them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kde.errors import InputError
from kde.filter import UNIFORM_PRIOR, BeliefFilter, FilterKind, posterior, predict
from kde.model import cell_of
from kde.prefixes import MatchedTrace
from kde.samples import Array, Groups
from kde.traces import AnsweredTrace

PADDING = -1


@dataclass(frozen=True, slots=True)
class ScoreSequences:
    """PRM scores of n traces, longest first, padded to the longest, T steps.

    Attributes:
        scores: float64 [n, T]; padding is 1.
        lengths: int64 [n], scored steps of each trace, descending.
        problems: int64 [n], number of its problem.
        classes: int64 [n, T], `StepClass` of every step, `PADDING` after the last; None where steps are not labelled.
        answers: bool [n], whether the final answer is right; None where nobody knows.
    """

    scores: Array
    lengths: Groups
    problems: Groups
    classes: Groups | None = None
    answers: NDArray[np.bool_] | None = None

    @property
    def earlier(self) -> Array:
        """m_t of every step, [n, T]."""
        least = np.minimum.accumulate(self.scores, axis=1)
        return np.concatenate([np.ones((len(least), 1)), least[:, :-1]], axis=1)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which entries are steps, [n, T]."""
        return np.arange(self.scores.shape[1]) < self.lengths[:, None]

    def select(self, chosen: NDArray[np.bool_]) -> "ScoreSequences":
        """Those where `chosen` [n] is true."""
        return ScoreSequences(
            self.scores[chosen],
            self.lengths[chosen],
            self.problems[chosen],
            None if self.classes is None else self.classes[chosen],
            None if self.answers is None else self.answers[chosen],
        )


def answered_sequences(traces: Sequence[AnsweredTrace], *, source: str) -> ScoreSequences:
    """Sequences of traces that are known by their final answer.

    Raises:
        InputError: some of the answers are known and some are not.
    """
    known = [trace.final_answer_correct for trace in traces if trace.final_answer_correct is not None]
    if known and len(known) < len(traces):
        remedy = "give it for every trace or for none"
        raise InputError(source, field="final_answer_correct", value=f"{len(known)} of {len(traces)}", remedy=remedy)
    ordered = sorted(traces, key=lambda trace: -len(trace.scores))
    numbers = {problem: number for number, problem in enumerate(dict.fromkeys(trace.problem_id for trace in traces))}
    return ScoreSequences(
        _padded([trace.scores for trace in ordered], 1.0),
        np.array([len(trace.scores) for trace in ordered]),
        np.array([numbers[trace.problem_id] for trace in ordered]),
        answers=np.array([trace.final_answer_correct for trace in ordered], dtype=bool) if known else None,
    )


def labelled_sequences(matched: Sequence[MatchedTrace]) -> ScoreSequences:
    """Sequences of labelled traces, as far as they are scored."""
    ordered = sorted(matched, key=lambda one: -len(one.scores))
    classes = [[float(one.trace.class_at(index)) for index in range(len(one.scores))] for one in ordered]
    return ScoreSequences(
        _padded([one.scores for one in ordered], 1.0),
        np.array([len(one.scores) for one in ordered]),
        np.array([one.problem for one in ordered]),
        classes=_padded(classes, PADDING).astype(np.int64),
    )


def run_filter(belief_filter: BeliefFilter, cells: Array, sequences: ScoreSequences, *, p_weak: float) -> Array:
    """Belief after every step when every step is accepted, [n, T, 3]; not a number in the padding.

    Args:
        belief_filter: how beliefs follow from scores.
        cells: [3, n_m, n_r], the observation model's.
        sequences: what the PRM said.
        p_weak: p_w of the generator that wrote the traces.
    """
    observed = belief_filter.observation_cells(cells)
    i, j = cell_of(observed, sequences.earlier, sequences.scores)
    count, steps = sequences.scores.shape
    beliefs = np.full((count, steps, 3), np.nan)
    prefix_correct = np.ones(count)
    for step in range(steps):
        active = int(np.searchsorted(-sequences.lengths, -step))  # the traces that are longer than `step` stand first
        likelihood = observed[:, i[:active, step], j[:active, step]].T
        if belief_filter.kind is FilterKind.MEMORYLESS:
            prior = np.broadcast_to(UNIFORM_PRIOR, likelihood.shape)
        else:
            prior = predict(prefix_correct[:active], p_weak)
        beliefs[:active, step] = posterior(prior, likelihood, cells=observed[0].size)
        prefix_correct = beliefs[:active, step, 0]
    return beliefs


def last_beliefs(beliefs: Array, sequences: ScoreSequences) -> Array:
    """Belief at the last step of every trace, [n, 3]."""
    return np.asarray(beliefs[np.arange(len(beliefs)), sequences.lengths - 1], dtype=np.float64)


def _padded(rows: Sequence[Sequence[float]], padding: float) -> Array:
    padded = np.full((len(rows), max(map(len, rows))), padding)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return padded
