"""Episode records: what a routed solution was made of, as parquet parts that a killed run leaves whole."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from inference.ending import Ending
from inference.step import Author, Stop
from kde.errors import ArtefactError

BELIEF = pl.Array(pl.Float64, 3)
STEP_SCHEMA = pl.Struct(
    {
        "author": pl.String,
        "text": pl.String,
        "stop": pl.String,
        "tokens": pl.Int64,
        "discarded_tokens": pl.Int64,
        "seed": pl.Int64,
        "scores": pl.List(pl.Float64),
        "score_windows": pl.Int64,
        "action": pl.String,
        "belief": BELIEF,
        "break_even_tokens": pl.Float64,
        "expected_strong_tokens": pl.Float64,
        "table_hash": pl.String,
        "fallback": pl.Boolean,
        "propose_seconds": pl.Float64,
        "score_seconds": pl.Float64,
        "decide_seconds": pl.Float64,
        "regenerate_seconds": pl.Float64,
    }
)
_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "problem_id": pl.String,
    "problem": pl.String,
    "policy": pl.String,
    "seed": pl.Int64,
    "steps": pl.List(STEP_SCHEMA),
    "solution": pl.String,
    "ending": pl.String,
    "correct": pl.Boolean,
    "weak_tokens": pl.Int64,
    "strong_tokens": pl.Int64,
    "discarded_tokens": pl.Int64,
    "fallback_decisions": pl.Int64,
    "seconds": pl.Float64,
    "score_seconds": pl.Float64,
    "planner_seconds": pl.Float64,
    "models": pl.String,
    "version": pl.String,
}
SCHEMA = pl.Schema(_COLUMNS)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One accepted step.

    Attributes:
        author: who wrote it.
        stop: why it ended.
        tokens: tokens of the accepted step.
        discarded_tokens: tokens of M_w's proposal that was thrown away for it, 0 if none was.
        seed: of its sampling.
        scores: r_1..r_t at the decision, the proposal's last; empty where nothing was scored.
        score_windows: overlapping pieces that the PRM took the prefix in, 1 where it fits; 0 where nothing was scored.
        action, belief, break_even_tokens, expected_strong_tokens, table_hash: the decision; None or empty where none was asked.
        fallback: no planner answered, and the declared fallback decided.
        propose_seconds, score_seconds, decide_seconds, regenerate_seconds: waiting for the proposal (for the step itself where one model
            works alone), its scores, the decision, and M_s; 0 where nothing was asked.
    """

    author: Author
    text: str
    stop: Stop
    tokens: int
    discarded_tokens: int = 0
    seed: int = 0
    scores: tuple[float, ...] = ()
    score_windows: int = 0
    action: str | None = None
    belief: tuple[float, float, float] | None = None
    break_even_tokens: float | None = None
    expected_strong_tokens: float | None = None
    table_hash: str = ""
    fallback: bool = False
    propose_seconds: float = 0.0
    score_seconds: float = 0.0
    decide_seconds: float = 0.0
    regenerate_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Episode:
    """One problem, solved under one policy.

    Attributes:
        ending: why nothing comes after the last step.
        correct: grade of the boxed answer; None where the right one is not known.
        weak_tokens: all that M_w decoded, discarded proposals included.
        strong_tokens: all that M_s decoded: the cost.
        discarded_tokens: M_w's part that was thrown away.
        fallback_decisions: decisions that no planner answered.
        seconds, score_seconds, planner_seconds: wall time of the episode, and of it waiting for scores and for decisions.
        models: fingerprint of the models, as in `run.json`.
        version: of this software.
    """

    problem_id: str
    problem: str
    policy: str
    seed: int
    steps: tuple[StepRecord, ...]
    solution: str
    ending: Ending
    correct: bool | None
    weak_tokens: int
    strong_tokens: int
    discarded_tokens: int
    fallback_decisions: int
    seconds: float
    score_seconds: float
    planner_seconds: float
    models: str
    version: str


def write_part(directory: Path, episodes: Sequence[Episode]) -> None:
    """Append episodes as one new parquet part: it appears whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(path.stem.split("-")[1]) for path in directory.glob("part-*.parquet")), default=0)
    part = directory / f"part-{number:05d}.parquet"
    staged = directory / f".{part.name}"
    pl.DataFrame([asdict(episode) for episode in episodes], schema=SCHEMA).write_parquet(staged)
    with staged.open("rb") as stream:
        os.fsync(stream.fileno())
    staged.rename(part)


def read_episodes(directory: Path) -> pl.DataFrame:
    """All finished episodes of a directory of parts, in the columns of `SCHEMA`; none where it does not exist.

    Raises:
        ArtefactError: a part is damaged, or of another version.
    """
    return pl.concat(
        [_read_part(part) for part in sorted(directory.glob("part-*.parquet"))] or [pl.DataFrame(schema=SCHEMA)]
    )


def _read_part(part: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(part, schema=SCHEMA)
    except pl.exceptions.PolarsError as error:
        told = " ".join(str(error).split())[:120]
        raise ArtefactError(
            part, f"cannot be read ({told})", remedy="remove it: its problems are solved again"
        ) from error
