"""What the lab ships: trained models, and any number of fresh problems in the form that runs take."""

from inference.lab import CHECKPOINTS
from inference.lab.language import Mix, generate_problems
from inference.problems import Problem
from kde.artefact import sha256_file


def lab_places() -> dict[str, str]:
    """The shipped models as the places of a fleet."""
    return {name: str(CHECKPOINTS / name) for name in ("weak", "strong", "prm")}


def lab_engines_file(first_port: int) -> str:
    """A file of engines for the shipped models, served on the CPU at three ports in a row."""
    ports = {name: first_port + index for index, name in enumerate(("weak", "strong", "scorer"))}
    return "".join(
        _ENGINE.format(name=name, own=_OWN[name], model=place, port=ports[name])
        for name, place in zip(ports, lab_places().values(), strict=True)
    )


_ENGINE = """\
[{name}]
backend = "server"
model = "{model}"
urls = ["http://127.0.0.1:{port}"]
{own}

[{name}.serve]
gpus = []  # none: on the CPU

"""
_SAMPLING = "sampling = { temperature = 0.7, max_step_tokens = 64 }"
_OWN = {"weak": _SAMPLING, "strong": _SAMPLING, "scorer": 'kind = "prm"'}


def lab_prm_name() -> str:
    """What files of scores call the shipped PRM: its weights are part of it, so that scores by others are told apart."""
    return f"lab@{sha256_file(CHECKPOINTS / 'prm' / 'model.safetensors')[:12]}"


def lab_problems(count: int, *, seed: int, mix: Mix = Mix.STANDARD) -> list[Problem]:
    """The first `count` problems of the stream `seed` of a mix, with their answers."""
    made = generate_problems(count, seed=seed, mix=mix)
    return [Problem(id=lab.id, problem=lab.problem, answer=lab.answer) for lab in made]
