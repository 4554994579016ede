"""Several objectives: what may be named, what is recorded, proposed, kept and confirmed."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from click.testing import CliRunner

from experiments import SearchConfig, UserError, run_search
from experiments.cli.main import main
from experiments.config import load_toml
from experiments.finalists.choose import finalists, notices
from experiments.hyperparameters.space import explore
from experiments.methods.guidance import chosen_method
from experiments.methods.make import make_oracle
from experiments.methods.oracles.optuna_oracle import OptunaOracle
from experiments.methods.warm_start import warm_start
from experiments.record.objective import Objective, parse_objectives
from experiments.search.resuming import resume_search
from experiments.search.retention import FrontRetention
from reports import load_study
from reports.analysis.study_front import study_front
from search_spaces.mnist_cnn import MnistCnn
from tests.one_structure import STRUCTURE
from tests.stand_ins import unwritten

NAMES = ("val_accuracy", "params", "latency_ms")
OBJECTIVES = parse_objectives(NAMES)
FIXED = {name: value for name, value in STRUCTURE.items() if name != "filters_0"}


def options(runs: Path, cache_dir: Path, **changes: Any) -> dict[str, Any]:
    small = {
        "space": "mnist_cnn", "dataset": "digits", "sample": 100, "max_epochs": 1, "name": "study",
        "method": "tpe", "method_settings": {"startup_trials": 2}, "confirm": 0, "seed": 3,
        "fix": FIXED, "starting_points": False, "runs_dir": str(runs),
        "cache_dir": str(cache_dir), "objective": ("val_accuracy", "params:min"),
    }  # fmt: skip
    return small | changes


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (["params"], "the first objective decides the best epoch"),
        (["val_accuracy", "params:max"], "less of a cost is better"),
        (["val_accuracy", "params", "params:min"], "objective params is named twice"),
        (["val_loss:min", "val_loss:max"], "less of loss is better; write val_loss:min"),
        (["val_accuracy", "weight"], "no metric of that name is known"),
        (["val_accuracy", "weight:min"], "costs can be named: params, flops, latency_ms"),
        (["val_accuracy", "latency_ms:down"], "should be max or min"),
    ],
)
def test_what_can_not_be_an_objective_is_one_line(
    named: list[str], words: str, tmp_path: Path
) -> None:
    arguments = [part for name in named for part in ("--objective", name)]
    runs = tmp_path / "runs"
    line = ["search", "mnist_cnn", "--dataset", "digits", "--method", "tpe", *arguments]
    result = CliRunner().invoke(main, [*line, "--runs-dir", str(runs)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not runs.exists()


@pytest.mark.parametrize("method", ["random", "grid", "hyperband", "bayesian", "gp", "cmaes"])
def test_methods_that_take_one_objective_say_which_take_several(method: str) -> None:
    with pytest.raises(UserError, match=f"{method}.* takes one objective; .*tpe, nsga2 or auto"):
        SearchConfig("mnist_cnn", method=method, objective=["val_accuracy", "params"])


def test_one_objective_is_recorded_as_before() -> None:
    assert SearchConfig("mnist_cnn", objective=["val_loss"]).as_dict()["objective"] == "val_loss"
    for wrong in ([], 3, [3], {"a": 1}):
        with pytest.raises(UserError, match="objective"):
            SearchConfig("mnist_cnn", objective=wrong)  # type: ignore[arg-type]


def test_a_config_file_lists_objectives(tmp_path: Path) -> None:
    path = tmp_path / "search.toml"
    path.write_text('space = "mnist_cnn"\nmethod = "nsga2"\nobjective = ["val_loss", "flops"]\n')
    config = SearchConfig(**load_toml(path))
    assert list(map(str, config.objectives)) == ["val_loss:min", "flops:min"]


@pytest.mark.parametrize(("max_trials", "method"), [(30, "tpe"), (400, "nsga2")])
def test_auto_chooses_what_takes_several_and_stops_none(max_trials: int, method: str) -> None:
    config = SearchConfig("mnist_cnn", method="auto", objective=NAMES, max_trials=max_trials)
    chosen, said = chosen_method(config, explore(MnistCnn((28, 28, 1), 10)))
    assert (chosen.method, chosen.pruner) == (method, None)
    assert "several objectives" in said[0]


def test_latency_is_said_to_be_noisy() -> None:
    def said(**changes: Any) -> str:
        config = {"space": "mnist_cnn", "method": "tpe", "objective": NAMES} | changes
        return " ".join(notices(SearchConfig(**config)))

    assert "differs from run to run" in said()
    assert "workers share this machine" in said(workers=4)
    assert "compares by val_accuracy alone" in said(pruner="asha")
    assert notices(SearchConfig("mnist_cnn")) == []


def search_oracle(
    folder: Path, names: tuple[str, ...] = NAMES, sampler: str = "tpe", **options: Any
) -> Any:
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    objectives = [keras_tuner.Objective(o.name, o.direction) for o in parse_objectives(names)]
    made = OptunaOracle(sampler, objective=objectives, hyperparameters=hp, seed=1, **options)
    made.verbose = 0
    made._set_project_dir(str(folder), "project")
    return made


def feed(made: Any, curve: list[float], **costs: float) -> tuple[Any, int]:
    """Runs a trial along `curve` until it is stopped; returns it and its number of epochs."""
    trial = made.create_trial("one")
    for epoch, accuracy in enumerate(curve):
        metrics = {"val_accuracy": accuracy, "val_loss": 1 - epoch / 10}
        if made.update_trial(trial.trial_id, metrics, step=epoch).status == "STOPPED":
            trial.message = f"pruned after {epoch + 1} epochs"
            break
    made.update_trial(trial.trial_id, metrics | costs, step=epoch)
    trial.status = "COMPLETED"
    made.end_trial(trial)
    return made.trials[trial.trial_id], epoch + 1


def test_values_are_of_the_epoch_that_was_best_by_the_first(tmp_path: Path) -> None:
    made = search_oracle(tmp_path, ("val_accuracy", "val_loss"))
    trial, _ = feed(made, [0.5, 0.9, 0.7])
    assert (trial.score, trial.best_step) == (0.9, 1)
    assert made.values_of(trial) == [0.9, pytest.approx(0.9)]


def test_an_objective_that_is_never_reported_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected: \['params', 'latency_ms'\]"):
        feed(search_oracle(tmp_path), [0.5])


@pytest.mark.parametrize("pruner", ["median", "wilcoxon", "asha", "hyperband"])
def test_hopeless_is_who_is_behind_by_the_first_objective(pruner: str, tmp_path: Path) -> None:
    made = search_oracle(tmp_path, pruner=pruner, max_epochs=9)
    for level in (0.5, 0.6, 0.7, 0.8, 0.9):
        feed(made, [level + 0.001 * e for e in range(9)], params=1000, latency_ms=5.0)
    trial, epochs = feed(made, [0.1] * 9, params=1, latency_ms=0.1)  # cheap, and hopeless
    assert epochs < 9
    assert trial.message.startswith("pruned")
    assert feed(made, [0.95 + 0.001 * e for e in range(9)], params=9e9, latency_ms=9e9)[1] == 9


@pytest.mark.parametrize(
    ("sampler", "settings"), [("tpe", {"startup_trials": 3}), ("nsga2", {"population_size": 3})]
)
def test_a_rebuilt_oracle_proposes_the_same(
    sampler: str, settings: dict[str, int], tmp_path: Path
) -> None:
    made = search_oracle(tmp_path, sampler=sampler, settings=settings)
    for n in range(8):
        feed(made, [0.5 + 0.05 * n], params=1000.0 * (n + 1), latency_ms=3.0 - n / 10)
    again = search_oracle(tmp_path, sampler=sampler, settings=settings)
    again.reload()
    expected = made.create_trial("one").hyperparameters.values
    assert again.create_trial("two").hyperparameters.values == expected
    assert [again.values_of(t) for t in made.trials.values() if t.score] == [
        [pytest.approx(0.5 + 0.05 * n), 1000.0 * (n + 1), pytest.approx(3.0 - n / 10)]
        for n in range(8)
    ]


def test_plain_keras_tuner_runs_several_objectives(tmp_path: Path) -> None:
    class Plain(keras_tuner.Tuner):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            x = trial.hyperparameters.Float("x", 0.0, 1.0)
            # Keras Tuner itself asks for the sum of a dictionary's objectives; it is not looked at.
            return {"val_accuracy": x, "params": 10 ** (6 * x), "multi_objective": 0.0}

    oracle = search_oracle(tmp_path, NAMES[:2], max_trials=6)
    tuner = Plain(
        oracle=oracle, hypermodel=lambda hp: hp.Float("x", 0.0, 1.0), directory=tmp_path,
        project_name="plain",
    )  # fmt: skip
    tuner.search(verbose=0)
    values = [oracle.values_of(t) for t in oracle.trials.values()]
    assert len(values) == 6
    best = tuner.get_best_hyperparameters(1)[0].get("x")
    assert best == max(accuracy for accuracy, _ in values)


def test_finalists_are_of_the_front_the_knee_first(tmp_path: Path) -> None:
    made = search_oracle(tmp_path, pruner="asha", max_epochs=9)
    for accuracy, params in ((0.99, 1e6), (0.97, 1e4), (0.96, 2e4), (0.6, 1e3)):
        trial = made.create_trial("one")
        costs = {"params": params, "latency_ms": params / 1e4}
        made.update_trial(trial.trial_id, {"val_accuracy": accuracy} | costs)
        trial.status = "COMPLETED"
        made.end_trial(trial)
    stopped, _ = feed(made, [0.1] * 9, params=10, latency_ms=0.01)
    assert stopped.message.startswith("pruned")
    assert [t.trial_id for t in finalists(made, 5)] == ["0001", "0000", "0003"]
    assert [t.trial_id for t in made.get_best_trials(2)] == ["0000", "0001"]


def keeping(folder: Path) -> FrontRetention:
    return FrontRetention(folder, OBJECTIVES[:2], 1)


def end(retention: Any, folder: Path, trial_id: str, score: float, params: float) -> None:
    place = folder / f"trial_{trial_id}"
    place.mkdir()
    (place / "checkpoint.weights.h5").write_bytes(b"weights")
    retention.ended(trial_id, score, (score, params))


def kept(folder: Path) -> set[str]:
    return {p.parent.name[6:] for p in folder.glob("trial_*/checkpoint.weights.h5")}


def test_weights_of_the_front_stay_and_no_others(tmp_path: Path) -> None:
    retention = keeping(tmp_path)
    for trial in (("0", 0.9, 100.0), ("1", 0.8, 200.0), ("2", 0.7, 10.0), ("3", 0.95, 90.0)):
        end(retention, tmp_path, *trial)
    assert kept(tmp_path) == {"2", "3"}
    assert retention.score_to_beat() is None


def test_of_a_long_front_the_ends_stay_and_the_crowded_go(tmp_path: Path) -> None:
    retention, trials = keeping(tmp_path), {}
    for n in range(30):
        trials[str(n)] = (0.5 + n / 100, 1000.0 * 1.2**n)
        end(retention, tmp_path, str(n), *trials[str(n)])
    left = kept(tmp_path)
    assert len(left) <= 20 + 1
    assert {"0", "29"} <= left
    again = keeping(tmp_path)  # of a later session
    again.recall([(i, values[0], values) for i, values in trials.items()])
    assert kept(tmp_path) == left


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """A search of five trials by accuracy and size that was not disturbed, its finalists tested."""
    chosen = options(tmp_path_factory.mktemp("whole"), cache_dir, max_trials=5, confirm=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.write_report", unwritten)
        return run_search(SearchConfig(**chosen)).folder


def table(folder: Path) -> list[Any]:
    found = []
    for path in sorted(folder.glob("trial_*/result.json")):
        result = json.loads(path.read_text())
        found.append((result["hyperparameters"], result["objectives"], result["score"]))
    return found


@pytest.mark.usefixtures("without_report")
def test_a_resumed_search_ends_as_the_undisturbed_one(
    whole: Path, tmp_path: Path, cache_dir: Path
) -> None:
    run_search(SearchConfig(**options(tmp_path, cache_dir, max_trials=3)))
    (tmp_path / "study" / "trial_0002" / "trial.json").write_text("{")  # as a kill leaves it
    result = resume_search(tmp_path / "study", changes={"max_trials": 5})
    assert table(tmp_path / "study") == table(whole)
    found = study_front(load_study(whole))
    assert found is not None
    assert list(result.front) == found.ids
    with pytest.raises(UserError, match="--objective val_accuracy:max, params:min"):
        resume_search(tmp_path / "study", changes={"objective": "val_accuracy"})


def test_the_record_has_every_objective(whole: Path) -> None:
    study = json.loads((whole / "study.json").read_text())
    assert study["objective"] == {"name": "val_accuracy", "direction": "max"}
    assert study["objectives"][1] == {"name": "params", "direction": "min"}
    for _, objectives, score in table(whole):
        assert objectives["val_accuracy"] == score
        assert objectives["params"] > 0
    tested = json.loads((whole / "artifacts" / "finalists.json").read_text())
    found = study_front(load_study(whole))
    assert found is not None
    ranked = [found.trials.iloc[p]["trial_id"] for p in found.front.ranked()]
    assert [finalist["trial_id"] for finalist in tested] == ranked[:2]
    weights = {p.parent.name[6:] for p in whole.glob("trial_*/checkpoint.weights.h5")}
    best = set(load_study(whole).completed["trial_id"].head(3))
    assert weights == best | set(found.ids)


def test_plain_keras_tuner_opens_it_with_the_first_objective(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "study")
    tuner = keras_tuner.RandomSearch(
        MnistCnn((28, 28, 1), 10), objective="val_accuracy", max_trials=5, overwrite=False,
        directory=tmp_path, project_name="study",
    )  # fmt: skip
    best = tuner.oracle.get_best_trials(1)[0]
    # Of equal trials, it takes the one whose folder the disk names first.
    assert best.score == load_study(whole).completed.iloc[0]["score"]
    assert best.metrics.get_best_value("params") > 0


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_latency_is_measured_by_the_worker_and_said(tmp_path: Path, cache_dir: Path) -> None:
    line = ["search", "mnist_cnn", "--dataset", "digits", "--sample", "100", "--max-trials", "2"]
    line += [part for name in (*NAMES, "val_f1_score") for part in ("--objective", name)]
    line += ["--max-epochs", "1", "--method", "tpe", "--name", "timed", "--confirm", "0"]
    places = ["--runs-dir", str(tmp_path), "--cache-dir", str(cache_dir)]
    fixed = [part for name, value in STRUCTURE.items() for part in ("--fix", f"{name}={value}")]
    result = CliRunner().invoke(main, [*line, *places, *fixed, "--workers", "0"])
    assert result.exit_code == 0, result.output
    assert "beaten by none in val_accuracy, params, latency_ms" in result.output
    assert "best val_accuracy: trial 000" in result.output
    for path in tmp_path.glob("timed/trial_*/result.json"):
        record = json.loads(path.read_text())
        assert 0 < record["latency_low_ms"] <= record["latency_ms"] <= record["latency_high_ms"]
        assert record["objectives"]["latency_ms"] == record["latency_ms"]
        assert 0 <= record["objectives"]["val_f1_score"] <= 1
        assert record["executions"][0]["seconds"]["latency"] > 0
    said = CliRunner().invoke(main, ["status", "timed", "--runs-dir", str(tmp_path)]).output
    assert "front: " in said


def test_earlier_trials_bring_all_objectives(whole: Path, tmp_path: Path) -> None:
    config = SearchConfig("mnist_cnn", method="tpe", objective=("val_accuracy", "params"))
    space = explore(MnistCnn((28, 28, 1), 10))
    first, *further = config.objectives
    used, lines = warm_start([str(whole)], space, first, tmp_path, further)
    assert "5 trials used" in lines[0]
    assert [(e.score, *e.further) for e in used] == [
        tuple(objectives.values()) for _, objectives, _ in table(whole)
    ]
    made = make_oracle(config, space, earlier=used)
    assert [t.values for t in made._shown()] == [[e.score, *e.further] for e in used]
    _, lines = warm_start([str(whole)], space, first, tmp_path, OBJECTIVES[2:])
    assert "0 trials used, 5 dropped (5 without latency_ms)" in lines[0]
    path = tmp_path / "earlier.csv"
    path.write_text("learning_rate,val_accuracy,params\n0.001,0.9,1000\n0.002,0.8,\n")
    used, lines = warm_start([str(path)], space, first, tmp_path, further)
    assert [e.further for e in used] == [(1000,)]
    assert "1 dropped (1 without params)" in lines[0]
    with pytest.raises(UserError, match="expected a column 'flops' too"):
        warm_start([str(path)], space, first, tmp_path, [Objective("flops", "min")])
