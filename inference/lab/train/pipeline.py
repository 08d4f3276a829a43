"""The whole laboratory from nothing: weak and strong side by side, then the PRM on top of strong, then the measurement.

Training states live in `<out>/.state` until the end; a run that is killed goes on there when it is started again.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from inference.lab.tokenizer import build_tokenizer
from inference.lab.train.curriculum import Curriculum
from inference.lab.train.export import load_language_model, save_process_reward_model
from inference.lab.train.language_model import LanguageModelPlan
from inference.lab.train.loop import Plan, Progress, Schedule
from inference.lab.train.measure import LabQuality, measure_lab
from inference.lab.train.process_reward import train_process_reward_model
from inference.lab.train.workers import train_side_by_side
from kde.errors import ArtefactError

_MEASURED_PROBLEMS = 1000


@dataclass(frozen=True, slots=True)
class LabPlan:
    """How the models are made and on how many problems they are measured.

    Attributes:
        weak, strong: the two generators.
        prm: the process reward model, on top of `strong`.
        problems: held-out problems of the measurement.
    """

    weak: LanguageModelPlan
    strong: LanguageModelPlan
    prm: Plan
    problems: int = _MEASURED_PROBLEMS


def default_plan(seed: int) -> LabPlan:
    """The plan that made the shipped checkpoints (with seed 0)."""
    schedule = Schedule(steps=4000, muon=0.005, adam=0.01)
    curriculum = Curriculum(routine_steps=700, blend_steps=500)
    return LabPlan(
        weak=LanguageModelPlan("weak", seed, 1, schedule, measure_every=250, curriculum=curriculum, enough=0.89),
        strong=LanguageModelPlan("strong", seed, 2, schedule, measure_every=200, curriculum=curriculum, enough=2.0),
        prm=Plan("prm", seed, 3, Schedule(steps=4000, muon=0.005, adam=0.005), measure_every=100),
    )


def train_lab(plan: LabPlan, out: Path, report: Callable[[Progress], None]) -> LabQuality:
    """Trains what is not yet trained in `out`, saves the three checkpoints there, and measures them.

    A finished `out` is only read. The result may miss the lab's gates: see `LabQuality.failures`.

    Raises:
        ArtefactError: `out` holds a laboratory, or the state of one, made by another plan.
    """
    summary = out / "quality.json"
    if summary.exists():
        return _read_summary(summary, plan)
    state = out / ".state"
    state.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    train_side_by_side((plan.weak, plan.strong), out, state, report)
    weak, strong = (load_language_model(out / name) for name in ("weak", "strong"))
    torch.set_num_threads(1)  # sums, and so weights, must not depend on the number of cores
    prm = train_process_reward_model(plan.prm, strong, tokenizer, state=state / "prm.safetensors", report=report)
    save_process_reward_model(prm, tokenizer, out / "prm")
    quality = measure_lab(weak, strong, prm, tokenizer, problems=plan.problems)
    summary.write_text(json.dumps({"plan": asdict(plan), "quality": quality.as_document()}, indent=1) + "\n")
    shutil.rmtree(state)
    return quality


def _read_summary(summary: Path, plan: LabPlan) -> LabQuality:
    document = json.loads(summary.read_text())
    if document["plan"] != asdict(plan):
        raise ArtefactError(summary, "is of a laboratory made by another plan", remedy="choose another --out")
    return LabQuality.from_document(document["quality"])
