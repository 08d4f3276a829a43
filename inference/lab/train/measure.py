"""The measured quality of a laboratory, and the gates it has to pass before anything is routed with it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import torch
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from inference.lab.language import HELD_OUT_SEEDS, generate_problems
from inference.lab.steps import Operation
from inference.lab.train.language_quality import TEMPERATURE, LanguageModelQuality, language_model_quality
from inference.lab.train.sample import sample_solutions
from inference.lab.train.verifier_quality import VerifierQuality, score_steps, verifier_quality
from inference.scorers.process_reward_model import ProcessRewardModel

MEASURING_SEED: Final = HELD_OUT_SEEDS[-1]
"""Held-out problem stream of the measurement."""

HARDEST: Final = Operation.MIX2

WEAK_STEP_ACCURACY: Final = (0.85, 0.92)
STRONG_STEP_ACCURACY: Final = (0.985, 1.0)
PRM_AUC: Final = (0.93, 0.985)
PRM_AUC_ERROR: Final = 0.003
"""Standard error of that AUC on a thousand problems."""
PRM_HARDEST_AUC: Final = (0.85, 1.0)


@dataclass(frozen=True, slots=True)
class LabQuality:
    """Measured quality of the three models, on held-out problems."""

    weak: LanguageModelQuality
    strong: LanguageModelQuality
    prm: VerifierQuality

    def failures(self) -> list[str]:
        """What is not as the lab needs it, in words; empty if all is well."""
        return [
            f"{name} is {value:.4f}, not within {low} to {high}"
            for name, value, (low, high) in self._gates()
            if not low <= value <= high
        ]

    def _gates(self) -> Iterator[tuple[str, float, tuple[float, float]]]:
        yield "weak step accuracy", self.weak.step_accuracy, WEAK_STEP_ACCURACY
        yield "strong step accuracy", self.strong.step_accuracy, STRONG_STEP_ACCURACY
        low, high = PRM_AUC
        yield "PRM AUC", self.prm.auc, (low - PRM_AUC_ERROR, high + PRM_AUC_ERROR)
        yield f"PRM AUC within {HARDEST}", self.prm.by_operation.get(HARDEST, 0.0), PRM_HARDEST_AUC

    def as_document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """From JSON."""
        return cls(
            weak=LanguageModelQuality(**document["weak"]),
            strong=LanguageModelQuality(**document["strong"]),
            prm=VerifierQuality(**document["prm"]),
        )


def measure_lab(
    weak: Qwen2ForCausalLM,
    strong: Qwen2ForCausalLM,
    prm: ProcessRewardModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    problems: int,
    seed: int = MEASURING_SEED,
) -> LabQuality:
    """Quality on `problems` held-out problems; the PRM's on one solution to each, sampled from `weak`."""
    asked = generate_problems(problems, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    solutions = sample_solutions(weak, tokenizer, asked, temperature=TEMPERATURE, generator=generator)
    return LabQuality(
        weak=language_model_quality(weak, tokenizer, asked),
        strong=language_model_quality(strong, tokenizer, asked),
        prm=verifier_quality(score_steps(prm, tokenizer, asked, solutions)),
    )
