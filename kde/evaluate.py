"""Belief filters judged on real sequences they were not fitted to.

Problems are dealt into folds; every filter is tuned on the other folds and judged on its own, so what is reported is what a new problem
of the same kind would see. The default is the filter with the least held-out log loss.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from kde.bandwidth import problem_folds
from kde.errors import InputError
from kde.filter import BAYES, FilterKind
from kde.model import ObservationModel
from kde.quality import ClassQuality, Forecasts, Quality, Resamples, measure_beliefs, measure_forecasts
from kde.samples import Array, Groups
from kde.sequences import ScoreSequences, last_beliefs, run_filter
from kde.tuning import Target, TunedFilter, answer_losses, step_losses, tune_filter, tune_p_weak

FOLDS: Final = 5
AS_FITTED: Final = "as fitted"
"""Name of the filter that the observation model holds, where it is a tempered one: only p_w is tuned."""

Tune = Callable[[ScoreSequences], TunedFilter]


@dataclass(frozen=True, slots=True)
class FilterReport:
    """One filter, judged.

    Attributes:
        tuned: the filter tuned on all of the sequences: what a model would take.
        answer: held-out quality of b(S0) at the last step as the chance of a right final answer; None where answers are not known.
        steps: held-out quality of the beliefs at every labelled step; None where steps are not labelled.
    """

    tuned: TunedFilter
    answer: Quality | None
    steps: ClassQuality | None

    @property
    def log_loss(self) -> float:
        """Held-out log loss of what was predicted."""
        quality = self.answer or self.steps
        assert quality is not None  # noqa: S101  `evaluate_filters` measures one of them
        return quality.log_loss.value


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All filters, judged on the same sequences.

    Attributes:
        traces, problems: how many.
        filters: reports by name.
    """

    traces: int
    problems: int
    filters: Mapping[str, FilterReport]

    @property
    def default(self) -> str:
        """Name of the filter with the least held-out log loss."""
        return min(self.filters, key=lambda name: self.filters[name].log_loss)

    @property
    def remarks(self) -> list[str]:
        """What an analyst should hear: filters that do worse than the memoryless posterior."""
        baseline = self.filters[FilterKind.MEMORYLESS.value].log_loss
        return [
            f"{name} is worse than memoryless here: log loss {report.log_loss:.4f} against {baseline:.4f}"
            for name, report in self.filters.items()
            if report.log_loss > baseline
        ]


def evaluate_filters(
    model: ObservationModel,
    sequences: ScoreSequences,
    rng: np.random.Generator,
    *,
    p_weak: float | None = None,
    folds: int = FOLDS,
    on_filter: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Tune and judge every filter on `sequences`, fold by fold.

    Args:
        model: its cells are read through each filter.
        sequences: labelled step by step, or known by their answers; where both, the steps are judged.
        rng: draws the bootstrap resamples.
        p_weak: p_w of the generator if it is known; tuned with the filter otherwise.
        folds: how many parts the problems are dealt into.
        on_filter: hears the name of each filter when it is done.

    Raises:
        InputError: the sequences have neither labels nor answers, or fewer problems than folds.
    """
    target = _target(sequences)
    tuners: dict[str, Tune] = {
        kind.value: lambda part, kind=kind: tune_filter(kind, model.cells, part, target, p_weak=p_weak)  # type: ignore[misc]
        for kind in FilterKind
    }
    if model.filter.kind is FilterKind.TEMPERED:
        tuners[AS_FITTED] = lambda part: tune_p_weak(model.filter, model.cells, part, target, p_weak=p_weak)
    fold = problem_folds(sequences.problems, folds)
    resamples_seed = int(rng.integers(2**63))
    reports = {}
    for name, tune in tuners.items():
        beliefs = _held_out_beliefs(model.cells, sequences, tune, fold)
        reports[name] = _judge(tune(sequences), beliefs, sequences, fold, np.random.default_rng(resamples_seed))
        on_filter(name)
    return Evaluation(len(sequences.lengths), len(np.unique(sequences.problems)), reports)


def choose_filter(
    model: ObservationModel,
    sequences: ScoreSequences,
    rng: np.random.Generator,
    *,
    p_weak: float | None = None,
    on_filter: Callable[[str], None] = lambda _: None,
) -> tuple[ObservationModel, Evaluation]:
    """The model with the filter that wins on held-out traces, and the evaluation that says so; as `evaluate_filters`."""
    plain = replace(model, filter=BAYES)
    evaluation = evaluate_filters(plain, sequences, rng, p_weak=p_weak, on_filter=on_filter)
    return replace(model, filter=evaluation.filters[evaluation.default].tuned.filter), evaluation


def _target(sequences: ScoreSequences) -> Target:
    if sequences.classes is not None:
        return step_losses
    if sequences.answers is not None:
        return answer_losses
    remedy = "give traces with labels or with final_answer_correct"
    raise InputError("evaluate", field="outcomes", value=None, remedy=remedy)


def _held_out_beliefs(cells: Array, sequences: ScoreSequences, tune: Tune, fold: Groups) -> Array:
    """Beliefs [n, T, 3], each trace's by the filter tuned on the folds that its problem is not in."""
    beliefs = np.full((*sequences.scores.shape, 3), np.nan)
    for number in np.unique(fold):
        tuned = tune(sequences.select(fold != number))
        held_out = fold == number
        beliefs[held_out] = run_filter(tuned.filter, cells, sequences.select(held_out), p_weak=tuned.p_weak)
    return beliefs


def _judge(
    tuned: TunedFilter, beliefs: Array, sequences: ScoreSequences, fold: Groups, rng: np.random.Generator
) -> FilterReport:
    if sequences.classes is not None:
        present = sequences.present
        problems, folds = (np.broadcast_to(one[:, None], present.shape)[present] for one in (sequences.problems, fold))
        steps = measure_beliefs(beliefs[present], sequences.classes[present], folds, Resamples(problems, rng))
        return FilterReport(tuned, None, steps)
    assert sequences.answers is not None  # noqa: S101  `_target` has checked it
    forecasts = Forecasts(last_beliefs(beliefs, sequences)[:, 0], sequences.answers, fold)
    return FilterReport(tuned, measure_forecasts(forecasts, Resamples(sequences.problems, rng)), None)


def read_evaluation(document: Mapping[str, Any]) -> Evaluation:
    """An evaluation from the JSON values that `kde.quality.as_document` made of it."""
    return _EVALUATION.validate_python(_with_undefined(document))


def _with_undefined(value: Any) -> Any:
    """null, where a number of an estimate is not defined, back to not-a-number."""
    if isinstance(value, Mapping):
        estimate = value.keys() == {"value", "low", "high"}
        return {key: float("nan") if estimate and one is None else _with_undefined(one) for key, one in value.items()}
    return [_with_undefined(one) for one in value] if isinstance(value, list) else value


_EVALUATION = TypeAdapter(Evaluation)
