"""M_s kept warm: its KV cache takes in the accepted prefix while M_w decodes the next step (paper, Appendix A)."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from inference.conversation import Conversation
from inference.engines.base import Engine, EngineError
from inference.step import Step
from inference.turns import ahead_of_need


def may_escalate(policy: str) -> bool:
    """Whether a policy can ever ask for M_s: `thr:0` cannot, and nobody needs to be kept warm for it."""
    family, _, threshold = policy.partition(":")
    return family != "thr" or threshold.strip("0.") != ""


class Prefill:
    """The prefill under way for one episode, of which there is at most one; an async context manager that leaves none.

    A prefill is never waited for and nothing depends on it: one that fails leaves M_s cold, and what asks M_s next says why.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def start(self, question: Conversation, steps: Sequence[Step]) -> None:
        """Begin to take in a prefix, in place of the shorter one that may be under way."""
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._take_in(question, tuple(steps)))

    async def stop(self) -> None:
        """End it, so that M_s is free for what is asked now: what it has taken in stays in its cache."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _take_in(self, question: Conversation, steps: tuple[Step, ...]) -> None:
        with ahead_of_need(), suppress(EngineError):
            await self._engine.prefill(question, steps)
