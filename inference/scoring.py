"""PRM scores of finished traces, written as they come: a killed run goes on where it was."""

from collections.abc import Callable, Sequence
from pathlib import Path

from inference.concurrency import for_each
from inference.scorers.base import Scorer
from kde.traces import LabelledTrace, ScoredTrace, read_traces


async def score_traces(
    scorer: Scorer,
    traces: Sequence[LabelledTrace],
    out: Path,
    *,
    prm: str,
    concurrency: int = 64,
    on_trace: Callable[[], None] = lambda: None,
) -> None:
    """Append the scores of every trace that `out` does not hold yet, as JSONL of `ScoredTrace`.

    Raises:
        EngineError: the scorer cannot answer; what was scored is on disk.
    """
    done = _scored(out)
    with out.open("a", encoding="utf-8") as stream:

        async def work(trace: LabelledTrace) -> None:
            scores = await scorer.score(trace.problem, trace.steps)
            stream.write(ScoredTrace(id=trace.id, prm=prm, scores=list(scores)).model_dump_json() + "\n")
            stream.flush()
            on_trace()

        await for_each([trace for trace in traces if trace.id not in done], work, concurrency=concurrency)


def _scored(path: Path) -> set[str]:
    """Ids that are scored already. A kill can leave the last line unfinished: it is dropped, and scored again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return set()
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        path.write_bytes(whole)
    return {scored.id for scored in read_traces(path, ScoredTrace)} if whole else set()
