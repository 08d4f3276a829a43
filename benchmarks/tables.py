"""What tables cost: the solver's growth in cells, bins and lambdas, the literal table, decisions, and memory."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.measure import Result, seconds_side_by_side
from benchmarks.solving import reference_pomdp
from kde.tokens import TokenModel
from planner.batch import CarryBatch, ProposalBatch
from planner.decision import Action, Carry, Proposal
from planner.exact import solve_exact
from planner.literal import ActionTable
from planner.npz import pack
from planner.policies.pomdp import TablePolicy
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable, tabulate
from tests.conftest import synthetic_cells

_LAM = 0.0025
_SINGLE = 20_000
_MANY = 16_384
_MEBIBYTE = 2**20


def run() -> dict[str, Result]:
    return _speed() | _growth() | _decisions() | _memory()


def _speed() -> dict[str, Result]:
    pomdp = reference_pomdp(30)
    lambdas = [0.0005, 0.0015, 0.0025, 0.0045, 0.0075]
    each = min(_seconds(lambda: solve_exact(pomdp, lambdas)) for _ in range(5)) / len(lambdas)
    literal = min(_seconds(lambda: _literal(pomdp)) for _ in range(3))
    return {
        "exact solver, 400 cells, 5 bins, T = 30, gap 1e-4, a lambda": Result(
            1e3 * each, "CPU ms", 100, at_least=False
        ),
        "literal table of 464,940 entries, solve included": Result(literal, "CPU s", 1, at_least=False),
    }


def _literal(pomdp: RoutingPOMDP) -> ActionTable:
    return ActionTable.of(tabulate(pomdp, solve_exact(pomdp, [_LAM])), _LAM)


def _growth() -> dict[str, Result]:
    """Ratios between neighbours of a curve, on one grid of q: linear growth is the ratio of the sizes."""
    results = {}
    curves: dict[str, tuple[tuple[int, ...], Callable[[int], RoutingPOMDP]]] = {
        "cells": ((100, 400, 1600), lambda n: replace(reference_pomdp(30), cells=synthetic_cells(n // 20, 20))),
        "bins": ((5, 10, 20), lambda n: replace(reference_pomdp(30), tokens=_bins(n))),
    }
    for name, (sizes, build) in curves.items():
        for small, large in pairwise(sizes):
            slow, quick = seconds_side_by_side(_solving(build(large)), _solving(build(small)), rounds=5)
            bound = 1.25 * large / small
            results[f"exact solver, {large} {name} against {small}"] = Result(slow / quick, "x", bound, at_least=False)
    for few, many in ((2, 4), (4, 8), (8, 16)):
        pomdp = reference_pomdp(30)
        slow, quick = seconds_side_by_side(_solving(pomdp, many), _solving(pomdp, few), rounds=5)
        results[f"exact solver, {many} lambdas against {few}"] = Result(
            slow / quick, "x", 1.25 * many / few, at_least=False
        )
    return results


def _bins(count: int) -> TokenModel:
    return TokenModel(counts=tuple(10.0 * (i + 1) for i in range(count)), weights=(1 / count,) * count)


def _solving(pomdp: RoutingPOMDP, lambdas: int = 1) -> Callable[[], object]:
    prices = [_LAM * (1 + 0.01 * i) for i in range(lambdas)]
    return lambda: solve_exact(pomdp, prices, gap=1.0)


def _decisions() -> dict[str, Result]:
    pomdp = reference_pomdp(30)
    with tempfile.TemporaryDirectory() as directory:
        tabulate(pomdp, solve_exact(pomdp, [_LAM])).save(Path(directory))
        policy = TablePolicy(f"pomdp:{_LAM}", PolicyTable.load(Path(directory)), _LAM)
        single = min(_seconds(lambda: _decide_singly(policy)) for _ in range(5)) / _SINGLE
        batch, carries = _batch()
        many = min(_seconds(lambda: policy.decide_many(batch, carries)) for _ in range(20)) / _MANY
    return {
        "one decision in process": Result(1e6 * single, "CPU us", 10, at_least=False),
        "decisions in batches": Result(1e-6 / many, "M/CPU s", 2),
        "decisions in batches, times faster than singly": Result(single / many, "x", 10),
    }


def _decide_singly(policy: TablePolicy) -> None:
    proposal, carry = Proposal(3, 0.7, 0.4, 40, False), Carry((0.5, 0.2, 0.3), Action.CONTINUE)
    for _ in range(_SINGLE):
        policy.decide(proposal, carry)


def _batch() -> tuple[ProposalBatch, CarryBatch]:
    rng = np.random.default_rng(0)
    batch = ProposalBatch(
        step=rng.integers(2, 31, _MANY),
        earlier=rng.random(_MANY),
        newest=rng.random(_MANY),
        tokens=rng.integers(5, 200, _MANY),
        final=rng.random(_MANY) < 0.2,
    )
    return batch, CarryBatch(rng.dirichlet([1, 1, 1], _MANY), rng.random(_MANY) < 0.3, np.zeros(_MANY))


def _memory() -> dict[str, Result]:
    """Peak resident memory of the whole command, interpreter and libraries included."""
    code = (
        "import resource, sys; from planner.cli.tables import app;"
        "app(sys.argv[1:], result_action='return_value');"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        centres = (np.arange(20) + 0.5) / 20
        points = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
        cells = synthetic_cells(20, 20).reshape(3, -1)
        arrays = {f"S{k}_probs": cells[k] for k in range(3)} | {f"S{k}_points": points for k in range(3)}
        (folder / "cells.npz").write_bytes(pack(arrays))
        (folder / "h.json").write_text(json.dumps({"h": reference_pomdp(30).hazard.tolist()}))
        options = ["--observation-cells", str(folder / "cells.npz"), "--p-weak", "0.87", "--p-strong", "0.97"]
        options += ["--hazard", f"{folder / 'h.json'}:h", "--tokens", "10:0.1,30:0.3,60:0.3,100:0.2,200:0.1"]
        options += ["--lambda", *(f"{0.0003 * i:.4f}" for i in range(1, 33)), "--out", str(folder / "T"), "--json"]
        done = subprocess.run(
            [sys.executable, "-c", code, "build", *options], capture_output=True, text=True, check=True
        )
    kibibytes = int(done.stderr.split()[-1])
    return {"peak memory of building 32 lambdas": Result(1024 * kibibytes / _MEBIBYTE, "MB", 500, at_least=False)}


def _seconds(work: Callable[[], object]) -> float:
    """Processor time: what one core spends on it, whatever else the machine does."""
    started = time.process_time()
    work()
    return time.process_time() - started
