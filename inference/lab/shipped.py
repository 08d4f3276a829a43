"""What the lab ships: trained models, and any number of fresh problems in the form that runs take."""

from inference.lab import CHECKPOINTS
from inference.lab.language import generate_problems
from inference.problems import Problem


def lab_places() -> dict[str, str]:
    """The shipped models as the places of a fleet."""
    return {name: str(CHECKPOINTS / name) for name in ("weak", "strong", "prm")}


def lab_problems(count: int, *, seed: int) -> list[Problem]:
    """The first `count` problems of the stream `seed`, with their answers."""
    return [Problem(id=lab.id, problem=lab.problem, answer=lab.answer) for lab in generate_problems(count, seed=seed)]
