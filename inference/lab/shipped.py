"""What the lab ships: trained models, and any number of fresh problems in the form that runs take."""

from pathlib import Path

from inference.lab.language import generate_problems
from inference.problems import Problem

LAB_MODELS = Path(__file__).parent / "checkpoints"
"""Directories `weak`, `strong` and `prm`."""


def lab_places() -> dict[str, str]:
    """The shipped models as the places of a fleet."""
    return {name: str(LAB_MODELS / name) for name in ("weak", "strong", "prm")}


def lab_problems(count: int, *, seed: int) -> list[Problem]:
    """The first `count` problems of the stream `seed`, with their answers."""
    return [Problem(id=lab.id, problem=lab.problem, answer=lab.answer) for lab in generate_problems(count, seed=seed)]
