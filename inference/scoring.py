"""PRM scores of finished traces, written as they come: a killed run goes on where it was."""

from collections.abc import Callable, Sequence
from pathlib import Path

from inference.concurrency import for_each
from inference.lock import exclusive
from inference.scorers.base import Scorer
from kde.errors import InputError
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
        InputError: another process writes `out`, or it holds something else.
    """
    with exclusive(out.with_name(f".{out.name}.lock")):
        done = _scored(out, prm)
        with out.open("a", encoding="utf-8") as stream:

            async def work(trace: LabelledTrace) -> None:
                scores = await scorer.score(trace.problem, trace.steps)
                stream.write(ScoredTrace(id=trace.id, prm=prm, scores=list(scores)).model_dump_json() + "\n")
                stream.flush()
                on_trace()

            await for_each([trace for trace in traces if trace.id not in done], work, concurrency=concurrency)


def _scored(path: Path, prm: str) -> set[str]:
    """Ids that are scored already. A kill can leave the last line unfinished: it is dropped, and scored again."""
    if not path.exists():
        return set()
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        path.write_bytes(whole)
    found = read_traces(path, ScoredTrace) if whole else []
    for scored in found:
        if scored.prm != prm:
            raise InputError(path, field="prm", value=scored.prm, remedy=f"scores of {prm} go into another file")
    return {scored.id for scored in found}
