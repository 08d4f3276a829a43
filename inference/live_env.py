"""The routing problem as a `gymnasium` environment over real models; `planner.learn.environment` is the simulated one.

The agent stands where the planner stands: an episode is driven as every other is, and each of its decisions waits for the agent's action.
Needs the `rl` extra.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from inference.ending import Ending, Limits
from inference.engines.settings import EnginesFile
from inference.episode import EpisodeSettings, Trio, routed_episode
from inference.fleet import open_fleet
from inference.problems import Problem
from inference.records import Episode
from kde.errors import InputError
from planner.batch import ProposalBatch
from planner.decision import Action, Carry, Decision, Proposal
from planner.policies.belief import BeliefUpdate
from planner.policies.features import FeatureSet, Featurizer
from planner.pomdp import RoutingPOMDP

Observation = NDArray[np.float32]

_POLICY = "live"
_SEEDS = 2**31


class LiveRoutingEnv(gymnasium.Env[Observation, np.int64]):
    """Stepwise routing of real problems by real models.

    An observation is a proposal (`planner.policies.features`), action 1 has M_s write it anew. Rewards are minus lambda times the tokens
    that M_s decoded, and at the end 1 for an answer that is known to be right. An episode that the models have no room to go on with is
    truncated. It blocks while the models work, and runs an event loop of its own: use it where none is running.

    Args:
        engines: M_w, M_s and the PRM; they are opened when the first episode begins.
        problems: what is drawn from; all have answers.
        pomdp: says how steps are observed: the scales of the features, the belief filter and T.
        lam: lambda, the price of a strong token.
        features: what is observed of a proposal.
        logs: directory of the logs of servers, where the engines want some started.

    Raises:
        InputError: there is no problem, or one has no answer.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  gymnasium's name

    def __init__(
        self,
        engines: EnginesFile,
        problems: Sequence[Problem],
        pomdp: RoutingPOMDP,
        lam: float,
        features: FeatureSet = FeatureSet.BELIEF,
        *,
        logs: Path = Path("logs"),
    ) -> None:
        unanswered = [problem.id for problem in problems if problem.answer is None]
        if unanswered or not problems:
            remedy = "rewards are for right answers: name problems that have one"
            raise InputError("live environment", field="problems", value=unanswered, remedy=remedy)
        self._problems, self._lam = problems, lam
        self._limits = Limits(max_steps=pomdp.max_steps)
        self._beliefs, self._featurizer = BeliefUpdate(pomdp), Featurizer.of(pomdp, features)
        longest = 1.0 if engines.weak is None else engines.weak.sampling.max_step_tokens / self._featurizer.tokens - 1
        self.observation_space = spaces.Box(-1.0, np.float32(max(1.0, longest)), (features.width,), np.float32)
        self.action_space = spaces.Discrete(2)
        self._loop, self._open = asyncio.Runner(), AsyncExitStack()
        self._opening = open_fleet(engines, logs)
        self._models: Trio | None = None
        self._episode: asyncio.Task[Episode] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Draw a problem and have M_w begin it; there are no options.

        Raises:
            InputError: a model is not there, or the problem leaves the models no room for a step.
            TrimError: a model does not answer.
        """
        super().reset(seed=seed, options=options)
        problem = self._problems[int(self.np_random.integers(len(self._problems)))]
        settings = EpisodeSettings(_POLICY, int(self.np_random.integers(_SEEDS)), self._limits)
        self._spent = 0.0
        if not self._loop.run(self._begin(problem, settings)):
            remedy = "it leaves the models no room for a step: leave it out"
            raise InputError("live environment", field="problem", value=problem.id, remedy=remedy)
        return self._shown, {"problem": problem.id}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Accept (0) or regenerate (1) the proposal; at the end `info` says whether the answer is right and what it cost.

        Raises:
            TrimError: a model does not answer.
        """
        before = self._spent
        chosen = Action.REGENERATE if action == 1 else Action.CONTINUE
        ended = self._loop.run(self._act(Decision(chosen, _POLICY, belief=self._belief, spent=before)))
        if ended is None:
            return self._shown, self._lam * (before - self._spent), False, False, {}
        truncated = ended.ending is Ending.CONTEXT
        reward = float(ended.correct is True) - self._lam * (ended.strong_tokens - before)
        told = {"correct": ended.correct, "strong_tokens": ended.strong_tokens}
        return self._shown, reward, not truncated, truncated, told

    def close(self) -> None:
        """Release the models; the environment cannot be used again."""
        if self._models is not None:
            self._loop.run(self._release())
            self._models = None
        self._loop.close()

    async def _begin(self, problem: Problem, settings: EpisodeSettings) -> bool:
        """Whether there is a first proposal."""
        if self._models is None:
            fleet = await self._open.enter_async_context(self._opening)
            self._models = Trio(fleet.weak, fleet.strong, fleet.scorer)
        await self._abandon()
        self._agent = _Agent()
        self._episode = asyncio.create_task(routed_episode(problem, self._models, self._agent, settings))
        return await self._proceed(self._episode) is None

    async def _act(self, decision: Decision) -> Episode | None:
        if self._episode is None or self._episode.done():
            raise InputError("live environment", field="episode", value=None, remedy="none is under way: call reset")
        self._agent.actions.put_nowait(decision)
        return await self._proceed(self._episode)

    async def _proceed(self, episode: asyncio.Task[Episode]) -> Episode | None:
        """On to the next proposal, or to the episode's end."""
        asked = asyncio.create_task(self._agent.asked.get())
        await asyncio.wait({asked, episode}, return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            self._observe(*asked.result())
            return None
        asked.cancel()
        return episode.result()

    def _observe(self, proposal: Proposal, carry: Carry | None) -> None:
        self._belief = self._beliefs.one(proposal, carry)
        self._spent = 0.0 if carry is None or carry.spent is None else carry.spent
        batch = ProposalBatch(
            np.array([proposal.step]),
            np.array([proposal.earlier]),
            np.array([proposal.newest]),
            np.array([proposal.tokens]),
            np.array([proposal.final]),
        )
        rewritten = np.array([carry is not None and carry.action is Action.REGENERATE])
        self._shown = self._featurizer(batch, np.array([self._belief]), rewritten)[0].astype(np.float32)

    async def _abandon(self) -> None:
        """End the episode that is under way, if one is."""
        if self._episode is not None:
            self._episode.cancel()
            await asyncio.gather(self._episode, return_exceptions=True)

    async def _release(self) -> None:
        await self._abandon()
        await self._open.aclose()


class _Agent:
    """A planner that hands every proposal on and waits for what the agent does."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[Proposal, Carry | None]] = asyncio.Queue()
        self.actions: asyncio.Queue[Decision] = asyncio.Queue()

    async def decide(self, policy: str, proposal: Proposal, carry: Carry | None) -> Decision:  # noqa: ARG002
        """Ask, and wait."""
        self.asked.put_nowait((proposal, carry))
        return await self.actions.get()
