"""What can be said of the Julia project without Julia."""

import json
import tomllib

import pytest
import tree_sitter_julia
from tree_sitter import Language, Parser

from scripts.parse_julia import errors
from tests.conftest import ROOT

PARSER = Parser(Language(tree_sitter_julia.language()))


def test_every_file_parses() -> None:
    files = sorted((ROOT / "julia").rglob("*.jl"))
    assert {"TrimSARSOP.jl", "native.jl", "appl.jl", "runtests.jl"} <= {path.name for path in files}
    for path in files:
        assert errors(PARSER.parse(path.read_bytes()).root_node) == [], path


@pytest.mark.parametrize("text", ["function f(x\nend", "module A\n", "f(x) = (1, 2"])
def test_a_file_that_does_not_parse_is_found(text: str) -> None:
    assert errors(PARSER.parse(text.encode()).root_node)


def test_juliapkg_asks_for_what_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "julia" / "Project.toml").read_text())
    asked = json.loads((ROOT / "planner" / "juliapkg.json").read_text())
    assert {name: package["uuid"] for name, package in asked["packages"].items()} == project["deps"]
    versions = {name: package["version"] for name, package in asked["packages"].items()}
    assert versions | {"julia": asked["julia"]} == project["compat"]


def test_the_module_includes_every_source_file() -> None:
    sources = ROOT / "julia" / "src"
    module = (sources / "TrimSARSOP.jl").read_text()
    for path in sources.glob("*.jl"):
        assert path.name == "TrimSARSOP.jl" or f'include("{path.name}")' in module
