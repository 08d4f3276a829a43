"""One episode: the step loop (DESIGN section 1)."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from inference.chance import shown_to
from inference.conversation import Conversation, asked
from inference.ending import Ending, Limits, ending_of
from inference.engines.base import ContextFullError, Engine
from inference.grading import is_correct
from inference.prefill import Prefill, may_escalate
from inference.problems import Problem
from inference.records import Episode, StepRecord
from inference.scorers.base import Scorer
from inference.step import Author, Step, solution_text
from kde.artefact import TOOL
from kde.samples import StepClass
from planner.decision import Action, Carry, Decision, Planner, Proposal

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class EpisodeSettings:
    """What is the same for every episode of a run.

    Attributes:
        policy: policy id.
        seed: of the run; with the problem, the place and the author it fixes every step's sampling, so that runs of different
            policies share M_w's drafts wherever their prefixes agree (common random numbers).
        limits: how long an episode may go on.
        models: fingerprint of what the run's models are, for the record.
        prefill: whether M_s takes in the accepted prefix while M_w decodes.
    """

    policy: str
    seed: int
    limits: Limits = field(default_factory=Limits)
    models: str = ""
    prefill: bool = True


Truth = Callable[[str, Sequence[str]], StepClass]
"""Class of a partial solution, given the problem and its steps: an exact checker, where there is one."""


@dataclass(frozen=True, slots=True)
class Trio:
    """The three models that a routed episode drives.

    Attributes:
        truth: for the oracle, which alone looks at it; None where nobody knows.
    """

    weak: Engine
    strong: Engine
    scorer: Scorer
    truth: Truth | None = None


async def routed_episode(problem: Problem, models: Trio, planner: Planner, settings: EpisodeSettings) -> Episode:
    """M_w proposes, the PRM scores, the planner decides, M_s rewrites where it says so; until the episode ends."""
    return await _gathered(problem, settings, routed_steps(problem, models, planner, settings))


async def solo_episode(problem: Problem, engine: Engine, author: Author, settings: EpisodeSettings) -> Episode:
    """One model writes the whole answer; nothing is scored and nothing decided."""
    return await _gathered(problem, settings, solo_steps(problem, engine, author, settings))


async def routed_steps(
    problem: Problem,
    models: Trio,
    planner: Planner,
    settings: EpisodeSettings,
    *,
    question: Conversation | None = None,
) -> AsyncGenerator[StepRecord]:
    """The accepted steps of a routed episode, each as soon as it is decided.

    Where the PRM or M_s has no room for what is written, M_w's proposal stands and is the last.

    Args:
        problem: what is solved; its id enters the seeds.
        models: the three.
        planner: decides.
        settings: of the run.
        question: the conversation that asks the problem, where it is more than the problem's text.

    Raises:
        TrimError: a model or the planner does not answer, or refuses.
    """
    async with Prefill(models.strong) as prefill:
        route = _Route(problem, question or asked(problem.problem), models, planner, settings, prefill)
        while not route.over:
            try:
                proposal = await route.propose()
            except ContextFullError:
                return
            yield await route.settle(proposal)


async def solo_steps(
    problem: Problem,
    engine: Engine,
    author: Author,
    settings: EpisodeSettings,
    *,
    question: Conversation | None = None,
) -> AsyncGenerator[StepRecord]:
    """The steps of one model alone; arguments as of `routed_steps`.

    Raises:
        EngineError: the model does not answer.
    """
    question = question or asked(problem.problem)
    written: list[Step] = []
    while ending_of(written, settings.limits) is None:
        seed = step_seed(problem, settings, len(written) + 1, author)
        try:
            step, seconds = await _timed(engine.propose(question, written, seed=seed))
        except ContextFullError:
            return
        written.append(step)
        yield _record(author, step, seed, seconds)


@dataclass(frozen=True, slots=True)
class _Proposal:
    """What M_w wrote, and the record of it as long as nobody has judged it."""

    step: Step
    record: StepRecord


@dataclass(slots=True)
class _Route:
    """The state of a routed episode: what is written, what the last decision left, and what M_s has written of it, in tokens."""

    problem: Problem
    question: Conversation
    models: Trio
    planner: Planner
    settings: EpisodeSettings
    prefill: Prefill
    written: list[Step] = field(default_factory=list)
    carry: Carry | None = None
    spent: int = 0
    over: bool = False

    async def propose(self) -> _Proposal:
        """M_w's next step; M_s takes in what is written meanwhile."""
        if self.settings.prefill and may_escalate(self.settings.policy):
            self.prefill.start(self.question, self.written)
        seed = self._seed(Author.WEAK)
        step, seconds = await _timed(self.models.weak.propose(self.question, self.written, seed=seed))
        return _Proposal(step, _record(Author.WEAK, step, seed, seconds))

    async def settle(self, proposal: _Proposal) -> StepRecord:
        """Score a proposal, decide about it, and write it or what M_s writes instead."""
        step, record = proposal.step, proposal.record
        try:
            record, decision = await self._decide(proposal)
            self.carry = decision.carry
            if decision.action is Action.REGENERATE:
                step, record = await self._regenerate(record)
                self.spent += record.tokens
                if self.carry.spent is not None:
                    self.carry = replace(self.carry, spent=float(self.spent))
        except ContextFullError:
            self.over = True
        self.written.append(step)
        self.over = self.over or ending_of(self.written, self.settings.limits) is not None
        return record

    async def _decide(self, proposal: _Proposal) -> tuple[StepRecord, Decision]:
        texts = [step.text for step in [*self.written, proposal.step]]
        scores, score_seconds = await _timed(self.models.scorer.score(self.question, texts))
        final = ending_of([*self.written, proposal.step], self.settings.limits) is not None
        seen = Proposal.from_scores(scores.values, tokens=proposal.record.tokens, final=final)
        if self.models.truth is not None:
            seen = replace(seen, truth=self.models.truth(self.problem.problem, texts))
        seen = shown_to(self.settings.policy, seen, proposal.record.seed)
        decision, decide_seconds = await _timed(self.planner.decide(self.settings.policy, seen, self.carry))
        record = replace(
            proposal.record,
            scores=scores.values,
            score_windows=scores.windows,
            action=decision.action.value,
            belief=decision.belief,
            break_even_tokens=decision.break_even_tokens,
            expected_strong_tokens=decision.expected_strong_tokens,
            table_hash=decision.table_hash,
            fallback=decision.fallback,
            score_seconds=score_seconds,
            decide_seconds=decide_seconds,
        )
        return record, decision

    async def _regenerate(self, proposed: StepRecord) -> tuple[Step, StepRecord]:
        await self.prefill.stop()
        seed = self._seed(Author.STRONG)
        step, seconds = await _timed(self.models.strong.propose(self.question, self.written, seed=seed))
        record = replace(
            proposed,
            author=Author.STRONG,
            text=step.text,
            stop=step.stop,
            tokens=step.tokens,
            discarded_tokens=proposed.tokens,
            seed=seed,
            regenerate_seconds=seconds,
        )
        return step, record

    def _seed(self, author: Author) -> int:
        return step_seed(self.problem, self.settings, len(self.written) + 1, author)


