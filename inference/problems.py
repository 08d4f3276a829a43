"""Problems to solve: JSONL with id, problem and, where it is known, the answer."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kde.errors import InputError


class Problem(BaseModel):
    """One problem.

    Attributes:
        answer: what the boxed answer must be; None where nobody knows, so that nothing is graded.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    id: str = Field(min_length=1)
    problem: str = Field(min_length=1)
    answer: str | None = None


def read_problems(path: Path) -> list[Problem]:
    """Read problems from JSONL; other fields are left alone.

    Raises:
        InputError: the file cannot be read or is empty, a line is not a problem, or an id is repeated.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, field="file", value=str(error), remedy="name a readable JSONL file") from error
    problems = []
    for number, line in enumerate(lines, start=1):
        try:
            problems.append(Problem.model_validate_json(line))
        except ValidationError as error:
            raise InputError.of_validation(path, error, prefix=f"line {number}") from error
    if not problems:
        raise InputError(path, field="file", value="", remedy="it has no problems")
    repeated = len(problems) - len({problem.id for problem in problems})
    if repeated:
        raise InputError(path, field="id", value=f"{repeated} repeated", remedy="ids are unique")
    return problems


def fingerprint(problems: Sequence[Problem]) -> str:
    """Hex SHA-256 of a list of problems, in order: tells whether two runs solve the same ones."""
    digest = hashlib.sha256()
    for problem in problems:
        digest.update(problem.model_dump_json().encode() + b"\n")
    return digest.hexdigest()
