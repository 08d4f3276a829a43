"""One step of a solution: the operation of a problem's line, written out from the value before it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MODULUS: Final = 10

_APPLY: Final = re.compile(r"([-+*])(\d)")


class Operation(StrEnum):
    """What a step does, from which its difficulty follows."""

    START = "start"
    ADD = "add"
    MINUS = "minus"
    TIMES = "times"
    CHAIN = "chain"
    MIX2 = "mix2"
    ANSWER = "answer"


class Digit(StrEnum):
    """What a digit of a step is: an operand, the value copied from the step before, or a result."""

    OPERAND = "operand"
    COPY = "copy"
    RESULT = "result"


Scribe = Callable[[Digit, int], int]
"""Puts down one digit: from its kind and the right digit to the digit written."""


def exactly(_kind: Digit, digit: int) -> int:
    """The scribe that makes no slips."""
    return digit


@dataclass(frozen=True, slots=True)
class Line:
    """One operation of a problem: a label (`A` to `I`) and what it applies to the running value (`+2*7-8`)."""

    label: str
    expression: str

    @property
    def applications(self) -> list[tuple[str, int]]:
        """The single operations as (symbol, digit)."""
        return [(symbol, int(digit)) for symbol, digit in _APPLY.findall(self.expression)]

    @property
    def operation(self) -> Operation:
        """One single operation is routine, two are done in the head (`mix2`), three or more are a `chain`."""
        match self.applications:
            case [(symbol, _)]:
                return {"+": Operation.ADD, "-": Operation.MINUS, "*": Operation.TIMES}[symbol]
            case [_, _]:
                return Operation.MIX2
            case _:
                return Operation.CHAIN

    def write(self, value: int, scribe: Scribe = exactly) -> tuple[str, int]:
        """The step from the running `value` (0 to 9), and the value it ends with.

        Every digit follows from the problem and the digits written before it, so that a slip of the scribe's is carried
        on consistently.
        """
        operands = [(symbol, scribe(Digit.OPERAND, digit)) for symbol, digit in self.applications]
        value = scribe(Digit.COPY, value)
        text = f"{self.label}:{''.join(f'{symbol}{digit}' for symbol, digit in operands)},{value}"
        in_the_head = self.operation is Operation.MIX2
        for symbol, operand in operands:
            digit = scribe(Digit.OPERAND, operand)
            value = _apply(symbol, value, digit)
            text += f"{symbol}{digit}"
            if not in_the_head:
                value = scribe(Digit.RESULT, value)
                text += f"={value}"
        if in_the_head:
            value = scribe(Digit.RESULT, value)
            text += f"={value}"
        return text, value


def _apply(symbol: str, value: int, digit: int) -> int:
    match symbol:
        case "+":
            return (value + digit) % MODULUS
        case "-":
            return (value - digit) % MODULUS
        case _:
            return value * digit % MODULUS
