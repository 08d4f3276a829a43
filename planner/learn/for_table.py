"""A learner trained for one price of a policy table, once: what is there is not trained again, what was stopped goes on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from kde.artefact import ArtefactKind, read_artefact
from kde.errors import ArtefactError
from planner.learn.judge import Bench
from planner.learn.result import finish
from planner.learn.sequence import SEQUENCE
from planner.learn.settings import Learner, Preset, TrainingSettings
from planner.learn.training import Progress, Training
from planner.policies.learned import LEARNED
from planner.table import PolicyTable

JUDGE_SEED: Final = 2**31
"""Of episodes that no training run plays: those have three numbers."""
_JUDGED: Final = 50_000
_KINDS: Final[dict[Learner, ArtefactKind]] = {Learner.AGG: LEARNED, Learner.SEQ: SEQUENCE}


def train_for_table(
    table: PolicyTable,
    lam: float,
    learner: Learner,
    out: Path,
    *,
    changes: dict[str, Any] | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Train a learner in simulation on a table's POMDP and write its artefact, judged, to `out`.

    Args:
        table: its POMDP is played.
        lam: lambda, the price of a strong token.
        learner: which one; `out` is then served as `agg:LAMBDA`, or read by `planner.learn.sequence_policy`.
        out: directory of the result.
        changes: of the default settings.
        on_progress: hears of every iteration; of the last one where the result is there already.

    Raises:
        InputError: a change is out of range, or the same run is under way in another process.
    """
    settings = TrainingSettings.of(Preset.DEFAULT, learner, changes or {})
    training = Training(table.pomdp, lam, learner, settings, seed=0)
    inputs = {"table": {"content_hash": table.content_hash}}
    if _is_there(out, _KINDS[learner], inputs, training.parameters()):
        on_progress(Progress(settings.iterations, settings.iterations, {}))
        return
    trained = training.run(out, on_progress=on_progress)
    bench = Bench.of(table.pomdp, lam, episodes=_JUDGED, seed=JUDGE_SEED)
    finish(training, trained, bench, inputs=inputs, out=out)
    training.forget(out)


def _is_there(out: Path, kind: ArtefactKind, inputs: dict[str, Any], parameters: dict[str, Any]) -> bool:
    try:
        found = read_artefact(out, kind).body["provenance"]
    except ArtefactError:
        return False
    return bool((found["inputs"], found["parameters"]) == (inputs, json.loads(json.dumps(parameters))))
