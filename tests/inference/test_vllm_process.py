"""The lab's three models on vLLM in this process, against transformers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import pytest_asyncio

from inference.concurrency import for_each
from inference.conversation import asked
from inference.engines.base import ContextFullError, EngineError
from inference.engines.settings import ChatSettings, EngineSettings, EnginesFile, NoiseSettings, PrmSettings, Sampling
from inference.engines.transformers import TransformersEngine
from inference.engines.vllm import VllmEngine
from inference.episode import EpisodeSettings, Trio, routed_episode
from inference.lab import CHECKPOINTS
from inference.lab.language import generate_problems
from inference.lab.shipped import lab_problems
from inference.opening import open_engine, open_prm
from inference.problems import Problem
from inference.records import Episode, StepRecord
from inference.scorers.self_evaluation import SelfEvaluationScorer
from inference.scorers.transformers import TransformersScorer
from inference.scorers.vllm import VllmScorer
from inference.step import Step, Stop
from inference.vllm_thread import VllmThread
from planner.local import LocalPlanner

pytestmark = [pytest.mark.vllm, pytest.mark.models, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
PROBLEMS = lab_problems(40, seed=21)
GREEDY = Sampling(temperature=0, max_step_tokens=64)
LONG = ["A:+3,6+3=9"] * 60
"""Of 512 tokens, the context, a solution of these takes more."""


def engine_of(name: str, backend: str, sampling: Sampling = GREEDY) -> EngineSettings:
    return EngineSettings.model_validate(
        {"backend": backend, "model": str(CHECKPOINTS / name), "sampling": sampling.model_dump()}
    )


def prm_of(backend: str, **noise: int) -> PrmSettings:
    return PrmSettings.model_validate(
        {"backend": backend, "model": str(CHECKPOINTS / "prm"), "noise": NoiseSettings(**noise).model_dump()}
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thread() -> AsyncIterator[VllmThread]:
    thread = VllmThread()
    yield thread
    await thread.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(thread: VllmThread) -> Trio:
    weak, strong = (open_engine(engine_of(name, "vllm"), thread) for name in ("weak", "strong"))
    return Trio(weak, strong, open_prm(prm_of("vllm"), thread))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins() -> AsyncIterator[Trio]:
    weak, strong = (TransformersEngine(engine_of(name, "transformers")) for name in ("weak", "strong"))
    scorer = TransformersScorer(prm_of("transformers"))
    yield Trio(weak, strong, scorer)
    for model in (weak, strong, scorer):
        await model.close()


def weak_of(trio: Trio) -> VllmEngine:
    assert isinstance(trio.weak, VllmEngine)
    return trio.weak


async def route_all(models: Trio, problems: list[Problem], policy: str = "thr:0.5") -> dict[str, Episode]:
    episodes: dict[str, Episode] = {}

    async def work(problem: Problem) -> None:
        settings = EpisodeSettings(policy, 0)
        episodes[problem.id] = await routed_episode(problem, models, LocalPlanner(None), settings)

    await for_each(problems, work, concurrency=16)
    return episodes


def written(step: StepRecord) -> tuple[str, str, int, int, str | None]:
    return step.author, step.text, step.tokens, step.discarded_tokens, step.action


async def test_greedy_episodes_are_transformers_token_for_token(here: Trio, twins: Trio) -> None:
    expected, found = await route_all(twins, PROBLEMS), await route_all(here, PROBLEMS)
    assert found.keys() == expected.keys()
    for name, episode in found.items():
        twin = expected[name]
        assert episode.solution == twin.solution
        assert (episode.weak_tokens, episode.strong_tokens) == (twin.weak_tokens, twin.strong_tokens)
        for step, other in zip(episode.steps, twin.steps, strict=True):
            assert (step.author, step.tokens) == (other.author, other.tokens)
            assert step.scores == pytest.approx(other.scores, abs=1e-5)
    assert any(episode.strong_tokens for episode in found.values())


@pytest.mark.parametrize("ahead_tokens", [30, 200])
async def test_decoding_ahead_changes_no_episode_and_saves_calls(here: Trio, ahead_tokens: int) -> None:
    settings = engine_of("weak", "vllm").model_copy(update={"ahead_tokens": ahead_tokens})
    ahead = VllmEngine(weak_of(here)._model, settings)
    before = weak_of(here).usage.calls
    for policy in ("thr:0", "thr:0.5"):
        expected = await route_all(here, PROBLEMS[:20], policy)
        found = await route_all(replace(here, weak=ahead), PROBLEMS[:20], policy)
        for name, episode in found.items():
            assert list(map(written, episode.steps)) == list(map(written, expected[name].steps))
    assert ahead.usage.calls < 0.7 * (weak_of(here).usage.calls - before)


async def test_every_decoded_token_is_some_episodes(here: Trio) -> None:
    before = replace(weak_of(here).usage)
    episodes = (await route_all(here, PROBLEMS[:10])).values()
    usage = weak_of(here).usage
    assert usage.decoded_tokens - before.decoded_tokens == sum(episode.weak_tokens for episode in episodes)
    assert usage.cached_tokens > before.cached_tokens


async def test_a_seed_repeats_a_sampled_step_and_others_change_it(here: Trio) -> None:
    sampling = Sampling(temperature=2.0, top_p=0.99, max_step_tokens=64)
    engine = VllmEngine(weak_of(here)._model, engine_of("weak", "vllm", sampling))
    first = await here.weak.propose(asked(PROBLEMS[0].problem), (), seed=0)

    async def draft(seed: int) -> Step:
        return await engine.propose(asked(PROBLEMS[0].problem), (first,), seed=seed)

    drafts = await asyncio.gather(*map(draft, range(24)))
    assert drafts == await asyncio.gather(*map(draft, range(24)))
    assert drafts == [await draft(seed) for seed in range(24)]
    assert len({step.text for step in drafts}) > 1


async def test_limits_and_full_contexts(here: Trio) -> None:
    engine = VllmEngine(weak_of(here)._model, engine_of("weak", "vllm", Sampling(temperature=0, max_step_tokens=2)))
    step = await engine.propose(asked(PROBLEMS[0].problem), (), seed=0)
    assert (len(step.token_ids), step.stop) == (2, Stop.LENGTH)
    long = Step("x", step.token_ids * 400, step.vocabulary, Stop.SEPARATOR)
    for call in (engine.propose(asked("p"), (long,), seed=0), engine.prefill(asked("p"), (long,))):
        with pytest.raises(ContextFullError, match="context of 512"):
            await call


async def test_settings_of_the_chat_reach_the_prompt(here: Trio, twins: Trio) -> None:
    chat = ChatSettings(system="Work mod 10.")
    question = asked(PROBLEMS[0].problem)
    settings = engine_of("weak", "vllm").model_copy(update={"chat": chat})
    told = VllmEngine(weak_of(here)._model, settings)
    assert len(await told._prefix(question, ())) > len(await weak_of(here)._prefix(question, ()))
    twin = TransformersEngine(settings)
    assert (await told.propose(question, (), seed=0)).token_ids == (await twin.propose(question, (), seed=0)).token_ids
    await twin.close()


async def test_a_prefilled_prefix_is_in_the_cache(here: Trio) -> None:
    strong = here.strong
    assert isinstance(strong, VllmEngine)
    steps = [await here.weak.propose(asked("1+1"), (), seed=0)]
    long = [replace(steps[0], token_ids=steps[0].token_ids * 12)]
    before = replace(strong.usage)
    await strong.prefill(asked("1+1"), long)
    await strong.propose(asked("1+1"), long, seed=0)
    usage = strong.usage
    assert usage.prefills - before.prefills == 1
    assert usage.prefill_decoded_tokens - before.prefill_decoded_tokens == 1
    assert usage.cached_tokens - before.cached_tokens >= 32


async def test_prm_scores_are_torchs_also_in_windows_and_behind_padding(
    thread: VllmThread, here: Trio, twins: Trio
) -> None:
    question = asked(PROBLEMS[0].problem)
    assert isinstance(here.scorer, VllmScorer)
    found, expected = await here.scorer.score(question, LONG), await twins.scorer.score(question, LONG)
    assert found.values == pytest.approx(expected.values, abs=1e-5)
    assert len(found.values) == len(LONG)
    assert found.windows == expected.windows > 1
    with pytest.raises(ContextFullError, match="context of 512"):
        await here.scorer.score(question, ["7" * 600])
    padded = VllmScorer(here.scorer._model, prm_of("vllm", left_padding=5))
    twin = TransformersScorer(prm_of("transformers", left_padding=5))
    solved = generate_problems(1, seed=12)[0]
    noisy = await padded.score(asked(solved.problem), solved.steps)
    assert noisy.values == pytest.approx((await twin.score(asked(solved.problem), solved.steps)).values, abs=1e-5)
    assert noisy.values != pytest.approx(
        (await here.scorer.score(asked(solved.problem), solved.steps)).values, abs=1e-5
    )
    await twin.close()


async def test_a_step_that_holds_the_tag_is_an_error(here: Trio, twins: Trio) -> None:
    for scorer in (here.scorer, twins.scorer):
        with pytest.raises(EngineError, match="2 scores for 1 steps"):
            await scorer.score(asked("p"), ["A<extra_0>B"])


async def test_both_grade_alike(here: Trio, twins: Trio) -> None:
    assert isinstance(twins.strong, TransformersEngine)
    assert isinstance(here.strong, VllmEngine)
    steps = ["S:=7", "A:+5,7+5=2"]
    question = asked(PROBLEMS[0].problem)
    found = await SelfEvaluationScorer(here.strong).score(question, steps)
    expected = await SelfEvaluationScorer(twins.strong).score(question, steps)
    assert found.values == pytest.approx(expected.values, abs=1e-4)
    assert all(0 <= value <= 1 for value in found.values)


async def test_a_caller_who_leaves_takes_its_request_along(here: Trio) -> None:
    engine = weak_of(here)._model.engine

    async def until(condition: Callable[[], bool]) -> None:
        for _ in range(1000):
            if condition():
                return
            await asyncio.sleep(0.005)
        pytest.fail("the batch holds what it should not")

    started = [asyncio.create_task(here.weak.propose(asked(problem.problem), (), seed=0)) for problem in PROBLEMS[:8]]
    await until(engine.has_unfinished_requests)
    for task in started[1:]:
        task.cancel()
    await asyncio.gather(*started, return_exceptions=True)
    assert started[0].result().text
    await until(lambda: not engine.has_unfinished_requests())


async def test_a_model_that_cannot_be_loaded_is_one_clear_error(thread: VllmThread) -> None:
    with pytest.raises(EngineError, match="vLLM cannot load --model /nowhere"):
        thread.load(["--model", "/nowhere"])
    engines = EnginesFile(weak=engine_of("weak", "vllm"))
    assert engines.describe()["weak"]["backend"] == "vllm"
