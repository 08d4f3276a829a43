"""The circuit breaker of one replica: after failures in a row nobody asks it for a while, then one call tries."""

import random
import time

_LONGEST = 30.0


class Breaker:
    """Closed: calls pass. Open: none does. Half open: one does, and its outcome decides.

    Args:
        failures: failures in a row that open it.
        cool_down: seconds that it stays open at first; they double, with jitter, up to half a minute for as long as trials fail.
    """

    def __init__(self, failures: int, cool_down: float) -> None:
        self._failures, self._cool_down = failures, cool_down
        self._in_a_row = 0
        self._wait, self._until = cool_down, 0.0
        self._trial = False

    @property
    def closed(self) -> bool:
        """Whether calls pass freely."""
        return self._in_a_row < self._failures

    def allows(self) -> bool:
        """Whether a call may pass now; in the half-open state, whether it would be the trial."""
        return self.closed or (not self._trial and time.monotonic() >= self._until)

    @property
    def opens_in(self) -> float:
        """Seconds until a trial is allowed."""
        return max(0.0, self._until - time.monotonic())

    def started(self) -> None:
        """A call passes."""
        self._trial = not self.closed

    def succeeded(self) -> None:
        """A call was answered, with whatever answer."""
        self._in_a_row, self._wait, self._trial = 0, self._cool_down, False

    def failed(self) -> None:
        """A call was not answered."""
        if self._trial:  # calls that were under way when it opened say nothing new
            self._wait = min(2 * self._wait, _LONGEST)
        self._in_a_row += 1
        self._trial = False
        self._until = time.monotonic() + self._wait * random.uniform(0.8, 1.2)  # noqa: S311

    def abandoned(self) -> None:
        """A call ended without telling anything about the replica."""
        self._trial = False
