"""An episode that nobody generated."""

from inference.ending import Ending
from inference.records import Episode

MADE = Episode(
    problem_id="p1",
    problem="1+1",
    policy="weak",
    seed=0,
    steps=(),
    solution="",
    ending=Ending.ANSWER,
    correct=None,
    weak_tokens=10,
    strong_tokens=0,
    discarded_tokens=0,
    fallback_decisions=0,
    seconds=0.5,
    score_seconds=0.1,
    planner_seconds=0.01,
    models="m",
    version="v",
)
