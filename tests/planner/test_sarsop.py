import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kde.errors import ArtefactError, InputError
from kde.samples import Array
from kde.tokens import TokenModel
from planner.backup import grid
from planner.build import Build
from planner.decision import Action, Carry, Proposal
from planner.exact import Solution, solve_exact
from planner.explicit import ExplicitPOMDP, Now
from planner.pomdp import RoutingPOMDP, Transitions
from planner.sarsop import worker
from planner.sarsop.job import AlphaVectors, Job, Limits, Program, read_policy, write_policy
from planner.sarsop.log import Bounds, last_bounds
from planner.sarsop.online import OnlinePolicy
from planner.sarsop.process import Launch, SolverError
from planner.sarsop.solver import SarsopSolver
from planner.sarsop.surface import solution_of, undominated
from planner.table import tabulate
from tests.conftest import ROOT, synthetic_cells
from tests.twins import point_based_policy

LAM = 0.004


@pytest.fixture(scope="module")
def tiny() -> RoutingPOMDP:
    return RoutingPOMDP(
        cells=synthetic_cells(1, 2),
        p_weak=0.7,
        p_strong=0.95,
        hazard=np.array([0.0, 0.4, 1.0]),
        tokens=TokenModel(counts=(40,), weights=(1,)),
    )


def solver(mode: str, **changes: object) -> SarsopSolver:
    command = (sys.executable, str(Path(__file__).parent / "fake_worker.py"), mode)
    launch = replace(Launch(command=command, timeout=60), **changes)  # type: ignore[arg-type]
    return SarsopSolver(limits=Limits(max_time=2), launch=launch)


@pytest.fixture(autouse=True)
def _workers_find_the_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def lattice_beliefs(model: ExplicitPOMDP, resolution: int) -> Array:
    """The start, and a lattice over the three classes of everything that a proposal may be."""
    places: dict[tuple[int, bool, int], list[int]] = {}
    for state in model.states:
        places.setdefault((state.step, state.final, state.bin), []).append(model.number(state))
    rows = [model.initial]
    for numbers in places.values():
        for i in range(resolution + 1):
            for j in range(resolution + 1 - i):
                row = np.zeros(len(model.initial))
                row[numbers] = np.array([i, j, resolution - i - j]) / resolution
                rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("transitions", list(Transitions))
def test_alpha_vectors_become_the_exact_surface(tiny: RoutingPOMDP, transitions: Transitions) -> None:
    pomdp = replace(tiny, transitions=transitions)
    (exact,) = solve_exact(pomdp, [LAM], gap=1e-7)
    model = ExplicitPOMDP.of(pomdp, LAM)
    policy = point_based_policy(model, lattice_beliefs(model, 20), horizon=4)
    found = solution_of(pomdp, model, policy)
    for ours, theirs in (
        (exact.after_continue, found.after_continue),
        (exact.after_regenerate, found.after_regenerate),
    ):
        for mine, other in zip(ours, theirs, strict=True):
            below = np.interp(found.grid, exact.grid, mine) - other
            assert below.min() > -1e-6
            assert below.max() < 2e-3
    beliefs = np.array([[0.5, 0.2, 0.3], [0.1, 0.3, 0.6], [0.9, 0.05, 0.05]])
    assert found.break_even_tokens(beliefs) == pytest.approx(exact.break_even_tokens(beliefs), abs=2e-3 / LAM)
    assert found.break_even_tokens(beliefs)[:, 1] == pytest.approx(exact.break_even_tokens(beliefs)[:, 1])


def test_a_solve_comes_back_with_bounds_and_progress(tiny: RoutingPOMDP) -> None:
    heard: list[tuple[float, Bounds | None]] = []
    slow = replace(solver("slow"), on_progress=lambda lam, bounds, _: heard.append((lam, bounds)))
    (solution,) = slow.solve(tiny, [LAM])
    (exact,) = solve_exact(tiny, [LAM], gap=1e-7)
    assert isinstance(solution, Solution)
    assert solution.lower == pytest.approx(exact.value, abs=1e-5)
    assert {lam for lam, _ in heard} == {LAM}
    assert any(bounds and bounds.upper == 1 for _, bounds in heard)


def test_several_workers_run_at_once(tiny: RoutingPOMDP) -> None:
    heard: set[float] = set()
    solving = replace(solver("slow"), workers=3, on_progress=lambda lam, *_: heard.add(lam)).solve(
        tiny, [0.001, 0.002, 0.003, 0.004]
    )
    first = next(solving)
    assert len(heard) > 1
    assert sorted(solution.lam for solution in (first, *solving)) == [0.001, 0.002, 0.003, 0.004]


