"""`trim decide`: ask for one decision."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from kde.errors import InputError
from kde.terminal import AsJson, print_json, print_table
from planner.client import PlannerClient
from planner.decision import Action, Carry, Decision, Planner, Proposal
from planner.local import LocalPlanner
from planner.table import PolicyTable

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
        str | None, Parameter(help="weak, strong, thr:0.5, pomdp:0.0025, pomdp-memoryless:0.0025")
    ] = None,
    lam: Annotated[float | None, Parameter(name="--lambda", help="short for --policy pomdp:LAMBDA")] = None,
    server: Annotated[str | None, Parameter(help="HOST:PORT of a planner")] = None,
    local: Annotated[Path | None, Parameter(help="directory of a policy table, instead of --server")] = None,
    as_json: AsJson = False,
) -> None:
    """Decide the last step of a partial trace."""
    values = _parse_scores(scores)
    if (policy is None) == (lam is None):
        raise InputError("decide", field="policy", value=policy, remedy="give one of --policy and --lambda")
    if (server is None) == (local is None):
        raise InputError("decide", field="server", value=server, remedy="give one of --server and --local")
    chosen = policy if policy is not None else f"pomdp:{lam!r}"
    decision = asyncio.run(_ask(server, local, chosen, values, tokens, final=final))
    document = {**asdict(decision), "action": decision.action.value}
    if as_json:
        print_json(document)
    else:
        print_table(
            "Decision", ("field", "value"), [(key, value) for key, value in document.items() if value not in (None, "")]
        )


async def _ask(
    server: str | None, local: Path | None, policy: str, scores: tuple[float, ...], tokens: int, *, final: bool
) -> Decision:
    if local is not None:
        return await _replay(LocalPlanner(PolicyTable.load(local)), policy, scores, tokens, final=final)
    async with PlannerClient(str(server)) as client:
        return await _replay(client, policy, scores, tokens, final=final)


async def _replay(planner: Planner, policy: str, scores: tuple[float, ...], tokens: int, *, final: bool) -> Decision:
    """Carry the belief through the earlier steps, which were accepted, to the decision asked for."""
    asked = Proposal.from_scores(scores, tokens=tokens, final=final)
    carry = None
    for step in range(1, len(scores)):
        earlier = Proposal.from_scores(scores[:step], tokens=tokens, final=False)
        belief = (await planner.decide(policy, earlier, carry)).belief
        carry = Carry(belief, Action.CONTINUE)
    return await planner.decide(policy, asked, carry)


def _parse_scores(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            "--scores", field="scores", value=text, remedy="write numbers with commas, 0.98,0.91,0.32"
        ) from error
