"""Runs whose PRM is a server that is slow, or answers what no PRM says."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from inference.engines.base import EngineError
from tests.inference.runs import ids, options, routed

pytestmark = pytest.mark.models
STEP_TAG = 3


class Scorer(ThreadingHTTPServer):
    """Says 0.9 of every step, and from the `good`-th call on what `bad` makes of it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, bad: Callable[[Any], bytes], *, good: int, seconds: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bad, self.good, self.seconds = bad, good, seconds
        self.calls = 0


class Handler(BaseHTTPRequestHandler):
    server: Scorer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(json.dumps({"data": [{"id": "prm", "max_model_len": 4096}]}).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/tokenize":
            self.answer(json.dumps({"tokens": [7, STEP_TAG], "max_model_len": 4096}).encode())
            return
        steps = asked["input"].count(STEP_TAG) - 1  # the question's tokens hold one too
        time.sleep(self.server.seconds)
        self.server.calls += 1
        pooled = {"data": [{"data": [[0.1, 0.9]] * steps}]}
        self.answer(json.dumps(pooled).encode() if self.server.calls <= self.server.good else self.server.bad(pooled))

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name in the base class
        pass


@contextmanager
def serving(scorer: Scorer) -> Iterator[str]:
    thread = threading.Thread(target=scorer.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{scorer.server_address[1]}"
    finally:
        scorer.shutdown()
        thread.join()
        scorer.server_close()


def without_a_row(pooled: Any) -> bytes:
    return json.dumps({"data": [{"data": pooled["data"][0]["data"][1:]}]}).encode()


def out_of_range(pooled: Any) -> bytes:
    return json.dumps(pooled).replace("0.9", "1.9").encode()


def not_a_number(pooled: Any) -> bytes:
    return json.dumps(pooled).replace("0.9", "NaN").encode()


def cut_short(pooled: Any) -> bytes:
    return json.dumps(pooled).encode()[:-3]


@pytest.mark.parametrize("bad", [without_a_row, out_of_range, not_a_number, cut_short])
def test_nonsense_stops_the_run_with_one_line_and_never_becomes_a_decision(
    bad: Callable[[Any], bytes], tmp_path: Path
) -> None:
    short = ("--max-steps", "3", "--concurrency", "2")
    with serving(Scorer(bad, good=14)) as url, pytest.raises(EngineError, match=f"^{url}/pooling.*") as error:
        routed(options(tmp_path, "--prm", url, *short))
    assert "\n" not in str(error.value)
    assert 2 <= len(ids(tmp_path)) <= 5


def test_a_slow_scorer_delays_each_problem_and_not_all_of_them(tmp_path: Path) -> None:
    scorer = Scorer(without_a_row, good=10**6, seconds=0.5)
    with serving(scorer) as url:
        summary = routed(options(tmp_path, "--prm", url, "--max-steps", "2", "--concurrency", "24", problems="24"))
    assert (summary["episodes"], scorer.calls) == (24, 48)
    assert summary["latency_seconds"]["scorer"]["p50"] >= 0.5
    assert summary["session"]["seconds"] < 48 * 0.5 / 2  # one after the other they would have taken 24 s
