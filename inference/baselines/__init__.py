"""Query-level baselines: routers that give a whole question to one of the two models."""
