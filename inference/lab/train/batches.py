"""Problems and their solutions as the tokens that a language model learns and a server sees."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from inference.lab.language import STEP_SEPARATOR, LabProblem
from inference.lab.tokenizer import TURN_END, chat_prompt

IGNORED = -100
"""Target of a position that has none."""


@dataclass(frozen=True, slots=True)
class LanguageBatch:
    """Right-padded sequences; padding needs no mask because attention is causal.

    Attributes:
        tokens: `[B, T]` int64, chat prompt, solution and end of turn.
        targets: `[B, T]` int64, the token to predict *at* each position: the next one, or -100 in prompt and padding.
    """

    tokens: torch.Tensor
    targets: torch.Tensor

    @property
    def size(self) -> int:
        """Number of tokens with padding."""
        return self.tokens.numel()


def encode(tokenizer: PreTrainedTokenizerBase, problems: Sequence[LabProblem]) -> LanguageBatch:
    """Exactly what a server sees and writes: the chat prompt, the canonical solution, end of turn."""
    prompts = tokenizer([chat_prompt(problem.problem) for problem in problems])["input_ids"]
    solutions = tokenizer([STEP_SEPARATOR.join(problem.steps) + TURN_END for problem in problems])["input_ids"]
    length = max(len(prompt) + len(solution) for prompt, solution in zip(prompts, solutions, strict=True))
    tokens = torch.full((len(problems), length), tokenizer.pad_token_id, dtype=torch.int64)
    targets = torch.full((len(problems), length), IGNORED, dtype=torch.int64)
    for row, (prompt, solution) in enumerate(zip(prompts, solutions, strict=True)):
        end = len(prompt) + len(solution)
        tokens[row, :end] = torch.tensor(prompt + solution)
        targets[row, len(prompt) - 1 : end - 1] = torch.tensor(solution)
    return LanguageBatch(tokens, targets)
