"""What a server may do wrong, from a server that does it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from inference.conversation import asked
from inference.engines.base import EngineError
from inference.engines.settings import EngineSettings, Sampling, ScorerSettings
from inference.engines.vllm import VllmEngine
from inference.scorers.vllm import VllmScorer
from inference.step import Step, Stop

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
    asked: list[tuple[str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length", 0))
        self.server.asked.append((self.path, json.loads(self.rfile.read(length) or b"null")))
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
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = []
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
    engine = VllmEngine(_engine(_url(server), temperature=0.3, max_step_tokens=9))
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
    engine = VllmEngine(_engine(_url(server)))
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
    engine = VllmEngine(_engine(_url(server)))
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
    scorer = VllmScorer(ScorerSettings(backend="server", urls=(_url(server),)))
    with pytest.raises(EngineError, match=complaint):
        await scorer.score(QUESTION, ["a"])
    server.answers["/pooling"] = [(200, json.dumps(GOOD["/pooling"]).encode())]
    assert await scorer.score(QUESTION, ["a"]) == ((0.75,), 1)
    await scorer.close()


async def test_no_server_is_one_clear_error() -> None:
    engine = VllmEngine(_engine("http://127.0.0.1:1"))
    with pytest.raises(EngineError, match="is the server up"):
        await engine.propose(QUESTION, (), seed=0)
    await engine.close()


async def test_a_caller_who_leaves_does_not_take_the_others_along(server: Server) -> None:
    engine = VllmEngine(_engine(_url(server)))
    asked = [asyncio.create_task(engine.propose(QUESTION, (), seed=seed)) for seed in range(3)]
    await asyncio.sleep(0)
    asked[0].cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(isinstance(answer, Step) and answer.text == "A" for answer in answers[1:])
    await engine.close()


def test_a_url_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(EngineError, match="HOST:PORT"):
        VllmEngine(_engine("http://x:notaport"))
