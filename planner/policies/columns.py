"""Many proposals as columns: what a batch shows of them, and what it is answered."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from kde.errors import InputError
from kde.samples import Array
from planner.batch import BatchPolicy, CarryBatch, ProposalBatch
from planner.decision import Action, Belief, Carry, Decision, Need, Proposal, demand

NO_ACTION, CONTINUE, REGENERATE = 0, 1, 2
"""Codes of the action columns; the wire has the same."""

_CODES = {Action.CONTINUE: CONTINUE, Action.REGENERATE: REGENERATE}
_ACTIONS = {code: action for action, code in _CODES.items()}
_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class ProposalColumns:
    """n proposals and what the decisions before them left, row for row the words of `Proposal` and `Carry`.

    Attributes:
        steps: [n] t.
        earlier, newest: [n] m_t and r_t.
        tokens: [n] c_t.
        finals: [n] f_t.
        last_actions: [n] action codes, NO_ACTION where nothing came before.
        beliefs: [n, 3], three zeros where there is none.
        spent: [n] strong tokens of the trace so far, NaN where nobody counts.
    """

    steps: NDArray[np.uint32]
    earlier: Array
    newest: Array
    tokens: NDArray[np.uint32]
    finals: NDArray[np.bool_]
    last_actions: NDArray[np.integer]
    beliefs: Array
    spent: Array

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def gather(cls, rows: Sequence[tuple[Proposal, Carry | None]]) -> "ProposalColumns":
        """Columns of these rows."""
        proposals = [proposal for proposal, _ in rows]
        carries = [carry for _, carry in rows]
        nothing: Belief = (0.0, 0.0, 0.0)
        beliefs = [nothing if carry is None or carry.belief is None else carry.belief for carry in carries]
        return cls(
            np.array([proposal.step for proposal in proposals], np.uint32),
            np.array([proposal.earlier for proposal in proposals], np.float64),
            np.array([proposal.newest for proposal in proposals], np.float64),
            np.array([proposal.tokens for proposal in proposals], np.uint32),
            np.array([proposal.final for proposal in proposals], np.bool_),
            np.array([NO_ACTION if carry is None else _CODES[carry.action] for carry in carries], np.uint8),
            np.array(beliefs, np.float64).reshape(-1, 3),
            np.array([np.nan if carry is None or carry.spent is None else carry.spent for carry in carries]),
        )

    def take(self, rows: NDArray[np.intp]) -> "ProposalColumns":
        """These rows only."""
        return ProposalColumns(*(getattr(self, column.name)[rows] for column in fields(self)))

    def row(self, index: int) -> tuple[Proposal, Carry | None]:
        """One row in words.

        Raises:
            InputError: a value is out of range.
        """
        proposal = Proposal(
            int(self.steps[index]),
            float(self.earlier[index]),
            float(self.newest[index]),
            int(self.tokens[index]),
            bool(self.finals[index]),
        )
        code, (b0, b1, b2) = int(self.last_actions[index]), self.beliefs[index].tolist()
        belief = None if b0 == b1 == b2 == 0 else (b0, b1, b2)
        spent = float(self.spent[index])
        if code == NO_ACTION and belief is None and np.isnan(spent):
            return proposal, None
        action = read_action("proposal", "last_action", code)
        return proposal, Carry(belief, action, None if np.isnan(spent) else spent)

    def acceptable(self) -> NDArray[np.bool_]:
        """[n] whether `row` accepts the row."""
        plain = (self.steps >= 1) & (self.tokens >= 1)
        plain &= (self.earlier >= 0) & (self.earlier <= 1) & (self.newest >= 0) & (self.newest <= 1)
        plain &= (self.steps > 1) | (self.earlier == 1)
        b0, b1, b2 = self.beliefs.T
        known = (self.last_actions == CONTINUE) | (self.last_actions == REGENERATE)
        absent = (b0 == 0) & (b1 == 0) & (b2 == 0)
        whole = ((self.beliefs >= 0) & (self.beliefs <= 1)).all(axis=1) & (abs(b0 + b1 + b2 - 1) <= _SUM_TOLERANCE)
        uncounted = np.isnan(self.spent)
        plain &= uncounted | (known & (self.spent >= 0) & (self.spent < np.inf))
        accepted = plain & np.where(absent, known | (self.last_actions == NO_ACTION), known & whole)
        return np.asarray(accepted, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class DecisionColumns:
    """The decisions on n proposals, row for row the words of `Decision`.

    Attributes:
        actions: [n] action codes.
        beliefs: [n, 3]; three zeros where a policy keeps none.
        break_even_tokens, expected_strong_tokens, advantages: [n]; NaN for a policy without prices.
        spent: [n]; NaN for a policy that does not count.
    """

    actions: NDArray[np.uint8]
    beliefs: Array
    break_even_tokens: Array
    expected_strong_tokens: Array
    advantages: Array
    spent: Array

    @classmethod
    def unanswered(cls, count: int) -> "DecisionColumns":
        """`count` rows without an answer."""
        numbers = (np.full(count, np.nan) for _ in range(4))
        return cls(np.zeros(count, np.uint8), np.zeros((count, 3)), *numbers)

    def put(self, rows: NDArray[np.intp], decisions: "DecisionColumns") -> None:
        """Fill these rows."""
        for column in fields(self):
            getattr(self, column.name)[rows] = getattr(decisions, column.name)

    def row(self, index: int, *, policy: str, table_hash: str) -> Decision:
        """One decision in words.

        Raises:
            InputError: the row names no action.
        """
        b0, b1, b2 = self.beliefs[index].tolist()
        break_even, expected, advantage, spent = (
            None if np.isnan(column[index]) else float(column[index])
            for column in (self.break_even_tokens, self.expected_strong_tokens, self.advantages, self.spent)
        )
        return Decision(
            action=read_action("response", "action", int(self.actions[index])),
            policy=policy,
            belief=None if b0 == b1 == b2 == 0 else (b0, b1, b2),
            break_even_tokens=break_even,
            expected_strong_tokens=expected,
            advantage=advantage,
            table_hash=table_hash,
            spent=spent,
        )


def decide_columns(policy: BatchPolicy, rows: ProposalColumns) -> DecisionColumns:
    """The policy's decisions on rows that `ProposalColumns.acceptable` and not `lacks`."""
    steps = rows.steps.astype(np.int64)
    shown = ProposalBatch(steps, rows.earlier, rows.newest, rows.tokens.astype(np.float64), rows.finals)
    decided = policy.decide_many(shown, CarryBatch(rows.beliefs, rows.last_actions == REGENERATE, rows.spent))
    answers = DecisionColumns.unanswered(len(rows))
    answers.actions[:] = np.where(decided.regenerate, REGENERATE, CONTINUE)
    beliefs = answers.beliefs if decided.belief is None else decided.belief
    break_even, expected, advantage, spent = (
        unknown if known is None else known
        for known, unknown in (
            (decided.break_even_tokens, answers.break_even_tokens),
            (decided.expected_strong_tokens, answers.expected_strong_tokens),
            (decided.advantage, answers.advantages),
            (decided.spent, answers.spent),
        )
    )
    return DecisionColumns(answers.actions, beliefs, break_even, expected, advantage, spent)


