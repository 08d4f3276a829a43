"""The embedded engine and scorer, with the lab's models."""

import asyncio
from pathlib import Path

import pytest

from inference.conversation import asked
from inference.engines.base import ContextFullError, EngineError
from inference.engines.settings import EngineSettings, PrmSettings, Sampling
from inference.engines.transformers import TransformersEngine
from inference.fleet import EngineKind, Fleet, engines_at, open_fleet
from inference.lab import CHECKPOINTS
from inference.lab.language import generate_problems
from inference.lab.shipped import lab_problems
from inference.scorers.transformers import TransformersScorer
from inference.step import Step, Stop
from kde.errors import InputError

pytestmark = pytest.mark.models
PROBLEMS = lab_problems(24, seed=11)


async def test_a_step_does_not_depend_on_who_shares_its_batch(fleet: Fleet) -> None:
    together = await asyncio.gather(*(fleet.weak.propose(asked(p.problem), (), seed=i) for i, p in enumerate(PROBLEMS)))
    alone = [await fleet.weak.propose(asked(p.problem), (), seed=i) for i, p in enumerate(PROBLEMS)]
    assert together == alone


async def test_seeds_change_samples_and_repeat_them(fleet: Fleet) -> None:
    async def drafts(problem: str) -> list[Step]:
        first = await fleet.strong.propose(asked(problem), (), seed=0)
        return await asyncio.gather(*(fleet.weak.propose(asked(problem), (first,), seed=seed) for seed in range(20)))

    found = [await drafts(one.problem) for one in PROBLEMS]
    assert found == [await drafts(one.problem) for one in PROBLEMS]
    assert max(len({draft.text for draft in one}) for one in found) > 1  # where M_w is not sure of the next step


async def test_the_strong_model_writes_the_canonical_solution_step_by_step(fleet: Fleet) -> None:
    right = 0
    for problem in PROBLEMS[:6]:
        steps: list[Step] = []
        while not steps or not steps[-1].ends_answer:
            steps.append(await fleet.strong.propose(asked(problem.problem), steps, seed=1))
        assert [step.stop for step in steps] == [Stop.SEPARATOR] * (len(steps) - 1) + [Stop.END]
        right += steps[-1].text == f"Answer: \\boxed{{{problem.answer}}}"
    assert right >= 5


async def test_text_is_the_truth_where_vocabularies_differ(fleet: Fleet) -> None:
    step = await fleet.strong.propose(asked(PROBLEMS[0].problem), (), seed=0)
    foreign = Step(step.text, (1, 2, 3), "another tokenizer", step.stop)
    expected = await fleet.strong.propose(asked(PROBLEMS[0].problem), (step,), seed=0)
    assert await fleet.strong.propose(asked(PROBLEMS[0].problem), (foreign,), seed=0) == expected


async def test_a_step_is_cut_at_the_token_limit_and_a_full_context_is_an_error() -> None:
    engine = TransformersEngine(
        EngineSettings(
            backend="transformers",
            model=str(CHECKPOINTS / "strong"),
            sampling=Sampling(temperature=0, max_step_tokens=3),
        )
    )
    step = await engine.propose(asked(PROBLEMS[0].problem), (), seed=0)
    assert (len(step.token_ids), step.stop) == (3, Stop.LENGTH)
    long = Step("x", step.token_ids * 2000, step.vocabulary, Stop.SEPARATOR)
    with pytest.raises(ContextFullError, match="context"):
        await engine.propose(asked(PROBLEMS[0].problem), (long,), seed=0)
    await engine.close()


async def test_scores_do_not_depend_on_the_batch_and_know_right_from_wrong(fleet: Fleet) -> None:
    solved = generate_problems(40, seed=12)
    right = await asyncio.gather(*(fleet.scorer.score(asked(p.problem), p.steps[:-1]) for p in solved))
    alone = [await fleet.scorer.score(asked(p.problem), p.steps[:-1]) for p in solved[:5]]
    for batched, single in zip(right, alone, strict=False):
        assert batched.values == pytest.approx(single.values, abs=1e-5)
    spoilt = [[*p.steps[:-2], p.steps[-2][:-1] + str((int(p.steps[-2][-1]) + 3) % 10)] for p in solved]
    wrong = await asyncio.gather(
        *(fleet.scorer.score(asked(p.problem), steps) for p, steps in zip(solved, spoilt, strict=True))
    )
    assert all(len(scores.values) == len(p.steps) - 1 for p, scores in zip(solved, right, strict=True))
    assert all(0 <= score <= 1 for scores in (*right, *wrong) for score in scores.values)
    assert sum(r.values[-1] > w.values[-1] for r, w in zip(right, wrong, strict=True)) >= 36


async def test_a_step_beyond_the_prms_context_is_an_error() -> None:
    scorer = TransformersScorer(PrmSettings(backend="transformers", model=str(CHECKPOINTS / "prm")))
    with pytest.raises(ContextFullError, match="context"):
        await scorer.score(asked(PROBLEMS[0].problem), ["A:+3,6+3=9", "A:" + "+3" * 600])
    await scorer.close()


async def test_a_directory_without_a_model_is_one_clear_error(tmp_path: Path) -> None:
    only_weak = engines_at({"weak": str(tmp_path)}, EngineKind.TRANSFORMERS, {})
    async with open_fleet(only_weak, tmp_path / "logs") as fleet:
        with pytest.raises(InputError, match="config.json"):
            fleet.weak  # noqa: B018  loads it
        with pytest.raises(InputError, match="--strong"):
            fleet.strong  # noqa: B018
        (tmp_path / "config.json").write_text("{}")
        with pytest.raises(EngineError, match="cannot be loaded"):
            fleet.weak  # noqa: B018
