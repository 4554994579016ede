"""The race of the finalists in the report: from the record alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from experiments.record.trial_index import scan
from reports import load_study, write_report
from reports.analysis.race import contenders, race_sentence, race_table, winner
from reports.analysis.study_front import study_front
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import verdict_sentence
from reports.figures import figures
from reports.page.listing import full_summary, quick_summary
from reports.page.terminal import study_text
from reports.study.load import read_record
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
    first, behind, failed = contenders(study)
    assert first.why == "separated from those whose training did not fail"
    assert (
        f"after 9 of 12 trainings the winner was separated from trial {behind.trial_id} (the "
        f"training of trial {failed.trial_id} failed)"
    ) in " ".join(study_text(study).split())
    study.files.finalists.write_text(json.dumps(study.finalists[:2]))  # none has failed
    assert "separated from all others" in race_sentence(load_study(raced))
    assert race_sentence(study).endswith("the trainings that made it win, which flatter it.")


@pytest.mark.usefixtures("without_drawing")
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


def edited(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def trial_of_list(folder: Path) -> str | None:
    """Returns the trial that `experiments list` names, without reading all of the study."""
    quick = quick_summary(folder, read_record(folder), scan(folder))
    assert quick is not None
    return quick.trial


def scored(folder: Path, trial_id: str, value: float) -> None:
    """Gives a trial another score, as if it had been added after the finalists were chosen."""
    for name in ("trial.json", "result.json"):
        edited(folder / f"trial_{trial_id}" / name, score=value)


@pytest.mark.parametrize("confirm", [0, 3])  # `resume --confirm 0`; a deadline that was missed
def test_finalists_that_new_trials_were_not_among_recommend_none(raced: Path, confirm: int) -> None:
    study = load_study(raced)
    won, late = study.finalists[0]["trial_id"], str(study.completed.iloc[5]["trial_id"])
    edited(raced / "study.json", config=study.record["config"] | {"confirm": confirm})
    assert verdict(load_study(raced)).trial_id == won
    scored(raced, late, 0.99)
    study = load_study(raced)
    said = verdict_sentence(study, verdict(study))
    assert f"Train the network of trial {late}, the best of 8 completed trials" in said
    assert f"trial {won} was confirmed instead" in said
    assert trial_of_list(raced) == full_summary(raced).trial == late


def test_another_trial_of_a_finalists_network_is_no_further_finalist(raced: Path) -> None:
    study = load_study(raced)
    edited(raced / "study.json", config=study.record["config"] | {"confirm": 0})
    won, first, again = (str(study.completed.iloc[i]["trial_id"]) for i in (2, 0, 5))
    state = json.loads((raced / f"trial_{first}" / "trial.json").read_text())
    edited(raced / f"trial_{again}" / "trial.json", hyperparameters=state["hyperparameters"])
    scored(raced, again, float(study.completed.iloc[0]["score"]))
    assert trial_of_list(raced) == full_summary(raced).trial == won


def test_an_equal_of_the_last_finalist_does_not_count_as_added(raced: Path) -> None:
    study = load_study(raced)
    edited(raced / "study.json", config=study.record["config"] | {"confirm": 0})
    won, equal = (str(study.completed.iloc[i]["trial_id"]) for i in (2, 5))
    scored(raced, equal, float(study.completed.iloc[2]["score"]))
    edited(raced / f"trial_{equal}" / "result.json", started=1.0)  # so it is before the finalist
    assert trial_of_list(raced) == full_summary(raced).trial == won


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ({"outcome": "dropped"}, "in the race of the finalists trial {} did better than it at no "
         "more cost: train that one"),
        ({"outcome": "failed"}, "the race of the finalists left trial {} instead: train that one"),
        (None, "trial {} was confirmed instead"),  # trials were added, or measured again
    ],
)  # fmt: skip
def test_a_knee_is_replaced_only_by_what_raced_against_it(
    outcome: dict[str, Any] | None, words: str, tmp_path: Path
) -> None:
    plan = Synthetic(40, further=(("params", "min"), ("flops", "min")))
    folder = write_study(tmp_path, plan)
    front = study_front(load_study(folder))
    assert front is not None
    knee, other, third = (
        str(front.trials.iloc[place]["trial_id"]) for place in front.front.ranked()[:3]
    )
    facts = {"budget": 9, "spent": 9, "rounds": 3, "ended_by": "front", "mean": 0.9}
    places: dict[str, Any] = {
        other: {"outcome": "left", "standing": "cheapest"},
        third: {"outcome": "left", "standing": "worth"},
    }
    if outcome is not None:
        against = {"against": other} if outcome["outcome"] == "dropped" else {}
        places[knee] = outcome | against | {"round": 3}
    records = [
        {"trial_id": name, "runs": runs(0.9, 0.9) if name == other else [], "exported_run": None,
         "ranking": [{"seed": 1, "score": 0.9}], "race": facts | place}
        for name, place in places.items()
    ]  # fmt: skip
    (folder / "artifacts" / "finalists.json").write_text(json.dumps(records))
    config = load_study(folder).record["config"]
    edited(folder / "study.json", config=config | {"confirm": 3})
    study = load_study(folder)
    answer = verdict(study)
    said = verdict_sentence(study, answer)
    assert f"Train the network of trial {knee}, the front's knee" in said
    assert words.format(other) in said
    assert answer.trial_id == (knee if outcome is None else other)
