"""How `trim tables` speaks of a table and of what is to be said about it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kde.terminal import print_json, print_table
from planner.diagnostics import Finding
from planner.table import PolicyEntry, PolicyTable


def entry_document(entry: PolicyEntry) -> dict[str, Any]:
    """One policy as JSON values."""
    return {
        "lambda": entry.lam,
        "policy": f"pomdp:{entry.lam!r}",
        "value": entry.value,
        "lower": entry.lower,
        "upper": entry.upper,
        "gap": entry.gap,
    }


def finding_documents(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Diagnostics as JSON values."""
    documents = [asdict(finding) for finding in findings]
    return [{"kind": d["kind"], "lambda": d["lam"], "message": d["message"]} for d in documents]


def print_findings(findings: Sequence[Finding]) -> None:
    """Warnings on standard error, one a line."""
    for finding in findings:
        sys.stderr.write(f"warning: {finding.message}\n")


def report(
    directory: Path,
    table: PolicyTable,
    findings: Sequence[Finding],
    *,
    as_json: bool,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Print a table's policies and diagnostics."""
    if as_json:
        policies = [entry_document(entry) for entry in table.entries]
        document = {"table": str(directory), "content_hash": table.content_hash, "policies": policies}
        print_json({**document, "diagnostics": finding_documents(findings), **(extra or {})})
        return
    rows = [(f"pomdp:{e.lam!r}", e.value, e.lower, e.upper, f"{e.gap:.1e}") for e in table.entries]
    print_table(f"Policy table in {directory}", ("policy", "value", "lower", "upper", "gap"), rows)
    for name, value in (extra or {}).items():
        sys.stdout.write(f"{name}: {value}\n")
    print_findings(findings)
