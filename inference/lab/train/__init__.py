"""Training of the lab's three models, from nothing to measured checkpoints."""
