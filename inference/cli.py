"""The `trim` command. Sub-commands load when they are used."""

import logging
import signal
import sys
from importlib.metadata import version
from typing import NoReturn

from cyclopts import App, CycloptsError

from kde.errors import TrimError

app = App(
    name="trim",
    help="Stepwise routing between a cheap and an expensive language model, planned as a small POMDP over PRM scores.",
    version=lambda: version("trim-routing"),
)
app.command("planner.cli.kde:app", name="kde", help="Fit, judge and report observation models and dynamics.")
app.command(
    "planner.cli.tables:app", name="tables", help="Build, show, verify, compare, export and calibrate policy tables."
)
app.command("planner.cli.train:app", name="train", help="Learn policies by proximal policy optimisation.")
app.command("planner.cli.serve:app", name="serve", help="Serve decisions over gRPC.")
app.command("planner.cli.decide:app", name="decide", help="Ask a planner, or a local table, for one decision.")
app.command("planner.cli.health:app", name="health", help="Ask a planner whether it is ready.")
app.command("planner.cli.replay:app", name="replay", help="Replay a decision log against other tables.")
app.command("inference.route_cli:app", name="route", help="Generate routed solutions of problems.")
app.command("inference.score_cli:app", name="score", help="Score labelled traces with a process reward model.")
app.command("inference.evaluate.evaluate_cli:app", name="evaluate", help="Compare policies on the same problems.")
app.command("inference.evaluate.report_cli:app", name="report", help="Report what policies cost for what they gain.")
app.command(
    "inference.evaluate.calibrate_cli:app", name="calibrate", help="Find the setting that meets a cost or a gain."
)
app.command("inference.baselines.cli:app", name="routers", help="Train and judge query-level routers.")
app.command("inference.engines_cli:app", name="engines", help="Start, supervise and check the models' servers.")
app.command("inference.gateway.cli:app", name="gateway", help="Serve routed generations to OpenAI clients.")
app.command("inference.lab.cli:app", name="lab", help="The routing laboratory: a synthetic task with real models.")
app.command("inference.demo.cli:app", name="demo", help="The main job from nothing: fit, solve, serve, route, report.")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line (the process's own, unless given): errors of the user are one line on standard error and status 2."""
    logging.getLogger("stamina").setLevel(logging.ERROR)  # a retry that works out is nobody's business here
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _leave)
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _refuse(f"{error} See `trim --help`.")
    except TrimError as error:
        _refuse(str(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        _refuse(f"{error.filename or 'system'}: {error.strerror or error}")


def _leave(*_: object) -> None:
    """As after Ctrl-C: keep what is finished, stop what was started. A shell's background jobs do not hear Ctrl-C, but they hear this."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"trim: {' '.join(message.split())}\n")
    sys.exit(2)
