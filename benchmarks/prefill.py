"""What prefilling spares an escalation: M_s's time to its first token behind an accepted prefix, with and without."""

import asyncio
import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import Result
from inference.conversation import asked
from inference.engines.settings import EngineSettings, Sampling, ServeSettings
from inference.opening import open_engine
from inference.step import Step, Stop
from inference.vllm_thread import VllmThread

MODEL = os.environ.get("TRIM_SMOLLM2", "")
"""Directory of SmolLM2-135M-Instruct."""
_PREFIX_TOKENS = 400
_ROUNDS = 8
_FLAGS = ("--max-model-len", "1024", "--kv-cache-memory-bytes", str(2**29))


def run() -> dict[str, Result]:
    cold, warm = asyncio.run(_first_tokens(Path(MODEL)))
    return {"time to M_s's first token, prefilled against not": Result(warm / cold, "of 1", 0.5, at_least=False)}


async def _first_tokens(model: Path) -> tuple[float, float]:
    """Median seconds to the first token behind prefixes that no call has seen, and behind prefilled ones."""
    settings = EngineSettings(
        backend="vllm",
        model=str(model),
        sampling=Sampling(temperature=0.0, max_step_tokens=1),
        serve=ServeSettings(flags=_FLAGS),
    )
    thread = VllmThread()
    engine = open_engine(settings, thread)
    question = asked("What is 1+1?")
    step = await engine.propose(question, (), seed=0)
    times: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * _ROUNDS):
        prefix = [replace(_step(number), vocabulary=step.vocabulary)]
        prefilled = number % 2 == 1
        if prefilled:
            await engine.prefill(question, prefix)
        started = time.perf_counter()
        await engine.propose(question, prefix, seed=0)
        times[prefilled].append(time.perf_counter() - started)
    await thread.close()
    return statistics.median(times[False]), statistics.median(times[True])


def _step(number: int) -> Step:
    """A step of the wanted length, of ids that no other one begins with."""
    return Step(
        "", tuple(1000 + (7 * number + 31 * place) % 4000 for place in range(_PREFIX_TOKENS)), "", Stop.SEPARATOR
    )
