"""Hopeless trials are stopped at their epoch, by comparison with others, in every executor."""

import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

from benchmarks.simulated import SimulatedTask, Simulation, train
from experiments import SearchConfig, run_search
from experiments.display.base import Display
from experiments.finalists.choose import finalists
from experiments.hyperparameters.space import explore, fixed, has_phases
from experiments.methods.guidance import chosen_method
from experiments.methods.oracles.optuna_oracle import OptunaOracle
from experiments.record.errors import InterruptedSearchError, UserError
from experiments.record.formatting import NO_END, plural
from experiments.search.resuming import resume_search
from experiments.studies.status import status_text
from search_spaces.mnist_cnn import MnistCnn
from search_spaces.transfer_head import TransferHead
from tests.one_structure import STRUCTURE


def oracle(
    folder: Path, sampler: str = "qmc", direction: str = "max", seed: int = 1, **options: Any
) -> OptunaOracle:
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    objective = keras_tuner.Objective("score", direction)
    made = OptunaOracle(sampler, objective=objective, hyperparameters=hp, seed=seed, **options)
    made.verbose = 0
    made._set_project_dir(str(folder), "project")
    return made


def feed(made: Any, curve: list[float], begin: int = 0) -> tuple[Any, int]:
    """Runs a trial along `curve` until it is stopped; returns it and its number of epochs."""
    trial = made.create_trial("one")
    for epoch, score in enumerate(curve, begin):
        answer = made.update_trial(trial.trial_id, {"score": score}, step=epoch)
        if answer.status == "STOPPED":
            trial.message = f"pruned after {epoch + 1} epochs"
            break
    trial.status = "COMPLETED"
    made.end_trial(trial)
    return trial, epoch + 1


def test_a_trial_below_the_median_is_stopped(tmp_path: Path) -> None:
    made = oracle(tmp_path, pruner="median", max_epochs=6)
    for level in (0.5, 0.6, 0.7, 0.8, 0.9):
        assert feed(made, [level] * 6)[1] == 6
    assert feed(made, [0.1] * 6)[1] == 1
    assert feed(made, [0.95] * 6)[1] == 6
    trial, epochs = feed(made, [0.95, 0.95, 0.2, 0.2, 0.2, 0.2])
    assert epochs == 6  # Optuna's median compares the best so far
    assert trial.score == 0.95


def test_the_median_is_that_of_completed_trials(tmp_path: Path) -> None:
    made = oracle(tmp_path, pruner="median", max_epochs=6)
    for _ in range(2):
        made.create_trial("one").status = "FAILED"
        made.end_trial(made.ongoing_trials["one"])
    for level in (0.9, 0.8, 0.7, 0.6, 0.5):  # of four that were completed it says nothing yet
        assert feed(made, [level] * 6)[1] == 6
    for _ in range(6):
        assert feed(made, [0.1] * 6)[1] == 1
    assert feed(made, [0.65] * 6)[1] == 1  # that of what was stopped is far lower


def test_a_trial_clearly_worse_than_the_best_is_stopped(tmp_path: Path) -> None:
    made = oracle(tmp_path, pruner="wilcoxon", max_epochs=12)
    feed(made, [0.5 + 0.02 * epoch for epoch in range(12)])
    assert feed(made, [0.3 + 0.02 * epoch for epoch in range(12)])[1] == 4  # 2^-4 < 0.1
    assert feed(made, [0.6 + 0.02 * epoch for epoch in range(12)])[1] == 12


def test_halving_stops_and_promotes_without_waiting(tmp_path: Path) -> None:
    made = oracle(tmp_path, pruner="asha", max_epochs=9, factor=3)
    assert feed(made, [0.5] * 9)[1] == 9  # the first is the best of its rungs
    second, epochs = feed(made, [0.4] * 9)
    assert epochs == 1
    assert feed(made, [0.3] * 9)[1] == 1
    assert feed(made, [0.1] * 9)[1] == 1
    assert feed(made, [0.2] * 9)[1] == 1
    assert second.trial_id in made.wanted()
    assert feed(made, [0.1] * 9)[1] == 1  # six have reached the first rung: two may go on
    promoted = made.create_trial("one")
    values = promoted.hyperparameters.values
    assert values["tuner/trial_id"] == second.trial_id
    assert (values["tuner/initial_epoch"], values["tuner/epochs"]) == (1, 9)
    assert values["x"] == second.hyperparameters.values["x"]
    assert second.trial_id not in made.wanted()


