"""Does an observation model still fit? OLD against NEW, class by class, in words an analyst can act on.

NEW stands for today: another PRM, another domain, another week of traces. For every class
- the distance of the two observation functions (total variation of their cells),
- whether the samples differ by more than chance (permutation of problems, energy distance of the samples on 20 x 20 cells),
- what refitting is worth: log likelihood of NEW's samples under NEW, by cross-validation, less that under OLD.
Where a POMDP is given, also what the difference is worth in reward.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from kde.bandwidth import held_out_log_densities
from kde.errors import InputError
from kde.filter import DENSITY_FLOOR
from kde.model import ObservationModel, cell_of
from kde.quality import Estimate, Resamples
from kde.roc import roc_curve
from kde.samples import Array, Samples, StepClass

PERMUTATIONS: Final = 999
SIGNIFICANCE: Final = 0.01
"""Of the permutation tests, Bonferroni-corrected for the three classes."""
MATERIAL_GAIN: Final = 0.02
"""Nats a sample that refitting has to gain to matter."""
MATERIAL_REWARD: Final = 0.005
"""Reward an episode that the old policy has to lose to matter."""
MATERIAL_AUC: Final = 0.02
"""Fall of the AUC (S0 against S2) at which NEW tells right from wrong worse, if it is beyond NEW's interval too."""
_COARSE: Final = 20
_AUC_RESAMPLES: Final = 200


class Verdict(StrEnum):
    """What to do."""

    KEEP = "keep"
    REFIT = "refit"
    INVESTIGATE = "investigate"


@dataclass(frozen=True, slots=True)
class ClassShift:
    """How one class has moved.

    Attributes:
        total_variation: of the cells, in [0, 1].
        p_value: chance of so large an energy distance if both samples came from one distribution.
        refit_gain: nats a sample by which NEW, cross-validated, beats OLD on NEW's samples; where OLD was fitted to the same samples it has
            seen them, and the gain is understated.
        samples: of OLD and of NEW.
    """

    total_variation: float
    p_value: float
    refit_gain: Estimate
    samples: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ValueShift:
    """What the move is worth under one lambda, in reward before the first step.

    Attributes:
        lam: lambda.
        old: value of the policy planned with OLD, if the world is as OLD says.
        new: value of the policy planned with NEW, if the world is as NEW says.
        kept: value of the policy planned with OLD, if the world is as NEW says.
    """

    lam: float
    old: float
    new: float
    kept: float

    @property
    def regret(self) -> float:
        """What keeping the old policy loses."""
        return self.new - self.kept


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that was compared, and what follows.

    Attributes:
        classes: shifts by class key.
        auc: of the newest score, S0 against S2, in OLD and in NEW.
        values: shifts of the policy's value, one a lambda.
        verdict: what to do.
        reasons: why, one sentence each.
    """

    classes: Mapping[str, ClassShift]
    auc: tuple[Estimate, Estimate]
    values: tuple[ValueShift, ...]
    verdict: Verdict
    reasons: tuple[str, ...]


def compare_models(
    old: ObservationModel,
    new: ObservationModel,
    rng: np.random.Generator,
    *,
    values: tuple[ValueShift, ...] = (),
    permutations: int = PERMUTATIONS,
) -> Comparison:
    """Compare two observation models.

    Args:
        old: what is in use.
        new: what today's traces say.
        rng: draws the permutations.
        values: what the difference is worth, where a POMDP is known.
        permutations: of the problems, for each class.

    Raises:
        InputError: the two do not have the same cells, or NEW has too few problems to cross-validate.
    """
    if old.cells.shape != new.cells.shape:
        remedy = f"OLD has {list(old.cells.shape)}: fit both with the same --cell"
        raise InputError("kde compare", field="cells of NEW", value=list(new.cells.shape), remedy=remedy)
    classes = {c.key: _class_shift(old, new, c, rng, permutations) for c in StepClass}
    auc = (_newest_score_auc(old, rng), _newest_score_auc(new, rng))
    verdict, reasons = _judge(classes, auc, values)
    return Comparison(classes, auc, values, verdict, tuple(reasons))


def energy_p_value(old: Samples, new: Samples, rng: np.random.Generator, permutations: int) -> float:
    """Permutation p-value of the energy distance between two samples binned into 20 x 20 cells; problems stay whole.

    With histograms h the energy distance is -(h_old - h_new)' D (h_old - h_new), D being the distances between cell centres.
    """
    masses = np.vstack([_problem_histograms(samples) for samples in (old, new)])
    is_old = np.arange(len(masses)) < len(np.unique(old.groups))
    axis = (np.arange(_COARSE) + 0.5) / _COARSE
    centres = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    distances = np.linalg.norm(centres[:, None] - centres, axis=-1)
    members = np.stack([is_old, *(rng.permutation(is_old) for _ in range(permutations))]).astype(np.float64)
    totals = masses.sum(axis=1)
    difference = (members @ masses) / (members @ totals)[:, None]
    difference -= ((1 - members) @ masses) / ((1 - members) @ totals)[:, None]
    energy = -((difference @ distances) * difference).sum(axis=1)
    return float((energy >= energy[0]).mean())


def _class_shift(
    old: ObservationModel, new: ObservationModel, step_class: StepClass, rng: np.random.Generator, permutations: int
) -> ClassShift:
    before, after = old.samples.by_class[step_class], new.samples.by_class[step_class]
    i, j = cell_of(new.cells, *after.features.T)
    masses = old.cells[step_class]
    under_old = np.log(np.maximum(masses[i, j] * masses.size, DENSITY_FLOOR))
    factor, per_side = new.settings["factors"][step_class.key], new.cells.shape[1]
    gains = held_out_log_densities(after, factor, per_side=per_side) - under_old
    return ClassShift(
        total_variation=float(abs(masses - new.cells[step_class]).sum() / 2),
        p_value=energy_p_value(before, after, rng, permutations),
        refit_gain=Resamples(after.groups, rng).mean(gains, weights=after.weights),
        samples=(len(before), len(after)),
    )


def _problem_histograms(samples: Samples) -> Array:
    """Weight of every problem's samples in every coarse cell, [n_problems, n_cells]."""
    i, j = np.minimum((samples.features * _COARSE).astype(np.intp), _COARSE - 1).T
    _, problem = np.unique(samples.groups, return_inverse=True)
    histograms = np.zeros((int(problem.max()) + 1, _COARSE**2))
    np.add.at(histograms, (problem, i * _COARSE + j), samples.weights * len(samples))
    return histograms


