"""The step loop with models that write what a test needs; real models come in test_route_cli.py and test_many_episodes.py."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from inference.conversation import Conversation, Message, asked
from inference.ending import Ending, Limits
from inference.engines.base import ContextFullError, EngineError
from inference.episode import EpisodeSettings, Trio, routed_episode, routed_steps, solo_episode
from inference.prefill import may_escalate
from inference.problems import Problem
from inference.records import StepRecord
from inference.scorers.base import Scores
from inference.step import Author, Step, Stop
from planner.local import LocalPlanner

PROBLEM = Problem(id="p", problem="1+1", answer="2")
PLANNER = LocalPlanner(None)
FULL = ContextFullError.of("model", tokens=9, context=9)


def step(text: str, stop: Stop = Stop.SEPARATOR, tokens: int = 3) -> Step:
    return Step(text, tuple(range(tokens)), "v", stop)


@dataclass
class Scripted:
    """Writes its script, one entry a step of the prefix; an error in it is raised."""

    script: Sequence[Step | Exception]
    seen: list[tuple[Conversation, tuple[Step, ...], int]] = field(default_factory=list)
    prefills: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    prefilling: Callable[[], asyncio.Future[None]] | None = None

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        await asyncio.sleep(0)
        self.seen.append((question, tuple(steps), seed))
        said = self.script[min(len(steps), len(self.script) - 1)]
        if isinstance(said, Exception):
            raise said
        return said

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:  # noqa: ARG002  the protocol's
        self.prefills.append(len(steps))
        if self.prefilling is not None:
            try:
                await self.prefilling()
            except asyncio.CancelledError:
                self.cancelled.append(len(steps))
                raise

    async def close(self) -> None:
        pass


@dataclass
class Marks:
    """Scores every step by its text."""

    marks: dict[str, float] = field(default_factory=dict)
    error: Exception | None = None

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:  # noqa: ARG002  the protocol's
        await asyncio.sleep(0)
        if self.error is not None and len(steps) > 1:
            raise self.error
        return Scores(tuple(self.marks.get(text, 0.9) for text in steps), 2)

    async def close(self) -> None:
        pass


SETTINGS = EpisodeSettings("thr:0.5", 7, Limits(max_steps=4, max_repeats=2))
BOXED = step(r"\boxed{2}", Stop.SEPARATOR)


@pytest.mark.parametrize(
    ("weak", "ending", "texts"),
    [
        ([step("a"), BOXED], Ending.ANSWER, ["a", r"\boxed{2}"]),
        ([step("a"), step("b", Stop.END)], Ending.END, ["a", "b"]),
        ([step("a"), step(" ", Stop.DEGENERATE)], Ending.DEGENERATE, ["a", " "]),
        ([step("a")], Ending.REPEATED, ["a"] * 3),
        ([step(text) for text in "abcde"], Ending.STEP_LIMIT, list("abcd")),
        ([step("a"), step("b", Stop.LENGTH), FULL], Ending.CONTEXT, ["a", "b"]),
        ([FULL], Ending.CONTEXT, []),
    ],
)
async def test_every_ending(weak: list[Step | Exception], ending: Ending, texts: list[str]) -> None:
    models = Trio(Scripted(weak), Scripted([]), Marks())
    routed = await routed_episode(PROBLEM, models, PLANNER, SETTINGS)
    alone = await solo_episode(PROBLEM, Scripted(weak), Author.WEAK, SETTINGS)
    for episode in (routed, alone):
        assert (episode.ending, [written.text for written in episode.steps]) == (ending, texts)
        assert episode.weak_tokens == 3 * len(texts)
        assert episode.correct is (ending is Ending.ANSWER)


async def test_a_step_that_would_end_the_episode_is_final_for_the_planner() -> None:
    class Final(LocalPlanner):
        finals: list[bool] = []  # noqa: RUF012  one test

        async def decide(self, policy, proposal, carry):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            self.finals.append(proposal.final)
            return await super().decide(policy, proposal, carry)

    for script, expected in (
        ([step("a"), BOXED], [False, True]),
        ([step("a")], [False, False, True]),
        ([step(text) for text in "abcd"], [False, False, False, True]),
    ):
        Final.finals = []
        await routed_episode(PROBLEM, Trio(Scripted(script), Scripted([]), Marks()), Final(None), SETTINGS)
        assert Final.finals == expected


async def test_where_the_scorer_or_the_strong_model_has_no_room_the_proposal_stands() -> None:
    weak = Scripted([step("a"), step("bad"), step("c")])
    for models in (
        Trio(weak, Scripted([FULL]), Marks({"bad": 0.1})),
        Trio(weak, Scripted([]), Marks(error=FULL)),
    ):
        episode = await routed_episode(PROBLEM, models, PLANNER, SETTINGS)
        assert episode.ending is Ending.CONTEXT
        assert [(written.text, written.author) for written in episode.steps] == [("a", "weak"), ("bad", "weak")]
        assert (episode.weak_tokens, episode.strong_tokens, episode.discarded_tokens) == (6, 0, 0)


async def test_records_say_who_wrote_what_and_where_the_time_went() -> None:
    weak = Scripted([step("a"), step("bad", tokens=5), BOXED])
    strong = Scripted([step("A"), step("good", tokens=7)])
    episode = await routed_episode(PROBLEM, Trio(weak, strong, Marks({"bad": 0.1})), PLANNER, SETTINGS)
    first, second, _ = episode.steps
    assert [(s.author, s.text, s.tokens, s.discarded_tokens, s.action) for s in episode.steps] == [
        ("weak", "a", 3, 0, "continue"),
        ("strong", "good", 7, 5, "regenerate"),
        ("weak", r"\boxed{2}", 3, 0, "continue"),
    ]
    assert second.scores == (0.9, 0.1)
    assert {s.score_windows for s in episode.steps} == {2}
    assert second.regenerate_seconds > 0 == first.regenerate_seconds
    assert all(s.propose_seconds > 0 and s.score_seconds > 0 and s.decide_seconds > 0 for s in episode.steps)
    assert episode.score_seconds == sum(s.score_seconds for s in episode.steps)
    assert episode.seconds > episode.score_seconds + episode.planner_seconds
    assert (episode.weak_tokens, episode.strong_tokens, episode.discarded_tokens) == (11, 7, 5)
    assert [s.seed for s in episode.steps] == [weak.seen[0][2], strong.seen[0][2], weak.seen[2][2]]
    assert len({seed for _, _, seed in weak.seen + strong.seen}) == 4
    assert strong.seen[0][1] == weak.seen[1][1] == (step("a"),)


async def test_a_conversation_may_be_more_than_the_problem() -> None:
    question = (Message("system", "Be brief."), Message("user", "1+1"))
    weak = Scripted([BOXED])
    found = [s async for s in routed_steps(PROBLEM, Trio(weak, weak, Marks()), PLANNER, SETTINGS, question=question)]
    await routed_episode(PROBLEM, Trio(weak, weak, Marks()), PLANNER, SETTINGS)
    assert [asked_for for asked_for, _, _ in weak.seen] == [question, asked("1+1")]
    assert [type(one) for one in found] == [StepRecord]


async def test_the_strong_model_is_kept_warm_and_never_waited_for() -> None:
    loop = asyncio.get_running_loop()
    weak = Scripted([step("a"), step("bad"), step("c"), BOXED])
    strong = Scripted([step("A"), step("B")], prefilling=loop.create_future)
    trio = Trio(weak, strong, Marks({"bad": 0.1}))
    await routed_episode(PROBLEM, trio, PLANNER, SETTINGS)
    assert strong.prefills == [0, 1, 2, 3]
    assert strong.cancelled == [0, 1, 2, 3]  # by the next, by the escalation, by the next, by the end
    for without in (replace(SETTINGS, prefill=False), replace(SETTINGS, policy="thr:0.0")):
        strong.prefills.clear()
        await routed_episode(PROBLEM, trio, PLANNER, without)
        assert strong.prefills == []
    assert [may_escalate(policy) for policy in ("thr:0", "thr:0.00", "thr:0.01", "pomdp:0.1")] == [
        False,
        False,
        True,
        True,
    ]


async def test_a_prefill_that_fails_is_nobodys_business() -> None:
    def fail() -> asyncio.Future[None]:
        raise EngineError("gone")

    strong = Scripted([step("A"), step("B")], prefilling=fail)
    trio = Trio(Scripted([step("a"), step("bad"), BOXED]), strong, Marks({"bad": 0.1}))
    assert (await routed_episode(PROBLEM, trio, PLANNER, SETTINGS)).ending is Ending.ANSWER


async def test_an_episode_that_is_left_leaves_nothing_under_way() -> None:
    loop = asyncio.get_running_loop()
    strong = Scripted([], prefilling=loop.create_future)
    steps = routed_steps(PROBLEM, Trio(Scripted([step("a"), step("b")]), strong, Marks()), PLANNER, SETTINGS)
    await anext(steps)
    episode = asyncio.create_task(anext(steps))
    await asyncio.sleep(0)
    episode.cancel()
    await asyncio.gather(episode, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert strong.cancelled == strong.prefills[:2]


async def test_a_deadline_keeps_what_is_written() -> None:
    class Slow(Scripted):
        async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
            await asyncio.sleep(0.05 if len(steps) < 2 else 60)
            return await super().propose(question, steps, seed=seed)

    limits = replace(SETTINGS.limits, deadline_seconds=0.5)
    trio = Trio(Slow([step(text) for text in "abcd"]), Scripted([]), Marks())
    episode = await routed_episode(PROBLEM, trio, PLANNER, replace(SETTINGS, limits=limits))
    assert (episode.ending, [s.text for s in episode.steps]) == (Ending.DEADLINE, ["a", "b"])
    assert 0.5 <= episode.seconds < 5


async def test_an_error_that_looks_like_a_deadline_is_an_error() -> None:
    trio = Trio(Scripted([TimeoutError("mine")]), Scripted([]), Marks())
    with pytest.raises(TimeoutError, match="mine"):
        await routed_episode(PROBLEM, trio, PLANNER, SETTINGS)


async def test_a_random_coin_falls_as_before_whatever_the_last_bits_of_scores_are() -> None:
    script = [*(step(f"{number}") for number in range(20)), step("\\boxed{2}", Stop.END)]

    async def authors(score: float, seed: int) -> list[Author]:
        models = Trio(Scripted(script), Scripted(script), Marks({f"{number}": score for number in range(20)}))
        episode = await routed_episode(PROBLEM, models, PLANNER, EpisodeSettings("random:0.5", seed))
        return [record.author for record in episode.steps]

    thrown = await authors(0.7, seed=0)
    assert thrown == await authors(0.7000000001, seed=0)
    assert thrown != await authors(0.7, seed=1)
    assert 4 < thrown.count(Author.STRONG) < 17
