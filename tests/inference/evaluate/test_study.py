"""A study from nothing to its page: real models, a planner process, a browser."""

import json
import re
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from inference.evaluate.evaluate_cli import app as evaluate
from inference.evaluate.report_cli import app as report
from inference.evaluate.study import Study
from inference.lab.language import Mix
from inference.lab.shipped import lab_places, lab_problems
from inference.records import read_episodes
from kde.errors import ArtefactError, InputError
from kde.records import read_records
from kde.traces import AnsweredTrace
from planner.policies.offer import Offer
from planner.trace_replay import answered_traces, first_escalation

pytestmark = pytest.mark.models
POLICIES = ("thr:0.3", "thr:0.9", "pomdp:0.002", "budget:20", "oracle:0.002", "random:0.3", "specreason:4")


def run(out: Path, *more: str) -> None:
    options = ["--lab", "--problems", "20", "--calibration", "60", "--lambda", "0.002", "--out", str(out), "--json"]
    evaluate([*options, "--policies", *POLICIES, *more], result_action="return_value")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study")
    run(out)
    return out


@pytest.fixture(scope="module")
def summary(study: Path) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads((study / "summary.json").read_text())
    return found


def test_every_policy_has_its_row_and_the_oracle_dominates(summary: dict[str, list[dict[str, object]]]) -> None:
    rows = {str(row["policy"]): row for row in summary["policies"]}
    assert list(rows) == ["weak", "strong", *POLICIES]
    accuracy = {name: row["accuracy"]["value"] for name, row in rows.items()}  # type: ignore[index]
    assert accuracy["oracle:0.002"] >= max(accuracy[name] for name in POLICIES)
    assert accuracy["strong"] > accuracy["weak"]
    for row in rows.values():
        assert sum(row["interventions"].values()) == pytest.approx(1)  # type: ignore[attr-defined]
    families = {str(row["family"]) for row in summary["families"]}
    assert {"TRIM-Thr", "TRIM-POMDP", "hard budget", "step oracle", "random", "SpecReason"} == families


def test_specreason_decides_by_the_grades_of_the_strong_model(study: Path) -> None:
    episodes = read_episodes(study / "runs" / "specreason-4" / "0" / "episodes")
    for steps in episodes["steps"].to_list():
        for step in steps:
            graded = step["scores"] or (1.0,)  # a last step that M_s has no room to grade stands
            assert (step["action"] == "regenerate") == (graded[-1] < 4 / 9)
    run = json.loads((study / "runs" / "specreason-4" / "0" / "run.json").read_text())
    assert run["scorer"]["kind"] == "self-evaluation"
    assert json.loads((study / "runs" / "thr-0.3" / "0" / "run.json").read_text())["scorer"] != run["scorer"]


def test_the_hard_budget_is_kept_to_but_for_the_last_step(study: Path) -> None:
    """A budget is spent by expected tokens; what a step really takes shows afterwards, and the next decision knows it."""
    episodes = read_episodes(study / "runs" / "budget-20" / "0" / "episodes")
    for steps in episodes["steps"].to_list():
        strong = [step["tokens"] for step in steps if step["author"] == "strong"]
        assert sum(strong[:-1]) <= 20


def test_recorded_traces_tell_the_first_escalation_of_live_runs(study: Path) -> None:
    """A policy sees M_w's own trace until it first escalates, so that step is on record before the policy is ever run."""
    records = read_records(study / "scores" / "weak-0.jsonl", AnsweredTrace)
    traces = {record.problem_id: trace for record, trace in zip(records, answered_traces(records), strict=True)}
    catalogue = Offer.load(study / "planner").catalogue
    escalated = 0
    for policy in ("thr:0.3", "thr:0.9", "pomdp:0.002"):
        episodes = read_episodes(study / "runs" / policy.replace(":", "-") / "0" / "episodes")
        for row in episodes.iter_rows(named=True):
            actions = [step["action"] for step in row["steps"]]
            live = actions.index("regenerate") if "regenerate" in actions else None
            assert first_escalation(traces[row["problem_id"]], catalogue.get(policy)) == live
            escalated += live is not None
    assert escalated > 10


