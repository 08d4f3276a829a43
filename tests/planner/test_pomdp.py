import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kde.errors import InputError
from kde.filter import BeliefFilter, FilterKind
from planner.pomdp import RoutingPOMDP, Transitions, prefix_after_continue, prefix_after_regenerate


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"p_weak": 0.0}, "p_weak"),
        ({"p_strong": 1.0}, "p_strong"),
        ({"p_weak": float("nan")}, "p_weak"),
        ({"p_weak": (0.5, 0.5)}, "p_weak"),
        ({"p_strong": (0.5, 0.5, 0.5, 0.5, 0.5, 1.5)}, "p_strong"),
        ({"hazard": np.array([-0.1, 1.0])}, "hazard"),
        ({"hazard": np.array([0.1, 0.5])}, "hazard"),
        ({"cells": np.ones((3, 2, 2))}, "cells"),
        ({"cells": np.ones((2, 2, 2)) / 4}, "cells"),
        ({"cells": np.array([[[2.0, -1.0]]] * 3)}, "cells"),
        ({"cells": np.full((3, 2, 2), np.nan)}, "cells"),
    ],
)
def test_bad_descriptions_name_their_field(pomdp: RoutingPOMDP, change: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field):
        replace(pomdp, **change)


def test_the_prefix_after_acting() -> None:
    belief = np.array([[0.5, 0.2, 0.3], [1.0, 0.0, 0.0]])
    assert prefix_after_continue(belief).tolist() == [0.5, 1.0]
    assert prefix_after_regenerate(belief, 0.9) == pytest.approx([0.72, 0.9])


def test_json_gives_the_same_pomdp(pomdp: RoutingPOMDP) -> None:
    by_step = replace(
        pomdp,
        p_weak=(0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
        transitions=Transitions.PAPER,
        filter=BeliefFilter(kind=FilterKind.TEMPERED, exponent=0.5),
    )
    for described in (pomdp, by_step):
        read = RoutingPOMDP.from_json(described.to_json())
        assert (read.cells == described.cells).all()
        assert read.description() == described.description()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"p_weak": 1.5}, "p_weak"),
        ({"lambda": 1}, "lambda"),
        ({"transitions": "three_stage"}, "transitions"),
        ({"hazard": [0.5]}, "hazard"),
        ({"max_steps": 5}, "hazard is '6 steps long'"),
        ({"max_steps": 7}, "hazard is '6 steps long'"),
        ({"hazard": [0, 0, 0, 0, 0, 0.5]}, "hazard"),
        ({"cells": [[[1.0]], [[1.0, 0.0]], [[1.0]]]}, "cells"),
        ({"cells": "x"}, "cells"),
    ],
)
def test_bad_json_names_its_field(pomdp: RoutingPOMDP, change: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field):
        RoutingPOMDP.from_json(json.dumps(json.loads(pomdp.to_json()) | change))
    with pytest.raises(InputError, match="JSON"):
        RoutingPOMDP.from_json("{")


def test_accuracies_by_step_are_one_for_each_step(pomdp: RoutingPOMDP) -> None:
    assert pomdp.weak_by_step.tolist() == [0.85] * 6
    assert replace(pomdp, p_weak=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)).weak_by_step.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


def test_coarser_cells_hold_what_their_blocks_held(pomdp: RoutingPOMDP) -> None:
    coarse = pomdp.coarser(5)
    assert coarse.cells.shape == (3, 2, 2)
    assert coarse.cells[2, 1, 0] == pytest.approx(pomdp.cells[2, 5:, :5].sum())
    assert replace(coarse, cells=pomdp.cells).to_json() == pomdp.to_json()
    assert pomdp.coarser(1).to_json() == pomdp.to_json()
    for factor in (0, 3):
        with pytest.raises(InputError, match="factor"):
            pomdp.coarser(factor)
