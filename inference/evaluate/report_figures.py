"""The report's pictures: cost against accuracy, and how often M_s is asked."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inference.evaluate.figures import draw_ends
from inference.evaluate.summary import ROUNDS
from inference.evaluate.sweeps import Ends

_LOOKS = tuple(
    zip(
        ("#0b6e99", "#d1495b", "#66a182", "#edae49", "#8d5a97", "#3d5a80", "#9a8c98", "#bc6c25"),
        ("o", "s", "^", "v", "D", "P", "X", "<"),
        strict=True,
    )
)
_GREY = "#5b5f66"


def cost_figure(summary: Mapping[str, Any]) -> Figure:
    """Every family of step-level policies, with 95 % intervals, over what query-level routers can reach."""
    figure = Figure(figsize=(11, 6.6), dpi=140, layout="constrained")
    axes = figure.add_subplot()
    ends = ends_of(summary)
    draw_ends(axes, ends)
    if summary["query_level"] is not None:
        region = summary["query_level"]["oracle_region"]
        cost = np.array(region["c"]) * ends.strong_tokens
        label = "all that query-level routers can do"
        axes.fill_between(cost, region["worst"], region["best"], color=_GREY, alpha=0.10, label=label)
    for family, look in zip(summary["families"], cycle(_LOOKS), strict=False):
        members = [row for row in summary["policies"] if row["policy"] in family["members"]]
        _draw_family(axes, family["family"], members, *look)
    axes.set_title(
        f"Cost against accuracy, {summary['problems']} problems, {len(summary['seeds'])} seeds (bars: 95 % intervals)",
        loc="left",
    )
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def rounds_figure(summary: Mapping[str, Any]) -> Figure:
    """In how many episodes M_s is asked never, once, twice, three times, more often."""
    rows = [row for row in summary["policies"] if row["policy"] not in {"weak", "strong"}]
    figure = Figure(figsize=(9, 0.8 + 0.26 * len(rows)), dpi=140, layout="constrained")
    axes = figure.add_subplot()
    left = np.zeros(len(rows))
    shades = ("#e8e8e8", "#9ecae1", "#4292c6", "#2171b5", "#08306b")
    for rounds, shade in zip(ROUNDS, shades, strict=True):
        share = np.array([row["interventions"][rounds] for row in rows])
        axes.barh(range(len(rows)), share, left=left, color=shade, label=rounds, height=0.8)
        left += share
    axes.set_yticks(range(len(rows)), [row["policy"] for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("share of episodes")
    axes.legend(ncols=len(ROUNDS), loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, title="steps by M_s")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def ends_of(summary: Mapping[str, Any]) -> Ends:
    """The two models alone."""
    alone = {row["policy"]: row for row in summary["policies"] if row["policy"] in {"weak", "strong"}}
    return Ends(
        alone["weak"]["accuracy"]["value"],
        alone["strong"]["accuracy"]["value"],
        alone["strong"]["strong_tokens"]["value"],
    )


def _draw_family(axes: Axes, name: str, rows: Sequence[Mapping[str, Any]], colour: str, marker: str) -> None:
    rows = sorted(rows, key=lambda row: row["strong_tokens"]["value"])
    cost, accuracy = ([row[metric]["value"] for row in rows] for metric in ("strong_tokens", "accuracy"))
    bars = [
        np.array(
            [
                [row[metric]["value"] - row[metric]["low"] for row in rows],
                [row[metric]["high"] - row[metric]["value"] for row in rows],
            ]
        )
        for metric in ("strong_tokens", "accuracy")
    ]
    axes.errorbar(
        cost,
        accuracy,
        xerr=bars[0].clip(0),
        yerr=bars[1].clip(0),
        color=colour,
        alpha=0.3,
        linewidth=1,
        linestyle="none",
    )
    axes.plot(cost, accuracy, color=colour, marker=marker, markersize=5, linewidth=1.5, label=name, zorder=3)