@pytest.mark.slow
def test_a_study_grows_without_making_anything_again(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grown = tmp_path / "study"
    shutil.copytree(study, grown)
    before = {path: path.read_bytes() for path in grown.glob("runs/*/0/episodes/*.parquet")}
    run(grown, "thr:0.5")
    told = json.loads(capsys.readouterr().out)
    assert [row["policy"] for row in told["policies"]] == ["weak", "strong", *POLICIES, "thr:0.5"]
    assert all(path.read_bytes() == content for path, content in before.items())


def test_another_studys_directory_is_refused(study: Path) -> None:
    options = ["--lab", "--problems", "25", "--out", str(study)]
    with pytest.raises(InputError, match="study of other problems"):
        evaluate(options, result_action="return_value")


def test_other_models_and_a_planner_that_was_fitted_elsewhere(study: Path, tmp_path: Path) -> None:
    """Fitted on the standard mix, tested on the hard one, through a noisy PRM; the models are named by a file of engines."""
    problems, engines, out = tmp_path / "hard.jsonl", tmp_path / "engines.toml", tmp_path / "study"
    hard = lab_problems(8, seed=3, mix=Mix.HARD)
    problems.write_text("".join(problem.model_dump_json() + "\n" for problem in hard))
    sections = zip(("weak", "strong", "scorer"), lab_places().values(), strict=True)
    engines.write_text("".join(f'[{name}]\nbackend = "transformers"\nmodel = "{at}"\n' for name, at in sections))
    options = ["--engines", str(engines), "--problems", str(problems), "--out", str(out)]
    given = [*options, "--planner", str(study / "planner"), "--prm-noise", "1.5"]
    evaluate([*given, "--policies", "pomdp:0.002", "--json"], result_action="return_value")
    plan = Study.load(out).plan
    assert (plan.benchmark, plan.policies, plan.fit) == ("hard.jsonl", ("weak", "strong", "pomdp:0.002"), None)
    assert plan.planner == Study.load(study).plan.planner
    episodes = read_episodes(out / "runs" / "pomdp-0.002" / "0" / "episodes")
    assert set(episodes["problem_id"]) == {problem.id for problem in hard}

    def refused(*arguments: str) -> str:
        with pytest.raises(InputError) as told:
            evaluate([*arguments, "--policies", "thr:0.3"], result_action="return_value")
        return str(told.value)

    assert "models.scorer.noise.logit_sigma is 1.5; you ask for 0.5" in refused(*given[:-1], "0.5")
    assert "planner.pomdp:0.002" in refused(*options, "--prm-noise", "1.5")
    assert "--lambda is (0.002,); a planner is fitted with --lab" in refused(*given, "--lambda", "0.002")
    with pytest.raises(InputError, match="only the lab's checker knows"):
        evaluate([*given, "--policies", "oracle:0.002"], result_action="return_value")
    assert read_episodes(out / "runs" / "pomdp-0.002" / "0" / "episodes").equals(episodes)


def test_a_study_of_the_lab_goes_on_as_it_began_or_not_at_all(study: Path) -> None:
    options = ["--lab", "--problems", "20", "--lambda", "0.002", "--out", str(study)]
    for more, told in (
        (("--calibration", "70"), "fit.calibration is 60; you ask for 70"),
        (("--calibration", "60", "--prm-noise", "1"), "noise.logit_sigma is 0.0; you ask for 1.0"),
        (("--calibration", "60", "--temperature", "0"), "models.strong.sampling.temperature is 0.7; you ask for 0.0"),
    ):
        with pytest.raises(InputError, match=re.escape(told)):
            evaluate([*options, *more], result_action="return_value")


@pytest.mark.parametrize("price", ["nan", "0", "-1", "inf"])
def test_a_price_is_looked_at_before_anything_runs(price: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"--lambda is {float(price)}"):
        evaluate(
            ["--lab", "--problems", "2", "--lambda", price, "--out", str(tmp_path / "s")], result_action="return_value"
        )
    assert not (tmp_path / "s").exists()


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="trim evaluate"):
        report([str(tmp_path)], result_action="return_value")
    with pytest.raises(InputError, match="name a study"):
        report([], result_action="return_value")


def test_the_page_shows_any_episode_step_by_step(study: Path, tmp_path: Path, browser: webdriver.Chrome) -> None:
    report([str(study), "--out", str(tmp_path / "page")], result_action="return_value")
    (regions,) = (tmp_path / "page").glob("regions_*.png")
    for picture in (tmp_path / "page" / "costs.png", regions):
        assert picture.read_bytes().startswith(b"\x89PNG")
    browser.get((tmp_path / "page" / "index.html").as_uri())
    problems = Select(browser.find_element(By.ID, "problem"))
    policies = Select(browser.find_element(By.ID, "policy"))
    assert [option.text for option in policies.options] == ["weak", "strong", *POLICIES]
    episodes = {
        row["problem_id"]: row for row in read_episodes(study / "runs" / "pomdp-0.002" / "0" / "episodes").to_dicts()
    }
    policies.select_by_visible_text("pomdp:0.002")
    for name in [option.text for option in problems.options]:
        problems.select_by_visible_text(name)
        texts = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "#episode td.step")]
        assert texts == [step["text"] for step in episodes[name]["steps"]]
        authors = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "#episode td.author")]
        assert authors == [step["author"] for step in episodes[name]["steps"]]
        assert len(browser.find_elements(By.CSS_SELECTOR, "#episode .belief")) == len(texts)
    assert browser.find_elements(By.TAG_NAME, "img")
    assert any("AUC-ROC" in paragraph.text for paragraph in browser.find_elements(By.TAG_NAME, "p"))
    assert not browser.get_log("browser")  # type: ignore[no-untyped-call]
