"""One step of backward induction over q, the probability that the accepted prefix is right (DESIGN section 4).

A value function W is kept at grid points of q in two forms: values from above, which linear interpolation continues because W is convex,
and one alpha-vector a grid point from below, the line A q + B (1 - q) of a policy that exists.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kde.filter import predict
from kde.samples import Array
from kde.tokens import TokenModel
from planner.pomdp import prefix_after_continue, prefix_after_regenerate


def grid(size: int) -> Array:
    """Chebyshev points from 0 to 1, [size]: W bends most where the prefix is all but certainly right or wrong."""
    points = (1 - np.cos(np.linspace(0, np.pi, size))) / 2
    points[-1] = 1.0
    return np.asarray(points, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Value function of q between its bounds on a grid of q.

    Attributes:
        upper: [n_q] values from above.
        right, wrong: [n_q], each grid point's alpha-vector: its value when the prefix is right and when it is wrong.
    """

    upper: Array
    right: Array
    wrong: Array

    @classmethod
    def terminal(cls, points: Array) -> Self:
        """Value of an answer that is complete: q itself."""
        return cls(points, np.ones_like(points), np.zeros_like(points))

    def mixed(self, other: "Bounds", share: float) -> "Bounds":
        """This value function with probability 1 - share, the other with `share`."""
        if share in {0.0, 1.0}:
            return other if share else self
        mine, theirs = (self.upper, self.right, self.wrong), (other.upper, other.right, other.wrong)
        return Bounds(*((1 - share) * x + share * y for x, y in zip(mine, theirs, strict=True)))


@dataclass(frozen=True, slots=True)
class Prices:
    """What regenerating costs in units of reward, by token bin, ascending.

    Attributes:
        thresholds: [n_bins] price of each bin; a bin is regenerated where that gains more.
        share: [n_bins + 1] probability of the first k bins.
        spent: [n_bins + 1] expected price paid when the first k bins are regenerated.
    """

    thresholds: Array
    share: Array
    spent: Array

    @classmethod
    def of(cls, tokens: TokenModel, lam: float) -> Self:
        """Prices of a token model at lambda."""
        thresholds = lam * np.array([tokens.expected_strong(count) for count in tokens.counts])
        order = np.argsort(thresholds, kind="stable")
        thresholds, weights = thresholds[order], np.array(tokens.weights)[order]
        return cls(thresholds, np.r_[0, weights.cumsum()], np.r_[0, (weights * thresholds).cumsum()])

    def paid(self, advantage: Array) -> tuple[Array, Array]:
        """Probability of regenerating and expected price paid where that gains `advantage`, both of its shape."""
        bins = np.zeros(advantage.shape, dtype=np.intp)
        for threshold in self.thresholds:
            bins += advantage > threshold
        return self.share.take(bins), self.spent.take(bins)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where values of q lie on the grid: left neighbour, share of the right one, and the nearest, all [n_q, n_o]."""

    left: NDArray[np.intp]
    share: Array
    nearest: NDArray[np.intp]

    @classmethod
    def locate(cls, q: Array, points: Array) -> Self:
        left = np.searchsorted(points[1:-1], q.ravel(), side="right").reshape(q.shape)
        share = (q - points[left]) / np.diff(points)[left]
        return cls(left, share, left + (share > 0.5))

    def interpolate(self, values: Array) -> Array:
        return np.asarray(values.take(self.left) + self.share * np.diff(values).take(self.left), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """All that can be seen of the next proposal, from every grid point of q; observations that cannot occur are left out.

    Attributes:
        p_strong: p_s at this step.
        evidence: [n_q, n_o], probability of each observation.
        correct, recoverable: [n_o], mass of observation o with class S0 and with S2, given a right prefix.
        derailed: [n_o], mass of o given a wrong prefix.
        stay, repaired: where q after continuing and after regenerating lies on the grid, both [n_q, n_o].
    """

    p_strong: float
    evidence: Array
    correct: Array
    recoverable: Array
    derailed: Array
    stay: _Places
    repaired: _Places

    @classmethod
    def seen(cls, points: Array, cells: Array, p_weak: float, p_strong: float) -> Self:
        """From the observation function `cells` [3, n_m, n_r] and the step accuracies; p_w is 1 where no step is drawn."""
        flat = cells.reshape(3, -1)
        flat = flat[:, flat.any(axis=0)]
        joint = predict(points, p_weak)[:, None, :] * flat.T
        evidence = joint.sum(axis=-1)
        belief = np.divide(joint, evidence[..., None], out=np.zeros_like(joint), where=evidence[..., None] > 0)
        stay, repaired = prefix_after_continue(belief), prefix_after_regenerate(belief, p_strong)
        return cls(
            p_strong,
            evidence,
            p_weak * flat[0],
            (1 - p_weak) * flat[2],
            flat[1],
            _Places.locate(stay, points),
            _Places.locate(repaired, points),
        )

    def backup(self, kept: Bounds, repaired: Bounds, prices: Prices) -> Bounds:
        """Value before this proposal is seen, from the values after keeping it and after having it regenerated."""
        worth_keeping = self.stay.interpolate(kept.upper)
        advantage = self.repaired.interpolate(repaired.upper) - worth_keeping
        share, spent = prices.paid(advantage)
        upper = np.einsum("qo,qo->q", self.evidence, worth_keeping + share * advantage - spent)
        return Bounds(upper, *self._policy_value(kept, repaired, share, spent))

    def _policy_value(self, kept: Bounds, repaired: Bounds, share: Array, spent: Array) -> tuple[Array, Array]:
        """Alpha-vectors of regenerating with probability `share` [n_q, n_o] at the expected price `spent`."""
        reached = self.correct + self.recoverable
        repair = self.p_strong * repaired.right + (1 - self.p_strong) * repaired.wrong
        near, near_repaired = self.stay.nearest, self.repaired.nearest
        lost = kept.wrong.take(near)
        keep = self.correct * kept.right.take(near) + self.recoverable * lost
        keep += share * (reached * repair.take(near_repaired) - keep) - spent * reached
        lost += share * (repaired.wrong.take(near_repaired) - lost) - spent
        return keep.sum(axis=1), lost @ self.derailed
