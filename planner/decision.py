"""The words of a decision, and the one interface through which anybody reaches one.

A worker shows a `Proposal` and, from the second step on, the `Carry` of the decision before; it gets a `Decision`. Nothing else is
remembered anywhere: any replica can answer, and a local policy answers like a remote one.
"""

from dataclasses import dataclass
from enum import Enum, Flag, auto
from math import inf
from typing import TYPE_CHECKING, Protocol

from kde.errors import InputError

if TYPE_CHECKING:
    from kde.samples import StepClass

Belief = tuple[float, float, float]
"""Probabilities of (CORRECT, DERAILED, RECOVERABLE)."""

_SUM_TOLERANCE = 1e-6
_LARGEST_COUNT = 2**32 - 1


class UnknownPolicyError(InputError):
    """No policy has this id, or the table was not built for its lambda."""


class Action(Enum):
    """What to do with M_w's proposal."""

    CONTINUE = "continue"
    """Accept it."""
    REGENERATE = "regenerate"
    """Throw it away and let M_s write this one step."""


class Need(Flag):
    """What a policy must know besides the proposal: of the decision before, from the second step on, or of the truth."""

    NOTHING = 0
    ACTION = auto()
    """What was done."""
    BELIEF = auto()
    """The belief at it."""
    SPENT = auto()
    """Strong tokens of the trace so far."""
    HISTORY = auto()
    """All proposals of the trace so far and what was done with them; no wire carries it."""
    TRUTH = auto()
    """The true class, at every step: there is one in simulation and in the lab only."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is seen of a proposed step (DESIGN section 2).

    Attributes:
        step: t, 1-based.
        earlier: m_t, least PRM score of the earlier steps; 1 at the first step.
        newest: r_t, PRM score of the proposal.
        tokens: c_t, tokens of the proposal.
        final: f_t, whether it ends the answer.
        truth: class of the trace, where it is known (in simulation, in the lab); only the oracle looks at it, and no wire carries it.

    Raises:
        InputError: a value is out of range.
    """

    step: int
    earlier: float
    newest: float
    tokens: int
    final: bool
    truth: "StepClass | None" = None

    def __post_init__(self) -> None:
        if (
            1 <= self.step <= _LARGEST_COUNT
            and 1 <= self.tokens <= _LARGEST_COUNT
            and 0 <= self.earlier <= 1
            and 0 <= self.newest <= 1
            and (self.step > 1 or self.earlier == 1)
        ):
            return  # the hot path; what follows finds the words
        for name, count in (("step", self.step), ("token_count", self.tokens)):
            if not 1 <= count <= _LARGEST_COUNT:
                raise InputError(
                    "proposal", field=name, value=count, remedy="a count from 1 to 2^32 - 1, as the wire has it"
                )
        for name, score in (("m", self.earlier), ("r", self.newest)):
            if not 0 <= score <= 1:
                raise InputError("proposal", field=name, value=score, remedy="scores are numbers in [0, 1]")
        if self.step == 1 and self.earlier != 1:
            raise InputError("proposal", field="m", value=self.earlier, remedy="no step is earlier than the first: 1")

    @classmethod
    def from_scores(cls, scores: tuple[float, ...], *, tokens: int, final: bool) -> "Proposal":
        """The proposal whose partial trace the PRM scored r_1..r_t.

        Raises:
            InputError: there are no scores, or one is out of range.
        """
        if not scores:
            raise InputError(
                "proposal", field="scores", value=scores, remedy="give one score a step, the proposal's last"
            )
        for index, score in enumerate(scores):
            if not 0 <= score <= 1:
                raise InputError(
                    "proposal", field=f"scores[{index}]", value=score, remedy="scores are numbers in [0, 1]"
                )
        return cls(len(scores), min(scores[:-1], default=1.0), scores[-1], tokens, final)


@dataclass(frozen=True, slots=True)
class Passed:
    """A proposal that has been decided.

    Attributes:
        earlier: the least score before it, then.
        newest: its score, when it was the newest.
        tokens: its token count.
        action: what was done.
    """

    earlier: float
    newest: float
    tokens: int
    action: Action


