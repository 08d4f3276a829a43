"""From labelled traces and their scores to class samples: which prefixes are taken, and what each counts.

`every_prefix` takes all of them; within a class a trace's prefixes share one unit of weight, so that a long trace does not count more
than a short one. `partition` is the scheme of the paper's authors: of a right trace the prefixes that end at four boundaries, of a wrong
one the first error and one random later step, every sample counting alike.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kde.errors import InputError
from kde.samples import ClassSamples, Samples, StepClass
from kde.traces import LabelledTrace, ScoredTrace, normalised_text

_BOUNDARIES = 4


@dataclass(frozen=True, slots=True)
class MatchedTrace:
    """A labelled trace with the scores of its first steps.

    Attributes:
        problem: number of its problem; traces of one problem share it.
    """

    trace: LabelledTrace
    scores: tuple[float, ...]
    problem: int


Scheme = Callable[[MatchedTrace], Sequence[tuple[int, float]]]
"""Which prefixes are taken of a trace: 0-based index of the newest step, and the sample's weight."""


def match_scores(labels: Sequence[LabelledTrace], scores: Sequence[ScoredTrace], *, source: str) -> list[MatchedTrace]:
    """The labelled traces that have scores, with them, in the order of the labels.

    Raises:
        InputError: no labelled trace has scores, one has several, more of them than steps or those of another text, or scores belong to
            no trace.
    """
    by_id: dict[str, ScoredTrace] = {}
    for scored in scores:
        if scored.id in by_id:
            raise InputError(
                source, field="id", value=scored.id, remedy="it is scored twice: give one PRM's scores, once"
            )
        by_id[scored.id] = scored
    unknown = by_id.keys() - {trace.id for trace in labels}
    if unknown:
        raise InputError(source, field="id", value=min(unknown), remedy="these scores belong to no labelled trace")
    problems: dict[str, int] = {}
    matched = []
    for trace in labels:
        problem = problems.setdefault(normalised_text(trace.problem), len(problems))
        if trace.id in by_id:
            _check_match(trace, by_id[trace.id], source)
            matched.append(MatchedTrace(trace, tuple(by_id[trace.id].scores), problem))
    if not matched:
        raise InputError(source, field="scores", value=0, remedy="no labelled trace has scores: give theirs")
    return matched


def _check_match(trace: LabelledTrace, scored: ScoredTrace, source: str) -> None:
    place = f"scores of {trace.id}"
    if len(scored.scores) > len(trace.steps):
        remedy = f"it has {len(trace.steps)} steps: give scores from the first on, one a step"
        raise InputError(source, field=place, value=len(scored.scores), remedy=remedy)
    if scored.text_sha256 not in {None, trace.text_sha256}:
        remedy = "another text was scored: score again"
        raise InputError(source, field=place, value=scored.text_sha256, remedy=remedy)


def every_prefix(matched: MatchedTrace) -> Sequence[tuple[int, float]]:
    """All scored prefixes; those of one class share one unit of weight."""
    counts = Counter(matched.trace.class_at(index) for index in range(len(matched.scores)))
    return [(index, 1 / counts[matched.trace.class_at(index)]) for index in range(len(matched.scores))]


def partition(rng: np.random.Generator) -> Scheme:
    """The authors' scheme; `rng` draws the later step of a wrong trace."""

    def scheme(matched: MatchedTrace) -> Sequence[tuple[int, float]]:
        count, label = len(matched.trace.steps), matched.trace.label
        if label == -1:
            chosen = {-(-count * part // _BOUNDARIES) - 1 for part in range(1, _BOUNDARIES + 1)}
        else:
            chosen = {label, int(rng.integers(label + 1, count))} if label + 1 < count else {label}
        return [(index, 1.0) for index in sorted(chosen) if index < len(matched.scores)]

    return scheme


def class_samples(matched: Sequence[MatchedTrace], scheme: Scheme = every_prefix) -> ClassSamples:
    """Samples [m, r] of the prefixes that `scheme` takes, by class.

    A class that no prefix falls into is left empty, which a fit refuses.
    """
    features: list[list[tuple[float, float]]] = [[] for _ in StepClass]
    weights: list[list[float]] = [[] for _ in StepClass]
    groups: list[list[int]] = [[] for _ in StepClass]
    for one in matched:
        for index, weight in scheme(one):
            step_class = one.trace.class_at(index)
            features[step_class].append((min(one.scores[:index], default=1.0), one.scores[index]))
            weights[step_class].append(weight)
            groups[step_class].append(one.problem)
    s0, s1, s2 = (
        Samples.weighted(
            np.array(features[c], dtype=np.float64).reshape(-1, 2),
            np.array(weights[c], dtype=np.float64),
            np.array(groups[c], dtype=np.int64),
        )
        for c in StepClass
    )
    return ClassSamples((s0, s1, s2))
