"""What the lab ships: trained models, and any number of fresh problems in the form that runs take."""

from inference.lab import CHECKPOINTS
from inference.lab.language import generate_problems
from inference.problems import Problem
from kde.artefact import sha256_file


def lab_places() -> dict[str, str]:
    """The shipped models as the places of a fleet."""
    return {name: str(CHECKPOINTS / name) for name in ("weak", "strong", "prm")}


def lab_prm_name() -> str:
    """What files of scores call the shipped PRM: its weights are part of it, so that scores by others are told apart."""
    return f"lab@{sha256_file(CHECKPOINTS / 'prm' / 'model.safetensors')[:12]}"


def lab_problems(count: int, *, seed: int) -> list[Problem]:
    """The first `count` problems of the stream `seed`, with their answers."""
    return [Problem(id=lab.id, problem=lab.problem, answer=lab.answer) for lab in generate_problems(count, seed=seed)]
