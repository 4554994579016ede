"""`experiments.Tuner`: scripts of Keras Tuner's users, with one import changed."""

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import experiments
from experiments.cli.main import main
from experiments.record.layout import StudyFolder
from reports import load_study

SCRIPTS = Path(__file__).parents[2] / "benchmarks/drop_in_scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py"))
X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X[:, :1] * 2


def build_model(hp: Any) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 12)), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-3, 1e-1, sampling="log")), "mse")
    return model


def make(place: Path, **options: Any) -> Any:
    given = {"objective": "val_loss", "max_trials": 3, "seed": 1, "method": "random"} | options
    own = given.pop("model", build_model)
    return experiments.Tuner(own, directory=place, project_name="mine", **given)


def searched(tuner: Any, **options: Any) -> Any:
    given = {"validation_data": (X[:16], Y[:16]), "epochs": 2, "verbose": 0} | options
    tuner.search(X, Y, **given)
    return tuner


def table(tuner: Any) -> list[tuple[str, str, Any, dict[str, Any]]]:
    trials = tuner.oracle.trials.values()
    return [(t.trial_id, t.status, t.score, t.hyperparameters.values) for t in trials]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.shuffle=True. was passed")  # by Keras itself, of tf.data
@pytest.mark.parametrize("name", NAMES)
def test_a_script_runs_with_its_import_changed(name: str, tmp_path: Path) -> None:
    text = (SCRIPTS / f"{name}.py").read_text()
    changed = text.replace("import keras_tuner\n", "import experiments as keras_tuner\n")
    assert changed != text
    module = types.ModuleType(f"script_{name}")
    exec(compile(changed, name, "exec"), vars(module))
    tuner = vars(module)["search"](str(tmp_path))
    study = load_study(tuner.folder)
    assert set(study.trials["status"]) == {"completed"}
    best = tuner.oracle.get_best_trials(1)[0]
    scores = study.trials["score"]
    assert best.score == pytest.approx(scores.min() if study.direction == "min" else scores.max())
    assert tuner.get_best_hyperparameters()[0].values == best.hyperparameters.values
    if name != "own_run":  # which trains no network
        (model,) = tuner.get_best_models(1)
        assert isinstance(model, keras.Model)
    num_epochs = {"images": 3, "tabular": 3, "own_run": 1}.get(name, 2)
    counts = study.epochs.groupby(["trial_id", "execution"]).size()
    assert counts.max() == num_epochs
    assert tuner.report().is_file()


def test_every_epoch_is_recorded_and_the_best_weights_are_loaded(tmp_path: Path) -> None:
    tuner = searched(make(tmp_path, keep=1))
    study = load_study(tuner.folder)
    best = tuner.oracle.get_best_trials(1)[0]
    curve = study.epochs_of(best.trial_id)["val_loss"]
    assert len(curve) == 2
    assert best.score == pytest.approx(curve.min())
    (model,) = tuner.get_best_models(1)
    assert model.evaluate(X[:16], Y[:16], verbose=0) == pytest.approx(best.score, rel=1e-5)
    weights = [t for t in StudyFolder(tuner.folder).trials() if t.checkpoint.is_file()]
    assert [t.path.name for t in weights] == [f"trial_{best.trial_id}"]
    with pytest.raises(experiments.UserError, match=r"not kept: .* best 1 trial"):
        tuner.get_best_models(2)


@pytest.mark.slow
def test_the_report_leaves_out_what_a_script_cannot_have(tmp_path: Path) -> None:
    page = searched(make(tmp_path, max_trials=6), epochs=3).report().read_text()
    assert 'id="learning-curves"' in page
    assert 'id="how-it-was-run"' in page
    absent = ("mistakes", "what-it-sees")
    words = ("latency of one image", "on validation images", "experiments reproduce")
    options = ("--confirm", "--max-epochs", "--range")
    for text in (*(f'id="{section}"' for section in absent), *words, *options):
        assert text not in page, text
    assert "nothing was tested: the best score is the luckiest of 6 trials" in page


class _Ends(keras.callbacks.Callback):
    """Ends the process' work in the second epoch of the second trial."""

    num_epochs = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        _Ends.num_epochs += 1
        if _Ends.num_epochs == 4:
            raise KeyboardInterrupt


