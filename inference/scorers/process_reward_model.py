"""A process reward model in the layout of Qwen2.5-Math-PRM: a Qwen2 trunk and a two-layer head on every position.

vLLM serves the same checkpoints as `Qwen2ForProcessRewardModel`; transformers has no class of its own for them.
"""

import json
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file
from transformers import Qwen2Config, Qwen2Model

from kde.errors import ArtefactError

ARCHITECTURE = "Qwen2ForProcessRewardModel"
"""What a checkpoint's config.json must list under `architectures`."""


class ProcessRewardModel(torch.nn.Module):
    """Scores the step that ends at each position; only positions of the step tag mean anything.

    Attributes:
        model: the trunk, hidden size H.
        score: Linear [H, H], ReLU, Linear [2, H].
    """

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__()
        self.model = Qwen2Model(config)
        self.score = torch.nn.Sequential(
            torch.nn.Linear(config.hidden_size, config.hidden_size),
            torch.nn.ReLU(),
            torch.nn.Linear(config.hidden_size, 2),
        )

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Logits `[B, T, 2]` (bad, good) of token ids `[B, T]`; right padding needs no mask, attention is causal."""
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).last_hidden_state
        logits: torch.Tensor = self.score(hidden)
        return logits

    @torch.no_grad()
    def probabilities(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """P(good) `[B, T]` of token ids `[B, T]`."""
        return self(input_ids, attention_mask).softmax(-1)[..., 1]  # type: ignore[no-any-return]

    @classmethod
    def load(cls, directory: Path, *, dtype: torch.dtype = torch.float32) -> Self:
        """The checkpoint in `directory` (config.json and one or more *.safetensors), in evaluation mode.

        Raises:
            ArtefactError: the directory holds no such checkpoint.
        """
        remedy = f"give a directory with config.json of a {ARCHITECTURE} and its safetensors"
        try:
            architectures = json.loads((directory / "config.json").read_text()).get("architectures")
        except (OSError, ValueError) as error:
            raise ArtefactError(directory, f"config.json cannot be read ({error})", remedy=remedy) from error
        if architectures != [ARCHITECTURE]:
            raise ArtefactError(directory, f"holds the architectures {architectures}", remedy=remedy)
        weights = {
            name: tensor
            for file in sorted(directory.glob("*.safetensors"))
            for name, tensor in load_file(file).items()
            if not name.startswith("lm_head.")
        }
        model = cls(Qwen2Config.from_pretrained(directory)).to(dtype)
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise ArtefactError(directory, f"weights do not fit config.json ({error})", remedy=remedy) from error
        return model.eval()
