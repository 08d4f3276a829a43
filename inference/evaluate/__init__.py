"""Evaluation: what each policy costs for what it gains, on the same problems, and the report of it."""
