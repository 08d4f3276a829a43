"""Verifications of a run's answers on disk: one line each, gone on with where a process was stopped."""

from collections.abc import Callable, Sequence
from pathlib import Path

from inference.appended import held_rows
from inference.baselines.self_verification import SelfVerifier, Verification
from inference.concurrency import for_each
from inference.lock import exclusive
from inference.solutions import Solution
from kde.errors import InputError
from kde.traces import sha256_of_text


async def verify_solutions(
    verifier: SelfVerifier,
    solutions: Sequence[Solution],
    out: Path,
    *,
    concurrency: int,
    on_verified: Callable[[], None] = lambda: None,
) -> list[Verification]:
    """Append what `out` does not hold yet, as JSONL; all verifications, in the order of the solutions.

    Raises:
        EngineError: the model cannot answer; what was verified is on disk.
        InputError: another process writes `out`, or it holds verifications of other answers or with another number of samples.
    """
    with exclusive(out.with_name(f".{out.name}.lock")):
        texts = {solution.problem_id: sha256_of_text(solution.problem, solution.steps) for solution in solutions}

        def check(verified: Verification) -> None:
            if (verified.samples, verified.text_sha256) != (verifier.samples, texts.get(verified.problem_id)):
                remedy = "it was verified with other samples, or is another answer: choose another --out"
                raise InputError(out, field="problem_id", value=verified.problem_id, remedy=remedy)

        found = {row.problem_id: row for row in held_rows(out, Verification, check, what="verifications")}
        for _ in found:
            on_verified()
        with out.open("ab") as stream:

            async def work(solution: Solution) -> None:
                name = solution.problem_id
                found[name] = await verifier.verify(solution, text_sha256=texts[name])
                stream.write(found[name].model_dump_json().encode() + b"\n")
                stream.flush()
                on_verified()

            remaining = [solution for solution in solutions if solution.problem_id not in found]
            await for_each(remaining, work, concurrency=concurrency)
    return [found[solution.problem_id] for solution in solutions]
