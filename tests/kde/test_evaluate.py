from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kde.errors import InputError
from kde.evaluate import AS_FITTED, choose_filter, evaluate_filters
from kde.filter import BAYES, BeliefFilter, Features, FilterKind
from kde.model import ObservationModel, fit_observation_model
from kde.prefixes import match_scores
from kde.records import read_records
from kde.samples import Array, ClassSamples
from kde.sequences import ScoreSequences, answered_sequences, labelled_sequences, run_filter
from kde.traces import AnsweredTrace, LabelledTrace, ScoredTrace
from kde.tuning import answer_losses, step_losses, tune_filter

P_WEAK = 0.85


@pytest.fixture(scope="module")
def model() -> ObservationModel:
    rng = np.random.default_rng(0)
    arrays = {
        "S0": np.column_stack((rng.random(900), rng.beta(4, 1.5, 900))),
        "S1": np.column_stack((rng.random(900), rng.beta(2, 2, 900))),
        "S2": np.column_stack((rng.random(900), rng.beta(1.5, 3, 900))),
    }
    return fit_observation_model(ClassSamples.validated(arrays, source="drawn"))


def drawn_sequences(count: int, *, echo: int, seed: int) -> ScoreSequences:
    """Traces whose steps' scores are averages of `echo` fresh draws and those of the step before: the larger, the less independent."""
    rng = np.random.default_rng(seed)
    steps = 6
    wrong = rng.random((count, steps)) >= P_WEAK
    first = np.where(wrong.any(axis=1), wrong.argmax(axis=1), steps)[:, None]
    place = np.arange(steps)
    classes = np.where(place < first, 0, np.where(place == first, 2, 1))
    shapes = np.array([(4, 1.5), (2, 2), (1.5, 3)])[classes]
    scores: Array = rng.beta(shapes[..., 0], shapes[..., 1])
    for step in range(1, steps):
        same = classes[:, step] == classes[:, step - 1]
        repeated = same & (rng.random(count) < 1 - 1 / echo)
        scores[repeated, step] = scores[repeated, step - 1]
    lengths = np.full(count, steps)
    return ScoreSequences(scores, lengths, np.arange(count), answers=first[:, 0] == steps)


def test_independent_scores_keep_the_full_likelihood_and_repeated_ones_do_not(model: ObservationModel) -> None:
    exponents = []
    for echo in (1, 4):
        tuned = tune_filter(
            FilterKind.TEMPERED, model.cells, drawn_sequences(3000, echo=echo, seed=1), answer_losses, p_weak=P_WEAK
        )
        assert tuned.p_weak == P_WEAK
        exponents.append(tuned.filter.exponent)
    assert exponents[0] > 0.8
    assert exponents[1] < 0.7


def test_tuning_never_does_worse_than_plain_bayes_on_what_it_is_tuned_to(model: ObservationModel) -> None:
    sequences = drawn_sequences(800, echo=3, seed=2)
    plain = tune_filter(FilterKind.BAYES, model.cells, sequences, answer_losses)
    tempered = tune_filter(FilterKind.TEMPERED, model.cells, sequences, answer_losses)
    assert tempered.log_loss <= plain.log_loss + 1e-6
    by_hand = answer_losses(run_filter(BAYES, model.cells, sequences, p_weak=plain.p_weak), sequences).mean()
    assert plain.log_loss == pytest.approx(by_hand)


def test_the_filter_is_chosen_on_held_out_problems(model: ObservationModel) -> None:
    chosen, evaluation = choose_filter(model, drawn_sequences(1500, echo=4, seed=3), np.random.default_rng(0))
    assert evaluation.default == "tempered"
    assert chosen.filter == evaluation.filters["tempered"].tuned.filter
    assert (evaluation.traces, evaluation.problems) == (1500, 1500)
    again = evaluate_filters(chosen, drawn_sequences(1500, echo=4, seed=4), np.random.default_rng(0))
    assert set(again.filters) == {"memoryless", "bayes", "tempered", AS_FITTED}
    losses = {name: report.log_loss for name, report in again.filters.items()}
    assert losses[AS_FITTED] < losses["bayes"]


