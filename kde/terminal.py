"""How every command speaks: one JSON object for machines, or a table for people; progress on standard error."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object instead of a table.")]


def print_json(document: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output; numbers that JSON does not have are an error."""
    sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    sys.stdout.flush()


def print_lines(lines: Iterable[str]) -> None:
    """Write remarks below a table, one a line."""
    for line in lines:
        sys.stdout.write(f"{line}\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Draw a table; numbers are right-aligned and shown with at most five digits."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  machines do not wait for it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    cells = [[f"{value:.5g}" if isinstance(value, float) else str(value) for value in row] for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(cells) and all(row[index].lstrip("-")[:1].isdigit() or not row[index] for row in cells)
        table.add_column(column, justify="right" if numeric else "left")
    for row in cells:
        table.add_row(*row)
    Console().print(table)


@contextmanager
def live_progress(*below: "RenderableType") -> "Iterator[Progress]":
    """A progress display that leaves standard output to results; tasks carry a field `note`, and what is `below` them is drawn afresh."""
    from rich.console import Console, Group  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415

    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=20)),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=9)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[note]}"),
        console=console,
    )
    try:
        with Live(Group(progress, *below), console=console, refresh_per_second=4):
            yield progress
    finally:
        if not console.is_terminal:
            console.line()  # what a file gets last has no line end
