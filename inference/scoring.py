"""PRM scores of finished traces, written as they come: a killed run goes on where it was."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.appended import held_rows
from inference.concurrency import for_each
from inference.conversation import asked
from inference.lock import exclusive
from inference.scorers.base import Scorer, Scores
from inference.solutions import Solution
from kde.errors import InputError
from kde.traces import AnsweredTrace, LabelledTrace, ScoredTrace, sha256_of_text

Scored = ScoredTrace | AnsweredTrace


@dataclass(frozen=True, slots=True)
class ScoringTask:
    """One trace to score.

    Attributes:
        problem, steps: what the scorer sees.
        key: of the record that its scores become.
        record: that record, from the scores.
    """

    problem: str
    steps: tuple[str, ...]
    key: Hashable
    record: Callable[[Scores], Scored]


@dataclass(frozen=True, slots=True)
class ScoringJob:
    """Traces to score by one PRM.

    Attributes:
        prm: what the records call it.
        kind: type of the records.
        without_steps: solutions that are left out, as they have nothing to score.
    """

    prm: str
    kind: type[Scored]
    tasks: list[ScoringTask]
    without_steps: int = 0


def labelled_job(traces: Sequence[LabelledTrace], *, prm: str) -> ScoringJob:
    """Scores by id, to be joined with the labels."""

    def task(trace: LabelledTrace) -> ScoringTask:
        def record(scores: Scores) -> ScoredTrace:
            values, windows = scores
            return ScoredTrace(
                id=trace.id, prm=prm, windows=windows, scores=list(values), text_sha256=trace.text_sha256
            )

        return ScoringTask(trace.problem, tuple(trace.steps), (trace.id, prm), record)

    return ScoringJob(prm, ScoredTrace, [task(trace) for trace in traces])


def solution_job(solutions: Sequence[Solution], *, prm: str) -> ScoringJob:
    """Answered traces: all that belief filters and dynamics without labels need. A solution without steps has nothing to score."""

    def task(solution: Solution) -> ScoringTask:
        def record(scores: Scores) -> AnsweredTrace:
            values, windows = scores
            return AnsweredTrace(
                problem_id=solution.problem_id,
                final_answer_correct=solution.correct,
                scores=list(values),
                tokens=list(solution.tokens),
                prm=prm,
                windows=windows,
                text_sha256=sha256_of_text(solution.problem, solution.steps),
            )

        return ScoringTask(solution.problem, solution.steps, (solution.problem_id, 0), record)

    tasks = [task(solution) for solution in solutions if solution.steps]
    return ScoringJob(prm, AnsweredTrace, tasks, without_steps=len(solutions) - len(tasks))


async def score_traces(
    scorer: Scorer,
    job: ScoringJob,
    out: Path,
    *,
    concurrency: int = 64,
    on_trace: Callable[[], None] = lambda: None,
) -> None:
    """Append the records of every task that `out` does not hold yet, as JSONL; `on_trace` hears of every task, held already or new.

    Raises:
        EngineError: the scorer cannot answer; what was scored is on disk.
        InputError: another process writes `out`, or it holds something else.
    """
    with exclusive(out.with_name(f".{out.name}.lock")):
        done = _scored(out, job)
        for task in job.tasks:
            if task.key in done:
                _check_same_text(task, done[task.key], out)
                on_trace()
        with out.open("ab") as stream:

            async def work(task: ScoringTask) -> None:
                scores = await scorer.score(asked(task.problem), task.steps)
                stream.write(task.record(scores).model_dump_json().encode() + b"\n")
                stream.flush()
                on_trace()

            await for_each([task for task in job.tasks if task.key not in done], work, concurrency=concurrency)


def _check_same_text(task: ScoringTask, scored: Scored, out: Path) -> None:
    if scored.text_sha256 == sha256_of_text(task.problem, task.steps):
        return
    told = "nothing says which text was scored" if scored.text_sha256 is None else "another text was scored"
    raise InputError(out, field="id", value=task.key, remedy=f"{told} under it: choose another --out")


def _scored(path: Path, job: ScoringJob) -> dict[Hashable, Scored]:
    """What is scored already."""

    def check(scored: Scored) -> None:
        if scored.prm != job.prm:
            raise InputError(path, field="prm", value=scored.prm, remedy=f"scores of {job.prm} go into another file")

    return {scored.key: scored for scored in held_rows(path, job.kind, check, what="scores")}
