"""What a server may do wrong, from a server that does it."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from inference.conversation import asked
from inference.engines.base import ContextFullError, EngineError
from inference.engines.bounded import BoundedEngine, Turns
from inference.engines.chat import ChatEngine
from inference.engines.server import ServerEngine
from inference.engines.settings import ChatSettings, EngineSettings, PrmSettings, Sampling
from inference.scorers.server import ServerScorer
from inference.step import Step, Stop
from kde.errors import InputError

QUESTION = asked("p")
GOOD: dict[str, Any] = {
    "/v1/models": {"data": [{"id": "m"}]},
    "/tokenize": {"tokens": [1, 2, 3]},
    "/v1/completions": {
        "choices": [{"text": "A\n\n", "token_ids": [7, 8], "finish_reason": "stop", "stop_reason": "\n\n"}]
    },
    "/pooling": {"data": [{"data": [[0.25, 0.75]]}]},
}


class Server(ThreadingHTTPServer):
    """Answers from a table; an answer is a status and bytes, or a list of them to be given in turn."""

    answers: dict[str, list[tuple[int, bytes]]]
    delays: dict[str, float]
    asked: list[tuple[str, Any]]
    keys: set[str]
    at_once = most_at_once = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length", 0))
        self.server.asked.append((self.path, json.loads(self.rfile.read(length) or b"null")))
        self.server.keys.add(self.headers.get("authorization", ""))
        self.server.at_once += 1
        self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        time.sleep(self.server.delays.get(self.path, 0))
        self.server.at_once -= 1
        queue = self.server.answers[self.path]
        status, body = queue.pop(0) if len(queue) > 1 else queue[0]
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  the base class calls it so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name in the base class
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    yield from _serving()


def _serving() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked, server.keys, server.delays = [], set(), {}
        server.answers = {path: [(200, json.dumps(answer).encode())] for path, answer in GOOD.items()}
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def _engine(url: str, **sampling: Any) -> EngineSettings:
    return EngineSettings(backend="server", urls=(url,), sampling=Sampling(**sampling))


async def test_a_proposal_sends_ids_and_reads_ids(server: Server) -> None:
    engine = ServerEngine(_engine(_url(server), temperature=0.3, max_step_tokens=9))
    step = await engine.propose(QUESTION, (), seed=5)
    assert (step.text, step.token_ids, step.stop) == ("A", (7, 8), Stop.SEPARATOR)
    second = await engine.propose(QUESTION, (step,), seed=6)
    assert second.stop is Stop.SEPARATOR
    bodies = [body for path, body in server.asked if path == "/v1/completions"]
    assert [body["prompt"] for body in bodies] == [[1, 2, 3], [1, 2, 3, 7, 8]]
    assert (bodies[0]["seed"], bodies[0]["temperature"], bodies[0]["max_tokens"]) == (5, 0.3, 9)
    await engine.close()


async def test_passing_errors_are_asked_again(server: Server) -> None:
    good = server.answers["/v1/completions"][0]
    server.answers["/v1/completions"] = [(500, b"busy"), (503, b""), good]
    engine = ServerEngine(_engine(_url(server)))
    assert (await engine.propose(QUESTION, (), seed=0)).text == "A"
    await engine.close()


@pytest.mark.parametrize(
    ("path", "answer", "complaint"),
    [
        ("/v1/completions", (400, b'{"error": "too long"}'), "status 400.*too long"),
        ("/v1/completions", (500, b"down"), "status 500"),
        ("/v1/completions", (200, b'{"choices": [{"te'), "Invalid JSON"),
        ("/v1/completions", (200, b"[]"), "the answer"),
        ("/v1/completions", (200, b"{}"), "choices"),
        ("/v1/completions", (200, b'{"choices": []}'), "choices"),
        ("/v1/completions", (200, b'{"choices": [{"text": "x", "finish_reason": "stop"}]}'), "token_ids"),
        (
            "/v1/completions",
            (200, b'{"choices": [{"text": "x", "token_ids": [], "finish_reason": "abort"}]}'),
            "token_ids",
        ),
        (
            "/v1/completions",
            (200, b'{"choices": [{"text": "x", "token_ids": [1], "finish_reason": "abort"}]}'),
            "finish_reason",
        ),
        ("/v1/models", (404, b""), "status 404"),
        ("/v1/models", (200, b"{}"), "data"),
        ("/v1/models", (200, b'{"data": []}'), "no model"),
        ("/tokenize", (200, b'{"tokens": null}'), "tokens"),
    ],
)
async def test_wrong_answers_are_one_clear_error(
    server: Server, path: str, answer: tuple[int, bytes], complaint: str
) -> None:
    server.answers[path] = [answer]
    engine = ServerEngine(_engine(_url(server)))
    with pytest.raises(EngineError, match=complaint):
        await engine.propose(QUESTION, (), seed=0)
    await engine.close()


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b'{"data": [{"data": []}]}', "0 scores for 1 steps"),
        (b'{"data": []}', "data"),
        (b'{"data": [{"data": [[0.5]]}]}', "data.0.data.0"),
        (b'{"data": [{"data": [[0.5, 1.5]]}]}', "data.0.data.0.1"),
    ],
)
async def test_missing_scores_are_never_invented(server: Server, answer: bytes, complaint: str) -> None:
    server.answers["/pooling"] = [(200, answer)]
    scorer = ServerScorer(PrmSettings(backend="server", urls=(_url(server),)))
    with pytest.raises(EngineError, match=complaint):
        await scorer.score(QUESTION, ["a"])
    server.answers["/pooling"] = [(200, json.dumps(GOOD["/pooling"]).encode())]
    assert await scorer.score(QUESTION, ["a"]) == ((0.75,), 1)
    await scorer.close()


async def test_no_server_is_one_clear_error() -> None:
    engine = ServerEngine(_engine("http://127.0.0.1:1"))
    with pytest.raises(EngineError, match="is the server up"):
        await engine.propose(QUESTION, (), seed=0)
    await engine.close()


async def test_a_caller_who_leaves_does_not_take_the_others_along(server: Server) -> None:
    engine = ServerEngine(_engine(_url(server)))
    asked = [asyncio.create_task(engine.propose(QUESTION, (), seed=seed)) for seed in range(3)]
    await asyncio.sleep(0)
    asked[0].cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(isinstance(answer, Step) and answer.text == "A" for answer in answers[1:])
    await engine.close()


def test_a_url_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(InputError, match="HOST:PORT"):
        ServerEngine(_engine("http://x:notaport"))


async def test_a_request_that_failed_in_passing_goes_to_another_replica(server: Server) -> None:
    engine = ServerEngine(EngineSettings(backend="server", urls=("http://127.0.0.1:1", _url(server))))
    steps = await asyncio.gather(*(engine.propose(QUESTION, (), seed=seed) for seed in range(20)))
    assert {step.text for step in steps} == {"A"}
    await engine.close()


@pytest.fixture
def other() -> Iterator[Server]:
    yield from _serving()


async def test_replicas_share_the_calls_and_a_slow_one_gets_fewer(server: Server, other: Server) -> None:
    server.delays["/v1/completions"] = 0.2
    engine = ServerEngine(EngineSettings(backend="server", urls=(_url(server), _url(other))))
    await engine.propose(QUESTION, (), seed=0)

    async def one_after_another() -> None:
        for seed in range(10):
            await engine.propose(QUESTION, (), seed=seed)

    await asyncio.gather(*(one_after_another() for _ in range(4)))
    slow, fast = (sum(path == "/v1/completions" for path, _ in one.asked) for one in (server, other))
    assert slow + fast == 41
    assert 0 < slow < fast
    await engine.close()


async def test_a_replica_that_dies_loses_nothing_and_repeats_nothing_to_the_caller(
    server: Server, other: Server
) -> None:
    other.answers["/v1/completions"] = [(500, b"EngineCore died")]
    engine = ServerEngine(EngineSettings(backend="server", urls=(_url(server), _url(other))))
    steps = await asyncio.gather(*(engine.propose(QUESTION, (), seed=seed) for seed in range(16)))
    assert [step.token_ids for step in steps] == [(7, 8)] * 16
    failed = sum(path == "/v1/completions" for path, _ in other.asked)
    assert 0 < failed <= 16
    await engine.propose(QUESTION, (), seed=0)
    assert sum(path == "/v1/completions" for path, _ in other.asked) == failed  # it is let alone for a while
    await engine.close()


async def test_no_answer_ends_at_the_deadline(server: Server) -> None:
    server.delays["/v1/completions"] = 6.0
    settings = EngineSettings(backend="server", urls=(_url(server),), deadline_seconds=0.4)
    engine = BoundedEngine(ServerEngine(settings), Turns("weak", in_flight=4, deadline_seconds=0.4))
    started = time.monotonic()
    with pytest.raises(EngineError, match="weak: no answer within the deadline of 0.4 s"):
        await engine.propose(QUESTION, (), seed=0)
    assert time.monotonic() - started < 5
    await engine.close()


async def test_calls_wait_in_line(server: Server) -> None:
    server.delays["/v1/completions"] = 0.02
    engine = BoundedEngine(ServerEngine(_engine(_url(server))), Turns("weak", in_flight=2, deadline_seconds=60))
    await engine.propose(QUESTION, (), seed=99)
    server.asked.clear()
    done: list[int] = []

    async def ask(seed: int) -> None:
        await engine.propose(QUESTION, (), seed=seed)
        done.append(seed)

    await asyncio.gather(*(ask(seed) for seed in range(12)))
    assert server.most_at_once <= 2
    assert all(abs(place - seed) <= 1 for place, seed in enumerate(done))
    await engine.close()


async def test_the_key_is_sent_and_never_shown(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = EngineSettings(backend="server", urls=(_url(server) + "/v1/",), api_key_env="TRIM_TEST_KEY")
    with pytest.raises(InputError, match="api_key_env is 'TRIM_TEST_KEY'; set this environment variable"):
        ServerEngine(settings)
    monkeypatch.setenv("TRIM_TEST_KEY", "s3cret")
    server.answers["/v1/completions"] = [(401, b"wrong key s3cret")]
    engine = ServerEngine(settings)
    with pytest.raises(EngineError, match=r"status 401: wrong key \*\*\*"):
        await engine.propose(QUESTION, (), seed=0)
    assert server.keys == {"Bearer s3cret"}
    await engine.close()


async def test_a_prefill_asks_for_one_token_and_counts_apart(server: Server) -> None:
    engine = ServerEngine(_engine(_url(server)))
    step = await engine.propose(QUESTION, (), seed=0)
    await engine.prefill(QUESTION, (step,))
    body = server.asked[-1][1]
    assert (body["prompt"], body["max_tokens"]) == ([1, 2, 3, 7, 8], 1)
    assert (engine.usage.calls, engine.usage.decoded_tokens) == (1, 2)
    assert (engine.usage.prefills, engine.usage.prefilled_tokens, engine.usage.prefill_decoded_tokens) == (1, 5, 1)
    await engine.close()


async def test_a_prefix_that_fills_the_context_is_told_apart(server: Server) -> None:
    server.answers["/v1/models"] = [(200, b'{"data": [{"id": "m", "max_model_len": 5}]}')]
    engine = ServerEngine(_engine(_url(server)))
    step = await engine.propose(QUESTION, (), seed=0)
    assert server.asked[-1][1]["max_tokens"] == 2
    with pytest.raises(ContextFullError, match="5 tokens do not fit the model's context of 5"):
        await engine.propose(QUESTION, (step,), seed=0)
    await engine.close()
    server.answers["/v1/models"] = [(200, json.dumps(GOOD["/v1/models"]).encode())]
    server.answers["/v1/completions"] = [(400, b'{"error": {"message": "maximum context length is 5"}}')]
    engine = ServerEngine(_engine(_url(server)))
    with pytest.raises(ContextFullError, match="status 400"):
        await engine.propose(QUESTION, (), seed=0)
    await engine.close()


def _chat(text: str, **choice: Any) -> bytes:
    answer = {"message": {"content": text}, "finish_reason": "stop", **choice}
    return json.dumps({"choices": [answer], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}).encode()


@pytest.mark.parametrize("continuation", ["vllm", "prefix", "instruction"])
async def test_a_chat_endpoint_goes_on_with_a_partial_answer(server: Server, continuation: Any) -> None:
    server.answers["/v1/chat/completions"] = [
        (200, _chat("A", stop_reason="\n\n")),
        (200, _chat("B", stop_reason=None)),
    ]
    chat = ChatSettings(system="s", template_arguments={"enable_thinking": False})
    settings = EngineSettings(backend="server", urls=(_url(server),), api="chat", continuation=continuation, chat=chat)
    engine = ChatEngine(settings)
    first = await engine.propose(QUESTION, (), seed=1)
    assert (first.text, first.stop, first.token_ids, first.tokens) == ("A", Stop.SEPARATOR, (), 4)
    second = await engine.propose(QUESTION, (first,), seed=2)
    assert (second.text, second.stop) == ("B", Stop.END)
    one, two = [body for path, body in server.asked if path == "/v1/chat/completions"]
    asked_first = [{"role": "system", "content": "s"}, {"role": "user", "content": "p"}]
    partial: dict[str, Any] = {"role": "assistant", "content": "A\n\n"}
    assert one["messages"] == asked_first
    assert "continue_final_message" not in one
    assert one["chat_template_kwargs"] == {"enable_thinking": False}
    assert (one["seed"], one["stop"], one["max_tokens"]) == (1, ["\n\n"], 512)
    match continuation:
        case "vllm":
            assert two["messages"] == [*asked_first, partial]
            assert (two["continue_final_message"], two["add_generation_prompt"]) == (True, False)
        case "prefix":
            assert two["messages"] == [*asked_first, {**partial, "prefix": True}]
        case _:
            assert two["messages"][:-1] == [*asked_first, partial]
            assert "only its next step" in two["messages"][-1]["content"]
    await engine.prefill(QUESTION, (first,))
    assert engine.usage.prefills == (continuation == "vllm")
    await engine.close()


async def test_an_endpoint_that_does_not_say_why_it_stopped(server: Server) -> None:
    settings = EngineSettings(backend="server", urls=(_url(server),), api="chat", continuation="instruction")
    engine = ChatEngine(settings)
    for text, stop in (("A", Stop.SEPARATOR), ("", Stop.END), ("\\boxed{1}", Stop.SEPARATOR)):
        server.answers["/v1/chat/completions"] = [(200, _chat(text))]
        assert (await engine.propose(QUESTION, (), seed=0)).stop is stop
    server.answers["/v1/chat/completions"] = [
        (200, b'{"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]}')
    ]
    with pytest.raises(EngineError, match="usage"):
        await engine.propose(QUESTION, (), seed=0)
    await engine.close()


async def test_first_tokens_of_both_interfaces(server: Server) -> None:
    top = {"7": -0.5, "8": -1.5}
    choice = {"text": "7", "token_ids": [1], "finish_reason": "length", "logprobs": {"top_logprobs": [top]}}
    server.answers["/v1/completions"] = [(200, json.dumps({"choices": [choice]}).encode())]
    listed = {"content": [{"top_logprobs": [{"token": token, "logprob": value} for token, value in top.items()]}]}
    server.answers["/v1/chat/completions"] = [(200, _chat("7", logprobs=listed))]
    for engine in (ServerEngine(_engine(_url(server))), ChatEngine(_engine(_url(server)))):
        assert await engine.first_token(QUESTION) == top
        await engine.close()