@dataclass(frozen=True, slots=True)
class Carry:
    """What a worker carries from one decision to the next.

    Attributes:
        belief: belief at that decision, None for a policy that has none.
        action: what was done.
        spent: strong tokens of the trace so far; None for a policy that does not count. Whoever knows what M_s really wrote may put
            that in the place of the expectation that the decision handed on.
        history: every proposal so far; None for a policy that does not look back. It stays in the process: no wire carries it.

    Raises:
        InputError: the belief is not a distribution, or the tokens are no count.
    """

    belief: Belief | None
    action: Action
    spent: float | None = None
    history: tuple[Passed, ...] | None = None

    def __post_init__(self) -> None:
        if self.spent is not None and not 0 <= self.spent < inf:
            raise InputError("carry", field="spent_tokens", value=self.spent, remedy="a number of tokens, 0 or more")
        if self.belief is None:
            return
        b0, b1, b2 = self.belief
        if not (0 <= b0 <= 1 and 0 <= b1 <= 1 and 0 <= b2 <= 1 and abs(b0 + b1 + b2 - 1) <= _SUM_TOLERANCE):
            raise InputError("carry", field="belief", value=self.belief, remedy="three probabilities that sum to 1")


@dataclass(frozen=True, slots=True)
class Decision:
    """A policy's answer.

    Attributes:
        action: what to do.
        policy: id of the policy that decided.
        belief: belief after this observation; None for a policy that keeps none.
        break_even_tokens: n*, regenerate iff the step is expected to cost fewer strong tokens; None for a policy without prices.
        expected_strong_tokens: E[strong tokens | c_t]; None likewise.
        advantage: value of regenerating minus value of continuing, in units of reward; None likewise.
        table_hash: content hash of the artefact that decided; empty for a policy without one.
        spent: strong tokens of the trace so far, with what this decision is expected to cost; None for a policy that does not count.
        history: every proposal so far, this one included; None for a policy that does not look back.
        fallback: no planner answered, and the client's declared fallback decided.
    """

    action: Action
    policy: str
    belief: Belief | None = None
    break_even_tokens: float | None = None
    expected_strong_tokens: float | None = None
    advantage: float | None = None
    table_hash: str = ""
    spent: float | None = None
    history: tuple[Passed, ...] | None = None
    fallback: bool = False

    @property
    def carry(self) -> Carry:
        """What the next decision needs of this one."""
        return Carry(self.belief, self.action, self.spent, self.history)


def demand(needs: Need, proposal: Proposal, carry: Carry | None) -> None:
    """Refuse a proposal that does not carry what a policy needs of the decision before, or a first step that carries anything.

    Raises:
        InputError: as said.
    """
    if proposal.step == 1:
        if carry is not None and needs:
            raise InputError("decision", field="carry", value=carry, remedy="nothing comes before step 1: leave it out")
        return
    if needs is Need.BELIEF and carry is not None and carry.belief is not None:
        return  # the hot path; what follows finds the words
    if Need.ACTION in needs and carry is None:
        remedy = f"step {proposal.step} needs what was done at step {proposal.step - 1}"
        raise InputError("decision", field="last_action", value=None, remedy=remedy)
    if Need.BELIEF in needs and (carry is None or carry.belief is None):
        remedy = f"step {proposal.step} needs the belief and action of step {proposal.step - 1}"
        raise InputError("decision", field="belief", value=None, remedy=remedy)
    if Need.HISTORY in needs and (carry is None or carry.history is None or len(carry.history) != proposal.step - 1):
        remedy = f"step {proposal.step} needs the {proposal.step - 1} proposals before it, which no planner is served: run it locally"
        raise InputError("decision", field="history", value=None, remedy=remedy)
    if Need.SPENT in needs and (carry is None or carry.spent is None):
        remedy = f"step {proposal.step} needs the strong tokens of the trace so far"
        raise InputError("decision", field="spent_tokens", value=None, remedy=remedy)


class Policy(Protocol):
    """A rule that decides one proposal at a time, without memory of its own."""

    @property
    def id(self) -> str:
        """Name that the wire and the records use, such as `thr:0.5`."""

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:
        """Decide.

        Args:
            proposal: what is seen.
            carry: what the previous decision left; None at the first step.

        Raises:
            InputError: the policy cannot decide on this input.
        """


class Planner(Protocol):
    """Anything that answers decisions of policies by id: the client of a server, or tables in this process."""

    async def decide(self, policy: str, proposal: Proposal, carry: Carry | None) -> Decision:
        """Decide under the named policy.

        Raises:
            TrimError: the policy is unknown or refuses the input, or no planner answered.
        """
