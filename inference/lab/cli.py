"""`trim lab`: the routing laboratory, trained from nothing, and its problems."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from inference.lab.label_cli import label
from inference.lab.language import HELD_OUT_SEEDS, Mix, generate_problems
from inference.lab.steps import Operation
from kde.errors import ArtefactError, InputError
from kde.terminal import AsJson, print_json, print_table

if TYPE_CHECKING:
    from inference.lab.train.measure import LabQuality

app = App(name="lab", help="The routing laboratory: a synthetic task with real models.")
app.command(label)


@app.command
def train(
    *,
    out: Annotated[Path, Parameter(help="directory of the checkpoints; goes on where a former run was cut off")],
    seed: Annotated[int, Parameter(help="seed of weights and training problems")] = 0,
    as_json: AsJson = False,
) -> None:
    """Train the weak model, the strong model and the PRM from nothing, and measure them (under 30 minutes, 2 cores)."""
    if seed not in HELD_OUT_SEEDS:
        raise InputError("lab train", field="--seed", value=seed, remedy=f"give 0 to {HELD_OUT_SEEDS[-1]}")
    from rich.console import Console  # noqa: PLC0415  the other command does not wait for it

    from inference.lab.train.display import TrainingDisplay  # noqa: PLC0415
    from inference.lab.train.pipeline import default_plan, train_lab  # noqa: PLC0415  torch takes seconds

    with TrainingDisplay(Console(stderr=True)) as display:
        quality = train_lab(default_plan(seed), out, display)
    if as_json:
        print_json({"out": str(out), "seed": seed, **quality.as_document(), "failures": quality.failures()})
    else:
        _print_quality(out, quality)
    if quality.failures():
        raise ArtefactError(out, "; ".join(quality.failures()), remedy="train with another --seed")


@app.command
def problems(
    *,
    count: Annotated[int, Parameter(help="number of problems")] = 100,
    seed: Annotated[int, Parameter(help="problem stream; none is ever trained on")] = 0,
    mix: Annotated[Mix, Parameter(help="how often each operation comes")] = Mix.STANDARD,
    out: Annotated[Path | None, Parameter(help="JSONL file; standard output without")] = None,
) -> None:
    """Make a set of problems: JSONL with id, problem and answer."""
    lines = "".join(
        json.dumps({"id": made.id, "problem": made.problem, "answer": made.answer}) + "\n"
        for made in generate_problems(count, seed=seed, mix=mix)
    )
    if out is None:
        sys.stdout.write(lines)
        return
    try:
        out.write_text(lines)
    except OSError as error:
        raise InputError(
            "lab problems", field="--out", value=str(out), remedy=f"give a file that can be written ({error.strerror})"
        ) from error


def _print_quality(out: Path, quality: "LabQuality") -> None:
    rows = [
        (
            kind.value,
            *(table.get(kind, "") for table in (quality.weak.by_operation, quality.strong.by_operation)),
            quality.prm.by_operation.get(kind, ""),
        )
        for kind in Operation
    ]
    rows += [
        ("all steps", quality.weak.step_accuracy, quality.strong.step_accuracy, quality.prm.auc),
        ("whole problem", quality.weak.problem_accuracy, quality.strong.problem_accuracy, ""),
    ]
    print_table(
        f"Step accuracy at temperature 0.7, and AUC of the PRM, in {out}", ("step", "weak", "strong", "PRM"), rows
    )
    s0, s1, s2 = quality.prm.mean_score
    print_table("Mean score of the PRM", ("all right", "an earlier step wrong", "this step wrong"), [(s0, s1, s2)])
