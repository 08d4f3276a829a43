"""`trim tables calibrate`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from kde.artefact import replace_file
from kde.terminal import AsJson, print_json, print_table
from planner.build import Build
from planner.calibrate import Calibrated
from planner.calibrate import calibrate as find
from planner.cli.targets import NO_TARGET, TargetOptions
from planner.exact import ExactSolver
from planner.table import PolicyTable


def calibrate(
    table: Path,
    *,
    target: TargetOptions = NO_TARGET,
    episodes: Annotated[int, Parameter(help="simulated episodes a lambda")] = 20_000,
    seed: Annotated[int, Parameter(help="of the simulation")] = 0,
    out: Annotated[Path | None, Parameter(help="also write a table with this lambda beside the others")] = None,
    as_json: AsJson = False,
) -> None:
    """Find the lambda that meets a budget of strong tokens, or a gain, in simulation of a table's POMDP.

    It is written to TABLE/calibration.json with the interval of lambdas that meet the target within the simulation's 95 % interval.
    """
    goal, wanted = target.wanted("tables calibrate")
    loaded = PolicyTable.load(table)
    found = find(loaded.pomdp, goal, wanted, episodes=episodes, seed=seed)
    document = {"table_hash": loaded.content_hash, **_document(found)}
    replace_file(table / "calibration.json", (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())
    if out is not None:
        lambdas = [*(entry.lam for entry in loaded.entries), found.lam]
        calibrated = {"calibrated_from": {"table": loaded.content_hash}}
        Build(loaded.pomdp, lambdas, ExactSolver(), loaded.resolution, calibrated).run(out)
    if as_json:
        print_json(document)
        return
    rows = [
        ("policy", f"pomdp:{found.lam!r}"),
        ("95 % interval of lambda", f"{found.low:.6g} to {found.high:.6g}"),
        ("c", found.rehearsed.c.value),
        ("PGR", found.rehearsed.pgr.value),
        ("accuracy", found.rehearsed.accuracy.value),
    ]
    print_table(f"Calibrated to {goal.value} = {wanted}", ("quantity", "value"), rows)


def _document(found: Calibrated) -> dict[str, Any]:
    done = found.rehearsed
    return {
        "target": found.target.value,
        "wanted": found.wanted,
        "lambda": found.lam,
        "interval": [found.low, found.high],
        "policy": f"pomdp:{found.lam!r}",
        "c": asdict(done.c),
        "pgr": asdict(done.pgr),
        "accuracy": asdict(done.accuracy),
        "strong_tokens": asdict(done.strong_tokens),
        "episodes": found.episodes,
        "seed": found.seed,
    }