@pytest.mark.parametrize("every", [2, 4])
def test_halving_decides_where_the_objective_is_measured(every: int, tmp_path: Path) -> None:
    made = oracle(tmp_path, pruner="asha", max_epochs=9, factor=3)

    def run(score: float) -> tuple[Any, int]:
        trial = made.create_trial("one")
        begin = trial.hyperparameters.values.get("tuner/initial_epoch", 0)
        epochs = range(begin + 1, 10)
        for epoch in epochs:
            if epoch % every == 0:
                answer = made.update_trial(trial.trial_id, {"score": score}, step=epoch - 1)
                if answer.status == "STOPPED":
                    trial.message = f"pruned after {epoch} epochs"
                    break
        made.clear_metrics(trial.trial_id)  # and all is told again, as of a trial that has ended
        for known in range(begin + 1, epoch + 1):
            measured = score if known % every == 0 else math.nan
            made.update_trial(trial.trial_id, {"score": measured}, step=known - 1)
        trial.status = "COMPLETED"
        made.end_trial(trial)
        return trial, epoch

    _, epochs = run(0.5)
    assert epochs == 9
    second, epochs = run(0.4)
    assert epochs == every
    assert [run(score)[1] for score in (0.3, 0.1, 0.2, 0.1)] == [every] * 4
    promoted, epochs = run(0.45)
    values = promoted.hyperparameters.values
    assert (values["tuner/trial_id"], values["tuner/initial_epoch"]) == (second.trial_id, every)
    assert epochs == {2: 4, 4: 9}[every]  # the second rung is at the third epoch


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"pruner": "asha", "max_epochs": 9, "factor": 3}, {"factor": 2}),
        ({"pruner": "hyperband", "max_epochs": 9, "factor": 3}, {"max_epochs": 81}),
    ],
)
def test_what_was_stopped_at_other_rungs_is_promoted_from_where_it_is(
    before: dict[str, Any], after: dict[str, Any], tmp_path: Path
) -> None:
    made = oracle(tmp_path, **before)
    levels = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
    curves = [[0.01] * 2 + [level] * 7 for level in levels]  # two get to the second rung
    stopped = [t for t, epochs in (feed(made, c) for c in curves) if epochs < 9]
    best = max(stopped, key=lambda t: t.score)
    again = oracle(tmp_path, **(before | after))
    again.reload()
    assert best.trial_id in again.wanted()
    origins = []
    for _ in range(40):
        values = again.create_trial("one").hyperparameters.values
        origins.append(values.get("tuner/trial_id"))
        feed(again, [0.0] * 9, begin=values.get("tuner/initial_epoch", 0))
    assert best.trial_id in origins


@pytest.mark.parametrize("max_epochs", [9, 5])
def test_what_has_gone_on_to_where_trials_end_now_is_not_promoted(
    max_epochs: int, tmp_path: Path
) -> None:
    made = oracle(tmp_path, pruner="asha", max_epochs=27, factor=3)
    feed(made, [0.1] * 8 + [1.0] * 19)
    for level in (0.5, 0.6, 0.7, 0.8, 0.3):
        feed(made, [level] * 27)
    again = oracle(tmp_path, pruner="asha", max_epochs=max_epochs, factor=3)
    again.reload()
    reached = {t: len(trial.metrics.get_history("score")) for t, trial in again.trials.items()}
    assert 9 in reached.values()
    for _ in range(20):
        values = again.create_trial("one").hyperparameters.values
        assert reached.get(values.get("tuner/trial_id"), 0) < max_epochs
        feed(again, [0.0] * (max_epochs - values.get("tuner/initial_epoch", 0)),
             begin=values.get("tuner/initial_epoch", 0))  # fmt: skip


