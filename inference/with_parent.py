"""`python -m inference.with_parent PID COMMAND...`: run a command that ends when its parent does, however that ends.

Linux tells a process of its parent's death if it asks; the wish survives exec. Elsewhere the command simply runs.
"""

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1


def end_with_parent(parent: int, number: signal.Signals) -> None:
    """Ask for a signal at the parent's death; end at once if it died before."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, number)
        if os.getppid() != parent:
            sys.exit(0)


def main() -> None:
    """Ask for SIGTERM at the parent's death, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    end_with_parent(parent, signal.SIGTERM)
    os.execv(command[0], command)  # noqa: S606  the caller's own command


if __name__ == "__main__":
    main()
