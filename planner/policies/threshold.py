"""TRIM-Thr: regenerate where the newest step's score is low."""

from dataclasses import dataclass

from kde.errors import InputError
from planner.batch import CarryBatch, DecisionBatch, ProposalBatch
from planner.decision import Action, Carry, Decision, Proposal


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """Regenerate iff r_t < threshold (the paper's TRIM-Thr).

    Attributes:
        id: as it was asked for.
        threshold: in [0, 1].

    Raises:
        InputError: the threshold is outside [0, 1].
    """

    id: str
    threshold: float

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InputError(
                "policy thr", field="threshold", value=self.threshold, remedy="a number in [0, 1], for example thr:0.5"
            )

    @property
    def table_hash(self) -> str:
        """There is no table."""
        return ""

    @property
    def keeps_belief(self) -> bool:
        """It keeps none."""
        return False

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:  # noqa: ARG002
        """Compare the newest score with the threshold."""
        action = Action.REGENERATE if proposal.newest < self.threshold else Action.CONTINUE
        return Decision(action, self.id)

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:  # noqa: ARG002
        """Compare every newest score with the threshold."""
        return DecisionBatch(proposals.newest < self.threshold)
