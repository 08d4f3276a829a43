"""Families of policies, and the settings at which each is swept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """Policies that differ in one number.

    Attributes:
        prefix: of their ids, before the colon.
        name: as the paper calls it.
        parameter: what is swept.
        settings: where, by default; None for the lambdas of the planner's table.
    """

    prefix: str
    name: str
    parameter: str
    settings: tuple[float, ...] | None


FAMILIES = (
    Family("random", "random", "probability", (0.1, 0.2, 0.4, 0.7)),
    Family("thr", "TRIM-Thr", "threshold", (0.1, 0.3, 0.5, 0.7, 0.9, 0.97)),
    Family("one-step-thr", "One-Step Thr", "threshold", (0.01, 0.03, 0.1, 0.3, 0.7)),
    Family("pomdp", "TRIM-POMDP", "lambda", None),
    Family("pomdp-memoryless", "TRIM-POMDP, memoryless", "lambda", None),
    Family("agg", "TRIM-Agg", "lambda", None),
    Family("budget", "hard budget", "tokens", (5, 10, 20, 40)),
    Family("oracle", "step oracle", "lambda", None),
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


def all_policies(lambdas: Sequence[float], *, without: Iterable[str] = ()) -> tuple[str, ...]:
    """Every policy at its settings, except for the families whose prefixes are `without`."""
    left_out = set(without)
    swept = (
        f"{family.prefix}:{setting!r}"
        for family in FAMILIES
        if family.prefix not in left_out
        for setting in (lambdas if family.settings is None else family.settings)
    )
    return ("weak", "strong", *(name for name in SINGLE if name not in left_out), *swept)
