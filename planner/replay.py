"""Replaying a decision log against other tables: what they would have decided on the same proposals and beliefs.

Every decision is replayed on its own, from the belief that was carried into it: the answer to "what would this table have said there",
not the simulation of whole traces, whose later steps would have been others.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kde.errors import InputError
from planner.decision import Action, Carry, Proposal
from planner.policies.catalogue import Catalogue


@dataclass(slots=True)
class Comparison:
    """Logged against replayed decisions of one policy.

    Attributes:
        decisions: how many.
        changes: (logged, replayed) actions that differ, counted.
        logged_tokens, replayed_tokens: expected strong tokens of the steps that each side regenerates, at the same price a step.
        steps: differing decisions by step index.
    """

    decisions: int = 0
    changes: Counter[tuple[Action, Action]] = field(default_factory=Counter)
    logged_tokens: float = 0.0
    replayed_tokens: float = 0.0
    steps: Counter[int] = field(default_factory=Counter)

    @property
    def agreement(self) -> float:
        """Share of the decisions with the same action; 1 where there is none."""
        return 1 - sum(self.changes.values()) / self.decisions if self.decisions else 1.0

    def document(self) -> dict[str, Any]:
        """For people and machines."""
        return {
            "decisions": self.decisions,
            "agreement": self.agreement,
            "continue_to_regenerate": self.changes[Action.CONTINUE, Action.REGENERATE],
            "regenerate_to_continue": self.changes[Action.REGENERATE, Action.CONTINUE],
            "logged_strong_tokens": self.logged_tokens,
            "replayed_strong_tokens": self.replayed_tokens,
            "changes_by_step": {str(step): count for step, count in sorted(self.steps.items())},
        }


@dataclass(slots=True)
class Replay:
    """A replayed log.

    Attributes:
        policies: the comparison of every policy in the log.
        tables: decisions by the table that made them when they were logged.
        torn_lines: lines that a full disk or a kill cut short.
    """

    policies: dict[str, Comparison] = field(default_factory=dict)
    tables: Counter[str] = field(default_factory=Counter)
    torn_lines: int = 0


def replay(log: Path, catalogue: Catalogue, *, policy: str | None = None) -> Replay:
    """Replay a log file, or all files of a log directory.

    Args:
        log: what `trim serve --decision-log` wrote.
        catalogue: what decides now.
        policy: decides everything, instead of the policy that decided then.

    Raises:
        InputError: there is no log, a line is not one of ours, or the catalogue lacks a policy of the log.
    """
    result = Replay()
    for place, line in _lines(log):
        try:
            document = json.loads(line)
        except ValueError:
            result.torn_lines += 1
            continue
        _replay_line(place, document, catalogue, policy, result)
    return result


def _replay_line(
    place: str, document: dict[str, Any], catalogue: Catalogue, policy: str | None, result: Replay
) -> None:
    try:
        proposal = Proposal(*(document[key] for key in ("step", "m", "r", "tokens", "final")))
        action = Action(document["action"])
        last, belief = document["last_action"], document["last_belief"]
        spent = document.get("last_spent_tokens")  # absent in logs of former versions
        carry = None if last is None else Carry(None if belief is None else tuple(belief), Action(last), spent)
        logged_by, priced = document["policy"], document["expected_strong_tokens"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(place, field="line", value=str(error), remedy="a line of a decision log is wanted") from error
    decided = catalogue.get(policy or logged_by).decide(proposal, carry)
    comparison = result.policies.setdefault(logged_by, Comparison())
    comparison.decisions += 1
    result.tables[document.get("table_hash", "")] += 1
    price = next(p for p in (decided.expected_strong_tokens, priced, float(proposal.tokens)) if p is not None)
    comparison.logged_tokens += price * (action is Action.REGENERATE)
    comparison.replayed_tokens += price * (decided.action is Action.REGENERATE)
    if decided.action is not action:
        comparison.changes[action, decided.action] += 1
        comparison.steps[proposal.step] += 1


def _lines(log: Path) -> Iterator[tuple[str, str]]:
    files = sorted(log.glob("*.jsonl")) if log.is_dir() else [log]
    if not files:
        raise InputError(
            log, field="files", value=[], remedy="name a decision log: a .jsonl file or a directory of them"
        )
    for file in files:
        try:
            with file.open(encoding="utf-8", errors="replace") as stream:
                for number, line in enumerate(stream, start=1):
                    if line.strip():
                        yield f"{file}:{number}", line
        except OSError as error:
            raise InputError(
                log, field="file", value=str(file), remedy=f"it cannot be read ({error.strerror})"
            ) from error
