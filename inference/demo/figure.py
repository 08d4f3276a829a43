"""The demo's picture: cost against accuracy, and the observation densities that the planner reasons with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inference.evaluate.figures import draw_ends
from inference.evaluate.sweeps import Ends
from kde.model import ObservationModel
from kde.report.figures import draw_densities

_FAMILIES = {
    "pomdp": (r"TRIM-POMDP, at each $\lambda$", "#0b6e99", "o"),
    "thr": ("TRIM-Thr, at each threshold", "#d1495b", "s"),
}
_GREY = "#5b5f66"


def draw_report(summary: Mapping[str, Any], model: ObservationModel, path: Path) -> None:
    """Write the picture as PNG."""
    figure = Figure(figsize=(12.5, 6.6), dpi=150, layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(3.1, 1))
    _draw_curves(figure.add_subplot(grid[:, 0]), summary)
    panels = [figure.add_subplot(grid[row, 1]) for row in range(3)]
    draw_densities(figure, panels, model)
    for axes in panels:
        axes.set_ylabel("newest score $r$", fontsize=8)
    panels[-1].set_xlabel("least earlier score $m$", fontsize=8)
    figure.savefig(path)


def _draw_curves(axes: Axes, summary: Mapping[str, Any]) -> None:
    weak, strong = summary["weak"], summary["strong"]
    draw_ends(axes, Ends(weak["accuracy"], strong["accuracy"], strong["strong_tokens"]))
    for row in (weak, strong):
        axes.axhline(row["accuracy"], color=_GREY, linewidth=0.8, alpha=0.5)
    for family, (label, colour, marker) in _FAMILIES.items():
        rows = [row for row in summary["policies"] if row["policy"].partition(":")[0] == family]
        _draw_family(axes, rows, label, colour, marker)
    axes.set_ylim(weak["accuracy"] - 0.07, min(1.0, strong["accuracy"]) + 0.05)
    axes.set_title(
        f"Cost against accuracy on {summary['problems']} fresh lab problems (bars: 95 % intervals)", loc="left"
    )
    axes.legend(loc="lower right", frameon=False)


def _draw_family(axes: Axes, rows: Sequence[Mapping[str, Any]], label: str, colour: str, marker: str) -> None:
    rows = sorted(rows, key=lambda row: row["strong_tokens"])
    cost, accuracy = ([row[name] for row in rows] for name in ("strong_tokens", "accuracy"))
    x_error, y_error = (
        np.abs(np.array([row[f"{name}_interval"] for row in rows]) - np.array([row[name] for row in rows])[:, None]).T
        for name in ("strong_tokens", "accuracy")
    )
    axes.errorbar(cost, accuracy, yerr=y_error, xerr=x_error, color=colour, alpha=0.35, linewidth=1, linestyle="none")
    axes.plot(cost, accuracy, color=colour, marker=marker, markersize=6, linewidth=2, label=label, zorder=3)
    below = marker == "s"
    for row in rows:
        axes.annotate(
            row["policy"].partition(":")[2],
            (row["strong_tokens"], row["accuracy"]),
            xytext=(7, -13) if below else (-7, 8),
            textcoords="offset points",
            ha="left" if below else "right",
            fontsize=8,
            color=colour,
        )
