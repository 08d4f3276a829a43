"""The gRPC planner service."""

import os

# gRPC reads it when it is first imported; its notes on every failed handshake have no place among structured log lines
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
