"""`trim serve`: run the planner."""

import asyncio
import os
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

app = App(
    name="serve",
    help_epilogue="""\
Loads and checks the policy table, then answers decisions until SIGTERM or SIGINT, and drains before it leaves.
Health is the standard grpc.health.v1 service: "" for liveness, "planner.v1.PlannerService" for readiness.

Example: trim serve --tables table --listen 127.0.0.1:50051""",
)


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
    """Load and check the policy table, and serve it."""
    table = PolicyTable.load(tables)
    policies = ["weak", "strong", "thr:THRESHOLD"] + [f"pomdp:{entry.lam!r}" for entry in table.entries]

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
            while os.read(0, 4096):  # not sys.stdin: a thread inside its buffer would stop the interpreter from ending
                pass
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=wait_for_parent, daemon=True).start()
    await serve(catalogue, listen, on_ready=announce, stop=stop)
