from pathlib import Path

import pytest

from inference.problems import Problem, fingerprint, read_problems
from kde.errors import InputError


def test_problems_are_read_and_other_fields_left_alone(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(
        '{"id": "a", "problem": "1+1?", "answer": "2", "level": 3}\n{"id": "b", "problem": "?"}\n'
    )
    assert read_problems(tmp_path / "p.jsonl") == [
        Problem(id="a", problem="1+1?", answer="2"),
        Problem(id="b", problem="?"),
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"id": "a"}\n', "line 1, problem"),
        ('{"id": "a", "problem": "x"}\n{"id": "b", "prob', "line 2"),
        ('{"id": "a", "problem": ""}\n', "line 1, problem"),
        ('{"id": 1, "problem": "x"}\n', "line 1, id"),
        ('{"id": "a", "problem": "x"}\n' * 2, "unique"),
        ("", "no problems"),
    ],
)
def test_bad_problems_name_their_line(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "p.jsonl").write_text(content)
    with pytest.raises(InputError, match=complaint):
        read_problems(tmp_path / "p.jsonl")


def test_the_fingerprint_sees_order_and_answers() -> None:
    a, b = Problem(id="a", problem="x", answer="1"), Problem(id="b", problem="y")
    prints = {fingerprint(problems) for problems in ([a, b], [b, a], [a], [a.model_copy(update={"answer": "2"}), b])}
    assert len(prints) == 4
