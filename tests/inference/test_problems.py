from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.problems import Problem, fingerprint
from kde.errors import InputError
from kde.records import read_records


def test_problems_are_read_and_other_fields_left_alone(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(
        '{"id": "a", "problem": "1+1?", "answer": "2", "level": 3}\n{"id": "b", "problem": "?"}\n'
    )
    assert read_records(tmp_path / "p.jsonl", Problem) == [
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
        ("", "empty"),
    ],
)
def test_bad_problems_name_their_line(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "p.jsonl").write_text(content)
    with pytest.raises(InputError, match=complaint):
        read_records(tmp_path / "p.jsonl", Problem)


def test_the_fingerprint_sees_order_and_answers() -> None:
    a, b = Problem(id="a", problem="x", answer="1"), Problem(id="b", problem="y")
    prints = {fingerprint(problems) for problems in ([a, b], [b, a], [a], [a.model_copy(update={"answer": "2"}), b])}
    assert len(prints) == 4


@given(st.text(min_size=1))
def test_any_text_comes_back_from_its_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "p.jsonl"
    problems = [Problem(id="a", problem=text), Problem(id="b", problem="x\u2028y\x85z")]
    path.write_bytes(b"".join(problem.model_dump_json().encode() + b"\n" for problem in problems))
    assert read_records(path, Problem) == problems
