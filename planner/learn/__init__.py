"""Policies learned by reinforcement learning on the routing problem; needs the `rl` extra."""
