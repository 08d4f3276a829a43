"""One episode: the step loop (DESIGN section 1)."""

import hashlib
import time
from dataclasses import dataclass, field

from inference.conversation import asked
from inference.engines.base import Engine
from inference.grading import is_correct
from inference.problems import Problem
from inference.records import Episode, StepRecord
from inference.scorers.base import Scorer
from inference.step import Author, Step, solution_text
from kde.artefact import TOOL
from planner.decision import Action, Carry, Decision, Planner, Proposal


@dataclass(frozen=True, slots=True)
class EpisodeSettings:
    """What is the same for every episode of a run.

    Attributes:
        policy: policy id.
        seed: of the run; with the problem, the place and the author it fixes every step's sampling, so that runs of different
            policies share M_w's drafts wherever their prefixes agree (common random numbers).
        max_steps: T, the step limit.
    """

    policy: str
    seed: int
    max_steps: int


@dataclass(frozen=True, slots=True)
class Trio:
    """The three models that a routed episode drives."""

    weak: Engine
    strong: Engine
    scorer: Scorer


async def routed_episode(problem: Problem, models: Trio, planner: Planner, settings: EpisodeSettings) -> Episode:
    """M_w proposes, the PRM scores, the planner decides, M_s rewrites where it says so; until the answer ends."""
    log = _Log(problem, settings)
    question = asked(problem.problem)
    prefix: list[Step] = []
    carry: Carry | None = None
    for t in range(1, settings.max_steps + 1):
        proposal = await models.weak.propose(question, prefix, seed=_seed(problem, settings, t, Author.WEAK))
        with log.score_time:
            scores = (await models.scorer.score(question, [step.text for step in [*prefix, proposal]])).values
        final = proposal.ends_answer or t == settings.max_steps
        seen = Proposal.from_scores(scores, tokens=len(proposal.token_ids), final=final)
        with log.planner_time:
            decision = await planner.decide(settings.policy, seen, carry)
        accepted, author = proposal, Author.WEAK
        if decision.action is Action.REGENERATE:
            author = Author.STRONG
            accepted = await models.strong.propose(question, prefix, seed=_seed(problem, settings, t, author))
        prefix.append(accepted)
        log.steps.append(_decided(accepted, author, proposal, scores, decision))
        if accepted.ends_answer:
            break
        carry = decision.carry
    return log.finish(prefix)


async def solo_episode(problem: Problem, engine: Engine, author: Author, settings: EpisodeSettings) -> Episode:
    """One model writes the whole answer; nothing is scored and nothing decided."""
    log = _Log(problem, settings)
    question = asked(problem.problem)
    prefix: list[Step] = []
    for t in range(1, settings.max_steps + 1):
        step = await engine.propose(question, prefix, seed=_seed(problem, settings, t, author))
        prefix.append(step)
        log.steps.append(StepRecord(author=author, text=step.text, tokens=len(step.token_ids)))
        if step.ends_answer:
            break
    return log.finish(prefix)


def _decided(
    accepted: Step, author: Author, proposal: Step, scores: tuple[float, ...], decision: Decision
) -> StepRecord:
    return StepRecord(
        author=author,
        text=accepted.text,
        tokens=len(accepted.token_ids),
        discarded_tokens=len(proposal.token_ids) if author is Author.STRONG else 0,
        scores=scores,
        action=decision.action.value,
        belief=decision.belief,
        break_even_tokens=decision.break_even_tokens,
        expected_strong_tokens=decision.expected_strong_tokens,
        table_hash=decision.table_hash,
    )


class _Stopwatch:
    """Adds up the time spent in its `with` blocks, in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._started


@dataclass(slots=True)
class _Log:
    problem: Problem
    settings: EpisodeSettings
    steps: list[StepRecord] = field(default_factory=list)
    score_time: _Stopwatch = field(default_factory=_Stopwatch)
    planner_time: _Stopwatch = field(default_factory=_Stopwatch)
    started: float = field(default_factory=time.perf_counter)

    def finish(self, written: list[Step]) -> Episode:
        discarded = sum(step.discarded_tokens for step in self.steps)
        solution = solution_text(written)
        return Episode(
            problem_id=self.problem.id,
            policy=self.settings.policy,
            seed=self.settings.seed,
            steps=tuple(self.steps),
            solution=solution,
            complete=written[-1].ends_answer,
            correct=None if self.problem.answer is None else is_correct(self.problem.answer, solution),
            weak_tokens=discarded + sum(step.tokens for step in self.steps if step.author is Author.WEAK),
            strong_tokens=sum(step.tokens for step in self.steps if step.author is Author.STRONG),
            discarded_tokens=discarded,
            seconds=time.perf_counter() - self.started,
            score_seconds=self.score_time.seconds,
            planner_seconds=self.planner_time.seconds,
            version=TOOL,
        )


def _seed(problem: Problem, settings: EpisodeSettings, step: int, author: Author) -> int:
    key = f"{settings.seed}/{problem.id}/{step}/{author.value}"
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) >> 1
