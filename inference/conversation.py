"""What a model is asked: the messages before the answer that it writes step by step."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


Conversation = tuple[Message, ...]
"""What is asked; ends with a user message."""


def asked(problem: str) -> Conversation:
    """The conversation that asks one problem."""
    return (Message("user", problem),)
