"""An explicit POMDP in the pomdpx format, which APPL, SARSOP.jl and other solvers read."""

from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from kde.artefact import replace_file
from kde.samples import Array
from planner.explicit import ACTIONS, ExplicitPOMDP


def write_pomdpx(pomdp: ExplicitPOMDP, path: Path, *, name: str) -> None:
    """Write the file, atomically; numbers keep every digit."""
    replace_file(path, pomdpx(pomdp, name=name).encode())


def pomdpx(pomdp: ExplicitPOMDP, *, name: str) -> str:
    """The document: one state variable, one row of a table an entry."""
    labels = pomdp.labels
    observations = [f"o{i}" for i in range(pomdp.observation.shape[1])]
    transitions = [
        _entry(f"{action} {label} -", "ProbTable", pomdp.transition[s, a])
        for a, action in enumerate(ACTIONS)
        for s, label in enumerate(labels)
    ]
    seen = [_entry(f"* {label} -", "ProbTable", row) for label, row in zip(labels, pomdp.observation, strict=True)]
    rewards = [
        _entry(f"{action} {label}", "ValueTable", pomdp.reward[s, a : a + 1])
        for a, action in enumerate(ACTIONS)
        for s, label in enumerate(labels)
    ]
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<pomdpx version="1.0" id={quoteattr(name)} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="pomdpx.xsd">
<Description>{escape(name)}</Description>
<Discount>{pomdp.discount!r}</Discount>
<Variable>
<StateVar vnamePrev="state_0" vnameCurr="state_1" fullyObs="false"><ValueEnum>{" ".join(labels)}</ValueEnum></StateVar>
<ObsVar vname="seen"><ValueEnum>{" ".join(observations)}</ValueEnum></ObsVar>
<ActionVar vname="action"><ValueEnum>{" ".join(ACTIONS)}</ValueEnum></ActionVar>
<RewardVar vname="reward"/>
</Variable>
<InitialStateBelief>{_conditional("state_0", "null", [_entry("-", "ProbTable", pomdp.initial)])}</InitialStateBelief>
<StateTransitionFunction>{_conditional("state_1", "action state_0", transitions)}</StateTransitionFunction>
<ObsFunction>{_conditional("seen", "action state_1", seen)}</ObsFunction>
<RewardFunction><Func><Var>reward</Var><Parent>action state_0</Parent><Parameter type="TBL">
{"".join(rewards)}</Parameter></Func></RewardFunction>
</pomdpx>
"""


def _conditional(variable: str, parents: str, entries: Iterable[str]) -> str:
    return (
        f"<CondProb><Var>{variable}</Var><Parent>{parents}</Parent>"
        f'<Parameter type="TBL">\n{"".join(entries)}</Parameter></CondProb>'
    )


def _entry(instance: str, table: str, numbers: Array) -> str:
    written = " ".join(repr(number) if number else "0" for number in numbers.tolist())
    return f"<Entry><Instance>{instance}</Instance><{table}>{written}</{table}></Entry>\n"