def test_a_worker_that_crashes_is_tried_again(tiny: RoutingPOMDP, tmp_path: Path) -> None:
    (solution,) = solver("die-once").solve(tiny, [LAM])
    assert solution.lam == LAM
    assert not list(tmp_path.glob("trim-sarsop-*"))


@pytest.mark.parametrize(
    ("mode", "complaint"),
    [
        ("die", "signal SIGKILL: Precompiling packages"),
        ("fail", "status 1: .*out of luck"),
        ("rubbish", "policy.json"),
        ("rubbish-policy", "policy.json"),
        ("stale", "not a policy of this model"),
        ("nonsense", "not a policy of this model"),
    ],
)
def test_a_worker_that_never_answers_well_is_given_up(
    tiny: RoutingPOMDP, tmp_path: Path, mode: str, complaint: str
) -> None:
    with pytest.raises(SolverError, match=complaint) as raised:
        list(solver(mode, attempts=2).solve(tiny, [LAM]))
    assert "tried 2 times" in str(raised.value)
    assert "\n" not in str(raised.value)
    (kept,) = tmp_path.glob("trim-sarsop-*")
    assert {path.name for path in kept.iterdir()} == {"attempt-1", "attempt-2"}
    assert (kept / "attempt-1" / "worker.log").stat().st_size > 0


def test_a_worker_that_hangs_is_killed_with_everything_it_started(tiny: RoutingPOMDP, tmp_path: Path) -> None:
    with pytest.raises(SolverError, match="killed after 3 s"):
        list(solver("hang", timeout=3).solve(tiny, [LAM]))
    (child,) = tmp_path.glob("trim-sarsop-*/child")
    assert _ends(int(child.read_text()))


def test_one_failure_ends_the_other_workers(tiny: RoutingPOMDP, tmp_path: Path) -> None:
    solving = replace(solver("hang-but-0.001", timeout=300, attempts=1), workers=2).solve(tiny, [0.001, 0.002])
    with pytest.raises(SolverError, match="out of luck"):
        list(solving)
    (child,) = tmp_path.glob("trim-sarsop-*/child")
    assert _ends(int(child.read_text()))


