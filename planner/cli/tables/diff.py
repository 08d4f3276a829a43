"""`trim tables diff`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from kde.terminal import AsJson, print_json, print_table
from planner.difference import Difference, differences
from planner.rehearsal import Estimate
from planner.table import PolicyTable


def diff(
    first: Path,
    second: Path,
    *,
    episodes: Annotated[int, Parameter(help="simulated episodes a policy")] = 50_000,
    seed: Annotated[int, Parameter(help="of the simulation")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say where two tables decide differently, and what following the other one costs in the POMDP of each."""
    loaded = PolicyTable.load(first), PolicyTable.load(second)
    found = differences(*loaded, episodes=episodes, seed=seed)
    if as_json:
        names = {"first": str(first), "second": str(second)}
        print_json({**names, "policies": [_document(difference) for difference in found]})
        return
    rows = [
        (
            f"{d.lam!r}",
            f"{d.differs.mean():.2%}",
            ", ".join(map(str, _most_different(d))) or "none",
            "-" if d.centre is None else "{:.2f} {:.2f} {:.2f}".format(*d.centre),
            _shown(d.cost_in_first),
            _shown(d.cost_in_second),
        )
        for d in found
    ]
    columns = ("lambda", "differs", "at steps", "mean belief", "loss in first", "in second")
    print_table(f"{first} against {second}", columns, rows)


def _document(difference: Difference) -> dict[str, Any]:
    return {
        "lambda": difference.lam,
        "differs": float(difference.differs.mean()),
        "differs_by_step": difference.differs[:, 0].tolist(),
        "differs_final": float(difference.differs[:, 1].mean()),
        "centre": None if difference.centre is None else difference.centre.tolist(),
        "cost_in_first": asdict(difference.cost_in_first),
        "cost_in_second": asdict(difference.cost_in_second),
    }


def _most_different(difference: Difference) -> list[int]:
    """Up to three steps at which the policies differ most, 1-based."""
    by_step = difference.differs.mean(axis=1)
    return [int(step) + 1 for step in (-by_step).argsort(kind="stable")[:3] if by_step[step] > 0]


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.2g}±{estimate.standard_error:.1g}"
