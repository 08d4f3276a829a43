"""Concurrent decisions gathered into one call: the first waits a moment for company."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import isnan, nan

from planner.client.errors import PlannerRefusedError
from planner.decision import Carry, Decision, Proposal
from planner.v1 import planner_pb2 as pb
from planner.wire import action_from_wire, action_to_wire

_MOST_ROWS = 1024
_MOST_POLICIES = 64


@dataclass(frozen=True, slots=True)
class Question:
    """One decision that somebody waits for."""

    policy: str
    proposal: Proposal
    carry: Carry | None
    answer: "asyncio.Future[Decision]"


class Batcher:
    """Gathers questions and asks them together.

    Args:
        linger: seconds that the first question waits for others.
        ask: makes the call.
    """

    def __init__(
        self, linger: float, ask: Callable[[pb.DecideBatchRequest], Awaitable[pb.DecideBatchResponse]]
    ) -> None:
        self._linger, self._ask = linger, ask
        self._waiting: list[Question] = []
        self._policies: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def decide(self, policy: str, proposal: Proposal, carry: Carry | None) -> Decision:
        """Ask with the next batch.

        Raises:
            PlannerRefusedError: the planner does not accept this question.
            TrimError: the call failed.
        """
        loop = asyncio.get_running_loop()
        question = Question(policy, proposal, carry, loop.create_future())
        if policy not in self._policies and len(self._policies) == _MOST_POLICIES:
            self._flush()
        self._waiting.append(question)
        self._policies.add(policy)
        if len(self._waiting) == _MOST_ROWS:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(self._linger, self._flush)
        return await question.answer

    async def close(self) -> None:
        """Ask what is waiting, and wait for the answers."""
        self._flush()
        await asyncio.gather(*self._calls)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        questions, self._waiting, self._policies = self._waiting, [], set()
        if questions:
            call = asyncio.create_task(self._call(questions))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _call(self, questions: Sequence[Question]) -> None:
        asked = [question for question in questions if not question.answer.done()]
        if not asked:
            return
        try:
            answers = read_answers(asked, await self._ask(batch_message(asked)))
        except Exception as error:  # noqa: BLE001  whoever waits gets it
            answers = [error] * len(asked)
        for question, answer in zip(asked, answers, strict=True):
            if question.answer.done():
                continue
            if isinstance(answer, Decision):
                question.answer.set_result(answer)
            else:
                question.answer.set_exception(answer)


def batch_message(questions: Sequence[Question]) -> pb.DecideBatchRequest:
    """The questions in columns."""
    places = {policy: place for place, policy in enumerate(dict.fromkeys(question.policy for question in questions))}
    carries = [question.carry for question in questions]
    beliefs = [(0.0, 0.0, 0.0) if carry is None or carry.belief is None else carry.belief for carry in carries]
    spent = [nan if carry is None or carry.spent is None else carry.spent for carry in carries]
    proposals = [question.proposal for question in questions]
    return pb.DecideBatchRequest(
        policy_ids=places,
        policies=[places[question.policy] for question in questions] if len(places) > 1 else (),
        steps=[proposal.step for proposal in proposals],
        earlier=[proposal.earlier for proposal in proposals],
        newest=[proposal.newest for proposal in proposals],
        token_counts=[proposal.tokens for proposal in proposals],
        finals=[proposal.final for proposal in proposals],
        last_actions=[pb.ACTION_UNSPECIFIED if carry is None else action_to_wire(carry.action) for carry in carries],
        beliefs=[probability for belief in beliefs for probability in belief],
        spent_tokens=spent if not all(map(isnan, spent)) else (),
    )


def read_answers(questions: Sequence[Question], message: pb.DecideBatchResponse) -> list[Decision | Exception]:
    """The decision, or the refusal, of every question."""
    refused = {refusal.row: PlannerRefusedError(f"planner: {refusal.message}") for refusal in message.refusals}
    places = {policy: place for place, policy in enumerate(dict.fromkeys(question.policy for question in questions))}
    hashes = {policy: message.table_hashes[place] for policy, place in places.items()}
    beliefs = list(message.beliefs)
    names = ("break_even_tokens", "expected_strong_tokens", "advantages", "spent_tokens")
    columns = [list(getattr(message, name)) for name in names]
    answers: list[Decision | Exception] = []
    for row, question in enumerate(questions):
        if row in refused:
            answers.append(refused[row])
            continue
        b0, b1, b2 = beliefs[3 * row : 3 * row + 3] or (0.0, 0.0, 0.0)
        break_even, expected, advantage, spent = (
            column[row] if column and column[row] == column[row] else None for column in columns
        )
        answers.append(
            Decision(
                action=action_from_wire(message.actions[row]),
                policy=question.policy,
                belief=None if b0 == b1 == b2 == 0 else (b0, b1, b2),
                break_even_tokens=break_even,
                expected_strong_tokens=expected,
                advantage=advantage,
                table_hash=hashes[question.policy],
                spent=spent,
            )
        )
    return answers
