"""Parse every Julia file of julia/: a syntax error is found where there is no Julia."""

import sys
from pathlib import Path

import tree_sitter_julia
from tree_sitter import Language, Node, Parser

PROJECT = Path(__file__).parent.parent / "julia"


def errors(node: Node) -> list[Node]:
    """The places that do not parse."""
    if node.is_error or node.is_missing:
        return [node]
    return [found for child in node.children if node.has_error for found in errors(child)]


def main() -> None:
    parser = Parser(Language(tree_sitter_julia.language()))
    files = sorted(PROJECT.rglob("*.jl"))
    if not files:
        sys.exit(f"no Julia files in {PROJECT}")
    bad = [
        f"{path}:{node.start_point.row + 1}: does not parse"
        for path in files
        for node in errors(parser.parse(path.read_bytes()).root_node)
    ]
    if bad:
        sys.exit("\n".join(bad))


if __name__ == "__main__":
    main()
