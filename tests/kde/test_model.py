import json
from pathlib import Path

import numpy as np
import pytest

from kde.errors import ArtefactError, InputError
from kde.model import ObservationModel, fit_observation_model
from kde.samples import ClassSamples, StepClass


@pytest.fixture(scope="module")
def samples() -> ClassSamples:
    rng = np.random.default_rng(3)
    recoverable = np.column_stack((rng.beta(5, 1, 50), rng.beta(1, 4, 50)))
    arrays = {"S0": rng.beta(5, 1, (80, 2)), "S1": rng.beta(1, 3, (60, 2)), "S2": recoverable}
    return ClassSamples.validated(arrays, source="drawn")


def test_the_authors_cells_are_reproduced(reference: Path) -> None:
    model = fit_observation_model(ClassSamples.load(reference / "observations" / "math-train_samples.npz"), cell=0.05)
    golden = np.load(reference / "observations" / "math-train_bins_0.05.npz")
    for step_class in StepClass:
        variation = 0.5 * abs(model.cells[step_class].ravel() - golden[f"{step_class.key}_probs"]).sum()
        assert variation < 1e-6
    centres = (np.arange(20) + 0.5) / 20
    points = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    assert points == pytest.approx(golden["S0_points"])


def test_a_saved_model_comes_back_equal(samples: ClassSamples, tmp_path: Path) -> None:
    model = fit_observation_model(samples, cell=0.1, provenance={"inputs": {}})
    content_hash = model.save(tmp_path)
    loaded = ObservationModel.load(tmp_path)
    assert loaded.content_hash == content_hash
    assert (loaded.cells == model.cells).all()
    assert loaded.settings == model.settings
    assert loaded.settings["samples"] == {"S0": 80, "S1": 60, "S2": 50}
    assert loaded.settings["factors"] == pytest.approx(
        {"S0": 80 ** (-1 / 6), "S1": 60 ** (-1 / 6), "S2": 50 ** (-1 / 6)}
    )
    for step_class in StepClass:
        assert (loaded.densities[step_class].bandwidth == model.densities[step_class].bandwidth).all()
        assert (loaded.samples.by_class[step_class].groups == samples.by_class[step_class].groups).all()


def test_the_same_samples_give_the_same_bytes(samples: ClassSamples, tmp_path: Path) -> None:
    for name in ("a", "b"):
        fit_observation_model(samples).save(tmp_path / name)
    for name in ("model.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_likelihoods_are_cells_borders_included(samples: ClassSamples) -> None:
    model = fit_observation_model(samples, cell=0.1)
    found = model.likelihood([0.0, 1.0, 0.55], [1.0, 0.0, 0.31])
    assert (found == model.cells[:, [0, 9, 5], [9, 0, 3]].T).all()


@pytest.mark.parametrize("cell", [0.0, -1.0, 0.3, 2.0, 1e-4, float("nan")])
def test_cells_must_fill_the_square(samples: ClassSamples, cell: float) -> None:
    with pytest.raises(InputError, match="cell"):
        fit_observation_model(samples, cell=cell)


def test_damaged_models_are_refused(samples: ClassSamples, tmp_path: Path) -> None:
    fit_observation_model(samples).save(tmp_path)
    whole = {path: path.read_bytes() for path in tmp_path.iterdir()}
    tensors, document = tmp_path / "model.safetensors", tmp_path / "model.json"
    edited = json.loads(whole[document])
    damages = [
        (tensors, whole[tensors][:-9], "SHA-256"),
        (tensors, b"", "SHA-256"),
        (document, whole[document][:40], "not JSON"),
        (document, b"[]", "not a JSON object"),
        (document, json.dumps(edited | {"settings": {"cell": 1}}).encode(), "content_hash"),
        (document, json.dumps(edited | {"schema_version": 99}).encode(), "upgrade"),
        (document, json.dumps(edited | {"kind": "table"}).encode(), "kind is 'table'"),
    ]
    for path, content, complaint in damages:
        path.write_bytes(content)
        with pytest.raises(ArtefactError, match=complaint) as caught:
            ObservationModel.load(tmp_path)
        assert "\n" not in str(caught.value)
        path.write_bytes(whole[path])
    tensors.unlink()
    with pytest.raises(ArtefactError, match="cannot be read"):
        ObservationModel.load(tmp_path)
