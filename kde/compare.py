"""Does an observation model still fit? OLD against NEW, class by class, in words an analyst can act on.

NEW stands for today: another PRM, another domain, another week of traces. For every class
- the distance of the two observation functions (total variation of their cells),
- whether the samples differ by more than chance (permutation of problems, energy distance of the samples' cells),
- what refitting is worth: held-out log likelihood of NEW's samples under NEW, by cross-validation, less that under OLD.
Where a POMDP is given, also what the difference is worth in reward.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from kde.bandwidth import held_out_log_likelihood
from kde.errors import InputError
from kde.filter import DENSITY_FLOOR
from kde.model import ObservationModel, cell_of
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
"""Fall of the AUC (S0 against S2) at which NEW tells right from wrong worse."""


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
        refit_gain: nats a sample by which NEW, cross-validated, beats OLD on NEW's samples.
        samples: of OLD and of NEW.
    """

    total_variation: float
    p_value: float
    refit_gain: float
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
    auc: tuple[float, float]
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
    auc = (_newest_score_auc(old), _newest_score_auc(new))
    verdict, reasons = _judge(classes, auc, values)
    return Comparison(classes, auc, values, verdict, tuple(reasons))


def energy_p_value(old: Samples, new: Samples, cells: Array, rng: np.random.Generator, permutations: int) -> float:
    """Permutation p-value of the energy distance between two samples binned into cells [3, n_m, n_r]; problems stay whole.

    With histograms h the energy distance is -(h_old - h_new)' D (h_old - h_new), D being the distances between cell centres.
    """
    masses = np.vstack([_problem_histograms(samples, cells) for samples in (old, new)])
    is_old = np.arange(len(masses)) < len(np.unique(old.groups))
    _, n_m, n_r = cells.shape
    centres = np.stack(np.meshgrid((np.arange(n_m) + 0.5) / n_m, (np.arange(n_r) + 0.5) / n_r, indexing="ij"), axis=-1)
    flat = centres.reshape(-1, 2)
    distances = np.linalg.norm(flat[:, None] - flat, axis=-1)
    members = np.stack([is_old, *(rng.permutation(is_old) for _ in range(permutations))]).astype(np.float64)
    totals = masses.sum(axis=1)
    difference = (members @ masses) / (members @ totals)[:, None]
    difference -= ((1 - members) @ masses) / ((1 - members) @ totals)[:, None]
    energy = -np.einsum("ka,ab,kb->k", difference, distances, difference, optimize=True)
    return float((energy >= energy[0]).mean())


def _class_shift(
    old: ObservationModel, new: ObservationModel, step_class: StepClass, rng: np.random.Generator, permutations: int
) -> ClassShift:
    before, after = old.samples.by_class[step_class], new.samples.by_class[step_class]
    under_old = _log_density(old.cells[step_class], new.cells, after)
    per_side = new.cells.shape[1]
    under_new = held_out_log_likelihood(after, new.settings["factors"][step_class.key], per_side=per_side)
    return ClassShift(
        total_variation=float(abs(old.cells[step_class] - new.cells[step_class]).sum() / 2),
        p_value=energy_p_value(before, after, new.cells, rng, permutations),
        refit_gain=under_new - under_old,
        samples=(len(before), len(after)),
    )


def _log_density(masses: Array, cells: Array, samples: Samples) -> float:
    """Mean log density of samples under cell masses [n_m, n_r], uniform = 0."""
    i, j = cell_of(cells, *samples.features.T)
    return float(samples.weights @ np.log(np.maximum(masses[i, j] * masses.size, DENSITY_FLOOR)))


def _problem_histograms(samples: Samples, cells: Array) -> Array:
    """Weight of every problem's samples in every cell, [n_problems, n_cells]."""
    _, n_m, n_r = cells.shape
    i, j = cell_of(cells, *samples.features.T)
    _, problem = np.unique(samples.groups, return_inverse=True)
    histograms = np.zeros((int(problem.max()) + 1, n_m * n_r))
    np.add.at(histograms, (problem, i * n_r + j), samples.weights * len(samples))
    return histograms


def _newest_score_auc(model: ObservationModel) -> float:
    samples = model.samples.by_class
    return roc_curve(samples[StepClass.CORRECT], samples[StepClass.RECOVERABLE])[2]


def _judge(
    classes: Mapping[str, ClassShift], auc: tuple[float, float], values: tuple[ValueShift, ...]
) -> tuple[Verdict, list[str]]:
    moved = {key: one for key, one in classes.items() if one.p_value <= SIGNIFICANCE / len(classes)}
    material = {key: one for key, one in moved.items() if one.refit_gain >= MATERIAL_GAIN}
    costly = [one for one in values if one.regret >= MATERIAL_REWARD]
    reasons = [
        f"{key} has moved (p = {one.p_value:.3f}) and refitting gains {one.refit_gain:.3f} nats a sample"
        for key, one in material.items()
    ]
    reasons += [f"at lambda {one.lam!r} the old policy loses {one.regret:.4f} of reward an episode" for one in costly]
    if not reasons:
        still = (
            f"{', '.join(moved)} moved, but by too little to matter"
            if moved
            else "no class differs by more than chance"
        )
        return Verdict.KEEP, [still]
    if auc[0] - auc[1] >= MATERIAL_AUC:
        reasons.append(
            f"the newest score tells right from wrong worse than before: AUC {auc[1]:.3f} against {auc[0]:.3f}"
        )
        return Verdict.INVESTIGATE, reasons
    return Verdict.REFIT, reasons
