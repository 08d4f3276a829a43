import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kde.artefact import sha256_file
from kde.errors import InputError
from planner.build import Build
from planner.exact import ExactSolver, Solution
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable, tabulate

LAMBDAS = [0.0005, 0.002, 0.006]


class Counting:
    """The exact solver, counting what it is asked; it gives up after `most` lambdas."""

    name = "exact"

    def __init__(self, most: int = 99) -> None:
        self.solved: list[float] = []
        self.most = most

    @property
    def parameters(self) -> dict[str, float]:
        return ExactSolver().parameters

    def solve(self, pomdp: RoutingPOMDP, lambdas: Sequence[float]) -> Iterator[Solution]:
        for solution in ExactSolver().solve(pomdp, lambdas):
            if len(self.solved) == self.most:
                raise KeyboardInterrupt
            self.solved.append(solution.lam)
            yield solution


def files(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in folder.iterdir()}


def test_a_build_is_the_table_of_its_solutions(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    built = Build(pomdp, [0.006, 0.0005, 0.0005], ExactSolver(), resolution=8, inputs={"a": "b"}).run(tmp_path / "T")
    direct = tabulate(pomdp, list(ExactSolver().solve(pomdp, [0.0005, 0.006])), resolution=8)
    assert built.entries == direct.entries
    assert (built.break_even == direct.break_even).all()
    assert built.provenance["inputs"] == {"a": "b"}
    assert built.provenance["parameters"] == {"solver": "exact", "gap": 1e-4}
    assert [path.name for path in tmp_path.iterdir()] == ["T"]
    assert PolicyTable.load(tmp_path / "T").content_hash == built.content_hash


def test_what_is_solved_is_not_solved_again(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    Build(pomdp, LAMBDAS, ExactSolver(), resolution=8).run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        Build(pomdp, LAMBDAS, Counting(most=2), resolution=8).run(tmp_path / "T")
    assert not (tmp_path / "T").exists()
    again, heard = Counting(), []
    Build(pomdp, LAMBDAS, again, resolution=8).run(tmp_path / "T", on_solved=lambda entry: heard.append(entry.lam))
    assert again.solved == [0.006]
    assert sorted(heard) == LAMBDAS
    assert files(tmp_path / "T") == files(tmp_path / "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"T", "whole"}


def test_parts_of_another_pomdp_are_not_taken_up(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Build(pomdp, LAMBDAS, Counting(most=2), resolution=8).run(tmp_path / "T")
    for changed in (replace(pomdp, p_weak=0.8), replace(pomdp, cells=pomdp.cells[:, ::-1].copy())):
        other = Counting()
        Build(changed, LAMBDAS, other, resolution=8).run(tmp_path / "T")
        assert other.solved == LAMBDAS


def test_a_build_that_fails_at_once_leaves_nothing(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    for lambdas, solver in (([], ExactSolver()), ([-1.0], ExactSolver()), ([0.001], ExactSolver(gap=1e-15))):
        with pytest.raises(InputError):
            Build(pomdp, lambdas, solver).run(tmp_path / "T")
    assert not list(tmp_path.iterdir())


def test_two_builds_of_one_table_do_not_meet(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    build = Build(pomdp, LAMBDAS, ExactSolver(), resolution=4)

    def again(_: object) -> None:
        with pytest.raises(InputError, match="another build"):
            build.run(tmp_path / "T")

    build.run(tmp_path / "T", on_solved=again)
    assert PolicyTable.load(tmp_path / "T").index(0.006) == 2


def test_a_build_that_is_killed_goes_on_to_the_same_bytes(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    """The command line, 200 lambdas, kill -9, the same command again."""
    _write_inputs(pomdp, tmp_path)
    command = _command(tmp_path)
    process = subprocess.Popen([*command, "--out", str(tmp_path / "T")], stderr=subprocess.DEVNULL)
    parts = _wait_for_parts(tmp_path, process, at_least=20)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "T").exists()
    assert len(list(parts.glob("*/part.json"))) < 200
    done = subprocess.run([*command, "--out", str(tmp_path / "T"), "--json"], check=True, capture_output=True)
    assert len(json.loads(done.stdout)["policies"]) == 200
    subprocess.run([*command, "--out", str(tmp_path / "U")], check=True, capture_output=True)
    assert files(tmp_path / "T") == files(tmp_path / "U")
    assert not list(tmp_path.glob(".T.building-*"))


def _write_inputs(pomdp: RoutingPOMDP, folder: Path) -> None:
    centres = (np.arange(10) + 0.5) / 10
    points = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    arrays = {f"S{k}_probs": pomdp.cells[k].ravel() for k in range(3)} | {f"S{k}_points": points for k in range(3)}
    np.savez(folder / "cells.npz", **arrays)
    (folder / "h.json").write_text(json.dumps({"h": pomdp.hazard.tolist()}))


def _command(folder: Path) -> list[str]:
    options = ["--observation-cells", str(folder / "cells.npz"), "--p-weak", "0.85", "--p-strong", "0.97"]
    options += ["--hazard", f"{folder / 'h.json'}:h", "--tokens", "20:0.4,60:0.6", "--lambda"]
    options += [f"{0.0001 * i:.4f}" for i in range(1, 201)]
    return [sys.executable, "-m", "inference", "tables", "build", *options]


def _wait_for_parts(folder: Path, process: "subprocess.Popen[bytes]", *, at_least: int) -> Path:
    while process.poll() is None:
        for parts in folder.glob(".T.building-*"):
            if len(list(parts.glob("*/part.json"))) >= at_least:
                return parts
        time.sleep(0.002)
    raise AssertionError(f"the build ended before {at_least} lambdas were seen ({sorted(folder.iterdir())})")