def test_filters_worse_than_memoryless_are_named(model: ObservationModel) -> None:
    evaluation = evaluate_filters(model, drawn_sequences(600, echo=6, seed=5), np.random.default_rng(0))
    worse = [
        name for name, one in evaluation.filters.items() if one.log_loss > evaluation.filters["memoryless"].log_loss
    ]
    assert [remark.split()[0] for remark in evaluation.remarks] == worse


def test_traces_without_outcomes_judge_nothing(model: ObservationModel) -> None:
    nobody_knows = replace(drawn_sequences(50, echo=1, seed=0), answers=None)
    with pytest.raises(InputError, match="labels or with final_answer_correct"):
        evaluate_filters(model, nobody_knows, np.random.default_rng(0))
    for losses in (answer_losses, step_losses):
        with pytest.raises(InputError, match="filter"):
            tune_filter(FilterKind.BAYES, model.cells, nobody_knows, losses)


@pytest.fixture(scope="module")
def published(reference: Path) -> ObservationModel:
    return fit_observation_model(ClassSamples.load(reference / "observations" / "math-train_samples.npz"))


def test_on_real_traces_the_tempered_filter_beats_memoryless_and_is_better_calibrated_than_bayes(
    reference: Path, published: ObservationModel
) -> None:
    traces = read_records(reference / "traces" / "gsm8k_qwen2.5-7b_best_of_32.jsonl.gz", AnsweredTrace)
    evaluation = evaluate_filters(published, answered_sequences(traces, source="gsm8k"), np.random.default_rng(0))
    assert (evaluation.traces, evaluation.problems) == (16_000, 500)
    assert evaluation.default == "tempered"
    qualities = {name: one.answer for name, one in evaluation.filters.items()}
    bayes, memoryless, tempered = (qualities[name] for name in ("bayes", "memoryless", "tempered"))
    assert bayes is not None
    assert memoryless is not None
    assert tempered is not None
    assert tempered.log_loss.value < memoryless.log_loss.value < bayes.log_loss.value
    assert tempered.calibration_error.value <= bayes.calibration_error.value / 2
    assert evaluation.remarks[0].startswith("bayes is worse than memoryless")
    assert evaluation.filters["tempered"].tuned.filter.features is Features.NEWEST


@pytest.mark.parametrize("prm", ["Qwen2.5-Math-PRM-7B", "Qwen2.5-Math-7B-PRM800K", "Skywork-o1-Open-PRM-Qwen-2.5-7B"])
def test_labelled_steps_are_judged_by_class(reference: Path, published: ObservationModel, prm: str) -> None:
    labels = read_records(reference / "processbench" / "math.json", LabelledTrace)
    scores = read_records(reference / "prm_scores" / "processbench_math.jsonl", ScoredTrace)
    matched = match_scores(labels, [one for one in scores if one.prm == prm], source=prm)
    evaluation = evaluate_filters(published, labelled_sequences(matched), np.random.default_rng(0))
    assert evaluation.traces == 250
    for report in evaluation.filters.values():
        assert report.steps is not None
        assert (
            set(report.steps.by_class) == set(report.steps.log_loss_by_class) == {"S0", "S2"}
        )  # no scores after the error
    losses = {name: one.log_loss for name, one in evaluation.filters.items()}
    assert losses["tempered"] == min(losses.values())


def test_a_tempered_filter_survives_the_disk(model: ObservationModel, tmp_path: Path) -> None:
    tempered = BeliefFilter(kind=FilterKind.TEMPERED, features=Features.NEWEST_GIVEN_EARLIER, exponent=0.6)
    replace(model, filter=tempered).save(tmp_path)
    assert ObservationModel.load(tmp_path).filter == tempered
