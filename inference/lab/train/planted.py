"""Solutions with planted errors, for the PRM: the language's own digits, some of them wrong.

Error rates do not depend on the operation, so that the PRM can only tell right from wrong by verifying, not by
recognising the hard operation. Errors carry on consistently, as a language model's do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from inference.lab.language import OPERATION_SHARES, draw_application, draw_problem, parse_problem, write_solution
from inference.lab.steps import MODULUS, Digit, Line, Operation

ERROR_RATES: Final = (0.05, 0.15, 0.3)
"""Chance that a step is wrong; each solution has one of the three."""

MISREADING_SHARE: Final = 0.25
"""Share of the wrong steps that leave out or make up operations; the others get one digit wrong."""

SLIP_PARTS: Final[Mapping[Digit, int]] = MappingProxyType({Digit.RESULT: 6, Digit.COPY: 1, Digit.OPERAND: 2})
"""How often a slip hits each kind of digit, in parts."""


@dataclass(slots=True)
class SlippingScribe:
    """Writes one step and gets one digit of it wrong: the `ordinal`-th of `kind`, by `shift` mod 10; none without kind.

    `slipped` is, for every digit written so far, whether it is wrong given what stands before it.
    """

    kind: Digit | None = None
    ordinal: int = 0
    shift: int = 0
    slipped: list[bool] = field(default_factory=list)

    def __call__(self, kind: Digit, digit: int) -> int:
        """The digit to write where `digit` is right."""
        slips = kind is self.kind and self.ordinal == 0
        if kind is self.kind:
            self.ordinal -= 1
        self.slipped.append(slips)
        return (digit + self.shift) % MODULUS if slips else digit


@dataclass(frozen=True, slots=True)
class PlantedSolution:
    """A solution, right or wrong, labelled to the character.

    Attributes:
        problem: the problem's text.
        steps: texts of its steps.
        wrong: for every step, the places in its text that are wrong given what stands before them; none if it is right.
    """

    problem: str
    steps: tuple[str, ...]
    wrong: tuple[tuple[int, ...], ...]


def plant(rng: np.random.Generator) -> PlantedSolution:
    """A solution of a random training problem with planted errors."""
    problem = draw_problem(rng, OPERATION_SHARES, held_out=False)
    start, lines = parse_problem(problem)
    rate = ERROR_RATES[rng.integers(len(ERROR_RATES))]
    read: list[Line] = []
    scribes: list[SlippingScribe] = [draw_slip(rng, None) if rng.random() < rate else SlippingScribe()]
    misread: list[tuple[int, ...]] = [()]
    for line in lines:
        flawed = rng.random() < rate
        misreading = flawed and rng.random() < MISREADING_SHARE
        line_read, places = misread_line(rng, line) if misreading else (line, ())
        read.append(line_read)
        misread.append(places)
        scribes.append(draw_slip(rng, line) if flawed and not misreading else SlippingScribe())
    scribes.append(draw_slip(rng, None) if rng.random() < rate else SlippingScribe())
    misread.append(())
    steps = tuple(write_solution(start, read, scribes))
    wrong = (
        places or _places_of(step, scribe.slipped) for step, scribe, places in zip(steps, scribes, misread, strict=True)
    )
    return PlantedSolution(problem, steps, tuple(wrong))


def draw_slip(rng: np.random.Generator, line: Line | None) -> SlippingScribe:
    """A random slip in the step of `line`, or in the only digit of a start or answer step (no line)."""
    shift = int(rng.integers(1, MODULUS))
    if line is None:
        return SlippingScribe(Digit.COPY, 0, shift)
    kinds = list(SLIP_PARTS)
    parts = np.array(list(SLIP_PARTS.values()))
    kind = kinds[rng.choice(len(kinds), p=parts / parts.sum())]
    operands = len(line.applications)
    places = {
        Digit.OPERAND: 2 * operands,
        Digit.COPY: 1,
        Digit.RESULT: 1 if line.operation is Operation.MIX2 else operands,
    }
    return SlippingScribe(kind, int(rng.integers(places[kind])), shift)


def misread_line(rng: np.random.Generator, line: Line) -> tuple[Line, tuple[int, ...]]:
    """`line` with its last operations left out or replaced by up to two others, and the wrong places of its step.

    Where operations are only left out, what is wrong is the comma that comes too early.
    """
    read = line.expression
    while read == line.expression:
        kept = line.expression[: 2 * int(rng.integers(1, len(line.applications) + 1))]
        read = kept + "".join(draw_application(rng, "+-*") for _ in range(rng.integers(3)))
    pairs = zip(f"{read},", f"{line.expression},", strict=False)
    departs = next(place for place, (written, right) in enumerate(pairs) if written != right)
    head = len(line.label) + 1
    return Line(line.label, read), tuple(range(head + departs, head + max(len(read), departs + 1)))


def _places_of(step: str, slipped: list[bool]) -> tuple[int, ...]:
    digits = (place for place, character in enumerate(step) if character.isdigit())
    return tuple(place for place, slip in zip(digits, slipped, strict=True) if slip)
