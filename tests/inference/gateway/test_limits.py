"""Who may ask, how much, and what happens when things go wrong."""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from inference.gateway.router import open_router
from inference.gateway.settings import GatewaySettings
from inference.lab.shipped import lab_places, lab_problems
from kde.errors import TrimError
from tests.inference.gateway.conftest import Gateway
from tests.planner.servers import free_ports, metrics, serving, until
from tests.planner.service.test_security import Authority, ours, token_file

__all__ = ["ours"]
pytestmark = [pytest.mark.models, pytest.mark.asyncio(loop_scope="session")]
TOKEN, OTHER = "correct-horse-battery-staple", "another-token-of-some-length"
PROBLEMS = [problem.problem for problem in lab_problems(8, seed=11)]


def body(model: str = "trim/thr@0.5", problem: str = PROBLEMS[0], **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": problem}], "seed": 1, **more}


def http(address: str, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{address}", timeout=60, **options)


def requests_logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.getMessage() == "request"]


async def test_a_token_is_needed_for_the_api_and_nothing_else(
    gateway: Gateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    accepted = token_file(tmp_path, TOKEN)
    async with gateway(tokens=accepted, watch_seconds=0.05) as address, http(address) as client:
        for headers in ({}, {"authorization": f"Bearer {OTHER}"}, {"authorization": TOKEN}):
            refused = await client.post("/v1/chat/completions", json=body(), headers=headers)
            assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
            assert refused.headers["www-authenticate"] == "Bearer"
            assert (await client.get("/v1/models", headers=headers)).status_code == 401
        right = {"authorization": f"Bearer {TOKEN}"}
        assert (await client.post("/v1/chat/completions", json=body(), headers=right)).status_code == 200
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/ready")).json() == {"ready": True, "problems": []}
        accepted.write_text(OTHER)
        await asyncio.sleep(0.1)
        assert (await client.get("/v1/models", headers=right)).status_code == 401
    told = "".join(record.getMessage() + str(vars(record)) for record in caplog.records)
    assert TOKEN not in told
    assert OTHER not in told
    assert PROBLEMS[0] not in told


async def test_tls_beyond_loopback_and_certificates_are_followed(
    gateway: Gateway, tmp_path: Path, ours: Authority
) -> None:
    chain, key = ours.issue("server", expired=True)
    options = {"tls_certificate": chain, "tls_key": key, "tokens": token_file(tmp_path, TOKEN), "watch_seconds": 0.05}
    async with gateway(listen="0.0.0.0:0", **options) as address:
        url = f"https://127.0.0.1:{address.rpartition(':')[2]}/v1"
        trusted = openai.DefaultAsyncHttpxClient(verify=ssl.create_default_context(cafile=str(ours.root)))
        async with openai.AsyncOpenAI(base_url=url, api_key=TOKEN, http_client=trusted, max_retries=0) as client:
            with pytest.raises(openai.APIConnectionError):
                await client.models.list()
            ours.issue("server")
            await asyncio.sleep(0.2)
            assert [model async for model in client.models.list()]
            with pytest.raises(openai.AuthenticationError):
                await client.with_options(api_key=OTHER).models.list()


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"x" * 3000, "application/json", 413),
        (b"{}", "text/plain", 415),
        (b"{}", "application/json; charset=utf-8", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
    ],
)
async def test_bad_bodies_are_refused_in_openais_shape(
    gateway: Gateway, content: bytes, kind: str, status: int
) -> None:
    async def in_pieces() -> Any:
        for start in range(0, len(content), 100):
            yield content[start : start + 100]

    async with gateway(body_bytes=2048) as address, http(address) as client:
        for sent in (content, in_pieces()):
            refused = await client.post("/v1/chat/completions", content=sent, headers={"content-type": kind})
            assert refused.status_code == status
            assert refused.json()["error"]["type"] == "invalid_request_error"
            assert len(refused.headers["x-trim-trace-id"]) == 32


async def test_wrong_addresses_and_methods_are_refused_in_openais_shape(gateway: Gateway) -> None:
    async with gateway() as address, http(address) as client:
        for method, path, status in (
            ("GET", "/v1/chat/completions", 405),
            ("POST", "/v1/models", 405),
            ("GET", "/v1/completions", 404),
            ("GET", "/", 404),
        ):
            refused = await client.request(method, path)
            assert (refused.status_code, refused.json()["error"]["type"]) == (status, "invalid_request_error")


