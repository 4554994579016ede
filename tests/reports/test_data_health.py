"""What a report says of the images: baselines, copies, labels, missing classes."""

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.record.notes import PROBLEM
from experiments.studies.next_search import write_next
from reports import load_study
from reports.analysis.baseline import f1_of_none, images_of_f1, is_beyond
from reports.analysis.facts import facts
from reports.analysis.health import health
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import verdict_sentence
from reports.study.study import Study
from tests.reports.synthetic import Synthetic, write_study


def study_of(tmp_path: Path, plan: Synthetic, **dataset: Any) -> Study:
    folder = write_study(tmp_path, plan)
    path = folder / "study.json"
    record = json.loads(path.read_text())
    record["dataset"] |= dataset
    path.write_text(json.dumps(record))
    return load_study(folder)


def counted(test: list[int], train: list[int] | None = None) -> dict[str, Any]:
    return {"train": train or test, "validation": [n * 5 // 4 for n in test], "test": test}


def titles(study: Study) -> dict[str, str]:
    return {finding.title: finding.level for finding in health(study)}


def said(study: Study) -> str:
    return verdict_sentence(study, verdict(study))


def two(**options: Any) -> Synthetic:
    return Synthetic(6, num_classes=2, class_names=["common", "rare"], **options)


def test_a_model_that_says_the_larger_class_is_no_better(tmp_path: Path) -> None:
    plan = two(test_accuracy=0.9, num_seeds=1)
    study = study_of(tmp_path, plan, per_class=counted([190, 10]))
    found = [t for t, level in titles(study).items() if level == PROBLEM]
    assert any("no better than always saying 'common'" in title for title in found)
    assert "no better than always saying 'common' (0.9500)" in said(study)
    assert any("95% of the train images are of class 'common'" in title for title in titles(study))


def test_a_model_above_the_baseline_by_luck_is_not_called_worse(tmp_path: Path) -> None:
    plan = two(test_accuracy=0.99, num_seeds=1)
    study = study_of(tmp_path, plan, per_class=counted([196, 4]))
    path = study.folder / "artifacts" / "finalists.json"
    records = json.loads(path.read_text())
    records[0]["runs"][0]["test"]["accuracy"] = 0.985  # of 200: 197, against 196
    path.write_text(json.dumps(records))
    assert "not shown to be better than always saying 'common'" in said(load_study(study.folder))


def test_a_better_model_and_a_record_of_before_say_nothing(tmp_path: Path) -> None:
    better = study_of(tmp_path, two(name="better"), per_class=counted([110, 90]))
    before = load_study(write_study(tmp_path, Synthetic(6, name="before")))
    for study in (better, before):
        assert "always saying" not in said(study)
        assert "always saying" not in " ".join(titles(study))
        assert "too" not in " ".join(title for title in titles(study) if "image" in title)


def test_validation_is_judged_where_nothing_was_tested(tmp_path: Path) -> None:
    study = study_of(tmp_path, two(num_seeds=0), per_class=counted([190, 10]))
    assert "no better than always saying 'common' (0.9" in said(study)
    assert any("validation accuracy" in title for title in titles(study) if "always" in title)


def test_f1_is_the_headline_and_has_its_own_baseline(tmp_path: Path) -> None:
    plan = two(objective=("val_f1_score", "max"), num_seeds=2)
    study = study_of(tmp_path, plan, per_class=counted([190, 10]))
    assert "always saying" not in said(study)  # accuracy may be the price of a better F1 score
    path = study.folder / "artifacts" / "finalists.json"
    records = json.loads(path.read_text())
    for run in records[0]["runs"]:
        run["test"] = {"accuracy": 0.95, "f1_score": 0.0, "loss": 0.2}
    path.write_text(json.dumps(records))
    text = said(load_study(study.folder))
    assert "test f1 score of 0" in text
    assert "no better than always saying 'rare' (0.0952)" in text


@pytest.mark.parametrize(("reached", "is_shown"), [(0.7, False), (0.99, True)])
def test_f1_beats_the_best_that_is_said_without_looking(
    reached: float, is_shown: bool, tmp_path: Path
) -> None:
    plan = two(objective=("val_f1_score", "max"), num_seeds=1)
    study = study_of(tmp_path, plan, per_class=counted([100, 100]))
    path = study.folder / "artifacts" / "finalists.json"
    records = json.loads(path.read_text())
    records[0]["runs"][0]["test"]["f1_score"] = reached
    path.write_text(json.dumps(records))
    said_of_it = said(load_study(study.folder))  # always saying 'rare' has an F1 of 2 / 3
    assert ("not shown to be better than always saying 'rare' (0.6667)" in said_of_it) != is_shown


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.2), (0.6, 0.3, 0.1), (0.25,) * 4])
def test_what_looks_at_no_image_seldom_beats_its_f1(shares: tuple[float, ...]) -> None:
    rng, cleared = np.random.default_rng(1), 0
    for _ in range(100):
        labels, guessed = (rng.choice(len(shares), 200, p=shares) for _ in range(2))
        counts = np.bincount(labels, minlength=len(shares)).tolist()
        found = macro_f1(labels, guessed, len(shares))
        cleared += is_beyond(f1_of_none(counts)[1], found, images_of_f1(counts), 1)
    assert cleared <= 0.05 * 100


