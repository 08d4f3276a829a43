"""`seq:LAMBDA`: TRIM-Seq behind the one `Policy` interface, in this process."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

import numpy as np
import torch

from kde.errors import InputError
from planner.batch import CarryBatch, DecisionBatch, ProposalBatch
from planner.decision import Action, Carry, Decision, Need, Passed, Proposal, demand
from planner.learn.sequence import SEQUENCE, SequenceArtefact
from planner.policies.features import Featurizer


@dataclass(frozen=True, slots=True)
class SequencePolicy:
    """Regenerate where the transformer's log odds are positive: its more probable action.

    Every decision hands the whole sequence on (`Decision.carry`), so one policy serves any number of traces.

    Attributes:
        artefact: the trained transformer.
    """

    artefact: SequenceArtefact

    @classmethod
    def load(cls, directory: Path) -> Self:
        """What `trim train seq` wrote.

        Raises:
            ArtefactError: it cannot be trusted.
        """
        return cls(SequenceArtefact.load(directory))

    @property
    def id(self) -> str:
        """`seq:LAMBDA`."""
        return f"seq:{self.artefact.lam!r}"

    @property
    def table_hash(self) -> str:
        """Content hash of the artefact."""
        return self.artefact.content_hash

    @property
    def needs(self) -> Need:
        """Every proposal so far."""
        return Need.HISTORY

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:
        """Read the sequence up to this proposal.

        Raises:
            InputError: the proposals before it are not carried, or there are more than the transformer has places for.
        """
        demand(self.needs, proposal, carry)
        most = self.artefact.pomdp.max_steps
        if proposal.step > most:
            raise InputError("policy seq", field="step", value=proposal.step, remedy=f"it was trained on {most} steps")
        before = () if carry is None or carry.history is None else carry.history
        with torch.no_grad():
            answers = self.artefact.network.latest(torch.from_numpy(self._features(before, proposal)))
        action = Action.REGENERATE if float(answers.log_odds[0]) > 0 else Action.CONTINUE
        history = (*before, Passed(proposal.earlier, proposal.newest, proposal.tokens, action))
        return Decision(action, self.id, table_hash=self.table_hash, history=history)

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:  # noqa: ARG002
        """Batches carry no sequences.

        Raises:
            InputError: always.
        """
        _refuse()

    def _features(
        self, before: tuple[Passed, ...], proposal: Proposal
    ) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        """[1, t, width]."""
        count = len(before) + 1
        batch = ProposalBatch(
            step=np.arange(1, count + 1),
            earlier=np.array([*(passed.earlier for passed in before), proposal.earlier]),
            newest=np.array([*(passed.newest for passed in before), proposal.newest]),
            tokens=np.array([*(passed.tokens for passed in before), proposal.tokens], np.float64),
            final=np.zeros(count, np.bool_),
        )
        written = np.array([False, *(passed.action is Action.REGENERATE for passed in before)])
        featurizer = Featurizer.of(self.artefact.pomdp, self.artefact.network.features)
        return featurizer(batch, np.zeros((count, 3)), written)[None].astype(np.float32)


def sequence_policies(folder: Path) -> dict[str, SequencePolicy]:
    """Every trained transformer in the directories of a folder, by policy id: policies of one's own for `Offer.load`.

    Raises:
        ArtefactError: one cannot be trusted.
        InputError: two have the same lambda.
    """
    found: dict[str, SequencePolicy] = {}
    for place in sorted(folder.glob(f"*/{SEQUENCE.name}.json")):
        policy = SequencePolicy.load(place.parent)
        if policy.id in found:
            remedy = f"{place.parent.name} answers for it too: keep one"
            raise InputError(folder, field="lambda of trained transformers", value=policy.artefact.lam, remedy=remedy)
        found[policy.id] = policy
    return found


def _refuse() -> NoReturn:
    remedy = "batches carry no sequences: ask for one decision at a time"
    raise InputError("policy seq", field="history", value=None, remedy=remedy)
