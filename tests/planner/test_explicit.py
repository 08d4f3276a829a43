from dataclasses import replace
from itertools import product
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from kde.errors import InputError
from kde.samples import StepClass
from kde.tokens import TokenModel
from planner.exact import solve_exact
from planner.explicit import ACTIONS, ExplicitPOMDP, Now, State
from planner.pomdp import RoutingPOMDP, Transitions
from planner.pomdpx import pomdpx
from tests.conftest import synthetic_cells
from tests.twins import enumerated_value, transition_probability, tree_value

LAM = 0.002


@pytest.fixture(scope="module", params=list(Transitions))
def tiny(request: pytest.FixtureRequest) -> RoutingPOMDP:
    return RoutingPOMDP(
        cells=synthetic_cells(1, 2),
        p_weak=(0.6, 0.7, 0.8),
        p_strong=(0.95, 0.9, 0.97),
        hazard=np.array([0.0, 0.4, 1.0]),
        tokens=TokenModel(counts=(20, 60), weights=(0.4, 0.6), strong_intercept=5, strong_slope=1.1),
        transitions=request.param,
    )


def test_the_arrays_are_the_twins(tiny: RoutingPOMDP) -> None:
    model = ExplicitPOMDP.of(tiny, LAM)
    for (a, action), s, after in product(enumerate(ACTIONS), model.states, model.states):
        expected = transition_probability(tiny, s, action, after)
        assert model.transition[model.number(s), a, model.number(after)] == pytest.approx(expected, abs=1e-15)
    for s in model.states:
        number = model.number(s)
        price = LAM * tiny.tokens.expected_strong(tiny.tokens.counts[s.bin])
        repaired = tiny.strong_by_step[s.step - 1] if s.step_class is not StepClass.DERAILED else 0
        right = float(s.step_class is StepClass.CORRECT)
        assert model.reward[number].tolist() == pytest.approx([s.final * right, s.final * repaired - price])
        assert model.transition[number, :, -1].tolist() == [float(s.final)] * 2
        seen = model.observation[number, :-1].reshape(2, 2, 2)
        assert seen[:, int(s.final), s.bin].tolist() == tiny.cells[s.step_class].ravel().tolist()
        assert seen.sum() == pytest.approx(1)


def test_every_row_is_a_distribution(tiny: RoutingPOMDP) -> None:
    for now in (None, Now(1, (0.5, 0.2, 0.3), 33.0)):
        model = ExplicitPOMDP.of(tiny, LAM, now=now)
        assert model.transition.sum(axis=2) == pytest.approx(1)
        assert model.observation.sum(axis=1) == pytest.approx(1)
        assert model.initial.sum() == pytest.approx(1)
        assert len(model.labels) == len(set(model.labels)) == len(model.initial)


def test_its_value_is_the_decision_trees(tiny: RoutingPOMDP) -> None:
    short = replace(tiny, p_weak=0.7, p_strong=0.95, hazard=np.array([0.3, 1.0]))
    model = ExplicitPOMDP.of(short, LAM, discount=1.0)
    assert tree_value(model) == pytest.approx(enumerated_value(short, LAM), abs=1e-12)


def test_a_decision_in_the_middle_is_worth_what_the_exact_solution_says(tiny: RoutingPOMDP) -> None:
    belief = (0.5, 0.2, 0.3)
    (solution,) = solve_exact(tiny, [LAM], gap=1e-8)
    break_even = float(solution.break_even_tokens(np.array(belief))[1, 0])
    for tokens in (break_even - 10, break_even + 10):
        weak = (tokens - 5) / 1.1
        model = ExplicitPOMDP.of(tiny, LAM, now=Now(2, belief, weak), discount=1.0)
        by_action = []
        for action in range(2):
            one = replace(model, reward=model.reward.copy())
            one.reward[:3, 1 - action] = -10  # the other action is out of the question here
            by_action.append(tree_value(one))
        assert (by_action[1] > by_action[0]) == (tokens < break_even)
        assert by_action[1] - by_action[0] == pytest.approx(LAM * (break_even - tokens), abs=1e-5)


@pytest.mark.parametrize("now", [Now(3, (1.0, 0.0, 0.0), 10.0), Now(0, (1.0, 0.0, 0.0), 10.0)])
def test_the_last_step_needs_no_solver(tiny: RoutingPOMDP, now: Now) -> None:
    with pytest.raises(InputError, match="step"):
        ExplicitPOMDP.of(tiny, LAM, now=now)
    with pytest.raises(InputError, match="lambda"):
        ExplicitPOMDP.of(tiny, 0.0)


def test_pomdpx_says_the_same(tiny: RoutingPOMDP) -> None:
    model = ExplicitPOMDP.of(tiny, LAM)
    root = ET.fromstring(pomdpx(model, name="a < b"))  # noqa: S314  our own
    labels = (root.findtext("Variable/StateVar/ValueEnum") or "").split()
    assert labels == list(model.labels)
    assert float(root.findtext("Discount") or 0) == model.discount

    def rows(path: str, table: str) -> dict[str, list[float]]:
        entries = root.findall(f"{path}/Parameter/Entry")
        return {
            entry.findtext("Instance") or "": [float(x) for x in (entry.findtext(table) or "").split()]
            for entry in entries
        }

    transitions = rows("StateTransitionFunction/CondProb", "ProbTable")
    rewards = rows("RewardFunction/Func", "ValueTable")
    seen = rows("ObsFunction/CondProb", "ProbTable")
    for s, label in enumerate(labels):
        for a, action in enumerate(ACTIONS):
            assert transitions[f"{action} {label} -"] == model.transition[s, a].tolist()
            assert rewards[f"{action} {label}"] == [model.reward[s, a]]
        assert seen[f"* {label} -"] == model.observation[s].tolist()
    assert rows("InitialStateBelief/CondProb", "ProbTable")["-"] == model.initial.tolist()


def test_states_have_one_number(tiny: RoutingPOMDP) -> None:
    model = ExplicitPOMDP.of(tiny, LAM)
    assert [model.number(state) for state in model.states] == list(range(1, len(model.states) + 1))
    assert State(2, StepClass.RECOVERABLE, True, 1).label in model.labels
    assert not any(label.startswith("t1-") and "final" in label for label in model.labels)  # h_1 = 0
