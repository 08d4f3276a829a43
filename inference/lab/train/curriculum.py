"""What the language models are shown when: routine operations alone at first, then the hard ones blended in.

With everything at once, plain additions stay at chance for millions of tokens while the loss looks fine: the hard
operations drown the circuit that copies a value and applies one operation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from inference.lab.language import OPERATION_SHARES
from inference.lab.steps import Operation

_HARD = frozenset({Operation.CHAIN, Operation.MIX2})


@dataclass(frozen=True, slots=True)
class Curriculum:
    """Shares of the operations as a function of the step: hard ones absent, ramped in, then as in the language.

    Attributes:
        routine_steps: training steps with routine operations alone.
        blend_steps: training steps over which the hard operations rise linearly to their full share.
    """

    routine_steps: int = 600
    blend_steps: int = 600

    def shares(self, step: int) -> Mapping[Operation, float]:
        """Relative share of each operation at `step`."""
        blended = min(max((step - self.routine_steps) / self.blend_steps, 0.0), 1.0)
        return {kind: share * (blended if kind in _HARD else 1.0) for kind, share in OPERATION_SHARES.items()}
