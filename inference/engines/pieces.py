"""The rule for where a step ends, for engines that decode up to a separator: empty and degenerate text is not a step."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from inference.step import Step, Stop, is_degenerate

_FURTHER: Final = 3
"""Times that decoding goes on behind a degenerate piece."""


class Piece(NamedTuple):
    """What was decoded up to a separator, the end of the answer or a token limit.

    Attributes:
        text: without the separator.
        token_ids: all that were decoded; none where the engine gives no ids.
        tokens: how many were decoded.
    """

    text: str
    token_ids: tuple[int, ...]
    stop: Stop
    tokens: int


Decode = Callable[[Sequence[Piece], int, int], Awaitable[Piece]]
"""Decodes behind a prefix and some pieces, at most so many tokens, with a seed."""


async def decode_step(decode: Decode, *, limit: int, seed: int, vocabulary: str) -> Step:
    """The step behind a prefix.

    Text without a letter or a digit before a separator is no step: decoding goes on behind it, three times at most, and its
    tokens count as the step's and against its limit. What is degenerate even then ends the step, and with it the answer.
    """
    pieces: list[Piece] = []
    while True:
        spent = sum(piece.tokens for piece in pieces)
        piece = await decode(pieces, limit - spent, seed + len(pieces))
        pieces.append(piece)
        stop = piece.stop
        if stop is Stop.SEPARATOR and is_degenerate(piece.text):
            if spent + piece.tokens < limit and len(pieces) <= _FURTHER:
                continue
            stop = Stop.DEGENERATE if len(pieces) > _FURTHER else Stop.LENGTH
        ids = tuple(token for one in pieces for token in one.token_ids)
        return Step(piece.text, ids, vocabulary, stop, counted=0 if ids else spent + piece.tokens)
