"""The index of trials: reading through it gives what the files hold, whatever happens to it."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.record import trial_index as index
from experiments.record.formatting import score
from experiments.record.objective import Objective
from experiments.studies.status import status_text
from reports import load_study
from reports.analysis.study_front import last_arrival, study_front
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import verdict_sentence
from reports.figures import figures
from reports.figures._render import picture
from reports.page.listing import full_summary, quick_summary, studies_table
from reports.page.tables import best_trials
from reports.study.load import read_record
from tests.reports.synthetic import Synthetic, write_study

INDEX = ".index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study whose files are old enough to be indexed."""
    made = write_study(tmp_path, Synthetic(24, num_failed=2))
    for path in made.glob("trial_*/*.json"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return made


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def no_reading(*args: Any) -> None:
    raise AssertionError("a trial's files were read")


def test_trials_come_from_the_index_and_are_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_study(folder)
    said = studies_table(folder.parent), status_text(folder)
    assert (folder / INDEX).is_file()
    monkeypatch.setattr(index, "read_trial", no_reading)
    again = load_study(folder)
    pd.testing.assert_frame_equal(first.trials, again.trials)
    pd.testing.assert_frame_equal(first.epochs, again.epochs)
    assert len(again.epochs) == 22 * 5
    size = studies_table(folder.parent).split("mnist_cnn")[1], status_text(folder)
    assert size == (said[0].split("mnist_cnn")[1], said[1])


def test_epochs_of_one_trial_are_read_alone(folder: Path) -> None:
    study = load_study(folder)
    for path in folder.glob("trial_*"):
        if path.name != "trial_03":
            (path / "result.json").unlink()
    assert list(study.epochs_of("03")["epoch"]) == [1, 2, 3, 4, 5]
    assert study.epochs_of("04").empty


@pytest.mark.parametrize("name", ["trial.json", "result.json"])
def test_a_trial_that_has_changed_is_read_again(folder: Path, name: str) -> None:
    load_study(folder)
    before = (folder / "trial_03" / name).stat()
    changed = folder / "trial_03" / "other"
    text = (folder / "trial_03" / name).read_text().replace('"score": 0.', '"score": 1.')
    changed.write_text(text)
    os.utime(changed, ns=(before.st_mtime_ns, before.st_mtime_ns))
    changed.replace(folder / "trial_03" / name)  # of the same size and the same time
    assert (folder / "trial_03" / name).stat().st_size == before.st_size
    _, state, result = index.read_compact(folder, [])[3]
    assert (state if name == "trial.json" else result)["score"] > 1


def test_what_was_added_removed_or_damaged_since_is_noticed(folder: Path) -> None:
    load_study(folder)
    (folder / "trial_00" / "result.json").unlink()
    (folder / "trial_00" / "trial.json").unlink()
    (folder / "trial_01" / "trial.json").write_text("{")
    (folder / "trial_05").rename(folder / "trial_77")
    study = load_study(folder)
    assert {"00", "01", "05"}.isdisjoint(study.trials["trial_id"])
    assert "77" in set(study.trials["trial_id"])
    assert len(study.problems) == 1
    assert "trial 01 is left out" in study.problems[0]
    assert "1 unreadable" in status_text(folder)


def test_a_file_that_may_still_change_unnoticed_is_not_indexed(folder: Path) -> None:
    change(folder / "trial_03" / "result.json", worker="another")
    load_study(folder)
    assert set(json.loads((folder / INDEX).read_text())["trials"]) == {
        f"trial_{number:02d}" for number in range(24) if number != 3
    }


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "null", '{"format": 1}', '{"format": 1, "trials": []}', "[" * 100_000,
        '{"format": 1, "trials": {"trial_03": 1, "trial_04": [[], {}], "trial_05": [null, 1, 2]}}',
    ],
)  # fmt: skip
def test_an_index_that_is_none_is_as_good_as_no_index(folder: Path, content: str) -> None:
    expected = load_study(folder).trials
    (folder / INDEX).write_text(content)
    pd.testing.assert_frame_equal(load_study(folder).trials, expected)
    assert len(json.loads((folder / INDEX).read_text())["trials"]) == 24


def test_an_index_of_another_format_is_not_read(folder: Path) -> None:
    expected = load_study(folder).trials
    stored = json.loads((folder / INDEX).read_text())
    for entry in stored["trials"].values():
        entry[2]["score"] = 7
    (folder / INDEX).write_text(json.dumps(stored | {"format": 0}))
    pd.testing.assert_frame_equal(load_study(folder).trials, expected)


def test_a_folder_that_can_not_be_written_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(index.tempfile, "NamedTemporaryFile", refused)
    assert len(load_study(folder).trials) == 24
    assert not (folder / INDEX).exists()


