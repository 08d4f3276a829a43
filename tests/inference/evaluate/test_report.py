"""Studies side by side, and their page in a browser: on studies whose truth is planted."""

import json
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from inference.evaluate.report_cli import app
from kde.errors import ArtefactError, InputError
from tests.inference.evaluate.made_studies import finish_made_study, make_study
from tests.inference.evaluate.test_published import PRICES, THRESHOLDS, write

HERE = {"thr:0.5": (0.2, 0.6), "pomdp:0.004": (0.1, 0.5), "pomdp:0.001": (0.3, 0.9), "random:0.5": (0.5, 0.5)}
NOISY = {"thr:0.5": (0.4, 0.6), "pomdp:0.004": (0.1, 0.4), "pomdp:0.001": (0.3, 0.8)}


def made(out: Path, gains: dict[str, tuple[float, float]], *, stream: int = 0) -> Path:
    study = make_study(out, gains, stream=stream)
    finish_made_study(study)
    return study.out


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("made")
    return {
        "here": made(folder / "here", HERE),
        "noisy": made(folder / "noisy", NOISY),
        "elsewhere": made(folder / "elsewhere", NOISY, stream=1),
    }


def report(studies: dict[str, Path], out: Path, *labels: str) -> list[str]:
    return [str(studies["here"]), "--beside", *(f"{label}={studies[label]}" for label in labels), "--out", str(out)]


@pytest.fixture(scope="module")
def told(studies: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("sys.stdout.write", lines.append)
        app([*report(studies, out, "noisy", "elsewhere"), "--json"], result_action="return_value")
    found: dict[str, Any] = json.loads("".join(lines))
    return found


def row(told: dict[str, Any], family: str, study: str) -> dict[str, Any]:
    (found,) = (one for one in told["beside"]["families"] if (one["family"], one["study"]) == (family, study))
    return dict(found)


def test_families_are_measured_in_every_study_and_differ_from_the_first(told: dict[str, Any]) -> None:
    thr = row(told, "TRIM-Thr", "here")
    assert thr["difference"] is None
    assert thr["cpt"]["50%"]["value"] == pytest.approx(0.2 * 0.5 / 0.6)
    noisy = row(told, "TRIM-Thr", "noisy")
    assert noisy["cpt"]["50%"]["value"] == pytest.approx(2 * thr["cpt"]["50%"]["value"])
    assert noisy["difference"]["cpt"]["50%"]["value"] == pytest.approx(thr["cpt"]["50%"]["value"])
    assert row(told, "TRIM-POMDP", "noisy")["difference"]["budgeted_pgr"]["10%"]["value"] == pytest.approx(-0.1)
    assert told["beside"]["in_one_study_only"] == ["random"]


def test_the_same_problems_are_paired_and_others_are_not(told: dict[str, Any]) -> None:
    assert [one["paired"] for one in told["beside"]["studies"]] == [None, True, False]

    def width(study: str) -> float:
        found = row(told, "TRIM-POMDP", study)["difference"]["budgeted_pgr"]["10%"]
        assert found["low"] < found["value"] < found["high"]
        return float(found["high"] - found["low"])

    assert width("noisy") < 0.7 * width("elsewhere")
    assert told["beside"]["what_differs"].keys() == {"problems_sha256"}
    first, noisy, elsewhere = told["beside"]["what_differs"]["problems_sha256"]
    assert first == noisy != elsewhere


def test_people_get_a_table(studies: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app(report(studies, tmp_path, "noisy"), result_action="return_value")
    shown = capsys.readouterr().out
    assert "Side by side" in shown
    assert "less here" in shown


@pytest.mark.parametrize("text", ["noisy", "=runs", "noisy=", "here=runs"])
def test_a_study_beside_needs_a_label_of_its_own(studies: dict[str, Path], text: str) -> None:
    with pytest.raises(InputError, match="--beside"):
        app([str(studies["here"]), "--beside", text], result_action="return_value")


def test_a_summary_of_another_version_is_refused(studies: dict[str, Path], tmp_path: Path) -> None:
    place = make_study(tmp_path / "old", {}).out
    (place / "summary.json").write_text('{"problems": 200}')
    with pytest.raises(ArtefactError, match="another version"):
        app(report(studies | {"old": place}, tmp_path, "old"), result_action="return_value")


def test_a_reader_finds_every_table_and_picture(
    studies: dict[str, Path], tmp_path: Path, browser: webdriver.Chrome
) -> None:
    write(tmp_path / "trim_thr_toy.jsonl", "threshold", THRESHOLDS)
    write(tmp_path / "trim_pomdp_toy.jsonl", "cost_per_token", PRICES)
    app([*report(studies, tmp_path / "page", "noisy"), "--published", str(tmp_path)], result_action="return_value")
    browser.get((tmp_path / "page" / "index.html").as_uri())
    links = browser.find_elements(By.CSS_SELECTOR, "nav a")
    headings = browser.find_elements(By.TAG_NAME, "h2")
    assert [link.text for link in links] == [heading.text for heading in headings]
    for link, heading in zip(links, headings, strict=True):
        link.click()
        assert link.get_attribute("href").endswith(f"#{heading.get_attribute('id')}")  # type: ignore[union-attr]
        top = browser.execute_script("return arguments[0].getBoundingClientRect().top", heading)
        assert -1 <= top < browser.get_window_size()["height"]
    pictures = browser.find_elements(By.TAG_NAME, "img")
    assert len(pictures) == 5
    for picture in pictures:
        assert browser.execute_script("return arguments[0].naturalWidth", picture) > 400
    cells = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "td")]
    assert "not measured: needs three generators or more" in cells
    assert "noisy less here" in cells
    told = "\n".join(paragraph.text for paragraph in browser.find_elements(By.TAG_NAME, "p"))
    assert "Not drawn: no table" in told
    assert "count as wrong: 1 of weak. Their problems: 0-0001." in told
    assert "TRIM-POMDP" in cells
    width = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0  # wide tables scroll by themselves
    Select(browser.find_element(By.ID, "policy")).select_by_visible_text("thr:0.5")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#episode td.step")) == 1
    assert not browser.get_log("browser")  # type: ignore[no-untyped-call]


def test_a_summary_that_is_none_or_older_than_its_study_is_refused(tmp_path: Path) -> None:
    out = made(tmp_path / "study", {"thr:0.5": (0.2, 0.6)})
    old = (out / "summary.json").read_bytes()
    (out / "summary.json").write_text("[]")
    with pytest.raises(ArtefactError, match="another version; finish the study"):
        app([str(out)], result_action="return_value")
    (out / "summary.json").write_bytes(old)
    make_study(out, {"thr:0.9": (0.9, 0.9)})
    with pytest.raises(ArtefactError, match="taken up since; finish the study"):
        app([str(out)], result_action="return_value")
