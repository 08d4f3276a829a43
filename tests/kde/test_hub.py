import json
from pathlib import Path

import pytest

from kde.errors import InputError
from kde.hub import load_labelled

ROW = {"id": "a", "generator": "g", "problem": "p", "steps": ["1", "2"], "final_answer_correct": True, "label": -1}


def test_a_reference_names_a_data_set_and_a_split() -> None:
    with pytest.raises(InputError, match="hf:NAME:SPLIT"):
        load_labelled("hf:no-split")


def test_rows_of_a_data_set_are_labelled_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets", reason="the extra trim-routing[datasets] is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [ROW, ROW | {"id": "b", "label": 1}]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [(trace.id, trace.label) for trace in load_labelled(f"hf:{folder}:train")] == [("a", -1), ("b", 1)]
    (folder / "train.jsonl").write_text(json.dumps(ROW | {"label": 7}) + "\n")
    with pytest.raises(InputError, match="row 0.*beyond"):
        load_labelled(f"hf:{folder}:train")
    for missing in (f"hf:{folder}:absent", "hf:nobody/has-this:train"):
        with pytest.raises(InputError, match="cannot be loaded"):
            load_labelled(missing)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(InputError, match=r"trim-routing\[datasets\]"):
        load_labelled("hf:Qwen/ProcessBench:math")
