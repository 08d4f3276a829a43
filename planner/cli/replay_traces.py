"""`trim replay traces`: what policies would have escalated on recorded traces of M_w."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kde.cli.sources import LabelOptions, read_labelled
from kde.quality import Estimate
from kde.records import read_records
from kde.terminal import AsJson, print_json, print_lines, print_table
from kde.traces import AnsweredTrace
from planner.policies.catalogue import Catalogue
from planner.policies.offer import Offer
from planner.trace_replay import REFUSED, Escalations, Measure, answered_traces, labelled_traces, replay_traces


def run(
    scores: Annotated[Path, Parameter(help="JSONL of scored traces, as `trim score` writes it")],
    *,
    policy: Annotated[
        tuple[str, ...], Parameter(consume_multiple=True, negative="", help="thr:0.5, pomdp:0.004, ...; several")
    ],
    labels: Annotated[
        str | None, Parameter(help="labelled traces that the scores are of, in ProcessBench's format")
    ] = None,
    prm: Annotated[
        str | None, Parameter(help="which PRM's scores, where the file holds several; with --labels")
    ] = None,
    tables: Annotated[
        Path | None, Parameter(help="a policy table, or a folder of them, for policies that have one")
    ] = None,
    measure: Annotated[
        Measure, Parameter(help="only the first escalation can be known of a recorded trace")
    ] = Measure.FIRST_ESCALATION,
    as_json: AsJson = False,
) -> None:
    """Say which recorded traces of M_w policies would have escalated, and at which step first."""
    if labels is None:
        traces = answered_traces(read_records(scores, AnsweredTrace))
    else:
        traces = labelled_traces(read_labelled(LabelOptions([labels], [scores], prm)).matched)
    catalogue = Catalogue(None) if tables is None else Offer.load(tables).catalogue
    found = [replay_traces(traces, catalogue.get(name), measure=measure) for name in policy]
    if as_json:
        not_known = {refused.value: reason for refused, reason in REFUSED.items()}
        print_json({"policies": [one.document() for one in found], "not_known": not_known})
        return
    rows = [_row(one) for one in found]
    columns = ("policy", "escalated %", "median step", "S0 %", "S1 %", "S2 %", "of right %", "of wrong %")
    print_table(f"First escalations in {len(traces)} traces", columns, rows)
    remarks = ["S0: nothing is wrong yet. S1: an earlier step is. S2: this step is the first error."] * bool(labels)
    print_lines(
        [*remarks, "Accuracy and strong tokens are not on record: after an escalation the rest would be another."]
    )


def _row(found: Escalations) -> tuple[str, ...]:
    classes = [""] * 3 if found.by_class is None else [f"{100 * one.value:.1f}" for one in found.by_class.values()]
    among = (_percent(found.of_right), _percent(found.of_wrong))
    return (found.policy, _percent(found.escalated), _median(found), *classes, *among)


def _median(found: Escalations) -> str:
    steps = [step for step, count in found.by_step.items() for _ in range(count)]
    return str(steps[len(steps) // 2]) if steps else ""


def _percent(value: Estimate | None) -> str:
    return "" if value is None else f"{100 * value.value:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"
