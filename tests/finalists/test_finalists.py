"""Finalists: raced or not, interrupted and resumed, extended; finished work is not repeated."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from experiments import SearchConfig, UserError, run_search
from experiments.cli.main import main
from experiments.display.base import Display
from experiments.finalists.again import train_again
from experiments.finalists.record import mended_finalists, read_finalists
from experiments.finalists.trainings import Trainings
from experiments.record.errors import InterruptedSearchError
from experiments.record.layout import DAMAGED
from experiments.record.predictions import read_kept
from experiments.record.test_uses import read_uses
from experiments.search.resuming import resume_search
from experiments.search.run import SearchResult
from experiments.studies.best_model import best_file
from reports import load_study
from reports.analysis import test_predictions
from reports.analysis.facts import facts
from tests.stand_ins import unwritten

pytestmark = pytest.mark.usefixtures("without_report", "without_artifacts")


@pytest.fixture
def without_artifacts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the report shows of the exported model takes seconds, and no test here looks at it."""
    monkeypatch.setattr("experiments.finalists.artifacts.write_artifacts", lambda *arguments: None)


class Watching(Display):
    """Records what is trained again, and presses Ctrl-C in a training of a given number."""

    def __init__(self, interrupt_at: int = 0) -> None:
        self.trained: list[tuple[str, int]] = []
        self.numbers: list[int] = []
        self.lines: list[str] = []
        self._interrupt_at = interrupt_at

    def confirming(self, trial_id: str, seed: int, number: int) -> None:
        self.trained.append((trial_id, seed))
        self.numbers.append(number)

    def epoch_ended(self, *args: Any, **kwargs: Any) -> None:
        if self.trained and len(self.trained) == self._interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)

    def notice(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """A search of three trials whose finalists are not confirmed: a good one and two hopeless."""
    config = SearchConfig(
        "mnist_cnn", dataset="digits", sample=150, max_trials=3, max_epochs=2, confirm=0,
        method="tpe", try_default=False, name="s", seed=1,
        fix={"conv_blocks": 1, "filters_0": 16, "dense_layers": 0, "optimizer": "adam",
             "batch_size": 32, "dropout": 0, "kernel_size": 3, "pooling": "max",
             "batch_norm": False, "learning_rate_schedule": "constant"},
        tries=[{"learning_rate": v} for v in ("0.01", "0.009", "0.0001")],
        runs_dir=str(tmp_path_factory.mktemp("finalists")), cache_dir=str(cache_dir),
    )  # fmt: skip
    from unittest.mock import patch

    with patch("reports.write_report", unwritten):
        return run_search(config).folder


@pytest.fixture
def study(searched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(searched, tmp_path / "s"))


def go_on(study: Path, display: Watching, **changes: Any) -> SearchResult:
    return resume_search(study, changes=changes, display=display)


def finalists(study: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads((study / "artifacts" / "finalists.json").read_text())
    return records


def what_matters(records: list[dict[str, Any]]) -> Any:
    """Returns the records without the seconds that things took."""
    for record in records:
        for run in [*record["runs"], *record.get("ranking", ())]:
            del run["seconds"], run["epoch_seconds"]
    return records


def check_ranked(study: Path, records: list[dict[str, Any]], display: Watching) -> None:
    """Checks that two finalists were ranked, and the winner alone tested, on fresh seeds."""
    first, second = records
    runs = [*first["runs"], *first["ranking"], *second["ranking"]]
    assert all(run["numerics"]["intra_op_threads"] >= 1 for run in runs)
    means = [np.mean([run["score"] for run in record["ranking"]]) for record in records]
    assert means[0] >= means[1]
    assert [len(record["ranking"]) for record in records] == [2, 2]
    assert not any("test" in run for record in records for run in record["ranking"])
    assert second["runs"] == []
    ranking = {run["seed"] for record in records for run in record["ranking"]}
    fresh = [run["seed"] for run in first["runs"]]
    assert len(fresh) == 2
    assert not ranking & set(fresh)
    best = max(range(2), key=lambda place: first["runs"][place]["score"])
    assert first["exported_run"] == best
    said = test_predictions.test_predictions(load_study(study), first["trial_id"])
    assert said is not None
    assert said.seeds.tolist() == fresh
    right = (said.predicted == said.labels).mean(axis=1)
    assert right.tolist() == [run["test"]["accuracy"] for run in first["runs"]]
    (use,) = load_study(study).test_uses
    assert (use["by"], use["images"]) == ("finalists", 15)
    assert [(t["trial_id"], t["seed"]) for t in use["trainings"]] == [
        (first["trial_id"], seed) for seed in fresh
    ]
    assert [line.partition(":")[0] for line in display.lines] == [
        "finalists by mean val_accuracy, trained again",
        f"{first['trial_id']} is trained again with 2 fresh seeds for its test",
    ]


def test_an_interrupted_confirmation_goes_on_and_repeats_nothing(study: Path) -> None:
    undisturbed = Path(shutil.copytree(study, study.with_name("undisturbed")))
    whole, first, second = Watching(), Watching(interrupt_at=3), Watching()
    expected = go_on(undisturbed, whole, confirm=2, seeds=2)
    with pytest.raises(InterruptedSearchError, match="resume with: experiments resume s"):
        go_on(study, first, confirm=2, seeds=2)
    assert len(list((study / "artifacts" / "finalists").glob("*/result.json"))) == 2
    result = go_on(study, second)
    assert first.trained == whole.trained[:3]
    assert second.trained == whole.trained[2:]
    assert first.numbers + second.numbers == [1, 2, 3, *range(3, len(whole.numbers) + 1)]
    assert whole.numbers == [*range(1, len(whole.numbers) + 1)]
    assert result.test_scores == expected.test_scores
    records = finalists(study)
    assert what_matters(finalists(undisturbed)) == what_matters(finalists(study))
    check_ranked(study, records, whole)
    assert result.best_trial == records[0]["trial_id"]
    assert not (study / "artifacts" / "finalists").exists()


def test_a_longer_confirmation_trains_what_is_new_alone(study: Path) -> None:
    before, after, again = Watching(), Watching(), Watching()
    go_on(study, before, confirm=1, seeds=2)
    (searched_best,) = finalists(study)
    result = go_on(study, after, seeds=3, confirm=2)
    records = {record["trial_id"]: record for record in finalists(study)}
    assert records[searched_best["trial_id"]]["ranking"][:2] == searched_best["runs"]
    new = [t for t in after.trained if t not in before.trained]
    # Two of its three seeds were known; the winner is trained on three fresh ones.
    assert len(new) == len(after.trained) == 1 + 3 + 3
    assert len(result.test_scores) == 3
    uses = load_study(study).test_uses
    assert [len(use["trainings"]) for use in uses] == [2, 3]
    told = dict(facts(load_study(study)))["test split"]
    assert told == "opened twice: for finalists (5 trainings)"
    go_on(study, again)
    assert again.trained == []
    assert load_study(study).test_uses == uses
    (study / "artifacts" / "test_uses.json").unlink()  # as an earlier version left it
    go_on(study, again, max_epochs=1, confirm=1, seeds=1)  # other epochs are other trainings
    assert len(again.trained) == 1
    uses = load_study(study).test_uses
    assert [len(use["trainings"]) for use in uses] == [5, 1]
    assert uses[0]["time"] < uses[1]["time"]


def test_finalists_of_other_code_are_trained_again(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {"my_model": "0"}
    monkeypatch.setattr("experiments.search.session.space_source", lambda *_: source)
    record = json.loads((study / "study.json").read_text()) | {"space_source": source}
    (study / "study.json").write_text(json.dumps(record))
    whole, edited, restored = Watching(interrupt_at=2), Watching(), Watching()
    with pytest.raises(InterruptedSearchError):
        go_on(study, whole, confirm=1, seeds=2)
    assert len(list((study / "artifacts" / "finalists").glob("*/result.json"))) == 1
    with monkeypatch.context() as patched:
        patched.setattr("experiments.search.session.space_source", lambda *_: {"my_model": "1"})
        go_on(study, edited)
    assert edited.trained == whole.trained
    go_on(study, restored, seeds=3)
    assert restored.trained[:2] == whole.trained
    assert len(restored.trained) == len(finalists(study)[0]["runs"]) == 3
    assert [len(use["trainings"]) for use in read_uses(study)] == [2, 3]


def test_a_lost_model_is_made_again(study: Path) -> None:
    before, after = Watching(), Watching()
    go_on(study, before, confirm=2, seeds=2)
    recorded, uses = what_matters(finalists(study)), load_study(study).test_uses
    model = study / "best_model.keras"
    weights = [w.tolist() for w in keras.models.load_model(model).get_weights()]
    model.unlink()
    with pytest.raises(
        UserError, match=r"'s' has lost its best_model.keras: .experiments resume s --runs-dir /"
    ):
        best_file(load_study(study))
    result = go_on(study, after)
    exported = recorded[0]["runs"][recorded[0]["exported_run"]]["seed"]
    assert after.trained == [(recorded[0]["trial_id"], exported)]
    again = [w.tolist() for w in keras.models.load_model(model).get_weights()]
    assert again == weights
    assert not any("this time" in line for line in after.lines)
    assert result.best_trial == recorded[0]["trial_id"]
    assert what_matters(finalists(study)) == recorded
    assert load_study(study).test_uses == uses


def test_a_lost_model_is_made_again_under_the_threads_of_then(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on(study, Watching(), confirm=1, seeds=1)
    path = study / "artifacts" / "finalists.json"
    records, display = finalists(study), Watching()
    run = records[0]["runs"][0]
    run["numerics"]["intra_op_threads"], run["score"] = 3, 0.123
    path.write_text(json.dumps(records))
    (study / "best_model.keras").unlink()
    asked: list[Any] = []

    def train(*arguments: Any, environment: Any) -> Any:
        asked.append(environment)
        return train_again(*arguments, environment=environment)

    monkeypatch.setattr("experiments.finalists.confirm.train_again", train)
    go_on(study, display)
    assert [environment["TF_NUM_INTRAOP_THREADS"] for environment in asked] == ["3"]
    assert any("this time, not to 0.1230: the exported model is" in line for line in display.lines)


def test_a_record_never_names_another_trial_than_the_model_is_of(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    display = Watching()
    go_on(study, display, confirm=1, seeds=1)

    def export(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("experiments.finalists.confirm.export", export)
        with pytest.raises(KeyboardInterrupt):
            go_on(study, display, max_epochs=1)
    assert [record["exported_run"] for record in finalists(study)] == [None]
    go_on(study, display)
    assert [record["exported_run"] for record in finalists(study)] == [0]


@pytest.mark.parametrize("damage", ["an entry", "all"])
def test_a_damaged_finalist_costs_itself_alone(study: Path, damage: str) -> None:
    before, after = Watching(), Watching()
    go_on(study, before, confirm=2, seeds=2)
    records, path = finalists(study), study / "artifacts" / "finalists.json"
    seeds = len(records[1]["ranking"])
    del records[1]["ranking"][0]["seed"]
    text = json.dumps(records) if damage == "an entry" else "<<<<<<< HEAD"
    path.write_text(text)
    go_on(study, after)
    assert path.with_name(path.name + DAMAGED).read_text() == text
    assert any("finalists.json is damaged, set aside as" in line for line in after.lines)
    if damage == "an entry":
        assert after.trained == [t for t in before.trained if t[0] == records[1]["trial_id"]]
        assert len(after.trained) == seeds
    assert finalists(study)[0]["runs"] == records[0]["runs"] or damage == "all"
    path.write_text("[")
    go_on(study, after)
    assert path.with_name(f"{path.name}.2{DAMAGED}").read_text() == "["
    assert path.with_name(path.name + DAMAGED).read_text() == text


def test_a_kill_while_finalists_are_mended_loses_none(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on(study, Watching(), confirm=2, seeds=2)
    records, path = finalists(study), study / "artifacts" / "finalists.json"
    path.write_text(json.dumps([records[0], {}]))

    def cut_off(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.finalists.record.write_json", cut_off)
    with pytest.raises(KeyboardInterrupt):
        mended_finalists(path)
    assert read_finalists(path) == [records[0]]


def test_a_damaged_test_use_is_kept(study: Path) -> None:
    go_on(study, Watching(), confirm=1, seeds=1)
    path = study / "artifacts" / "test_uses.json"
    strange = {"by": "somebody", "trainings": "lost"}
    path.write_text(json.dumps([strange, *json.loads(path.read_text())]))
    go_on(study, Watching(), seeds=2)
    assert [use["by"] for use in json.loads(path.read_text())] == [
        "somebody", "finalists", "finalists"
    ]  # fmt: skip
    assert len(read_uses(study)) == 2
    path.write_text("[{")
    (said,) = load_study(study).problems
    assert said == "test_uses.json can't be read: earlier uses of the test split are not counted"
    go_on(study, Watching(), seeds=3)
    assert path.with_name(path.name + DAMAGED).read_text() == "[{"
    assert [len(use["trainings"]) for use in read_uses(study)] == [2, 1]


def test_the_exported_model_is_of_the_epochs_that_are_recorded(study: Path) -> None:
    exported: list[bytes] = []
    display = Watching()
    for epochs in (1, 2, 1):
        go_on(study, display, confirm=1, seeds=1, max_epochs=epochs)
        exported.append((study / "best_model.keras").read_bytes())
    assert len(display.trained) == 3  # the weights of the first are gone
    assert finalists(study)[0]["max_epochs"] == 1
    assert exported[2] != exported[1]
    assert not any(read_kept(study).values())  # there were those of the second alone


def test_a_race_spends_trainings_on_contenders(study: Path) -> None:
    display = Watching()
    result = go_on(study, display, confirm=3, seeds=5, race=True)
    records = finalists(study)
    races = {record["trial_id"]: record["race"] for record in records}
    assert races["0002"]["outcome"] == "dropped"  # with a learning rate of 0.0001
    assert races["0002"]["against"] in ("0000", "0001")
    assert races["0002"]["p_value"] < races["0002"]["level"]
    spent = {record["trial_id"]: len(record["ranking"]) for record in records}
    assert spent["0002"] == races["0002"]["round"] == 3
    assert sum(spent.values()) == records[0]["race"]["spent"] <= 10
    assert [len(record["runs"]) for record in records] == [5, 0, 0]  # of 15 trainings
    seeds = [[run["seed"] for run in record["ranking"]] for record in records]
    assert seeds[-1] == seeds[0][: len(seeds[-1])]  # rounds are paired
    assert [run["round"] for run in records[0]["ranking"]] == list(range(1, len(seeds[0]) + 1))
    assert not {run["seed"] for run in records[0]["runs"]} & set(seeds[0])
    assert result.best_trial == records[0]["trial_id"]
    assert records[0]["race"]["mean"] == max(race["mean"] for race in races.values())
    assert all(run["test_size"] == 15 for record in records for run in record["runs"])
    assert any("0002 is out: " in line for line in display.lines)
    again = Watching()
    assert go_on(study, again).best_trial == result.best_trial
    assert again.trained == []


def test_a_race_ends_at_the_deadline(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.finalists.ranking.REPORT_SECONDS", 3600.0)
    monkeypatch.setattr("experiments.search.resume.check_race", lambda config: None)
    display = Watching()
    go_on(study, display, confirm=2, seeds=4, race=True, deadline="1h")
    # A first round there is in any case, and the winner is tested.
    assert len(display.trained) == 2 + 4
    assert finalists(study)[0]["race"]["ended_by"] == "deadline"
    assert display.lines[-2].startswith("race: the deadline came before ")
    monkeypatch.undo()
    go_on(study, display)  # without a deadline, it goes on, and repeats nothing
    assert finalists(study)[0]["race"]["rounds"] == 2
    assert len(finalists(study)[0]["runs"]) == 4
    assert len(set(display.trained[:8])) == 8


def test_a_training_that_fails_costs_itself_alone(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, failing = Trainings._begin, []

    def spoilt(self: Trainings, training: Any) -> None:
        if not failing:
            failing.append(training.key)
            training.task.hyperparameters["values"]["learning_rate"] = float("nan")
        begin(self, training)

    monkeypatch.setattr(Trainings, "_begin", spoilt)
    display = Watching()
    result = go_on(study, display, confirm=1, seeds=2)
    (record,) = finalists(study)
    assert len(record["runs"]) == len(record["failed"]) == len(result.test_scores) == 1
    assert "NotANumberError" in record["failed"][0]["message"]
    assert any("failed: NotANumberError" in line for line in display.lines)


def test_finalists_are_trained_by_worker_processes(study: Path) -> None:
    display = Watching()
    go_on(study, display, confirm=1, seeds=2, workers=2)
    assert len(finalists(study)[0]["runs"]) == 2
    assert not (study / "artifacts" / "finalists").exists()


@pytest.mark.parametrize("given", [["--confirm", "1"], ["--seeds", "2", "--confirm", "3"]])
def test_a_race_of_one_or_of_two_rounds_is_refused(given: list[str]) -> None:
    result = CliRunner().invoke(main, ["search", "mnist_cnn", "--race", *given])
    assert result.exit_code == 2
    assert "K should be 2 or more and S 3 or more" in result.stderr
    assert result.stderr.count("\n") == 1
    with pytest.raises(UserError, match="race should be true or false"):
        SearchConfig("mnist_cnn", race="yes")  # type: ignore[arg-type]


def test_a_race_that_can_compare_nobody_is_refused(study: Path) -> None:
    arguments = ["search", "mnist_cnn", "--race", "--confirm", "2", "--seeds", "5"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "5 are kept for the winner's test" in result.stderr
    assert "take --seeds 6 or more" in result.stderr
    assert result.stderr.count("\n") == 1
    with pytest.raises(UserError, match=r"needs 9, .* take --seeds 5 or more"):
        go_on(study, Watching(), race=True, confirm=3, seeds=4)
