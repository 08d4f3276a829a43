"""What SARSOP prints while it solves: rows of numbers, lower and upper bound among them."""

import re
from dataclasses import dataclass
from pathlib import Path

from planner.sarsop.job import Program

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?inf)"
_COLUMNS = {
    # time, iterations, lower, upper, precision, alpha-vectors, beliefs
    Program.NATIVE: (7, 2),
    # time, trials, backups, lower, upper, precision, alpha-vectors, beliefs
    Program.APPL: (8, 3),
}
_TAIL_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds on the value at the initial belief."""

    lower: float
    upper: float


def last_bounds(log: Path, program: Program) -> Bounds | None:
    """The bounds of the last complete row in a worker's log; None before the first."""
    with log.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, 2) - _TAIL_BYTES))
        text = stream.read().decode(errors="replace")
    columns, place = _COLUMNS[program]
    row = r"[ \t]+".join([_NUMBER] * columns)
    rows = re.findall(rf"^[ \t]*{row}[ \t]*\n", text, re.MULTILINE)
    if not rows:
        return None
    return Bounds(float(rows[-1][place]), float(rows[-1][place + 1]))
