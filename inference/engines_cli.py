"""`trim engines`: start the servers of a file of engines, check them, and show such a file."""

import asyncio
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from inference.engines.settings import EnginesFile
from inference.lab.shipped import lab_engines_file
from inference.serving_plan import planned_servers
from inference.supervisor import RestartRules, supervise
from inference.vllm_server import ServerProcess, require_vllm
from kde.terminal import AsJson, live_progress, print_json, print_lines, print_table

if TYPE_CHECKING:
    from rich.progress import Progress

_NOTE = 80
_FOLLOW_SECONDS = 0.5

app = App(
    name="engines",
    help="Start, supervise and check the servers of the models.",
    help_epilogue="""\
Example: trim engines example > engines.toml, then trim engines up engines.toml, and in another terminal
trim engines check engines.toml. docs/generation.md explains every setting.""",
)


@app.command
def example(
    *,
    first_port: Annotated[int, Parameter(validator=Number(gte=1, lte=65533), help="of three in a row")] = 8001,
) -> None:
    """Print a file of engines that serves the lab's models on the CPU."""
    sys.stdout.write(lab_engines_file(first_port))


@app.command
def up(
    file: Annotated[Path, Parameter(help="TOML file of engines")],
    *,
    logs: Annotated[Path, Parameter(help="directory for the servers' logs")] = Path("engine-logs"),
    ready_seconds: Annotated[float, Parameter(validator=Number(gt=0), help="what a server gets to start")] = 1800,
    as_json: AsJson = False,
) -> None:
    """Start a vLLM server for every URL of the models with a [*.serve] table, and keep them running until Ctrl-C or SIGTERM.

    A server that dies is started again; one that dies three times within a minute of its start ends them all.
    """
    require_vllm("trim engines up")
    servers = planned_servers(file, EnginesFile.load(file), logs)
    asyncio.run(_run(servers, RestartRules(ready_seconds=ready_seconds), as_json=as_json))


async def _run(servers: list[ServerProcess], rules: RestartRules, *, as_json: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def ready() -> None:
        if as_json:
            places = [{"name": one.model.name, "url": one.url, "pid": one.pid, "log": str(one.log)} for one in servers]
            print_json({"ready": True, "servers": places})
        else:
            print_lines(f"{server.model.name} ready on {server.url}, log {server.log}" for server in servers)
            sys.stdout.flush()

    with live_progress() as progress:
        display = _Display(progress, servers)
        following = asyncio.create_task(display.follow())
        try:
            await supervise(servers, rules, report=display.report, on_ready=ready, stop=stop)
        finally:
            following.cancel()


class _Display:
    """A live line a server, with the newest line of its log while it starts; deaths are lines of their own."""

    def __init__(self, progress: "Progress", servers: list[ServerProcess]) -> None:
        self._progress = progress
        self._tasks = {server.model.name: progress.add_task(server.model.name, total=1, note="") for server in servers}
        self._starting: dict[str, ServerProcess] = {}

    def report(self, server: ServerProcess, news: str) -> None:
        """Show what has become of a server."""
        name = server.model.name
        if news == "starting":
            self._starting[name] = server
        else:
            self._starting.pop(name, None)
        self._progress.update(self._tasks[name], completed=int(news == "ready"), note=news[:_NOTE])
        if news not in {"starting", "ready"}:
            self._progress.console.print(f"{name} {news}", markup=False, soft_wrap=True)

    async def follow(self) -> None:
        """Show what the logs of starting servers say, until cancelled."""
        while True:
            for name, server in self._starting.items():
                *_, newest = ["starting", *server.last_lines()]
                self._progress.update(self._tasks[name], note=newest[-_NOTE:])
            await asyncio.sleep(_FOLLOW_SECONDS)


@app.command
def check(
    file: Annotated[Path, Parameter(help="TOML file of engines")],
    *,
    as_json: AsJson = False,
) -> None:
    """Send one real request to every engine, and say what is wrong. The exit status is 2 if anything is."""
    from inference.engine_check import check_engines, same_vocabulary  # noqa: PLC0415  what it asks with takes its time

    findings = asyncio.run(check_engines(EnginesFile.load(file)))
    same = same_vocabulary(findings)
    wrong = [finding for finding in findings if finding.problem]
    if as_json:
        print_json({"ok": not wrong, "same_vocabulary": same, "engines": [asdict(finding) for finding in findings]})
    else:
        rows = [
            (one.engine, one.place, one.model, one.context or "", "wrong" if one.problem else "answers")
            for one in findings
        ]
        print_table(f"Engines of {file}", ("engine", "place", "model", "context", "state"), rows)
        print_lines(
            [_VOCABULARIES[same], *(f"{one.engine} at {one.place}: {one.problem}; {one.remedy}" for one in wrong)]
        )
    if wrong:
        sys.exit(2)


_VOCABULARIES = {
    True: "M_w and M_s share their vocabulary: a prefix is its token ids.",
    False: "M_w and M_s have different vocabularies: each tokenises the other's text.",
    None: "Whether M_w and M_s share their vocabulary is not known: prefixes are text.",
}
