"""What a random policy is shown."""

from dataclasses import replace

from planner.decision import Proposal

_SEEDS = 2**31


def shown_to(policy: str, proposal: Proposal, seed: int) -> Proposal:
    """The proposal; to `random:P` its scores are the seed of the step instead.

    That policy throws its coin by the numbers that it is shown. The last bits of scores depend on what was computed beside them, and a
    run that goes on after a kill computes other things side by side: its coins must fall as they would have fallen.

    Args:
        policy: policy id.
        proposal: what was scored.
        seed: of the step's sampling, 0 to 2^31 - 1.
    """
    return replace(proposal, earlier=1.0, newest=seed / _SEEDS) if policy.startswith("random:") else proposal
