from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from kde.prefixes import MatchedTrace, class_samples, every_prefix, partition
from kde.records import read_records
from kde.samples import StepClass
from kde.traces import LabelledTrace, ProblemText, exclude_problems, normalised_text


def _matched(steps: int, label: int, scored: int | None = None, problem: int = 0) -> MatchedTrace:
    trace = LabelledTrace(
        id=f"{steps}-{label}",
        generator="g",
        problem="p",
        steps=["x"] * steps,
        final_answer_correct=label == -1,
        label=label,
    )
    return MatchedTrace(trace, tuple(np.linspace(0.9, 0.1, scored or steps)), problem)


def test_a_long_trace_counts_no_more_than_a_short_one() -> None:
    samples = class_samples([_matched(20, 12, problem=4), _matched(3, 1, problem=7)])
    for step_class in StepClass:
        by_problem = Counter[int]()
        one = samples.by_class[step_class]
        for group, weight in zip(one.groups.tolist(), one.weights.tolist(), strict=True):
            by_problem[group] += weight
        assert by_problem == pytest.approx({4: 0.5, 7: 0.5})
    assert samples.counts == {"S0": 13, "S1": 8, "S2": 2}


def test_scores_that_stop_early_leave_later_classes_empty() -> None:
    assert class_samples([_matched(9, 4, scored=5)]).counts == {"S0": 4, "S1": 0, "S2": 1}


@pytest.mark.parametrize(("steps", "indices"), [(1, [0]), (3, [0, 1, 2]), (8, [1, 3, 5, 7]), (10, [2, 4, 7, 9])])
def test_the_partition_cuts_right_traces_at_four_boundaries(steps: int, indices: list[int]) -> None:
    assert [index for index, _ in partition(np.random.default_rng(0))(_matched(steps, -1))] == indices


def test_the_partition_takes_the_first_error_and_one_later_step_of_wrong_traces() -> None:
    scheme = partition(np.random.default_rng(0))
    taken = [tuple(index for index, _ in scheme(_matched(10, 4))) for _ in range(200)]
    assert {first for first, _ in taken} == {4}
    assert {later for _, later in taken} == {5, 6, 7, 8, 9}
    assert scheme(_matched(5, 4)) == [(4, 1.0)]


def test_problems_are_excluded_whatever_their_spacing_and_case() -> None:
    traces = [_matched(2, -1).trace.model_copy(update={"problem": text}) for text in ("Find  $x$.\n", "Find $y$.")]
    assert [trace.problem for trace in exclude_problems(traces, ["find $x$."])] == ["Find $y$."]
    assert normalised_text("ﬁnd\u00a0X ") == "find x"


def test_the_authors_counts_come_out_of_their_data(reference: Path) -> None:
    """ProcessBench `math` without MATH-500 gives exactly their S1 and S2; how they cut right traces they do not say exactly."""
    labels = read_records(reference / "processbench" / "math.json", LabelledTrace)
    evaluation = [row.text for row in read_records(reference / "bench" / "math500_test.jsonl", ProblemText)]
    kept = exclude_problems(labels, evaluation)
    assert len(kept) == 888
    matched = [MatchedTrace(trace, (0.5,) * len(trace.steps), n) for n, trace in enumerate(kept)]
    counts = class_samples(matched, partition(np.random.default_rng(0))).counts
    assert (counts["S1"], counts["S2"]) == (499, 528)
    assert class_samples(matched, every_prefix).counts["S2"] == 528