async def test_one_too_many_is_told_to_come_back(gateway: Gateway) -> None:
    async with gateway(concurrent_requests=2) as address, http(address) as client:
        asked = [client.post("/v1/chat/completions", json=body(problem=problem)) for problem in PROBLEMS]
        answers = await asyncio.gather(*asked)
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(200) == 2
        assert statuses.count(429) == len(PROBLEMS) - 2
        refused = answers[statuses.index(429)]
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert int(refused.headers["retry-after"]) >= 1
        url = f"http://{address}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=20) as patient:
            kept = [patient.chat.completions.create(**body(problem=problem)) for problem in PROBLEMS[:4]]
            assert all(answer.choices for answer in await asyncio.gather(*kept))


async def test_a_deadline_ends_a_completion(gateway: Gateway) -> None:
    async with gateway(request_seconds=0.02) as address, http(address) as client:
        late = await client.post("/v1/chat/completions", json=body("trim/strong"))
        assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_exceeded")


async def test_a_client_that_leaves_takes_its_route_along(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_ports(1)
    async with gateway(metrics=f"127.0.0.1:{port}") as address:
        for stream in (False, True):
            with pytest.raises(httpx.ReadTimeout):
                async with httpx.AsyncClient(
                    base_url=f"http://{address}", timeout=httpx.Timeout(5, read=0.02)
                ) as client:
                    await client.post("/v1/chat/completions", json=body("trim/thr@1", stream=stream))
        await until(lambda: len(requests_logged(caplog)) == 2)
        counted = await asyncio.to_thread(metrics, port)
        assert counted["trim_gateway_in_flight",] == 0
    for line in requests_logged(caplog):
        assert (line["outcome"], line["model"]) == ("client_left", "trim/thr")
        assert line["steps"] < 2


async def test_what_happened_is_counted(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_ports(1)
    async with gateway(metrics=f"127.0.0.1:{port}") as address, http(address) as client:
        whole = (await client.post("/v1/chat/completions", json=body("trim/thr@1"))).json()
        await client.post("/v1/chat/completions", json=body("trim/thr@1", stream=True))
        await client.post("/v1/chat/completions", json=body("nobody"))
        counted = await asyncio.to_thread(metrics, port)
    usage = whole["usage"]["completion_tokens_details"]
    steps = whole["trim"]["steps"]
    assert counted["trim_gateway_requests_total", "trim/thr", "200"] == 2
    assert counted["trim_gateway_requests_total", "none", "404"] == 1
    assert counted["trim_gateway_request_seconds_count", "trim/thr"] == 2
    assert counted["trim_gateway_first_step_seconds_count", "trim/thr"] == 2
    assert counted["trim_gateway_stage_seconds_count", "score"] == 2 * len(steps)
    assert counted["trim_gateway_steps_total", "strong"] == 2 * len(steps)
    assert counted["trim_gateway_tokens_total", "strong"] == 2 * usage["strong_tokens"]
    assert counted["trim_gateway_tokens_total", "discarded"] == 2 * usage["discarded_tokens"]
    logged = requests_logged(caplog)[0]
    assert logged["trace_id"] == whole["trim"]["trace_id"]
    assert (logged["status"], logged["outcome"], logged["steps"]) == (200, "answer", len(steps))


async def test_a_gateway_that_leaves_finishes_what_is_under_way(gateway: Gateway) -> None:
    client = None
    async with gateway(notice_seconds=0.3, drain_seconds=20) as address:
        client = http(address)
        await client.get("/health")
        under_way = asyncio.create_task(client.post("/v1/chat/completions", json=body("trim/strong")))
        await asyncio.sleep(0.05)
        late = asyncio.create_task(_ask_when_draining(client))
    assert (await under_way).json()["choices"][0]["finish_reason"] == "stop"
    ready, refused = await late
    assert (ready.status_code, ready.json()["problems"]) == (503, ["draining"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    await client.aclose()


async def _ask_when_draining(client: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response]:
    while (ready := await client.get("/ready")).is_success:
        pass
    return ready, await client.post("/v1/chat/completions", json=body())


async def test_without_a_planner_policies_fail_and_a_fallback_goes_on(
    gateway: Gateway, table_directory: Path, tmp_path: Path
) -> None:
    port = free_ports(1)
    with serving(table_directory) as planner:
        settings = GatewaySettings.read(None, {"lab": True, "server": planner.address})
        declared = settings.model_copy(update={"fallback": "thr:0.4"})
        async with (
            open_router(settings) as plain,
            open_router(declared) as steady,
            gateway(plain) as address,
            gateway(steady, metrics=f"127.0.0.1:{port}") as other,
            http(address) as one,
            http(other) as two,
        ):
            for client in (one, two):
                answer = (await client.post("/v1/chat/completions", json=body("trim/pomdp@0.002"))).json()
                assert not any(step["fallback"] for step in answer["trim"]["steps"])
            planner.process.terminate()
            planner.process.wait()
            down = await one.post("/v1/chat/completions", json=body("trim/pomdp@0.002"))
            assert (down.status_code, down.json()["error"]["code"]) == (503, "planner_unavailable")
            assert planner.address not in down.text
            assert "retry-after" in down.headers
            assert (await one.get("/ready")).status_code == 503
            assert (await one.get("/health")).status_code == 200
            alone = await one.post("/v1/chat/completions", json=body("trim/weak"))
            assert alone.status_code == 200
            answered = await two.post("/v1/chat/completions", json=body("trim/pomdp@0.002"))
            assert answered.status_code == 200, answered.text
            answer = answered.json()
            assert all(step["fallback"] for step in answer["trim"]["steps"])
            assert (await two.get("/ready")).status_code == 200
            for price in (0.5, 0.6):  # a fallback takes any price, and clients must not add labels without end
                assert (await two.post("/v1/chat/completions", json=body(f"trim/pomdp@{price}"))).status_code == 200
            counted = await asyncio.to_thread(metrics, port)
            assert counted["trim_gateway_requests_total", "trim/pomdp@0.002", "200"] == 1
            assert counted["trim_gateway_requests_total", "trim/pomdp", "200"] == 3


async def test_without_a_strong_model_what_needs_it_fails(gateway: Gateway, tmp_path: Path) -> None:
    places = lab_places()
    file = tmp_path / "engines.toml"
    file.write_text(
        f"""weak = {{ backend = "transformers", model = "{places["weak"]}" }}
        strong = {{ backend = "server", urls = ["http://127.0.0.1:1"] }}
        scorer = {{ kind = "prm", backend = "transformers", model = "{places["prm"]}" }}"""
    )
    settings = GatewaySettings.read(None, {"engines": file})
    async with (
        open_router(settings) as lame,
        gateway() as address,
        gateway(lame) as other,
        http(address) as one,
        http(other) as two,
    ):
        assert (await two.get("/ready")).json() == {"ready": False, "problems": ["strong"]}
        down = await two.post("/v1/chat/completions", json=body("trim/strong"))
        assert (down.status_code, down.json()["error"]["code"]) == (503, "engine_unavailable")
        assert "127.0.0.1:1" not in down.text
        assert (await two.post("/v1/chat/completions", json=body("trim/weak"))).status_code == 200
        for problem in PROBLEMS:
            asked = body("trim/thr@0.9", problem)
            whole = (await one.post("/v1/chat/completions", json=asked)).json()
            authors = [step["author"] for step in whole["trim"]["steps"]]
            if authors[0] == "weak" and "strong" in authors:
                break
        else:
            pytest.fail("no problem starts with M_w and goes on with M_s")
        url = f"http://{other}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            told: list[str] = []
            with pytest.raises(openai.APIError, match="a model does not answer"):
                await _listen(await client.chat.completions.create(**asked, stream=True), told)
        assert "".join(told) == "\n\n".join(step["text"] for step in whole["trim"]["steps"][: authors.index("strong")])


async def _listen(stream: openai.AsyncStream[ChatCompletionChunk], told: list[str]) -> None:
    async for chunk in stream:
        told.append(chunk.choices[0].delta.content or "")  # noqa: PERF401  what was told before the error counts


async def test_a_conversation_that_fills_the_context_is_refused(gateway: Gateway) -> None:
    async with gateway() as address, http(address) as client:
        for stream in (False, True):
            asked = body(problem="7+7\n" * 2000, stream=stream)
            refused = await client.post("/v1/chat/completions", json=asked)
            assert refused.status_code == 400
            assert refused.json()["error"]["code"] == "context_length_exceeded"


async def test_an_address_that_is_taken_is_one_clear_error(gateway: Gateway) -> None:
    async with gateway() as address:
        with pytest.raises(TrimError, match="cannot bind"):
            async with gateway(listen=address):
                pass
