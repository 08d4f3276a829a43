"""A routing POMDP at one price as plain arrays T, Z, R, b0, for solvers that know nothing of routing (DESIGN section 5).

States are (step, class, final flag, token bin), a start before the first proposal and an absorbing end; every observation shows cell, final
flag and token bin, and the end has an observation of its own. The step needs none: it advances at every decision, so a belief never
spreads over two steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, Self

import numpy as np

from kde.errors import InputError
from kde.samples import Array, StepClass
from planner.decision import Belief
from planner.pomdp import RoutingPOMDP, check_lambda

ACTIONS = ("continue", "regenerate")
DISCOUNT = 1 - 1e-6
"""Generic solvers need a discount below 1; the horizon is so short that this one costs nothing."""


class State(NamedTuple):
    """A proposal in its hidden class; `bin` -1 is a proposal whose tokens are known, at the belief that a solve starts from."""

    step: int
    step_class: StepClass
    final: bool
    bin: int

    @property
    def label(self) -> str:
        """Name in files."""
        ending = "final" if self.final else "open"
        return f"t{self.step}-{self.step_class.key}-{ending}-" + ("now" if self.bin < 0 else f"c{self.bin}")


@dataclass(frozen=True, slots=True)
class Now:
    """A decision to start from, instead of the start of an episode.

    Attributes:
        step: t of the proposal, before the last.
        belief: over the classes.
        tokens: c_t of the proposal, which does not end the answer.
    """

    step: int
    belief: Belief
    tokens: float


@dataclass(frozen=True, slots=True)
class ExplicitPOMDP:
    """Arrays of a finite POMDP.

    Attributes:
        states: [n_s - 2 or n_s - 1] the states in between: after the start, if there is one, and before the end, which is last.
        has_start: whether state 0 is the start; otherwise the first three states are the decision to start from.
        transition: [n_s, n_a, n_s], T(s, a, s').
        observation: [n_s, n_o], Z(s', o), the same for both actions; observation (cell, final, bin) is number
            (cell * 2 + final) * n_bins + bin, and the last one is the end.
        reward: [n_s, n_a], R(s, a).
        initial: [n_s], b0.
        discount: in (0, 1).
        lam: the price in `reward`.
    """

    states: tuple[State, ...]
    has_start: bool
    transition: Array
    observation: Array
    reward: Array
    initial: Array
    discount: float
    lam: float

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all states."""
        start = ("start",) if self.has_start else ()
        return (*start, *(state.label for state in self.states), "end")

    def number(self, state: State) -> int:
        """Place of a state."""
        return self.states.index(state) + self.has_start

    def arrays(self) -> dict[str, Array]:
        """T, Z, R and b0 by name."""
        return {"T": self.transition, "Z": self.observation, "R": self.reward, "b0": self.initial}

    @classmethod
    def of(cls, pomdp: RoutingPOMDP, lam: float, *, now: Now | None = None, discount: float = DISCOUNT) -> Self:
        """The POMDP from the start of an episode, or from a decision in the middle of one.

        Raises:
            InputError: lambda is not a positive number, or `now` is not before the last step.
        """
        check_lambda(lam, source="POMDP")
        if now is not None and not 1 <= now.step < pomdp.max_steps:
            raise InputError("POMDP", field="step", value=now.step, remedy=f"1 to {pomdp.max_steps - 1}")
        writer = _Writer(pomdp, lam, now)
        return cls(writer.states, now is None, *writer.arrays(), discount, lam)


@dataclass(frozen=True, slots=True)
class _Writer:
    pomdp: RoutingPOMDP
    lam: float
    now: Now | None

    @property
    def states(self) -> tuple[State, ...]:
        first = 1 if self.now is None else self.now.step + 1
        opening = [] if self.now is None else [State(self.now.step, c, False, -1) for c in StepClass]
        later = (self._seen_at(step) for step in range(first, self.pomdp.max_steps + 1))
        return (*opening, *(State(step, c, final, b) for seen in later for step, c, final, b, _ in seen))

    def _seen_at(self, step: int) -> Iterator[tuple[int, StepClass, bool, int, float]]:
        """Everything a proposal of this step may be, with the probability of its final flag and token bin."""
        hazard = float(self.pomdp.hazard[step - 1])
        for step_class, final in product(StepClass, (False, True)):
            for token_bin, weight in enumerate(self.pomdp.tokens.weights):
                chance = (hazard if final else 1 - hazard) * weight
                if chance > 0:
                    yield step, step_class, final, token_bin, chance

    def arrays(self) -> tuple[Array, Array, Array, Array]:
        states = self.states
        start = int(self.now is None)
        numbers = {state: start + i for i, state in enumerate(states)}
        size, bins = start + len(states) + 1, len(self.pomdp.tokens.counts)
        cells = self.pomdp.observation_cells().reshape(3, -1)
        transition = np.zeros((size, len(ACTIONS), size))
        observation = np.zeros((size, cells.shape[1] * 2 * bins + 1))
        reward, initial = np.zeros((size, len(ACTIONS))), np.zeros(size)
        transition[-1, :, -1] = 1
        observation[-1, -1] = observation[0, -1] = 1
        if start:
            initial[0] = 1
            for action in range(len(ACTIONS)):
                self._arrive(transition[0, action], numbers, q=1.0, step=1, regenerated=False)
        for state, number in numbers.items():
            for action, name in enumerate(ACTIONS):
                q, reward[number, action] = self._act(state, regenerate=name == "regenerate")
                if state.final:
                    transition[number, action, -1] = 1
                    reward[number, action] += q
                else:
                    self._arrive(
                        transition[number, action], numbers, q=q, step=state.step + 1, regenerated=name == "regenerate"
                    )
            if state.bin < 0:
                initial[number] = self.now.belief[state.step_class] if self.now else 0.0
                observation[number] = 0
                observation[number, -1] = 1  # nothing leads here: any distribution will do
            else:
                observation[number, state.final * bins + state.bin : -1 : 2 * bins] = cells[state.step_class]
        return transition, observation, reward, initial

    def _act(self, state: State, *, regenerate: bool) -> tuple[float, float]:
        """Probability that the accepted prefix is right, and what acting costs."""
        if not regenerate:
            return float(state.step_class is StepClass.CORRECT), 0.0
        tokens = self.now.tokens if self.now and state.bin < 0 else self.pomdp.tokens.counts[state.bin]
        repaired = float(self.pomdp.strong_by_step[state.step - 1]) * (state.step_class is not StepClass.DERAILED)
        return repaired, -self.lam * self.pomdp.tokens.expected_strong(tokens)

    def _arrive(self, row: Array, numbers: dict[State, int], *, q: float, step: int, regenerated: bool) -> None:
        """Fill in where an accepted prefix that is right with q leads."""
        classes = self.pomdp.next_classes(q, step, regenerated=regenerated)
        for _, step_class, final, token_bin, chance in self._seen_at(step):
            row[numbers[State(step, step_class, final, token_bin)]] = classes[step_class] * chance