def test_nothing_is_left_of_an_index_that_could_not_be_put_in_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name for path in folder.iterdir()}

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index.os, "replace", full)
    load_study(folder)
    assert {path.name for path in folder.iterdir()} == before


def test_small_studies_and_plain_projects_get_no_index(tmp_path: Path) -> None:
    small = write_study(tmp_path, Synthetic(5))
    plain = write_study(tmp_path, Synthetic(25, name="plain"))
    (plain / "study.json").unlink()
    studies_table(tmp_path)
    assert not list(tmp_path.glob(f"*/{INDEX}"))
    assert len(load_study(small).trials) == 5


def race(folder: Path) -> None:
    path = folder / "artifacts" / "finalists.json"
    [first] = json.loads(path.read_text())
    ranked = first | {"trial_id": "2", "ranking": [{"seed": 1, "score": 0.4}]}
    path.write_text(json.dumps([ranked, first]))


def test_the_list_says_what_verdicts_say(tmp_path: Path) -> None:
    plans = [
        Synthetic(6, name="usual"), Synthetic(0, name="none", num_failed=0, num_seeds=0),
        Synthetic(4, name="failed", num_failed=4, num_seeds=0), Synthetic(6, name="raced"),
        Synthetic(6, name="least", changes={"objective": {"name": "loss", "direction": "min"}}),
    ]  # fmt: skip
    for plan in plans:
        folder = write_study(tmp_path, plan)
        if plan.name == "raced":
            race(folder)
        quick = quick_summary(folder, read_record(folder), index.scan(folder))
        assert str(quick) == str(full_summary(folder)), plan.name  # NaN equals NaN in words
    several = write_study(tmp_path, Synthetic(6, name="several", further=(("params", "min"),)))
    assert quick_summary(several, read_record(several), index.scan(several)) is None
    lines = studies_table(tmp_path).splitlines()
    assert len(lines) == 7
    assert lines[0].split() == [
        "study", "size", "what", "method", "trials", "objective", "best", "test", "started",
    ]  # fmt: skip
    assert "0 + 4 failed" in next(line for line in lines if line.startswith("failed"))


def shorten(folder: Path, trial_id: str, score: float, **values: int) -> None:
    """Gives a trial a score and fewer epochs: by an earlier limit, or a round of Hyperband."""
    path = folder / f"trial_{trial_id}"
    state = json.loads((path / "trial.json").read_text())
    state["hyperparameters"]["values"] |= {f"tuner/{name}": v for name, v in values.items()}
    change(path / "trial.json", hyperparameters=state["hyperparameters"], score=score)
    change(path / "result.json", score=score, asked={"epochs": 2})


def test_trials_of_fewer_epochs_are_recommended_last(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(6, num_failed=0, num_seeds=0))
    for path in folder.glob("trial_*/result.json"):
        change(path, asked={"epochs": 5})
    best = str(load_study(folder).completed["trial_id"].iloc[0])
    early, fewer = [i for i in ("0", "1", "2") if i != best][:2]
    shorten(folder, early, 0.99, round=0, bracket=1)
    shorten(folder, fewer, 0.98)
    study = load_study(folder)
    assert study.ranked["trial_id"].tolist()[0::5] == [best, early]
    assert "(2 of fewer epochs scored better)" in verdict_sentence(study, verdict(study))
    quick = quick_summary(folder, read_record(folder), index.scan(folder))
    assert quick is not None
    assert quick.trial == full_summary(folder).trial == best
    assert best_trials(study)["trial"].tolist()[0::5] == [best, early]
    assert f"best: trial {best}," in status_text(folder)
    change(folder / "study.json", script={"file": "mine.py"})  # it takes them by score alone
    script = load_study(folder)
    assert script.ranked["trial_id"].tolist()[:2] == [early, fewer]
    assert f"best: trial {early}," in status_text(folder)
    progress, tradeoffs = figures()["progress"], figures()["tradeoffs"]
    said = progress.finding(progress.info(study))
    assert said.startswith(
        "The best of 4 of 6 completed trials (the others had fewer epochs), "
        f"{score(study.ranked['score'].iloc[0])}, "
    )
    assert picture(study, "progress", progress).svg is not None
    found = tradeoffs.info(study)
    assert early not in found.ids.values()
    several = replace(study, objectives=(*study.objectives, Objective("params", "min")))
    front = study_front(several)
    assert front is not None
    assert front.ids[0] == fewer  # and none of an early round, as for finalists
    assert early not in front.ids
    last = last_arrival(several)  # counted as in "Best so far": among all that were completed
    assert last is not None
    assert several.by_end["trial_id"].iloc[last - 1] == max(front.ids, key=int)
