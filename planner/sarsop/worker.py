"""`python -m planner.sarsop.worker FOLDER`: solve one job with Julia and leave the policy in its folder.

The only place that imports Julia, always on the main thread of a process of its own: PythonCall is not thread-safe, and a solver that dies
or hangs takes nothing with it.
"""

import ctypes
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from planner.sarsop.job import LOG, NO_JULIA, AlphaVectors, Job, Program, write_policy
from planner.sarsop.log import last_bounds

_LARGEST_RETURN = 1.0
_SET_PARENT_DEATH_SIGNAL = 1


def main() -> None:
    """Read the job, start Julia, solve, write the policy."""
    folder = Path(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)  # a solver whose planner is gone has no use
    job = Job.read(folder)
    julia = _julia()
    outcome = _solve(julia, job, folder)
    write_policy(folder, _policy(outcome, job, folder), model_hash=job.model_hash)


def _julia() -> Any:
    try:
        from juliacall import Main  # noqa: PLC0415  starts Julia, and installs it where it can be downloaded
    except Exception as error:  # noqa: BLE001  juliapkg and Julia's start-up raise whatever they meet
        sys.stderr.write(f"no Julia: {error}\n")
        sys.exit(NO_JULIA)
    include = Main.seval("include")
    include(str(sources() / "src" / "TrimSARSOP.jl"))
    return Main.TrimSARSOP


def sources() -> Path:
    """The Julia project: beside this file in an installed package, at the root of a source tree."""
    installed = Path(__file__).parent / "julia"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "julia"


def _solve(julia: Any, job: Job, folder: Path) -> Any:
    arrays, limits = job.arrays, job.limits
    model = julia.build_model(arrays["T"], arrays["Z"], arrays["R"], arrays["b0"], job.discount)
    if limits.program is Program.APPL:
        return julia.solve_appl(model, str(folder.resolve()), precision=limits.precision, max_time=limits.max_time)
    return julia.solve_native(
        model,
        precision=limits.precision,
        max_steps=limits.max_steps,
        max_time=limits.max_time,
        largest_return=_LARGEST_RETURN,
    )


def _policy(outcome: Any, job: Job, folder: Path) -> AlphaVectors:
    alphas = np.array(outcome.alphas, dtype=np.float64)
    actions = np.array(outcome.actions, dtype=np.int64) - 1  # Julia counts from 1
    lower, upper = float(outcome.lower), float(outcome.upper)
    if job.limits.program is Program.APPL:
        printed = last_bounds(folder / LOG, Program.APPL)  # the program prints its bounds and keeps no other record
        if printed is None:
            raise RuntimeError("the APPL program printed no bounds")
        lower, upper = printed.lower, printed.upper
    return AlphaVectors(alphas, actions, lower, upper)


if __name__ == "__main__":
    main()
