"""Training of the weak and the strong language model.

They differ in seed and in how long they are trained: the weak one stops when it is as good as a weak model should be.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase, Qwen2ForCausalLM

from inference.lab.architecture import language_model_config
from inference.lab.language import OPERATION_SHARES, LabProblem, draw_problem, solve, training_rng
from inference.lab.train.batches import IGNORED, encode
from inference.lab.train.chunks import Chunks
from inference.lab.train.curriculum import Curriculum
from inference.lab.train.language_quality import language_model_quality
from inference.lab.train.loop import Plan, Progress, Run, train


@dataclass(frozen=True, slots=True)
class LanguageModelPlan(Plan):
    """How a language model is made.

    Attributes:
        curriculum: when the hard operations come in.
        enough: step accuracy at which training stops; above 1 to train to the last step.
        validation_problems: problems (of the training part) on which that is measured.
    """

    curriculum: Curriculum
    enough: float
    validation_problems: int = 300


def train_language_model(
    plan: LanguageModelPlan,
    tokenizer: PreTrainedTokenizerBase,
    *,
    state: Path,
    report: Callable[[Progress], None],
) -> Qwen2ForCausalLM:
    """The trained model; goes on from `state` if that exists."""
    model = initial_model(tokenizer, seed=plan.seed, stream=plan.stream)

    def draw(rng: np.random.Generator, step: int) -> LabProblem:
        return solve(draw_problem(rng, plan.curriculum.shares(step), held_out=False), name="training")

    batches = Chunks(
        draw, lambda made: len(made.problem), partial(encode, tokenizer), seed=plan.seed, stream=plan.stream
    )
    rng = training_rng(plan.seed, plan.stream, _VALIDATION)
    problems = [
        solve(draw_problem(rng, OPERATION_SHARES, held_out=False), name="validation")
        for _ in range(plan.validation_problems)
    ]

    def loss(step: int) -> tuple[torch.Tensor, int]:
        batch = batches[step]
        logits = model(batch.tokens).logits
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED
        ), batch.size

    def measure() -> tuple[Mapping[str, float], bool]:
        quality = language_model_quality(model, tokenizer, problems)
        errors = {kind.value: 1 - accuracy for kind, accuracy in quality.by_operation.items()}
        return errors, quality.step_accuracy >= plan.enough

    train(Run(plan, model, _is_matrix, loss, measure, state), report)
    return model


_VALIDATION, _INITIAL_WEIGHTS = 2**31, 2**31 + 1
"""Streams beside those of the training batches, which count up from 0 and never get here."""


def initial_model(tokenizer: PreTrainedTokenizerBase, *, seed: int, stream: int) -> Qwen2ForCausalLM:
    """The untrained model, its weights drawn from the seed without touching torch's global generator."""
    with torch.random.fork_rng():
        torch.manual_seed(int(training_rng(seed, stream, _INITIAL_WEIGHTS).integers(2**62)))
        model = Qwen2ForCausalLM(language_model_config(tokenizer))  # type: ignore[no-untyped-call]
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


def _is_matrix(name: str, parameter: torch.nn.Parameter) -> bool:
    return parameter.ndim == 2 and "embed" not in name