def test_names_of_a_scope_are_promoted_too(tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    with hp.name_scope("head"):
        hp.Float("x", 0.0, 1.0)
    assert [p.name for p in hp.space] == ["head/x"]
    objective = keras_tuner.Objective("score", "max")
    made = OptunaOracle(
        "qmc", objective=objective, hyperparameters=hp, seed=1, pruner="asha", max_epochs=9
    )
    made._set_project_dir(str(tmp_path), "project")
    feed(made, [0.5] * 9)
    second, _ = feed(made, [0.4] * 9)
    for _ in range(4):
        feed(made, [0.1] * 9)
    promoted = made.create_trial("one").hyperparameters.values
    assert promoted["tuner/trial_id"] == second.trial_id
    assert promoted["head/x"] == second.hyperparameters.values["head/x"]
    assert {t.trial_id for t in finalists(made, 9)} == {"0000"}
    # Stopped ones alone: they are five networks, not one.
    made.trials = {t.trial_id: t for t in made.trials.values() if t.trial_id != "0000"}
    assert len(finalists(made, 9)) == 5


def test_what_was_stopped_is_known_to_a_rebuilt_oracle(tmp_path: Path) -> None:
    made = oracle(tmp_path, pruner="hyperband", max_epochs=9)
    for index in range(20):
        level = 0.5 + 0.4 * math.sin(7 * index)
        trial = made.create_trial("one")
        begin = int(trial.hyperparameters.values.get("tuner/initial_epoch", 0))
        made.ongoing_trials.clear()
        made.trials.pop(trial.trial_id)
        made.start_order.pop()
        feed(made, [level] * (9 - begin), begin)
    again = oracle(tmp_path, pruner="hyperband", max_epochs=9)
    again.reload()
    assert again.wanted() == made.wanted()
    fresh = made.create_trial("one").hyperparameters.values
    assert again.create_trial("one").hyperparameters.values == fresh


@pytest.mark.parametrize("direction", ["max", "min"])
def test_trials_are_compared_after_equal_epochs(direction: str, tmp_path: Path) -> None:
    sign = 1 if direction == "max" else -1
    made = oracle(tmp_path, "tpe", direction, pruner="asha", max_epochs=9)

    def run(number: int) -> None:
        feed(made, [sign * (level + number) / 100 for level in range(0, 90, 10)])

    def seen() -> list[tuple[str, Any]]:
        return [(trial.state.name, trial.value) for trial in made._shown()]

    for number in range(9):  # each is the best so far: none is stopped
        run(number)
    for number in (-1, -2):  # stopped at their first epoch
        run(number)
    assert seen() == [("COMPLETE", sign * level / 100) for level in [*range(9), -1, -2]]
    run(9)  # the tenth that got to the last epoch
    at_last = [("COMPLETE", sign * (level + 80) / 100) for level in range(9)]
    assert seen() == [*at_last, *[("WAITING", None)] * 2, ("COMPLETE", sign * 0.89)]
    running = made.create_trial("one")
    assert seen()[-1] == ("RUNNING", None)
    for epoch in range(9):  # it has not ended, but it is known what it reached
        made.update_trial(running.trial_id, {"score": sign * 0.95}, step=epoch)
    assert seen()[-1] == ("COMPLETE", sign * 0.95)


def test_stopped_trials_count_only_for_a_choice_that_none_at_the_rung_has(tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["plain", "deep"])
    hp.Float("x", 0.0, 1.0)
    plain: list[dict[str, Any]] = [{"kind": "plain", "x": i / 20} for i in range(11)]
    deep: list[dict[str, Any]] = [{"kind": "deep", "x": 0.9 + i / 100} for i in range(4)]
    made = OptunaOracle(
        "tpe",
        objective=keras_tuner.Objective("score", "max"),
        hyperparameters=hp,
        seed=1,
        pruner="asha",
        max_epochs=9,
        tries=[plain[0], *deep, *plain[1:], {"kind": "deep", "x": 0.1}],
    )
    made._set_project_dir(str(tmp_path), "project")
    for number in range(15):
        is_deep = 1 <= number <= len(deep)
        _, epochs = feed(made, [0.1 if is_deep else 0.5 + number / 100] * 9)
        assert epochs == (1 if is_deep else 9)
    states = [trial.state.name for trial in made._shown()[1:5]]
    assert states == ["WAITING", "WAITING", "RUNNING", "WAITING"]  # else it were never known
    feed(made, [0.9] * 9)
    assert [trial.state.name for trial in made._shown()[1:5]] == ["WAITING"] * 4


@pytest.mark.parametrize("direction", ["max", "min"])
def test_a_halved_search_goes_on_the_same_when_rebuilt(direction: str, tmp_path: Path) -> None:
    made = oracle(tmp_path, "tpe", direction, pruner="asha", max_epochs=9)
    promoted = 0
    for _ in range(50):
        trial = made.create_trial("one")
        values = trial.hyperparameters.values
        promoted += "tuner/trial_id" in values
        for epoch in range(int(values.get("tuner/initial_epoch", 0)), 9):
            score = abs(values["x"] - 0.4) + 1 / (epoch + 1)
            score = score if direction == "min" else -score
            if made.update_trial(trial.trial_id, {"score": score}, step=epoch).status == "STOPPED":
                trial.message = f"pruned after {epoch + 1} epochs"
                break
        trial.status = "COMPLETED"
        made.end_trial(trial)
    assert promoted
    again = oracle(tmp_path, "tpe", direction, pruner="asha", max_epochs=9)
    again.reload()
    assert [t.value for t in again._shown()] == [t.value for t in made._shown()]
    fresh = made.create_trial("one").hyperparameters.values
    assert again.create_trial("one").hyperparameters.values == fresh


@pytest.mark.parametrize("workers", [0, 2])
def test_trials_are_stopped_and_promoted_in_every_executor(workers: int, tmp_path: Path) -> None:
    simulation = Simulation(
        tmp_path / "study", method="tpe", max_trials=24, epochs=9, workers=workers, pruner="asha"
    )
    simulation.run()
    paths = sorted((tmp_path / "study").glob("trial_*/result.json"))
    results = [json.loads(path.read_text()) for path in paths]
    pruned = [r for r in results if r["status"] == "pruned"]
    assert len(results) == 24
    assert {len(r["executions"][0]["epoch_seconds"]) for r in pruned} <= {1, 2, 3}
    assert len(pruned) > 10
    trial = json.loads(
        (paths[0].parent.parent / f"trial_{pruned[0]['trial_id']}/trial.json").read_text()
    )
    assert trial["status"] == "COMPLETED"
    # With two workers it depends on which of them is first, at which rung that was.
    num_epochs = pruned[0]["initial_epoch"] + len(pruned[0]["executions"][0]["epoch_seconds"])
    assert trial["message"] == f"pruned after {plural(num_epochs, 'epoch')}"
    promoted = [r for r in results if "tuner/trial_id" in r["hyperparameters"]]
    assert promoted
    for result in promoted:  # they continued: no epoch was run twice
        assert result["initial_epoch"] == result["hyperparameters"]["tuner/initial_epoch"]
    log = (tmp_path / "study" / "epochs.log").read_text().splitlines()
    assert len(log) == sum(len(r["executions"][0]["epoch_seconds"]) for r in results)


@pytest.mark.parametrize("method", ["random", "grid"])
@pytest.mark.parametrize("pruner", ["asha", "hyperband"])
def test_methods_that_draw_by_themselves_can_be_halved(
    method: str, pruner: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"method": method, "max_trials": 20, "epochs": 9, "pruner": pruner}
    whole = Simulation(tmp_path / "whole", **options)
    whole.run()
    paths = sorted((tmp_path / "whole").glob("trial_*/result.json"))
    results = [json.loads(path.read_text()) for path in paths]
    assert len(results) == 20
    assert any(result["status"] == "pruned" for result in results)
    promoted = [result for result in results if result["initial_epoch"]]
    assert promoted or (method, pruner) == ("grid", "hyperband")  # whose best ones come late
    parts = Simulation(tmp_path / "parts", **options)
    with pytest.raises(KeyboardInterrupt):
        parts.run(_interrupted)
    parts.run()
    assert parts.table() == whole.table()


def _interrupted(task: SimulatedTask, report: Any, note: Any = None) -> Any:
    if int(task.trial_id) == 11:
        raise KeyboardInterrupt
    return train(task, report, note)


def test_a_pruned_search_ends_the_same_after_an_interruption(tmp_path: Path) -> None:
    options: dict[str, Any] = {"method": "tpe", "max_trials": 20, "epochs": 9, "pruner": "asha"}
    whole = Simulation(tmp_path / "whole", **options)
    whole.run()
    parts = Simulation(tmp_path / "parts", **options)
    with pytest.raises(KeyboardInterrupt):
        parts.run(_interrupted)
    parts.run()
    assert parts.table() == whole.table()


def test_a_promoted_trial_whose_state_is_gone_gets_as_far_again(tmp_path: Path) -> None:
    options: dict[str, Any] = {"method": "tpe", "epochs": 9, "pruner": "asha", "seed": 2}
    search = Simulation(tmp_path / "study", max_trials=20, **options)
    search.run()
    for path in search.folder.glob("trial_*/state.json"):  # as `experiments free-disk` does
        path.unlink()
    replace(search, max_trials=60).run()
    paths = search.folder.glob("trial_002*/result.json")
    records = [r for r in (json.loads(p.read_text()) for p in paths) if r["initial_epoch"] == 0]
    again = [r for r in records if "tuner/trial_id" in r["hyperparameters"]]
    assert again
    for record in again:
        epochs = len(record["executions"][0]["epoch_seconds"])
        assert epochs > record["hyperparameters"]["tuner/initial_epoch"]


class _Dies(Display):
    """Ends a search at its `count`-th epoch, after which the trial is kept on the disk."""

    def __init__(self, count: int, how: str) -> None:
        self._left, self._how = count, how

    def epoch_ended(
        self, execution: int, epoch: int, metrics: dict[str, float], trial_id: str | None = None
    ) -> None:
        self._left -= 1
        if self._left == 0 and self._how == "Ctrl-C":
            os.kill(os.getpid(), signal.SIGINT)
        elif self._left == 0:
            raise SystemExit


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["asha", "median"])
@pytest.mark.parametrize("how", ["Ctrl-C", "kill"])
def test_what_an_interrupted_epoch_decides_is_decided_on_resume(
    how: str, pruner: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"method": "tpe", "max_trials": 12, "epochs": 9, "pruner": pruner}
    whole = Simulation(tmp_path / "whole", **options)
    whole.run()
    assert any(row[4] < 9 for row in whole.table())
    for count in (12, 23, 37):
        parts = Simulation(tmp_path / f"parts{count}", **options)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            parts.run(observer=_Dies(count, how))
        parts.run()
        assert parts.table() == whole.table()


