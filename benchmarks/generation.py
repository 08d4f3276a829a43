"""Generation step by step, as routing does it, against plain vLLM generation of whole answers, 32 problems at a time.

M_w decodes ahead, as it would be set for a policy that hardly ever escalates.
"""

import asyncio
import itertools
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.measure import Result
from inference.concurrency import for_each
from inference.conversation import asked
from inference.engines.bounded import BoundedEngine
from inference.engines.server import NEUTRAL, ServerEngine
from inference.engines.vllm import VllmEngine
from inference.episode import EpisodeSettings, solo_episode
from inference.fleet import EngineKind, Fleet, engines_at, open_fleet
from inference.lab.shipped import lab_places, lab_problems
from inference.problems import Problem
from inference.step import Author

_PROBLEMS = lab_problems(256, seed=41)
_CONCURRENCY = 32
_ROUNDS = 5
_MAX_TOKENS = 300
"""Of a whole answer: more than any problem of the lab asks for."""


def run() -> dict[str, Result]:
    return {
        "stepwise against plain generation, vLLM in process": Result(_ratio(EngineKind.VLLM, _plain_here), "x", 0.85),
        "stepwise against plain generation, vLLM over HTTP": Result(
            _ratio(EngineKind.VLLM_SERVER, _plain_over_http), "x", 0.7
        ),
    }


def _ratio(kind: EngineKind, plain: Callable[[Fleet], Awaitable[int]]) -> float:
    engines = engines_at({"weak": lab_places()["weak"]}, kind, {"temperature": 0.0, "max_step_tokens": _MAX_TOKENS})
    weak = engines.weak
    assert weak is not None
    engines = engines.model_copy(update={"weak": weak.model_copy(update={"ahead_tokens": _MAX_TOKENS})})

    async def measure() -> float:
        with tempfile.TemporaryDirectory() as logs:
            async with open_fleet(engines, Path(logs)) as fleet:
                await plain(fleet)
                rates: list[tuple[float, float]] = [
                    (await _rate(fleet, _stepwise), await _rate(fleet, plain)) for _ in range(_ROUNDS)
                ]
        return statistics.median(stepwise / whole for stepwise, whole in rates)

    return asyncio.run(measure())


async def _rate(fleet: Fleet, generate: Callable[[Fleet], Awaitable[int]]) -> float:
    """Tokens a second."""
    started = time.perf_counter()
    tokens = await generate(fleet)
    return tokens / (time.perf_counter() - started)


async def _stepwise(fleet: Fleet) -> int:
    tokens = 0

    async def work(problem: Problem) -> None:
        nonlocal tokens
        episode = await solo_episode(problem, fleet.weak, Author.WEAK, EpisodeSettings("weak", 0))
        tokens += episode.weak_tokens

    await for_each(_PROBLEMS, work, concurrency=_CONCURRENCY)
    return tokens


async def _plain_here(fleet: Fleet) -> int:
    """vLLM's own loop on its own thread: requests go in, steps are taken, nothing else happens."""
    engine = _weak(fleet)
    assert isinstance(engine, VllmEngine)
    prompts = deque([await engine._prompts.question_ids(asked(problem.problem)) for problem in _PROBLEMS])
    return await asyncio.wrap_future(fleet._vllm._call(lambda: _generate(engine._model.engine, prompts)))


def _generate(engine: Any, prompts: deque[tuple[int, ...]]) -> int:
    from vllm.sampling_params import RequestOutputKind, SamplingParams  # noqa: PLC0415

    tokens, names = 0, itertools.count()
    parameters = SamplingParams(temperature=0.0, max_tokens=_MAX_TOKENS, output_kind=RequestOutputKind.FINAL_ONLY)
    while prompts or engine.has_unfinished_requests():
        while prompts and engine.get_num_unfinished_requests() < _CONCURRENCY:
            prompt = {"type": "token", "prompt_token_ids": list(prompts.popleft())}
            engine.add_request(f"plain-{next(names)}", prompt, parameters)
        tokens += sum(len(output.outputs[0].token_ids) for output in engine.step() if output.finished)
    return tokens


async def _plain_over_http(fleet: Fleet) -> int:
    engine = _weak(fleet)
    assert isinstance(engine, ServerEngine)
    prompts = [await engine._prompts.question_ids(asked(problem.problem)) for problem in _PROBLEMS]
    body = {"model": "weak", "temperature": 0.0, "max_tokens": _MAX_TOKENS, "return_token_ids": True, **NEUTRAL}
    tokens = 0
    async with aiohttp.ClientSession(base_url=engine._endpoint.where) as session:

        async def work(prompt: tuple[int, ...]) -> None:
            nonlocal tokens
            async with session.post("/v1/completions", json={**body, "prompt": prompt}) as response:
                tokens += len((await response.json())["choices"][0]["token_ids"])

        await for_each(prompts, work, concurrency=_CONCURRENCY)
    return tokens


def _weak(fleet: Fleet) -> object:
    assert isinstance(fleet.weak, BoundedEngine)
    return fleet.weak._engine