def decide_one(policy: BatchPolicy, proposal: Proposal, carry: Carry | None) -> Decision:
    """A policy's decision on one proposal, as a batch of one: for policies whose single decisions need not be faster than that.

    Raises:
        InputError: the proposal does not carry what the policy needs.
    """
    demand(policy.needs, proposal, carry)
    columns = ProposalColumns.gather([(proposal, carry)])
    return decide_columns(policy, columns).row(0, policy=policy.id, table_hash=policy.table_hash)


def lacks(policy: BatchPolicy, rows: ProposalColumns) -> NDArray[np.bool_]:
    """[n] rows that a policy cannot decide: later steps that do not carry what it needs, and first ones that carry anything."""
    needs = policy.needs
    if needs is Need.NOTHING:
        return np.zeros(len(rows), np.bool_)
    if Need.TRUTH in needs:
        return np.ones(len(rows), np.bool_)
    absent = rows.last_actions == NO_ACTION
    if Need.BELIEF in needs:
        absent = absent | (rows.beliefs == 0).all(axis=1)
    if Need.SPENT in needs:
        absent = absent | np.isnan(rows.spent)
    return np.asarray(np.where(rows.steps == 1, rows.last_actions != NO_ACTION, absent), dtype=np.bool_)


def read_action(what: str, field: str, code: int) -> Action:
    """The action of a code.

    Raises:
        InputError: there is none.
    """
    if code not in _ACTIONS:
        raise InputError(what, field=field, value=code, remedy="ACTION_CONTINUE or ACTION_REGENERATE")
    return _ACTIONS[code]
