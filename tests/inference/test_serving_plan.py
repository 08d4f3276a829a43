"""From a file of engines to command lines, GPUs and addresses."""

import json
from pathlib import Path
from typing import Any

import pytest

from inference.engines.settings import EnginesFile
from inference.lab.shipped import lab_places
from inference.serving_plan import planned_servers
from inference.vllm_server import ServerProcess, free_port
from kde.errors import InputError

FILE = Path("engines.toml")


def planned(**models: dict[str, Any]) -> list[ServerProcess]:
    return planned_servers(FILE, EnginesFile.model_validate(models), Path("logs"))


def engine(*ports: int, **more: Any) -> dict[str, Any]:
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    return {"backend": "server", "model": "org/model", "urls": urls, "serve": {}, **more}


def test_replicas_share_the_gpus_evenly() -> None:
    first, second = planned(weak=engine(free_port(), free_port(), serve={"gpus": [0, 1, 2, 3], "flags": ["--x", "1"]}))
    assert [server.model.variables()["CUDA_VISIBLE_DEVICES"] for server in (first, second)] == ["0,1", "2,3"]
    command = first.model.command(first.host, first.port)
    assert command[command.index("--tensor-parallel-size") + 1] == "2"
    assert command[-2:] == ["--x", "1"]
    assert "--enforce-eager" not in command
    assert [server.log for server in (first, second)] == [Path("logs/weak-0.log"), Path("logs/weak-1.log")]


def test_without_gpus_a_server_gets_what_the_cpu_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "40")
    (one,) = planned(weak=engine(free_port(), serve={"environment": {"OMP_NUM_THREADS": "4"}}))
    assert "--enforce-eager" in one.model.command(one.host, one.port)
    variables = one.model.variables()
    assert "VLLM_CPU_KVCACHE_SPACE" not in variables
    assert variables["OMP_NUM_THREADS"] == "4"


@pytest.mark.models
def test_a_prm_pools_at_its_own_step_tag() -> None:
    (one,) = planned(scorer=engine(free_port(), kind="prm", model=lab_places()["prm"]))
    command = one.model.command(one.host, one.port)
    assert command[command.index("--runner") + 1] == "pooling"
    pooler = json.loads(command[command.index("--pooler-config") + 1])
    assert pooler == {"tok_pooling_type": "STEP", "step_tag_id": 3}
    assert one.model.variables()["HF_HUB_OFFLINE"] == "1"


def test_only_what_has_a_table_serve_is_started() -> None:
    elsewhere = {"backend": "server", "urls": ["https://api.example.com"]}
    (one,) = planned(weak=engine(free_port()), strong=elsewhere)
    assert one.model.name == "weak"
    with pytest.raises(InputError, match=r"\[weak.serve\]"):
        planned(strong=elsewhere)


def test_a_key_travels_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIM_TEST_KEY", "secret-of-the-server")
    (one,) = planned(weak=engine(free_port(), api_key_env="TRIM_TEST_KEY", served_model="mine"))
    command = one.model.command(one.host, one.port)
    assert "secret-of-the-server" not in " ".join(command)
    assert one.model.variables()["VLLM_API_KEY"] == "secret-of-the-server"
    assert command[command.index("--served-model-name") + 1] == "mine"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"model": None}, "weak.model"),
        ({"urls": []}, "weak.urls"),
        ({"urls": ["https://127.0.0.1:1"]}, "http://HOST:PORT"),
        ({"urls": ["http://127.0.0.1"]}, "http://HOST:PORT"),
        ({"urls": ["http://127.0.0.1:1/v1"]}, "http://HOST:PORT"),
        ({"urls": ["http://192.0.2.1:8000"]}, "cannot listen"),
        ({"serve": {"gpus": [0, 1, 2]}}, "share them evenly"),
        ({"api_key_env": "TRIM_TEST_ABSENT"}, "is not set"),
    ],
)
def test_what_cannot_be_served_is_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        planned(weak=engine(free_port(), free_port(), **settings) if "urls" not in settings else engine(1, **settings))
