"""`trim tables budget`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kde.artefact import provenance
from kde.terminal import AsJson, print_json, print_table
from planner.budget import LEVELS, BudgetTable, solve_budget
from planner.table import PolicyTable

_SHOWN = 8


def budget(
    table: Annotated[Path, Parameter(help="policy table whose POMDP is solved")],
    *,
    most: Annotated[float, Parameter(help="largest budget: strong tokens a trace")],
    levels: Annotated[
        int, Parameter(help="buckets that it is cut into; rewrites are rounded up to whole ones")
    ] = LEVELS,
    out: Annotated[Path, Parameter(help="directory of the budget table")],
    as_json: AsJson = False,
) -> None:
    """Solve for hard budgets: the most right answers that at most B strong tokens a trace buy, for every B up to --most.

    Put it beside the tables that `trim serve --tables` serves, and ask for the policy budget:B.
    """
    pomdp = PolicyTable.load(table).pomdp
    asked = provenance({"table": table / "table.json"}, {"most": most, "levels": levels})
    solve_budget(pomdp, most, levels=levels, provenance=asked).save(out)
    solved = BudgetTable.load(out)
    shown = [most * index / _SHOWN for index in range(_SHOWN + 1)]
    if as_json:
        values = {f"{budget:g}": solved.value(budget) for budget in shown}
        print_json({"out": str(out), "content_hash": solved.content_hash, "bucket": solved.bucket, "values": values})
    else:
        rows = [(f"budget:{budget:g}", solved.value(budget)) for budget in shown]
        print_table(f"Right answers that a budget buys at least, in {out}", ("policy", "right answers"), rows)
