import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kde.bandwidth import Rule, bandwidth_factor
from kde.density import ReflectedKDE, check_samples
from kde.errors import InputError
from kde.samples import Array, Samples
from tests.twins import quadrature_cells


def _fit(features: Array) -> ReflectedKDE:
    samples = Samples.uniform(features)
    return ReflectedKDE.fit(samples, bandwidth_factor(samples, Rule.SCOTT, per_side=20))


def _samples(seed: int, count: int, tilt: float) -> Array:
    rng = np.random.default_rng(seed)
    first = rng.beta(2, 1, count)
    return np.clip(np.column_stack((first, tilt * first + (1 - tilt) * rng.random(count))), 0, 1)


kdes = st.builds(
    lambda seed, count, tilt: _fit(_samples(seed, count, tilt)),
    st.integers(0, 1000),
    st.integers(5, 60),
    st.floats(0, 0.9),
)


@given(kdes, st.integers(1, 12), st.integers(1, 12))
def test_cells_are_a_distribution_at_any_size(density: ReflectedKDE, n_m: int, n_r: int) -> None:
    cells = density.cell_masses(n_m, n_r)
    assert cells.shape == (n_m, n_r)
    assert (cells >= 0).all()
    assert cells.sum() == pytest.approx(1, abs=1e-12)


@given(kdes)
@settings(max_examples=25)
def test_cells_agree_with_two_dimensional_quadrature(density: ReflectedKDE) -> None:
    twin = quadrature_cells(density, 6, 5, nodes=40)
    assert density.cell_masses(6, 5) == pytest.approx(twin / twin.sum(), abs=1e-9)


@given(kdes, st.integers(1, 5))
def test_large_cells_are_sums_of_small_ones(density: ReflectedKDE, n: int) -> None:
    fine = density.cell_masses(2 * n, 3 * n).reshape(n, 2, n, 3).sum(axis=(1, 3))
    assert density.cell_masses(n, n) == pytest.approx(fine, abs=1e-12)


@given(kdes)
def test_the_density_is_zero_outside_the_square(density: ReflectedKDE) -> None:
    assert (density.pdf(np.array([[-0.01, 0.5], [0.5, 1.01], [2.0, 2.0]])) == 0).all()


def test_mirrored_samples_give_a_mirrored_density() -> None:
    samples = _samples(1, 40, 0.6)
    cells = _fit(samples).cell_masses(8, 8)
    mirrored = _fit(1 - samples).cell_masses(8, 8)
    assert mirrored == pytest.approx(cells[::-1, ::-1], abs=1e-12)


def test_narrow_kernels_are_integrated_as_accurately_as_wide_ones() -> None:
    rng = np.random.default_rng(0)
    samples = np.column_stack((rng.random(400), 0.7 + 0.01 * rng.standard_normal(400)))
    density = _fit(samples)
    fine = density.cell_masses(8, 40).reshape(4, 2, 4, 10).sum(axis=(1, 3))
    assert density.cell_masses(4, 4) == pytest.approx(fine, abs=1e-12)


def test_all_but_constant_samples_are_refused() -> None:
    rng = np.random.default_rng(0)
    samples = np.column_stack((rng.random(400), 0.7 + 1e-9 * rng.standard_normal(400)))
    with pytest.raises(InputError, match="label more"):
        _fit(samples).cell_masses(10, 10)


@pytest.mark.parametrize(
    "samples", [np.array([[0.5, 0.5]] * 2), np.full((9, 2), 0.4), np.linspace(0, 1, 9)[:, None].repeat(2, axis=1)]
)
def test_too_few_or_degenerate_samples_say_what_to_do(samples: Array) -> None:
    with pytest.raises(InputError, match="label more"):
        check_samples(Samples.uniform(samples), name="class S1")


@given(st.integers(0, 1000), st.lists(st.integers(1, 4), min_size=5, max_size=20))
def test_weights_are_repeats(seed: int, repeats: list[int]) -> None:
    features = _samples(seed, len(repeats), 0.5)
    bandwidth = np.array([[0.02, 0.005], [0.005, 0.03]])
    weighted = Samples.weighted(features, np.array(repeats, dtype=np.float64), np.arange(len(repeats)))
    repeated = Samples.uniform(features.repeat(repeats, axis=0))
    assert ReflectedKDE(weighted, bandwidth).cell_masses(5, 4) == pytest.approx(
        ReflectedKDE(repeated, bandwidth).cell_masses(5, 4), abs=1e-12
    )


@given(kdes)
@settings(max_examples=15)
def test_the_density_integrates_to_one(density: ReflectedKDE) -> None:
    masses = quadrature_cells(density, 4, 4, nodes=40)
    assert masses.sum() == pytest.approx(1, abs=1e-6)


def test_drawn_points_fall_into_cells_as_often_as_their_masses_say() -> None:
    density = _fit(_samples(2, 50, 0.7))
    drawn = density.sample(200_000, np.random.default_rng(0))
    assert ((drawn >= 0) & (drawn <= 1)).all()
    places = np.minimum(drawn * 8, 7).astype(np.int64)
    counts = np.bincount(places[:, 0] * 8 + places[:, 1], minlength=64).reshape(8, 8)
    masses = density.cell_masses(8, 8)
    errors = (counts / len(drawn) - masses) / np.sqrt(masses / len(drawn))
    assert abs(errors).max() < 5
