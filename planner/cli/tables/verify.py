"""`trim tables verify`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from kde.terminal import AsJson, print_json, print_table
from planner.cli.tables.report import entry_document, finding_documents, print_findings
from planner.rehearsal import Estimate
from planner.table import PolicyTable
from planner.verify import Report, Verdict
from planner.verify import verify as check


def verify(
    table: Path,
    *,
    episodes: Annotated[int, Parameter(help="simulated episodes a policy")] = 50_000,
    seed: Annotated[int, Parameter(help="of the simulation")] = 0,
    as_json: AsJson = False,
) -> None:
    """Check a table: solve every lambda again, simulate its policies, and report what they cost and gain.

    The exit status is 1 where a claim does not hold: bounds that exclude each other, or a simulated value more than three standard
    errors away.
    """
    loaded = PolicyTable.load(table)
    found = check(loaded, episodes=episodes, seed=seed)
    if as_json:
        print_json({"table": str(table), "content_hash": loaded.content_hash, **_document(found)})
    else:
        _print(table, found)
    if not found.holds:
        sys.exit(1)


def _document(found: Report) -> dict[str, Any]:
    cpt = found.curve.cpt(0.95)
    return {
        "holds": found.holds,
        "policies": [_verdict(verdict) for verdict in found.verdicts],
        "weak_accuracy": found.weak,
        "strong_accuracy": found.strong,
        "strong_alone_tokens": found.strong_alone_tokens,
        "cpt_95": cpt if cpt < float("inf") else None,
        "delta_ibc": found.curve.delta_ibc(),
        "diagnostics": finding_documents(found.findings),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    planned, in_use = verdict.planned.returns, verdict.in_use
    return {
        **entry_document(verdict.claimed),
        "solved_again": {
            "lower": verdict.solved.lower,
            "upper": verdict.solved.upper,
            "agrees": verdict.bounds_agree,
            "largest_break_even_difference": verdict.largest_difference,
        },
        "simulated": {**asdict(planned), "within_3_standard_errors": verdict.simulation_agrees},
        "in_use": {
            "accuracy": asdict(in_use.accuracy),
            "strong_tokens": asdict(in_use.strong_tokens),
            "c": asdict(in_use.c),
            "pgr": asdict(in_use.pgr),
            "interventions": in_use.interventions,
        },
    }


def _print(directory: Path, found: Report) -> None:
    rows = [
        (
            f"{v.claimed.lam!r}",
            v.claimed.value,
            f"{v.solved.value:.6f}" + ("" if v.bounds_agree else " NO"),
            _shown(v.planned.returns) + ("" if v.simulation_agrees else " NO"),
            f"{v.in_use.c.value:.4f}",
            f"{v.in_use.pgr.value:.3f}",
            f"{v.in_use.accuracy.value:.4f}",
        )
        for v in found.verdicts
    ]
    columns = ("lambda", "value", "solved again", "simulated", "c", "PGR", "accuracy")
    print_table(f"Policy table in {directory}, checked", columns, rows)
    sys.stdout.write(
        f"M_w alone {found.weak:.4f}, M_s alone {found.strong:.4f}; CPT(95 %) {found.curve.cpt(0.95):.4f}, "
        f"delta-IBC {found.curve.delta_ibc():.3f}; every claim holds: {'yes' if found.holds else 'NO'}\n"
    )
    print_findings(found.findings)


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} ± {estimate.standard_error:.4f}"
