from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kde.errors import InputError
from kde.filter import MEMORYLESS, BeliefFilter, Features, FilterKind
from kde.hazard import load_hazard
from kde.reference import read_reference_cells
from kde.tokens import TokenModel
from planner.curves import CostCurve
from planner.exact import solve_exact
from planner.policies.catalogue import Catalogue
from planner.policies.pomdp import TablePolicy
from planner.pomdp import RoutingPOMDP, Transitions
from planner.rehearsal import Estimate, Stage, as_planned
from planner.simulate import simulate
from planner.table import PolicyTable, tabulate

LAM = 0.002


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("transitions", list(Transitions))
@pytest.mark.parametrize("kind", ["constant", "by step", "tempered"])
def test_the_policy_earns_the_value_it_was_promised(pomdp: RoutingPOMDP, transitions: Transitions, kind: str) -> None:
    changes = {
        "constant": replace(pomdp, transitions=transitions),
        "by step": replace(
            pomdp, transitions=transitions, p_weak=(0.95, 0.9, 0.85, 0.8, 0.75, 0.7), p_strong=(0.97,) * 6
        ),
        "tempered": replace(
            pomdp,
            transitions=transitions,
            filter=BeliefFilter(kind=FilterKind.TEMPERED, features=Features.NEWEST, exponent=0.5),
        ),
    }
    planned = as_planned(changes[kind])
    (solution,) = solve_exact(changes[kind], [LAM])
    policy = TablePolicy("p", tabulate(planned, [solution]), LAM)
    returns = simulate(planned, policy, episodes=40_000, rng=rng(1)).returns(LAM)
    assert Estimate.mean(returns).holds(solution.value)


def test_the_two_models_alone(pomdp: RoutingPOMDP) -> None:
    catalogue = Catalogue(None)
    for name, p in (("weak", 0.85), ("strong", 0.97)):
        done = simulate(pomdp, catalogue.get(name), episodes=20_000, rng=rng())
        reached = np.cumprod(np.r_[1, 1 - pomdp.hazard[:-1]])
        expected = (reached * pomdp.hazard * p ** np.arange(1, 7)).sum()
        assert Estimate.mean(done.correct).holds(expected)
        assert Estimate.mean(done.steps.astype(np.float64)).holds(float(reached.sum()))
        if name == "weak":
            assert not done.strong_tokens.any()
        else:
            assert (done.interventions == done.steps).all()
            price = 0.4 * (5 + 1.1 * 20) + 0.6 * (5 + 1.1 * 60)
            assert Estimate.mean(done.strong_tokens - price * done.steps).holds(0)


def test_equal_generators_give_equal_episodes(pomdp: RoutingPOMDP, table: PolicyTable) -> None:
    policies = Catalogue(table)
    first, again = (simulate(pomdp, policies.get("pomdp:0.002"), episodes=500, rng=rng(3)) for _ in range(2))
    assert (first.strong_tokens == again.strong_tokens).all()
    assert (first.correct == again.correct).all()
    other = simulate(pomdp, policies.get("weak"), episodes=500, rng=rng(3))
    untouched = first.interventions == 0
    assert untouched.any()
    assert (first.steps == other.steps).all()
    assert (first.correct[untouched] == other.correct[untouched]).all()


def test_thresholds_spend_more_the_higher_they_are(pomdp: RoutingPOMDP) -> None:
    stage = Stage.of(pomdp, episodes=4000, seed=0)
    costs = [stage.rehearse(Catalogue(None).get(f"thr:{x}"), LAM).c.value for x in (0, 0.3, 0.6, 1.0)]
    assert costs == sorted(costs)
    assert costs[0] == 0
    assert costs[-1] == pytest.approx(1, abs=0.01)


def test_a_filter_that_is_planned_with_beats_one_that_is_not(pomdp: RoutingPOMDP, table: PolicyTable) -> None:
    stage = Stage.of(pomdp, episodes=40_000, seed=0)
    bayes, memoryless = (
        stage.episodes_of(TablePolicy("p", table, LAM, chosen)).returns(LAM) for chosen in (None, MEMORYLESS)
    )
    advantage = Estimate.mean(bayes - memoryless)
    assert advantage.value > 3 * advantage.standard_error


def test_a_stage_needs_a_gap_and_episodes(pomdp: RoutingPOMDP) -> None:
    with pytest.raises(InputError, match="M_s alone"):
        Stage.of(replace(pomdp, p_strong=0.5), episodes=1000, seed=0)
    with pytest.raises(InputError, match="episodes"):
        Stage.of(pomdp, episodes=1, seed=0)
    free = TokenModel(counts=(20,), weights=(1,), strong_intercept=0, strong_slope=0)
    with pytest.raises(InputError, match="strong tokens"):
        Stage.of(replace(pomdp, tokens=free), episodes=100, seed=0)


def test_ratios_come_with_their_error() -> None:
    generator = rng(5)
    base = generator.gamma(4, 25, 20_000)
    estimate = Estimate.ratio(0.3 * base + generator.normal(0, 5, 20_000), base)
    assert estimate.holds(0.3)
    assert not estimate.holds(0.31)
    assert estimate.standard_error == pytest.approx(5 / 100 / np.sqrt(20_000), rel=0.1)


def test_exact_planning_needs_a_tenth_of_the_strong_tokens(reference: Path) -> None:
    """The paper's fitted model, step lengths log-normal with median 50 and sigma 0.6: CPT(95 %) of three families side by side."""
    edges = np.linspace(0, 1, 9)
    counts = [float(50 * np.exp(0.6 * _normal_quantile((low + high) / 2))) for low, high in pairwise(edges)]
    pomdp = RoutingPOMDP(
        cells=read_reference_cells(reference / "observations" / "math-train_bins_0.05.npz"),
        p_weak=0.866,
        p_strong=0.9704,
        hazard=load_hazard(f"{reference / 'dynamics' / 'math_train_terminal_predictors.json'}:slm"),
        tokens=TokenModel(counts=tuple(counts), weights=(1 / 8,) * 8),
    )
    lambdas = [0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.011]
    catalogue = Catalogue(tabulate(pomdp, solve_exact(pomdp, lambdas)))
    stage = Stage.of(pomdp, episodes=30_000, seed=0)

    def cpt(names: list[str]) -> float:
        done = [stage.rehearse(catalogue.get(name), LAM) for name in names]
        return CostCurve.of([d.c.value for d in done], [d.pgr.value for d in done]).cpt(0.95)

    exact = cpt([f"pomdp:{lam!r}" for lam in lambdas])
    memoryless = cpt([f"pomdp-memoryless:{lam!r}" for lam in lambdas])
    threshold = cpt([f"thr:{x:.2f}" for x in np.linspace(0, 1, 21)])
    assert exact <= 0.105
    assert exact < memoryless < threshold


def _normal_quantile(p: float) -> float:
    from scipy.stats import norm  # noqa: PLC0415  only here

    return float(norm.ppf(p))
