import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kde.bandwidth import Rule, bandwidth_factor, held_out_log_densities, parse_bandwidth, problem_folds
from kde.density import ReflectedKDE, covariance
from kde.errors import InputError
from kde.samples import Array, Samples


def _drawn(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).beta(2, 3, (count, 2))


def test_the_rules_count_the_effective_samples() -> None:
    equal = Samples.uniform(_drawn(64))
    assert bandwidth_factor(equal, Rule.SCOTT, per_side=10) == pytest.approx(64 ** (-1 / 6))
    assert bandwidth_factor(equal, Rule.SILVERMAN, per_side=10) == pytest.approx(64 ** (-1 / 6))
    weights = np.r_[np.ones(32), np.full(32, 1e-12)]
    half = Samples.weighted(equal.features, weights, equal.groups)
    assert bandwidth_factor(half, Rule.SCOTT, per_side=10) == pytest.approx(32 ** (-1 / 6))
    assert bandwidth_factor(equal, 0.7, per_side=10) == 0.7


@pytest.mark.parametrize(("text", "value"), [("scott", Rule.SCOTT), ("cv", Rule.CV), ("0.3", 0.3)])
def test_bandwidths_are_rules_or_factors(text: str, value: Rule | float) -> None:
    assert parse_bandwidth(text) == value


@pytest.mark.parametrize("text", ["", "Scott", "0", "-1", "nan", "inf", "wide", "20"])
def test_other_bandwidths_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="scott, silverman, cv"):
        parse_bandwidth(text)


@given(st.lists(st.integers(0, 20), min_size=1), st.integers(2, 5))
def test_folds_keep_problems_whole_and_are_of_like_size(groups: list[int], folds: int) -> None:
    numbers = np.array(groups)
    if len(set(groups)) < folds:
        with pytest.raises(InputError, match="cross-validation"):
            problem_folds(numbers, folds)
        return
    found = problem_folds(numbers, folds)
    by_group = {group: set(found[numbers == group].tolist()) for group in groups}
    assert all(len(one) == 1 for one in by_group.values())
    sizes = np.bincount([min(one) for one in by_group.values()], minlength=folds)
    assert sizes.max() - sizes.min() <= 1


def test_the_held_out_likelihood_is_that_of_leaving_each_fold_out() -> None:
    features = _drawn(40)
    samples = Samples.weighted(features, np.linspace(1, 2, 40), np.arange(40) // 2)
    total = 0.0
    for fold in range(5):
        out = (np.arange(40) // 2) % 5 == fold
        rest = Samples.weighted(features[~out], samples.weights[~out], samples.groups[~out])
        masses = ReflectedKDE(rest, 0.25 * covariance(samples)).cell_masses(8, 8)
        for (m, r), weight in zip(features[out], samples.weights[out], strict=True):
            total += weight * np.log(masses[int(m * 8), int(r * 8)] * 64)
    logs = held_out_log_densities(samples, 0.5, per_side=8)
    assert samples.weights @ logs == pytest.approx(total)


def test_cross_validation_finds_the_bandwidth_with_the_largest_likelihood() -> None:
    rng = np.random.default_rng(1)
    ring = np.column_stack(
        (rng.random(300), 0.5 + 0.3 * np.sign(rng.random(300) - 0.5) + 0.02 * rng.standard_normal(300))
    )
    samples = Samples.uniform(ring)
    scott, chosen = (bandwidth_factor(samples, rule, per_side=20) for rule in (Rule.SCOTT, Rule.CV))
    assert chosen < scott / 2  # two narrow bands: Scott's rule smears them
    best = held_out_log_densities(samples, chosen, per_side=20).mean()
    for factor in (scott, chosen / np.sqrt(2), chosen * np.sqrt(2)):
        assert held_out_log_densities(samples, float(factor), per_side=20).mean() <= best
