"""How good a PRM is at telling right from wrong, by operation, on solutions that a model wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from inference.lab.checker import first_error
from inference.lab.language import LabProblem
from inference.lab.steps import Operation
from inference.lab.tokenizer import STEP_TAG, chat_prompt
from inference.scorers.process_reward_model import ProcessRewardModel

_CHUNK = 20
_LEAST_STEPS = 10


@dataclass(frozen=True, slots=True)
class ScoredStep:
    """A sampled step as the PRM sees it.

    Attributes:
        operation: what the step does.
        state: 0 if all steps so far are right (S0), 1 if an earlier one is wrong (S1), 2 if only this one is (S2).
        score: the PRM's P(good).
    """

    operation: Operation
    state: int
    score: float


@dataclass(frozen=True, slots=True)
class VerifierQuality:
    """How well a PRM tells right from wrong.

    Attributes:
        auc: area under the ROC curve, S0 against S2.
        by_operation: the same within each operation that has at least 10 steps of either kind.
        mean_score: mean score in S0, S1 and S2.
    """

    auc: float
    by_operation: Mapping[Operation, float]
    mean_score: tuple[float, float, float]


def score_steps(
    prm: ProcessRewardModel,
    tokenizer: PreTrainedTokenizerBase,
    problems: Sequence[LabProblem],
    solutions: Sequence[Sequence[str]],
) -> list[ScoredStep]:
    """The PRM's score of every step of one solution a problem; steps written after the answer are left out."""
    tag: int = tokenizer.encode(STEP_TAG)[0]
    scored: list[ScoredStep] = []
    for start in range(0, len(problems), _CHUNK):
        chunk = list(zip(problems[start : start + _CHUNK], solutions[start : start + _CHUNK], strict=True))
        rows = [
            torch.tensor(tokenizer.encode(chat_prompt(problem.problem) + "".join(step + STEP_TAG for step in steps)))
            for problem, steps in chunk
        ]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0)
        chances = prm.probabilities(tokens)
        for (problem, steps), row, chance in zip(chunk, tokens, chances, strict=True):
            wrong = first_error(problem.problem, steps)
            for index, (operation, score) in enumerate(zip(problem.operations, chance[row == tag], strict=False)):
                scored.append(ScoredStep(operation, _state(index, wrong), float(score)))
    return scored


def _state(index: int, first_wrong: int) -> int:
    if first_wrong in (-1, index):
        return 0 if first_wrong == -1 else 2
    return 0 if index < first_wrong else 1


def verifier_quality(steps: Sequence[ScoredStep]) -> VerifierQuality:
    """Quality of the PRM that scored `steps`."""
    scores = np.array([step.score for step in steps])
    states = np.array([step.state for step in steps])
    kinds = np.array([step.operation for step in steps])
    by_operation = {}
    for kind in Operation:
        right, wrong = scores[(kinds == kind) & (states == 0)], scores[(kinds == kind) & (states == 2)]
        if min(len(right), len(wrong)) >= _LEAST_STEPS:
            by_operation[kind] = area_under_curve(right, wrong)
    s0, s1, s2 = (float(scores[states == state].mean()) for state in range(3))
    return VerifierQuality(area_under_curve(scores[states == 0], scores[states == 2]), by_operation, (s0, s1, s2))


def area_under_curve(right: NDArray[np.float64], wrong: NDArray[np.float64]) -> float:
    """Chance that a score drawn from `right` exceeds one drawn from `wrong`, ties counting half."""
    ordered = np.sort(wrong)
    below = np.searchsorted(ordered, right, side="left")
    not_above = np.searchsorted(ordered, right, side="right")
    return float((below + not_above).mean() / (2 * len(wrong)))
