import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from kde.samples import Array
from kde.tokens import TokenModel
from planner.budget import BudgetTable, solve_budget
from planner.exact import solve_exact
from planner.policies.catalogue import Catalogue
from planner.policies.features import FeatureSet
from planner.policies.learned import LearnedPolicy
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable, tabulate

ROOT = Path(__file__).parent.parent
REFERENCE = Path(os.environ.get("TRIM_DATA", ROOT.parent / "shared" / "data"))

settings.register_profile("trim", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("trim")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for marker, package in (("models", "torch"), ("vllm", "vllm")):
        if find_spec(package) is None:
            skip = pytest.mark.skip(reason=f"{package} is not installed")
            for item in items:
                if marker in item.keywords:
                    item.add_marker(skip)
    missing = _missing_julia()
    for item in items:
        if "julia" in item.keywords and missing:
            item.add_marker(pytest.mark.skip(reason=missing))
    for item in items:
        if "slow" in item.keywords and "slow" not in (item.config.option.markexpr or ""):
            item.add_marker(pytest.mark.skip(reason="takes more than a minute: run `pytest -m slow`"))


def _missing_julia() -> str:
    """Why tests that need Julia cannot run; nothing where they can."""
    if shutil.which("julia") is None and "PYTHON_JULIACALL_EXE" not in os.environ:
        return "there is no Julia here: put one on the PATH, or name it in PYTHON_JULIACALL_EXE"
    return "" if find_spec("juliacall") else "juliacall is not installed: the julia extra brings it"


@pytest.fixture(scope="session")
def reference() -> Path:
    if not REFERENCE.is_dir():
        pytest.skip(f"the reference data is not at {REFERENCE}; TRIM_DATA names its folder")
    return REFERENCE


def synthetic_cells(n_m: int, n_r: int) -> Array:
    """Right steps score high, wrong ones low, and an old error shows in m."""
    m, r = np.meshgrid((np.arange(n_m) + 0.5) / n_m, (np.arange(n_r) + 0.5) / n_r, indexing="ij")
    cells = np.stack([m**3 * r**4, (1 - m) ** 2 * (0.3 + r), m**3 * (1 - r) ** 2])
    return np.asarray(cells / cells.sum(axis=(1, 2), keepdims=True), dtype=np.float64)


@pytest.fixture(scope="session")
def pomdp() -> RoutingPOMDP:
    hazard = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 1.0])
    tokens = TokenModel(counts=(20, 60), weights=(0.4, 0.6), strong_intercept=5, strong_slope=1.1)
    return RoutingPOMDP(cells=synthetic_cells(10, 10), p_weak=0.85, p_strong=0.97, hazard=hazard, tokens=tokens)


@pytest.fixture(scope="session")
def table(pomdp: RoutingPOMDP) -> PolicyTable:
    return tabulate(pomdp, solve_exact(pomdp, [0.0005, 0.002, 0.006]))


@pytest.fixture(scope="session")
def budget_table(pomdp: RoutingPOMDP) -> BudgetTable:
    return solve_budget(pomdp, 400.0, levels=400)


@pytest.fixture(scope="session")
def learned(pomdp: RoutingPOMDP) -> LearnedPolicy:
    rng = np.random.default_rng(5)
    shapes = ((7, 16), (16, 16), (16, 1))
    layers = tuple((rng.normal(size=s).astype(np.float32), rng.normal(size=s[1]).astype(np.float32)) for s in shapes)
    return LearnedPolicy("agg:0.002", pomdp, 0.002, FeatureSet.BELIEF, layers)


@pytest.fixture(scope="session")
def catalogue(table: PolicyTable, budget_table: BudgetTable, learned: LearnedPolicy) -> Catalogue:
    return Catalogue(table, budget=budget_table, learned={0.002: learned})


@pytest.fixture(scope="session")
def table_directory(table: PolicyTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("table")
    table.save(directory)
    return directory
