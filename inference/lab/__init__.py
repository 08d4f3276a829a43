"""The lab: a synthetic language of chained arithmetic, its exact checker, and three small models trained on it.

The models are shipped in `CHECKPOINTS` (`weak`, `strong`, `prm`). Training lives in `inference.lab.train`, which needs
torch; nothing here does.
"""

from pathlib import Path
from typing import Final

from inference.lab.checker import final_answer_correct, first_error
from inference.lab.language import HELD_OUT_SEEDS, STEP_SEPARATOR, LabProblem, Mix, generate_problems
from inference.lab.steps import Operation

CHECKPOINTS: Final = Path(__file__).parent / "checkpoints"
"""Directory of the shipped checkpoints."""

__all__ = [
    "CHECKPOINTS",
    "HELD_OUT_SEEDS",
    "STEP_SEPARATOR",
    "LabProblem",
    "Mix",
    "Operation",
    "final_answer_correct",
    "first_error",
    "generate_problems",
]
