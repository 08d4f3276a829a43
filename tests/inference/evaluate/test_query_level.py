"""What query-level routers see of a study's answers."""

from pathlib import Path

import polars as pl

from inference.evaluate.query_level import paired_answers
from kde.traces import AnsweredTrace
from tests.inference.evaluate.made_studies import make_study


def test_nothing_vouches_for_an_answer_without_steps(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", {}, count=4)
    episodes = study.all_episodes()
    empty = pl.when(pl.col("problem_id") != "0-0002").then("steps").otherwise(pl.col("steps").list.head(0))
    episodes["weak"] = episodes["weak"].with_columns(empty.alias("steps"))
    scored = [AnsweredTrace(problem_id=f"0-{place:04}", scores=[0.5]) for place in (0, 1, 3)]
    study.score_file(0).parent.mkdir()
    study.score_file(0).write_text("".join(trace.model_dump_json() + "\n" for trace in scored))
    answers, _ = paired_answers(study, episodes)
    assert answers.queries.verified is not None
    assert answers.queries.verified.tolist() == [0.5, 0.5, 0.0, 0.5]
