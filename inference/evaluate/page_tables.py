"""The report's tables of one study."""

from collections.abc import Mapping, Sequence
from typing import Any

from inference.evaluate.report_figures import cost_figure, rounds_figure
from inference.evaluate.summary import ROUNDS
from inference.evaluate.sweeps import BUDGETS, TARGETS
from kde.report.document import NOT_REACHED, Document

Span = Mapping[str, float | None]
_BOUNDS = frozenset({"step oracle", "query oracle", "random"})
"""Families that nobody can run, or would."""


def span(value: Span | None, unit: float, form: str = ".1f") -> str:
    """A number and its interval, in a `form` of numbers."""
    if value is None:
        return NOT_REACHED
    shown = {name: NOT_REACHED if number is None else f"{number * unit:{form}}" for name, number in value.items()}
    return f"{shown['value']} [{shown['low']}, {shown['high']}]"


def in_short(page: Document, summary: Mapping[str, Any]) -> None:
    """The one comparison that most readers come for: who needs how little for how much of the gap."""
    ends = {row["policy"]: row for row in summary["policies"]}
    weak, strong = ends["weak"], ends["strong"]
    page.paragraph(
        f"M_w alone is right on {span(weak['accuracy'], 100)} % of the problems, M_s alone on {span(strong['accuracy'], 100)} % with "
        f"{span(strong['strong_tokens'], 1)} tokens a problem. {_best(summary)}"
    )


def _best(summary: Mapping[str, Any]) -> str:
    told = [_best_at(f"{target:.0%}", summary) for target in sorted(TARGETS)]
    return " ".join(filter(None, told)) or "No step-level policy here recovers half of the gap."


def _best_at(target: str, summary: Mapping[str, Any]) -> str:
    routed, asked = _least(summary["families"], target), _least(_query_level(summary), target)
    if routed is None:
        return ""
    other = "" if asked is None else f"; {asked['family']}, the best router of whole questions, {_needs(asked, target)}"
    return (
        f"For {target} of the gap {routed['family']} needs {_needs(routed, target)} of the tokens of M_s alone{other}."
    )


def _needs(row: Mapping[str, Any], target: str) -> str:
    return f"{span(row['cpt'][target], 100)} %"


def _least(rows: Sequence[Mapping[str, Any]], target: str) -> Mapping[str, Any] | None:
    reached = [row for row in rows if row["family"] not in _BOUNDS and row["cpt"][target]["value"] is not None]
    return min(reached, key=lambda row: float(row["cpt"][target]["value"]), default=None)


def costs(page: Document, summary: Mapping[str, Any]) -> None:
    """Cost-accuracy curves; accuracy within budgets; least cost for a share of the gap."""
    page.heading("Cost against accuracy")
    page.picture("costs", cost_figure(summary), "accuracy of every policy against its strong tokens a problem")
    page.paragraph(
        "Points are policies that were run; bars are 95 % intervals over problems. Routers of whole questions are drawn through what the "
        "tables below have of them."
    )
    families = [*summary["families"], *_query_level(summary)]
    page.heading("Accuracy within a budget")
    page.paragraph("Right answers, in percent, at a cost of at most c times the tokens of M_s alone.")
    page.table(
        ("family", *(f"c = {c:.0%}" for c in BUDGETS)),
        [
            *((row["family"], *(span(value, 100) for value in row["budgeted_accuracy"].values())) for row in families),
            *_absent(summary),
        ],
    )
    page.heading("Least cost for a share of the gap")
    page.paragraph(
        "CPT: least share c of the strong tokens of M_s alone, in percent, at which so much of the accuracy gap between the two models is "
        "recovered, on the sweep's monotone envelope. delta-IBC: accuracy gained a strong token, relative to M_s alone, over 100 "
        f"regions of performance. {NOT_REACHED}: the sweep, or its resamples, do not get there."
    )
    page.table(
        ("family", *(f"CPT {target:.0%}" for target in TARGETS), "delta-IBC"),
        [
            *(
                (
                    row["family"],
                    *(span(value, 100) for value in row["cpt"].values()),
                    span(row["delta_ibc"], 1, ".2f"),
                )
                for row in families
            ),
            *_absent(summary),
        ],
    )


