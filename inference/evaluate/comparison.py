"""Policies and families of them against the two models alone, with bootstrap intervals over problems (DESIGN section 7).

A problem's result is its mean over the seeds, so that a resample draws problems, never runs. One set of resamples serves everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inference.baselines.paired import PairedAnswers
from inference.baselines.query_curve import ranked_totals
from inference.evaluate.sweeps import BUDGETS, TARGETS
from kde.errors import InputError
from kde.quality import Estimate
from kde.samples import Array, Groups
from planner.curves import CostCurve

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Results:
    """What n problems came to under every policy.

    Attributes:
        problems: [n] their ids.
        correct: by policy, [n] share of right answers over the seeds.
        strong_tokens: by policy, [n] mean strong tokens over the seeds.
    """

    problems: tuple[str, ...]
    correct: Mapping[str, Array]
    strong_tokens: Mapping[str, Array]


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
    """Metrics of a family's sweep.

    Attributes:
        cpt: c at each target of PGR; infinite where the sweep, or a resample of it, does not get there.
        delta_ibc: against M_s alone.
        budgeted: accuracy at each budget c.
    """

    cpt: Mapping[float, Estimate]
    delta_ibc: Estimate
    budgeted: Mapping[float, Estimate]


class Comparison:
    """Resampled results, ready to be measured.

    Args:
        results: of every policy, `weak` and `strong` among them.
        seed: of the resampling.

    Raises:
        InputError: M_s alone is not better than M_w alone, so that there is no gap to recover.
    """

    def __init__(self, results: Results, *, seed: int) -> None:
        missing = {"weak", "strong"} - results.correct.keys()
        if missing:
            remedy = "evaluate the two models alone too: everything is measured against them"
            raise InputError("evaluate", field="policies", value=sorted(missing), remedy=remedy)
        count = len(results.problems)
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count
        draws = np.vstack([np.full(count, 1 / count), drawn])  # the sample itself comes first
        gap = draws @ (results.correct["strong"] - results.correct["weak"])
        if gap[0] <= 0:
            remedy = "M_s alone must be better than M_w alone: choose other models or problems"
            raise InputError("evaluate", field="gap", value=float(gap[0]), remedy=remedy)
        draws = draws[gap > 0]  # a resample without a gap says nothing
        self._draws = draws
        self._accuracy = {name: draws @ values for name, values in results.correct.items()}
        self._tokens = {name: draws @ values for name, values in results.strong_tokens.items()}
        self._gap = gap[gap > 0]

    def policy(self, name: str) -> PolicyMetrics:
        """Metrics of one policy."""
        gained, tokens = self._accuracy[name] - self._accuracy["weak"], self._tokens[name]
        return PolicyMetrics(
            accuracy=_estimate(self._accuracy[name]),
            strong_tokens=_estimate(tokens),
            c=_estimate(tokens / self._tokens["strong"]),
            pgr=_estimate(gained / self._gap),
            ibc=_estimate(gained / tokens) if (tokens > 0).all() else None,
        )

    def family(self, members: Sequence[str]) -> FamilyMetrics:
        """Metrics of the sweep that `members` are the points of."""
        c = np.array([self._tokens[name] / self._tokens["strong"] for name in members])
        pgr = np.array([(self._accuracy[name] - self._accuracy["weak"]) / self._gap for name in members])
        curves = [CostCurve.of(x.tolist(), y.tolist()) for x, y in zip(c.T, pgr.T, strict=True)]
        return self.curves(curves)

    def curves(self, curves: Sequence[CostCurve]) -> FamilyMetrics:
        """Metrics of a sweep from its curve in every resample, the sample itself first."""
        costs = np.array([curve.least_costs(np.array(TARGETS)) for curve in curves])
        gains = np.array([[curve.pgr_within(c) for c in BUDGETS] for curve in curves])
        accuracy = self._accuracy["weak"][:, None] + gains * self._gap[:, None]
        return FamilyMetrics(
            cpt={target: _estimate(column) for target, column in zip(TARGETS, costs.T, strict=True)},
            delta_ibc=_estimate(np.array([curve.delta_ibc() for curve in curves])),
            budgeted={c: _estimate(column) for c, column in zip(BUDGETS, accuracy.T, strict=True)},
        )

    def query_level(self, answers: PairedAnswers, problem: Groups, scores: Array) -> FamilyMetrics:
        """Metrics of a router that gives whole questions to a model, at every threshold.

        Args:
            answers: m answers of both models, one a problem and seed.
            problem: [m] place of each one's problem in the results.
            scores: [m] the router's; answers that it scores alike go together.
        """
        gains = answers.strong_correct - answers.weak_correct
        curves = []
        for weights, gap, tokens in zip(self._draws, self._gap, self._tokens["strong"], strict=True):
            cost, gained = ranked_totals(scores, weights[problem], answers.strong_tokens, gains)
            share = len(weights) / len(scores)  # a problem's weight is dealt to its seeds
            curves.append(CostCurve.of((cost * share / tokens).tolist(), (gained * share / gap).tolist()))
        return self.curves(curves)


def _estimate(values: Array) -> Estimate:
    low, high = np.quantile(values[1:], [0.025, 0.975], method="inverted_cdf")
    return Estimate(float(values[0]), float(low), float(high))
