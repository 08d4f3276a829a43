"""`trim route`: generate routed solutions of problems."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from inference.ending import Limits
from inference.engines.settings import EnginesFile
from inference.episode import EpisodeSettings
from inference.evaluate.calibrated_policy import CalibratedPolicy, calibrated_at
from inference.fleet import EngineKind, engines_at, open_fleet
from inference.lab.language import Mix
from inference.lab.planner import lab_planner
from inference.lab.shipped import lab_places, lab_problems
from inference.meters import Meters
from inference.problem_sets import PROBLEM_SETS, read_problem_set
from inference.problems import Problem
from inference.progress import EpisodeTally, MetersView
from inference.records import read_episodes
from inference.route import describe_run, fingerprint_of, open_planner, route
from inference.route_summary import summarise_run, summarise_session
from inference.runner import Run
from kde.errors import InputError
from kde.records import read_records
from kde.terminal import AsJson, live_progress, print_json, print_table
from planner.local import LocalPlanner

app = App(
    name="route",
    help_epilogue=f"""\
M_w proposes a step, the PRM scores it, the planner decides, and M_s rewrites it where the planner says so.
A finished run is parquet in OUT/episodes; the same command again goes on with one that was stopped or killed.
Benchmarks by name, from local files below --data: {", ".join(PROBLEM_SETS)}.

Example: trim route --lab --problems 100 --policy thr:0.5 --out runs/thr""",
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Where the models are: a TOML file, or directories and URLs of vLLM servers."""

    engines: Annotated[Path | None, Parameter(help="TOML file of the models, instead of the options below")] = None
    lab: Annotated[
        bool, Parameter(negative="", help="use the lab's shipped models, and its problems if --problems is a number")
    ] = False
    weak: Annotated[str | None, Parameter(help="M_w: model directory or URL")] = None
    strong: Annotated[str | None, Parameter(help="M_s: model directory or URL")] = None
    prm: Annotated[str | None, Parameter(help="process reward model: directory or URL")] = None
    engine: Annotated[
        EngineKind | None,
        Parameter(
            help="what runs the directories: transformers or vllm here, or vllm-server, started for the run [transformers]"
        ),
    ] = None
    temperature: Annotated[float | None, Parameter(help="sampling temperature, 0 is greedy [0.7]")] = None
    max_step_tokens: Annotated[int | None, Parameter(help="token limit of a step [512]")] = None

    def settings(self) -> EnginesFile:
        """The models that these options describe.

        Raises:
            InputError: an option is out of range, or stands beside a file that speaks for it.
        """
        places = {"weak": self.weak, "strong": self.strong, "prm": self.prm}
        sampling = {"temperature": self.temperature, "max_step_tokens": self.max_step_tokens}
        given = {name: value for name, value in (places | sampling).items() if value is not None}
        if self.engines is not None:
            for name, value in (given | ({"lab": True} if self.lab else {})).items():
                remedy = f"{self.engines} says where the models are: give one of them"
                raise InputError("route", field=f"--{name.replace('_', '-')}", value=value, remedy=remedy)
            return EnginesFile.load(self.engines)
        named = {name: str(given[name]) for name in places if name in given}
        return engines_at(
            (lab_places() if self.lab else {}) | named,
            self.engine or EngineKind.TRANSFORMERS,
            {name: given[name] for name in sampling if name in given},
        )


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which problems."""

    problems: Annotated[
        str,
        Parameter(help="JSONL of id, problem, answer; a benchmark's name; with --lab also a number of fresh problems"),
    ]
    data: Annotated[Path | None, Parameter(help="folder with bench/ of benchmarks by name [TRIM_DATA]")] = None
    limit: Annotated[int | None, Parameter(validator=Number(gte=1), help="only the first of them")] = None
    mix: Annotated[Mix | None, Parameter(help="with --lab and a number: how often each operation comes [standard]")] = (
        None
    )

    def read(self, seed: int, *, lab: bool) -> list[Problem]:
        """The problems, in order.

        Raises:
            InputError: they cannot be read.
        """
        return self._all(seed, lab=lab)[: self.limit]

    def name(self, *, lab: bool) -> str:
        """What the problems are called: their benchmark, the lab and its mix, or their file."""
        if lab and self.problems.isdecimal():
            return f"lab-{self.mix or Mix.STANDARD}"
        return self.problems if self.problems in PROBLEM_SETS else Path(self.problems).name

    def _all(self, seed: int, *, lab: bool) -> list[Problem]:
        if lab and self.problems.isdecimal():
            if int(self.problems) < 1:
                raise InputError("route", field="--problems", value=self.problems, remedy="at least 1")
            return lab_problems(int(self.problems), seed=seed, mix=self.mix or Mix.STANDARD)
        if self.mix is not None:
            remedy = "only fresh problems of the lab have a mix: give --lab and a number of --problems"
            raise InputError("route", field="--mix", value=self.mix.value, remedy=remedy)
        if self.problems in PROBLEM_SETS:
            return read_problem_set(self.problems, self.data)
        return read_records(Path(self.problems), Problem)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """Who decides."""

    server: Annotated[str | None, Parameter(help="HOST:PORT of a planner")] = None
    tables: Annotated[
        Path | None, Parameter(help="directory of a policy table, instead of --server [with --lab: the lab's own]")
    ] = None
    fallback: Annotated[
        str | None,
        Parameter(help="what decides while the planner is away: continue, thr:0.4, table or table,thr:0.4 [stop]"),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How long an episode may go on."""

    max_steps: Annotated[int, Parameter(validator=Number(gte=1), help="T, the step limit")] = 30
    max_repeats: Annotated[
        int, Parameter(validator=Number(gte=1), help="steps in a row equal to the one before that end an episode")
    ] = 3
    deadline: Annotated[
        float | None, Parameter(validator=Number(gt=0), help="seconds after which an episode ends as it is")
    ] = None

    def limits(self) -> Limits:
        """The same for episodes."""
        return Limits(self.max_steps, self.max_repeats, self.deadline)


