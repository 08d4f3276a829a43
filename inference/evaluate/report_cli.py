"""`trim report`: what policies cost for what they gain."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from inference.evaluate.published import PublishedBenchmark, read_published
from inference.evaluate.study import Study
from inference.evaluate.sweeps import BUDGETS, TARGETS, Sweep
from kde.errors import ArtefactError, InputError
from kde.terminal import AsJson, print_json, print_lines, print_table

app = App(
    name="report",
    help_epilogue="""\
Examples:
  trim report runs/study --out report
  trim report --published ../shared/data/sweeps --json""",
)


@app.default
def report(
    study: Annotated[Path | None, Parameter(help="directory that `trim evaluate` wrote")] = None,
    *,
    published: Annotated[
        Path | None, Parameter(help="folder with the sweeps that the paper's authors released")
    ] = None,
    out: Annotated[Path | None, Parameter(help="folder for the page and the pictures")] = None,
    as_json: AsJson = False,
) -> None:
    """Report a study as one page, or measure released sweeps; with both, the released ones stand beside the study's."""
    if study is None and published is None:
        raise InputError("report", field="study", value=None, remedy="name a study's directory, --published, or both")
    benchmarks = [] if published is None else read_published(published)
    if study is not None:
        _report_study(study, benchmarks, out or study / "report", as_json=as_json)
        return
    pictures = [] if out is None else _draw(benchmarks, out)
    if as_json:
        print_json({"published": [_document(b) for b in benchmarks], "pictures": [str(path) for path in pictures]})
        return
    for benchmark in benchmarks:
        _show(benchmark)
    print_lines(f"Picture: {path}" for path in pictures)


def _report_study(directory: Path, benchmarks: Sequence[PublishedBenchmark], out: Path, *, as_json: bool) -> None:
    from inference.evaluate.page import write_page  # noqa: PLC0415  matplotlib, only where it draws

    study = Study.load(directory)
    path = directory / "summary.json"
    try:
        summary = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        remedy = "finish the study: run the same `trim evaluate` again"
        raise ArtefactError(path, f"cannot be read ({error})", remedy=remedy) from error
    written = write_page(study, summary, benchmarks, out)
    if as_json:
        published = [_document(benchmark) for benchmark in benchmarks]
        print_json({"files": [str(file) for file in written], "study": summary, "published": published})
    else:
        print_lines(f"Written: {file}" for file in written)


def _document(benchmark: PublishedBenchmark) -> dict[str, object]:
    ends = benchmark.sweeps[0].ends
    return {
        "benchmark": benchmark.name,
        "weak_accuracy": ends.weak_accuracy,
        "strong_accuracy": ends.strong_accuracy,
        "strong_alone_tokens": ends.strong_tokens,
        "sweeps": [sweep.document() for sweep in benchmark.sweeps],
    }


def _show(benchmark: PublishedBenchmark) -> None:
    ends, sweeps = benchmark.sweeps[0].ends, benchmark.sweeps
    rows = [
        *((f"CPT {target:.0%}, strong tokens", *(_tokens(sweep, target) for sweep in sweeps)) for target in TARGETS),
        ("delta-IBC", *(f"{sweep.curve.delta_ibc():.3f}" for sweep in sweeps)),
        *((f"accuracy at c = {c:.0%}", *(f"{sweep.accuracy_within(c):.1%}" for sweep in sweeps)) for c in BUDGETS),
    ]
    columns = ("", *(sweep.family for sweep in sweeps))
    print_table(f"Published by the paper's authors: {benchmark.name}", columns, rows)
    alone = f"M_w alone {ends.weak_accuracy:.1%}; M_s alone {ends.strong_accuracy:.1%} at {ends.strong_tokens:.1f} tokens a problem."
    print_lines([alone, "Only means were published: no intervals."])


def _tokens(sweep: Sweep, target: float) -> str:
    tokens = sweep.cpt_tokens(target)
    return "not reached" if tokens is None else f"{tokens:.1f}"


def _draw(benchmarks: Sequence[PublishedBenchmark], out: Path) -> list[Path]:
    from inference.evaluate.figures import published_figure  # noqa: PLC0415  matplotlib, only where it draws

    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for benchmark in benchmarks:
        path = out / f"published_{benchmark.name}.png"
        published_figure(benchmark).savefig(path)
        paths.append(path)
    return paths
