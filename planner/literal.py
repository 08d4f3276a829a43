"""The paper's literal belief-to-action table: one action for every belief of the lattice, token count and step."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kde.samples import Array
from planner.lattice import interpolate, lattice
from planner.table import RESOLUTION, PolicyTable

TOKEN_COUNTS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 300, 400, 500)
"""18 counts from 5 to 500, as many as the paper's authors use."""


@dataclass(frozen=True, slots=True)
class ActionTable:
    """Actions of one policy.

    Attributes:
        beliefs: [n_beliefs, 3], the lattice of steps 0.025: all 861 of it.
        tokens: [n_tokens] token counts of M_w's proposal.
        steps: [T] 1-based.
        regenerate: [n_beliefs, n_tokens, T] what to do where the proposal does not end the answer.
        regenerate_final: the same where it does.
    """

    beliefs: Array
    tokens: NDArray[np.int64]
    steps: NDArray[np.int64]
    regenerate: NDArray[np.bool_]
    regenerate_final: NDArray[np.bool_]

    @classmethod
    def of(cls, table: PolicyTable, lam: float) -> Self:
        """Read it from a policy table.

        Raises:
            UnknownPolicyError: the table was not built for this lambda.
        """
        beliefs, tokens = lattice(RESOLUTION), np.array(TOKEN_COUNTS)
        steps, flags, nodes = table.break_even.shape[1:]
        surfaces = table.break_even[table.index(lam)].reshape(-1, nodes)
        rows = np.repeat(np.arange(steps * flags), len(beliefs))
        counts = interpolate(surfaces, rows, np.tile(beliefs, (steps * flags, 1)), table.resolution)
        counts = counts.reshape(steps, flags, len(beliefs))
        strong = table.pomdp.tokens.strong_intercept + table.pomdp.tokens.strong_slope * tokens
        worth = strong[:, None] < counts.transpose(1, 2, 0)[:, :, None, :]
        return cls(beliefs, tokens, np.arange(1, steps + 1), worth[0], worth[1])

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """By name, for an npz file."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
