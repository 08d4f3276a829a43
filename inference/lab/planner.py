"""The lab's own planner: the POMDP that its shipped models make, solved for whatever lambda is asked for."""

import tempfile
from pathlib import Path
from typing import Final

from planner.exact import solve_exact
from planner.local import LocalPlanner
from planner.problem import read_problem
from planner.table import PolicyTable, tabulate

PROBLEM_DIRECTORY: Final = Path(__file__).parent / "problem"
_PRICED: Final = {"pomdp", "pomdp-memoryless", "pomdp-online", "oracle"}


def lab_planner(policy: str) -> LocalPlanner:
    """A planner for one policy on the lab; with a table of its lambda, if it has one.

    Raises:
        InputError: the lambda is not a positive number.
    """
    family, _, parameter = policy.partition(":")
    try:
        lam = float(parameter) if family in _PRICED else None
    except ValueError:
        lam = None  # the planner says what it would take
    if lam is None:
        return LocalPlanner(None)
    pomdp, content_hash = read_problem(PROBLEM_DIRECTORY)
    solved = tabulate(pomdp, solve_exact(pomdp, [lam]), provenance={"problem": content_hash})
    with tempfile.TemporaryDirectory(prefix="trim-lab-") as folder:
        solved.save(Path(folder))  # a table has its content hash, which runs go by, from its files
        return LocalPlanner(PolicyTable.load(Path(folder), fetch=Path.read_bytes))
