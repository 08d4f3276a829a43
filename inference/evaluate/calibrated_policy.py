"""A calibrated policy as a file: what was asked for, what answers it, and what that is worth on problems that had no say in the choice."""

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from kde.artefact import replace_file
from kde.errors import ArtefactError, InputError
from planner.calibrate import Target

AT = "@"
"""Begins the name of a file where a policy id is wanted."""


class Verdict(StrEnum):
    """Whether held-out problems meet the target."""

    MET = "met"
    """The whole interval does."""
    OPEN = "within the interval"
    """The interval has values on both sides of it."""
    MISSED = "missed"
    """None of the interval does."""


class Span(BaseModel):
    """A number with its 95 % bootstrap interval; an end beyond what was swept is null."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float
    low: float | None
    high: float | None


class Measured(BaseModel):
    """A policy on some problems.

    Attributes:
        problems_of: name of the study's directory that they are from.
        problems: how many.
        accuracy, strong_tokens, c, pgr: DESIGN section 7.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    problems_of: str
    problems: int
    accuracy: Span
    strong_tokens: Span
    c: Span
    pgr: Span


class CalibratedPolicy(BaseModel):
    """The content of the file.

    Attributes:
        policy: the id that routes.
        target, wanted: what it was to meet.
        family, parameter, setting: whose setting was looked for; the interval is of the choice, over resampled problems.
        between: the two policies between which the setting lies; None where it was run itself. What is measured there is interpolated.
        table_hashes: tables and learned policies that decided: the policy is calibrated with these only.
        fitted: on the problems that it was chosen on.
        held_out: on the others.
        verdict: whether those meet the target.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    policy: str
    target: Target
    wanted: float
    family: str
    parameter: str
    setting: Span
    between: tuple[str, str] | None
    table_hashes: tuple[str, ...]
    fitted: Measured
    held_out: Measured
    verdict: Verdict

    def save(self, path: Path) -> None:
        """Write the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, (self.model_dump_json(indent=2) + "\n").encode())

    def check_table(self, table_hash: str) -> None:
        """Accept the table that is to decide.

        Raises:
            InputError: it is not one that the policy was calibrated with.
        """
        if table_hash not in (self.table_hashes or ("",)):
            remedy = (
                f"{self.policy} was calibrated with {' and '.join(self.table_hashes)}: name its directory by --tables"
            )
            raise InputError("route", field="table", value=table_hash, remedy=remedy)

    @classmethod
    def load(cls, path: Path) -> "CalibratedPolicy":
        """Read a file.

        Raises:
            ArtefactError: it is not one of ours.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            told = " ".join(str(error).split())[:160]
            raise ArtefactError(path, f"cannot be read ({told})", remedy="name what `trim calibrate` wrote") from error


def calibrated_at(policy: str) -> CalibratedPolicy | None:
    """The calibrated policy in the file behind an @; None where `policy` is an id itself.

    Raises:
        ArtefactError: the file is not one of ours.
    """
    return CalibratedPolicy.load(Path(policy.removeprefix(AT))) if policy.startswith(AT) else None
