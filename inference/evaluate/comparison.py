"""Policies and families of them against the two models alone, with bootstrap intervals over problems (DESIGN section 7).

A problem's result is its mean over the seeds, so that a resample draws problems, never runs. One set of resamples serves everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inference.baselines.paired import PairedAnswers
from inference.baselines.query_curve import ranked_totals
from inference.evaluate.results import Results
from inference.evaluate.sweeps import BUDGETS, TARGETS
from kde.errors import InputError
from kde.quality import Estimate
from kde.samples import Array, Groups
from planner.curves import CostCurve

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class PolicyMetrics:
    """Metrics of one policy: accuracy r, strong tokens a problem C, c, PGR and IBC (accuracy gained a strong token; None at no cost)."""

    accuracy: Estimate
    strong_tokens: Estimate
    c: Estimate
    pgr: Estimate
    ibc: Estimate | None


@dataclass(frozen=True, slots=True)
class FamilyMetrics:
    """Metrics of a family's sweep, or differences of two.

    Attributes:
        cpt: c at each target of PGR; infinite where the sweep, or a resample of it, does not get there.
        delta_ibc: against M_s alone.
        budgeted: accuracy at each budget c.
        budgeted_pgr: PGR at each budget c.
    """

    cpt: Mapping[float, Estimate]
    delta_ibc: Estimate
    budgeted: Mapping[float, Estimate]
    budgeted_pgr: Mapping[float, Estimate]


@dataclass(frozen=True, slots=True)
class FamilyDraws:
    """Metrics of a family's sweep on the sample itself, first, and on each of b resamples; NaN where there is no gap.

    Attributes:
        cpt: [1 + b, n_targets].
        delta_ibc: [1 + b].
        budgeted: [1 + b, n_budgets].
        budgeted_pgr: [1 + b, n_budgets].
    """

    cpt: Array
    delta_ibc: Array
    budgeted: Array
    budgeted_pgr: Array

    def metrics(self) -> FamilyMetrics:
        """Values and intervals."""
        defined = ~np.isnan(self.budgeted[:, 0])

        def by(places: Sequence[float], values: Array) -> dict[float, Estimate]:
            return {place: _estimate(column) for place, column in zip(places, values[defined].T, strict=True)}

        return FamilyMetrics(
            cpt=by(TARGETS, self.cpt),
            delta_ibc=_estimate(self.delta_ibc[defined]),
            budgeted=by(BUDGETS, self.budgeted),
            budgeted_pgr=by(BUDGETS, self.budgeted_pgr),
        )

    def minus(self, other: "FamilyDraws") -> "FamilyDraws":
        """Differences, resample by resample: paired where both drew the same problems."""
        with np.errstate(invalid="ignore"):  # where neither sweep gets there the difference is undefined
            return FamilyDraws(
                self.cpt - other.cpt,
                self.delta_ibc - other.delta_ibc,
                self.budgeted - other.budgeted,
                self.budgeted_pgr - other.budgeted_pgr,
            )


class Comparison:
    """Resampled results, ready to be measured.

    Args:
        results: of every policy, `weak` and `strong` among them.
        seed: of the resampling; two comparisons with one seed draw the same places.

    Raises:
        InputError: M_s alone is not better than M_w alone, so that there is no gap to recover.
    """

    def __init__(self, results: Results, *, seed: int) -> None:
        missing = {"weak", "strong"} - results.correct.keys()
        if missing:
            remedy = "evaluate the two models alone too: everything is measured against them"
            raise InputError("evaluate", field="policies", value=sorted(missing), remedy=remedy)
        count = len(results.problems)
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        self._draws = np.vstack([np.ones(count), drawn])  # the sample itself comes first
        gap = self._draws @ (results.correct["strong"] - results.correct["weak"]) / count
        if gap[0] <= 0:
            remedy = "M_s alone must be better than M_w alone: choose other models or problems"
            raise InputError("evaluate", field="gap", value=float(gap[0]), remedy=remedy)
        self._gap = np.where(gap > 0, gap, np.nan)  # a resample without a gap says nothing
        self._accuracy = {name: self._draws @ values / count for name, values in results.correct.items()}
        self._tokens = {name: self._draws @ values / count for name, values in results.strong_tokens.items()}

    def policy(self, name: str) -> PolicyMetrics:
        """Metrics of one policy."""
        gained, tokens = self._accuracy[name] - self._accuracy["weak"], self._tokens[name]
        return PolicyMetrics(
            accuracy=_estimate(self._accuracy[name]),
            strong_tokens=_estimate(tokens),
            c=_estimate(tokens / self._tokens["strong"]),
            pgr=_estimate((gained / self._gap)[~np.isnan(self._gap)]),
            ibc=_estimate(gained / tokens) if (tokens > 0).all() else None,
        )

    def points(self, members: Sequence[str]) -> tuple[Array, Array]:
        """Costs c and gains PGR of policies, both [1 + b, n_members]; the sample itself comes first. PGR is NaN where there is no gap."""
        c = np.stack([self._tokens[name] / self._tokens["strong"] for name in members], axis=1)
        gained = np.stack([self._accuracy[name] - self._accuracy["weak"] for name in members], axis=1)
        return c, gained / self._gap[:, None]

    def family(self, members: Sequence[str]) -> FamilyDraws:
        """Metrics of the sweep that `members` are the points of."""
        c, pgr = self.points(members)
        curves = [
            None if np.isnan(y).any() else CostCurve.of(x.tolist(), y.tolist()) for x, y in zip(c, pgr, strict=True)
        ]
        return self._curves(curves)

    def query_level(self, answers: PairedAnswers, problem: Groups, scores: Array) -> FamilyMetrics:
        """Metrics of a router that gives whole questions to a model, at every threshold.

        Args:
            answers: m answers of both models, one a problem and seed.
            problem: [m] place of each one's problem in the results.
            scores: [m] the router's; answers that it scores alike go together.
        """
        gains = answers.strong_correct - answers.weak_correct
        curves: list[CostCurve | None] = []
        for weights, gap, tokens in zip(self._draws, self._gap, self._tokens["strong"], strict=True):
            if np.isnan(gap):
                curves.append(None)
                continue
            cost, gained = ranked_totals(scores, weights[problem], answers.strong_tokens, gains)
            share = 1 / len(scores)  # a problem's weight is dealt to its seeds
            curves.append(CostCurve.of((cost * share / tokens).tolist(), (gained * share / gap).tolist()))
        return self._curves(curves).metrics()

    def _curves(self, curves: Sequence[CostCurve | None]) -> FamilyDraws:
        """Metrics of a sweep from its curve on the sample itself, first, and in every resample; None where there is no gap."""
        costs, gains = np.full((len(curves), len(TARGETS)), np.nan), np.full((len(curves), len(BUDGETS)), np.nan)
        delta = np.full(len(curves), np.nan)
        for place, curve in enumerate(curves):
            if curve is not None:
                costs[place] = curve.least_costs(np.array(TARGETS))
                gains[place] = [curve.pgr_within(c) for c in BUDGETS]
                delta[place] = curve.delta_ibc()
        accuracy = self._accuracy["weak"][:, None] + gains * self._gap[:, None]
        return FamilyDraws(costs, delta, accuracy, gains)


def _estimate(values: Array) -> Estimate:
    """From the value on the sample itself, first, and on its resamples; one that is undefined there could be anything."""
    undefined = np.isnan(values[1:])
    low = np.quantile(np.where(undefined, -np.inf, values[1:]), 0.025, method="inverted_cdf")
    high = np.quantile(np.where(undefined, np.inf, values[1:]), 0.975, method="inverted_cdf")
    return Estimate(float(values[0]), float(low), float(high))
