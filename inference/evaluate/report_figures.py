"""The report's pictures: cost against accuracy, gains against cost in several places, and how often M_s is asked."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inference.evaluate.figures import OTHERS, draw_ends, looks_of
from inference.evaluate.published import PublishedBenchmark
from inference.evaluate.side_by_side import LabelledStudy
from inference.evaluate.summary import ROUNDS
from inference.evaluate.sweeps import Ends
from planner.curves import CostCurve

_GREY = "#5b5f66"
_MOST_COLUMNS = 3
_DASHES = ((0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1)))


def cost_figure(summary: Mapping[str, Any]) -> Figure:
    """Every family with 95 % intervals: step-level policies as points that were run, query-level routers as curves."""
    figure = Figure(figsize=(12.4, 6.6), dpi=140, layout="constrained")
    axes = figure.add_subplot()
    ends = ends_of(summary)
    draw_ends(axes, ends)
    looks = looks_of(family["family"] for family in summary["families"])
    for family in summary["families"]:
        members = [row for row in summary["policies"] if row["policy"] in family["members"]]
        _draw_points(axes, members, ("strong_tokens", "accuracy"), looks[family["family"]], family["family"])
    if summary["query_level"] is not None:
        _draw_query_level(axes, summary["query_level"], ends)
    axes.set_title(
        f"Cost against accuracy, {summary['problems']} problems, {seeds_of(summary)}; bars: 95 % intervals",
        loc="left",
    )
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure


def beside_figure(studies: Sequence[LabelledStudy]) -> Figure:
    """The share of the gap that each family of several studies recovers at each cost, one panel a family, one line a study."""
    counts = Counter(name for one in studies for name in one.families)
    names = [name for name, count in counts.items() if count > 1]
    columns = min(_MOST_COLUMNS, len(names)) if len(names) != 4 else 2  # 2 x 2: no panel stands alone
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(4.1 * columns, 3.2 * rows + 0.6), dpi=140, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    for place, (axes, name) in enumerate(zip(panels, names, strict=False)):
        for one, look in zip(studies, cycle(OTHERS), strict=False):
            members = [row for row in one.summary["policies"] if row["policy"] in one.families.get(name, ())]
            if members:
                _draw_points(axes, members, ("c", "pgr"), look, one.label)
        _gain_axes(axes)
        axes.set_title(name, loc="left", fontsize=10)
        if place % columns:
            axes.set_ylabel("")
        if place + columns < len(names):
            axes.set_xlabel("")
        else:
            axes.tick_params(labelbottom=True)
    handles = {
        label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside upper left", ncols=len(handles), frameon=False)
    return figure


def published_gains_figure(summary: Mapping[str, Any], benchmarks: Sequence[PublishedBenchmark]) -> Figure:
    """This study's families beside the published ones of the same names, on the one scale that different models and problems share."""
    figure = Figure(figsize=(9.6, 5.4), dpi=140, layout="constrained")
    axes = figure.add_subplot()
    looks = looks_of(sweep.family for one in benchmarks for sweep in one.sweeps)
    for family in summary["families"]:
        if family["family"] in looks:
            members = [row for row in summary["policies"] if row["policy"] in family["members"]]
            _draw_points(axes, members, ("c", "pgr"), looks[family["family"]], f"{family['family']}, this study")
    for benchmark, dashes in zip(benchmarks, cycle(_DASHES), strict=False):
        for sweep in benchmark.sweeps:
            label = f"{sweep.family}, published: {benchmark.name}"
            axes.plot(sweep.curve.c, sweep.curve.pgr, color=looks[sweep.family][0], linestyle=dashes, label=label)
    _gain_axes(axes)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def rounds_figure(summary: Mapping[str, Any]) -> Figure:
    """In how many episodes M_s is asked never, once, twice, three times, more often."""
    rows = [row for row in summary["policies"] if row["policy"] not in {"weak", "strong"}]
    figure = Figure(figsize=(9, 1.3 + 0.28 * len(rows)), dpi=140, layout="constrained")
    axes = figure.add_subplot()
    left = np.zeros(len(rows))
    shades = ("#e8e8e8", "#9ecae1", "#4292c6", "#2171b5", "#08306b")
    for rounds, shade in zip(ROUNDS, shades, strict=True):
        share = np.array([row["interventions"][rounds] for row in rows])
        axes.barh(range(len(rows)), share, left=left, color=shade, label=rounds, height=0.8)
        left += share
    axes.set_yticks(range(len(rows)), [row["policy"] for row in rows], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(_percent)
    axes.set_xlabel("share of episodes")
    figure.legend(ncols=len(ROUNDS), loc="outside upper center", frameon=False, title="steps by $M_s$")
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


def seeds_of(summary: Mapping[str, Any]) -> str:
    """How many, in words."""
    count = len(summary["seeds"])
    return "1 seed" if count == 1 else f"{count} seeds"


def _draw_query_level(axes: Axes, query_level: Mapping[str, Any], ends: Ends) -> None:
    """What is on record of a router's curve: its accuracy within each budget, and its cost for each target."""
    region, gap = query_level["oracle_region"], ends.strong_accuracy - ends.weak_accuracy
    cost = np.array(region["c"]) * ends.strong_tokens
    axes.fill_between(
        cost, region["worst"], region["best"], color=_GREY, alpha=0.10, label="all that query-level routers can do"
    )
    shades = ("#1b7f79", "#a6761d", "#4d7c0f", "#7e5aa8", "#b3446c")
    for row, shade, dashes in zip(query_level["families"], cycle(shades), cycle(_DASHES), strict=False):
        reached = [
            (value["value"], float(target.rstrip("%")) / 100)
            for target, value in row["cpt"].items()
            if value["value"] is not None
        ]
        bought = [(float(c.rstrip("%")) / 100, value["value"]) for c, value in row["budgeted_pgr"].items()]
        curve = CostCurve.of(*zip(*reached, *bought, strict=True))
        axes.plot(
            curve.c * ends.strong_tokens,
            ends.weak_accuracy + curve.pgr * gap,
            color=shade,
            linestyle=dashes,
            linewidth=1.1,
            label=row["family"],
        )


def _draw_points(
    axes: Axes, rows: Sequence[Mapping[str, Any]], metrics: tuple[str, str], look: tuple[str, str], label: str
) -> None:
    """Policies of one family by two metrics, cheapest first, with their intervals."""
    colour, marker = look
    rows = sorted(rows, key=lambda row: row[metrics[0]]["value"])
    cost, gain = ([row[metric]["value"] for row in rows] for metric in metrics)
    bars = [
        np.array(
            [
                [row[metric]["value"] - row[metric]["low"] for row in rows],
                [row[metric]["high"] - row[metric]["value"] for row in rows],
            ]
        ).clip(0)
        for metric in metrics
    ]
    axes.errorbar(cost, gain, xerr=bars[0], yerr=bars[1], color=colour, alpha=0.3, linewidth=1, linestyle="none")
    axes.plot(cost, gain, color=colour, marker=marker, markersize=5, linewidth=1.5, label=label, zorder=3)


def _gain_axes(axes: Axes) -> None:
    axes.plot((0, 1), (0, 1), color=_GREY, linewidth=0.8, linestyle=(0, (4, 4)))
    axes.xaxis.set_major_formatter(_percent)
    axes.yaxis.set_major_formatter(_percent)
    axes.set_xlabel("share of the strong tokens of $M_s$ alone, $c$")
    axes.set_ylabel("gap recovered, PGR")
    axes.grid(alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def _percent(value: float, _: object) -> str:
    return f"{value:.0%}"
