"""What reports and comparisons say of unusual records: no more than those show."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports import Study, load_study
from reports.analysis.baseline import no_better
from reports.analysis.comparison.arms import arms_of_studies
from reports.analysis.comparison.decide import compare
from reports.analysis.comparison.ledger import finding, ledger
from reports.analysis.comparison.words import verdict as compared
from reports.analysis.facts import checklist
from reports.analysis.health import health
from reports.analysis.metrics_table import metrics_of_best
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import tiles
from reports.page.tables import best_trials, finalists
from reports.statistics.estimates import bounded, mean
from reports.statistics.trend import slopes
from tests.reports.plain import by_loss, write_plain
from tests.reports.synthetic import SPACE, Synthetic, write_study

Change = Callable[[dict[str, Any], dict[str, Any]], object]
DEFAULT = {hp["name"]: hp["default"] for hp in SPACE}
RARE = {"train": [800, 100, 100], "validation": [200, 25, 25], "test": [240, 30, 30]}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where `study_of` leaves its studies


def edited(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def study_of(plan: Synthetic, change: Change | None = None, **record: Any) -> Study:
    """A study whose trials (`result.json` and `trial.json`) and record are changed."""
    folder = write_study(Path(tempfile.mkdtemp()), plan)
    for trial in sorted(folder.glob("trial_*")) if change else ():
        result, state = (json.loads((trial / f).read_text()) for f in ("result.json", "trial.json"))
        change(result, state)
        (trial / "result.json").write_text(json.dumps(result))
        (trial / "trial.json").write_text(json.dumps(state))

    def update(study: dict[str, Any]) -> None:
        for name, value in record.items():
            study[name] = study[name] | value if isinstance(value, dict) else value

    edited(folder / "study.json", update)
    return load_study(folder)


def said(study: Study) -> list[str]:
    return [f"{found.title}: {found.advice}" for found in health(study)]


def scored(result: dict[str, Any], state: dict[str, Any], name: str, curve: list[float]) -> None:
    for execution in result["executions"]:
        execution["history"][name] = curve
        execution["score"] = max(curve)
    if result["executions"]:
        result["score"] = state["score"] = max(curve)


@pytest.mark.parametrize("level", [1.0, 0.97, 0.1135])
def test_flat_curves_are_not_still_improving(level: float) -> None:
    assert slopes([np.full(window, level) for window in (3, 4, 6, 10)]).tolist() == [0.0] * 4
    assert slopes([np.array([1.0, 2.0, 4.0])]) == pytest.approx(
        np.polyfit([0, 1, 2], [1, 2, 4], 1)[0]
    )
    curve = [level - 0.1, level - 0.02, level, level, level]
    study = study_of(
        Synthetic(12, num_failed=0), lambda r, s: scored(r, s, "val_accuracy", list(curve))
    )
    assert not [line for line in said(study) if "still improving" in line]


def test_advice_on_rare_classes_is_new_and_can_be_followed() -> None:
    def advice(**options: Any) -> str:
        record = options.pop("record", {})
        plan = Synthetic(8, test_accuracy=0.4, num_test=300, **options)
        found = said(study_of(plan, dataset={"per_class": RARE}, **record))
        return next(line for line in found if "is no better than" in line)

    assert "F1" not in advice(objective=("val_f1_score", "max")).partition(": see")[2]
    assert "rank by the F1 score: --objective val_f1_score" in advice()
    own = advice(record={"config": {"space": "/code/model.py:build"}})
    assert "compile the model with an F1 score, and rank by" in own


def test_metrics_of_a_trial_of_several_trainings_are_their_means() -> None:
    def second(result: dict[str, Any], state: dict[str, Any]) -> None:
        for first in result["executions"][:1]:
            history = {n: [v - 0.1 for v in curve] for n, curve in first["history"].items()}
            result["executions"].append(
                {**first, "history": history, "score": first["score"] - 0.1}
            )
            result["score"] = state["score"] = first["score"] - 0.05

    study = study_of(Synthetic(8, num_seeds=0), second)
    found = metrics_of_best(study)
    assert found is not None
    accuracy = next(row for row in found.rows if row.name == "accuracy")
    assert accuracy.validation == pytest.approx(study.ranked.iloc[0]["score"])
    assert len(found.epochs) == 2
    assert {"epochs in all", "seconds in all"} <= {*best_trials(study).columns}
    runs = next(answer for item, _, answer in checklist(study) if item.startswith("Exact"))
    assert f"8 trials with {2 * len(study.completed)} completed trainings" in runs


def test_budgets_are_called_equal_only_where_they_are_known(tmp_path: Path) -> None:
    plain = [write_plain(tmp_path / name, by_loss(0.5, 0.4, 0.3)) for name in "ab"]
    words = finding(ledger(compare(arms_of_studies([load_study(path) for path in plain]))))
    assert "As far as is known, all arms were given the same" in words
    assert "Epochs and time of every arm are not recorded." in words


def test_a_further_metric_is_better_only_where_intervals_lie_apart(tmp_path: Path) -> None:
    def text(losses: tuple[float, float]) -> str:
        studies = []
        for name, loss, accuracy in zip("ab", losses, (0.97, 0.90), strict=True):
            plan = Synthetic(8, seed=ord(name), name=name, num_seeds=5, num_test=20_000,
                             further=(("val_loss", "min"),))  # fmt: skip
            folder = write_study(tmp_path / str(loss), plan)
            (folder / "artifacts/predictions.npz").unlink()

            def tested(records: Any, loss: float = loss, accuracy: float = accuracy) -> None:
                for place, run in enumerate(records[0]["runs"]):
                    shift = (-0.05, 0.05, -0.02, 0.02, 0)[place]
                    run["test"] = {"accuracy": accuracy + place / 1000, "loss": loss + shift}
                    run["test_size"] = 20_000

            edited(folder / "artifacts/finalists.json", tested)
            studies.append(load_study(folder))
        return compared(compare(arms_of_studies(studies)))

    assert "better in" not in text((0.3001, 0.3))
    assert "b is better in validation loss" in text((0.6, 0.2))


def test_a_knee_is_not_called_the_best_of_all() -> None:
    plan = Synthetic(30, seed=10, num_seeds=0, further=(("params", "min"),))
    worst = study_of(plan).completed.iloc[-1]["trial_id"]

    def default(result: dict[str, Any], state: dict[str, Any]) -> None:
        if result["trial_id"] == worst:
            state["hyperparameters"]["values"] = DEFAULT

    study = study_of(plan, default)
    answer = verdict(study)
    assert answer.trial_id != study.ranked.iloc[0]["trial_id"]
    assert ", chosen from 29 trials, so too large" in tiles(study, answer)[1][2]


@pytest.mark.parametrize("objective", ["val_top_k_categorical_accuracy", "accuracy"])
def test_another_accuracy_does_not_hide_that_a_constant_is_as_good(objective: str) -> None:
    def change(result: dict[str, Any], state: dict[str, Any]) -> None:
        scored(result, state, "val_accuracy", [0.6] * 5)
        scored(result, state, objective, [0.97] * 5)

    named = {"objective": {"name": objective, "direction": "max"}}
    study = study_of(Synthetic(8, num_seeds=0), change, dataset={"per_class": RARE}, **named)
    found = no_better(study)
    assert found is not None
    assert (found.split, found.reached, found.value) == ("validation", 0.6, 0.8)


def test_equal_trainings_have_no_interval() -> None:
    for value, count in ((0.97, 3), (0.1, 3), (2.3, 6)):
        assert not bounded(mean([value] * count), "loss").has_interval


def test_one_trial_is_not_the_luckiest_of_many() -> None:
    found = said(study_of(Synthetic(1, num_failed=0, num_seeds=0)))
    assert any("its score is of validation alone" in line for line in found)


def test_the_exported_training_is_known_when_another_has_no_score() -> None:
    study = study_of(Synthetic(8, num_seeds=3))

    def lost(records: Any) -> None:
        for place, run in enumerate(records[0]["runs"]):
            run["seed"] = 100 + place
        records[0]["runs"][0]["test"] = {"accuracy": float("nan")}
        records[0]["exported_run"] = 1

    edited(study.folder / "artifacts/finalists.json", lost)
    table = finalists(load_study(study.folder))
    assert table[table["exported"] == "yes"]["seed"].astype(str).tolist() == ["101"]
