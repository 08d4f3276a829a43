"""Cost against accuracy, drawn."""

from collections.abc import Iterable
from functools import partial
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inference.evaluate.published import PublishedBenchmark
from inference.evaluate.sweeps import Ends, Sweep

_GREY = "#5b5f66"
_LOOKS = {
    "TRIM-POMDP": ("#0b6e99", "o"),
    "TRIM-Thr": ("#d1495b", "s"),
    "step oracle": ("#333333", "^"),
    "random": ("#edae49", "v"),
    "TRIM-Agg": ("#8d5a97", "D"),
    "TRIM-Seq": ("#3d5a80", "P"),
    "One-Step Thr": ("#bc6c25", "<"),
    "hard budget": ("#66a182", "X"),
    "TRIM-POMDP, memoryless": ("#6fb7d6", "h"),
    "RSD": ("#9a8c98", "*"),
}
OTHERS = (("#7f5539", ">"), ("#6a4c93", "p"), ("#386641", "d"), ("#b56576", "H"))
"""Looks of whatever else there is."""


def looks_of(families: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each family: the same ones in every picture."""
    others = cycle(OTHERS)
    return {family: _LOOKS.get(family) or next(others) for family in dict.fromkeys(families)}


def published_figure(benchmark: PublishedBenchmark) -> Figure:
    """The released sweeps of one benchmark."""
    figure = Figure(figsize=(9, 5.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    draw_ends(axes, benchmark.sweeps[0].ends)
    looks = looks_of(sweep.family for sweep in benchmark.sweeps)
    for sweep in benchmark.sweeps:
        draw_sweep(axes, sweep, *looks[sweep.family])
    axes.set_title(f"Published by the paper's authors: {benchmark.name}", loc="left")
    axes.legend(loc="lower right", frameon=False)
    return figure


def draw_ends(axes: Axes, ends: Ends) -> None:
    """The two models alone, the line of mixing them at random, and the axes of both costs."""
    axes.plot(
        (0, ends.strong_tokens),
        (ends.weak_accuracy, ends.strong_accuracy),
        color=_GREY,
        linewidth=1,
        linestyle=(0, (4, 4)),
        label="mixing the two models at random",
    )
    for place, accuracy, name, shift, align in (
        (0.0, ends.weak_accuracy, "$M_w$ alone", (10, -16), "left"),
        (ends.strong_tokens, ends.strong_accuracy, "$M_s$ alone", (-10, 8), "right"),
    ):
        axes.plot(place, accuracy, marker="D", color=_GREY, markersize=8, zorder=4)
        axes.annotate(
            f"{name}: {accuracy:.1%}",
            (place, accuracy),
            xytext=shift,
            textcoords="offset points",
            ha=align,
            color=_GREY,
        )
    share = 1 / ends.strong_tokens
    top = axes.secondary_xaxis("top", functions=(partial(np.multiply, share), partial(np.multiply, 1 / share)))
    top.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    top.set_xlabel("share of the strong tokens of $M_s$ alone, $c$")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.margins(y=0.09)
    axes.set_xlabel("strong tokens a problem")
    axes.set_ylabel("right answers")
    axes.grid(alpha=0.2)
    axes.spines[["right"]].set_visible(False)


def draw_sweep(axes: Axes, sweep: Sweep, colour: str, marker: str) -> None:
    """Every setting as a point, and the monotone envelope that the metrics are read from."""
    cost = [point.strong_tokens for point in sweep.points]
    accuracy = [point.accuracy for point in sweep.points]
    axes.plot(cost, accuracy, linestyle="none", marker=marker, markersize=5, color=colour, alpha=0.8, zorder=3)
    gap = sweep.ends.strong_accuracy - sweep.ends.weak_accuracy
    envelope_cost = sweep.curve.c * sweep.ends.strong_tokens
    envelope_accuracy = sweep.ends.weak_accuracy + sweep.curve.pgr * gap
    label = f"{sweep.family}, each {sweep.parameter.replace('_', ' ')}"
    axes.plot(envelope_cost, envelope_accuracy, color=colour, linewidth=1.8, label=label)
