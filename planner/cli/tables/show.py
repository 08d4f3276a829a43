"""`trim tables show`."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from kde.terminal import AsJson
from planner.cli.tables.report import report
from planner.table import PolicyTable

_MOST_ROWS = 5
_STEPS = (1, 5, 10, 20)


def show(
    table: Path,
    *,
    out: Annotated[
        Path | None, Parameter(help="PNG file of the policy regions; TABLE/regions.png unless given")
    ] = None,
    step: Annotated[
        list[int] | None, Parameter(consume_multiple=True, negative="", help="steps to draw: 1 5 10 20 unless given")
    ] = None,
    lambdas: Annotated[
        list[float] | None,
        Parameter(name="--lambda", consume_multiple=True, negative="", help="lambdas to draw: at most 5 unless given"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the policies of a table: lambda, value and bounds, and a picture of where each regenerates."""
    from planner.regions import draw_regions  # noqa: PLC0415  only who draws waits for matplotlib

    loaded = PolicyTable.load(table)
    known = [entry.lam for entry in loaded.entries]
    drawn = lambdas or [known[i] for i in np.unique(np.linspace(0, len(known) - 1, _MOST_ROWS).round().astype(int))]
    steps = step or [s for s in _STEPS if s < loaded.pomdp.max_steps] or [1]
    picture = out or table / "regions.png"
    draw_regions(loaded, picture, steps=steps, lambdas=drawn)
    report(table, loaded, (), as_json=as_json, extra={"picture": str(picture)})
