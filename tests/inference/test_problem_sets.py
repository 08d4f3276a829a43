import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from inference.grading import is_correct
from inference.problem_sets import PROBLEM_SETS, read_problem_set
from kde.errors import InputError

COUNTS = {"math500": 500, "gsm8k": 1319, "minerva": 272, "olympiadbench": 675, "aime": 482, "aime-train": 451}


@pytest.mark.parametrize("name", COUNTS)
def test_a_benchmark_is_read_as_it_is_published(name: str, reference: Path) -> None:
    problems = read_problem_set(name, reference)
    assert len(problems) == COUNTS[name]
    assert len({problem.id for problem in problems}) == COUNTS[name]
    assert all(problem.id.startswith(f"{name}/") and problem.answer for problem in problems)
    for problem in problems:
        assert problem.answer is not None
        assert is_correct(problem.answer, f"\\boxed{{{problem.answer}}}") is True


def test_answers_stand_where_each_benchmark_has_them(reference: Path) -> None:
    first = {name: read_problem_set(name, reference)[0].answer for name in COUNTS}
    assert first == {
        "math500": r"\left( 3, \frac{\pi}{2} \right)",
        "gsm8k": "18",
        "minerva": "1.6",
        "olympiadbench": "2",
        "aime": "60",
        "aime-train": "93",
    }


GPQA = {"Question": "Which is it?", "Correct Answer": "right ", "Subdomain": "Physics"} | {
    f"Incorrect Answer {place}": f"wrong, {place}" for place in (1, 2, 3)
}


def test_the_options_of_gpqa_are_shuffled_by_their_question_and_the_answer_is_a_letter(tmp_path: Path) -> None:
    """The file is the user's own: it is not to be had without its password."""
    (tmp_path / "bench").mkdir()
    with (tmp_path / "bench" / "gpqa_diamond.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, GPQA)
        writer.writeheader()
        writer.writerows(GPQA | {"Question": f"Which is it,\n{place}?"} for place in range(40))
    problems = read_problem_set("gpqa-diamond", tmp_path)
    assert problems == read_problem_set("gpqa-diamond", tmp_path)
    for problem in problems:
        assert problem.answer is not None
        assert f"({problem.answer}) right\n" in problem.problem
        assert sorted(re.findall(r"^\((.)\) ", problem.problem, re.MULTILINE)) == list("ABCD")
        assert is_correct(problem.answer, f"\\boxed{{({problem.answer})}}") is True
    letters = [problem.answer for problem in problems]
    assert min(letters.count(letter) for letter in "ABCD") > 3
    (tmp_path / "bench" / "gpqa_diamond.csv").write_text("Question,Correct Answer\nq,a\n")
    with pytest.raises(InputError, match="row 1, Incorrect Answer 1"):
        read_problem_set("gpqa-diamond", tmp_path)


def test_without_a_folder_a_set_comes_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets", reason="the extra trim-routing[datasets] is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("TRIM_DATA", raising=False)
    rows = [{"question": f"1+{place}?", "answer": f"1+{place}={1 + place}\n#### {1 + place}"} for place in range(3)]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    published = PROBLEM_SETS["gsm8k"]
    assert published.hub is not None
    monkeypatch.setitem(
        PROBLEM_SETS, "gsm8k", replace(published, hub=replace(published.hub, name=str(tmp_path), subset=None))
    )
    problems = read_problem_set("gsm8k", None)
    assert [(problem.id, problem.answer) for problem in problems] == [
        ("gsm8k/1", "1"),
        ("gsm8k/2", "2"),
        ("gsm8k/3", "3"),
    ]
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(InputError, match=r"--problems: .*trim-routing\[datasets\], or name local files"):
        read_problem_set("gsm8k", None)


def test_absent_data_say_where_they_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIM_DATA", raising=False)
    with pytest.raises(InputError, match=r"--data is None; aime is read from bench/aime_test.jsonl .* set TRIM_DATA"):
        read_problem_set("aime", None)
    monkeypatch.setenv("TRIM_DATA", str(tmp_path))
    with pytest.raises(InputError, match="gsm8k_test.jsonl: file is 'No such file"):
        read_problem_set("gsm8k", None)


def test_another_form_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    rows = [{"question": "1+1?", "answer": "1+1=2\n#### 2"}, {"question": "1+2?", "answer": "3"}]
    (tmp_path / "bench" / "gsm8k_test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match="line 2, answer"):
        read_problem_set("gsm8k", tmp_path)
