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


def test_a_table_is_read_without_what_only_fitting_and_drawing_need() -> None:
    heavy = "{'scipy.stats', 'scipy.optimize', 'matplotlib', 'polars', 'juliacall', 'torch'}"
    code = f"import sys, planner.local; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
