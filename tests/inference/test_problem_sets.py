import json
from pathlib import Path

import pytest

from inference.grading import is_correct
from inference.problem_sets import PROBLEM_SETS, read_problem_set
from kde.errors import InputError

COUNTS = {"math500": 500, "gsm8k": 1319, "minerva": 272, "olympiadbench": 675, "aime": 482, "aime-train": 451}


@pytest.mark.parametrize("name", PROBLEM_SETS)
def test_a_benchmark_is_read_as_it_is_published(name: str, reference: Path) -> None:
    problems = read_problem_set(name, reference)
    assert len(problems) == COUNTS[name]
    assert len({problem.id for problem in problems}) == COUNTS[name]
    assert all(problem.id.startswith(f"{name}/") and problem.answer for problem in problems)
    for problem in problems:
        assert problem.answer is not None
        assert is_correct(problem.answer, f"\\boxed{{{problem.answer}}}") is True


def test_answers_stand_where_each_benchmark_has_them(reference: Path) -> None:
    first = {name: read_problem_set(name, reference)[0].answer for name in PROBLEM_SETS}
    assert first == {
        "math500": r"\left( 3, \frac{\pi}{2} \right)",
        "gsm8k": "18",
        "minerva": "1.6",
        "olympiadbench": "2",
        "aime": "60",
        "aime-train": "93",
    }


def test_absent_data_say_where_they_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIM_DATA", raising=False)
    with pytest.raises(InputError, match=r"--data is None; gsm8k is read from bench/gsm8k_test.jsonl .* set TRIM_DATA"):
        read_problem_set("gsm8k", None)
    monkeypatch.setenv("TRIM_DATA", str(tmp_path))
    with pytest.raises(InputError, match="gsm8k_test.jsonl: file is 'No such file"):
        read_problem_set("gsm8k", None)


def test_another_form_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    rows = [{"question": "1+1?", "answer": "1+1=2\n#### 2"}, {"question": "1+2?", "answer": "3"}]
    (tmp_path / "bench" / "gsm8k_test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match="line 2, answer"):
        read_problem_set("gsm8k", tmp_path)
