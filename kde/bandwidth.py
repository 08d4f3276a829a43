"""How wide the kernels are: H = factor^2 times the covariance of the class's samples.

`scott` is n^(-1/6) in two dimensions, n being the effective sample size; Silverman's rule (n (d + 2) / 4)^(-1 / (d + 4)) is the same
number for d = 2. `cv` takes the factor with the largest held-out log likelihood.
"""

from enum import StrEnum
from typing import Final

import numpy as np

from kde.density import ReflectedKDE, covariance
from kde.errors import InputError
from kde.filter import DENSITY_FLOOR
from kde.samples import Array, Groups, Samples

FOLDS: Final = 5
LARGEST_FACTOR: Final = 4.0
_FACTOR_STEPS: Final = np.sqrt(2) ** np.arange(-6, 4)
"""Factors that `cv` tries, relative to Scott's: from an eighth to almost three times."""


class Rule(StrEnum):
    """A way to choose the factor."""

    SCOTT = "scott"
    SILVERMAN = "silverman"
    CV = "cv"


def parse_bandwidth(text: str) -> Rule | float:
    """`scott`, `silverman`, `cv`, or a factor such as `0.3`.

    Raises:
        InputError: it is none of these.
    """
    if text in {rule.value for rule in Rule}:
        return Rule(text)
    try:
        factor = float(text)
    except ValueError:
        factor = np.nan
    if not 0 < factor <= LARGEST_FACTOR:
        remedy = (
            f"scott, silverman, cv, or a positive factor up to {LARGEST_FACTOR:g}, where the density is all but uniform"
        )
        raise InputError("fit", field="bandwidth", value=text, remedy=remedy)
    return factor


def bandwidth_factor(samples: Samples, bandwidth: Rule | float, *, per_side: int) -> float:
    """Factor of the kernels' scale for one class.

    Args:
        samples: the class's samples.
        bandwidth: a rule, or the factor itself.
        per_side: cells along an edge of the unit square, on which `cv` measures the likelihood.

    Raises:
        InputError: `cv` has fewer than two problems to tell apart.
    """
    match bandwidth:
        case Rule.SCOTT:
            return float(samples.effective_count ** (-1 / 6))
        case Rule.SILVERMAN:
            dimensions = samples.features.shape[1]
            return float((samples.effective_count * (dimensions + 2) / 4) ** (-1 / (dimensions + 4)))
        case Rule.CV:
            return _cross_validated(samples, per_side)
        case _:
            return bandwidth


def problem_folds(groups: Groups, folds: int) -> Groups:
    """Fold of every sample, [n] from 0 to folds - 1: problems are dealt out in the order in which they first appear.

    Raises:
        InputError: there are fewer problems than folds.
    """
    _, first, problem = np.unique(groups, return_index=True, return_inverse=True)
    if len(first) < folds:
        remedy = f"cross-validation needs at least {folds}: label more problems"
        raise InputError("cross-validation", field="problems", value=len(first), remedy=remedy)
    return np.asarray(np.argsort(np.argsort(first))[problem] % folds, dtype=np.int64)


def held_out_log_densities(samples: Samples, factor: float, *, per_side: int, folds: int = FOLDS) -> Array:
    """Log density of every sample's cell under kernels on the other folds, [n] (uniform = 0).

    What is measured is the mass of cells, which is what a filter sees: scores have atoms at 1, where the likelihood of a density
    has no maximum. All folds share the covariance of the whole class.
    """
    bandwidth = factor**2 * covariance(samples)
    fold = problem_folds(samples.groups, folds)
    cells = np.minimum((samples.features * per_side).astype(np.intp), per_side - 1)
    shares = np.bincount(fold, weights=samples.weights, minlength=folds)
    parts = [  # every sample is integrated once: the density of all but one fold is the whole less that fold's part
        share * ReflectedKDE(samples.select(fold == number), bandwidth).cell_masses(per_side, per_side)
        for number, share in enumerate(shares)
    ]
    rest = (np.sum(parts, axis=0) - np.stack(parts)) / (1 - shares)[:, None, None]
    return np.asarray(np.log(np.maximum(rest[fold, cells[:, 0], cells[:, 1]] * per_side**2, DENSITY_FLOOR)))


def _cross_validated(samples: Samples, per_side: int) -> float:
    factors = bandwidth_factor(samples, Rule.SCOTT, per_side=per_side) * _FACTOR_STEPS
    gains = [samples.weights @ held_out_log_densities(samples, float(factor), per_side=per_side) for factor in factors]
    return float(factors[int(np.argmax(gains))])
