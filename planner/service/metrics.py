"""What a server counts. Plain numbers: counting costs a decision next to nothing, and `exposition` reads them when it is asked."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import log

import numpy as np

from kde.errors import TrimError
from kde.samples import Array
from planner.decision import Action, Decision
from planner.policies.columns import CONTINUE, REGENERATE
from planner.service.status import code_name, refused_field

_SECONDS = (25e-6, 50e-6, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_NATS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_MOST_POLICIES = 200
_FREE_PARAMETERS = frozenset({"thr", "one-step-thr", "specreason", "random", "budget"})
"""Families whose parameter may be any number: counted together."""


class Histogram:
    """Counts of values by bucket.

    Attributes:
        bounds: upper bounds, ascending; a last bucket takes the rest.
        counts: how many values fell into each bucket.
        total: sum of the values.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts, self.total = tuple(bounds), [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_many(self, values: Array) -> None:
        """Count many."""
        added = np.bincount(np.searchsorted(self.bounds, values), minlength=len(self.counts))
        self.counts = [before + more for before, more in zip(self.counts, added.tolist(), strict=True)]
        self.total += float(values.sum())


class MethodCount:
    """Finished calls of one method.

    Attributes:
        codes: calls by status.
        seconds: time inside the handler.
    """

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.seconds = Histogram(_SECONDS)

    def add(self, seconds: float, code: str = "OK") -> None:
        """Count a call."""
        self.codes[code] += 1
        self.seconds.add(seconds)


class ServiceMetrics:
    """Counts of one worker since it started.

    Attributes:
        methods: calls by method.
        decisions: by policy label, then by action code.
        entropy: of the beliefs after a decision, in nats.
        refusals: by status and field, rows of batches and messages of streams included.
    """

    def __init__(self) -> None:
        self.methods: defaultdict[str, MethodCount] = defaultdict(MethodCount)
        self.decisions: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self.entropy = Histogram(_NATS)
        self.refusals: Counter[tuple[str, str]] = Counter()
        self._labels: dict[str, str] = {}

    def decided(self, decision: Decision) -> None:
        """Count a decision."""
        self.decisions[self._labels.get(decision.policy) or self._label(decision.policy)][
            CONTINUE if decision.action is Action.CONTINUE else REGENERATE
        ] += 1
        if decision.belief is not None:
            b0, b1, b2 = decision.belief
            self.entropy.add(-(b0 * log(b0 or 1) + b1 * log(b1 or 1) + b2 * log(b2 or 1)))

    def decided_many(self, policy: str, actions: np.ndarray[tuple[int], np.dtype[np.uint8]], beliefs: Array) -> None:
        """Count the decisions of one policy on many rows; the beliefs are those of rows that have one, [m, 3]."""
        label = self._label(policy)
        counts = np.bincount(actions, minlength=3)
        tally = self.decisions[label]
        for code in (CONTINUE, REGENERATE):
            tally[code] += int(counts[code])
        if len(beliefs):
            self.entropy.add_many(-(beliefs * np.log(np.maximum(beliefs, np.finfo(np.float64).tiny))).sum(axis=1))

    def refused(self, error: TrimError) -> None:
        """Count a refusal."""
        self.refusals[code_name(error), refused_field(error)] += 1

    def _label(self, policy: str) -> str:
        """Families with a free parameter share a label, and so do policies beyond a number.

        Workers choose ids, and labels must not grow without end.
        """
        label = self._labels.get(policy)
        if label is None:
            family = policy.partition(":")[0]
            label = policy if len(self._labels) < _MOST_POLICIES else "other"
            label = family if family in _FREE_PARAMETERS else label
            if len(self._labels) < 4 * _MOST_POLICIES:
                self._labels[policy] = label
        return label
