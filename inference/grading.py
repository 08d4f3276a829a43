"""Grading: the last boxed answer of a solution against the known one."""

BOX = "\\boxed{"


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


def is_correct(answer: str, solution: str) -> bool:
    """Whether a solution's boxed answer is the known one, letter for letter."""
    return boxed_answer(solution) == answer.strip()
