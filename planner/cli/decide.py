"""`trim decide`: ask for one decision."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from kde.errors import InputError
from kde.terminal import AsJson, print_json, print_table
from planner.client import PlannerClient, Security
from planner.decision import Action, Carry, Decision, Planner, Proposal
from planner.local import LocalPlanner
from planner.policies.offer import Offer

app = App(
    name="decide",
    help_epilogue="""\
Decides the last step of a partial trace whose earlier steps were all accepted.

Example: trim decide --server 127.0.0.1:50051 --lambda 0.0025 --scores 0.98,0.91,0.32 --tokens 48""",
)


@app.default
def run(
    *,
    scores: Annotated[str, Parameter(help="PRM scores of all steps so far, the proposal's last: 0.98,0.91,0.32")],
    tokens: Annotated[int, Parameter(help="tokens of the proposal")],
    final: Annotated[bool, Parameter(negative="", help="the proposal ends the answer")] = False,
    policy: Annotated[
        str | None, Parameter(help="such as thr:0.5, pomdp:0.0025 or budget:200; docs/policies.md lists them")
    ] = None,
    lam: Annotated[float | None, Parameter(name="--lambda", help="short for --policy pomdp:LAMBDA")] = None,
    server: Annotated[str | None, Parameter(help="HOST:PORT of a planner")] = None,
    tls_ca: Annotated[
        Path | None, Parameter(help="PEM file of the authority that signed the planner's certificate")
    ] = None,
    tls_certificate: Annotated[Path | None, Parameter(help="PEM file of a client certificate")] = None,
    tls_key: Annotated[Path | None, Parameter(help="PEM file of its key")] = None,
    token: Annotated[Path | None, Parameter(help="file that holds the bearer token")] = None,
    local: Annotated[Path | None, Parameter(help="a policy table, or a folder of them, instead of --server")] = None,
    as_json: AsJson = False,
) -> None:
    """Decide the last step of a partial trace."""
    values = _parse_scores(scores)
    if (policy is None) == (lam is None):
        raise InputError("decide", field="policy", value=policy, remedy="give one of --policy and --lambda")
    if (server is None) == (local is None):
        raise InputError("decide", field="server", value=server, remedy="give one of --server and --local")
    chosen = policy if policy is not None else f"pomdp:{lam!r}"
    planner = _open(server, local, Security(tls_ca, tls_certificate, tls_key, token))
    decision = asyncio.run(_ask(planner, chosen, values, tokens, final=final))
    document = {**asdict(decision), "action": decision.action.value}
    if as_json:
        print_json(document)
    else:
        print_table(
            "Decision", ("field", "value"), [(key, value) for key, value in document.items() if value not in (None, "")]
        )


@asynccontextmanager
async def _open(server: str | None, local: Path | None, security: Security) -> AsyncIterator[Planner]:
    if local is not None:
        yield LocalPlanner(Offer.load(local).catalogue)
        return
    async with PlannerClient(str(server), security=security) as client:
        yield client


async def _ask(
    planner: AbstractAsyncContextManager[Planner], policy: str, scores: tuple[float, ...], tokens: int, *, final: bool
) -> Decision:
    async with planner as opened:
        return await _replay(opened, policy, scores, tokens, final=final)


async def _replay(planner: Planner, policy: str, scores: tuple[float, ...], tokens: int, *, final: bool) -> Decision:
    """Carry the belief through the earlier steps, which were accepted, to the decision asked for."""
    asked = Proposal.from_scores(scores, tokens=tokens, final=final)
    carry = None
    for step in range(1, len(scores)):
        earlier = Proposal.from_scores(scores[:step], tokens=tokens, final=False)
        decided = await planner.decide(policy, earlier, carry)
        carry = Carry(decided.belief, Action.CONTINUE, None if decided.spent is None else 0.0)
    return await planner.decide(policy, asked, carry)


def _parse_scores(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            "--scores", field="scores", value=text, remedy="write numbers with commas, 0.98,0.91,0.32"
        ) from error
