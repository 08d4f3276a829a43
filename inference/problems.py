"""Problems to solve: JSONL with id, problem and, where it is known, the answer."""

import hashlib
from collections.abc import Sequence

from pydantic import Field

from kde.records import Record


class Problem(Record):
    """One problem.

    Attributes:
        answer: what the boxed answer must be; None where nobody knows, so that nothing is graded.
    """

    problem: str = Field(min_length=1)
    answer: str | None = None


def fingerprint(problems: Sequence[Problem]) -> str:
    """Hex SHA-256 of a list of problems, in order: tells whether two runs solve the same ones."""
    digest = hashlib.sha256()
    for problem in problems:
        digest.update(problem.model_dump_json().encode() + b"\n")
    return digest.hexdigest()