def test_an_interrupted_search_resumes_to_the_same_table(tmp_path: Path) -> None:
    whole = searched(make(tmp_path / "whole"))
    _Ends.num_epochs = 0
    with pytest.raises(KeyboardInterrupt):
        searched(make(tmp_path), callbacks=[_Ends()])
    first = json.loads((tmp_path / "mine/trial_0000/result.json").read_text())
    resumed = searched(make(tmp_path))
    assert table(resumed) == table(whole)
    assert json.loads((tmp_path / "mine/trial_0000/result.json").read_text()) == first
    sessions = json.loads((tmp_path / "mine/study.json").read_text())["sessions"]
    assert [s.get("ended_by") for s in sessions] == ["interrupted", None]


def test_a_search_is_extended_and_its_answers_are_there_before_it(tmp_path: Path) -> None:
    before = table(searched(make(tmp_path)))
    again = make(tmp_path, max_trials=4)
    assert table(again) == before
    assert again.remaining_trials == 1
    extended = table(searched(again))
    assert extended[:3] == before
    assert len(extended) == 4


def test_the_folder_is_a_project_of_keras_tuner(tmp_path: Path) -> None:
    ours = searched(make(tmp_path))
    plain = keras_tuner.RandomSearch(
        build_model, "val_loss", max_trials=3, directory=tmp_path, project_name="mine"
    )
    assert [t.score for t in plain.oracle.get_best_trials(3)] == [
        t.score for t in ours.oracle.get_best_trials(3)
    ]
    assert len(plain.get_best_models(2)) == 2


class _Parabola(experiments.Tuner):
    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        return float((trial.hyperparameters.Float("x", -1, 1) - 0.5) ** 2)


def test_a_function_of_known_hyperparameters_takes_the_automatic_method(tmp_path: Path) -> None:
    known = keras_tuner.HyperParameters()
    known.Float("x", -1, 1)
    tuner = _Parabola(
        max_trials=12, seed=0, hyperparameters=known, directory=tmp_path, project_name="mine"
    )
    tuner.search(verbose=0)
    assert len(load_study(tuner.folder).completed) == 12
    assert load_study(tuner.folder).record["config"]["method"] == "tpe"


def test_a_search_knows_what_another_process_did_since_it_was_set_up(tmp_path: Path) -> None:
    def tuner(max_trials: int) -> Any:
        return _Parabola(max_trials=max_trials, seed=0, directory=tmp_path, project_name="mine")

    waiting, other = tuner(4), tuner(3)
    other.search(verbose=0)
    waiting.search(verbose=0)
    assert len(waiting.oracle.trials) == 4
    assert len(load_study(tmp_path / "mine").record["sessions"]) == 2


def test_promoted_trials_continue_the_networks_that_they_come_from(tmp_path: Path) -> None:
    tuner = experiments.Hyperband(
        build_model, "val_loss", 3, directory=tmp_path, project_name="mine", seed=1
    )
    searched(tuner)
    trials = tuner.oracle.trials
    promoted = [t for t in trials.values() if "tuner/trial_id" in t.hyperparameters.values]
    assert promoted
    epochs = load_study(tuner.folder).epochs
    for trial in promoted:
        origin = trial.hyperparameters.values["tuner/trial_id"]
        own = epochs[epochs["trial_id"] == trial.trial_id]
        before = epochs[epochs["trial_id"] == origin]
        assert own["epoch"].iloc[0] == before["epoch"].iloc[-1] + 1
        # A fresh network would begin anew, far above.
        assert own["loss"].iloc[0] < before["loss"].iloc[0]


def test_hopeless_trials_are_stopped_early(tmp_path: Path) -> None:
    tuner = searched(make(tmp_path, method="tpe", pruner="asha", max_trials=4), epochs=3)
    statuses = load_study(tuner.folder).trials.set_index("trial_id")["status"]
    assert "pruned" in set(statuses)
    epochs = load_study(tuner.folder).epochs.groupby("trial_id").size()
    assert all(epochs[t] < 3 for t in statuses.index if statuses[t] == "pruned")


