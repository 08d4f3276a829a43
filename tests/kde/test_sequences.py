import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kde.errors import InputError
from kde.filter import BAYES, MEMORYLESS, BeliefFilter, Features, FilterKind
from kde.prefixes import match_scores
from kde.samples import Array
from kde.sequences import PADDING, answered_sequences, labelled_sequences, last_beliefs, run_filter
from kde.traces import AnsweredTrace, LabelledTrace, ScoredTrace
from tests.conftest import synthetic_cells

CELLS = synthetic_cells(10, 10)
scores = st.lists(st.floats(0, 1), min_size=1, max_size=6)


def _answered(rows: list[list[float]], answers: list[bool | None] | None = None) -> list[AnsweredTrace]:
    known = answers or [True] * len(rows)
    return [
        AnsweredTrace(problem_id=str(n), scores=row, final_answer_correct=answer)
        for n, (row, answer) in enumerate(zip(rows, known, strict=True))
    ]


def walked(belief_filter: BeliefFilter, row: list[float], p_weak: float) -> list[Array]:
    """Beliefs along one trace, one number at a time."""
    observed = belief_filter.observation_cells(CELLS)
    beliefs, least, q = [], 1.0, 1.0
    for score in row:
        i, j = (min(int(x * 10), 9) for x in (least, score))
        prior = (
            [q * p_weak, 1 - q, q * (1 - p_weak)] if belief_filter.kind is not FilterKind.MEMORYLESS else [1 / 3] * 3
        )
        weights = [prior[c] * max(observed[c, i, j], 1e-4 / 100) for c in range(3)]
        belief = np.array(weights) / sum(weights)
        beliefs.append(belief)
        least, q = min(least, score), float(belief[0])
    return beliefs


@given(
    st.lists(scores, min_size=1, max_size=8),
    st.sampled_from(
        [BAYES, MEMORYLESS, BeliefFilter(kind=FilterKind.TEMPERED, features=Features.NEWEST, exponent=0.5)]
    ),
    st.floats(0.01, 0.99),
)
def test_filters_run_along_every_trace_at_once(
    rows: list[list[float]], belief_filter: BeliefFilter, p_weak: float
) -> None:
    sequences = answered_sequences(_answered(rows), source="s")
    beliefs = run_filter(belief_filter, CELLS, sequences, p_weak=p_weak)
    assert np.isnan(beliefs).any(axis=2).sum() == (~sequences.present).sum()
    assert beliefs[sequences.present].sum(axis=1) == pytest.approx(1)
    ordered = sorted(rows, key=lambda row: -len(row))
    for row, found in zip(ordered, beliefs, strict=True):
        assert found[: len(row)] == pytest.approx(np.array(walked(belief_filter, row, p_weak)))
    last = last_beliefs(beliefs, sequences)
    assert last == pytest.approx(np.array([walked(belief_filter, row, p_weak)[-1] for row in ordered]))


def test_labelled_sequences_know_their_classes() -> None:
    trace = LabelledTrace(
        id="a", generator="g", problem="p", steps=["1", "2", "3", "4"], final_answer_correct=False, label=1
    )
    other = trace.model_copy(update={"id": "b", "label": -1, "problem": "P "})
    matched = match_scores(
        [trace, other],
        [ScoredTrace(id="a", prm="x", scores=[0.9, 0.4, 0.3]), ScoredTrace(id="b", prm="x", scores=[0.8])],
        source="s",
    )
    sequences = labelled_sequences(matched)
    assert sequences.classes is not None
    assert sequences.classes.tolist() == [[0, 2, 1], [0, PADDING, PADDING]]
    assert sequences.earlier.tolist() == [[1.0, 0.9, 0.4], [1.0, 0.8, 0.8]]
    assert sequences.problems.tolist() == [0, 0]  # one problem but for case and spaces


def test_answers_are_known_for_all_traces_or_for_none() -> None:
    rows = [[0.5], [0.6]]
    assert answered_sequences(_answered(rows, [None, None]), source="s").answers is None
    with pytest.raises(InputError, match="final_answer_correct is '1 of 2'"):
        answered_sequences(_answered(rows, [True, None]), source="s")
