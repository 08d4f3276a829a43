"""`trim gateway`: answer OpenAI's chat completions with routed generations."""

import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from inference.gateway.settings import GatewaySettings
from kde.errors import InputError
from kde.terminal import AsJson, print_json
from planner.cli.options import options_of
from planner.service.logs import log_as_json

app = App(
    name="gateway",
    help_epilogue="""\
Serves /v1/chat/completions and /v1/models for any OpenAI client, until SIGTERM or SIGINT, and drains before it leaves.
The model's name is the policy: trim/weak, trim/strong, trim/thr@0.5, trim/pomdp@0.0025. docs/generation.md has the rest.

Example: trim gateway --engines engines.toml --server 127.0.0.1:50051 --listen 127.0.0.1:8000""",
)

Options: Any = options_of(GatewaySettings)


@app.default
def run(
    *,
    config: Annotated[Path | None, Parameter(help="TOML file of settings; options override it")] = None,
    options: Annotated[Options, Parameter(name="*", negative="")] = None,
    as_json: AsJson = False,
) -> None:
    """Open the models and the planner, and serve them."""
    settings = GatewaySettings.read(config, {} if options is None else options.model_dump(exclude_unset=True))
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            raise InputError(
                "trim gateway", field=package, value="not installed", remedy="pip install 'trim-routing[gateway]'"
            )
    log_as_json(settings.log_level, worker=None)
    asyncio.run(_serve(settings, as_json=as_json))


async def _serve(settings: GatewaySettings, *, as_json: bool) -> None:
    from inference.gateway.router import open_router  # noqa: PLC0415  an extra
    from inference.gateway.server import serve  # noqa: PLC0415

    async with open_router(settings) as router:
        models = await router.models()

        def announce(address: str) -> None:
            url = f"{'https' if settings.tls else 'http'}://{address}/v1"
            if as_json:
                print_json({"listening": address, "url": url, "models": models})
            else:
                sys.stdout.write(f"gateway ready on {url}: {', '.join(models)}\n")
                sys.stdout.flush()

        await serve(settings, router, on_ready=announce, stop=asyncio.Event())
