"""Answers that neither their text nor their value settles, compared by math-verify in processes that may hang, crash and be replaced."""

import logging
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context

from inference.with_parent import end_with_parent
from kde.errors import InputError

_SECONDS = 10.0
_WORKERS = 4


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """A claimed answer that may or may not be the known one.

    Attributes:
        known: the right answer.
        found: content of the solution's box.
    """

    known: str
    found: str


def verify_answers(
    answers: Sequence[OpenAnswer],
    *,
    seconds: float = _SECONDS,
    on_verified: Callable[[], None] = lambda: None,
) -> list[bool | None]:
    """Whether each answer is the known one; None where one of the two is no mathematics, or nobody could tell within `seconds`.

    Intervals, sets, equations, matrices and formulas count as equal where sympy can show it.

    Raises:
        InputError: math-verify is not installed.
    """
    if not answers:
        return []
    for package in ("math_verify", "pebble"):
        if find_spec(package) is None:
            remedy = "some answers cannot be graded without it: pip install 'trim-routing[evaluate]'"
            raise InputError("grading", field=package, value="not installed", remedy=remedy)
    from pebble import ProcessExpired, ProcessPool  # noqa: PLC0415  an extra

    workers = min(_WORKERS, os.cpu_count() or 1, len(answers))
    verdicts: list[bool | None] = []
    with ProcessPool(workers, initializer=_begin, initargs=[os.getpid()], context=get_context("spawn")) as pool:
        futures = [pool.schedule(_verify, args=[answer.known, answer.found], timeout=seconds) for answer in answers]
        for future in futures:
            try:
                verdicts.append(future.result())
            except (TookTooLong, ProcessExpired):  # the pool has replaced the process
                verdicts.append(None)
            on_verified()
    return verdicts


def _begin(parent: int) -> None:
    """Import before the first answer's time begins to run; a process that hangs must not outlive its parent."""
    end_with_parent(parent, signal.SIGKILL)
    import math_verify  # noqa: F401, PLC0415  an extra

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of having no time limit: the pool has one


def _verify(known: str, found: str) -> bool | None:
    from math_verify import parse, verify  # noqa: PLC0415  an extra

    parsed = [parse(f"\\boxed{{{answer}}}", parsing_timeout=None) for answer in (known, found)]
    if any(all(isinstance(reading, str) for reading in readings) for readings in parsed):
        return None
    try:
        return bool(verify(*parsed, timeout_seconds=None, raise_on_error=True))
    except Exception:  # noqa: BLE001  whatever sympy stumbles over, the two could not be compared
        return None
