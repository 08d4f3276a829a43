import re
from pathlib import Path

import numpy as np
import pytest

from kde.evaluate import evaluate_filters
from kde.model import fit_observation_model
from kde.report.page import write_report
from kde.roc import roc_curve
from kde.samples import ClassSamples, Samples
from tests.kde.test_evaluate import drawn_sequences


def test_the_page_holds_everything(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"S0": rng.beta(5, 1, (80, 2)), "S1": rng.beta(1, 3, (60, 2)), "S2": rng.beta(2, 3, (60, 2))}
    model = fit_observation_model(
        ClassSamples.validated(arrays, source="drawn"), provenance={"inputs": {"samples": "<drawn> & $5"}}
    )
    evaluation = evaluate_filters(model, drawn_sequences(200, echo=2, seed=0), np.random.default_rng(0))
    written = write_report(model, {"drawn traces": evaluation}, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert {path.name for path in written} == {"densities.png", "roc.png", "reliability-0-0.png", "index.html"}
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in written if path.suffix == ".png")
    sources = re.findall(r'src="([^"]{20})', page)
    assert len(sources) == 3
    assert all(source.startswith("data:image/png;") for source in sources)
    assert "http" not in page
    assert "&lt;drawn&gt; &amp; $5" in page
    for name, report in evaluation.filters.items():
        assert name in page
        assert f"{report.log_loss:.3f}" in page


def test_the_roc_curve_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    right, wrong = (
        Samples.weighted(rng.integers(0, 6, (30, 2)) / 5, rng.random(30) + 0.1, np.arange(30)) for _ in range(2)
    )
    false_alarms, hits, area = roc_curve(right, wrong)
    assert (false_alarms[0], hits[0], false_alarms[-1], hits[-1]) == (0, 0, pytest.approx(1), pytest.approx(1))
    pairs = sum(
        w * v * ((a > b) + (a == b) / 2)
        for a, w in zip(right.features[:, 1], right.weights, strict=True)
        for b, v in zip(wrong.features[:, 1], wrong.weights, strict=True)
    )
    assert area == pytest.approx(pairs)
