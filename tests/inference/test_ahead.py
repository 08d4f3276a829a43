"""Decoding ahead gives the pieces that decoding one by one gives."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.engines.ahead import Ahead
from inference.engines.pieces import Piece
from inference.engines.settings import EngineSettings
from inference.step import SEPARATOR, Stop

VOCABULARY = ("", "a", ".", "\n", "\n\n", "b\n", "\nc", "\n\n\n", " d")
END = 0


class Letters:
    """A tokenizer whose ids are places in the vocabulary."""

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return "".join(VOCABULARY[token] for token in ids)


def one_by_one(answer: Sequence[int], limit: int) -> list[Piece]:
    """As a server with a stop string decodes: token by token, up to the separator, the end mark or the limit."""
    pieces, written = [], list(answer)
    while written:
        text, count, stop = "", 0, None
        while stop is None and count < len(written):
            token = written[count]
            text, count = text + VOCABULARY[token], count + 1
            if token == END:
                stop = Stop.END
            elif SEPARATOR in text:
                stop = Stop.SEPARATOR
            elif count == limit:
                stop = Stop.LENGTH
        if stop is None:
            break
        pieces.append(Piece(text.split(SEPARATOR, maxsplit=1)[0], tuple(written[:count]), stop, count))
        written = written[count:]
    return pieces


@given(
    st.lists(st.integers(1, len(VOCABULARY) - 1), max_size=40),
    st.integers(1, 12),
    st.integers(1, 30),
    st.integers(0, 60),
)
def test_what_waits_is_what_would_have_been_decoded(body: list[int], limit: int, tokens: int, room: int) -> None:
    answer = [*body, END]
    ahead, prefix, found = Ahead(Letters(), tokens), [7, 7], []
    calls = 0
    while len(prefix) - 2 < len(answer):
        piece = ahead.take(prefix, limit)
        if piece is None:
            calls += 1
            rest = answer[len(prefix) - 2 :]
            decoded = rest[: ahead.most(limit, limit + room)]
            piece = ahead.keep(prefix, decoded, limit, ended=len(decoded) == len(rest))
        found.append(piece)
        prefix += piece.token_ids
    assert found == one_by_one(answer, limit)
    assert calls <= len(found)


def test_another_prefix_or_a_smaller_limit_finds_nothing() -> None:
    ahead = Ahead(Letters(), 50)
    first = ahead.keep([1], [1, 4, 1, 1, 1, END], 10, ended=True)
    assert first == Piece("a", (1, 4), Stop.SEPARATOR, 2)
    assert ahead.take([1, 1], 10) is None
    assert ahead.take([1, 1, 4], 3) is None
    assert ahead.take([1, 1, 4], 10) is None  # it was looked at, and did not fit


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "greedy"),
        ({"sampling": {"temperature": 0}, "backend": "transformers"}, "vLLM alone"),
        ({"sampling": {"temperature": 0}, "api": "chat"}, "vLLM alone"),
        ({"sampling": {"temperature": 0}, "model": None}, "model's directory"),
    ],
)
def test_where_it_cannot_be_exact_it_is_refused(changed: dict[str, object], told: str) -> None:
    given_settings = {"backend": "server", "urls": ["http://127.0.0.1:1"], "model": "somewhere", "ahead_tokens": 100}
    if changed.get("backend"):
        given_settings["urls"] = []
    with pytest.raises(ValueError, match=told):
        EngineSettings.model_validate(given_settings | changed)
