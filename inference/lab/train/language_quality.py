"""How good a language model is, by operation.

Measured teacher-forced: the chance that it samples exactly the canonical step from the right prefix is the product of its
token probabilities at the sampling temperature, which takes one forward pass and has no sampling noise.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from inference.lab.language import STEP_SEPARATOR, LabProblem
from inference.lab.steps import Operation
from inference.lab.train.batches import IGNORED, encode

TEMPERATURE = 0.7
"""Sampling temperature of the language models in every lab experiment."""

_CHUNK = 20


@dataclass(frozen=True, slots=True)
class LanguageModelQuality:
    """Accuracy of a language model that samples at `TEMPERATURE`.

    Attributes:
        step_accuracy: chance that a step is right if all before it are.
        problem_accuracy: chance that all steps of a problem are right.
        by_operation: `step_accuracy` by operation.
    """

    step_accuracy: float
    problem_accuracy: float
    by_operation: Mapping[Operation, float]


def language_model_quality(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, problems: Sequence[LabProblem]
) -> LanguageModelQuality:
    """Quality of `model` on `problems`."""
    chances: dict[Operation, list[float]] = defaultdict(list)
    whole: list[float] = []
    for start in range(0, len(problems), _CHUNK):
        chunk = problems[start : start + _CHUNK]
        for problem, steps in zip(chunk, _step_chances(model, tokenizer, chunk), strict=True):
            whole.append(float(np.prod(steps)))
            for operation, chance in zip(problem.operations, steps, strict=True):
                chances[operation].append(float(chance))
    return LanguageModelQuality(
        step_accuracy=float(np.mean(np.concatenate(list(chances.values())))),
        problem_accuracy=float(np.mean(whole)),
        by_operation={kind: float(np.mean(chances[kind])) for kind in Operation if kind in chances},
    )


@torch.no_grad()
def _step_chances(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, problems: Sequence[LabProblem]
) -> list[NDArray[np.float64]]:
    """For each problem, `[steps]`: the chance of sampling each canonical step, its separator or end included."""
    batch = encode(tokenizer, problems)
    log_chances = (model(batch.tokens).logits / TEMPERATURE).log_softmax(-1)
    written = log_chances.gather(-1, batch.targets.clamp(min=0)[..., None])[..., 0].double()
    separator = tokenizer.encode(STEP_SEPARATOR)[0]
    chances = []
    for row, targets in zip(written, batch.targets, strict=True):
        solution = targets != IGNORED
        # A step ends with its separator, so the step of a token is the number of separators before it.
        step = (targets[solution] == separator).cumsum(0) - (targets[solution] == separator).long()
        chances.append(torch.zeros(int(step.max()) + 1).double().index_add(0, step, row[solution]).exp().numpy())
    return chances
