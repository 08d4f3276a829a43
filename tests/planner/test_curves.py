import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kde.errors import InputError
from planner.curves import CostCurve

points = st.lists(st.tuples(st.floats(0.01, 1), st.floats(-0.2, 1.2)), min_size=1, max_size=8)


def test_cpt_is_linear_between_the_envelopes_points() -> None:
    curve = CostCurve.of([0.4, 0.1, 0.2], [0.9, 0.5, 0.4])  # the third costs more and gains less than the second
    assert curve.cpt(0.25) == pytest.approx(0.05)
    assert curve.cpt(0.7) == pytest.approx(0.3)  # flat up to the dominated point, then half of the way to the next
    assert curve.cpt(0.9) == pytest.approx(0.4)
    assert curve.cpt(0.95) == math.inf
    assert [curve.pgr_within(c) for c in (0, 0.15, 0.3, 1)] == pytest.approx([0, 0.5, 0.7, 0.9])


def test_a_budget_pays_what_costs_as_much_but_for_rounding() -> None:
    assert CostCurve.of([0.1 + 0.2], [0.5]).pgr_within(0.3) == pytest.approx(0.5)
    assert CostCurve.of([0.01, 0.010000000000000002], [0.0, 1.0]).pgr_within(0.01) == pytest.approx(1.0)


def test_mixing_the_two_models_at_random_gains_nothing() -> None:
    assert CostCurve.of([0.5, 1.0], [0.5, 1.0]).delta_ibc() == pytest.approx(0)
    assert CostCurve.of([0.25, 0.5], [0.5, 1.0]).delta_ibc() == pytest.approx(1)
    assert CostCurve.of([], []).delta_ibc() == pytest.approx(0)


@given(points)
def test_the_envelope_is_the_least_cost_of_each_gain(sweep: list[tuple[float, float]]) -> None:
    curve = CostCurve.of(*zip(*sweep, strict=True))
    assert (curve.c[0], curve.pgr[0]) == (0, 0)
    assert all(a <= b for a, b in zip(curve.c, curve.c[1:], strict=False))
    assert all(a <= b for a, b in zip(curve.pgr, curve.pgr[1:], strict=False))
    for c, gain in sweep:
        assert gain <= 0 or curve.cpt(gain) <= c + 1e-12
        if 0 < gain <= curve.pgr[-1]:
            assert curve.pgr_within(curve.cpt(gain)) >= gain - 1e-9


@pytest.mark.parametrize(("c", "pgr"), [([0.1], []), ([-0.1], [0.5]), ([0.1], [math.nan])])
def test_a_sweep_is_pairs_of_numbers(c: list[float], pgr: list[float]) -> None:
    with pytest.raises(InputError, match="cost curve"):
        CostCurve.of(c, pgr)
