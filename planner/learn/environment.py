"""The routing problem as a `gymnasium` environment, for other people's learners.

One episode is one trace: an observation is a proposal (`planner.policies.features`), action 1 regenerates it, and rewards are minus lambda
times the expected strong tokens of a rewritten step and, at the end, 1 for a right answer. `planner.learn.rollout` plays the same problem
for our own learners, thousands of episodes at once.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from planner.batch import CarryBatch
from planner.draws import DRAWS, Drawn, Draws
from planner.policies.belief import BeliefUpdate
from planner.policies.features import FeatureSet, Featurizer
from planner.pomdp import RoutingPOMDP

Observation = NDArray[np.float32]


class RoutingEnv(gymnasium.Env[Observation, np.int64]):
    """Stepwise routing, simulated from a POMDP.

    Args:
        pomdp: what is drawn from.
        lam: lambda, the price of a strong token.
        features: what is observed of a proposal.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  gymnasium's name

    def __init__(self, pomdp: RoutingPOMDP, lam: float, features: FeatureSet = FeatureSet.BELIEF) -> None:
        self._draws, self._lam = Draws.of(pomdp), lam
        self._beliefs, self._featurizer = BeliefUpdate(pomdp), Featurizer.of(pomdp, features)
        longest = max(1.0, *(count / self._featurizer.tokens - 1 for count in pomdp.tokens.counts))
        self.observation_space = spaces.Box(-1.0, np.float32(longest), (features.width,), np.float32)
        self.action_space = spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a trace; there are no options."""
        super().reset(seed=seed, options=options)
        self._step = 0
        self._right, self._regenerated = np.ones(1, np.bool_), np.zeros(1, np.bool_)
        self._belief, self._tokens = np.full((1, 3), 1 / 3), 0.0
        return self._propose(), {}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Accept (0) or regenerate (1) the proposal; at the end `info` says whether the answer is right and what it cost."""
        regenerate = np.array([action == 1])
        at, drawn = np.array([self._step]), self._drawn
        self._right = self._draws.accepted(at, self._right, drawn.newest_right, regenerate, self._chances)
        self._regenerated = regenerate
        spent = float(drawn.expected_strong[0]) if action == 1 else 0.0
        self._tokens += spent
        if not drawn.proposals.final[0]:
            return self._propose(), -self._lam * spent, False, False, {}
        right = bool(self._right[0])
        return self._shown, right - self._lam * spent, True, False, {"correct": right, "strong_tokens": self._tokens}

    def _propose(self) -> Observation:
        """Draw the next proposal and observe it."""
        self._step += 1
        self._chances = self.np_random.random((DRAWS, 1))
        at = np.array([self._step])
        self._drawn: Drawn = self._draws.proposals(at, self._right, self._regenerated, self._chances)
        proposals = self._drawn.proposals
        if self._featurizer.features is FeatureSet.BELIEF:
            carry = CarryBatch(self._belief, self._regenerated, np.zeros(1))
            self._belief = self._beliefs.many(proposals, carry)
        features = self._featurizer(proposals, self._belief, self._regenerated)[0]
        self._shown = features.astype(np.float32)
        return np.asarray(self._shown, dtype=np.float32)
