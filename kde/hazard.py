"""Hazard: the probability h_t that step t ends the answer, given that it was reached (DESIGN section 3)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kde.errors import InputError
from kde.samples import Array


def estimate_hazard(last_steps: Sequence[int], *, max_steps: int) -> Array:
    """Empirical hazard of a sample of complete answers, float64 [max_steps], entry t - 1 for step t.

    h_t = (answers that end at t) / (answers that reach t). From the longest answer seen on, and at max_steps, it is 1.

    Raises:
        InputError: no answers, or one that ends outside 1..max_steps.
    """
    ends = np.asarray(last_steps, dtype=np.int64)
    if not len(ends) or ends.min() < 1 or ends.max() > max_steps:
        raise InputError(
            "hazard", field="last step", value=ends.tolist(), remedy=f"answers end at steps 1 to {max_steps}"
        )
    ending = np.bincount(ends, minlength=max_steps + 1)[1:].astype(np.float64)
    reaching = ending[::-1].cumsum()[::-1]
    hazard = np.ones(max_steps)
    reached = reaching > 0
    hazard[reached] = ending[reached] / reaching[reached]
    return hazard


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