def _newest_score_auc(model: ObservationModel, rng: np.random.Generator) -> Estimate:
    """AUC of the newest score, S0 against S2, with an interval over resampled samples of either class."""
    pair = [model.samples.by_class[c] for c in (StepClass.CORRECT, StepClass.RECOVERABLE)]

    def drawn(samples: Samples) -> Samples:
        counts = rng.multinomial(len(samples), samples.weights)
        return Samples.weighted(samples.features, counts.astype(np.float64), samples.groups)

    areas = [roc_curve(*map(drawn, pair))[2] for _ in range(_AUC_RESAMPLES)]
    low, high = np.percentile(areas, (2.5, 97.5))
    return Estimate(roc_curve(*pair)[2], float(low), float(high))


def _judge(
    classes: Mapping[str, ClassShift], auc: tuple[Estimate, Estimate], values: tuple[ValueShift, ...]
) -> tuple[Verdict, list[str]]:
    moved = {key: one for key, one in classes.items() if one.p_value <= SIGNIFICANCE / len(classes)}
    worth = {
        key: one for key, one in classes.items() if one.refit_gain.value >= MATERIAL_GAIN and one.refit_gain.low > 0
    }
    costly = [one for one in values if one.regret >= MATERIAL_REWARD]
    reasons = []
    for key, one in worth.items():
        cause = (
            f"{key} has moved (p = {one.p_value:.3f})"
            if key in moved
            else f"{key} has not moved, but NEW's bandwidth suits it better"
        )
        gain = one.refit_gain
        reasons.append(f"{cause}: refitting gains {gain.value:.3f} nats a sample ({gain.low:.3f} to {gain.high:.3f})")
    reasons += [f"at lambda {one.lam!r} the old policy loses {one.regret:.4f} of reward an episode" for one in costly]
    if not reasons:
        quiet = (
            f"{', '.join(moved)} moved, but by too little to matter"
            if moved
            else "no class differs by more than chance"
        )
        return Verdict.KEEP, [quiet]
    before, now = auc
    if before.value - now.value >= MATERIAL_AUC and now.high < before.value:
        reasons.append(
            f"the newest score tells right from wrong worse than before: AUC {now.value:.3f} against {before.value:.3f}"
        )
        return Verdict.INVESTIGATE, reasons
    return Verdict.REFIT, reasons
