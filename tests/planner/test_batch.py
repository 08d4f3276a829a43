"""Columns decide exactly what single proposals decide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kde.errors import InputError
from planner.decision import Action, Carry, Proposal
from planner.policies.catalogue import Catalogue
from planner.policies.columns import ProposalColumns, decide_columns, lacks

POLICIES = [
    *("pomdp:0.002", "pomdp:0.0005", "pomdp-memoryless:0.006", "thr:0.4", "weak", "strong", "rsd", "specreason:7"),
    *("one-step-thr:0.4", "random:0.3", "random:0.6:9", "budget:0", "budget:150", "budget:400", "agg:0.002"),
    "pomdp-online:0.002",
]
unit = st.floats(0, 1)
edges = st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5, 1 / 3, 0.975, 1.0])


@st.composite
def beliefs(draw: st.DrawFn) -> tuple[float, float, float]:
    low, high = sorted((draw(unit | edges), draw(unit | edges)))
    return (low, high - low, 1 - high)


@st.composite
def rows(draw: st.DrawFn) -> tuple[Proposal, Carry | None]:
    step = draw(st.integers(1, 9))
    earlier = 1.0 if step == 1 else draw(unit | edges)
    proposal = Proposal(step, earlier, draw(unit | edges), draw(st.integers(1, 2**32 - 1)), draw(st.booleans()))
    spent = draw(st.floats(0, 500))
    return proposal, None if step == 1 else Carry(draw(beliefs()), draw(st.sampled_from(list(Action))), spent)


@given(st.lists(rows(), min_size=1, max_size=20), st.sampled_from(POLICIES))
def test_columns_decide_bit_for_bit_like_rows(
    catalogue: Catalogue, shown: list[tuple[Proposal, Carry | None]], policy: str
) -> None:
    columns = ProposalColumns.gather(shown)
    batch = catalogue.get(policy)
    assert columns.acceptable().all()
    assert not lacks(batch, columns).any()
    decisions = decide_columns(batch, columns)
    for index, (proposal, carry) in enumerate(shown):
        expected = catalogue.get(policy).decide(proposal, carry)
        assert decisions.row(index, policy=policy, table_hash=batch.table_hash) == expected


any_number = st.sampled_from([0.0, 0.5, 1.0, 1.5, -0.1, float("nan"), float("inf"), 1 / 3])


@given(
    st.integers(0, 3),
    any_number,
    any_number,
    st.integers(0, 2),
    st.integers(0, 3),
    st.tuples(any_number, any_number, any_number),
    any_number,
    st.sampled_from([*POLICIES, "oracle:0.002"]),
)
def test_the_masks_refuse_exactly_the_rows_that_single_proposals_refuse(
    catalogue: Catalogue,
    step: int,
    earlier: float,
    newest: float,
    tokens: int,
    action: int,
    belief: tuple[float, float, float],
    spent: float,
    policy: str,
) -> None:
    columns = ProposalColumns(
        np.array([step], np.uint32),
        np.array([earlier]),
        np.array([newest]),
        np.array([tokens], np.uint32),
        np.array([False]),
        np.array([action], np.uint8),
        np.array([belief]),
        np.array([spent]),
    )
    accepted = bool(columns.acceptable()[0] and not lacks(catalogue.get(policy), columns)[0])
    if accepted:
        catalogue.get(policy).decide(*columns.row(0))
    else:
        with pytest.raises(InputError):
            catalogue.get(policy).decide(*columns.row(0))
