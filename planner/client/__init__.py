"""The planner's client: decisions over gRPC that generation can lean on. Importing it loads no numerics."""

from planner.client.aio import PlannerClient
from planner.client.blocking import SyncPlannerClient
from planner.client.errors import PlannerRefusedError, PlannerUnavailableError
from planner.client.pool import Security

__all__ = ["PlannerClient", "PlannerRefusedError", "PlannerUnavailableError", "Security", "SyncPlannerClient"]
