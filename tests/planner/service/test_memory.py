"""Memory after a million decisions is what it was after the first ones."""

from pathlib import Path

import numpy as np
import psutil
from grpc import aio

from planner.v1 import planner_pb2 as pb
from planner.v1 import planner_pb2_grpc as pb_grpc
from tests.planner.servers import request, serving

ROWS = 4000


async def test_memory_stays_flat_over_a_million_decisions(table_directory: Path) -> None:
    rng = np.random.default_rng(0)
    batch = pb.DecideBatchRequest(
        policy_ids=["pomdp:0.002", "thr:0.5"],
        policies=rng.integers(0, 2, ROWS).tolist(),
        steps=[2] * ROWS,
        earlier=rng.random(ROWS).tolist(),
        newest=rng.random(ROWS).tolist(),
        token_counts=rng.integers(1, 400, ROWS).tolist(),
        finals=(rng.random(ROWS) < 0.2).tolist(),
        last_actions=[pb.ACTION_CONTINUE] * ROWS,
        beliefs=[0.5, 0.2, 0.3] * ROWS,
    )
    with serving(table_directory) as server:
        process = psutil.Process(server.process.pid)
        async with aio.insecure_channel(server.address) as channel:
            stub = pb_grpc.PlannerServiceStub(channel)
            memory = []
            decided = 0
            while decided < 1_000_000:
                for _ in range(20):
                    decided += len((await stub.DecideBatch(batch)).actions)
                for index in range(100):  # ids and refusals that are all different, as careless workers send them
                    await stub.Decide(request(policy_id=f"thr:0.{decided}{index}"))
                memory.append(process.memory_info().rss)
    assert decided >= 1_000_000
    assert memory[-1] - memory[2] < 4e6, [round(value / 1e6, 1) for value in memory]