async def _gathered(problem: Problem, settings: EpisodeSettings, steps: AsyncGenerator[StepRecord]) -> Episode:
    """The whole episode as one record."""
    began = time.perf_counter()
    written: list[StepRecord] = []
    deadline = asyncio.timeout(settings.limits.deadline_seconds)
    try:
        async with deadline, aclosing(steps):
            async for step in steps:
                written.append(step)  # noqa: PERF401  what is written when the deadline comes stays
    except TimeoutError:
        if not deadline.expired():
            raise
    late = Ending.DEADLINE if deadline.expired() else Ending.CONTEXT
    discarded = sum(step.discarded_tokens for step in written)
    solution = solution_text(written)
    return Episode(
        problem_id=problem.id,
        problem=problem.problem,
        policy=settings.policy,
        seed=settings.seed,
        steps=tuple(written),
        solution=solution,
        ending=ending_of(written, settings.limits) or late,
        correct=None if problem.answer is None else is_correct(problem.answer, solution),
        weak_tokens=discarded + sum(step.tokens for step in written if step.author is Author.WEAK),
        strong_tokens=sum(step.tokens for step in written if step.author is Author.STRONG),
        discarded_tokens=discarded,
        fallback_decisions=sum(step.fallback for step in written),
        seconds=time.perf_counter() - began,
        score_seconds=sum(step.score_seconds for step in written),
        planner_seconds=sum(step.decide_seconds for step in written),
        models=settings.models,
        version=TOOL,
    )


def _record(author: Author, step: Step, seed: int, seconds: float) -> StepRecord:
    return StepRecord(author, step.text, step.stop, step.tokens, seed=seed, propose_seconds=seconds)


async def _timed(work: Awaitable[Answer]) -> tuple[Answer, float]:
    """What is awaited, and the seconds that it took."""
    began = time.perf_counter()
    return await work, time.perf_counter() - began


def step_seed(problem: Problem, settings: EpisodeSettings, step: int, author: Author) -> int:
    """What fixes the sampling of the `step`-th step by an author."""
    key = f"{settings.seed}/{problem.id}/{step}/{author.value}"
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) >> 1
