"""Episode records: what a routed solution was made of, and how it is read back: parquet parts, and the journal of the newest."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from inference.ending import Ending
from inference.journal import read_journal, sync_directory
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
_EXACTLY = ConfigDict(extra="forbid", ser_json_inf_nan="constants")
_ANOTHER_OUT = "choose another --out, or read it with the version that wrote it"


@with_config(_EXACTLY)
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


@with_config(_EXACTLY)
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


_JSON = TypeAdapter(Episode)


def write_part(directory: Path, episodes: Sequence[Episode]) -> None:
    """Append episodes as one new parquet part: it appears whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(path.stem.split("-")[1]) for path in directory.glob("part-*.parquet")), default=0)
    part = directory / f"part-{number:05d}.parquet"
    staged = directory / f".{part.name}"
    _frame(episodes).write_parquet(staged)
    with staged.open("rb") as stream:
        os.fsync(stream.fileno())
    staged.rename(part)
    sync_directory(directory)


def journal_of(directory: Path) -> Path:
    """Where the episodes are that are not in a part of `directory` yet."""
    return directory.with_name(f"{directory.name}.jsonl")


def episode_row(episode: Episode) -> bytes:
    """An episode as JSON."""
    return _JSON.dump_json(episode)


def read_journalled(directory: Path) -> list[Episode]:
    """The episodes that are not in a part of `directory` yet.

    Raises:
        ArtefactError: the journal is damaged, or of another version.
    """
    journal = journal_of(directory)
    try:
        return [_JSON.validate_json(row) for row in read_journal(journal)]
    except ValidationError as error:
        first = error.errors()[0]
        told = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise ArtefactError(journal, f"was written by another version ({told})", remedy=_ANOTHER_OUT) from error


def read_episodes(directory: Path) -> pl.DataFrame:
    """All finished episodes of a directory of parts and of the journal beside it, in the columns of `SCHEMA`, each once.

    Raises:
        ArtefactError: a part or the journal is damaged, or of another version.
    """
    journalled = _frame(read_journalled(directory))  # first: what leaves the journal meanwhile is in a part by then
    return pl.concat([read_parts(directory), journalled]).unique("problem_id", keep="first", maintain_order=True)


def read_parts(directory: Path) -> pl.DataFrame:
    """The episodes of the parts alone.

    Raises:
        ArtefactError: a part is damaged, or of another version.
    """
    parts = [_read_part(part) for part in sorted(directory.glob("part-*.parquet"))]
    return pl.concat(parts) if parts else pl.DataFrame(schema=SCHEMA)


def _frame(episodes: Sequence[Episode]) -> pl.DataFrame:
    return pl.DataFrame([asdict(episode) for episode in episodes], schema=SCHEMA)


def _read_part(part: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(part)
    except pl.exceptions.PolarsError as error:
        told = " ".join(str(error).split())[:120]
        remedy = "remove it: its problems are solved again"
        raise ArtefactError(part, f"cannot be read ({told})", remedy=remedy) from error
    if frame.schema != SCHEMA:
        told = ", ".join(sorted({name for name, _ in SCHEMA.items() ^ frame.schema.items()}))
        raise ArtefactError(part, f"was written by another version (its columns differ: {told})", remedy=_ANOTHER_OUT)
    return frame
