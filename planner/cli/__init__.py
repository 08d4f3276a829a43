"""The planner's commands: `trim tables`, `trim serve`, `trim decide`."""
