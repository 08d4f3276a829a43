"""`make bench`: every benchmark compares two things in one run; results go to benchmarks/results.json."""

import json
from importlib.util import find_spec
from pathlib import Path

from benchmarks import decisions, solving, tables
from benchmarks.measure import Result
from kde.terminal import print_table


def main() -> None:
    results: dict[str, Result] = solving.run() | tables.run() | decisions.run()
    if find_spec("torch") is not None:
        from benchmarks import decoding, episodes  # noqa: PLC0415  need torch

        results |= decoding.run() | episodes.run()
    if find_spec("vllm") is not None:
        from benchmarks import generation, prefill  # noqa: PLC0415  need vLLM

        results |= generation.run()
        if prefill.MODEL:
            results |= prefill.run()
    path = Path(__file__).parent / "results.json"
    path.write_text(json.dumps({name: result.document() for name, result in results.items()}, indent=2) + "\n")
    rows = [(name, f"{r.value:.3g}", r.unit, r.goal, "yes" if r.holds else "NO") for name, r in results.items()]
    print_table(
        f"Benchmarks, written to {path.parent.name}/{path.name}", ("name", "value", "unit", "goal", "holds"), rows
    )


main()
