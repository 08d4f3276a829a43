"""The gRPC planner service."""
