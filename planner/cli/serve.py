"""`trim serve`: run the planner."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from kde.terminal import AsJson, print_json
from planner.cli.options import options_of
from planner.policies.offer import Offer
from planner.service.assembly import SERVICE, Place
from planner.service.logs import log_as_json
from planner.service.server import serve
from planner.service.settings import ServeSettings
from planner.service.tables import TableStore
from planner.service.tracing import check_tracing
from planner.service.workers import supervise

app = App(
    name="serve",
    help_epilogue="""\
Loads and checks the policy tables, then answers decisions until SIGTERM or SIGINT, and drains before it leaves.
SIGHUP, or a change in the tables' directory, loads the tables again. Health is the standard grpc.health.v1 service:
"" for liveness, "planner.v1.PlannerService" for readiness. docs/operations.md has the rest.

Example: trim serve --tables table --listen 127.0.0.1:50051""",
)


Options: Any = options_of(ServeSettings)


@app.default
def run(
    *,
    config: Annotated[Path | None, Parameter(help="TOML file of settings; options override it")] = None,
    options: Annotated[Options, Parameter(name="*", negative="")] = None,
    until_stdin_closes: Annotated[
        bool, Parameter(negative="", help="end when standard input does: for a parent process")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load and check the policy tables, and serve them."""
    given = {} if options is None else options.model_dump(exclude_unset=True)
    settings = ServeSettings.read(config, given)
    if settings.traces:
        check_tracing()
    log_as_json(settings.log_level, worker=0 if settings.workers == 1 else None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the server listens to it, and looks what has changed
    store = TableStore(settings.tables)

    def announce(address: str) -> None:
        _announce(address, store.offer, as_json=as_json)

    if settings.workers > 1:
        supervise(settings, store, on_ready=announce, until_stdin_closes=until_stdin_closes)
    else:
        asyncio.run(_serve(settings, store, announce, until_stdin_closes=until_stdin_closes))


def _announce(address: str, offer: Offer, *, as_json: bool) -> None:
    offered = offer.catalogue
    policies = ["weak", "strong", "thr:THRESHOLD"] + [f"pomdp:{lam!r}" for lam in offered.tables]
    policies += [f"agg:{lam!r}" for lam in offered.learned]
    policies += [] if offered.budget is None else [f"budget:TOKENS up to {offered.budget.most:g}"]
    hashes = sorted({table.content_hash for table in offered.tables.values()})
    if as_json:
        document = {"listening": address, "service": SERVICE, "policies": policies, "table_hashes": hashes}
        print_json(document | {"table_hash": hashes[0] if len(hashes) == 1 else None})
    else:
        versions = ", ".join(content_hash[:12] for content_hash in hashes)
        tables = f" (table {versions})" if hashes else ""
        sys.stdout.write(f"planner ready on {address}: {', '.join(policies)}{tables}\n")
        sys.stdout.flush()


async def _serve(
    settings: ServeSettings, store: TableStore, announce: Callable[[str], None], *, until_stdin_closes: bool
) -> None:
    stop = asyncio.Event()
    if until_stdin_closes:
        loop = asyncio.get_running_loop()

        def wait_for_parent() -> None:
            while os.read(0, 4096):  # not sys.stdin: a thread inside its buffer would stop the interpreter from ending
                pass
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=wait_for_parent, daemon=True).start()
    await serve(settings, store, Place(settings.listen), on_ready=announce, stop=stop)
