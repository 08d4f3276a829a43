"""A worker of the SARSOP solver without Julia: `fake_worker.py MODE FOLDER`. It really dies, hangs, prints rubbish, or solves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from kde.samples import Array
from planner.explicit import ExplicitPOMDP
from planner.sarsop.job import NO_JULIA, AlphaVectors, Job, write_policy
from tests.twins import point_based_policy

DASHES = "-" * 40


def main(mode: str, folder: Path) -> None:  # noqa: C901  a list of ways to fail
    job = Job.read(folder)
    print("Precompiling packages...", flush=True)  # noqa: T201
    if mode == "die" or (mode == "die-once" and folder.name == "attempt-1"):
        os.kill(os.getpid(), signal.SIGKILL)
    elif mode == "fail":
        sys.exit("ERROR: LoadError: out of luck")
    elif mode == "no-julia":
        sys.exit(NO_JULIA)
    elif mode == "hang" or (mode == "hang-but-0.001" and job.arrays["R"].min() < -0.05):
        child = subprocess.Popen(["sleep", "600"])
        (folder.parent / "child").write_text(str(child.pid))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    elif mode == "hang-but-0.001":
        time.sleep(2)
        sys.exit("ERROR: LoadError: out of luck")
    elif mode == "rubbish":
        sys.stdout.buffer.write(bytes(range(256)) * 100)
    elif mode == "rubbish-policy":
        (folder / "policy.json").write_bytes(b"\x00rubbish")
    elif mode == "stale":
        write_policy(folder, _solved(job), model_hash="0" * 64)
    elif mode == "nonsense":
        solved = _solved(job)
        write_policy(folder, AlphaVectors(solved.alphas * np.nan, solved.actions, 0.0, 1.0), model_hash=job.model_hash)
    else:
        solved = _solved(job)
        print(f"{DASHES}\n Time Iter LB UB Precision # Alphas # Beliefs\n{DASHES}")  # noqa: T201
        print(f" 0.25 10 {solved.lower:.7f} 1.0 0.1 12 7", flush=True)  # noqa: T201
        if mode == "slow":
            time.sleep(1)
        write_policy(folder, solved, model_hash=job.model_hash)


def _solved(job: Job) -> AlphaVectors:
    arrays = job.arrays
    model = ExplicitPOMDP((), True, arrays["T"], arrays["Z"], arrays["R"], arrays["b0"], job.discount, lam=1.0)
    return point_based_policy(model, _beliefs(model), horizon=5)


def _beliefs(model: ExplicitPOMDP) -> Array:
    """Every belief that can be reached."""
    reached = [model.initial]
    frontier = [model.initial]
    for _ in range(3):
        joints = [((b @ model.transition[:, a])[:, None] * model.observation).T for b in frontier for a in range(2)]
        rows = np.vstack(joints)
        rows = rows[rows[:, :-1].sum(axis=1) > 0]
        frontier = list(np.unique((rows / rows.sum(axis=1, keepdims=True)).round(12), axis=0))
        reached += frontier
    return np.array(reached)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
