"""One page about an observation model."""
