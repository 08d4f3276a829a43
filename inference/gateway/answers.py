"""What a client gets: OpenAI's completion objects, with the route in an extension field `trim`."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inference.ending import Ending
from inference.gateway.exchange import Exchange
from inference.records import StepRecord
from inference.step import solution_text

_LIMITS = frozenset({Ending.STEP_LIMIT, Ending.CONTEXT})


@dataclass(frozen=True, slots=True)
class Answer:
    """What is the same in every object of one answer.

    Attributes:
        exchange: what has been decided so far.
        model: as it was asked for.
        policy: id of the policy that decides.
        seed: of the sampling; with the same messages and models it gives the same answer.
        created: Unix time.
    """

    exchange: Exchange
    model: str
    policy: str
    seed: int
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, ending: Ending | None) -> dict[str, Any]:
        """The object of a plain completion; `ending` is None where the token limit ended it."""
        steps = self.exchange.steps
        message = {"role": "assistant", "content": solution_text(steps), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(ending)}
        trim = self._trim(ending=ending_name(ending), steps=[asdict(step) for step in steps])
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage(), "trim": trim}

    def opening(self) -> dict[str, Any]:
        """The first chunk of a stream."""
        return self._chunk({"role": "assistant", "content": ""}, None, self._trim())

    def newest(self) -> dict[str, Any]:
        """The chunk of the newest step."""
        steps = self.exchange.steps
        return self._chunk({"content": _added(steps)}, None, self._trim(step=asdict(steps[-1])))

    def closing(self, ending: Ending | None) -> dict[str, Any]:
        """The last chunk with a choice; `ending` as in `whole`."""
        return self._chunk({}, _finish_reason(ending), self._trim(ending=ending_name(ending)))

    def usage(self) -> dict[str, Any]:
        """The chunk after that, which a client asks for in `stream_options`."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()}

    def _chunk(self, delta: dict[str, Any], reason: str | None, trim: dict[str, Any]) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice], "trim": trim}

    def _head(self, kind: str) -> dict[str, Any]:
        identity = f"chatcmpl-{self.exchange.trace_id}"
        return {"id": identity, "object": kind, "created": self.created, "model": self.model}

    def _trim(self, **more: Any) -> dict[str, Any]:
        return {"trace_id": self.exchange.trace_id, "policy": self.policy, "seed": self.seed, **more}

    def _usage(self) -> dict[str, Any]:
        exchange = self.exchange
        return {
            "prompt_tokens": 0,
            "completion_tokens": exchange.answer_tokens,
            "total_tokens": exchange.answer_tokens,
            "completion_tokens_details": {
                "weak_tokens": exchange.weak_tokens,
                "strong_tokens": exchange.strong_tokens,
                "discarded_tokens": exchange.discarded_tokens,
            },
        }


def ending_name(ending: Ending | None) -> str:
    """The word for how an answer ended: an episode's, or `token_limit`."""
    return "token_limit" if ending is None else ending.value


def _finish_reason(ending: Ending | None) -> str:
    return "length" if ending is None or ending in _LIMITS else "stop"


def _added(steps: Sequence[StepRecord]) -> str:
    """What the last step adds to the text: itself, behind what stands between it and the step before."""
    return solution_text(steps)[len(solution_text(steps[:-1])) :]