def pruned_search(**options: Any) -> SearchConfig:
    """Returns a short real search by `tpe` with `asha`."""
    same: dict[str, Any] = {"sample": 200, "max_epochs": 4, "confirm": 0, "starting_points": False}
    return SearchConfig(
        "mnist_cnn", dataset="digits", method="tpe", pruner="asha", **same, **options
    )


def test_a_real_training_is_stopped_where_it_was_interrupted(
    tmp_path: Path, cache_dir: Path, without_report: None
) -> None:
    asked = pruned_search(runs_dir=tmp_path, cache_dir=cache_dir, max_trials=4, fix=STRUCTURE)

    def ended(folder: Path) -> list[tuple[str, float, list[float]]]:
        records = [json.loads(p.read_text()) for p in sorted(folder.glob("trial_*/result.json"))]
        curves = [r["executions"][0]["history"]["val_accuracy"] for r in records]
        return [(r["status"], r["score"], c) for r, c in zip(records, curves, strict=True)]

    whole = ended(run_search(replace(asked, name="whole")).folder)
    before = next(i for i, (status, *_) in enumerate(whole) if status == "pruned")
    epochs = sum(len(curve) for _, _, curve in whole[: before + 1])
    with pytest.raises(InterruptedSearchError):  # in the epoch that decides
        run_search(replace(asked, name="parts"), _Dies(epochs, "Ctrl-C"))
    assert len(ended(tmp_path / "parts")) == before
    assert ended(resume_search(tmp_path / "parts").folder) == whole


