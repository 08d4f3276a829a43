"""`trim replay`: what other tables would have decided, on a decision log or on recorded traces."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from kde.terminal import AsJson, print_json, print_table
from planner.policies.offer import Offer
from planner.replay import replay

app = App(
    name="replay",
    help_epilogue="""\
Every logged decision is decided again, from the belief carried into it. Strong tokens are the expected ones, at the same price a step
for both sides. Traces of M_w alone are replayed up to the first escalation: what follows it is not on record.

Examples: trim replay decisions --tables new-table
trim replay traces scores.jsonl --labels weak.jsonl --policy thr:0.3 thr:0.5""",
)
app.command("planner.cli.replay_traces:run", name="traces")


@app.default
def run(
    log: Annotated[Path, Parameter(help="file or directory that `trim serve --decision-log` wrote")],
    *,
    tables: Annotated[Path, Parameter(help="a policy table, or a folder of them")],
    policy: Annotated[str | None, Parameter(help="decides everything, instead of the policy that did")] = None,
    as_json: AsJson = False,
) -> None:
    """Replay a decision log against other tables."""
    result = replay(log, Offer.load(tables).catalogue, policy=policy)
    if as_json:
        policies = {name: comparison.document() for name, comparison in result.policies.items()}
        print_json({"policies": policies, "tables": dict(result.tables), "torn_lines": result.torn_lines})
        return
    columns = ("policy", "decisions", "agreement", "c -> r", "r -> c", "strong tokens", "replayed")
    rows = []
    for name, comparison in sorted(result.policies.items()):
        document = comparison.document()
        rows.append([name, *(value for key, value in document.items() if key != "changes_by_step")])
    print_table(f"Decisions of {log}, replayed", columns, rows)
