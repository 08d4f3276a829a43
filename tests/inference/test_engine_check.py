"""`trim engines check` against servers that are wrong in every way we know."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from inference.engine_check import Finding, check_engines, same_vocabulary
from inference.engines.settings import EnginesFile
from inference.fleet import EngineKind, engines_at
from inference.lab.shipped import lab_places

GOOD: dict[str, tuple[int, Any]] = {
    "/v1/models": (200, {"data": [{"id": "m", "root": "/models/m", "max_model_len": 4096}]}),
    "/tokenize": (200, {"tokens": [1, 2, 3]}),
    "/v1/completions": (
        200,
        {"choices": [{"text": "A\n\n", "token_ids": [7, 8], "finish_reason": "stop", "stop_reason": "\n\n"}]},
    ),
    "/pooling": (200, {"data": [{"data": [[0.25, 0.75], [0.5, 0.5]]}]}),
}
Serve = Callable[[dict[str, tuple[int, Any]]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(answers)` starts a server and gives its URL."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def started(answers: dict[str, tuple[int, Any]]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                status, document = (GOOD | answers).get(self.path, (404, {}))
                if answers.get("key") and self.headers.get("authorization") != f"Bearer {answers['key'][1]}":
                    status, document = 401, {}
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815  the base class calls it so

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name in the base class
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield started
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def engine(url: str, name: str = "weak", **more: Any) -> EnginesFile:
    kind = {"kind": "prm"} if name == "scorer" else {}
    return EnginesFile.model_validate({name: {**kind, "backend": "server", "urls": [url], **more}})


async def checked(engines: EnginesFile) -> Finding:
    (finding,) = await check_engines(engines)
    return finding


async def test_a_good_engine_and_a_good_scorer_pass(serve: Serve) -> None:
    for name in ("weak", "scorer"):
        finding = await checked(engine(serve({}), name, model="/models/m"))
        assert (finding.problem, finding.model, finding.context) == ("", "m", 4096)


@pytest.mark.parametrize(
    ("answers", "settings", "problem", "remedy"),
    [
        ({"/v1/models": (404, {})}, {}, "answers 404", "without /v1"),
        ({"/v1/models": (200, {"data": []})}, {}, "lists no model", "without /v1"),
        ({"/v1/models": (200, {"hello": 1})}, {}, "lists no model", "without /v1"),
        ({"key": (0, "secret")}, {}, "wants a key", "weak.api_key_env"),
        ({"key": (0, "secret")}, {"api_key_env": "TRIM_TEST_KEY"}, "wants a key", "into TRIM_TEST_KEY"),
        ({}, {"api_key_env": "TRIM_TEST_ABSENT"}, "TRIM_TEST_ABSENT, which is not set", "export"),
        ({}, {"served_model": "other"}, "it serves m, not other", "weak.served_model"),
        ({}, {"model": "/models/other"}, "serves /models/m, not /models/other", "another server's port"),
        ({}, {"sampling": {"max_step_tokens": 4096}}, "no room for a step of 4096", "--max-model-len"),
        (
            {"/v1/completions": (200, {"choices": [{"text": "A", "finish_reason": "stop"}]})},
            {},
            "token_ids",
            "vLLM 0.10.2",
        ),
        ({"/v1/completions": (404, {})}, {}, "status 404", "process reward model"),
        ({"/v1/completions": (400, {"error": "no"})}, {}, "status 400", "curl"),
    ],
)
async def test_what_is_wrong_with_a_model_is_said_with_the_remedy(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[str, Any],
    settings: dict[str, Any],
    problem: str,
    remedy: str,
) -> None:
    monkeypatch.setenv("TRIM_TEST_KEY", "wrong")
    finding = await checked(engine(serve(answers), **settings))
    assert problem in finding.problem
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("answers", "problem", "remedy"),
    [
        ({"/pooling": (200, {"data": [{"data": [[0.5, 0.5]] * 9}]})}, "9 scores for 2 steps", "STEP"),
        ({"/pooling": (200, {"data": [{"data": []}]})}, "0 scores for 2 steps", "STEP"),
        ({"/pooling": (404, {})}, "status 404", "--runner pooling"),
    ],
)
async def test_what_is_wrong_with_a_scorer_is_said_with_the_remedy(
    serve: Serve, answers: dict[str, Any], problem: str, remedy: str
) -> None:
    finding = await checked(engine(serve(answers), "scorer"))
    assert problem in finding.problem
    assert remedy in finding.remedy


async def test_nobody_at_the_port(tmp_path: Path) -> None:
    finding = await checked(engine("http://127.0.0.1:1"))
    assert "nothing answers" in finding.problem
    assert "trim engines up" in finding.remedy


async def test_vocabularies_are_compared(serve: Serve) -> None:
    other = {"/tokenize": (200, {"tokens": [9]})}
    for second, same in (({}, True), (other, False)):
        engines = EnginesFile.model_validate(
            {
                "weak": {"backend": "server", "urls": [serve({}), serve({})]},
                "strong": {"backend": "server", "urls": [serve(second)]},
            }
        )
        findings = await check_engines(engines)
        assert [finding.problem for finding in findings] == [""] * 3
        assert same_vocabulary(findings) is same
    assert same_vocabulary(await check_engines(engine(serve({})))) is None


@pytest.mark.models
async def test_models_in_this_process_are_checked_too() -> None:
    findings = await check_engines(engines_at(lab_places(), EngineKind.TRANSFORMERS, {}))
    assert [finding.problem for finding in findings] == [""] * 3
    assert same_vocabulary(findings)
