"""Back-pressure: a bounded number of calls under way, the others in line, and a deadline for each."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from inference.conversation import Conversation
from inference.engines.base import Engine, EngineError, Grader, Usage
from inference.scorers.base import Scorer, Scores
from inference.step import Step
from inference.turns import Line


class Model(Engine, Grader, Protocol):
    """A language model as every backend gives it."""

    usage: Usage


class Turns:
    """Lets callers through by their place in line.

    Args:
        name: of what they wait for, for messages.
        in_flight: most of them at once.
        deadline_seconds: of each, from its turn on: how long the line is does not make a call late.
    """

    def __init__(self, name: str, *, in_flight: int, deadline_seconds: float) -> None:
        self._name, self._deadline = name, deadline_seconds
        self._line = Line(in_flight)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One call.

        Raises:
            EngineError: it was not done by the deadline.
        """
        try:
            async with self._line.turn(), asyncio.timeout(self._deadline):
                yield
        except TimeoutError as error:
            raise EngineError(f"{self._name}: no answer within the deadline of {self._deadline:g} s") from error


class BoundedEngine:
    """An engine whose callers take turns.

    Attributes:
        usage: the engine's.
    """

    def __init__(self, engine: Model, turns: Turns) -> None:
        self._engine, self._turns = engine, turns
        self.usage = engine.usage

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        """As the engine, in turn."""
        async with self._turns.turn():
            return await self._engine.propose(question, steps, seed=seed)

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:
        """As the engine, in turn."""
        async with self._turns.turn():
            await self._engine.prefill(question, steps)

    async def first_token(self, question: Conversation) -> Mapping[str, float]:
        """As the engine, in turn."""
        async with self._turns.turn():
            return await self._engine.first_token(question)

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()


class BoundedScorer:
    """A scorer whose callers take turns."""

    def __init__(self, scorer: Scorer, turns: Turns) -> None:
        self._scorer, self._turns = scorer, turns

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        """As the scorer, in turn."""
        async with self._turns.turn():
            return await self._scorer.score(question, steps)

    async def close(self) -> None:
        """Close the scorer."""
        await self._scorer.close()
