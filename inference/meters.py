"""Meters on everything that an episode waits for: calls under way, how long they take, and what is decoded."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from inference.conversation import Conversation
from inference.engines.base import Engine
from inference.scorers.base import Scorer, Scores
from inference.step import Step
from planner.decision import Carry, Decision, Planner, Proposal

_RECENT = 1024


@dataclass(slots=True)
class Meter:
    """What one engine, scorer or planner has been asked.

    Attributes:
        under_way: calls that somebody waits for, in the engine or in front of it: its queue.
        most_under_way: at any time.
        calls: answered.
        tokens: decoded.
        recent: seconds of the newest calls, waiting for a turn included.
    """

    under_way: int = 0
    most_under_way: int = 0
    calls: int = 0
    tokens: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    @contextmanager
    def call(self) -> Iterator[None]:
        """One call."""
        began = time.perf_counter()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            yield
        finally:
            self.under_way -= 1
        self.calls += 1
        self.recent.append(time.perf_counter() - began)

    def quantiles(self) -> tuple[float, float]:
        """p50 and p95 of the newest calls, in seconds; 0 before the first."""
        p50, p95 = np.quantile(self.recent or [0.0], (0.5, 0.95))
        return float(p50), float(p95)


@dataclass(slots=True)
class Meters:
    """The meters of a run since it was started or resumed."""

    weak: Meter = field(default_factory=Meter)
    strong: Meter = field(default_factory=Meter)
    scorer: Meter = field(default_factory=Meter)
    planner: Meter = field(default_factory=Meter)
    began: float = field(default_factory=time.perf_counter)

    def begin(self) -> None:
        """Time runs from here on: models that had to be loaded first are loaded."""
        self.began = time.perf_counter()

    @property
    def by_name(self) -> dict[str, Meter]:
        """Everybody who has been asked."""
        meters = {"weak": self.weak, "strong": self.strong, "scorer": self.scorer, "planner": self.planner}
        return {name: meter for name, meter in meters.items() if meter.calls or meter.under_way}

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return time.perf_counter() - self.began

    @property
    def steps(self) -> int:
        """Steps that M_w proposed, or the one model that works alone wrote."""
        return self.weak.calls or self.strong.calls

    @property
    def tokens(self) -> int:
        """Decoded by both models."""
        return self.weak.tokens + self.strong.tokens


class MeteredEngine:
    """An engine with a meter; a prefill is not counted, as nobody waits for it."""

    def __init__(self, engine: Engine, meter: Meter) -> None:
        self._engine, self._meter = engine, meter

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        """As the engine."""
        with self._meter.call():
            step = await self._engine.propose(question, steps, seed=seed)
        self._meter.tokens += step.tokens
        return step

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:
        """As the engine."""
        await self._engine.prefill(question, steps)

    async def close(self) -> None:
        """As the engine."""
        await self._engine.close()


class MeteredScorer:
    """A scorer with a meter."""

    def __init__(self, scorer: Scorer, meter: Meter) -> None:
        self._scorer, self._meter = scorer, meter

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        """As the scorer."""
        with self._meter.call():
            return await self._scorer.score(question, steps)

    async def close(self) -> None:
        """As the scorer."""
        await self._scorer.close()


class MeteredPlanner:
    """A planner with a meter."""

    def __init__(self, planner: Planner, meter: Meter) -> None:
        self._planner, self._meter = planner, meter

    async def decide(self, policy: str, proposal: Proposal, carry: Carry | None) -> Decision:
        """As the planner."""
        with self._meter.call():
            return await self._planner.decide(policy, proposal, carry)
