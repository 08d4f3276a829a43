"""Grading: the last boxed answer of a solution against the known one."""

import re
from fractions import Fraction

BOX = "\\boxed{"

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:e[-+]?\d{1,3})?|[-+]?\.\d+(?:e[-+]?\d{1,3})?")
_FRACTION = re.compile(r"([-+]?)\\frac\{(\d+)\}\{(\d+)\}|([-+]?)(\d+)/(\d+)")
_WRAPPED = re.compile(r"\\(?:text|textbf|mathrm)\{([^{}]*)\}")
_DRESS = re.compile(r"\\left|\\right|\\[,;!$%]|[$%\s]|\^\{?\\circ\}?")
_LONGEST_NUMBER = 1000
"""Characters; what is longer is nobody's answer, and Python does not read it."""
_LETTER = re.compile(r"\(?([A-Z])\)?[.:]?")
_ARITHMETIC = re.compile(r"[\\+*/^=(){}\[\],-]")


def boxed_answer(text: str) -> str | None:
    r"""Content of the last complete \boxed{...} of a text, braces balanced; None where there is none."""
    start = text.rfind(BOX)
    while start != -1:
        depth = 1
        for position in range(start + len(BOX), len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                return text[start + len(BOX) : position].strip()
        start = text.rfind(BOX, 0, start)
    return None


def is_correct(answer: str, solution: str) -> bool | None:
    """Whether a solution's boxed answer is the known one: the same text, or the same number.

    None where neither can be said: two formulas may be equal and look different. A solution without a box is wrong.
    """
    boxed = boxed_answer(solution)
    if boxed is None:
        return False
    found, known = _undressed(boxed), _undressed(answer)
    if found == known:
        return True
    chosen = _LETTER.fullmatch(found)
    if len(known) == 1 and chosen is not None:
        return chosen[1] == known  # the option of a multiple choice
    value = _number(known)
    if value is None:
        return None
    claimed = _number(found)
    if claimed is not None:
        return claimed == value
    return None if _ARITHMETIC.search(found) else False


def _undressed(text: str) -> str:
    """A formula without what changes its looks alone: dollar and per cent signs, degrees, space, sizes, words around it."""
    plain = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("{,}", ",")
    return _DRESS.sub("", _WRAPPED.sub(r"\1", plain))


def _number(text: str) -> Fraction | None:
    """The value of a number or fraction, thousands separated or not; None for anything else."""
    if len(text) > _LONGEST_NUMBER:
        return None
    if _NUMBER.fullmatch(text):
        return Fraction(text.replace(",", ""))
    found = _FRACTION.fullmatch(text)
    if found is None:
        return None
    sign, above, below = found.groups()[:3] if found[2] else found.groups()[3:]
    return Fraction(int(f"{sign}{above}"), int(below)) if int(below) else None
