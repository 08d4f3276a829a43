"""Many decisions at once: the arrays in which a policy is shown independent proposals and answers them.

Entry i of every array belongs to proposal i. The arrays are trusted: whoever makes them has checked the values
(`planner.decision.Proposal` says what holds).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kde.samples import Array
from planner.decision import Need, Policy

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ProposalBatch:
    """What is seen of n proposals (DESIGN section 2), all [n].

    Attributes:
        step: t, 1-based.
        earlier: m_t, least PRM score of the earlier steps; 1 at the first step.
        newest: r_t, PRM score of the proposal.
        tokens: c_t, tokens of the proposal.
        final: f_t, whether it ends the answer.
        classes: true classes (`kde.samples.StepClass`), where they are known: in simulation; only the oracle looks at them.
    """

    step: Counts
    earlier: Array
    newest: Array
    tokens: Counts | Array
    final: Flags
    classes: Counts | None = None


@dataclass(frozen=True, slots=True)
class CarryBatch:
    """What the previous decisions left; rows of proposals at step 1 are not read.

    Attributes:
        belief: [n, 3].
        regenerated: [n] whether M_s wrote the step before.
        spent: [n] strong tokens of the trace so far.
    """

    belief: Array
    regenerated: Flags
    spent: Array


@dataclass(frozen=True, slots=True)
class DecisionBatch:
    """A policy's answers.

    Attributes:
        regenerate: [n] what to do.
        belief: [n, 3] after these observations; None for a policy that keeps none.
        break_even_tokens: [n] n*; None for a policy without prices.
        expected_strong_tokens: [n] E[strong tokens | c_t]; None likewise.
        advantage: [n] value of regenerating minus value of continuing, in units of reward; None likewise.
        spent: [n] strong tokens of the trace so far, with what this decision is expected to cost; None for a policy that does not count.
    """

    regenerate: Flags
    belief: Array | None = None
    break_even_tokens: Array | None = None
    expected_strong_tokens: Array | None = None
    advantage: Array | None = None
    spent: Array | None = None


class BatchPolicy(Protocol):
    """A policy that decides many proposals at once, exactly as it would decide each of them."""

    @property
    def id(self) -> str:
        """Name of the policy."""

    @property
    def table_hash(self) -> str:
        """Content hash of the artefact that decides; empty for a policy without one."""

    @property
    def needs(self) -> Need:
        """What it must know besides the proposals."""

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:
        """Decide; `carries` may be absent where every proposal is a first step, or where the policy needs nothing of them."""


class CataloguePolicy(Policy, BatchPolicy, Protocol):
    """A policy that decides one proposal or many."""
