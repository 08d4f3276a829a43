"""What answers behind the gateway: the models, the planner, and the rules of episodes."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Protocol

from inference.conversation import Conversation
from inference.ending import Ending, Limits, ending_of
from inference.engines.settings import EnginesFile, ModelSettings
from inference.episode import EpisodeSettings, Trio, routed_steps, solo_steps
from inference.fleet import EngineKind, Fleet, engines_at, open_fleet
from inference.gateway.names import ALONE, model_of
from inference.gateway.probe import PROBE_SECONDS, answers
from inference.gateway.refusals import InvalidRequestError, ModelNotFoundError
from inference.gateway.settings import GatewaySettings
from inference.lab.shipped import lab_places
from inference.problems import Problem
from inference.records import StepRecord
from inference.step import Author
from kde.errors import InputError, TrimError
from planner.client import PlannerClient, Security
from planner.client.errors import UnknownToPlannerError
from planner.decision import Planner, Proposal
from planner.local import LocalPlanner
from planner.policies.offer import Offer

_FIRST = Proposal(1, earlier=1.0, newest=1.0, tokens=1, final=False)
_EXAMPLE_THRESHOLD = "thr:0.5"
_PLANNER_ATTEMPTS = 5
"""About two seconds: somebody waits for the answer."""


class GatewayRouter:
    """Answers conversations under any policy that the planner offers."""

    def __init__(self, engines: EnginesFile, fleet: Fleet, planner: "PolicyPlanner", limits: Limits) -> None:
        self._engines, self._fleet, self._planner, self._limits = engines, fleet, planner, limits

    async def models(self) -> list[str]:
        """Names of the models on offer; any other threshold is one too."""
        return [model_of(policy) for policy in (*ALONE, _EXAMPLE_THRESHOLD, *await self._planner.policies())]

    async def check(self, model: str, policy: str) -> bool:
        """Return if the policy is on offer: whether the planner says so, or a fallback, which takes any price.

        Raises:
            ModelNotFoundError: it is not.
            TrimError: the planner does not answer.
        """
        if policy in ALONE:
            return True
        try:
            return not (await self._planner.decide(policy, _FIRST, None)).fallback
        except (InputError, UnknownToPlannerError) as error:
            raise ModelNotFoundError(model, "GET /v1/models lists what there is") from error

    def check_sampling(self, temperature: float | None, top_p: float | None) -> None:
        """Return if a request wants the sampling that the models have: the policies were fitted on it.

        Raises:
            InvalidRequestError: it wants another.
        """
        models = [model.sampling for model in (self._engines.weak, self._engines.strong) if model is not None]
        for name, wanted in (("temperature", temperature), ("top_p", top_p)):
            own = sorted({getattr(sampling, name) for sampling in models})
            if wanted is not None and own != [wanted]:
                raise InvalidRequestError(
                    f"{name} is {' and '.join(f'{value:g}' for value in own)} here, as the policies were fitted: leave it out",
                    param=name,
                    code="unsupported_value",
                )

    def steps(self, question: Conversation, policy: str, seed: int) -> AsyncGenerator[StepRecord]:
        """The steps of an answer, each as soon as it is decided; the same question and seed get the same answer.

        Raises:
            TrimError: a model or the planner does not answer.
        """
        content = json.dumps([asdict(message) for message in question])
        problem = Problem(id=hashlib.sha256(content.encode()).hexdigest(), problem=content)
        settings = EpisodeSettings(policy, seed, self._limits)
        match policy:
            case "weak":
                return solo_steps(problem, self._fleet.weak, Author.WEAK, settings, question=question)
            case "strong":
                return solo_steps(problem, self._fleet.strong, Author.STRONG, settings, question=question)
            case _:
                trio = Trio(self._fleet.weak, self._fleet.strong, self._fleet.scorer)
                return routed_steps(problem, trio, self._planner, settings, question=question)

    def ending(self, steps: list[StepRecord]) -> Ending:
        """Why an answer that has these steps, and gets no more, has ended."""
        return ending_of(steps, self._limits) or Ending.CONTEXT

    async def problems(self) -> list[str]:
        """What keeps the gateway from answering; nothing if it is ready."""
        models = {"weak": self._engines.weak, "strong": self._engines.strong, "scorer": self._engines.scorer}
        asking = {name: answers(model) for name, model in models.items() if isinstance(model, ModelSettings)}
        found = await asyncio.gather(self._planner_answers(), *asking.values())
        return [name for name, well in zip(("planner", *asking), found, strict=True) if not well]

    async def _planner_answers(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._planner.ready()
        except (TrimError, TimeoutError):
            return False
        return True


class PolicyPlanner(Planner, Protocol):
    """A planner that says what it offers."""

    async def ready(self) -> None:
        """Return if decisions are answered.

        Raises:
            TrimError: they are not.
        """

    async def policies(self) -> list[str]:
        """Ids of the policies that have a table.

        Raises:
            TrimError: the planner does not answer.
        """


class RemotePlanner(PlannerClient):
    """A planner service, with the fallback that stands in for it."""

    async def ready(self) -> None:
        """Return if decisions are answered: by the planner, or by a fallback that has what it needs.

        Raises:
            TrimError: they are not.
        """
        if not self.ready_to_fall_back:
            await self.list_policies()

    async def policies(self) -> list[str]:
        """Ids of the policies that have a table.

        Raises:
            TrimError: the planner does not answer.
        """
        return [policy.policy_id for policy in await self.list_policies()]


class TablePlanner(LocalPlanner):
    """Tables in this process, or none."""

    async def ready(self) -> None:
        """Return: tables that are loaded stay so."""

    def __init__(self, offer: Offer | None) -> None:
        super().__init__(None if offer is None else offer.catalogue)
        self._lambdas = [] if offer is None else list(offer.catalogue.tables)

    async def policies(self) -> list[str]:
        """Ids of the policies that have a table."""
        return [f"pomdp:{lam!r}" for lam in self._lambdas]


@asynccontextmanager
async def open_router(settings: GatewaySettings) -> AsyncIterator[GatewayRouter]:
    """Models and planner as the settings say.

    Raises:
        TrimError: a model or a table cannot be loaded, or a file cannot be read.
    """
    engines = _lab_engines() if settings.engines is None else EnginesFile.load(settings.engines)
    async with _open_planner(settings) as planner, open_fleet(engines, settings.logs) as fleet:
        yield GatewayRouter(engines, fleet, planner, Limits(max_steps=settings.max_steps))


def _lab_engines() -> EnginesFile:
    return engines_at(lab_places(), EngineKind.TRANSFORMERS, {})


@asynccontextmanager
async def _open_planner(settings: GatewaySettings) -> AsyncIterator[PolicyPlanner]:
    if settings.server is None:
        yield TablePlanner(None if settings.tables is None else Offer.load(settings.tables))
        return
    security = Security(ca=settings.planner_ca, token=settings.planner_token)
    async with RemotePlanner(
        settings.server, attempts=_PLANNER_ATTEMPTS, fallback=settings.fallback, security=security
    ) as planner:
        yield planner