def test_no_julia_is_said_once_and_not_tried_again(tiny: RoutingPOMDP, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trim-routing\\[julia\\].*--solver exact needs none"):
        list(solver("no-julia").solve(tiny, [LAM]))
    (kept,) = tmp_path.glob("trim-sarsop-*")
    assert [path.name for path in kept.iterdir()] == ["attempt-1"]


@pytest.mark.parametrize(
    ("limits", "changes", "field"),
    [
        (Limits(precision=0), {}, "precision"),
        (Limits(max_steps=0), {}, "max_steps"),
        (Limits(max_time=float("nan")), {}, "max_time"),
        (Limits(max_time=60), {}, "timeout"),
        (Limits(max_time=2), {"workers": 0}, "workers"),
    ],
)
def test_limits_are_positive(limits: Limits, changes: dict[str, int], field: str) -> None:
    with pytest.raises(InputError, match=field):
        replace(solver("solve"), limits=limits, **changes)  # type: ignore[arg-type]


def test_a_table_is_built_with_it(tiny: RoutingPOMDP, tmp_path: Path) -> None:
    table = Build(tiny, [0.001, LAM], solver("solve"), resolution=4).run(tmp_path / "T")
    assert table.provenance["parameters"]["solver"] == "sarsop"
    assert table.provenance["parameters"]["program"] == "native"
    for found, sure in zip(table.entries, solve_exact(tiny, [0.001, LAM]), strict=True):
        assert found.lower <= sure.upper + 1e-6
        assert found.upper >= sure.lower - 1e-4


def test_the_online_variant_solves_where_it_may_matter(tiny: RoutingPOMDP) -> None:
    table = tabulate(tiny, solve_exact(tiny, [LAM]))
    broken = OnlinePolicy(table, LAM, solver("fail", attempts=1))
    low, high = Proposal(1, 1.0, 0.1, 40, False), Proposal(1, 1.0, 0.9, 40, False)
    sure = broken.decide(high, None)  # S2 is far from the likeliest: nothing is solved
    assert sure.action is Action.CONTINUE
    assert sure.belief is not None
    assert sure.belief[2] < max(sure.belief) - broken.closeness
    with pytest.raises(SolverError):
        broken.decide(low, None)
    (solution,) = solve_exact(tiny, [LAM])
    for tokens in (1, 500):
        policy = OnlinePolicy(table, LAM, solver("solve"))
        decided = policy.decide(replace(low, tokens=tokens), None)
        break_even = float(solution.break_even_tokens(np.array(decided.belief))[0, 0])
        assert (decided.action is Action.REGENERATE) == (tokens < break_even)
    last = broken.decide(Proposal(3, 0.5, 0.1, 1, False), Carry((0.6, 0.1, 0.3), Action.CONTINUE))
    assert last.action is Action.REGENERATE  # what a repair is worth at the end is known
    with pytest.raises(InputError, match="closeness"):
        OnlinePolicy(table, LAM, solver("solve"), closeness=1.5)


def test_jobs_and_policies_are_what_was_written(tiny: RoutingPOMDP, tmp_path: Path) -> None:
    model = ExplicitPOMDP.of(tiny, LAM, now=Now(2, (0.5, 0.2, 0.3), 33.0))
    limits = Limits(Program.APPL, precision=0.01, max_steps=7, max_time=3.5)
    model_hash = Job.write(tmp_path, model, limits)
    job = Job.read(tmp_path)
    assert (job.limits, job.discount, job.model_hash) == (limits, model.discount, model_hash)
    for name, array in model.arrays().items():
        assert (job.arrays[name] == array).all()
    policy = AlphaVectors(np.ones((2, len(model.initial))), np.array([0, 1]), 0.25, 0.5)
    write_policy(tmp_path, policy, model_hash=model_hash)
    read = read_policy(tmp_path, model_hash=model_hash, n_states=len(model.initial))
    assert (read.lower, read.upper, read.actions.tolist()) == (0.25, 0.5, [0, 1])
    with pytest.raises(ArtefactError, match="not a policy of this model"):
        read_policy(tmp_path, model_hash=model_hash, n_states=3)
    write_policy(tmp_path, replace(policy, lower=0.6), model_hash=model_hash)
    with pytest.raises(ArtefactError, match="not a policy of this model"):
        read_policy(tmp_path, model_hash=model_hash, n_states=len(model.initial))


def test_bounds_are_read_from_what_solvers_print(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("Loading packages 1 2 3\n")
    assert last_bounds(log, Program.NATIVE) is None
    with log.open("a") as stream:
        stream.write(
            " Time       Iter       LB           UB           Precision       # Alphas   # Beliefs\n" + "-" * 86
        )
        stream.write("\n 0.01       0          -1.2500000   0.9900000    2.2400000000    2          1         \n")
        stream.write(
            " 1.30       10         0.6700000    0.6900000    2.0e-2          22         31        \n 2.0  20  0.6"
        )
    assert last_bounds(log, Program.NATIVE) == Bounds(0.67, 0.69)
    log.write_text(
        " Time   |#Trial |#Backup |LBound    |UBound    |Precision  |#Alphas |#Beliefs  \n"
        " 0       0       0        -inf       1          2          2        1        \n"
        " 0.4     12      75       0.678      0.679      0.001      31       24       \n"
    )
    assert last_bounds(log, Program.APPL) == Bounds(0.678, 0.679)
    assert last_bounds(log, Program.NATIVE) is None


def test_dominated_vectors_are_left_out() -> None:
    vectors = np.array([[1.0, 0, 0], [1, 0, 0], [0.5, 0, 0], [0, 1, 0], [0.2, 0.2, 0.2]])
    assert sorted(undominated(vectors).tolist()) == [[0, 1, 0], [0.2, 0.2, 0.2], [1, 0, 0]]
    assert grid(5)[[0, -1]].tolist() == [0, 1]


def test_the_julia_sources_are_found() -> None:
    assert (worker.sources() / "src" / "TrimSARSOP.jl").is_file()


def _ends(pid: int) -> bool:
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.julia
@pytest.mark.parametrize("program", list(Program))
def test_sarsop_brackets_the_exact_value(tiny: RoutingPOMDP, program: Program) -> None:
    (exact,) = solve_exact(tiny, [LAM], gap=1e-6)
    (solution,) = SarsopSolver(limits=Limits(program, precision=1e-3)).solve(tiny, [LAM])
    assert solution.lower - 1e-5 <= exact.value <= solution.upper + 1e-5
    assert solution.gap <= 2e-3
    beliefs = np.array([[0.5, 0.2, 0.3], [0.1, 0.3, 0.6]])
    assert solution.break_even_tokens(beliefs) == pytest.approx(exact.break_even_tokens(beliefs), abs=0.02 / LAM)


@pytest.mark.julia
def test_the_julia_projects_own_tests() -> None:
    done = subprocess.run(
        ["julia", f"--project={ROOT / 'julia'}", "-e", "using Pkg; Pkg.test()"],
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
