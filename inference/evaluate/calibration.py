"""From a target to a setting: the threshold or lambda of a family that meets a cost or a gain on problems that were really solved.

Between two swept settings c and PGR are taken to be linear, where any number may be asked for: thresholds, probabilities, budgets. A
lambda must be one that the table was built for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from inference.evaluate.calibrated_policy import Measured, Span, Verdict
from inference.evaluate.comparison import Comparison
from inference.evaluate.results import Results
from kde.errors import InputError
from kde.quality import Estimate
from kde.samples import Array
from planner.calibrate import Target
from planner.curves import ROUNDING

ANY_NUMBER = frozenset({"thr", "one-step-thr", "random", "budget"})
"""Families that answer for every number between two others; 0 is M_w alone in all of them."""
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of a sweep: the number, and the policy that was run with it."""

    number: float
    policy: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """A setting that meets a target.

    Attributes:
        policy: its id.
        number: the setting.
        interval: of the choice over resampled problems; an end beyond the sweep is None.
        first, second: the swept policies that it lies between; the same where it was swept itself.
        share: of the way from the first to the second.
    """

    policy: str
    number: float
    interval: tuple[float | None, float | None]
    first: str
    second: str
    share: float

    def on(self, results: Results) -> Results:
        """Results with this policy among them, interpolated where it was not run."""
        return results.mixed(self.policy, self.first, self.second, self.share)


def swept_settings(family: str, policies: Sequence[str]) -> list[Setting]:
    """The settings of a family among these policies, ascending.

    Raises:
        InputError: there is none, or one is no number.
    """
    members = [policy for policy in policies if policy.partition(":")[0] == family and ":" in policy]
    if not members:
        known = sorted({policy.partition(":")[0] for policy in policies if ":" in policy})
        raise InputError("calibrate", field="--family", value=family, remedy=f"the study has {', '.join(known)}")
    swept = sorted((_setting(policy) for policy in members), key=lambda one: one.number)
    alone = [Setting(0.0, "weak")] if family in ANY_NUMBER and swept[0].number else []
    return alone + swept


def _setting(policy: str) -> Setting:
    try:
        return Setting(float(policy.partition(":")[2]), policy)
    except ValueError as error:
        remedy = "a family is calibrated in one number: evaluate policies such as random:0.3"
        raise InputError("calibrate", field="setting", value=policy, remedy=remedy) from error


def choose(
    family: str, target: Target, wanted: float, swept: Sequence[Setting], results: Results, *, seed: int
) -> Chosen:
    """The dearest setting up to which c stays within what is wanted, or the cheapest at which PGR reaches it.

    Args:
        family: prefix of the policies' ids.
        target: what to meet.
        wanted: how much of it.
        swept: ascending.
        results: of the problems to choose on.
        seed: of the resampling, for the interval.

    Raises:
        InputError: no swept setting, nor anything between two, meets the target.
    """
    if family not in ANY_NUMBER:  # a higher price buys less, a higher threshold in points more
        swept = sorted(swept, key=lambda one: float(results.strong_tokens[one.policy].mean()))
    c, pgr = Comparison(results, seed=seed).points([one.policy for one in swept])
    values = c if target is Target.COST else pgr
    places = np.array([_meet(row, target, wanted) for row in values[~np.isnan(values).any(axis=1)]])
    if family not in ANY_NUMBER:
        places = np.floor(places) if target is Target.COST else np.ceil(places)
    if not np.isfinite(places[0]):
        reach = f"{values[0].min():.4g} to {values[0].max():.4g}"
        remedy = f"what was swept reaches {reach}: evaluate more settings"
        raise InputError("calibrate", field=f"target {target.value}", value=wanted, remedy=remedy)
    numbers = np.array([one.number for one in swept])
    low, high = (_number_at(end, numbers) for end in np.quantile(places[1:], [0.025, 0.975], method="inverted_cdf"))
    interval = (low, high) if numbers[0] <= numbers[-1] else (high, low)
    rounding = ROUND_FLOOR if target is Target.COST else ROUND_CEILING  # to the side that meets it
    return _chosen(family, float(places[0]), swept, interval, rounding)


def _meet(values: Array, target: Target, wanted: float) -> float:
    """Where in a sweep the target is met: 1.5 is half-way between its second and third setting; infinite beyond its ends."""
    beyond = np.flatnonzero(values > wanted + ROUNDING if target is Target.COST else values >= wanted - ROUNDING)
    if not len(beyond):
        return np.inf
    place = int(beyond[0])
    if place == 0:
        return -np.inf if target is Target.COST else 0.0
    before, after = values[place - 1], values[place]
    return float(place - 1 + np.clip((wanted - before) / (after - before), 0, 1))


def _number_at(place: float, numbers: Array) -> float | None:
    return float(np.interp(place, np.arange(len(numbers)), numbers)) if np.isfinite(place) else None


def _chosen(
    family: str, place: float, swept: Sequence[Setting], interval: tuple[float | None, float | None], rounding: str
) -> Chosen:
    lower, upper = swept[int(np.floor(place))], swept[int(np.ceil(place))]
    exact = lower.number + (place - np.floor(place)) * (upper.number - lower.number)
    rounded = float(Context(_DIGITS, rounding).create_decimal(round(exact, 12)))
    number = min(max(rounded, lower.number), upper.number)
    for run in (lower, upper):
        if number == run.number:
            return Chosen(run.policy, number, interval, run.policy, run.policy, 0.0)
    share = (number - lower.number) / (upper.number - lower.number)
    return Chosen(f"{family}:{number!r}", number, interval, lower.policy, upper.policy, share)


def halves(problems: Sequence[str], *, seed: int) -> NDArray[np.bool_]:
    """[n] which problems are chosen on; the others are held out. It depends on the problems' ids alone, not on their order."""
    keys = [sha256(f"{seed}:{problem}".encode()).hexdigest() for problem in problems]
    ranks = np.argsort(np.argsort(keys))
    return np.asarray(ranks < (len(problems) + 1) // 2, dtype=np.bool_)


def measure(chosen: Chosen, results: Results, study: str, *, seed: int) -> Measured:
    """What the policy comes to on these problems."""
    found = Comparison(chosen.on(results), seed=seed).policy(chosen.policy)
    names = ("accuracy", "strong_tokens", "c", "pgr")
    return Measured(
        problems_of=study, problems=len(results.problems), **{name: _span(getattr(found, name)) for name in names}
    )


def judge(target: Target, wanted: float, held_out: Measured) -> Verdict:
    """Whether held-out problems meet the target."""
    span, sign = (held_out.c, 1) if target is Target.COST else (held_out.pgr, -1)
    kept = [end is not None and sign * end <= sign * wanted + ROUNDING for end in (span.low, span.high)]
    if all(kept):
        return Verdict.MET
    return Verdict.OPEN if any(kept) else Verdict.MISSED


def _span(estimate: Estimate) -> Span:
    return Span(value=estimate.value, low=estimate.low, high=estimate.high)
