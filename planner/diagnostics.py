"""What users of POMDP solvers complain of, said before they do (issue of a policy, of a price, or of the observation model)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from kde.samples import StepClass
from planner.policies.pomdp import TablePolicy
from planner.pomdp import RoutingPOMDP
from planner.simulate import simulate
from planner.table import PolicyTable

_EPISODES = 1000
_SEED = 0
_TOO_ALIKE = 0.1


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a user should look at.

    Attributes:
        kind: `never_regenerates`, `always_regenerates`, `lambda_too_high`, `lambda_too_low` or `classes_alike`.
        lam: the lambda it is about, None for the POMDP as a whole.
        message: what was found and what to do.
    """

    kind: str
    lam: float | None
    message: str


def examine(table: PolicyTable) -> list[Finding]:
    """Everything to be said about a table: its observation model, then its policies."""
    found = list(_alike(table.pomdp))
    for index in range(len(table.entries)):
        found += _policy(table, index)
    return found


def _alike(pomdp: RoutingPOMDP) -> Iterator[Finding]:
    cells = pomdp.observation_cells().reshape(3, -1)
    for one, other in combinations(StepClass, 2):
        distance = float(abs(cells[one] - cells[other]).sum() / 2)
        if distance < _TOO_ALIKE:
            message = (
                f"scores of {one.key} and {other.key} hardly differ (total variation {distance:.3f} of 1): "
                "no policy can tell these classes apart; fit the observation model on more or other traces, or use another PRM"
            )
            yield Finding("classes_alike", None, message)


def _policy(table: PolicyTable, index: int) -> Iterator[Finding]:
    pomdp, lam = table.pomdp, table.entries[index].lam
    cheapest = min(pomdp.tokens.expected_strong(count) for count in pomdp.tokens.counts)
    most = float(table.break_even[index].max())
    if most <= cheapest:
        limit = lam * max(most, 0.0) / cheapest
        message = (
            f"at lambda {lam!r} no belief is worth the shortest step ({cheapest:.4g} strong tokens, break-even at most {most:.4g}): "
            f"the useful range ends near lambda {limit:.2g}"
        )
        yield Finding("lambda_too_high", lam, message)
        return
    policy = TablePolicy(f"pomdp:{lam!r}", table, lam)
    done = simulate(pomdp, policy, episodes=_EPISODES, rng=np.random.default_rng(_SEED))
    spent = lam * float(done.strong_tokens.mean())
    if not done.interventions.any():
        message = f"at lambda {lam!r} nothing was regenerated in {_EPISODES} simulated episodes: lower lambda, or check p_w and the hazard"
        yield Finding("never_regenerates", lam, message)
    elif (done.interventions == done.steps).all():
        message = f"at lambda {lam!r} every step was regenerated in {_EPISODES} simulated episodes: raise lambda, or use M_s alone"
        yield Finding("always_regenerates", lam, message)
    elif spent < table.entries[index].gap:
        message = (
            f"at lambda {lam!r} an episode's strong tokens are worth {spent:.2g}, less than the certified gap "
            f"{table.entries[index].gap:.2g}: the price decides nothing; raise lambda or ask for a smaller --gap"
        )
        yield Finding("lambda_too_low", lam, message)
