"""From the command line's options to a routing POMDP, with the files behind it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import ValidationError

from kde.artefact import provenance
from kde.dynamics import Dynamics
from kde.errors import InputError
from kde.filter import BAYES, BeliefFilter, Features, FilterKind
from kde.hazard import load_hazard
from kde.model import ObservationModel
from kde.reference import read_reference_cells
from kde.samples import Array
from kde.tokens import TokenModel
from planner.pomdp import RoutingPOMDP, StepProbability, Transitions


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What there is to solve: observations from a model or from cells, dynamics from a file or option by option."""

    description: Annotated[
        Path | None,
        Parameter(name="--pomdp", help="JSON file of a whole POMDP, as `export` writes it; instead of all others"),
    ] = None
    observation_model: Annotated[Path | None, Parameter(help="directory written by `trim kde fit`")] = None
    observation_cells: Annotated[
        Path | None, Parameter(help="npz file of cells, Sk_probs and Sk_points, instead of --observation-model")
    ] = None
    dynamics: Annotated[Path | None, Parameter(help="JSON file written by `trim kde dynamics`")] = None
    p_weak: Annotated[
        str | None, Parameter(help="p_w, or one a step with commas between them; instead of --dynamics")
    ] = None
    p_strong: Annotated[str | None, Parameter(help="p_s, likewise")] = None
    hazard: Annotated[str | None, Parameter(help="FILE.json:KEY, instead of --dynamics")] = None
    tokens: Annotated[str | None, Parameter(help="60, or bins with weights 10:0.2,60:0.8; instead of --dynamics")] = (
        None
    )
    max_steps: Annotated[int | None, Parameter(help="T; by default the length of the hazard, which must agree")] = None
    transitions: Annotated[Transitions, Parameter(help="what follows on a decision")] = Transitions.TWO_STAGE
    filter: Annotated[FilterKind | None, Parameter(help="belief filter; by default the observation model's")] = None
    filter_features: Annotated[
        Features | None, Parameter(help="scores that --filter tempered believes: joint unless given")
    ] = None
    filter_exponent: Annotated[float | None, Parameter(help="power of the likelihood under --filter tempered")] = None

    def pomdp(self) -> RoutingPOMDP:
        """What is to be solved.

        Raises:
            InputError: options are missing, exclude each other or are out of range.
        """
        if self.description is not None:
            return self._described(self.description)
        cells, fitted = self._observations()
        chosen = self._filter(fitted)
        if self.dynamics is not None:
            self._refuse_both()
            pomdp = RoutingPOMDP.assemble(cells, Dynamics.load(self.dynamics), belief_filter=chosen)
        else:
            pomdp = self._from_options(cells, chosen)
        if self.max_steps not in {None, pomdp.max_steps}:
            remedy = f"--max-steps is {self.max_steps}: one probability for each step"
            raise InputError("tables build", field="hazard", value=f"{pomdp.max_steps} steps long", remedy=remedy)
        return pomdp if self.transitions is pomdp.transitions else _with_transitions(pomdp, self.transitions)

    def inputs(self) -> dict[str, Any]:
        """Name and SHA-256 of every file read, by role."""
        hazard = None if self.hazard is None else Path(self.hazard.rpartition(":")[0])
        model = None if self.observation_model is None else self.observation_model / "model.json"
        files = {
            "pomdp": self.description,
            "observation_model": model,
            "observation_cells": self.observation_cells,
            "dynamics": self.dynamics,
            "hazard": hazard,
        }
        read = provenance({role: path for role, path in files.items() if path is not None}, {})
        return dict(read["inputs"])

    def _described(self, path: Path) -> RoutingPOMDP:
        if replace(self, description=None) != ModelOptions():
            remedy = "it describes everything: give no other option of the POMDP"
            raise InputError("tables build", field="--pomdp", value=str(path), remedy=remedy)
        try:
            return RoutingPOMDP.from_json(path.read_bytes(), source=path)
        except OSError as error:
            remedy = "name a file that `trim tables export` wrote"
            raise InputError(path, field="file", value=error.strerror, remedy=remedy) from error

    def _observations(self) -> tuple[Array, BeliefFilter]:
        if self.observation_model is not None and self.observation_cells is None:
            model = ObservationModel.load(self.observation_model)
            return model.cells, model.filter
        if self.observation_cells is not None and self.observation_model is None:
            return read_reference_cells(self.observation_cells), BAYES
        remedy = "give one of --observation-model and --observation-cells"
        raise InputError("tables build", field="observations", value=self.observation_model, remedy=remedy)

    def _filter(self, fitted: BeliefFilter) -> BeliefFilter:
        if self.filter is None:
            if self.filter_features is not None or self.filter_exponent is not None:
                raise InputError("tables build", field="--filter", value=None, remedy="name the filter to change it")
            return fitted
        given = {"features": self.filter_features, "exponent": self.filter_exponent}
        try:
            return BeliefFilter(kind=self.filter, **{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise InputError.of_validation("--filter", error) from error

    def _refuse_both(self) -> None:
        if (self.p_weak, self.p_strong, self.hazard, self.tokens) != (None, None, None, None):
            remedy = "give --dynamics, or all of --p-weak --p-strong --hazard --tokens"
            raise InputError("tables build", field="dynamics", value=str(self.dynamics), remedy=remedy)

    def _from_options(self, cells: Array, chosen: BeliefFilter) -> RoutingPOMDP:
        if self.p_weak is None or self.p_strong is None or self.hazard is None or self.tokens is None:
            remedy = "give --dynamics, or all of --p-weak --p-strong --hazard --tokens"
            raise InputError("tables build", field="dynamics", value=None, remedy=remedy)
        return RoutingPOMDP(
            cells=cells,
            p_weak=_parse_probability("--p-weak", self.p_weak),
            p_strong=_parse_probability("--p-strong", self.p_strong),
            hazard=load_hazard(self.hazard),
            tokens=_parse_tokens(self.tokens),
            filter=chosen,
        )


def _with_transitions(pomdp: RoutingPOMDP, transitions: Transitions) -> RoutingPOMDP:
    return RoutingPOMDP.described(pomdp.cells, pomdp.description() | {"transitions": transitions})


def _parse_probability(option: str, text: str) -> StepProbability:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(option, field="p", value=text, remedy="write 0.87, or one a step: 0.9,0.88,0.85") from error
    return values[0] if len(values) == 1 else values


def _parse_tokens(text: str) -> TokenModel:
    pairs = [part.partition(":") for part in text.split(",")]
    try:
        bins = [(float(count), float(weight) if colon else 1.0) for count, colon, weight in pairs]
    except ValueError as error:
        raise InputError("--tokens", field="bins", value=text, remedy="write 60, or 10:0.2,60:0.8") from error
    try:
        return TokenModel(counts=tuple(count for count, _ in bins), weights=tuple(weight for _, weight in bins))
    except ValidationError as error:
        raise InputError.of_validation("--tokens", error) from error
