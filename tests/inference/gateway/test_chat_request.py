"""Requests as clients may write them, well and badly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.conversation import Message
from inference.gateway.chat_request import ChatRequest, read_chat_request
from inference.gateway.refusals import InvalidRequestError

LEAST: dict[str, Any] = {"model": "trim/weak", "messages": [{"role": "user", "content": "1+1"}]}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from([*ChatRequest.model_fields, "n", "stop", "tools", "logit_bias", "user", "x"])


def read(**changes: Any) -> ChatRequest:
    return read_chat_request(json.dumps(LEAST | changes).encode())


def read_or_refused(**changes: Any) -> ChatRequest | InvalidRequestError:
    try:
        return read(**changes)
    except InvalidRequestError as error:
        return error


@given(st.binary(max_size=40))
def test_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        read_chat_request(body)


@given(st.dictionaries(names, anything, max_size=4))
def test_documents_are_read_or_refused_by_name(changes: dict[str, Any]) -> None:
    request = read_or_refused(**changes)
    if isinstance(request, InvalidRequestError):
        assert request.param is not None
        assert request.param.split("[")[0].split(".")[0] in changes
        return
    for name, value in changes.items():
        if value is not None and name in ChatRequest.model_fields and name not in {"messages", "stream_options"}:
            assert getattr(request, name) == value


@given(st.lists(st.dictionaries(st.sampled_from(["role", "content", "name", "x"]), anything | st.just("user"))))
def test_messages_are_read_or_refused(messages: list[Any]) -> None:
    request = read_or_refused(messages=messages)
    if isinstance(request, InvalidRequestError):
        assert request.param is not None
        assert request.param.startswith("messages")
    else:
        assert len(request.conversation) == len(messages)


def test_conversations_pass_through() -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c", "refusal": None, "tool_calls": None},
        {"role": "user", "content": "d", "name": None},
    ]
    assert read(messages=messages).conversation == (
        Message("system", "Be brief."),
        Message("user", "a\nb"),
        Message("assistant", "c"),
        Message("user", "d"),
    )


@pytest.mark.parametrize("body", [b"[" * 100_000, b"1" * 5000, b'"x"', b"null", b"", b'{"model": "\\ud800"}'])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        read_chat_request(body)


@pytest.mark.parametrize("content", ["\ud800", [{"type": "text", "text": "1+1"}, {"type": "text", "text": "\udc00"}]])
def test_half_a_surrogate_pair_is_no_text(content: object) -> None:
    refused = read_or_refused(messages=[{"role": "user", "content": content}])
    assert isinstance(refused, InvalidRequestError)
    assert (refused.status, refused.param) == (400, "messages[0].content")
    assert read(messages=[{"role": "user", "content": "\U0001f600"}]).conversation[0].content == "\U0001f600"


def test_true_is_not_one() -> None:
    for name, value in (("n", True), ("stream", 1), ("seed", True), ("presence_penalty", False)):
        with pytest.raises(InvalidRequestError) as caught:
            read(**{name: value})
        assert caught.value.param == name
