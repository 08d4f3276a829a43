"""ENGINES.toml: what it may say, and how it is told what it may not."""

from pathlib import Path

import pytest

from inference.conversation import Message, asked
from inference.engines.settings import ChatSettings, EnginesFile
from inference.fleet import EngineKind, engines_at
from kde.errors import InputError

GOOD = """
[weak]
backend = "server"
urls = ["http://127.0.0.1:8001", "http://127.0.0.1:8002"]
served_model = "weak"
api_key_env = "WEAK_KEY"
in_flight = 8
deadline_seconds = 30
sampling = { temperature = 0.5, top_p = 0.9, max_step_tokens = 99 }
chat = { system = "Be brief.", template_arguments = { enable_thinking = false } }

[weak.serve]
gpus = [0, 1]
flags = ["--max-model-len", "4096"]
environment = { A = "b" }

[scorer]
kind = "prm"
backend = "server"
urls = ["https://prm.example"]
"""

SERVED = 'backend = "server"\nurls = ["http://127.0.0.1:8001", "http://127.0.0.1:8002"]'


def load(tmp_path: Path, text: str) -> EnginesFile:
    path = tmp_path / "ENGINES.toml"
    path.write_text(text)
    return EnginesFile.load(path)


def test_every_setting_arrives(tmp_path: Path) -> None:
    engines = load(tmp_path, GOOD)
    assert engines.weak is not None
    assert engines.weak.model_dump(mode="json", exclude={"model", "chat", "api", "continuation"}) == {
        "backend": "server",
        "urls": ["http://127.0.0.1:8001", "http://127.0.0.1:8002"],
        "served_model": "weak",
        "api_key_env": "WEAK_KEY",
        "in_flight": 8,
        "deadline_seconds": 30.0,
        "ahead_tokens": 0,
        "sampling": {"temperature": 0.5, "top_p": 0.9, "max_step_tokens": 99},
        "serve": {"gpus": [0, 1], "flags": ["--max-model-len", "4096"], "environment": {"A": "b"}},
    }
    assert engines.weak.chat.template_arguments == {"enable_thinking": False}
    assert engines.strong is None


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("in_flight = 8", "in_flight = 0", "weak.in_flight is 0; .*greater than or equal to 1"),
        ("in_flight = 8", "in_flihgt = 8", "weak.in_flihgt is 8; .*not permitted"),
        ("temperature = 0.5", "temperature = -1", "weak.sampling.temperature is -1"),
        ("top_p = 0.9", "top_p = 2", "weak.sampling.top_p is 2"),
        ("deadline_seconds = 30", "deadline_seconds = 'soon'", "weak.deadline_seconds is 'soon'"),
        ('backend = "server"\nurls = ["https', 'backend = "cloud"\nurls = ["https', "backend is 'cloud'"),
        ('"https://prm.example"', '"prm.example"', r"urls is \['prm.example'\]; write http://HOST:PORT"),
        ('urls = ["https://prm.example"]', "", r"urls is \(\); name a server's"),
        ('backend = "server"\nurls = ["https', 'backend = "transformers"\nurls = ["https', "model is None; name"),
        ("[scorer]", "[judge]", "judge is .*not permitted"),
        (SERVED, 'backend = "vllm"\nmodel = "m"', "weak.serve is .*does not take environment, gpus: "),
        (SERVED, 'backend = "transformers"\nmodel = "m"', "weak.serve is .*does not take environment, flags, gpus: "),
        ("[weak.serve]", "[weak.serve", "content is .*line 12.*; write TOML"),
    ],
)
def test_an_error_names_file_field_value_and_remedy(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=f"ENGINES.toml: .*{complaint}") as told:
        load(tmp_path, GOOD.replace(old, new))
    assert "\n" not in str(told.value)


def test_the_description_tells_models_apart_and_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEAK_KEY", "hush")
    described = load(tmp_path, GOOD).describe()
    assert "hush" not in str(described)
    assert described["strong"] is None
    assert described == load(tmp_path, GOOD.replace("in_flight = 8", "in_flight = 9")).describe()
    for old, new in (("0.5", "0.6"), ("8001", "8003"), ("Be brief.", "Be long."), ('"weak"\napi', '"w"\napi')):
        assert described != load(tmp_path, GOOD.replace(old, new)).describe()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "a.safetensors").write_bytes(b"1")
    places = {"weak": str(tmp_path)}
    first = engines_at(places, EngineKind.TRANSFORMERS, {}).describe()
    (tmp_path / "a.safetensors").write_bytes(b"2")
    assert engines_at(places, EngineKind.TRANSFORMERS, {}).describe() != first


def test_flags_and_file_build_the_same_settings(tmp_path: Path) -> None:
    text = '[strong]\nbackend = "server"\nurls = ["http://h:1"]\nsampling = { temperature = 0.0 }\n'
    assert engines_at({"strong": "http://h:1"}, EngineKind.TRANSFORMERS, {"temperature": 0.0}) == load(tmp_path, text)


def test_a_system_prompt_goes_before_a_conversation_that_brings_none() -> None:
    chat = ChatSettings(system="s")
    own = (Message("system", "mine"), *asked("q"))
    assert [m["content"] for m in chat.messages(asked("q"))] == ["s", "q"]
    assert [m["content"] for m in chat.messages(own)] == ["mine", "q"]
    assert ChatSettings().messages(asked("q")) == [{"role": "user", "content": "q"}]
