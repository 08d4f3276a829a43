"""Generation: language models driven step by step, with decisions from a planner."""
