"""`trim tables export`."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from kde.artefact import replace_file
from kde.terminal import AsJson, print_json, print_table
from planner.explicit import ExplicitPOMDP
from planner.literal import ActionTable
from planner.npz import pack
from planner.pomdpx import write_pomdpx
from planner.table import PolicyTable


def export(
    table: Path,
    *,
    lam: Annotated[float, Parameter(name="--lambda", help="which of the table's policies")],
    out: Annotated[Path, Parameter(help="directory of the files")],
    as_json: AsJson = False,
) -> None:
    """Write a policy and its POMDP for other programs.

    `actions.npz` is the paper's literal table: an action for every belief of the lattice of 0.025, 18 token counts from 5 to 500 and
    every step. `model.npz` holds the POMDP as explicit arrays T, Z, R and b0, `model.pomdpx` the same for APPL and SARSOP.jl, and
    `pomdp.json` the description that all of it came from.
    """
    loaded = PolicyTable.load(table)
    actions = ActionTable.of(loaded, lam)
    explicit = ExplicitPOMDP.of(loaded.pomdp, lam)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "actions.npz", actions.arrays())
    names = {"states": np.array(explicit.labels), "discount": np.array(explicit.discount), "lambda": np.array(lam)}
    _write(out / "model.npz", {**explicit.arrays(), **names})
    write_pomdpx(explicit, out / "model.pomdpx", name=f"stepwise routing at lambda {lam!r}")
    replace_file(out / "pomdp.json", (loaded.pomdp.to_json() + "\n").encode())
    written = ["actions.npz", "model.npz", "model.pomdpx", "pomdp.json"]
    sizes = {"entries": int(actions.regenerate.size), "states": len(explicit.labels)}
    sizes |= {"observations": explicit.observation.shape[1]}
    if as_json:
        print_json({"out": str(out), "lambda": lam, "files": written, **sizes})
    else:
        print_table(f"Written to {out}", ("file", "bytes"), [(name, (out / name).stat().st_size) for name in written])


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    replace_file(path, pack(arrays))
