"""Checking a table from its own description: solve again, simulate, and compare with what it claims."""

from dataclasses import dataclass, replace

import numpy as np

from planner.curves import CostCurve
from planner.diagnostics import Finding, examine
from planner.exact import ExactSolver
from planner.policies.pomdp import TablePolicy
from planner.rehearsal import Rehearsed, Stage, as_planned
from planner.table import PolicyEntry, PolicyTable, surface

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Verdict:
    """One policy of a table against a second opinion.

    Attributes:
        claimed: what the table says.
        solved: what solving again says.
        largest_difference: largest difference of a break-even count from the one solved again, in tokens.
        planned: the policy in the model that was planned with; its returns should be `claimed.value`.
        in_use: the policy as it runs: with its filter, on scores drawn from the observation model itself.
    """

    claimed: PolicyEntry
    solved: PolicyEntry
    largest_difference: float
    planned: Rehearsed
    in_use: Rehearsed

    @property
    def bounds_agree(self) -> bool:
        """Whether the certified intervals overlap."""
        return (
            self.claimed.lower <= self.solved.upper + _ROUNDING and self.solved.lower <= self.claimed.upper + _ROUNDING
        )

    @property
    def simulation_agrees(self) -> bool:
        """Whether the simulated value is within three standard errors of the claimed interval."""
        simulated = self.planned.returns
        nearest = min(max(simulated.value, self.claimed.lower), self.claimed.upper)
        return simulated.holds(nearest)


@dataclass(frozen=True, slots=True)
class Report:
    """What is true of a whole table.

    Attributes:
        verdicts: one a lambda.
        weak, strong: accuracies of the two models alone.
        strong_alone_tokens: strong tokens of M_s alone.
        curve: cost curve of the policies in use.
        findings: diagnostics.
    """

    verdicts: tuple[Verdict, ...]
    weak: float
    strong: float
    strong_alone_tokens: float
    curve: CostCurve
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether every claim held."""
        return all(verdict.bounds_agree and verdict.simulation_agrees for verdict in self.verdicts)


def verify(table: PolicyTable, *, episodes: int, seed: int, gap: float = 1e-5) -> Report:
    """Solve every lambda of a table again to `gap`, and rehearse its policies.

    Raises:
        InputError: there is no gap between the two models, or too few episodes.
    """
    in_use = Stage.of(table.pomdp, episodes=episodes, seed=seed)
    planned_table = replace(table, pomdp=as_planned(table.pomdp))
    planned = Stage.of(planned_table.pomdp, episodes=episodes, seed=seed)
    solutions = ExactSolver(gap).solve(table.pomdp, [entry.lam for entry in table.entries])
    verdicts = []
    for index, (entry, solved) in enumerate(zip(table.entries, solutions, strict=True)):
        again = surface(solved, table.resolution)
        verdicts.append(
            Verdict(
                claimed=entry,
                solved=PolicyEntry.of(solved),
                largest_difference=float(np.abs(again - table.break_even[index]).max()),
                planned=planned.rehearse(TablePolicy("planned", planned_table, entry.lam), entry.lam),
                in_use=in_use.rehearse(TablePolicy("in use", table, entry.lam), entry.lam),
            )
        )
    return Report(
        verdicts=tuple(verdicts),
        weak=float(in_use.weak.correct.mean()),
        strong=float(in_use.strong.correct.mean()),
        strong_alone_tokens=float(in_use.strong.strong_tokens.mean()),
        curve=CostCurve.of(
            [verdict.in_use.c.value for verdict in verdicts], [verdict.in_use.pgr.value for verdict in verdicts]
        ),
        findings=tuple(examine(table)),
    )
