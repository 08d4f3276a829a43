"""Hazard: the probability h_t that step t ends the answer, given that it was reached (DESIGN section 3)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kde.errors import InputError
from kde.samples import Array


def kaplan_meier(last_steps: ArrayLike, *, max_steps: int, censored: ArrayLike = ()) -> Array:
    """Kaplan-Meier hazard, float64 [max_steps], entry t - 1 for step t: h_t = (answers that end at t) / (answers that reach t).

    At max_steps it is 1, and beyond the longest answer seen.

    Args:
        last_steps: the last step of every complete answer.
        max_steps: T.
        censored: steps at which answers were lost sight of: they count as reaching the steps before, and their end is not known.

    Raises:
        InputError: no complete answers, or a step outside 1..max_steps.
    """
    ends, lost = _steps(last_steps, max_steps), _steps(censored, max_steps)
    if not len(ends):
        raise InputError("hazard", field="last step", value=[], remedy="give at least one complete answer")
    ending, losing = (np.bincount(steps, minlength=max_steps + 1)[1:].astype(np.float64) for steps in (ends, lost))
    reaching = (ending + losing)[::-1].cumsum()[::-1] - losing
    hazard = np.ones(max_steps)
    seen = int(ends.max())
    hazard[:seen] = np.divide(ending, reaching, out=np.zeros(max_steps), where=reaching > 0)[:seen]
    hazard[-1] = 1.0
    return hazard


def smoothed_hazard(last_steps: ArrayLike, *, max_steps: int, factor: float = 0.1) -> Array:
    """Hazard by the scheme of the paper's authors, float64 [max_steps].

    A Gaussian kernel density of the last steps (bandwidth `factor` standard deviations), read off at the steps 2..max_steps and
    normalised; answers outside of these steps are moved to the nearest, so no answer ends at step 1. Where nothing is left it is 1.

    Raises:
        InputError: fewer than two different last steps.
    """
    from scipy.stats import gaussian_kde  # noqa: PLC0415  a planner that only reads tables does not wait for it

    ends = np.clip(np.asarray(last_steps, dtype=np.float64), 2, max_steps)
    if np.unique(ends).size < 2:
        remedy = "smoothing needs answers of different lengths: use kaplan-meier"
        raise InputError("hazard", field="last step", value=ends[:9].tolist(), remedy=remedy)

    density = gaussian_kde(ends, bw_method=factor)(np.arange(2, max_steps + 1))
    mass = density / density.sum()
    reached = mass[::-1].cumsum()[::-1]
    hazard = np.ones(max_steps)  # 1 from where nothing is left on
    hazard[0] = 0.0
    left = reached[:-1] > 0
    hazard[1:-1][left] = mass[:-1][left] / reached[:-1][left]
    return hazard


def _steps(values: ArrayLike, max_steps: int) -> NDArray[np.int64]:
    steps = np.asarray(values, dtype=np.int64)
    if len(steps) and not (steps.min() >= 1 and steps.max() <= max_steps):
        found = [int(steps.min()), int(steps.max())]
        raise InputError("hazard", field="last steps", value=found, remedy=f"answers end at steps 1 to {max_steps}")
    return steps


def check_hazard(hazard: Array, *, source: str) -> Array:
    """Return the hazard if it is one: a vector of probabilities whose last entry is 1.

    Raises:
        InputError: it is empty, not a vector, outside [0, 1], not a number, or does not end at 1.
    """
    if hazard.ndim != 1 or not len(hazard):
        raise InputError(source, field="hazard", value=hazard.shape, remedy="give one probability a step")
    bad = ~((hazard >= 0) & (hazard <= 1))
    if bad.any():
        step = int(np.argmax(bad)) + 1
        raise InputError(
            source, field=f"hazard[{step}]", value=float(hazard[step - 1]), remedy="probabilities lie in [0, 1]"
        )
    if hazard[-1] != 1:
        raise InputError(
            source, field=f"hazard[{len(hazard)}]", value=float(hazard[-1]), remedy="the last step ends the answer: 1"
        )
    return hazard


def load_hazard(reference: str) -> Array:
    """Read `FILE:KEY`, where FILE is JSON and KEY names a hazard in it.

    A hazard is a list (entry t - 1 for step t) or a terminal predictor {"max_steps": T, "probs_dict": {"t": h_t}}, whose missing
    steps are an error and whose last step is taken as the end of the answer.
    """
    name, _, key = reference.rpartition(":")
    try:
        document = json.loads(Path(name).read_text(encoding="utf-8"))
        entry = document[key]
    except (OSError, ValueError) as error:
        raise InputError("--hazard", field="file", value=reference, remedy=f"write FILE.json:KEY ({error})") from error
    except (KeyError, TypeError) as error:
        known = ", ".join(document) if isinstance(document, dict) else "none"
        raise InputError(name, field="key", value=key, remedy=f"it holds: {known}") from error
    try:
        return check_hazard(np.asarray(_hazard_values(entry), dtype=np.float64), source=reference)
    except (KeyError, TypeError, ValueError) as error:
        remedy = f"a list of numbers, or a predictor with max_steps and probs_dict of every step ({error!r})"
        raise InputError(name, field=key, value=entry, remedy=remedy) from error


def _hazard_values(entry: Any) -> list[float]:
    if not isinstance(entry, dict):
        return [float(value) for value in entry]
    steps = range(1, int(entry["max_steps"]))
    if not steps:
        raise ValueError("max_steps must be 2 or more")
    return [*(float(entry["probs_dict"][str(step)]) for step in steps), 1.0]
