"""A picture of policies: which steps are worth regenerating at every belief, on the triangle of beliefs."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.tri import Triangulation

from kde.errors import InputError
from kde.samples import Array
from planner.lattice import lattice
from planner.table import PolicyTable

_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
"""Where S0, S1 and S2 are drawn."""
_NAMES = ("S0", "S1", "S2")
_MEANINGS = "S0: every step right     S1: derailed     S2: newest step wrong"


def draw_regions(table: PolicyTable, path: Path, *, steps: Sequence[int], lambdas: Sequence[float]) -> None:
    """Draw `regions_figure` as PNG.

    Raises:
        InputError: a step is outside 1..T.
        UnknownPolicyError: the table was not built for a lambda.
    """
    figure = regions_figure(table, steps=steps, lambdas=lambdas)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, format="png")


def regions_figure(table: PolicyTable, *, steps: Sequence[int], lambdas: Sequence[float]) -> Figure:
    """One triangle a lambda (rows) and step (columns), and the last step.

    Colours say up to which length a proposal is regenerated, by the table's own token bins.

    Raises:
        InputError: a step is outside 1..T.
        UnknownPolicyError: the table was not built for a lambda.
    """
    for step in steps:
        if not 1 <= step <= table.pomdp.max_steps:
            remedy = f"steps are 1 to {table.pomdp.max_steps}"
            raise InputError("tables show", field="step", value=step, remedy=remedy)
    counts, prices = _bins(table)
    shades = mpl.colormaps["YlGnBu"](np.linspace(0.85, 0.25, len(counts)) if len(counts) > 1 else [0.6])
    colours = [(0.93, 0.93, 0.93, 1.0), *map(tuple, shades[::-1])]
    columns = [*((f"step {step}", step - 1, 0) for step in steps), ("final step", table.pomdp.max_steps - 1, 1)]
    figure = Figure(figsize=(2.3 * len(columns), 2.25 * len(lambdas) + 1.0), layout="constrained")
    axes = figure.subplots(len(lambdas), len(columns), squeeze=False)
    for row, lam in zip(axes, lambdas, strict=True):
        surface = table.break_even[table.index(lam)]
        for place, (title, step, final) in zip(row, columns, strict=True):
            _draw_triangle(place, surface[step, final], prices, colours, table.resolution)
            if place in axes[0]:
                place.set_title(title, fontsize=10, pad=14)
        row[0].text(-0.2, 0.42, f"λ = {lam:g}", fontsize=10, rotation=90, ha="center", va="center")
    figure.suptitle("Where a proposal is regenerated", fontsize=12)
    keys = [Patch(facecolor=colours[0], edgecolor="0.6", label="continue")]
    keys += [Patch(facecolor=colours[i + 1], label=label) for i, label in enumerate(_labels(counts))]
    figure.legend(
        handles=keys,
        loc="outside lower center",
        ncols=max(2, len(columns) // 2),
        frameon=False,
        fontsize=9,
        title=_MEANINGS,
    )
    return figure


def _bins(table: PolicyTable) -> tuple[Array, Array]:
    """Token bins by ascending price: weak counts and expected strong tokens, both [n_bins]; bins of equal price are one."""
    tokens = table.pomdp.tokens
    dearest = {tokens.expected_strong(count): count for count in sorted(tokens.counts)}
    return np.array(list(dearest.values())), np.array(list(dearest))


def _labels(counts: Array) -> list[str]:
    if len(counts) == 1:
        return [f"regenerate ({counts[0]:.3g} tokens)"]
    return [f"regenerate up to {count:.3g} tokens" for count in counts[:-1]] + ["regenerate all"]


def _draw_triangle(
    axes: Axes, surface: Array, prices: Array, colours: list[tuple[float, ...]], resolution: int
) -> None:
    """Colour the beliefs by how many token bins are worth their price there."""
    x, y = (lattice(resolution) @ _CORNERS).T
    levels = [min(surface.min(), prices[0]) - 1, *prices, max(surface.max(), prices[-1]) + 1]
    axes.tricontourf(Triangulation(x, y), surface, levels=levels, colors=colours)
    outline = np.vstack([_CORNERS, _CORNERS[:1]])
    axes.plot(outline[:, 0], outline[:, 1], color="0.3", linewidth=0.8)
    for corner, name, (dx, dy, align) in zip(
        _CORNERS, _NAMES, ((-0.02, -0.09, "right"), (0.02, -0.09, "left"), (0.0, 0.03, "center")), strict=True
    ):
        axes.text(corner[0] + dx, corner[1] + dy, name, ha=align, fontsize=8)
    axes.set_aspect("equal")
    axes.axis("off")
