"""The options that say where traces come from, and what they lead to."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kde.artefact import sha256_file
from kde.errors import InputError
from kde.hub import PREFIX, read_labels
from kde.model import ObservationModel
from kde.prefixes import MatchedTrace, match_scores
from kde.records import read_records
from kde.sequences import ScoreSequences, answered_sequences, labelled_sequences
from kde.traces import AnsweredTrace, ProblemText, ScoredTrace, exclude_problems


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class LabelOptions:
    """Labelled traces and their scores."""

    labels: Annotated[
        list[str] | None,
        Parameter(
            consume_multiple=True,
            negative="",
            help="labelled traces in ProcessBench's format: JSON, JSONL, or hf:NAME:SPLIT",
        ),
    ] = None
    scores: Annotated[
        list[Path] | None,
        Parameter(
            consume_multiple=True, negative="", help="JSONL of PRM scores: id, prm, scores (`trim score` writes it)"
        ),
    ] = None
    prm: Annotated[str | None, Parameter(help="which PRM's scores, where the files hold several")] = None
    exclude: Annotated[
        list[Path] | None,
        Parameter(consume_multiple=True, negative="", help="JSONL of problems to leave out, such as an evaluation set"),
    ] = None

    @property
    def given(self) -> bool:
        """Whether labels and scores are both named.

        Raises:
            InputError: only one of them is, or options stand without them.
        """
        if (self.labels is None) != (self.scores is None) or (self.labels is None and (self.prm or self.exclude)):
            remedy = "--labels and --scores go together, --prm and --exclude with them"
            raise InputError("kde", field="--labels", value=self.labels, remedy=remedy)
        return self.labels is not None


NO_LABELS = LabelOptions()


@dataclass(frozen=True, slots=True)
class LabelledData:
    """Labelled traces with their scores, and what was left out.

    Attributes:
        matched: the traces that have scores.
        inputs: files by role, for the provenance.
        unscored: labelled traces without scores.
        excluded: labelled traces of excluded problems.
    """

    matched: list[MatchedTrace]
    inputs: dict[str, Path]
    unscored: int
    excluded: int

    @property
    def left_out(self) -> dict[str, int]:
        """The last two by name."""
        return {"unscored": self.unscored, "excluded": self.excluded}


@dataclass(frozen=True, slots=True)
class SequenceData:
    """Score sequences, the files they are from by role, and labelled traces that were left out by reason."""

    sequences: ScoreSequences
    inputs: dict[str, Path]
    left_out: dict[str, int]

    def seen_by(self, model: ObservationModel) -> list[str]:
        """Remarks on files that the model's densities were fitted to as well: what is measured on them flatters the filters."""
        fitted = {one["sha256"] for one in model.provenance.get("inputs", {}).values()}
        return [
            f"{path.name} is in the model: its densities have seen these traces, so this is no judgement of new ones"
            for path in self.inputs.values()
            if sha256_file(path) in fitted
        ]


def read_labelled(options: LabelOptions) -> LabelledData:
    """Read what `options` names.

    Raises:
        InputError: naming the file and the place in it; or the scores are of several PRMs and none is chosen.
    """
    labels = [trace for reference in options.labels or () for trace in read_labels(reference)]
    repeated = [name for name, count in Counter(trace.id for trace in labels).items() if count > 1]
    if repeated:
        raise InputError("--labels", field="id", value=repeated[0], remedy="two files have it: each id is there once")
    files = options.scores or []
    scores = _of_one_prm([scored for file in files for scored in read_records(file, ScoredTrace)], options.prm)
    problems = [one.text for file in options.exclude or () for one in read_records(file, ProblemText)]
    kept = exclude_problems(labels, problems)
    excluded = {trace.id for trace in labels} - {trace.id for trace in kept}
    matched = match_scores(
        kept, [scored for scored in scores if scored.id not in excluded], source=", ".join(map(str, files))
    )
    local = [Path(reference) for reference in options.labels or () if not reference.startswith(PREFIX)]
    inputs = {f"labels {index}": path for index, path in enumerate(local)}
    inputs |= {f"scores {index}": path for index, path in enumerate(files)}
    inputs |= {f"exclude {index}": path for index, path in enumerate(options.exclude or ())}
    return LabelledData(matched, inputs, unscored=len(kept) - len(matched), excluded=len(excluded))


def read_sequences(traces: Path | None, options: LabelOptions, *, what: str) -> SequenceData:
    """Score sequences of answered traces, or of labelled ones.

    Raises:
        InputError: neither or both are given, or a file is not as it should be.
    """
    if (traces is not None) == options.given:
        raise InputError(what, field="traces", value=traces, remedy="give --traces, or --labels with --scores")
    if traces is not None:
        answered = answered_sequences(read_records(traces, AnsweredTrace), source=str(traces))
        return SequenceData(answered, {"traces": traces}, {})
    labelled = read_labelled(options)
    return SequenceData(labelled_sequences(labelled.matched), labelled.inputs, labelled.left_out)


def _of_one_prm(scores: list[ScoredTrace], prm: str | None) -> list[ScoredTrace]:
    known = sorted({scored.prm or "" for scored in scores})
    if prm is None and len(known) > 1:
        raise InputError("--scores", field="prm", value=known, remedy="choose one with --prm")
    if prm is not None and prm not in known:
        raise InputError("--scores", field="prm", value=prm, remedy=f"they are of {', '.join(known)}")
    return [scored for scored in scores if prm in {None, scored.prm}]
