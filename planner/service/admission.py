"""Shedding load: calls that would wait too long are told when to come back.

A decision itself never waits; what waits is the event loop's queue, before a handler sees its call. A heartbeat measures how late
the loop is, which is the time that calls spend in that queue now.
"""

import asyncio
import random

from planner.service.status import OverloadedError

_BEAT_SECONDS = 0.02
_LONGEST_HINT = 2.0


class LoadGate:
    """Lets calls in while the queue is short.

    Args:
        longest_wait: seconds in the queue beyond which calls are shed.
    """

    def __init__(self, longest_wait: float) -> None:
        self._longest_wait, self._late = longest_wait, 0.0

    @property
    def wait_seconds(self) -> float:
        """How long calls wait in the queue at the moment."""
        return self._late

    def admit(self) -> None:
        """Return while the queue is short.

        Raises:
            OverloadedError: it is not.
        """
        if self._late > self._longest_wait:
            spread = random.uniform(1, 2)  # noqa: S311  so that those sent away do not come back together
            raise OverloadedError(min(self._late * spread, _LONGEST_HINT))

    async def watch(self) -> None:
        """Measure the queue until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _BEAT_SECONDS
            await asyncio.sleep(_BEAT_SECONDS)
            self._late = loop.time() - due
