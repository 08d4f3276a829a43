"""Decoding ahead: more is asked for than one step, and what comes behind it waits for whoever asks for what follows it.

Only where decoding is greedy: there what follows a prefix depends on the prefix alone, so a step is the same whether it was decoded ahead
or when it was asked for. What nobody asks for, because another step took its place, was decoded for nothing.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from inference.engines.pieces import Piece
from inference.step import SEPARATOR, Stop

_WAITING: Final = 8192
"""Pieces that wait; the oldest give way."""


class Ahead:
    """Pieces that were decoded ahead, by the token ids that they follow.

    Args:
        tokenizer: of the model, in this process: it says where in the ids the separators are.
        tokens: asked for in one call, where the context has room for them.
    """

    def __init__(self, tokenizer: Any, tokens: int) -> None:
        self._tokenizer, self._tokens = tokenizer, tokens
        self._waiting: dict[tuple[int, ...], Piece] = {}
        self._text = lru_cache(maxsize=None)(self._text_of)

    def most(self, limit: int, room: int) -> int:
        """Tokens to ask for, where a step may have `limit` and the context has room for so many."""
        return min(room, max(limit, self._tokens))

    def take(self, prefix: Sequence[int], limit: int) -> Piece | None:
        """The piece behind a prefix, if it waits and is what a limit of so many tokens gives."""
        piece = self._waiting.pop(tuple(prefix), None)
        if piece is None or piece.tokens > limit or (piece.stop is Stop.LENGTH and piece.tokens < limit):
            return None
        return piece

    def keep(self, prefix: Sequence[int], decoded: Sequence[int], limit: int, *, ended: bool) -> Piece:
        """Cut what was decoded behind a prefix into pieces; the first is given back, the others wait.

        Args:
            prefix: token ids.
            decoded: token ids behind it, the end mark included.
            limit: most tokens of a step.
            ended: whether the model ended its answer; otherwise the last piece is unfinished, and is decoded again when it is asked for.
        """
        first, *later = self._cut(decoded, limit, ended=ended)
        behind = (*prefix, *first.token_ids)
        for piece in later:
            self._waiting[behind] = piece
            behind += piece.token_ids
        while len(self._waiting) > _WAITING:
            del self._waiting[next(iter(self._waiting))]
        return first

    def _cut(self, decoded: Sequence[int], limit: int, *, ended: bool) -> Iterator[Piece]:
        start, before = 0, ""
        for place, token in enumerate(decoded, start=1):
            written = before + self._text(token)
            if SEPARATOR in written:
                yield self._piece(decoded[start:place], Stop.SEPARATOR)
            elif place - start == limit and not (ended and place == len(decoded)):
                yield self._piece(decoded[start:place], Stop.LENGTH)
            else:
                before = written[-1:]
                continue
            start, before = place, ""
        if ended and start < len(decoded):
            yield self._piece(decoded[start:], Stop.END)

    def _piece(self, ids: Sequence[int], stop: Stop) -> Piece:
        text = str(self._tokenizer.decode(list(ids), skip_special_tokens=True))
        return Piece(text.split(SEPARATOR, maxsplit=1)[0], tuple(ids), stop, len(ids))

    def _text_of(self, token: int) -> str:
        return str(self._tokenizer.decode([token], skip_special_tokens=True))
