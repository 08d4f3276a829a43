import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kde.filter import UNIFORM_PRIOR, posterior, predict

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
