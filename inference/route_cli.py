"""`trim route`: generate routed solutions of problems."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from inference.ending import Limits
from inference.engines.settings import EnginesFile
from inference.episode import EpisodeSettings
from inference.fleet import EngineKind, engines_at, open_fleet
from inference.lab.shipped import lab_places, lab_problems
from inference.problems import Problem
from inference.progress import EpisodeTally
from inference.records import read_episodes
from inference.route import describe_run, fingerprint_of, open_planner, route
from inference.runner import Run
from kde.errors import InputError
from kde.records import read_records
from kde.terminal import AsJson, live_progress, print_json, print_table

app = App(
    name="route",
    help_epilogue="""\
M_w proposes a step, the PRM scores it, the planner decides, and M_s rewrites it where the planner says so.
A finished run is parquet in OUT/episodes; the same command again goes on with one that was stopped or killed.

Example: trim route --lab --problems 100 --policy thr:0.5 --out runs/thr""",
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Where the models are: directories, or URLs of vLLM servers."""

    lab: Annotated[
        bool, Parameter(negative="", help="use the lab's shipped models, and its problems if --problems is a number")
    ] = False
    weak: Annotated[str | None, Parameter(help="M_w: model directory or URL")] = None
    strong: Annotated[str | None, Parameter(help="M_s: model directory or URL")] = None
    prm: Annotated[str | None, Parameter(help="process reward model: directory or URL")] = None
    engine: Annotated[EngineKind, Parameter(help="what runs the directories")] = EngineKind.TRANSFORMERS
    temperature: Annotated[float, Parameter(help="sampling temperature, 0 is greedy")] = 0.7
    max_step_tokens: Annotated[int, Parameter(help="token limit of a step")] = 512

    def settings(self) -> EnginesFile:
        """The fleet that these options describe.

        Raises:
            InputError: an option is out of range.
        """
        named = {"weak": self.weak, "strong": self.strong, "prm": self.prm}
        places = (lab_places() if self.lab else {}) | {
            name: place for name, place in named.items() if place is not None
        }
        sampling = {"temperature": self.temperature, "max_step_tokens": self.max_step_tokens}
        return engines_at(places, self.engine, sampling)


@app.default
def run(
    *,
    problems: Annotated[
        str, Parameter(help="JSONL of id, problem, answer; with --lab also a number of fresh lab problems")
    ],
    policy: Annotated[str, Parameter(help="weak, strong, thr:0.5, pomdp:0.0025, pomdp-memoryless:0.0025")],
    out: Annotated[Path, Parameter(help="directory of the run; a run that was stopped goes on")],
    models: Models = Models(),
    server: Annotated[str | None, Parameter(help="HOST:PORT of a planner")] = None,
    tables: Annotated[Path | None, Parameter(help="directory of a policy table, instead of --server")] = None,
    seed: Annotated[
        int, Parameter(validator=Number(gte=0, lt=2**31), help="of the sampling, and of the lab's problems")
    ] = 0,
    max_steps: Annotated[int, Parameter(validator=Number(gte=1), help="T, the step limit")] = 30,
    concurrency: Annotated[int, Parameter(validator=Number(gte=1), help="problems in flight")] = 64,
    as_json: AsJson = False,
) -> None:
    """Solve problems step by step under one policy."""
    chosen = _problems(problems, seed, lab=models.lab)
    fleet = models.settings()
    settings = EpisodeSettings(policy, seed, Limits(max_steps), fingerprint_of(fleet.describe()))
    asyncio.run(_route(chosen, settings, fleet, server=server, tables=tables, out=out, concurrency=concurrency))
    _report(out, as_json=as_json)


async def _route(
    problems: Sequence[Problem],
    settings: EpisodeSettings,
    models: EnginesFile,
    *,
    server: str | None,
    tables: Path | None,
    out: Path,
    concurrency: int,
) -> None:
    async with open_planner(server, tables) as planner:
        run = Run(out, await describe_run(planner, settings, models.describe()), problems)
        remaining = len(run.remaining())
        if not remaining:
            return
        async with open_fleet(models, out / "logs") as fleet:
            with live_progress() as progress:
                tally = EpisodeTally(progress, settings.policy, total=len(problems), done=len(problems) - remaining)
                await route(run, fleet, planner, settings, concurrency=concurrency, on_episode=tally.add)


def _problems(source: str, seed: int, *, lab: bool) -> Sequence[Problem]:
    if lab and source.isdigit():
        if int(source) < 1:
            raise InputError("route", field="--problems", value=source, remedy="at least 1")
        return lab_problems(int(source), seed=seed)
    return read_records(Path(source), Problem)


def _report(out: Path, *, as_json: bool) -> None:
    episodes = read_episodes(out / "episodes")
    summary = {
        "out": str(out),
        "episodes": episodes.height,
        "accuracy": episodes["correct"].mean(),
        "strong_tokens": episodes["strong_tokens"].mean(),
        "weak_tokens": episodes["weak_tokens"].mean(),
        "discarded_tokens": episodes["discarded_tokens"].mean(),
    }
    if as_json:
        print_json(summary)
    else:
        print_table(
            f"Episodes in {out / 'episodes'}",
            ("per problem", "value"),
            [(k, v) for k, v in summary.items() if k != "out"],
        )