def policies(page: Document, summary: Mapping[str, Any]) -> None:
    """Every policy, and what the PRM is worth to all of them."""
    page.heading("Every policy")
    page.table(
        ("policy", "right %", "strong tokens", "c %", "PGR %", "IBC %"),
        [
            (
                row["policy"],
                *(
                    span(row[name], unit)
                    for name, unit in (("accuracy", 100), ("strong_tokens", 1), ("c", 100), ("pgr", 100))
                ),
                span(row["ibc"], 100, ".2f"),
            )
            for row in summary["policies"]
        ],
    )
    _not_graded(page, summary["ungradable"])
    verifier = summary["verifier"]
    if verifier["auc"] is not None:
        page.paragraph(
            f"The PRM's minimum score of M_w's {verifier['traces']} traces tells right final answers from wrong ones with an AUC-ROC of "
            f"{span(verifier['auc'], 1, '.3f')}; its mean is {span(verifier['least_right'], 1, '.2f')} where the answer is right and "
            f"{span(verifier['least_wrong'], 1, '.2f')} where it is not."
        )


def _not_graded(page: Document, ungradable: Mapping[str, Any]) -> None:
    """Answers that count as wrong because nothing could tell."""
    if ungradable["answers"]:
        told = ", ".join(f"{count} of {policy}" for policy, count in ungradable["by_policy"].items())
        problems = ", ".join(ungradable["problems"])
        page.paragraph(f"Answers that could not be graded count as wrong: {told}. Their problems: {problems}.")


def times(page: Document, summary: Mapping[str, Any]) -> None:
    """Latency and throughput (the paper's Table 3)."""
    page.heading("Latency and throughput")
    page.table(
        ("policy", "right %", "seconds an episode", "95th percentile", "tokens a second"),
        [
            (
                row["policy"],
                span(row["accuracy"], 100),
                span(row["seconds"], 1, ".2f"),
                f"{row['seconds_p95']:.2f}",
                span(row["tokens_per_second"], 1),
            )
            for row in summary["policies"]
        ],
    )
    page.paragraph(
        "As in the paper's Table 3, with intervals. Of one episode among many in flight at once, on the machine that ran the study. Tokens "
        "are those of the answer: what was thrown away counts as time only."
    )


def interventions(page: Document, summary: Mapping[str, Any]) -> None:
    """How often M_s writes a step (the paper's Table 6)."""
    page.heading("Interventions of M_s")
    page.paragraph("As in the paper's Table 6: in how many episodes M_s writes how many steps.")
    page.picture("interventions", rounds_figure(summary), "share of episodes by steps that the strong model wrote")
    page.table(
        ("policy", *(f"{rounds} steps by M_s" for rounds in ROUNDS)),
        [
            (row["policy"], *(f"{share:.1%}" for share in row["interventions"].values()))
            for row in summary["policies"]
            if row["policy"] not in {"weak", "strong"}
        ],
    )


def overhead(page: Document, summary: Mapping[str, Any]) -> None:
    """What routing itself takes."""
    page.heading("What routing itself takes, a problem")
    page.table(
        ("policy", "PRM calls", "planner ms a decision", "weak tokens", "of which discarded"),
        [
            (
                row["policy"],
                f"{row['prm_calls']:.1f}",
                "" if row["planner_ms"] is None else f"{row['planner_ms']:.2f}",
                f"{row['weak_tokens']:.1f}",
                f"{row['discarded_tokens']:.1f}",
            )
            for row in summary["policies"]
        ],
    )
    page.paragraph(
        "A decision's time is the wait that the worker sees: where the models compute on its own processors, most of it is theirs."
    )


def _query_level(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [] if summary["query_level"] is None else list(summary["query_level"]["families"])


def _absent(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A row for every method without numbers, with the reason in their place."""
    return [(name, f"not measured: {reason}") for name, reason in summary["left_out"].items()]
