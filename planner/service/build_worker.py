"""`python -m planner.service.build_worker TABLE LAMBDA GAP OUT`: solve one more lambda for the POMDP behind a table.

Runs in a process of its own, so that decisions do not wait for it and cancelling is killing. Standard output tells the stages as JSON
lines; when standard input ends, the parent is gone and so is this process.
"""

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kde.artefact import TOOL
from kde.errors import TrimError
from planner.exact import solve_exact
from planner.table import PolicyTable, tabulate


def build(place: Path, lam: float, gap: float, out: Path) -> None:
    """Solve and write the new table, telling the stages.

    Raises:
        TrimError: the table cannot be read, or the solver cannot do it.
    """
    table = PolicyTable.load(place)
    _tell({"stage": "solving"})
    solutions = solve_exact(table.pomdp, [lam], gap=gap)
    _tell({"stage": "writing"})
    parameters = {"solver": "exact", "gap": gap}
    origin = {"tool": TOOL, "inputs": {"table": {"content_hash": table.content_hash}}, "parameters": parameters}
    built = tabulate(table.pomdp, solutions, resolution=table.resolution, provenance=origin)
    _tell({"stage": "done", "table_hash": built.save(out)})


def main() -> None:
    """Build what the arguments say; an error is the last line told."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    place, lam, gap, out = sys.argv[1:]
    try:
        build(Path(place), float(lam), float(gap), Path(out))
    except TrimError as error:
        _tell({"error": str(error)})
        sys.exit(2)


def _leave_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


def _tell(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