@app.default
def run(
    *,
    asked: Asked,
    policy: Annotated[str, Parameter(help="weak, strong, thr:0.5, pomdp:0.0025, ..., or @FILE of `trim calibrate`")],
    out: Annotated[Path, Parameter(help="directory of the run; a run that was stopped goes on")],
    models: Models = Models(),
    deciding: Deciding = Deciding(),
    lengths: Lengths = Lengths(),
    seed: Annotated[
        int, Parameter(validator=Number(gte=0, lt=2**31), help="of the sampling, and of the lab's problems")
    ] = 0,
    concurrency: Annotated[int, Parameter(validator=Number(gte=1), help="problems in flight")] = 64,
    prefill: Annotated[bool, Parameter(help="let M_s take in the accepted prefix while M_w decodes")] = True,
    as_json: AsJson = False,
) -> None:
    """Solve problems step by step under one policy."""
    problems, engines = asked.read(seed, lab=models.lab), models.settings()
    calibrated = calibrated_at(policy)
    chosen = policy if calibrated is None else calibrated.policy
    settings = EpisodeSettings(chosen, seed, lengths.limits(), fingerprint_of(engines.describe()), prefill)
    job = _Job(problems, settings, calibrated, engines, deciding, out, concurrency, lab=models.lab)
    session = asyncio.run(job.finish())
    _report(out, session, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Job:
    problems: Sequence[Problem]
    settings: EpisodeSettings
    calibrated: CalibratedPolicy | None
    engines: EnginesFile
    deciding: Deciding
    out: Path
    concurrency: int
    lab: bool

    async def finish(self) -> dict[str, Any] | None:
        """Solve what remains, and say how that went; None if nothing does."""
        deciding = self.deciding
        alone = self.lab and deciding.server is None and deciding.tables is None
        own = lab_planner(self.settings.policy) if alone else LocalPlanner(None)
        async with open_planner(deciding.server, deciding.tables, fallback=deciding.fallback, otherwise=own) as planner:
            described = await describe_run(planner, self.settings, self.engines.describe())
            if self.calibrated is not None:
                self.calibrated.check_table(described["table"])
            run = Run(self.out, described, self.problems)
            remaining = len(run.remaining())
            if not remaining:
                return None
            async with open_fleet(self.engines, self.out / "logs") as fleet:
                meters = Meters()
                with live_progress(MetersView(meters)) as progress:
                    done = len(self.problems) - remaining
                    tally = EpisodeTally(progress, self.settings.policy, total=len(self.problems), done=done)
                    await route(
                        run,
                        fleet,
                        planner,
                        self.settings,
                        concurrency=self.concurrency,
                        meters=meters,
                        on_episode=tally.add,
                    )
                return summarise_session(meters, problems=remaining)


def _report(out: Path, session: dict[str, Any] | None, *, as_json: bool) -> None:
    summary = summarise_run(read_episodes(out / "episodes"))
    if as_json:
        print_json({"out": str(out), **summary, "session": session})
        return
    latencies = summary.pop("latency_seconds")
    endings = ", ".join(f"{ending} {count}" for ending, count in summary.pop("endings").items())
    rows = [*summary.items(), ("endings", endings)]
    rows += [(name, value) for name, value in (session or {}).items() if name.endswith("per_second")]
    print_table(f"Episodes in {out / 'episodes'}", ("of this run", "value"), rows)
    waits = [(name, 1000 * wait["p50"], 1000 * wait["p95"]) for name, wait in latencies.items()]
    print_table("Waits", ("for", "p50 ms", "p95 ms"), waits)
