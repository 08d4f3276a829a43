from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kde.errors import InputError
from planner.pomdp import RoutingPOMDP, prefix_after_continue, prefix_after_regenerate


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"p_weak": 0.0}, "p_weak"),
        ({"p_strong": 1.0}, "p_strong"),
        ({"p_weak": float("nan")}, "p_weak"),
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
