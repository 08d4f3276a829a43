import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from kde.errors import InputError
from kde.filter import (
    BAYES,
    MEMORYLESS,
    UNIFORM_PRIOR,
    BeliefFilter,
    Features,
    FilterKind,
    posterior,
    predict,
)
from kde.samples import Array
from tests.conftest import synthetic_cells

unit = st.floats(0, 1)


@given(unit, st.floats(0.01, 0.99))
def test_predictions_are_distributions(q: float, p_weak: float) -> None:
    prior = predict(q, p_weak)
    assert prior.sum() == pytest.approx(1)
    assert prior[1] == pytest.approx(1 - q)


@given(unit, st.floats(0.01, 0.99), st.tuples(unit, unit, unit))
def test_posteriors_are_distributions_for_any_evidence(
    q: float, p_weak: float, likelihood: tuple[float, float, float]
) -> None:
    belief = posterior(predict(q, p_weak), np.array(likelihood), cells=400)
    assert belief.sum() == pytest.approx(1)
    assert (belief >= 0).all()


def test_bayes_rule_by_hand() -> None:
    assert posterior(UNIFORM_PRIOR, np.array([0.2, 0.1, 0.1]), cells=4) == pytest.approx([0.5, 0.25, 0.25])


tempered = st.builds(
    lambda features, exponent: BeliefFilter(kind=FilterKind.TEMPERED, features=features, exponent=exponent),
    st.sampled_from(Features),
    st.floats(0.3, 1),
)


def believed(cells: Array, features: Features, i: int, j: int) -> Array:
    """P(believed features | class), written out."""
    if features is Features.JOINT:
        return cells[:, i, j]
    if features is Features.NEWEST:
        return np.asarray(cells[:, :, j].sum(axis=1))
    return np.asarray(cells[:, i, j] / cells[:, i].sum(axis=1))


@given(tempered, st.integers(0, 9), st.integers(0, 9), unit, st.floats(0.01, 0.99))
def test_a_tempered_filter_is_bayes_on_its_observation_function(
    belief_filter: BeliefFilter, i: int, j: int, q: float, p_weak: float
) -> None:
    cells = synthetic_cells(10, 10)
    try:
        observed = belief_filter.observation_cells(cells)
    except InputError:  # so small an exponent has none
        assert belief_filter.exponent < 0.8
        reject()
    assert observed.sum(axis=(1, 2)) == pytest.approx([1, 1, 1])
    assert (observed >= 0).all()
    prior = predict(q, p_weak)
    direct = prior * believed(cells, belief_filter.features, i, j) ** belief_filter.exponent
    found = prior * observed[:, i, j]
    assert found / found.sum() == pytest.approx(direct / direct.sum(), abs=1e-9)


def test_plain_filters_read_the_cells_as_they_are() -> None:
    cells = synthetic_cells(4, 4)
    for belief_filter in (BAYES, MEMORYLESS, BeliefFilter(kind=FilterKind.TEMPERED)):
        assert (belief_filter.observation_cells(cells) == cells).all()


def test_what_is_seen_stays_as_near_as_can_be_to_what_was_seen() -> None:
    cells = synthetic_cells(10, 10)
    gentle = BeliefFilter(kind=FilterKind.TEMPERED, exponent=0.9).observation_cells(cells)
    strong = BeliefFilter(kind=FilterKind.TEMPERED, exponent=0.3).observation_cells(cells)
    gentle_shift, strong_shift = (abs(one.mean(axis=0) - cells.mean(axis=0)).sum() / 2 for one in (gentle, strong))
    assert gentle_shift < 0.02
    assert gentle_shift < strong_shift < 0.3


def test_posteriors_without_an_observation_function_are_refused() -> None:
    lopsided = np.array([[[0.5, 0.5]], [[0.5, 0.5]], [[0.9, 0.1]]])
    lopsided[1] = [[0.999, 0.001]]
    with pytest.raises(InputError, match="larger exponent"):
        BeliefFilter(kind=FilterKind.TEMPERED, exponent=0.01).observation_cells(lopsided)


@pytest.mark.parametrize("fields", [{"kind": "bayes", "exponent": 0.5}, {"kind": "memoryless", "features": "r"}])
def test_only_tempered_filters_depart_from_the_joint_likelihood(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="tempered"):
        BeliefFilter.model_validate(fields)


@pytest.mark.parametrize("exponent", [0, -1, 1.5, float("nan")])
def test_exponents_lie_above_zero_and_up_to_one(exponent: float) -> None:
    with pytest.raises(ValueError, match="exponent"):
        BeliefFilter(kind=FilterKind.TEMPERED, exponent=exponent)
