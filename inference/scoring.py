"""PRM scores of finished traces, written as they come: a killed run goes on where it was."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from inference.concurrency import for_each
from inference.lock import exclusive
from inference.scorers.base import Scorer
from kde.errors import InputError
from kde.records import parse_lines
from kde.traces import LabelledTrace, ScoredTrace


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
        for trace in traces:
            if trace.id in done and done[trace.id].text_sha256 != trace.text_sha256:
                raise InputError(
                    out, field="id", value=trace.id, remedy="another text was scored under it: choose another --out"
                )
        with out.open("ab") as stream:

            async def work(trace: LabelledTrace) -> None:
                scores = await scorer.score(trace.problem, trace.steps)
                scored = ScoredTrace(id=trace.id, prm=prm, scores=list(scores), text_sha256=trace.text_sha256)
                stream.write(scored.model_dump_json().encode() + b"\n")
                stream.flush()
                on_trace()

            await for_each([trace for trace in traces if trace.id not in done], work, concurrency=concurrency)


def _scored(path: Path, prm: str) -> dict[str, ScoredTrace]:
    """What is scored already. A kill can leave the last line unfinished: it is cut off, and scored again."""
    if not path.exists() or not path.stat().st_size:
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if not whole:
        raise InputError(
            path, field="line 1", value=content[:80], remedy="this is no file of scores: choose another --out"
        )
    found = parse_lines(whole, ScoredTrace, source=path)
    for scored in found:
        if scored.prm != prm:
            raise InputError(path, field="prm", value=scored.prm, remedy=f"scores of {prm} go into another file")
    os.truncate(path, len(whole))
    return {scored.id: scored for scored in found}
