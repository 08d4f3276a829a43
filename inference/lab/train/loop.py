"""Gradient descent that can be killed at any moment and goes on where it was, to the same result."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch

from inference.lab.train.muon import Muon
from inference.lab.train.state import load_state, save_state


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rates over the steps: linear warm-up, constant, linear decay to zero.

    Attributes:
        steps: training steps in all.
        muon: peak learning rate of the matrices.
        adam: peak learning rate of everything else.
        warm_up: steps of warm-up.
        decay: share of the steps, at the end, over which the rates decay.
    """

    steps: int
    muon: float
    adam: float
    warm_up: int = 30
    decay: float = 0.6

    def factor(self, step: int) -> float:
        """What the peak rates are multiplied by at `step`, 0 to 1."""
        return min((step + 1) / self.warm_up, 1.0, (self.steps - step) / (self.decay * self.steps))


@dataclass(frozen=True, slots=True)
class Plan:
    """What every training run has in common.

    Attributes:
        name: `weak`, `strong` or `prm`.
        seed: seed of the whole laboratory.
        stream: sets its initial weights and training problems apart from those of other streams.
        schedule: steps at most, learning rates.
        measure_every: steps between measurements; the state is saved as often.
    """

    name: str
    seed: int
    stream: int
    schedule: Schedule
    measure_every: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What a training run tells about itself.

    Attributes:
        model: name of the plan.
        step: steps done.
        steps: steps at most.
        tokens_per_second: speed since the last report.
        loss: mean training loss since the last report.
        errors: error by operation when last measured; empty before. Watch these, not the loss.
    """

    model: str
    step: int
    steps: int
    tokens_per_second: float
    loss: float
    errors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Run:
    """One training run: what is trained, on what, how, and where its state is kept.

    Attributes:
        plan: how; it determines the run, and a state is only resumed under an equal one.
        module: holds the parameters; frozen ones do not require gradients.
        is_matrix: whether Muon moves the parameter of this name; AdamW moves the others.
        loss: from a step to its loss and the number of tokens in its batch.
        measure: error by operation, and whether the model is good enough to stop.
        state: file of the state.
    """

    plan: Plan
    module: torch.nn.Module
    is_matrix: Callable[[str, torch.nn.Parameter], bool]
    loss: Callable[[int], tuple[torch.Tensor, int]]
    measure: Callable[[], tuple[Mapping[str, float], bool]]
    state: Path


_REPORT_EVERY = 10


def train(run: Run, report: Callable[[Progress], None]) -> int:
    """Trains from the state on disk, or from the start, until the last step or until good enough; returns the step."""
    optimisers = _optimisers(run)
    plan, settings = run.plan, asdict(run.plan)
    step = load_state(run.state, settings=settings, module=run.module, optimisers=optimisers)
    errors: Mapping[str, float] = {}
    losses: list[float] = []
    tokens, since = 0, time.perf_counter()
    while step < plan.schedule.steps:
        # Measured before the step, not after: a run killed right after saving must meet its stop again on resuming.
        if step and step % plan.measure_every == 0:
            save_state(run.state, step=step, settings=settings, module=run.module, optimisers=optimisers)
            errors, good_enough = run.measure()
            if good_enough:
                break
            tokens, since = 0, time.perf_counter()
        loss, size = run.loss(step)
        _descend(loss, optimisers, plan.schedule.factor(step))
        step, tokens = step + 1, tokens + size
        losses.append(loss.item())
        if step % _REPORT_EVERY == 0:
            now = time.perf_counter()
            speed = tokens / (now - since)
            report(Progress(plan.name, step, plan.schedule.steps, speed, fmean(losses), errors))
            losses.clear()
            tokens, since = 0, now
    save_state(run.state, step=step, settings=settings, module=run.module, optimisers=optimisers)
    return step


def _optimisers(run: Run) -> Sequence[torch.optim.Optimizer]:
    trained = [(name, p) for name, p in run.module.named_parameters() if p.requires_grad]
    matrices = [p for name, p in trained if run.is_matrix(name, p)]
    others = [p for name, p in trained if not run.is_matrix(name, p)]
    optimisers = (
        Muon(matrices, lr=run.plan.schedule.muon),
        torch.optim.AdamW(others, lr=run.plan.schedule.adam, betas=(0.9, 0.95), weight_decay=0.0),
    )
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return optimisers


def _descend(loss: torch.Tensor, optimisers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        optimiser.step()
        optimiser.zero_grad()
