"""Episodes gathered for learning: whole ones, side by side, under a policy that is drawn from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kde.samples import Array
from planner.batch import CarryBatch, Counts, Flags
from planner.draws import DRAWS, Draws
from planner.policies.belief import BeliefUpdate
from planner.policies.features import FeatureSet, Featurizer
from planner.pomdp import RoutingPOMDP

Act = Callable[[NDArray[np.float32]], tuple[Array, Array]]
"""From the features of traces so far [n, t, width] to the log odds of regenerating now and the expected return, both [n]."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """n episodes of at most T steps; entries beyond the end of an episode are 0.

    Attributes:
        features: float32 [n, T, width].
        actions: [n, T] whether the step was regenerated.
        log_odds: [n, T] of regenerating, when it was decided.
        values: [n, T] return that the critic expected.
        rewards: [n, T].
        alive: [n, T] whether there was a step.
        classes: [n, T] true class of the trace with the proposal.
        correct: [n] 1 where the final answer is right, else 0.
        strong_tokens: [n] expected tokens decoded by M_s.
    """

    features: NDArray[np.float32]
    actions: Flags
    log_odds: Array
    values: Array
    rewards: Array
    alive: Flags
    classes: Counts
    correct: Array
    strong_tokens: Array

    @property
    def returns(self) -> Array:
        """Return of each episode, [n]."""
        return np.asarray(self.rewards.sum(axis=1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Playground:
    """One POMDP at one price, and what a learner is shown of it.

    Attributes:
        draws: what the POMDP draws.
        lam: lambda.
        beliefs: forms the belief, for features that have one.
        featurizer: from proposals to features.
    """

    draws: Draws
    lam: float
    beliefs: BeliefUpdate
    featurizer: Featurizer

    @classmethod
    def of(cls, pomdp: RoutingPOMDP, lam: float, features: FeatureSet) -> Self:
        """Of a POMDP."""
        return cls(Draws.of(pomdp), lam, BeliefUpdate(pomdp), Featurizer.of(pomdp, features))

    def play(
        self, act: Act, episodes: int, world: np.random.Generator, coins: np.random.Generator | None = None
    ) -> Rollout:
        """Play episodes to their ends.

        Args:
            act: the learner.
            episodes: n.
            world: of the episodes; `planner.simulate` draws the same ones from an equal generator.
            coins: of the actions, drawn with the probabilities that `act` gives; without it the more probable action is taken.
        """
        steps, width = self.draws.pomdp.max_steps, self.featurizer.features.width
        features = np.zeros((episodes, steps, width), np.float32)
        actions, alive = np.zeros((episodes, steps), np.bool_), np.zeros((episodes, steps), np.bool_)
        log_odds, values, rewards = (np.zeros((episodes, steps)) for _ in range(3))
        classes: Counts = np.zeros((episodes, steps), np.int64)
        right, regenerated = np.ones(episodes, np.bool_), np.zeros(episodes, np.bool_)
        belief, tokens = np.full((episodes, 3), 1 / 3), np.zeros(episodes)
        running = np.arange(episodes)
        for t in range(steps):
            chances = world.random((DRAWS, episodes))[:, running]
            thresholds = np.full(len(running), 0.5) if coins is None else coins.random(episodes)[running]
            at = np.full(len(running), t + 1)
            drawn = self.draws.proposals(at, right[running], regenerated[running], chances)
            if self.featurizer.features is FeatureSet.BELIEF:
                carry = CarryBatch(belief[running], regenerated[running], np.zeros(len(running)))
                belief[running] = self.beliefs.many(drawn.proposals, carry)
            classes[running, t] = drawn.classes
            features[running, t] = self.featurizer(drawn.proposals, belief[running], regenerated[running])
            odds, value = act(features[running, : t + 1])
            chosen = np.asarray(odds > np.log(thresholds) - np.log1p(-thresholds))
            right[running] = self.draws.accepted(at, right[running], drawn.newest_right, chosen, chances)
            regenerated[running] = chosen
            final = drawn.proposals.final
            actions[running, t], alive[running, t] = chosen, True
            log_odds[running, t], values[running, t] = odds, value
            rewards[running, t] = final * right[running] - self.lam * chosen * drawn.expected_strong
            tokens[running] += chosen * drawn.expected_strong
            running = running[~final]
            if not len(running):
                break
        correct = right.astype(np.float64)
        return Rollout(features, actions, log_odds, values, rewards, alive, classes, correct, tokens)
