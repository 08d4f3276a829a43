"""The report: one HTML page that holds everything, and its pictures beside it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from inference.evaluate import page_tables
from inference.evaluate.episodes_shown import episodes_shown
from inference.evaluate.figures import published_figure
from inference.evaluate.page_tables import span
from inference.evaluate.published import PublishedBenchmark
from inference.evaluate.report_figures import beside_figure, published_gains_figure, seeds_of
from inference.evaluate.side_by_side import LabelledStudy
from inference.evaluate.study import Study
from inference.evaluate.sweeps import BUDGETS, TARGETS
from kde.artefact import replace_file
from kde.report.document import NOT_REACHED, Document, marked
from planner.policies.offer import artefact_places
from planner.regions import regions_figure
from planner.table import TABLE, PolicyTable

_HASH = re.compile("[0-9a-f]{64}")
_STEPS = (1, 3, 5, 10)
_MOST_LAMBDAS = 4


def write_page(
    studies: Sequence[LabelledStudy],
    beside: Mapping[str, Any] | None,
    published: Sequence[PublishedBenchmark],
    tables: Path | None,
    directory: Path,
) -> list[Path]:
    """Write `index.html` and the PNGs; return their paths.

    Args:
        studies: the one that the page is of, and those that stand beside it.
        beside: the `side_by_side` of these, where there are several.
        published: released sweeps, which stand beside it too.
        tables: folder of what the first study was decided from, if it is at hand.
        directory: is made if it is not there.

    Raises:
        InputError: a study is not finished.
    """
    first = studies[0]
    page, summary = Document(), first.summary
    lead = f"{summary['problems']} problems, {seeds_of(summary)}; brackets are 95 % bootstrap intervals over problems"
    page.title("What stepwise routing costs for what it gains", lead)
    page_tables.in_short(page, summary)
    opening = len(page.sections)
    page_tables.costs(page, summary)
    page_tables.policies(page, summary)
    page_tables.times(page, summary)
    page_tables.interventions(page, summary)
    page_tables.overhead(page, summary)
    _regions(page, first.study, tables)
    if beside is not None:
        _beside(page, studies, beside)
    if published:
        _published(page, summary, published)
    _viewer(page)
    page.sections.insert(opening, _contents(page))
    directory.mkdir(parents=True, exist_ok=True)
    content = {f"{name}.png": png for name, png in page.pictures.items()}
    content["index.html"] = _html(page, episodes_shown(first.study)).encode()
    for name, written in content.items():
        replace_file(directory / name, written)
    return [directory / name for name in content]


def _html(page: Document, episodes: Sequence[Mapping[str, Any]]) -> str:
    own = files("inference.evaluate")
    packed = json.dumps(episodes, allow_nan=False).replace("</", "<\\/")
    return Template((own / "page.html").read_text()).substitute(
        body=page.body, episodes=packed, script=(own / "viewer.js").read_text()
    )


def _contents(page: Document) -> str:
    links = (f'<a href="#{anchor}">{marked(text)}</a>' for anchor, text in page.headings.items())
    return f"<nav>{' '.join(links)}</nav>"


def _regions(page: Document, study: Study, folder: Path | None) -> None:
    """Where each table that the study was decided from regenerates."""
    page.heading("Policy regions")
    deciding = study.plan.planner
    drawn = False
    for table in map(PolicyTable.load, () if folder is None else artefact_places(folder)[TABLE]):
        lambdas = [entry.lam for entry in table.entries if deciding.get(f"pomdp:{entry.lam!r}") == table.content_hash]
        if not lambdas:
            continue
        some = np.unique(np.linspace(0, len(lambdas) - 1, _MOST_LAMBDAS).round().astype(int))
        steps = [step for step in _STEPS if step < table.pomdp.max_steps] or [1]
        figure = regions_figure(table, steps=steps, lambdas=[lambdas[place] for place in some])
        description = "where a proposal is regenerated, by belief, step and price"
        page.picture(f"regions_{table.content_hash[:8]}", figure, description)
        drawn = True
    page.paragraph(
        "Each triangle holds all beliefs over the three classes. The darker, the longer a proposal may be and still be worth rewriting."
        if drawn
        else "Not drawn: no table at hand is one that this study was decided from; `trim report --tables` names a folder of them."
    )


def _beside(page: Document, studies: Sequence[LabelledStudy], found: Mapping[str, Any]) -> None:
    """The same families in several studies (the paper's tables of generalisation and of robustness)."""
    labels = [one["label"] for one in found["studies"]]
    page.heading("Side by side")
    paired = [one["label"] for one in found["studies"] if one["paired"]]
    page.paragraph(
        f"Differences are to {labels[0]}, with 95 % bootstrap intervals over problems"
        + (f"; {' and '.join(paired)} solved the same problems, so that their resamples are paired." if paired else ".")
        + " c and PGR are of each study's own two models."
    )
    if found["what_differs"]:
        page.table(
            ("what differs", *labels), [(name, *map(_plain, told)) for name, told in found["what_differs"].items()]
        )
    if not found["families"]:
        page.paragraph("No family of policies is in two of these studies.")
        return
    page.picture("side_by_side", beside_figure(studies), "gap recovered against cost by family, one line a study")
    rows = list(_with_differences(found, labels[0]))
    page.table(
        ("family", "study", *(f"CPT {target:.0%}" for target in TARGETS), "delta-IBC"),
        [
            (
                *names,
                *(span(value, 100, f"{sign}.1f") for value in row["cpt"].values()),
                span(row["delta_ibc"], 1, f"{sign}.2f"),
            )
            for *names, row, sign in rows
        ],
    )
    page.table(
        ("family", "study", *(f"PGR at c = {c:.0%}" for c in BUDGETS)),
        [
            (*names, *(span(value, 100, f"{sign}.1f") for value in row["budgeted_pgr"].values()))
            for *names, row, sign in rows
        ],
    )
    if found["in_one_study_only"]:
        page.paragraph(f"In one of the studies only: {', '.join(found['in_one_study_only'])}.")


def _with_differences(found: Mapping[str, Any], first: str) -> Iterator[tuple[str, str, Mapping[str, Any], str]]:
    """Family, study, metrics and how they are signed; each difference follows its study."""
    for row in (*found["families"], *found["query_level"]):
        yield row["family"], row["study"], row, ""
        if row["difference"] is not None:
            yield "", f"{row['study']} less {first}", row["difference"], "+"


def _published(page: Document, summary: Mapping[str, Any], published: Sequence[PublishedBenchmark]) -> None:
    page.heading("Published by the paper's authors")
    page.paragraph(
        "Other models and problems than this study's, on the scale that they share. Only means were published: no intervals."
    )
    description = "gap recovered against cost: this study's families, and the authors' released sweeps"
    page.picture("beside_published", published_gains_figure(summary, published), description)
    for benchmark in published:
        page.picture(f"published_{benchmark.name}", published_figure(benchmark), "the authors' released sweeps")
        page.table(
            (
                f"published: {benchmark.name}",
                *(f"CPT {target:.0%}, strong tokens" for target in TARGETS),
                "delta-IBC",
                *(f"accuracy at c = {c:.0%}" for c in BUDGETS),
            ),
            [
                (
                    sweep.family,
                    *(NOT_REACHED if n is None else f"{n:.1f}" for n in map(sweep.cpt_tokens, TARGETS)),
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


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and _HASH.fullmatch(value):
        return value[:12]  # as much as people compare
    return NOT_REACHED if value is None else str(value)
