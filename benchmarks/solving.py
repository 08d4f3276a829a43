"""The exact solver and the density integration against their slow, obvious twins."""

import numpy as np

from benchmarks.measure import Result, seconds_side_by_side
from kde.density import ReflectedKDE
from kde.samples import Samples
from kde.tokens import TokenModel
from planner.exact import solve_exact
from planner.pomdp import RoutingPOMDP
from tests.conftest import synthetic_cells
from tests.twins import looped_value, quadrature_cells

_BINS = TokenModel(counts=(10, 30, 60, 100, 200), weights=(0.1, 0.3, 0.3, 0.2, 0.1))


def reference_pomdp(steps: int) -> RoutingPOMDP:
    hazard = np.r_[np.full(steps - 1, 0.1), 1.0]
    return RoutingPOMDP(cells=synthetic_cells(20, 20), p_weak=0.87, p_strong=0.97, hazard=hazard, tokens=_BINS)


def run() -> dict[str, Result]:
    short = reference_pomdp(3)
    (solution,) = solve_exact(short, [0.0025])
    twin, ours = seconds_side_by_side(
        lambda: looped_value(short, 0.0025, solution.grid), lambda: solve_exact(short, [0.0025]), rounds=3
    )
    long, double = seconds_side_by_side(
        lambda: solve_exact(reference_pomdp(30), [0.0025]),
        lambda: solve_exact(reference_pomdp(30), [0.0025, 0.0026]),
        rounds=5,
    )
    samples = np.random.default_rng(0).beta(2, 1, (500, 2))
    density = ReflectedKDE.fit(Samples.uniform(samples), 0.35)
    naive, exact = seconds_side_by_side(
        lambda: quadrature_cells(density, 20, 20, nodes=8), lambda: density.cell_masses(20, 20), rounds=3
    )
    return {
        "exact solver, times faster than the looped twin": Result(twin / ours, "x", 30),
        "exact solver, second lambda against the first": Result(double / long, "x", 2.2, at_least=False),
        "cell masses, times faster than 2-D quadrature": Result(naive / exact, "x", 2),
    }
