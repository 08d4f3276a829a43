"""Errors that a person can act on.

TrimError
├── InputError      a file, option or field holds something that is not accepted
└── ArtefactError   a saved artefact is truncated, edited, of another kind or of a newer schema

The command line prints their message on one line and exits with status 2.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class TrimError(Exception):
    """Base of every error that this project raises for its user."""


class InputError(TrimError):
    """A value from outside is not acceptable.

    Args:
        what: the file, option or object that holds the value.
        field: the field inside it.
        value: what was found there.
        remedy: what would be accepted, or what to do.
    """

    def __init__(self, what: str | Path, *, field: str, value: object, remedy: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= 120 else shown[:117] + "..."
        super().__init__(" ".join(f"{what}: {field} is {shown}; {remedy}".split()))
        self.what, self.field, self.value, self.remedy = str(what), field, value, remedy

    @classmethod
    def of_validation(cls, what: str | Path, error: "ValidationError", *, prefix: str = "") -> "InputError":
        """The first complaint of a pydantic validation, in our words; `prefix` says where the object stands."""
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return cls(
            what, field=", ".join(filter(None, (prefix, place))) or "content", value=first["input"], remedy=first["msg"]
        )


class ArtefactError(TrimError):
    """A saved artefact cannot be trusted or read."""

    def __init__(self, path: str | Path, reason: str, *, remedy: str) -> None:
        super().__init__(" ".join(f"{path}: {reason}; {remedy}".split()))
        self.path, self.reason, self.remedy = Path(path), reason, remedy