def test_failures_are_recorded_by_cause_and_end_the_search(tmp_path: Path) -> None:
    def failing(hp: Any) -> keras.Model:
        hp.Float("x", 0, 1)
        if failing.builds:  # type: ignore[attr-defined]
            raise ValueError("no such layer")
        failing.builds += 1  # type: ignore[attr-defined]
        return build_model(hp)

    failing.builds = 0  # type: ignore[attr-defined]
    tuner = make(tmp_path, model=failing, max_consecutive_failed_trials=2, max_trials=9)
    with pytest.raises(RuntimeError, match=r"(?s)2 trials in a row failed.*no such layer"):
        searched(tuner)
    study = load_study(tmp_path / "mine")
    assert list(study.trials["status"]) == ["failed", "failed"]
    assert study.trials["message"].str.contains("ValueError: no such layer").all()


def test_a_trial_is_tried_again_and_nan_is_a_failure(tmp_path: Path) -> None:
    class Once(keras_tuner.HyperModel):
        fits = 0

        def build(self, hp: Any) -> keras.Model:
            return build_model(hp)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            Once.fits += 1
            if Once.fits == 1:
                raise OSError("lost for a moment")
            return float("nan") if Once.fits == 3 else 1.0

    tuner = searched(make(tmp_path, model=Once, max_retries_per_trial=1, max_trials=2))
    assert Once.fits == 3
    trials = load_study(tuner.folder).trials
    assert list(trials["status"]) == ["completed", "failed"]
    assert list(trials["cause"])[1] == "nan"


def test_an_objective_that_no_epoch_has_is_named(tmp_path: Path) -> None:
    study = load_study(searched(make(tmp_path, objective="val_accuracy", max_trials=1)).folder)
    (message,) = study.trials["message"]
    assert "val_accuracy was not reported" in message
    assert "there are loss and val_loss" in message
    assert list(study.trials["cause"]) == ["error"]


def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    def refused(words: str, **options: Any) -> None:
        with pytest.raises(experiments.UserError, match=words):
            make(tmp_path, **options)

    refused("hypermodel is missing", model=None)
    refused("unknown method 'best'", method="best")
    refused("objective 'val_x'.*direction", objective="val_x")
    refused("workers should be auto or 0 or more; got -1", workers=-1)
    assert not (tmp_path / "mine").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    refused("exists and is no search")
    refused("exists and is no search", overwrite=True)
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"


def test_another_search_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    searched(make(tmp_path, max_trials=1))
    for name, value in (("objective", "loss"), ("method", "qmc"), ("seed", 2)):
        with pytest.raises(experiments.UserError, match=f"study 'mine' has {name} "):
            make(tmp_path, **{name: value})
    assert len(table(searched(make(tmp_path, overwrite=True, seed=2, max_trials=2)))) == 2


def test_commands_that_need_the_model_name_the_script(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(make(tmp_path, max_trials=1))
    for command in (["resume", "mine"], ["reproduce", "mine", "0000"], ["show", "mine"]):
        code = 0
        try:
            main([*command, "--runs-dir", str(tmp_path)])
        except SystemExit as error:
            code = int(error.code or 0)
        said = capsys.readouterr()
        assert code == (0 if command[0] == "show" else 2), said.err
        assert ("was searched by experiments.Tuner" in said.err) == (code == 2)


_WORKERS = """
import numpy as np, keras, sys
import experiments
def build_model(hp):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 12))])
    model.compile("sgd", "mse")
    return model
def run():
    x = np.ones((400_000, 4), "float32")
    tuner = experiments.Tuner(build_model, "val_loss", max_trials=3, seed=1, method="random",
        directory=sys.argv[1], project_name="mine", workers=2)
    tuner.search(x, x[:, :1], validation_data=(x[:9], x[:9, :1]), steps_per_epoch=2, batch_size=8)
"""


@pytest.mark.slow
def test_worker_processes_get_model_and_data(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_WORKERS + "if __name__ == '__main__':\n    run()\n")
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    trials = load_study(tmp_path / "mine").trials
    assert list(trials["status"]) == ["completed"] * 3
    assert trials["worker"].str.startswith("worker ").all()


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_the_remedy(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_WORKERS + "run()\n")
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True)
    assert done.returncode != 0
    assert "if __name__ == '__main__'" in done.stderr
    assert not list((tmp_path / "mine").glob("trial_*/result.json"))


def test_what_cannot_be_sent_to_workers_is_named(tmp_path: Path) -> None:
    tuner = make(tmp_path, workers=1)
    batches = ((X, Y) for _ in range(3))
    with pytest.raises(experiments.UserError, match=r"argument 1 of search \(generator\) can't be"):
        tuner.search(batches, validation_data=(X, Y), verbose=0)