def test_a_real_search_prunes_and_begins_with_given_points(
    tmp_path: Path, cache_dir: Path, without_report: None
) -> None:
    deep = ("conv_blocks", "filters_0")
    config = pruned_search(
        runs_dir=tmp_path / "runs",
        cache_dir=cache_dir,
        name="pruned",
        max_trials=5,
        tries=({"conv_blocks": "2", "learning_rate": "0.002"},),
        fix={name: value for name, value in STRUCTURE.items() if name not in deep},
    )
    result = run_search(config)
    trials = {
        path.parent.name: json.loads(path.read_text())
        for path in sorted(result.folder.glob("trial_*/result.json"))
    }
    assert len(trials) == 5
    num_pruned = sum(t["status"] == "pruned" for t in trials.values())
    counts = f"trials: {5 - num_pruned} completed, {num_pruned} pruned, of 5 at most"
    assert counts in status_text(result.folder)
    assert trials["trial_0000"]["hyperparameters"]["learning_rate"] == 0.001  # the default
    assert trials["trial_0001"]["hyperparameters"]["learning_rate"] == 0.002
    assert any(t["status"] == "pruned" for t in trials.values())

    more = [{"conv_blocks": "3", "learning_rate": "0.003"}]
    with pytest.raises(UserError, match="has begun 5 of 5 trials: give --max-trials 6 or more"):
        resume_search(result.folder, changes={"tries": more})
    resume_search(result.folder, changes={"tries": more, "max_trials": 7})
    added = [json.loads(p.read_text()) for p in sorted(result.folder.glob("trial_*/result.json"))]
    rates = [t["hyperparameters"]["learning_rate"] for t in added]
    assert len(added) == 7
    assert rates.count(0.003) == 1
    assert 0.003 in rates[5:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "random", "pruner": "median"}, "--pruner median goes with methods tpe"),
        ({"method": "bayesian", "pruner": "asha"}, "goes with methods random, grid, tpe, .*auto;"),
        ({"method": "random", "pruner": "asha", "tries": [{}]}, "--try goes with methods tpe, gp"),
        ({"method": "tpe", "pruner": "best"}, "unknown pruner 'best': there are none, median"),
        ({"method": "tpe", "pruner": "asha", "executions_per_trial": 2}, "single trainings"),
        ({"method": "grid", "tries": [{}]}, "--try goes with methods tpe"),
        ({"method": "tpe", "tries": [{"depth": "1"}]}, "--try depth: no such hyperparameter"),
        ({"method": "tpe", "tries": [{"filters_0": "48"}]}, "--try filters_0=48: expected"),
        ({"method": "tpe", "tries": [{"filters_3": "32"}]}, "it is not active with the other"),
        ({"method": "tpe", "tries": [{}] * 10}, "points to begin with: 10 after the space's def"),
        ({"method": "tpe", "method_settings": {"beta": "1"}}, "has no such setting"),
        ({"method": "tpe", "method_settings": {"factor": "4"}}, "factor goes with --pruner asha"),
        ({"method_settings": {"beta": "1"}}, "name the --method that it is of"),
        ({"method": "qmc", "sources": ["a"]}, "qmc spreads points evenly"),
        ({"sources": 5}, "sources should be a list of texts; got 5"),
        ({"tries": 5}, "tries should be a list of tables of values; got 5"),
        ({"tries": [{"pooling": "min"}], "fix": {"pooling": "max"}}, "pooling=min: expected max"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        run_search(
            SearchConfig("mnist_cnn", dataset="digits", runs_dir=str(tmp_path / "runs"), **options)
        )
    assert not (tmp_path / "runs").exists()


def test_auto_chooses_by_budget_and_space() -> None:
    def choice(space: Any, **options: Any) -> tuple[str, str | None]:
        asked = SearchConfig("mnist_cnn", method="auto", **options)
        config, said = chosen_method(asked, space)
        assert said[0].startswith(f"auto: --method {config.method}")
        return config.method, config.pruner

    wide = explore(MnistCnn((28, 28, 1), 10))
    small = keras_tuner.HyperParameters()
    small.Int("layers", 1, 4)
    assert choice(small, max_trials=4) == ("grid", None)
    assert choice(small, max_trials=3) == ("qmc", None)
    assert choice(small, max_trials=4, pruner="median") == ("qmc", "median")
    assert choice(small, max_trials=4, tries=[{"layers": 1}]) == ("qmc", None)
    assert choice(wide, max_trials=10) == ("qmc", None)
    assert choice(wide, max_trials=10, sources=["earlier"]) == ("tpe", "asha")
    assert choice(wide, max_trials=30, max_epochs=2) == ("tpe", None)
    assert choice(wide, max_trials=30, max_epochs=9) == ("tpe", "asha")
    assert choice(wide, max_trials=30, max_epochs=9, executions_per_trial=2) == ("tpe", None)
    assert choice(wide, max_trials=NO_END, max_epochs=9) == ("tpe", "asha")  # a deadline alone
    assert choice(small, max_trials=NO_END, max_epochs=9) == ("tpe", "asha")


@pytest.mark.parametrize(
    ("fix", "epochs", "expected"),
    [
        ({}, 8, True),
        ({"unfreeze": "true"}, 8, True),
        ({"unfreeze": "false"}, 8, False),
        ({}, 1, False),
    ],
)
def test_auto_stops_no_trial_before_its_later_phase(
    fix: dict[str, Any], epochs: int, expected: bool
) -> None:
    head = TransferHead((32, 32, 3), 2, weights="none")
    space = fixed(explore(head), fix)
    assert has_phases(head, space, epochs) is expected
    asked = SearchConfig("transfer_head", method="auto", max_trials=30, max_epochs=9)
    config, said = chosen_method(asked, space, has_phases=expected)
    assert config.pruner == (None if expected else "asha")
    assert ("shows late" in said[0]) is expected


def test_one_phase_is_the_rule() -> None:
    cnn = MnistCnn((28, 28, 1), 10)
    assert not has_phases(cnn, explore(cnn), 9)
