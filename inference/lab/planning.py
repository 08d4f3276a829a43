"""From the lab's models to what the planner needs: traces, labels and PRM scores, observation model, dynamics, policy table.

Runs and scores resume; what is computed from them is computed again, which takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.cells import Cell, CellRunner
from inference.lab.labelling import label_episodes, write_labels
from inference.lab.language import Mix
from inference.lab.shipped import lab_prm_name, lab_problems
from inference.scoring import labelled_job, score_traces
from kde.artefact import provenance
from kde.dynamics import labelled_dynamics
from kde.model import ObservationModel, fit_observation_model
from kde.prefixes import class_samples, match_scores
from kde.records import read_records
from kde.traces import LabelledTrace, ScoredTrace
from planner.exact import solve_exact
from planner.local import LocalPlanner
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable, tabulate

CALIBRATION_SEED = 1
"""Stream of the lab problems that planners are fitted on; nothing is evaluated on them."""


@dataclass(frozen=True, slots=True)
class LabPlanning:
    """How the lab's planner is made.

    Attributes:
        out: directory of the observation model, the dynamics and the table.
        problems: how many problems the two generators solve for it.
        lambdas: prices of the table, reward per strong token.
        cell: side of the observation model's cells.
        mix: of the problems' operations.
    """

    out: Path
    problems: int
    lambdas: Sequence[float]
    cell: float
    mix: Mix = Mix.STANDARD

    async def prepare(self, runner: CellRunner) -> tuple[ObservationModel, PolicyTable]:
        """From the two generators alone to the planner's table."""
        folder = self.out / "calibration"
        problems = lab_problems(self.problems, seed=CALIBRATION_SEED, mix=self.mix)
        traces = {}
        for name in ("weak", "strong"):
            cell = Cell(folder / name, name, CALIBRATION_SEED, problems)
            traces[name] = label_episodes(await runner.episodes(cell, LocalPlanner(None)), problems, generator=name)
            write_labels(folder / f"{name}.jsonl", traces[name])
        model = await self._fit(runner, traces["weak"], folder)
        dynamics = labelled_dynamics(traces["weak"], traces["strong"], max_steps=runner.limits.max_steps)
        dynamics.save(self.out / "dynamics.json")
        pomdp = RoutingPOMDP.assemble(model.cells, dynamics, belief_filter=model.filter)
        return model, self._solve(runner, pomdp)

    async def _fit(self, runner: CellRunner, traces: list[LabelledTrace], folder: Path) -> ObservationModel:
        labels, scores = folder / "weak.jsonl", folder / "scores.jsonl"
        task = runner.progress.add_task("PRM scores", total=len(traces), note="")
        job = labelled_job(traces, prm=lab_prm_name())
        await score_traces(runner.fleet.scorer, job, scores, on_trace=lambda: runner.progress.advance(task))
        runner.progress.update(task, completed=len(traces))
        samples = class_samples(match_scores(traces, read_records(scores, ScoredTrace), source=str(scores)))
        origin = provenance({"labels": labels, "scores": scores}, {"bandwidth": "scott", "cell": self.cell})
        model = fit_observation_model(samples, cell=self.cell, provenance=origin)
        model.save(self.out / "model")
        return model

    def _solve(self, runner: CellRunner, pomdp: RoutingPOMDP) -> PolicyTable:
        task = runner.progress.add_task("solving the POMDP", total=len(self.lambdas), note="")
        solutions = solve_exact(pomdp, self.lambdas, on_solved=lambda _: runner.progress.advance(task))
        inputs = {"observation_model": self.out / "model" / "model.json", "dynamics": self.out / "dynamics.json"}
        table = tabulate(pomdp, solutions, provenance=provenance(inputs, {"solver": "exact"}))
        table.save(self.out / "table")
        return table