@pytest.mark.parametrize(
    ("counts", "reached", "is_shown"),
    [
        ([500, 500, 5], 1.0, True), ([500, 500, 1], 1.0, True), ([500, 500, 1], 0.95, True),
        ([500, 500, 5], 0.6, True), ([500, 500, 5], 0.4, False), ([500, 500, 1], 0.45, False),
    ],
)  # fmt: skip
def test_one_rare_class_does_not_hide_what_the_others_show(
    counts: list[int], reached: float, is_shown: bool, tmp_path: Path
) -> None:
    names = ["often", "as often", "rare"]
    plan = Synthetic(
        6, num_classes=3, class_names=names, objective=("val_f1_score", "max"), num_seeds=1
    )
    study = study_of(tmp_path, plan, per_class=counted(counts))
    path = study.folder / "artifacts" / "finalists.json"
    records = json.loads(path.read_text())
    records[0]["runs"][0]["test"]["f1_score"] = reached
    path.write_text(json.dumps(records))
    found = [t for t, level in titles(load_study(study.folder)).items() if level == PROBLEM]
    assert any("guessing classes by their shares" in title for title in found) != is_shown


def test_the_best_of_many_on_validation_is_not_cleared_by_luck(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)  # trials that are all as good as always saying one class
    luck = rng.binomial(1000, 0.9, (400, 30)).max(axis=1) / 1000
    assert np.mean([is_beyond(0.9, best, 1000, 30) for best in luck]) <= 0.05
    assert np.mean([is_beyond(0.9, best, 1000, 1) for best in luck]) > 0.3
    folder = study_of(tmp_path, two(num_seeds=0), per_class=counted([190, 10])).folder
    for path in folder.glob("trial_*/result.json"):  # 246 of 250, against 238
        path.write_text(json.dumps(json.loads(path.read_text()) | {"score": 0.984}))
    assert "not shown to be better than always saying 'common'" in said(load_study(folder))


def macro_f1(labels: Any, predicted: Any, num_classes: int) -> float:
    from sklearn.metrics import f1_score

    average = "binary" if num_classes == 2 else "macro"
    return float(f1_score(labels, predicted, average=average, zero_division=0))


def test_no_constant_has_a_higher_f1() -> None:
    for counts in ([6, 3, 1], [9, 1], [3, 7], [0, 5, 5]):
        labels = np.repeat(np.arange(len(counts)), counts)
        constants = [macro_f1(labels, np.full(10, c), len(counts)) for c in range(len(counts))]
        said, value = f1_of_none(counts)
        assert value >= max(constants)
        assert said is None or value == pytest.approx(constants[said])


@pytest.mark.parametrize(
    ("recorded", "level", "words"),
    [
        ({"duplicates": {"train/test": 12}}, "problem", "12 of 200 test images are in train too"),
        ({"duplicates": {"train/validation": 1}}, "doubt",
         "1 of 250 validation images is in train too"),
        ({"conflicting": 4}, "problem", "4 images have a copy with another label"),
        ({"missing_classes": {"test": ["class 1"]}}, "problem", "test has no image of class 'cl"),
        ({"constant": {"train": 3, "test": 0}}, "doubt", "3 images are of one colour throughout"),
    ],
)  # fmt: skip
def test_what_was_counted_is_said(
    tmp_path: Path, recorded: dict[str, Any], level: str, words: str
) -> None:
    study = study_of(tmp_path, Synthetic(6), **recorded)
    assert [found for title, found in titles(study).items() if words in title] == [level]


def test_what_is_damaged_says_nothing(tmp_path: Path) -> None:
    wrong: dict[str, Any] = {
        "per_class": {"test": ["many", None, -1]}, "duplicates": {"train/test": "x", "here": 2},
        "conflicting": [], "missing_classes": {"test": 3}, "constant": 7, "roles": [1],
    }  # fmt: skip
    damaged = study_of(tmp_path, Synthetic(6, name="damaged"), **wrong)
    whole = load_study(write_study(tmp_path, Synthetic(6, name="whole")))
    assert titles(damaged) == titles(whole)


def test_the_next_search_ranks_by_f1_and_is_not_informed_by_accuracies(tmp_path: Path) -> None:
    study = study_of(tmp_path, two(), per_class=counted([100, 100], [900, 100]))
    study.record["config"] |= {"method": "tpe", "sources": ["earlier"]}
    study.record["config"] |= {"dataset": "folder:/pictures 😀\x7f"}  # as TOML writes no other
    options = tomllib.loads(write_next(study, tmp_path / "next.toml").read_text())
    assert options["dataset"] == "folder:/pictures 😀\x7f"
    assert options["objective"] == "val_f1_score"
    assert "sources" not in options
    assert options["method"] == "tpe"


def test_roles_are_among_the_facts(tmp_path: Path) -> None:
    study = study_of(tmp_path, Synthetic(3), roles={"train": "train/", "test": "20 % of train"})
    assert dict(facts(study))["roles"] == "train is train/; test is 20 % of train"
