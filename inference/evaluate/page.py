"""The report: one HTML page that holds everything, and its pictures beside it."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from inference.evaluate.episodes_shown import episodes_shown
from inference.evaluate.figures import published_figure
from inference.evaluate.published import PublishedBenchmark
from inference.evaluate.report_figures import cost_figure, rounds_figure
from inference.evaluate.study import Study
from inference.evaluate.summary import ROUNDS
from inference.evaluate.sweeps import BUDGETS, TARGETS
from kde.artefact import replace_file
from kde.report.document import Document

Span = Mapping[str, float | None]


def write_page(
    study: Study, summary: Mapping[str, Any], published: Sequence[PublishedBenchmark], directory: Path
) -> list[Path]:
    """Write `index.html` and the PNGs; return their paths.

    Raises:
        InputError: the study is not finished.
    """
    page = Document()
    lead = f"{summary['problems']} problems, {len(summary['seeds'])} seeds; brackets are 95 % bootstrap intervals over problems"
    page.title("What stepwise routing costs for what it gains", lead)
    _costs(page, summary)
    _policies(page, summary)
    _overhead(page, summary)
    for benchmark in published:
        _published(page, benchmark)
    _viewer(page)
    directory.mkdir(parents=True, exist_ok=True)
    content = {f"{name}.png": png for name, png in page.pictures.items()}
    content["index.html"] = _html(page, episodes_shown(study)).encode()
    for name, written in content.items():
        replace_file(directory / name, written)
    return [directory / name for name in content]


def _html(page: Document, episodes: Sequence[Mapping[str, Any]]) -> str:
    own = files("inference.evaluate")
    packed = json.dumps(episodes, allow_nan=False).replace("</", "<\\/")
    return Template((own / "page.html").read_text()).substitute(
        body=page.body, episodes=packed, script=(own / "viewer.js").read_text()
    )


def _costs(page: Document, summary: Mapping[str, Any]) -> None:
    page.heading("Cost against accuracy")
    page.picture("costs", cost_figure(summary), "accuracy of every policy against its strong tokens a problem")
    query_level = summary["query_level"]
    families = [*summary["families"], *(query_level["families"] if query_level else [])]
    page.heading("Least cost for a share of the gap")
    page.paragraph(
        "CPT: least share c of the strong tokens of M_s alone at which so much of the accuracy gap between the two models is "
        "recovered, in percent, on the sweep's monotone envelope. delta-IBC: accuracy gained a strong token, relative to M_s alone, "
        "over 100 performance regions."
    )
    page.table(
        (
            "family",
            *(f"CPT {target:.0%}" for target in TARGETS),
            "delta-IBC",
            *(f"accuracy at c = {c:.0%}" for c in BUDGETS),
        ),
        [
            (
                row["family"],
                *(_span(value, 100) for value in row["cpt"].values()),
                _span(row["delta_ibc"], 1, digits=2),
                *(_span(value, 100) for value in row["budgeted_accuracy"].values()),
            )
            for row in families
        ],
    )
    for name, reason in summary["left_out"].items():
        page.paragraph(f"{name} has no row: {reason}.")


def _policies(page: Document, summary: Mapping[str, Any]) -> None:
    page.heading("Every policy")
    page.table(
        ("policy", "right %", "strong tokens", "c %", "PGR %", "IBC %"),
        [
            (
                row["policy"],
                *(
                    _span(row[name], unit)
                    for name, unit in (("accuracy", 100), ("strong_tokens", 1), ("c", 100), ("pgr", 100))
                ),
                "" if row["ibc"] is None else _span(row["ibc"], 100, digits=2),
            )
            for row in summary["policies"]
        ],
    )
    page.heading("How often M_s is asked")
    page.picture("interventions", rounds_figure(summary), "share of episodes by steps that the strong model wrote")


def _overhead(page: Document, summary: Mapping[str, Any]) -> None:
    page.heading("What routing itself takes, a problem")
    page.table(
        (
            "policy",
            "PRM calls",
            "planner ms a decision",
            "weak tokens",
            "discarded",
            "seconds",
            *(f"M_s {r} times" for r in ROUNDS),
        ),
        [
            (
                row["policy"],
                f"{row['prm_calls']:.1f}",
                "" if row["planner_ms"] is None else f"{row['planner_ms']:.2f}",
                f"{row['weak_tokens']:.1f}",
                f"{row['discarded_tokens']:.1f}",
                f"{row['seconds']['value']:.2f}",
                *(f"{share:.1%}" for share in row["interventions"].values()),
            )
            for row in summary["policies"]
        ],
    )
    page.paragraph(
        "Seconds and milliseconds are those of many episodes in flight at once on the machine that ran the study."
    )


def _published(page: Document, benchmark: PublishedBenchmark) -> None:
    page.heading(f"Published by the paper's authors: {benchmark.name}")
    page.paragraph("Other models and other problems than above. Only means were published, so there are no intervals.")
    page.picture(f"published_{benchmark.name}", published_figure(benchmark), "the authors' released sweeps")
    page.table(
        (
            "family",
            *(f"CPT {target:.0%}, strong tokens" for target in TARGETS),
            "delta-IBC",
            *(f"accuracy at c = {c:.0%}" for c in BUDGETS),
        ),
        [
            (
                sweep.family,
                *("not reached" if n is None else f"{n:.1f}" for n in map(sweep.cpt_tokens, TARGETS)),
                f"{sweep.curve.delta_ibc():.2f}",
                *(f"{sweep.accuracy_within(c):.1%}" for c in BUDGETS),
            )
            for sweep in benchmark.sweeps
        ],
    )


def _viewer(page: Document) -> None:
    page.heading("Step by step")
    page.sections.append(
        '<p><label>Policy <select id="policy"></select></label><label>Problem <select id="problem"></select></label>'
        '<span id="classes"></span></p>\n<div id="episode"></div>'
    )


def _span(value: Span, unit: float, *, digits: int = 1) -> str:
    def shown(number: float | None) -> str:
        return "–" if number is None else f"{number * unit:.{digits}f}"  # noqa: RUF001  a dash: not reached

    return f"{shown(value['value'])} [{shown(value['low'])}, {shown(value['high'])}]"
