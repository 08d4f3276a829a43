"""Muon: momentum, orthogonalised by Newton-Schulz iterations (Jordan et al., 2024), in float32 throughout.

torch's own Muon iterates in bfloat16, which a CPU without native bfloat16 runs eleven times slower.
"""

from collections.abc import Callable, Iterable
from typing import overload

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Optimiser of weight matrices `[rows, columns]`; biases, norms and embeddings belong to AdamW.

    Args:
        matrices: the parameters, all two-dimensional.
        lr: size of a step; each step moves a matrix by about `lr` in spectral norm (times sqrt(rows/columns) if tall).
        momentum: decay of the Nesterov momentum.

    Raises:
        ValueError: a parameter is not a matrix.
    """

    def __init__(self, matrices: Iterable[torch.nn.Parameter], *, lr: float, momentum: float = 0.95) -> None:
        super().__init__(list(matrices), {"lr": lr, "momentum": momentum})
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.ndim != 2:
                    raise ValueError(f"Muon takes matrices, not a parameter of shape {tuple(matrix.shape)}")

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Moves every matrix that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
                direction = orthogonalise(matrix.grad.lerp(state["momentum"], group["momentum"]))
                matrix.add_(direction, alpha=-group["lr"] * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5)
        return loss


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix `[rows, columns]` with its singular values pushed to about 1 (0.7 to 1.2), same singular vectors."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    orthogonal: torch.Tensor = x.T if tall else x
    return orthogonal
