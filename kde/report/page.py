"""The report: one HTML file that holds everything, and its pictures beside it."""

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, Final

from kde.artefact import replace_file
from kde.evaluate import Evaluation, FilterReport
from kde.filter import DENSITY_FLOOR, FilterKind, describe_filter
from kde.model import ObservationModel
from kde.quality import BINS, CLIP, Estimate, Quality
from kde.report.document import Document
from kde.report.figures import density_figure, reliability_figure, roc_figure
from kde.samples import StepClass

_PAGE: Final = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Observation model</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.lead { color: #555; margin-top: .2rem; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { text-align: left; padding: .25rem 1.1rem .25rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.interval { color: #777; font-size: .9em; }
div.scroll { overflow-x: auto; }
code { font-size: .85rem; overflow-wrap: anywhere; }
</style>
</head>
<body>
$body
</body>
</html>
""")


def write_report(model: ObservationModel, evaluations: Mapping[str, Evaluation], directory: Path) -> list[Path]:
    """Write `index.html`, which holds everything, and its pictures as PNGs; return the paths.

    Args:
        model: an observation model.
        evaluations: of its filters, by the name of the data they were judged on.
        directory: is made if it is not there.
    """
    report = Document()
    _describe_model(report, model)
    for number, (name, evaluation) in enumerate(evaluations.items()):
        _describe_evaluation(report, number, name, evaluation)
    _describe_provenance(report, model)
    directory.mkdir(parents=True, exist_ok=True)
    files = {f"{name}.png": png for name, png in report.pictures.items()}
    files["index.html"] = _PAGE.substitute(body=report.body).encode()
    for name, content in files.items():
        replace_file(directory / name, content)
    return [directory / name for name in files]


def _describe_model(report: Document, model: ObservationModel) -> None:
    _, n_m, n_r = model.cells.shape
    lead = f"{n_m} x {n_r} cells, belief filter {describe_filter(model.filter)}, content hash {model.content_hash[:12]}"
    report.title("Observation model", lead)
    report.heading("What each class looks like to the PRM")
    description = "heatmaps of the observation density of the classes S0, S2 and S1 over m and r"
    report.picture("densities", density_figure(model), description)
    rows = [
        (
            c.key,
            f"{len(s):,}",
            f"{s.effective_count:,.0f}",
            f"{len(set(s.groups.tolist())):,}",
            f"{model.settings['factors'][c.key]:.3f}",
        )
        for c, s in zip(StepClass, model.samples.by_class, strict=True)
    ]
    report.table(("class", "samples", "effective samples", "problems", "bandwidth factor"), rows)
    report.heading("What the newest score tells")
    report.picture("roc", roc_figure(model), "ROC curve of the newest PRM score, S0 against S2")


def _describe_evaluation(report: Document, number: int, name: str, evaluation: Evaluation) -> None:
    report.heading(f"Belief filters on {name}")
    report.paragraph(
        f"{evaluation.traces:,} traces of {evaluation.problems:,} problems. Every filter was tuned on some of the problems and judged on "
        "the others. Intervals are 95 % bootstrap intervals over problems; smaller is better but for the AUC. Likelihoods are floored at a "
        f"density of {DENSITY_FLOOR:g}, probabilities clipped at {CLIP:g} before the logarithm, calibration is measured in {BINS} bins."
    )
    events = _forecasts(evaluation)
    for index, (event, qualities) in enumerate(events.items()):
        title = f"Held-out forecasts that {event}"
        figure = reliability_figure(title, {one: quality.reliability for one, quality in qualities.items()})
        report.picture(f"reliability-{number}-{index}", figure, title)
    columns = ("filter", "forecasts that", "log loss", "Brier score", "AUC", "calibration error", "tuned on all")
    rows = [
        (filter_name, event, *_scores(quality), _tuned(evaluation.filters[filter_name]))
        for event, qualities in events.items()
        for filter_name, quality in qualities.items()
    ]
    report.table(columns, rows)
    for remark in evaluation.remarks:
        report.paragraph(remark)
    report.paragraph(f"Least held-out log loss: {evaluation.default}.")


def _describe_provenance(report: Document, model: ObservationModel) -> None:
    report.heading("Where it comes from")
    report.table(("", ""), [*_flat("settings", model.settings), *_flat("provenance", model.provenance)])


def _forecasts(evaluation: Evaluation) -> dict[str, dict[str, Quality]]:
    """Qualities by event and filter."""
    events: dict[str, dict[str, Quality]] = {}
    for name, one in evaluation.filters.items():
        if one.answer is not None:
            events.setdefault("the answer is right", {})[name] = one.answer
        if one.steps is not None:
            for key, quality in one.steps.by_class.items():
                events.setdefault(f"the class is {key}", {})[name] = quality
    return events


def _scores(quality: Quality) -> tuple[str, ...]:
    return tuple(map(_interval, (quality.log_loss, quality.brier, quality.auc, quality.calibration_error)))


def _interval(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _tuned(one: FilterReport) -> str:
    described = describe_filter(one.tuned.filter)
    return described if one.tuned.filter.kind is FilterKind.MEMORYLESS else f"{described}, p_w {one.tuned.p_weak:.3f}"


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [row for key, entry in value.items() for row in _flat(f"{prefix} / {key}", entry)]
    return [(prefix, str(value))]
