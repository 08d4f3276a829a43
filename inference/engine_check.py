"""One real request to every engine, and what is wrong with it in the words of the file of engines."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
from pydantic import BaseModel, ValidationError

from inference.conversation import asked
from inference.engines.settings import EnginesFile, ModelSettings
from inference.fleet import Fleet
from kde.errors import TrimError

_QUESTION = asked("What is 7 + 5?")
_STEPS = ("7 + 5 = 12", "So the answer is \\boxed{12}.")
_SECONDS = 60.0
"""A first request of a process warms it up."""


class _Served(BaseModel):
    id: str
    root: str | None = None
    max_model_len: int | None = None


class _Listing(BaseModel):
    data: list[_Served]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one engine.

    Attributes:
        engine: `weak`, `strong` or `scorer`.
        place: its URL, or the model in this process.
        model: its name at the endpoint.
        context: tokens that it takes, where it says so.
        vocabulary: fingerprint of its tokenizer, where steps carry token ids.
        problem: what is wrong; empty if nothing is.
        remedy: what to do about it.
    """

    engine: str
    place: str
    model: str = ""
    context: int | None = None
    vocabulary: str = ""
    problem: str = ""
    remedy: str = ""

    def wrong(self, problem: str, remedy: str) -> "Finding":
        """The same with a problem."""
        return replace(self, problem=problem, remedy=remedy)


async def check_engines(engines: EnginesFile) -> list[Finding]:
    """Ask every replica of every model that the file names."""
    asking = [
        _check(name, engines, url)
        for name in ("weak", "strong", "scorer")
        if (settings := getattr(engines, name)) is not None
        for url in getattr(settings, "urls", ()) or (None,)
    ]
    return await asyncio.gather(*asking)


def same_vocabulary(findings: Sequence[Finding]) -> bool | None:
    """Whether M_w and M_s tokenise alike, so that token ids are the truth of a prefix; None where that is not known."""
    found = {name: {one.vocabulary for one in findings if one.engine == name} for name in ("weak", "strong")}
    known = found["weak"] | found["strong"]
    return None if "" in known or not all(found.values()) else len(known) == 1


async def _check(name: str, engines: EnginesFile, url: str | None) -> Finding:
    settings = getattr(engines, name)
    if not isinstance(settings, ModelSettings):
        finding = Finding(name, settings.kind)
    elif url is None and settings.backend == "server":
        finding = Finding(name, str(settings.model))
        return finding.wrong("it has no URL, so there is nobody to ask", f"name where it listens in {name}.urls")
    elif url is None:
        finding = Finding(name, str(settings.model), model=str(settings.model))
    else:
        finding = await _listed(name, settings, url)
        engines = engines.model_copy(update={name: settings.model_copy(update={"urls": (url,)})})
    if finding.problem:
        return finding
    try:
        async with asyncio.timeout(_SECONDS):
            return await (_scored if name == "scorer" else _proposed)(finding, engines)
    except TimeoutError:
        return finding.wrong(f"no answer within {_SECONDS:.0f} s", "see what it does: it may be overloaded or stuck")


async def _listed(name: str, settings: ModelSettings, url: str) -> Finding:
    """What the endpoint says of itself at /v1/models."""
    finding = Finding(name, url)
    variable = settings.api_key_env
    if variable is not None and variable not in os.environ:
        return finding.wrong(f"{name}.api_key_env names {variable}, which is not set", f"export {variable}=KEY")
    headers = {} if variable is None else {"authorization": f"Bearer {os.environ[variable]}"}
    try:
        async with httpx.AsyncClient(timeout=10.0) as client:
            answer = await client.get(f"{url.rstrip('/')}/v1/models", headers=headers)
    except httpx.TransportError as error:
        remedy = f"start it (`trim engines up`), or correct {name}.urls"
        return finding.wrong(f"nothing answers ({type(error).__name__})", remedy)
    if answer.status_code in {401, 403}:
        remedy = (
            f"name the environment variable that holds its key in {name}.api_key_env"
            if variable is None
            else f"put a key that it accepts into {variable}"
        )
        return finding.wrong(f"it wants a key (status {answer.status_code})", remedy)
    try:
        served = _Listing.model_validate_json(answer.content).data if answer.is_success else []
    except ValidationError:
        served = []
    if not served:
        remedy = f"{name}.urls wants an OpenAI-compatible server, without /v1 at the end"
        return finding.wrong(f"/v1/models answers {answer.status_code} and lists no model", remedy)
    return _right_model(finding, settings, served)


def _right_model(finding: Finding, settings: ModelSettings, served: Sequence[_Served]) -> Finding:
    name = finding.engine
    wanted = settings.served_model
    chosen = served[0] if wanted is None else next((one for one in served if one.id == wanted), None)
    if chosen is None:
        offered = ", ".join(one.id for one in served[:5])
        return finding.wrong(f"it serves {offered}, not {wanted}", f"correct {name}.served_model or {name}.urls")
    found = replace(finding, model=chosen.id, context=chosen.max_model_len)
    if None not in (chosen.root, settings.model) and chosen.root != settings.model:
        remedy = f"correct {name}.urls (another server's port?) or {name}.model"
        return found.wrong(f"it serves {chosen.root}, not {settings.model}", remedy)
    return found


async def _proposed(finding: Finding, engines: EnginesFile) -> Finding:
    """A step of M_w or M_s."""
    name = finding.engine
    limit = getattr(engines, name).sampling.max_step_tokens
    if finding.context is not None and limit >= finding.context:
        remedy = f"lower {name}.sampling.max_step_tokens, or serve it with a larger --max-model-len"
        return finding.wrong(f"its context of {finding.context} tokens has no room for a step of {limit}", remedy)
    try:
        async with _opened(engines) as fleet:
            engine = fleet.weak if name == "weak" else fleet.strong
            step = await engine.propose(_QUESTION, (), seed=0)
    except TrimError as error:
        return finding.wrong(str(error), _generation_remedy(name, str(error)))
    return replace(finding, vocabulary=step.vocabulary)


async def _scored(finding: Finding, engines: EnginesFile) -> Finding:
    """Scores of two steps; recorded scores only have to be readable."""
    try:
        async with _opened(engines) as fleet:
            scorer = fleet.scorer
            if finding.place == "recorded":
                return finding
            scores = (await scorer.score(_QUESTION, _STEPS)).values
    except TrimError as error:
        return finding.wrong(str(error), _scoring_remedy(str(error)))
    if len(scores) != len(_STEPS):
        return finding.wrong(f"{len(scores)} scores for {len(_STEPS)} steps", _scoring_remedy("scores for"))
    return finding


@asynccontextmanager
async def _opened(engines: EnginesFile) -> AsyncIterator[Fleet]:
    fleet = Fleet(engines)
    try:
        yield fleet
    finally:
        await fleet.close()


def _generation_remedy(name: str, told: str) -> str:
    if "token_ids" in told:
        return f'it does not return token ids: use vLLM 0.10.2 or newer, or {name}.api = "chat"'
    if "status 404" in told:
        return f"it does not generate text: is this the port of the process reward model? correct {name}.urls"
    return f"try the same with curl, and compare [{name}] with how the server was started"


def _scoring_remedy(told: str) -> str:
    if "scores for" in told:
        return 'serve it with --pooler-config \'{"tok_pooling_type": "STEP", "step_tag_id": ID of <extra_0>}\''
    if "status 404" in told:
        return (
            "it does not pool: serve it with --runner pooling, or correct scorer.urls (the port of a generating model?)"
        )
    return "try the same with curl, and compare [scorer] with how the server was started"
