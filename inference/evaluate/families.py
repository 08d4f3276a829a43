"""Families of policies, and the settings at which each is swept."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from planner.policies.catalogue import Catalogue


class Needs(StrEnum):
    """What a family decides from; its value is the reason why it has no row where that is missing."""

    NOTHING = ""
    TABLE = "needs a policy table: name a planner's folder by --planner"
    LEARNED = "needs a learned policy in the planner's folder (`trim train agg`)"
    SEQUENCE = "needs a trained transformer in the planner's folder (`trim train seq`; minutes a lambda)"
    BUDGET = "needs a budget table in the planner's folder (`trim tables budget`)"
    TRUTH = "sees the true class of every step, which only the lab's checker knows, and a table of prices"


@dataclass(frozen=True, slots=True)
class Family:
    """Policies that differ in one number.

    Attributes:
        prefix: of their ids, before the colon.
        name: as the paper calls it.
        parameter: what is swept.
        settings: where, by default; of budgets as shares of the largest; empty for the lambdas that the planner answers.
        needs: what it decides from.
    """

    prefix: str
    name: str
    parameter: str
    settings: tuple[float, ...] = ()
    needs: Needs = Needs.NOTHING


@dataclass(frozen=True, slots=True)
class Offered:
    """What a study's planner can answer beside the policies that need nothing.

    Attributes:
        tables: lambdas of its policy tables.
        learned: lambdas of its learned policies.
        most_tokens: largest budget of its budget table; None without one.
        truth: whether the true class of a step is known.
        sequences: lambdas of its trained transformers.
    """

    tables: tuple[float, ...] = ()
    learned: tuple[float, ...] = ()
    most_tokens: float | None = None
    truth: bool = False
    sequences: tuple[float, ...] = ()

    @classmethod
    def by(cls, catalogue: Catalogue, *, truth: bool) -> "Offered":
        """What a planner's artefacts answer."""
        most = None if catalogue.budget is None else catalogue.budget.most
        sequences = tuple(sorted(float(policy[4:]) for policy in catalogue.own if policy.startswith("seq:")))
        return cls(tuple(catalogue.tables), tuple(catalogue.learned), most, truth, sequences)

    def settings(self, family: Family) -> tuple[float, ...]:
        """Where a family is swept; nowhere if what it needs is missing."""
        match family.needs:
            case Needs.NOTHING:
                return family.settings
            case Needs.TABLE:
                return self.tables
            case Needs.LEARNED:
                return self.learned
            case Needs.SEQUENCE:
                return self.sequences
            case Needs.BUDGET:
                return tuple(share * (self.most_tokens or 0) for share in family.settings if self.most_tokens)
            case Needs.TRUTH:
                return self.tables if self.truth else ()


FAMILIES = (
    Family("random", "random", "probability", (0.1, 0.2, 0.4, 0.7)),
    Family("thr", "TRIM-Thr", "threshold", (0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99)),
    Family("one-step-thr", "One-Step Thr", "threshold", (0.01, 0.03, 0.1, 0.3, 0.7)),
    Family("specreason", "SpecReason", "points", (3, 4, 5, 7)),
    Family("pomdp", "TRIM-POMDP", "lambda", needs=Needs.TABLE),
    Family("pomdp-memoryless", "TRIM-POMDP, memoryless", "lambda", needs=Needs.TABLE),
    Family("agg", "TRIM-Agg", "lambda", needs=Needs.LEARNED),
    Family("seq", "TRIM-Seq", "lambda", needs=Needs.SEQUENCE),
    Family("budget", "hard budget", "tokens", (0.05, 0.1, 0.2, 0.4), needs=Needs.BUDGET),
    Family("oracle", "step oracle", "lambda", needs=Needs.TRUTH),
)
SINGLE = {"rsd": "RSD"}
"""Policies without a parameter: a family of one point."""


def family_of(policy: str) -> str:
    """Name of the family of a policy id; the id itself where no family has it."""
    prefix = policy.partition(":")[0]
    return next((family.name for family in FAMILIES if family.prefix == prefix), SINGLE.get(policy, policy))


def parameter_of(policy: str) -> str:
    """What a policy's family sweeps; empty where it is alone."""
    prefix = policy.partition(":")[0]
    return next((family.parameter for family in FAMILIES if family.prefix == prefix), "")


def all_policies(offered: Offered) -> tuple[str, ...]:
    """Every policy that the planner can answer, at its settings."""
    swept = (f"{family.prefix}:{_written(setting)}" for family in FAMILIES for setting in offered.settings(family))
    return ("weak", "strong", *SINGLE, *swept)


def left_out(policies: Sequence[str], offered: Offered) -> dict[str, str]:
    """Why a family has no row in a study of these policies, by its name, where the planner cannot answer it."""
    asked = {family_of(policy) for policy in policies}
    unanswered = (family for family in FAMILIES if family.name not in asked and not offered.settings(family))
    return {family.name: family.needs.value for family in unanswered}


def _written(setting: float) -> str:
    """As a policy id has it: whole numbers without a point."""
    return f"{setting:g}" if setting == int(setting) else repr(setting)
