import subprocess
import sys

import kde
import planner


def test_the_public_names() -> None:
    expected = {"PlannerClient", "LocalPlanner", "RoutingPOMDP", "PolicyTable", "solve_exact", "tabulate"}
    assert expected <= set(dir(planner))
    for package in (kde, planner):
        for name in dir(package):
            assert getattr(package, name).__name__.rpartition(".")[2] == name


def test_importing_the_client_loads_no_numerics() -> None:
    code = "import sys, planner.client; print(sorted({'numpy', 'scipy', 'pydantic', 'torch', 'polars'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
