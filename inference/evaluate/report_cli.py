"""`trim report`: what policies cost for what they gain."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from inference.evaluate.published import PublishedBenchmark, read_published
from inference.evaluate.side_by_side import LabelledStudy, side_by_side
from inference.evaluate.sweeps import BUDGETS, TARGETS, Sweep
from kde.errors import InputError
from kde.terminal import AsJson, print_json, print_lines, print_table

app = App(
    name="report",
    help_epilogue="""\
Examples:
  trim report runs/study --out report
  trim report runs/study --beside noisy=runs/noisy elsewhere=runs/elsewhere --out report
  trim report --published ../shared/data/sweeps --json""",
)


@app.default
def report(
    study: Annotated[Path | None, Parameter(help="directory that `trim evaluate` wrote")] = None,
    *,
    beside: Annotated[
        tuple[str, ...], Parameter(consume_multiple=True, negative="", help="LABEL=STUDY of others to stand beside it")
    ] = (),
    label: Annotated[
        str | None, Parameter(help="what the first study is called then; its directory's name by default")
    ] = None,
    published: Annotated[
        Path | None, Parameter(help="folder with the sweeps that the paper's authors released")
    ] = None,
    tables: Annotated[
        Path | None, Parameter(help="folder of tables whose regions are drawn; the study's own unless given")
    ] = None,
    out: Annotated[Path | None, Parameter(help="folder for the page and the pictures")] = None,
    as_json: AsJson = False,
) -> None:
    """Report a study as one page, or measure released sweeps; with both, the released ones stand beside the study's."""
    if study is None and (published is None or beside):
        raise InputError("report", field="study", value=None, remedy="name a study's directory, --published, or both")
    benchmarks = [] if published is None else read_published(published)
    if study is not None:
        named = {label or study.resolve().name: study}
        for text in beside:
            named |= _named(text, named)
        studies = [LabelledStudy.load(name, directory) for name, directory in named.items()]
        own = study / "planner"
        tables = tables or (own if own.is_dir() else None)
        _report_studies(studies, benchmarks, tables, out or study / "report", as_json=as_json)
        return
    pictures = [] if out is None else _draw(benchmarks, out)
    if as_json:
        print_json({"published": [_document(b) for b in benchmarks], "pictures": [str(path) for path in pictures]})
        return
    for benchmark in benchmarks:
        _show(benchmark)
    print_lines(f"Picture: {path}" for path in pictures)


def _named(text: str, taken: Mapping[str, Path]) -> dict[str, Path]:
    """A study of `--beside`.

    Raises:
        InputError: it has no label, or one that another has.
    """
    name, equals, directory = text.partition("=")
    if not name or not equals or not directory:
        raise InputError("report", field="--beside", value=text, remedy="write LABEL=STUDY, such as noisy=runs/noisy")
    if name in taken:
        raise InputError(
            "report", field="--beside", value=text, remedy=f"{taken[name]} is called {name}: choose another label"
        )
    return {name: Path(directory)}


def _report_studies(
    studies: Sequence[LabelledStudy],
    benchmarks: Sequence[PublishedBenchmark],
    tables: Path | None,
    out: Path,
    *,
    as_json: bool,
) -> None:
    from inference.evaluate.page import write_page  # noqa: PLC0415  matplotlib, only where it draws

    beside = side_by_side(studies) if len(studies) > 1 else None
    written = write_page(studies, beside, benchmarks, tables, out)
    if as_json:
        published = [_document(benchmark) for benchmark in benchmarks]
        files = [str(file) for file in written]
        print_json({"files": files, "study": studies[0].summary, "beside": beside, "published": published})
        return
    if beside is not None:
        _show_beside(beside)
    print_lines(f"Written: {file}" for file in written)


def _show_beside(beside: Mapping[str, Any]) -> None:
    first, budget = beside["studies"][0]["label"], f"{BUDGETS[2]:.0%}"
    rows = []
    for row in beside["families"]:
        told = (_span(row["cpt"]["80%"]), _span(row["budgeted_pgr"][budget]))
        less = "" if row["difference"] is None else _span(row["difference"]["budgeted_pgr"][budget])
        rows.append((row["family"], row["study"], *told, less))
    columns = ("family", "study", "CPT 80%, c %", f"PGR % at c = {budget}", f"less {first}")
    print_table("Side by side, with 95 % intervals over problems", columns, rows)


def _span(value: Mapping[str, float | None]) -> str:
    point, low, high = (
        "-" if value[name] is None else f"{100 * (value[name] or 0):.1f}" for name in ("value", "low", "high")
    )
    return f"{point} [{low}, {high}]"


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
