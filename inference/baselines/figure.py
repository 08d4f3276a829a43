"""Curves of query-level routers, inside the region that knowing the grades allows."""

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

from matplotlib.figure import Figure

from inference.baselines.oracle import oracle_region
from inference.baselines.paired import PairedAnswers
from inference.baselines.query_curve import QueryCurve

_COLOURS = ("#0b6e99", "#d1495b", "#66a182", "#edae49", "#8d5a97")
_GREY = "#5b5f66"


def draw_curves(answers: PairedAnswers, curves: Mapping[str, QueryCurve], path: Path) -> None:
    """Write the picture as PNG."""
    figure = Figure(figsize=(8.5, 5.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    region = oracle_region(answers)
    axes.fill_between(region.c, region.worst, region.best, color=_GREY, alpha=0.12, label="all that routers can do")
    weak, gap = answers.weak_correct.mean(), answers.strong_correct.mean() - answers.weak_correct.mean()
    axes.plot((0, 1), (weak, weak + gap), color=_GREY, linewidth=1, linestyle=(0, (4, 4)), label="random, expected")
    for (name, curve), colour in zip(curves.items(), cycle(_COLOURS), strict=False):
        if name != "random":
            label = f"{name}: AUC {curve.area.value:.3f} [{curve.area.low:.3f}, {curve.area.high:.3f}]"
            axes.plot(curve.c, weak + gap * curve.pgr, color=colour, linewidth=1.8, label=label)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("share of the strong tokens of $M_s$ alone, $c$")
    axes.set_ylabel("right answers")
    axes.set_title(f"Query-level routers on {len(answers)} questions", loc="left")
    axes.legend(loc="lower right", frameon=False)
    axes.grid(alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
