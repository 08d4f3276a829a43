"""How much the PRM knows of the final answer: its minimum score of M_w's own traces, as a test of whether they end well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from kde.quality import Estimate, Forecasts, Resamples
from kde.records import read_records
from kde.traces import AnsweredTrace


@dataclass(frozen=True, slots=True)
class VerifierQuality:
    """What the PRM's scores of M_w's traces are worth.

    Attributes:
        traces: how many, over all seeds.
        auc: area under the ROC curve of the minimum score against the final answer; None where all answers are alike.
        least_right, least_wrong: mean minimum score of traces that end right, and of those that do not; None where there are none.
    """

    traces: int
    auc: Estimate | None
    least_right: Estimate | None
    least_wrong: Estimate | None


def measure_verifier(episodes: Mapping[str, pl.DataFrame], scored: Mapping[int, Path]) -> VerifierQuality:
    """The AUC-ROC of DESIGN section 7, with its bootstrap interval over problems.

    Args:
        episodes: by policy; those of M_w alone are looked at. An answer that cannot be graded is not right.
        scored: files of the scores of M_w's traces, by seed.

    Raises:
        InputError: a file cannot be read.
    """
    least = pl.concat([_least_scores(path, seed) for seed, path in scored.items()])
    found = episodes["weak"].join(least, on=("seed", "problem_id"), how="inner", validate="1:1")
    problems = np.unique(found["problem_id"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    right = found["correct"].fill_null(value=False).to_numpy()
    scores = found["least"].to_numpy()
    resamples = Resamples(problems, np.random.default_rng(0))
    both = 0 < right.sum() < len(right)
    return VerifierQuality(
        traces=found.height,
        auc=resamples.area_under_curve(Forecasts(scores, right, np.zeros_like(problems))) if both else None,
        least_right=resamples.mean(scores, right) if right.any() else None,
        least_wrong=resamples.mean(scores, ~right) if not right.all() else None,
    )


def _least_scores(path: Path, seed: int) -> pl.DataFrame:
    traces: Sequence[AnsweredTrace] = read_records(path, AnsweredTrace)
    return pl.DataFrame(
        {
            "seed": [seed] * len(traces),
            "problem_id": [trace.problem_id for trace in traces],
            "least": [min(trace.scores) for trace in traces],
        }
    )
