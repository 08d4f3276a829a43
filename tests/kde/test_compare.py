import numpy as np
import pytest

from kde.bandwidth import Rule
from kde.compare import ValueShift, Verdict, compare_models, energy_p_value
from kde.errors import InputError
from kde.model import ObservationModel, fit_observation_model
from kde.samples import ClassSamples, Samples


def _model(seed: int, *, blur: float = 0.0, lift: float = 0.0, cell: float = 0.1) -> ObservationModel:
    """Classes that a PRM tells apart; `blur` pulls its scores to the middle, `lift` raises those of wrong steps."""
    rng = np.random.default_rng(seed)
    right = rng.beta(9, 1, (400, 2))
    derailed = np.column_stack((rng.beta(1, 5, 300), rng.beta(2, 3, 300)))
    recoverable = np.column_stack((rng.beta(9, 1, 300), lift + (1 - lift) * rng.beta(1, 6, 300)))
    arrays = {"S0": right, "S1": derailed, "S2": recoverable}
    blurred = {key: (1 - blur) * one + blur * rng.random(one.shape) for key, one in arrays.items()}
    return fit_observation_model(ClassSamples.validated(blurred, source="drawn"), cell=cell)


def test_the_same_world_again_is_kept() -> None:
    found = compare_models(_model(0), _model(1), np.random.default_rng(0))
    assert found.verdict is Verdict.KEEP
    assert all(one.p_value > 0.01 and one.total_variation < 0.2 for one in found.classes.values())


def test_a_shift_that_leaves_the_prm_as_sharp_asks_for_a_refit() -> None:
    found = compare_models(_model(0), _model(1, lift=0.3), np.random.default_rng(0))
    assert found.verdict is Verdict.REFIT
    assert "S2" in found.reasons[0]
    assert found.classes["S2"].refit_gain.low > 0.05
    assert found.classes["S0"].p_value > 0.01


def test_a_prm_that_tells_less_asks_for_a_look() -> None:
    found = compare_models(_model(0), _model(1, blur=0.7), np.random.default_rng(0))
    assert found.verdict is Verdict.INVESTIGATE
    assert found.auc[1].high < found.auc[0].value - 0.02
    assert "AUC" in found.reasons[-1]


def test_a_costly_old_policy_asks_for_a_refit_though_the_classes_hardly_moved() -> None:
    values = (ValueShift(0.002, old=0.7, new=0.69, kept=0.65), ValueShift(0.004, old=0.6, new=0.6, kept=0.599))
    found = compare_models(_model(0), _model(1), np.random.default_rng(0), values=values)
    assert found.verdict is Verdict.REFIT
    assert found.reasons == ("at lambda 0.002 the old policy loses 0.0400 of reward an episode",)


def _spread(rng: np.random.Generator) -> Samples:
    return Samples.uniform(rng.beta(2, 3, (60, 2)))


def test_p_values_are_even_where_nothing_differs_and_small_where_it_does() -> None:
    rng = np.random.default_rng(0)
    same = [energy_p_value(_spread(rng), _spread(rng), rng, 99) for _ in range(60)]
    assert 0.3 < np.mean(same) < 0.7
    assert np.mean(np.array(same) <= 0.05) < 0.15
    moved = energy_p_value(Samples.uniform(rng.beta(2, 3, (60, 2))), Samples.uniform(rng.beta(3, 2, (60, 2))), rng, 99)
    assert moved == 0.01


def test_samples_of_one_problem_are_not_taken_for_many() -> None:
    rng = np.random.default_rng(0)
    old, new = (
        Samples.weighted(rng.beta(2, 3, (8, 2)).repeat(50, axis=0), np.ones(400), np.arange(400) // 50)
        for _ in range(2)
    )
    assert energy_p_value(old, new, rng, 199) > 0.02
    apart = [Samples.uniform(one.features) for one in (old, new)]
    assert energy_p_value(apart[0], apart[1], rng, 199) < 0.02


def test_models_with_other_cells_are_not_compared() -> None:
    with pytest.raises(InputError, match="same --cell"):
        compare_models(_model(0), _model(1, cell=0.2), np.random.default_rng(0))


def test_a_better_bandwidth_is_said_to_be_one() -> None:
    rng = np.random.default_rng(0)
    side = 0.5 + 0.3 * np.sign(rng.random(200) - 0.5)
    bands = np.column_stack((rng.random(200), side + 0.03 * rng.standard_normal(200)))
    samples = ClassSamples.validated(dict.fromkeys(("S0", "S1", "S2"), bands), source="drawn")
    found = compare_models(fit_observation_model(samples), fit_observation_model(samples, bandwidth=Rule.CV), rng)
    assert found.verdict is Verdict.REFIT
    assert found.reasons[0].startswith("S0 has not moved, but NEW's bandwidth suits it better")


def test_cells_finer_than_the_test_are_compared_too() -> None:
    found = compare_models(_model(0, cell=0.02), _model(1, cell=0.02), np.random.default_rng(0), permutations=19)
    assert found.verdict is Verdict.KEEP
