r"""The lab's synthetic language: chained arithmetic mod 10, written out step by step.

A problem names a start value and three to nine operations, one a line; its solution has one step a line, separated by a
blank line, each of which copies the value it starts from::

    Work mod 10.        S:=7
    S:=7
    A:+5                A:+5,7+5=2
    B:*3
    D:+2*7-8            B:*3,2*3=6
    E:*7+4
                        D:+2*7-8,6+2=8*7=6-8=8

                        E:*7+4,8*7+4=0

                        Answer: \boxed{0}

Operations apply from left to right. They are of unequal difficulty: `add`, `minus` and `times` are routine, `chain` makes
a long step of three to five operations with every intermediate value written, and `mix2` does two operations in the head:
the critical step. Factors are 3, 7 and 9 only, which are invertible mod 10, so that a wrong value never heals by itself.
"""

import re
import string
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import numpy as np

from inference.lab.steps import MODULUS, Digit, Line, Operation, Scribe, exactly
from kde.errors import InputError

STEP_SEPARATOR: Final = "\n\n"
HELD_OUT_SEEDS: Final = range(2**31)
"""Seeds of `generate_problems`. Training reserves every seed from 2**31 on (see `training_rng`)."""

_HEADER: Final = "Work mod 10."
_FACTORS: Final = "379"
_TERMS: Final = "123456789"
_LINE: Final = re.compile(r"([A-I]):((?:[-+][1-9]|\*[379]){1,5})")
_START: Final = re.compile(r"S:=(\d)")

OPERATION_SHARES: Final[Mapping[Operation, float]] = MappingProxyType(
    {
        Operation.ADD: 0.22,
        Operation.MINUS: 0.20,
        Operation.TIMES: 0.18,
        Operation.CHAIN: 0.18,
        Operation.MIX2: 0.22,
    }
)
"""Share of each operation among the three to nine operations of a problem; what the models are trained on."""


class Mix(StrEnum):
    """How often a benchmark of the lab has each operation."""

    STANDARD = "standard"
    """As in training."""
    HARD = "hard"
    """Two steps of three are among those in which the weak model errs."""


MIXES: Final[Mapping[Mix, Mapping[Operation, float]]] = MappingProxyType(
    {
        Mix.STANDARD: OPERATION_SHARES,
        Mix.HARD: MappingProxyType(
            {
                Operation.ADD: 0.12,
                Operation.MINUS: 0.11,
                Operation.TIMES: 0.10,
                Operation.CHAIN: 0.27,
                Operation.MIX2: 0.40,
            }
        ),
    }
)
"""Operation shares of each mix."""


@dataclass(frozen=True, slots=True)
class LabProblem:
    """A problem of the lab with its canonical solution.

    Attributes:
        id: stable name, `lab-<seed>-<index>`, or `lab-<mix>-<seed>-<index>` of another mix than the standard one.
        problem: the text a model is asked.
        answer: the final value, one digit.
        steps: the canonical solution, one text a step, without separators.
        operations: what each step does; as long as `steps`.
    """

    id: str
    problem: str
    answer: str
    steps: tuple[str, ...]
    operations: tuple[Operation, ...]


def generate_problems(count: int, *, seed: int, mix: Mix = Mix.STANDARD) -> list[LabProblem]:
    """The first `count` problems of the held-out stream `seed` of a mix (a longer stream begins with a shorter one).

    Streams of different seeds are independent, and no problem of any of them is ever trained on: the space of problems
    is split by a hash of the text, one eighth held out, the rest for training.

    Raises:
        InputError: `count` is negative or `seed` lies outside `HELD_OUT_SEEDS`.
    """
    if count < 0:
        raise InputError("lab problems", field="count", value=count, remedy="give 0 or more")
    if seed not in HELD_OUT_SEEDS:
        raise InputError(
            "lab problems",
            field="seed",
            value=seed,
            remedy=f"give an integer from 0 to {HELD_OUT_SEEDS[-1]}",
        )
    rng = np.random.default_rng(seed)
    name = f"lab-{seed}" if mix is Mix.STANDARD else f"lab-{mix}-{seed}"
    return [solve(draw_problem(rng, MIXES[mix], held_out=True), name=f"{name}-{index:05d}") for index in range(count)]


def training_rng(seed: int, *stream: int) -> np.random.Generator:
    """The generator of one stream of training problems; its seed sequence starts above every held-out seed."""
    return np.random.default_rng((HELD_OUT_SEEDS.stop + seed, *stream))


def draw_problem(rng: np.random.Generator, shares: Mapping[Operation, float], *, held_out: bool) -> str:
    """Text of a random problem with operations drawn by `shares`, from the held-out or the training part."""
    kinds = list(shares)
    weights = np.array([shares[kind] for kind in kinds])
    weights /= weights.sum()
    while True:
        chosen = rng.choice(len(kinds), size=int(rng.integers(3, 10)), p=weights)
        lines = [f"S:={rng.integers(MODULUS)}"]
        for label, kind in zip(string.ascii_uppercase, chosen, strict=False):
            lines.append(f"{label}:{_draw_expression(rng, kinds[kind])}")
        problem = "\n".join((_HEADER, *lines))
        if (zlib.crc32(problem.encode()) % 8 == 0) == held_out:
            return problem


def solve(problem: str, *, name: str) -> LabProblem:
    """The problem with its canonical solution, under the id `name`. Raises InputError as `parse_problem` does."""
    start, lines = parse_problem(problem)
    steps = tuple(write_solution(start, lines, (exactly,) * (len(lines) + 2)))
    operations = (Operation.START, *(line.operation for line in lines), Operation.ANSWER)
    return LabProblem(name, problem, steps[-1][-2], steps, operations)


def write_solution(start: int, lines: Sequence[Line], scribes: Sequence[Scribe]) -> Iterator[str]:
    """The steps of a solution, each by its own scribe: start value, one step a line, answer."""
    first, *between, last = scribes
    value = first(Digit.COPY, start)
    yield f"S:={value}"
    for line, scribe in zip(lines, between, strict=True):
        step, value = line.write(value, scribe)
        yield step
    yield f"Answer: \\boxed{{{last(Digit.COPY, value)}}}"


def parse_problem(problem: str) -> tuple[int, tuple[Line, ...]]:
    """Start value and lines of a problem's text.

    Raises:
        InputError: the text is not a problem of this language.
    """
    header, *rows = problem.split("\n")
    start = _START.fullmatch(rows[0]) if rows else None
    lines = [_LINE.fullmatch(row) for row in rows[1:]]
    labels = "".join(match.group(1) for match in lines if match)
    if header != _HEADER or start is None or None in lines or not string.ascii_uppercase.startswith(labels):
        raise InputError(
            "lab",
            field="problem",
            value=problem,
            remedy="give a text made by `trim lab problems`",
        )
    return int(start.group(1)), tuple(Line(match.group(1), match.group(2)) for match in lines if match)


def _draw_expression(rng: np.random.Generator, kind: Operation) -> str:
    symbols = {
        Operation.ADD: ("+",),
        Operation.MINUS: ("-",),
        Operation.TIMES: ("*",),
        Operation.MIX2: ("*", "+-"),
        Operation.CHAIN: ("+-*",) * int(rng.integers(3, 6)),
    }[kind]
    return "".join(draw_application(rng, choice) for choice in symbols)


def draw_application(rng: np.random.Generator, symbols: str) -> str:
    """One random operation as written (`*7`), with one of `symbols`."""
    symbol = symbols[rng.integers(len(symbols))]
    digits = _FACTORS if symbol == "*" else _TERMS
    return symbol + digits[rng.integers(len(digits))]
