"""`trim serve`: run the planner."""

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from kde.terminal import AsJson, print_json
from planner.policies.catalogue import Catalogue
from planner.service.server import SERVICE, serve
from planner.table import PolicyTable

app = App(name="serve")


@app.default
def run(
    *,
    tables: Annotated[Path, Parameter(help="directory written by `trim tables build`")],
    listen: Annotated[str, Parameter(help="loopback HOST:PORT (port 0 picks one), or unix:PATH")] = "127.0.0.1:50051",
    until_stdin_closes: Annotated[
        bool, Parameter(negative="", help="end when standard input does: for a parent process")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load and check the policy table, then answer decisions until SIGTERM or SIGINT, and drain before leaving.

    Health: the standard grpc.health.v1 service, "" for liveness and "planner.v1.PlannerService" for readiness.
    """
    table = PolicyTable.load(tables)
    policies = ["weak", "strong", "thr:THRESHOLD"] + [f"pomdp:{entry.lam:g}" for entry in table.entries]

    def announce(address: str) -> None:
        if as_json:
            print_json(
                {"listening": address, "service": SERVICE, "policies": policies, "table_hash": table.content_hash}
            )
        else:
            sys.stdout.write(f"planner ready on {address}: {', '.join(policies)} (table {table.content_hash[:12]})\n")
            sys.stdout.flush()

    asyncio.run(_serve(Catalogue(table), listen, announce, until_stdin_closes=until_stdin_closes))


async def _serve(
    catalogue: Catalogue, listen: str, announce: Callable[[str], None], *, until_stdin_closes: bool
) -> None:
    stop = asyncio.Event()
    if until_stdin_closes:
        loop = asyncio.get_running_loop()

        def wait_for_parent() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=wait_for_parent, daemon=True).start()
    await serve(catalogue, listen, on_ready=announce, stop=stop)
