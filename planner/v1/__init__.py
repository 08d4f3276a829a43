"""Generated from proto/planner/v1/planner.proto by scripts/generate."""
