"""The race of the finalists in the report: from the record alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from reports import load_study, write_report
from reports.analysis.race import contenders, race_sentence, race_table, winner
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import verdict_sentence
from reports.figures import figures
from reports.page.terminal import study_text
from tests.reports.synthetic import Synthetic, write_study


def runs(*scores: float) -> list[dict[str, Any]]:
    return [
        {"seed": place, "round": place + 1, "score": score, "history": {}, "epoch_seconds": [1.0],
         "test": {"accuracy": score - 0.01, "loss": 0.2}, "test_size": 200}
        for place, score in enumerate(scores)
    ]  # fmt: skip


@pytest.fixture
def raced(tmp_path: Path) -> Path:
    """A study whose third trial won the race against the search's best."""
    folder = write_study(tmp_path, Synthetic(num_trials=9))
    ids = list(load_study(folder).completed["trial_id"])
    facts = {"budget": 12, "spent": 9, "rounds": 4, "ended_by": "separated"}
    out = {"outcome": "dropped", "round": 3, "against": ids[2], "difference": 0.0123,
           "p_value": 0.0004, "level": 0.03, "mean": 0.91}  # fmt: skip
    records = [
        {"trial_id": ids[2], "runs": runs(0.95, 0.94, 0.95, 0.96), "exported_run": 3,
         "race": facts | {"outcome": "won", "mean": 0.95}},
        {"trial_id": ids[0], "runs": runs(0.91, 0.92, 0.9), "exported_run": None,
         "race": facts | out},
        {"trial_id": ids[1], "runs": [], "exported_run": None,
         "race": facts | {"outcome": "failed", "round": 1, "mean": "nan"}},
    ]  # fmt: skip
    (folder / "artifacts" / "finalists.json").write_text(json.dumps(records))
    return folder


def test_the_verdict_is_the_winner_of_the_race(raced: Path) -> None:
    study = load_study(raced)
    won = str(study.completed.iloc[2]["trial_id"])
    assert winner(study) == verdict(study).trial_id == won
    assert f"Train the network of trial {won}, ahead in a race of 3 finalists of" in (
        verdict_sentence(study, verdict(study))
    )
    assert "after 9 of 12 trainings the winner was separated from all others" in study_text(study)
    assert race_sentence(study).endswith("the trainings that made it win, which flatter it.")


def test_every_training_and_why_one_was_dropped_are_shown(raced: Path) -> None:
    study = load_study(raced)
    first, second, third = contenders(study)
    assert [place for place, _ in first.rounds] == [1, 2, 3, 4]
    assert (second.outcome, second.round, third.why) == ("dropped", 3, "its training failed")
    why = race_table(study)["why"].tolist()
    assert why[1] == f"0.0123 worse than {first.trial_id} (p 0.0004, below 0.03)"
    module, figure = figures()["race"], Figure()
    axes = figure.add_subplot()
    module.draw(module.info(study), axes)
    assert [len(points.get_offsets()) for points in axes.collections] == [4, 3]  # type: ignore[arg-type]
    page = write_report(study).read_text()
    assert "Who was dropped, and why" in page
    assert "The race of the finalists" in page
    assert (raced / "report" / "race.csv").is_file()


@pytest.mark.usefixtures("without_drawing")
def test_without_a_race_nothing_is_said_of_one(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, Synthetic(num_trials=6)))
    assert (contenders(study), winner(study)) == ([], None)
    page = write_report(study).read_text()
    assert "race" not in page.split("</style>")[1].split("<script")[0].lower().replace("trace", "")


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("race", [[1], "x", {"outcome": [], "round": {}, "mean": None}])
def test_a_damaged_race_costs_itself_alone(raced: Path, race: Any) -> None:
    path = raced / "artifacts" / "finalists.json"
    records = json.loads(path.read_text())
    for record in records:
        record["race"] = race
    path.write_text(json.dumps(records))
    page = write_report(load_study(raced)).read_text()
    assert "can't be made of this record" not in page
