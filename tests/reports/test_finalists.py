"""Finalists in the report, from the record alone: who ranked whom, what was tested, how often."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.finalists.testing import write_predictions
from reports import Study, load_study, write_report
from reports.analysis import test_predictions
from reports.analysis.facts import facts
from reports.analysis.finalist_words import finalists_note
from reports.analysis.race import race_sentence, winner
from reports.analysis.test_looks import looks_before
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import verdict_sentence
from reports.page.tables import finalists
from tests.reports.synthetic import Synthetic, write_study

LABELS = np.arange(200) % 3


def training(seed: int, score: float, num_wrong: int | None = None) -> dict[str, Any]:
    run = {"seed": seed, "score": score, "history": {}, "epoch_seconds": [1.0]}
    if num_wrong is None:
        return run
    return run | {"test": {"accuracy": 1 - num_wrong / 200, "loss": 0.2}, "test_size": 200}


def said(num_wrong: int) -> Any:
    """Returns predictions of the test images, of which the first `num_wrong` are wrong."""
    predicted = LABELS.astype(np.uint8)
    predicted[:num_wrong] = (predicted[:num_wrong] + 1) % 3
    return predicted


@pytest.fixture
def ranked(tmp_path: Path) -> Path:
    """A study whose second trial is first after it was trained again."""
    folder = write_study(tmp_path, Synthetic(num_trials=9))
    second, first = load_study(folder).completed["trial_id"][:2]
    how = {"max_epochs": 5, "patience": None}
    records = [
        {"trial_id": first, "exported_run": 1,
         "runs": [training(11, 0.9, 20), training(12, 0.92, 16)],
         "ranking": [training(1, 0.95), training(2, 0.96)]} | how,
        {"trial_id": second, "exported_run": None, "runs": [],
         "ranking": [training(3, 0.9), training(4, 0.91)]} | how,
    ]  # fmt: skip
    artifacts = folder / "artifacts"
    (artifacts / "finalists.json").write_text(json.dumps(records))
    write_predictions(artifacts / "finalists.npz", LABELS, {first: {12: said(16), 11: said(20)}})
    use = {"time": 1.0, "by": "finalists", "fingerprint": "f1", "images": 200, **how}
    trainings = [{"trial_id": first, "seed": seed} for seed in (11, 12)]
    (artifacts / "test_uses.json").write_text(json.dumps([use | {"trainings": trainings}]))
    return folder


def test_the_verdict_is_the_first_after_retraining_and_its_fresh_test(ranked: Path) -> None:
    study = load_study(ranked)
    chosen = study.completed.iloc[1]["trial_id"]
    answer = verdict(study)
    assert winner(study) == answer.trial_id == chosen
    assert [(trial_id, test.count) for trial_id, test in answer.tests] == [(chosen, 2)]
    assert answer.tests[0][1].mean == pytest.approx(0.91)
    sentence = verdict_sentence(study, answer)
    assert "the best of 2 finalists when trained again, of 8 completed trials" in sentence


def test_trainings_that_ranked_are_shown_beside_those_that_were_tested(ranked: Path) -> None:
    table = finalists(load_study(ranked))
    assert table["for"].tolist() == ["ranking", "ranking", "test", "test", "ranking", "ranking"]
    assert table["test accuracy"].tolist() == ["", "", "0.9000", "0.9200", "", ""]
    assert table["exported"].tolist() == ["", "", "", "yes", "", ""]


@pytest.mark.usefixtures("without_drawing")
def test_it_is_said_how_often_the_test_split_was_opened(ranked: Path) -> None:
    page = write_report(ranked).read_text()
    assert "so far it was opened once: for finalists (2 trainings)." in page
    assert "for the first time" not in page
    path = ranked / "artifacts" / "test_uses.json"
    (use,) = json.loads(path.read_text())
    trainings = [{"trial_id": "0001", "seed": seed} for seed in (7, 8, 9)]
    other = use | {"by": "compare", "trainings": trainings}
    path.write_text(json.dumps([use, other, other]))
    opened = dict(facts(load_study(ranked)))["test split"]
    assert opened == (
        "opened 3 times: once for finalists (2 trainings), twice for comparisons (6 trainings)"
    )


def test_an_older_study_does_not_claim_to_know_how_often(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, Synthetic(num_trials=4)))
    assert dict(facts(study))["test split"] == ("opened on 3 trainings; how often was not recorded")
    untested = load_study(write_study(tmp_path, Synthetic(4, name="u", num_seeds=0)))
    assert "test split" not in dict(facts(untested))


def test_predictions_are_in_the_order_of_the_runs(ranked: Path) -> None:
    study = load_study(ranked)
    second, first = study.completed["trial_id"][:2]
    found = test_predictions.test_predictions(study, first)
    assert found is not None
    assert found.seeds.tolist() == [11, 12]
    assert (found.predicted != found.labels).sum(axis=1).tolist() == [20, 16]
    assert test_predictions.test_predictions(study, second) is None
    assert test_predictions.test_predictions(study, "../../up") is None
    assert test_predictions.test_predictions(study, None) is None


def confirm(folder: Path, trial_id: str, runs: list[dict[str, Any]], wrong: list[int]) -> Study:
    """Writes trainings made for a comparison, as `compare --seeds` does."""
    place = folder / "artifacts" / "confirmed"
    place.mkdir(exist_ok=True)
    (place / f"{trial_id}.json").write_text(json.dumps([{"trial_id": trial_id, "runs": runs}]))
    predicted, scores = np.stack([said(n) for n in wrong]), [run["score"] for run in runs]
    np.savez(place / f"{trial_id}.npz", labels=LABELS, predicted=predicted, scores=scores)
    return load_study(folder)


def test_trainings_for_comparisons_are_added_and_those_that_ranked_are_not(ranked: Path) -> None:
    second, first = load_study(ranked).completed["trial_id"][:2]
    runs = [training(1, 0.95, 2), training(12, 0.92, 16), training(13, 0.9, 30)]
    study = confirm(ranked, first, runs, [2, 16, 30])
    assert [r["seed"] for r in test_predictions.tested_runs(study, first)] == [11, 12, 13]
    found = test_predictions.test_predictions(study, first)
    assert found is not None
    assert found.seeds.tolist() == [11, 12, 13]
    assert (found.predicted != found.labels).sum(axis=1).tolist() == [20, 16, 30]
    study = confirm(ranked, second, [training(21, 0.9, 40)], [40])
    found = test_predictions.test_predictions(study, second)
    assert found is not None
    assert found.seeds.tolist() == [21]


def test_predictions_that_are_not_those_of_the_record_count_as_missing(ranked: Path) -> None:
    path = ranked / "artifacts" / "finalists.json"
    records = json.loads(path.read_text())
    records[0]["runs"][0] = training(11, 0.9, 21)  # trained once more since
    path.write_text(json.dumps(records))
    found = test_predictions.test_predictions(load_study(ranked), records[0]["trial_id"])
    assert found is not None
    assert found.seeds.tolist() == [12]


@pytest.mark.parametrize(
    "change",
    [
        {"labels": LABELS[:-1]},
        {"labels": LABELS.astype(float)},
        {"labels": np.array(["x"] * 200)},
        {"predicted": np.zeros((3, 200), np.uint8)},
        {"predicted": np.zeros((2, 200))},
        {"predicted": np.zeros(200, np.uint8)},
        {"seeds": np.array(["a", "b"])},
        {"seeds": np.zeros((2, 2), int)},
        {"labels": np.empty(0, int), "predicted": np.empty((2, 0), np.uint8)},
    ],
)
def test_damaged_predictions_count_as_missing(ranked: Path, change: dict[str, Any]) -> None:
    first = load_study(ranked).finalists[0]["trial_id"]
    arrays = {"labels": LABELS, "predicted": np.stack([said(20), said(16)]), "seeds": [11, 12]}
    arrays |= change
    named = {n if n == "labels" else f"{n}_{first}": array for n, array in arrays.items()}
    np.savez(ranked / "artifacts" / "finalists.npz", **named)
    assert test_predictions.test_predictions(load_study(ranked), first) is None
    (ranked / "artifacts" / "finalists.npz").write_text("PK")
    assert test_predictions.test_predictions(load_study(ranked), first) is None


@pytest.mark.parametrize(
    "content",
    ["{", "[1]", "{}", '[{"trainings": 1}]', '[{"by": [], "trainings": [{"seed": "x"}, null]}]',
     '[{"by": "<b>\\u202e", "time": "x", "trainings": [{"seed": 1, "trial_id": {}}]}]',
     '[{"arms": [["a"], 1], "digest": 1}]', '[{"arms": [["a", "b"]], "digest": "d"}]'],
)  # fmt: skip
def test_damaged_records_of_uses_cost_themselves_alone(ranked: Path, content: str) -> None:
    for name in ("test_uses.json", "looks.json"):
        (ranked / "artifacts" / name).write_text(content)
    study = load_study(ranked)
    told = dict(facts(study)).get("test split", "")
    assert "\u202e" not in finalists_note(study) + told
    assert looks_before(study, [("a", "b")], "e") == ("looks" in dict(facts(study)))


def test_a_race_says_what_was_kept_for_the_test(ranked: Path) -> None:
    path = ranked / "artifacts" / "finalists.json"
    records = json.loads(path.read_text())
    race = {"budget": 12, "kept_back": 2, "spent": 4, "rounds": 2, "ended_by": "budget"}
    for record in records:
        record["race"] = race | {"outcome": "left", "mean": 0.9}
    path.write_text(json.dumps(records))
    study = load_study(ranked)
    sentence = race_sentence(study)
    assert "after 4 of 10 trainings the budget ended" in sentence
    assert sentence.endswith(" Its test is of 2 further trainings on fresh seeds.")
    assert verdict(study).tests[0][1].count == 2
