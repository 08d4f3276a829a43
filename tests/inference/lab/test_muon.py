import numpy as np
import pytest
from numpy.typing import NDArray

pytestmark = pytest.mark.models
torch = pytest.importorskip("torch")
muon = pytest.importorskip("inference.lab.train.muon")


def slow_orthogonalise(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Newton-Schulz acts on each singular value alone: x -> a x + b x^3 + c x^5."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    values = values / np.linalg.norm(values)
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return np.asarray((left * values) @ right)


@pytest.mark.parametrize("shape", [(8, 8), (20, 8), (8, 20)])
def test_orthogonalises_as_its_twin_on_singular_values(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).normal(size=shape)
    found = muon.orthogonalise(torch.tensor(matrix)).numpy()
    assert found == pytest.approx(slow_orthogonalise(matrix), abs=1e-6)
    assert np.linalg.svd(found, compute_uv=False) == pytest.approx(1.0, abs=0.35)


@pytest.mark.parametrize("shape", [(8, 8), (20, 8), (8, 20)])
def test_steps_as_its_twin_with_nesterov_momentum(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    start, gradients = rng.normal(size=shape), rng.normal(size=(4, *shape))
    parameter = torch.nn.Parameter(torch.tensor(start))
    optimiser = muon.Muon([parameter], lr=0.1, momentum=0.9)
    expected, momentum = start.copy(), np.zeros(shape)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        optimiser.step()
        momentum = 0.9 * momentum + 0.1 * gradient
        update = slow_orthogonalise(0.1 * gradient + 0.9 * momentum)
        expected -= 0.1 * np.sqrt(max(1.0, shape[0] / shape[1])) * update
    assert parameter.detach().numpy() == pytest.approx(expected, abs=1e-6)


def test_takes_matrices_only() -> None:
    with pytest.raises(ValueError, match="matrices"):
        muon.Muon([torch.nn.Parameter(torch.zeros(3))], lr=0.1)
