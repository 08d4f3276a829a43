"""`trim kde` as its user meets it: the real program, real files."""

import gzip
import json
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.cli import main

PRM = "Qwen2.5-Math-PRM-7B"


def kde(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "inference", "kde", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def document(*arguments: object) -> dict[str, Any]:
    done = kde(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def fitted(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "A"
    observations = reference / "observations"
    found = document(
        "fit",
        observations / "math-train_samples.npz",
        "--cell",
        "0.05",
        "--compare-cells",
        observations / "math-train_bins_0.05.npz",
        "--out",
        out,
    )
    assert max(found["total_variation"].values()) < 1e-6
    assert found["samples"] == {"S0": 1233, "S1": 499, "S2": 528}
    return out


def test_step_counts_give_accuracies_and_hazards(reference: Path) -> None:
    counts = reference / "dynamics" / "math_train_transition_params.json"
    models = document("dynamics", "--step-counts", counts, "--method", "threshold")["models"]
    assert [f"{one['accuracy']['value']:.4f}" for one in models.values()] == ["0.8660", "0.9704", "0.9924"]
    assert all(len(one["kaplan_meier"]) == len(one["smoothed"]) == 30 for one in models.values())
    shown = kde("dynamics", "--step-counts", counts, "--method", "threshold").stdout
    assert all(number in shown for number in ("0.8660", "0.9704", "0.9924"))


def test_a_class_without_samples_is_taken_from_a_file(reference: Path, tmp_path: Path) -> None:
    labels = [reference / "processbench" / f"{name}.json" for name in ("math", "omnimath")]
    scores = [reference / "prm_scores" / f"processbench_{name}.jsonl" for name in ("math", "omnimath")]
    options = ["--labels", *labels, "--scores", *scores, "--prm", PRM, "--out", tmp_path / "B"]
    refused = kde("fit", *options)
    assert refused.returncode == 2
    assert "class S1" in refused.stderr
    assert "--class-samples" in refused.stderr
    omni = reference / "observations" / "omni_samples.npz"
    exclude = ["--exclude", reference / "bench" / "math500_test.jsonl"]
    found = document("fit", *options, "--class-samples", f"S1={omni}", *exclude)
    assert found["samples"]["S1"] == 374
    assert found["excluded"] == 112
    assert found["traces"] + found["unscored"] == 2000 - 112


def test_every_filter_is_judged_and_the_best_can_be_kept(reference: Path, fitted: Path, tmp_path: Path) -> None:
    with gzip.open(reference / "traces" / "gsm8k_qwen2.5-7b_best_of_32.jsonl.gz", "rt") as lines:
        traces = tmp_path / "first.jsonl"
        traces.write_text("".join(islice(lines, 3200)))
    found = document("tune", fitted, "--traces", traces, "--out", tmp_path / "tuned")
    assert set(found["filters"]) == {"memoryless", "bayes", "tempered"}
    assert found["default"] == "tempered"
    written = json.loads((tmp_path / "tuned" / "model.json").read_text())
    assert written["filter"] == found["filters"]["tempered"]["tuned"]["filter"]
    assert written["provenance"]["filter"]["inputs"]["traces"]["file"] == traces.name
    assert found["measured_with"] == {"clip": 0.001, "likelihood_floor": 0.0001, "calibration_bins": 10}
    report = document("report", tmp_path / "tuned", "--out", tmp_path / "report")
    assert "reliability-0-0.png" in report["files"]


def test_labelled_steps_are_judged_by_class(reference: Path, fitted: Path) -> None:
    data = [
        "--labels",
        reference / "processbench" / "math.json",
        "--scores",
        reference / "prm_scores" / "processbench_math.jsonl",
    ]
    found = document("evaluate", fitted, *data, "--prm", PRM)
    for report in found["filters"].values():
        for name in ("S0", "S2"):
            assert 0.85 < report["steps"]["by_class"][name]["auc"]["value"] < 1
            assert report["steps"]["log_loss_by_class"][name]["value"] > 0
    refused = kde("evaluate", fitted, *data)
    assert refused.returncode == 2
    assert "--prm" in refused.stderr


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A small world of labelled traces with scores, and the same problems' answered traces of two generators."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[dict[str, Any]]] = {"labels": [], "scores": [], "weak": [], "strong": []}
    for n in range(60):
        label = int(rng.integers(-1, 3))
        scores = [float(rng.beta(6, 1) if label == -1 or t < label else rng.beta(1, 4)) for t in range(4)]
        labelled = {"id": f"t{n}", "generator": "g", "problem": f"p{n}", "steps": ["x"] * 4, "label": label}
        rows["labels"].append(labelled | {"final_answer_correct": label == -1, "tokens": [5, 6, 7, 8]})
        rows["scores"].append({"id": f"t{n}", "prm": "p", "scores": scores})
        answered = {"problem_id": f"p{n}", "final_answer_correct": label == -1, "scores": scores}
        rows["weak"].append(answered | {"tokens": [5, 6, 7, 8]})
        rows["strong"].append(answered | {"tokens": [9, 10, 11, 12]})
    for name, lines in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def test_every_way_to_fit_and_to_estimate_works(files: Path) -> None:
    data = ["--labels", files / "labels.jsonl", "--scores", files / "scores.jsonl", "--cell", "0.1"]
    for options in (
        ["--bandwidth", "cv", "--traces", files / "weak.jsonl"],
        ["--prefixes", "partition", "--bandwidth", "0.5"],
    ):
        assert document("fit", *data, *options, "--out", files / "model")["traces"] == 60
    generators = ["--weak", files / "weak.jsonl", "--strong", files / "strong.jsonl", "--out", files / "d.json"]
    em = ["--method", "em", "--observation-model", files / "model"]
    for options in (["--method", "threshold"], em):
        found = document("dynamics", *generators, *options)
        assert found["intervals"]["p_weak"][0] < found["p_weak"] < found["intervals"]["p_weak"][1]
        assert (found["tokens"]["strong_intercept"], found["tokens"]["strong_slope"]) == pytest.approx((4, 1), abs=1e-3)


def test_a_judgement_on_the_models_own_traces_says_so(files: Path) -> None:
    data = ["--labels", files / "labels.jsonl", "--scores", files / "scores.jsonl"]
    document("fit", *data, "--cell", "0.1", "--out", files / "model")
    remarks = document("evaluate", files / "model", *data, "--p-weak", "0.8")["remarks"]
    assert [remark for remark in remarks if remark.startswith("labels.jsonl is in the model")]
    assert not [
        one
        for one in document("evaluate", files / "model", "--traces", files / "weak.jsonl")["remarks"]
        if "in the" in one
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fit", "--out", "{}/m"], "give SAMPLES.npz"),
        (["fit", "{}/absent.npz", "--out", "{}/m"], "absent.npz"),
        (["fit", "--labels", "{}/labels.jsonl", "--out", "{}/m"], "go together"),
        (["fit", "--labels", "{}/empty.jsonl", "--scores", "{}/scores.jsonl", "--out", "{}/m"], "empty"),
        (["fit", "--labels", "{}/labels.jsonl", "--scores", "{}/nan.jsonl", "--out", "{}/m"], "line 1"),
        (["fit", "--labels", "{}/labels.jsonl", "--scores", "{}/half.jsonl", "--out", "{}/m"], "line 60"),
        (["fit", "--labels", "{}/labels.jsonl", "--scores", "{}/stranger.jsonl", "--out", "{}/m"], "no labelled trace"),
        (
            ["fit", "--labels", "{}/labels.jsonl", "{}/labels.jsonl", "--scores", "{}/scores.jsonl", "--out", "{}/m"],
            "t0",
        ),
        (["fit", "--labels", "{}/beyond.jsonl", "--scores", "{}/scores.jsonl", "--out", "{}/m"], "label 9 is beyond"),
        (["fit", "--labels", "hf:nothing", "--scores", "{}/scores.jsonl", "--out", "{}/m"], "hf:NAME:SPLIT"),
        (
            [
                "fit",
                "--labels",
                "{}/labels.jsonl",
                "--scores",
                "{}/scores.jsonl",
                "--class-samples",
                "S9=x",
                "--out",
                "{}/m",
            ],
            "S1=FILE",
        ),
        (
            [
                "fit",
                "--labels",
                "{}/labels.jsonl",
                "--scores",
                "{}/scores.jsonl",
                "--bandwidth",
                "wide",
                "--out",
                "{}/m",
            ],
            "bandwidth",
        ),
        (
            ["fit", "--labels", "{}/labels.jsonl", "--scores", "{}/scores.jsonl", "--prm", "q", "--out", "{}/m"],
            "they are of p",
        ),
        (["dynamics", "--weak", "{}/weak.jsonl", "--out", "{}/d"], "--strong"),
        (["dynamics", "--step-counts", "{}/weak.jsonl", "--method", "em"], "--method threshold"),
        (
            ["dynamics", "--weak", "{}/weak.jsonl", "--strong", "{}/strong.jsonl", "--method", "em", "--out", "{}/d"],
            "--observation-model",
        ),
        (["evaluate", "{}", "--traces", "{}/weak.jsonl"], "model.json"),
        (
            ["fit", "--labels", "{}/labels.jsonl", "--scores", "{}/scores.jsonl", "{}/scores.jsonl", "--out", "{}/m"],
            "scored twice",
        ),
        (
            ["dynamics", "--step-counts", "{}/c.json", "--method", "threshold", "--out", "{}/c.json"],
            "it is one of the inputs",
        ),
        (["dynamics", "--step-counts", "{}/c.json", "--method", "threshold", "--threshold", "0.9"], "no meaning"),
        (["evaluate", "{}", "--traces", "{}/weak.jsonl", "--seed", "-1"], "seed"),
        (["report", "{}", "--out", "{}/r"], "model.json"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    files: Path,
    arguments: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scores = (files / "scores.jsonl").read_text()
    labels = (files / "labels.jsonl").read_text()
    (files / "empty.jsonl").write_text("")
    (files / "nan.jsonl").write_text(scores.replace("[", "[NaN, ", 1))
    (files / "half.jsonl").write_text(scores[:-20])
    (files / "stranger.jsonl").write_text(scores.replace('"t3"', '"t99"'))
    (files / "beyond.jsonl").write_text(labels.replace('"label": ', '"label": 9, "was": ', 1))
    (files / "c.json").write_text(json.dumps({"g": {"correct_steps": [3, 4], "incorrect_steps": [1]}}))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with pytest.raises(SystemExit) as left:
            main(["kde", *(argument.replace("{}", str(files)) for argument in arguments)])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    told = capsys.readouterr().err
    assert left.value.code == 2
    assert complaint in told
    assert told.startswith("trim: ")
    assert told.count("\n") == 1
    assert not (files / "m").exists()
