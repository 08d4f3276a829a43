"""Offline evaluation on recorded traces of M_w alone, as far as it is valid: the first escalation.

Until a policy escalates, it sees just what is on record: M_w's own steps and their scores. The step at which it first does so is therefore
known exactly. What comes after it is not: M_w would have gone on from another prefix, and nobody wrote down how.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from kde.errors import InputError
from kde.prefixes import MatchedTrace
from kde.quality import Estimate, Resamples, as_document
from kde.samples import StepClass
from kde.traces import AnsweredTrace
from planner.batch import CataloguePolicy
from planner.decision import Action, Carry, Proposal
from planner.policies.fixed import STRONG, WEAK
from planner.policies.threshold import OneStepThresholdPolicy, ThresholdPolicy

_BEYOND = "after the first escalation M_w goes on from another prefix, and the rest of a recorded trace is not what would have happened"


class Measure(StrEnum):
    """What may be asked of recorded traces."""

    FIRST_ESCALATION = "first-escalation"
    """How many traces are escalated, first at which step, and what was wrong there."""
    ACCURACY = "accuracy"
    STRONG_TOKENS = "strong-tokens"
    LATER_STEPS = "later-steps"


REFUSED: Mapping[Measure, str] = {
    Measure.ACCURACY: f"{_BEYOND}: neither is its answer",
    Measure.STRONG_TOKENS: f"{_BEYOND}: neither what M_s writes nor a later escalation is on record",
    Measure.LATER_STEPS: f"{_BEYOND}: neither are its scores, and no belief can be formed from them",
}
"""Why the others cannot be answered."""


@dataclass(frozen=True, slots=True)
class RecordedTrace:
    """A trace that M_w wrote alone.

    Attributes:
        name: its id.
        problem: number of its problem.
        scores: r_1..r_n, as far as it is scored.
        complete: whether the last scored step is its last.
        tokens: c_1..c_n; None where nobody counted.
        classes: of the trace at every scored step; None where they are not labelled.
        right: whether its final answer is right; None where nobody knows.
    """

    name: str
    problem: int
    scores: tuple[float, ...]
    complete: bool
    tokens: tuple[int, ...] | None = None
    classes: tuple[StepClass, ...] | None = None
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class Escalations:
    """Where a policy first escalates.

    Attributes:
        policy: its id.
        traces: how many were replayed.
        escalated: share of them that it escalates at all.
        by_step: how many by the step at which it first does, 1-based.
        by_class: of the first escalations, the share by class of the trace there: `S2` is the first error, caught; `S0` nothing was wrong
            yet; `S1` it is too late. None without labels, and where nothing is escalated.
        of_right, of_wrong: share escalated among traces with a right and with a wrong final answer; None where there are none.
    """

    policy: str
    traces: int
    escalated: Estimate
    by_step: Mapping[int, int]
    by_class: Mapping[str, Estimate] | None
    of_right: Estimate | None
    of_wrong: Estimate | None

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        found: dict[str, Any] = as_document(self)
        return found | {"by_step": {str(step): count for step, count in self.by_step.items()}}


def labelled_traces(matched: Sequence[MatchedTrace]) -> list[RecordedTrace]:
    """Traces whose first error is known."""
    return [
        RecordedTrace(
            name=one.trace.id,
            problem=one.problem,
            scores=one.scores,
            complete=len(one.scores) == one.trace.length,
            tokens=None if one.trace.tokens is None else tuple(one.trace.tokens[: len(one.scores)]),
            classes=tuple(one.trace.class_at(index) for index in range(len(one.scores))),
            right=one.trace.final_answer_correct,
        )
        for one in matched
    ]


def answered_traces(traces: Sequence[AnsweredTrace]) -> list[RecordedTrace]:
    """Traces that are known by their final answer alone, if that."""
    numbers = {problem: number for number, problem in enumerate(dict.fromkeys(trace.problem_id for trace in traces))}
    return [
        RecordedTrace(
            name=f"{trace.problem_id}#{trace.candidate}",
            problem=numbers[trace.problem_id],
            scores=tuple(trace.scores),
            complete=True,
            tokens=None if trace.tokens is None else tuple(trace.tokens),
            right=trace.final_answer_correct,
        )
        for trace in traces
    ]


def replay_traces(
    traces: Sequence[RecordedTrace], policy: CataloguePolicy, *, measure: Measure = Measure.FIRST_ESCALATION
) -> Escalations:
    """Where a policy first escalates, with 95 % bootstrap intervals over problems.

    Args:
        traces: of M_w alone.
        policy: decides.
        measure: what is asked.

    Raises:
        InputError: recorded traces cannot answer that, or lack what the policy goes by: token counts, or the true classes.
    """
    if measure in REFUSED:
        remedy = f"{REFUSED[measure]}; `trim route` or `trim evaluate` finds out"
        raise InputError("replay traces", field="--measure", value=measure.value, remedy=remedy)
    places = [first_escalation(trace, policy) for trace in traces]
    escalated = np.array([place is not None for place in places])
    resamples = Resamples(np.array([trace.problem for trace in traces]), np.random.default_rng(0))

    def share(right: bool) -> Estimate | None:
        among = np.array([trace.right is right for trace in traces])
        return resamples.mean(escalated.astype(np.float64), among) if among.any() else None

    return Escalations(
        policy=policy.id,
        traces=len(traces),
        escalated=resamples.mean(escalated.astype(np.float64)),
        by_step=dict(sorted(Counter(place + 1 for place in places if place is not None).items())),
        by_class=_by_class(traces, places, resamples),
        of_right=share(right=True),
        of_wrong=share(right=False),
    )


def first_escalation(trace: RecordedTrace, policy: CataloguePolicy) -> int | None:
    """0-based index of the first step that the policy regenerates; None where it accepts all that is scored.

    Raises:
        InputError: the trace lacks what the policy goes by.
    """
    if trace.tokens is None and not _is_blind_to_tokens(policy):
        remedy = f"{policy.id} goes by token counts, and nobody counted: only thresholds can be replayed"
        raise InputError("replay traces", field=f"tokens of {trace.name}", value=None, remedy=remedy)
    carry: Carry | None = None
    for index in range(len(trace.scores)):
        proposal = Proposal(
            step=index + 1,
            earlier=min(trace.scores[:index], default=1.0),
            newest=trace.scores[index],
            tokens=1 if trace.tokens is None else trace.tokens[index],
            final=trace.complete and index == len(trace.scores) - 1,
            truth=None if trace.classes is None else trace.classes[index],
        )
        decision = policy.decide(proposal, carry)
        if decision.action is Action.REGENERATE:
            return index
        carry = decision.carry
    return None


def _is_blind_to_tokens(policy: CataloguePolicy) -> bool:
    return isinstance(policy, ThresholdPolicy | OneStepThresholdPolicy) or policy in (WEAK, STRONG)


def _by_class(
    traces: Sequence[RecordedTrace], places: Sequence[int | None], resamples: Resamples
) -> dict[str, Estimate] | None:
    found = [
        None if place is None or trace.classes is None else trace.classes[place]
        for trace, place in zip(traces, places, strict=True)
    ]
    known = np.array([one is not None for one in found])
    if not known.any():
        return None
    return {one.key: resamples.mean(np.array([float(seen is one) for seen in found]), known) for one in StepClass}
