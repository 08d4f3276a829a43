"""The pictures of the report: densities by class, ROC of the PRM, reliability of the belief filters."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from kde.model import ObservationModel
from kde.quality import ReliabilityBin
from kde.roc import roc_curve
from kde.samples import StepClass

_TITLES: Final = {
    StepClass.CORRECT: "S0: every step right",
    StepClass.RECOVERABLE: "S2: only the newest wrong",
    StepClass.DERAILED: "S1: an earlier step wrong",
}
_COLOURS: Final = {"memoryless": "#8a8a8a", "bayes": "#d95f02", "tempered": "#1b5e9e", "as fitted": "#1b9e77"}
_LEAST_DENSITY: Final = 1e-2


def density_figure(model: ObservationModel) -> Figure:
    """Heatmaps of P(m, r | class) on one logarithmic scale (the paper's Figure 5)."""
    figure = Figure(figsize=(11.5, 4.1), layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, 3, sharey=True))
    draw_densities(figure, panels, model)
    for axes in panels:
        axes.set_xlabel("least earlier score $m$")
    panels[0].set_ylabel("newest score $r$")
    return figure


def draw_densities(figure: Figure, panels: Sequence[Axes], model: ObservationModel) -> None:
    """Draw the three classes into three panels, with one colour bar beside them; uniform is 1."""
    density = model.cells * model.cells[0].size
    norm = LogNorm(_LEAST_DENSITY, float(density.max()))
    for axes, (step_class, title) in zip(panels, _TITLES.items(), strict=True):
        shown = density[step_class].clip(min=_LEAST_DENSITY).T
        image = axes.imshow(shown, origin="lower", extent=(0, 1, 0, 1), norm=norm, cmap="viridis")
        axes.set_title(title, fontsize=9)
        axes.set_xticks((0, 0.5, 1))
        axes.set_yticks((0, 0.5, 1))
        axes.tick_params(labelsize=8)
    bar = figure.colorbar(image, ax=list(panels), aspect=30, shrink=0.8, extend="min")
    bar.set_label("observation density $P(m, r\\,|\\,$class$)$", fontsize=8)
    bar.ax.tick_params(labelsize=8)


def roc_figure(model: ObservationModel) -> Figure:
    """How well the newest score alone tells right steps from first wrong ones."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axis = figure.subplots()
    false_alarms, hits, area = roc_curve(
        model.samples.by_class[StepClass.CORRECT], model.samples.by_class[StepClass.RECOVERABLE]
    )
    axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1, linestyle="--")
    axis.plot(false_alarms, hits, color="#1b5e9e", linewidth=2)
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axis.set_xlabel("right steps flagged (S0)")
    axis.set_ylabel("first wrong steps flagged (S2)")
    axis.set_title(f"PRM score of the newest step: AUC {area:.3f}", fontsize=10)
    return figure


def reliability_figure(title: str, filters: Mapping[str, Sequence[ReliabilityBin]]) -> Figure:
    """Forecast against frequency for every filter, with 95 % bars and how the forecasts are spread."""
    figure = Figure(figsize=(3.6 * len(filters) + 0.6, 4.3), layout="constrained")
    panels = figure.subplots(2, len(filters), sharex=True, sharey="row", squeeze=False, height_ratios=(4, 1))
    for (name, bins), upper, lower in zip(filters.items(), panels[0], panels[1], strict=True):
        forecasts = np.array([one.forecast for one in bins])
        frequencies = np.array([one.frequency.value for one in bins])
        reach = np.array(
            [[one.frequency.value - one.frequency.low, one.frequency.high - one.frequency.value] for one in bins]
        )
        colour = _COLOURS.get(name, "#1b5e9e")
        upper.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1, linestyle="--")
        upper.errorbar(
            forecasts,
            frequencies,
            yerr=np.maximum(np.nan_to_num(reach.T), 0),
            color=colour,
            marker="o",
            markersize=4,
            linewidth=1.5,
            capsize=2,
        )
        upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        upper.set_title(name, fontsize=10)
        lower.bar(forecasts, [one.count for one in bins], width=0.06, color=colour)
        lower.set_yscale("log")
        lower.set_xlabel("forecast")
    panels[0][0].set_ylabel("how often it was so")
    panels[1][0].set_ylabel("forecasts")
    figure.suptitle(title, fontsize=11)
    return figure
