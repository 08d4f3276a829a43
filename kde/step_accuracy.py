"""Step accuracy: the probability that a generator's step is right, given a right prefix (p_w, p_s; DESIGN section 3).

Three estimates, by what is known of the traces, each add-one smoothed (published step counts alone are taken as they are). With labels,
right steps over right steps and first errors. With PRM scores alone, `threshold` takes the first score below a threshold for the first
error, as the paper's authors do: it is biased wherever the PRM errs. `baum_welch` treats the first error as hidden, the scores as noisy
observations of it with the observation function fixed, and the final answer, where it is known, as evidence: right if and only if no
step is wrong.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, softmax

from kde.filter import DENSITY_FLOOR
from kde.model import cell_of
from kde.quality import Estimate
from kde.samples import Array, Groups, StepClass
from kde.sequences import ScoreSequences
from kde.traces import LabelledTrace, normalised_text

THRESHOLD = 0.35
"""The authors' threshold on PRM scores."""
RESAMPLES = 500
_START = 0.9
_ROUNDS = 1000
_TOLERANCE = 1e-10
_GRID_REACH, _GRID_SIZE = 3.0, 61


def labelled_accuracy(traces: Sequence[LabelledTrace], rng: np.random.Generator) -> Estimate:
    """Step accuracy of labelled traces, with an interval over resampled problems."""
    right = np.array([len(trace.steps) if trace.label == -1 else trace.label for trace in traces])
    wrong = np.array([int(trace.label != -1) for trace in traces])
    problems = [normalised_text(trace.problem) for trace in traces]
    numbers = {problem: number for number, problem in enumerate(problems)}
    return share_of_right_steps(right, wrong, np.array([numbers[problem] for problem in problems]), rng)


def threshold_accuracy(
    sequences: ScoreSequences, rng: np.random.Generator, *, threshold: float = THRESHOLD, resamples: int = RESAMPLES
) -> Estimate:
    """Step accuracy if the first score below `threshold` were the first error, with an interval over resampled problems."""
    low = (sequences.scores < threshold) & sequences.present
    wrong: NDArray[np.bool_] = np.asarray(low.any(axis=1))
    right: Groups = np.where(wrong, low.argmax(axis=1), sequences.lengths)
    return share_of_right_steps(right, wrong.astype(np.int64), sequences.problems, rng, resamples=resamples)


def share_of_right_steps(
    right: Groups,
    wrong: Groups,
    problems: Groups,
    rng: np.random.Generator,
    *,
    pseudo_count: int = 1,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Right steps / (right steps + first errors) of traces [n], with an interval over resampled problems [n].

    `pseudo_count` is added to both, so that a flawless sample does not claim certainty.
    """
    _, problem = np.unique(problems, return_inverse=True)
    rights, wrongs = (np.bincount(problem, weights=counts) for counts in (right, wrong))
    draws = _draws(problem, rng, resamples)
    shares = (draws @ rights + pseudo_count) / (draws @ (rights + wrongs) + 2 * pseudo_count)
    low, high = np.percentile(shares, (2.5, 97.5))
    value = (rights.sum() + pseudo_count) / (rights.sum() + wrongs.sum() + 2 * pseudo_count)
    return Estimate(float(value), float(low), float(high))


def baum_welch(
    observed: Array, sequences: ScoreSequences, rng: np.random.Generator, *, resamples: int = RESAMPLES
) -> Estimate:
    """Most likely step accuracy with the first error hidden, add-one smoothed, with an interval over resampled problems.

    The classes form a chain without return (right, newest step wrong, derailed), so forwards-backwards is a sum over the place of the
    first error. A resample's estimate is the fixed point of its own expectation step, read off a grid of accuracies.

    Args:
        observed: [3, n_m, n_r], the observation function (`BeliefFilter.observation_cells`).
        sequences: the generator's complete traces; where their answers are known, these are evidence.
        rng: draws the resamples.
        resamples: how many.
    """
    evidence = _first_error_evidence(observed, sequences)
    accuracy = _START
    for _ in range(_ROUNDS):
        right, wrong = (counts.sum() for counts in _expected_counts(evidence, sequences.lengths, accuracy))
        updated = float((right + 1) / (right + wrong + 2))
        if abs(updated - accuracy) < _TOLERANCE:
            break
        accuracy = updated
    low, high = np.percentile(_resampled_fixed_points(evidence, sequences, accuracy, rng, resamples), (2.5, 97.5))
    return Estimate(accuracy, float(low), float(high))


def _first_error_evidence(observed: Array, sequences: ScoreSequences) -> Array:
    """Log likelihood of everything seen if the first error is at step 1..T (columns), or nowhere (last column): [n, T + 1]."""
    i, j = cell_of(observed, sequences.earlier, sequences.scores)
    logs = np.log(np.maximum(observed[:, i, j], DENSITY_FLOOR / observed[0].size)) * sequences.present
    before = np.cumsum(logs[StepClass.CORRECT], axis=1)
    after = np.cumsum(logs[StepClass.DERAILED][:, ::-1], axis=1)[:, ::-1]
    evidence = np.full((len(logs[0]), logs.shape[2] + 1), -np.inf)
    evidence[:, :-1] = before - logs[StepClass.CORRECT] + logs[StepClass.RECOVERABLE] + after - logs[StepClass.DERAILED]
    evidence[:, :-1][~sequences.present] = -np.inf
    evidence[:, -1] = before[:, -1]
    if sequences.answers is not None:
        evidence[:, :-1][sequences.answers] = -np.inf
        evidence[~sequences.answers, -1] = -np.inf
    return evidence


def _expected_counts(evidence: Array, lengths: Groups, accuracy: float) -> tuple[Array, Array]:
    """Expected right steps and first errors of every trace, both [n]."""
    steps = np.arange(evidence.shape[1] - 1)
    prior = np.log1p(-accuracy) + np.log(accuracy) * steps
    nowhere = np.log(accuracy) * lengths
    chances = softmax(evidence + np.column_stack((np.broadcast_to(prior, (len(lengths), len(steps))), nowhere)), axis=1)
    return chances[:, :-1] @ steps + chances[:, -1] * lengths, 1 - chances[:, -1]


def _resampled_fixed_points(
    evidence: Array, sequences: ScoreSequences, accuracy: float, rng: np.random.Generator, resamples: int
) -> Array:
    grid = expit(logit(accuracy) + np.linspace(-_GRID_REACH, _GRID_REACH, _GRID_SIZE))
    _, problem = np.unique(sequences.problems, return_inverse=True)
    tables = [
        [np.bincount(problem, weights=counts) for counts in _expected_counts(evidence, sequences.lengths, float(p))]
        for p in grid
    ]
    draws = _draws(problem, rng, resamples)
    right, wrong = (draws @ np.array([table[part] for table in tables]).T for part in (0, 1))
    excess = (right + 1) / (right + wrong + 2) - grid  # falls through 0 at the fixed point
    last_above = np.clip((excess > 0).sum(axis=1) - 1, 0, len(grid) - 2)
    rows = np.arange(resamples)
    above, below = excess[rows, last_above], excess[rows, last_above + 1]
    share = np.clip(above / np.where(above == below, 1.0, above - below), 0, 1)
    return np.asarray(grid[last_above] + share * np.diff(grid)[last_above], dtype=np.float64)


def _draws(problem: Groups, rng: np.random.Generator, resamples: int) -> Groups:
    count = int(problem.max()) + 1
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples)
