"""The gateway as the real `openai` client sees it."""

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from inference.lab.shipped import lab_problems
from tests.inference.gateway.conftest import Gateway

pytestmark = [pytest.mark.models, pytest.mark.asyncio(loop_scope="session")]
PROBLEMS = [problem.problem for problem in lab_problems(6, seed=4)]
POMDP = "trim/pomdp@0.002"


def asking(problem: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": problem}]


def trim(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.trim
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        gateway() as address,
        openai.AsyncOpenAI(base_url=f"http://{address}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


async def test_an_answer_is_routed_and_says_how(client: openai.AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model="trim/thr@0.5", messages=asking(PROBLEMS[0]), seed=3
    )
    answer = raw.parse()
    (choice,) = answer.choices
    route = trim(answer)
    assert raw.headers["x-trim-trace-id"] == route["trace_id"] == answer.id.removeprefix("chatcmpl-")
    assert (answer.model, route["policy"], route["seed"]) == ("trim/thr@0.5", "thr:0.5", 3)
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "stop"
    assert route["ending"] == "answer"
    assert choice.message.content == "\n\n".join(step["text"] for step in route["steps"])
    for number, step in enumerate(route["steps"], start=1):
        assert len(step["scores"]) == number
        assert (step["author"] == "strong") == (step["action"] == "regenerate") == (step["scores"][-1] < 0.5)


async def test_usage_counts_tokens_by_who_decoded_them(client: openai.AsyncOpenAI) -> None:
    for problem in PROBLEMS:
        answer = await client.chat.completions.create(model="trim/thr@0.9", messages=asking(problem), seed=0)
        assert answer.usage is not None
        details: Any = answer.usage.completion_tokens_details
        steps = trim(answer)["steps"]
        strong = sum(step["tokens"] for step in steps if step["author"] == "strong")
        assert details.strong_tokens == strong
        assert details.discarded_tokens == sum(step["discarded_tokens"] for step in steps)
        assert answer.usage.completion_tokens == sum(step["tokens"] for step in steps)
        assert details.weak_tokens + strong == answer.usage.completion_tokens + details.discarded_tokens
    assert strong


async def test_a_pomdp_answer_carries_beliefs_break_even_and_its_table(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model=POMDP, messages=asking(PROBLEMS[1]), seed=1)
    for step in trim(answer)["steps"]:
        assert sum(step["belief"]) == pytest.approx(1)
        assert step["break_even_tokens"] is not None
        assert len(step["table_hash"]) == 64
        assert step["fallback"] is False


@pytest.mark.parametrize("model", ["trim/weak", "trim/strong"])
async def test_a_model_alone_is_a_name_too(client: openai.AsyncOpenAI, model: str) -> None:
    answer = await client.chat.completions.create(model=model, messages=asking(PROBLEMS[2]), seed=1)
    steps = trim(answer)["steps"]
    assert {step["author"] for step in steps} == {model.removeprefix("trim/")}
    assert all(step["action"] is None for step in steps)


async def test_the_same_seed_gives_the_same_answer_and_a_stream_the_same_text(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model=POMDP, messages=asking(PROBLEMS[3]), seed=9)
    stream = await client.chat.completions.create(
        model=POMDP, messages=asking(PROBLEMS[3]), seed=9, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    *told, counted = chunks
    assert "".join(chunk.choices[0].delta.content or "" for chunk in told) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in told] == [None] * (len(told) - 1) + ["stop"]
    assert told[0].choices[0].delta.role == "assistant"
    routes = [trim(chunk) for chunk in told]
    timings = {"propose_seconds", "score_seconds", "decide_seconds", "regenerate_seconds"}
    stepwise = [{k: v for k, v in route["step"].items() if k not in timings} for route in routes[1:-1]]
    assert stepwise == [{k: v for k, v in step.items() if k not in timings} for step in trim(whole)["steps"]]
    assert routes[-1]["ending"] == "answer"
    assert counted.usage == whole.usage
    assert {chunk.id for chunk in chunks} == {f"chatcmpl-{routes[0]['trace_id']}"}


async def test_without_a_seed_each_answer_has_its_own_and_can_be_repeated(client: openai.AsyncOpenAI) -> None:
    first, second = [
        await client.chat.completions.create(model="trim/thr@0.5", messages=asking(PROBLEMS[4])) for _ in range(2)
    ]
    assert trim(first)["seed"] != trim(second)["seed"]
    again = await client.chat.completions.create(
        model="trim/thr@0.5", messages=asking(PROBLEMS[4]), seed=trim(first)["seed"]
    )
    assert again.choices[0].message.content == first.choices[0].message.content


async def test_an_answer_never_exceeds_its_token_limit(client: openai.AsyncOpenAI) -> None:
    def asked(limit: int) -> Any:
        return client.chat.completions.create(
            model="trim/thr@0.5", messages=asking(PROBLEMS[5]), seed=2, max_completion_tokens=limit
        )

    free = await client.chat.completions.create(model="trim/thr@0.5", messages=asking(PROBLEMS[5]), seed=2)
    assert free.usage is not None
    whole: ChatCompletion = await asked(free.usage.completion_tokens)
    assert whole.choices == free.choices
    cut: ChatCompletion = await asked(free.usage.completion_tokens - 1)
    assert cut.usage is not None
    assert free.choices[0].message.content is not None
    assert cut.choices[0].message.content is not None
    assert (cut.choices[0].finish_reason, trim(cut)["ending"]) == ("length", "token_limit")
    assert trim(cut)["steps"][-1]["text"] == trim(free)["steps"][-2]["text"]
    assert free.choices[0].message.content.startswith(cut.choices[0].message.content)
    details: Any = cut.usage.completion_tokens_details
    decoded = details.weak_tokens + details.strong_tokens
    assert decoded == cut.usage.completion_tokens + details.discarded_tokens
    nothing: ChatCompletion = await asked(1)
    assert nothing.choices[0].message.content == ""


async def test_models_on_offer_are_listed_and_found(client: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert {"trim/weak", "trim/strong", "trim/pomdp@0.0005", POMDP, "trim/pomdp@0.006"} <= set(names)
    assert (await client.models.retrieve(POMDP)).id == POMDP
    with pytest.raises(openai.NotFoundError, match="pomdp@0.5"):
        await client.models.retrieve("trim/pomdp@0.5")


@pytest.mark.parametrize(
    "model",
    ["gpt-4o", "trim/pomdp@0.123", "trim/pomdp@x", "trim/thr@1.5", "trim/thr@nan", "weak", "trim/", "trim/pomdp:0.002"],
)
async def test_a_model_that_is_not_there_is_not_found(client: openai.AsyncOpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model=model, messages=asking("1+1"), stream=True)
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"n": 2}, "n"),
        ({"stop": ["\n"]}, "stop"),
        ({"temperature": 0.1}, "temperature"),
        ({"top_p": 0.5}, "top_p"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"extra_body": {"min_tokens": 3}}, "min_tokens"),
        ({"seed": -1}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 3, "max_completion_tokens": 3}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
            "messages[0].content[0].type",
        ),
    ],
)
async def test_what_is_not_supported_is_refused_by_name(
    client: openai.AsyncOpenAI, changes: dict[str, Any], param: str
) -> None:
    asked: dict[str, Any] = {"model": "trim/weak", "messages": asking("1+1"), **changes}
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**asked)
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")


async def test_what_asks_for_nothing_is_accepted(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="trim/weak",
        messages=asking(PROBLEMS[0]),
        n=1,
        stop=None,
        temperature=0.7,
        top_p=1,
        presence_penalty=0,
        logprobs=False,
        response_format={"type": "text"},
    )
    assert answer.choices[0].message.content
