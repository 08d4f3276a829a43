"""The picture of a learning curve."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from kde.samples import Array
from planner.learn.judge import Judged
from planner.learn.training import CURVE, Training

_WINDOW = 15
"""Iterations that the thick line averages."""
_BLUE, _RED, _GREY = "#0b6e99", "#d1495b", "#5b5f66"


def draw_curve(curve: Array, judged: Judged, training: Training, path: Path) -> None:
    """Write a PNG: mean return of the episodes that were learned from, and the policy's entropy, by iteration."""
    figure = Figure(figsize=(9, 6), dpi=130, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    iterations = np.arange(1, len(curve) + 1)
    returns = curve[:, CURVE.index("return")]
    above.plot(iterations, returns, color=_BLUE, alpha=0.25, linewidth=1)
    above.plot(iterations, _smoothed(returns), color=_BLUE, linewidth=2, label="while learning, actions drawn")
    lines = (
        (judged.optimum.value, _GREY, "-", f"exact optimum: {judged.optimum.value:.4f}"),
        (judged.learned.value, _BLUE, "--", f"learned, greedy: {judged.learned.value:.4f}"),
        (judged.threshold.value, _RED, "-", f"best threshold, {judged.best_threshold:g}: {judged.threshold.value:.4f}"),
    )
    for value, colour, style, label in lines:
        above.axhline(value, color=colour, linestyle=style, linewidth=1.2, label=label)
    spread = judged.optimum.value - judged.threshold.value
    above.set_ylim(bottom=max(float(returns.min()), judged.threshold.value - 2 * spread))
    above.set_ylabel(r"right answers $-\ \lambda\ \cdot$ strong tokens")
    name = {"agg": "TRIM-Agg", "seq": "TRIM-Seq"}[training.learner.value]
    title = rf"{name} at $\lambda$ = {training.lam:g}: {judged.in_short()}"
    above.set_title(title, loc="left")
    above.legend(loc="lower right", frameon=False)
    below.plot(iterations, curve[:, CURVE.index("entropy")], color=_GREY, linewidth=1)
    below.set_yscale("log")
    below.set_ylabel("entropy (nats)")
    below.set_xlabel(f"iteration of {training.settings.episodes:,} episodes")
    for axes in (above, below):
        axes.grid(alpha=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def _smoothed(values: Array) -> Array:
    """Mean of the last `_WINDOW` values, or of as many as there are."""
    sums = np.cumsum(np.r_[0.0, values])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - _WINDOW)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts), dtype=np.float64)
