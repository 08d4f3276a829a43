"""AutoMix's verifier (Aggarwal et al. 2023, section 3.1): M_w says of its own answer k times, behind worked examples, whether it is right.

The score of an answer is the share of the samples that vouch for it.
"""

import asyncio
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from inference.conversation import Conversation, Message
from inference.engines.base import ContextFullError, Engine
from inference.solutions import Solution
from inference.step import SEPARATOR
from kde.records import Entry

_ASK: Final = (
    "Question:\n{problem}\n\nProposed answer:\n{answer}\n\nIs the proposed answer correct? Check it in one short paragraph and end with "
    '"The answer is correct." or "The answer is incorrect."'
)
_EXAMPLES: Final = (
    (
        "A baker fills 3 trays with 12 rolls each and sells 20 rolls. How many are left?",
        "3 * 12 = 36 rolls are baked.\n\n36 - 20 = 16. The answer is 16.",
        "Three trays of 12 rolls are 36 rolls, and 36 - 20 = 16, as proposed. The answer is correct.",
    ),
    (
        "A train goes 60 km in 40 minutes. How far does it go in 2 hours?",
        "In one hour it goes 60 km.\n\n2 * 60 = 120. The answer is 120.",
        "The 60 km are for 40 minutes, not for an hour: 2 hours are 3 times that, 180 km. The answer is incorrect.",
    ),
    (
        "What is 15 % of 80, plus 7?",
        "15 % of 80 is 12.\n\n12 + 7 = 18. The answer is 18.",
        "15 % of 80 is 12, but 12 + 7 = 19 and not 18. The answer is incorrect.",
    ),
)
_VERDICT: Final = re.compile(r"\b(not correct|incorrect|correct)\b", re.IGNORECASE)


class Verification(Entry):
    """How often M_w vouched for its answer.

    Attributes:
        problem_id: which problem.
        text_sha256: of the problem and the answer that were read.
        samples: k.
        vouched: samples that call the answer correct.
        unread: samples that say neither; they vouch for nothing. All of them where the answer does not fit the model's context.
    """

    problem_id: str
    text_sha256: str
    samples: int = Field(ge=1)
    vouched: int = Field(ge=0)
    unread: int = Field(ge=0)

    @property
    def key(self) -> str:
        """The problem."""
        return self.problem_id

    @property
    def score(self) -> float:
        """Share of the samples that vouch for the answer."""
        return self.vouched / self.samples


@dataclass(frozen=True, slots=True)
class SelfVerifier:
    """Asks M_w about its own answers.

    Attributes:
        engine: M_w; its sampling must not be greedy, or every sample says the same.
        samples: k.
        seed: of the sampling.
    """

    engine: Engine
    samples: int
    seed: int

    async def verify(self, solution: Solution, *, text_sha256: str) -> Verification:
        """Ask about one answer.

        Raises:
            EngineError: the model does not answer.
        """
        question = verification(solution.problem, SEPARATOR.join(solution.steps))
        try:
            verdicts = await asyncio.gather(*(self._sample(question, solution, k) for k in range(self.samples)))
        except ContextFullError:
            verdicts = [None] * self.samples
        return Verification(
            problem_id=solution.problem_id,
            text_sha256=text_sha256,
            samples=self.samples,
            vouched=verdicts.count(True),
            unread=verdicts.count(None),
        )

    async def _sample(self, question: Conversation, solution: Solution, number: int) -> bool | None:
        key = f"{self.seed}/{solution.problem_id}/{number}"
        seed = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) >> 1
        return verdict((await self.engine.propose(question, (), seed=seed)).text)


def verification(problem: str, answer: str) -> Conversation:
    """The conversation that asks whether an answer is right, behind worked examples."""
    turns = [
        turn
        for shown, proposed, checked in _EXAMPLES
        for turn in (
            Message("user", _ASK.format(problem=shown, answer=proposed)),
            Message("assistant", checked),
        )
    ]
    return (*turns, Message("user", _ASK.format(problem=problem, answer=answer)))


def verdict(text: str) -> bool | None:
    """Whether a sample calls the answer correct, by the last word that it has on it; None where it has none."""
    found = _VERDICT.findall(text)
    return found[-1].lower() == "correct" if found else None
