"""`experiments.Tuner`: scripts of Keras Tuner's users, with one import changed."""

import errno
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import types
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import keras_tuner
import numpy as np
import pandas
import pytest
import tensorflow as tf

import experiments
from experiments.cli.main import main
from experiments.executors.inline import InlineExecutor
from experiments.record.layout import StudyFolder
from experiments.record.lock import locked
from experiments.search.script_facts import fingerprint_of_data, is_same_data
from experiments.search.script_trials import FitTasks
from experiments.search.shipped import shipping
from experiments.training.snapshot import write_snapshot
from reports import load_study
from reports.analysis.facts import facts

SCRIPTS = Path(__file__).parents[2] / "benchmarks/drop_in_scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py"))
X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X[:, :1] * 2


def build_model(hp: Any, run_eagerly: bool = True) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 12)), keras.layers.Dense(1)]
    )
    optimizer = keras.optimizers.SGD(hp.Float("rate", 1e-3, 1e-1, sampling="log"))
    model.compile(optimizer, "mse", run_eagerly=run_eagerly)  # tracing takes longer than training
    return model


def traced(hp: Any) -> keras.Model:
    return build_model(hp, run_eagerly=False)


def make(place: Path, **options: Any) -> Any:
    given = {"objective": "val_loss", "max_trials": 3, "seed": 1, "method": "random"} | options
    own = given.pop("model", build_model)
    return experiments.Tuner(own, directory=place, project_name="mine", **given)


def searched(tuner: Any, **options: Any) -> Any:
    given = {"validation_data": (X[:16], Y[:16]), "epochs": 2, "batch_size": 64, "verbose": 0}
    given |= options
    tuner.search(X, Y, **given)
    return tuner


def table(tuner: Any) -> list[tuple[str, str, Any, dict[str, Any]]]:
    trials = tuner.oracle.trials.values()
    return [(t.trial_id, t.status, t.score, t.hyperparameters.values) for t in trials]


# As many of a script's trials as its kind of model needs.
FEWER = {
    "custom_metric": ("max_trials=3", "max_trials=2"),
    "images": ("max_trials=4", "max_trials=2"),
    "own_fit": ("max_trials=3", "max_trials=2"),
    "series": ("max_epochs=4", "max_epochs=2"),
    "tabular": ("max_trials=4", "max_trials=3"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.shuffle=True. was passed")  # by Keras itself, of tf.data
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("without_drawing")
def test_a_script_runs_with_its_import_changed(name: str, tmp_path: Path) -> None:
    text = (SCRIPTS / f"{name}.py").read_text()
    changed = text.replace("import keras_tuner\n", "import experiments as keras_tuner\n")
    assert changed != text
    if name in FEWER:
        assert FEWER[name][0] in changed
        changed = changed.replace(*FEWER[name])
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


class Called(keras.Model):
    """Has weights only once it is called."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.first, self.last = keras.layers.Dense(units), keras.layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.last(self.first(inputs))


def test_the_best_of_models_that_are_built_when_they_are_called(tmp_path: Path) -> None:
    def build(hp: Any) -> Any:
        model = Called(hp.Int("units", 2, 4))
        model.compile("sgd", "mse")
        return model

    tuner = experiments.RandomSearch(
        build, objective="val_loss", max_trials=1, directory=tmp_path, project_name="mine"
    )
    tuner.search(X, Y, validation_data=(X[:16], Y[:16]), epochs=2, verbose=0)
    best = tuner.oracle.get_best_trials(1)[0]
    (model,) = tuner.get_best_models()
    assert model.evaluate(X[:16], Y[:16], verbose=0) == pytest.approx(best.score, rel=1e-5)
    (tmp_path / f"mine/trial_{best.trial_id}/build_config.json").unlink()
    with pytest.raises(experiments.UserError, match="its shapes are not known: call it in build"):
        tuner.get_best_models()


@pytest.mark.slow
def test_no_graph_of_a_trial_is_kept_by_tensorflow(tmp_path: Path) -> None:
    from tensorflow.python.framework import ops

    before = set(ops.gradient_registry._registry)
    searched(make(tmp_path, model=traced, max_trials=2))
    assert set(ops.gradient_registry._registry) == before


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_the_report_leaves_out_what_a_script_cannot_have(tmp_path: Path) -> None:
    page = searched(make(tmp_path, max_trials=4)).report().read_text()
    assert 'id="learning-curves"' in page
    assert 'id="how-it-was-run"' in page
    absent = ("mistakes", "what-it-sees")
    words = ("latency of one image", "on validation images", "experiments reproduce")
    options = ("--confirm", "--max-epochs", "--range")
    for text in (*(f'id="{section}"' for section in absent), *words, *options):
        assert text not in page, text
    assert "nothing was tested: the best score is the luckiest of 4 trials" in page


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


class _KilledError(BaseException):
    """Ends a search as a kill does: nothing is recorded of it."""


class _Counted(keras.Sequential):  # type: ignore[misc]
    """Counts the batches that it is trained on, and is killed at one of them."""

    batches, killed_at = 0, 0

    def train_step(self, data: Any) -> Any:
        _Counted.batches += 1
        if _Counted.batches == _Counted.killed_at:
            raise _KilledError
        return super().train_step(data)


def counted(hp: Any) -> keras.Model:
    units = hp.Int("units", 2, 12)
    layers = [keras.layers.Dense(units), keras.layers.Dropout(0.3), keras.layers.Dense(1)]
    model = _Counted([keras.Input((4,)), *layers] if units % 2 else layers)
    model.compile(keras.optimizers.Adam(0.02), "mse", run_eagerly=True)
    return model


class _Unknown(keras.callbacks.Callback):  # type: ignore[misc]
    """Nothing is known of what it does."""


_STOPPING = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
_PER_EPOCH = 2  # batches of 32 rows


def epochs_of(tuner: Any) -> Any:
    return load_study(tuner.folder).epochs.drop(columns="seconds", errors="ignore")


@pytest.fixture
def every_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.training.snapshot._SECONDS", 0)
    monkeypatch.setattr("experiments.training.snapshot._SHARE", 0)
    monkeypatch.setattr(_Counted, "killed_at", 0)


@pytest.mark.slow
@pytest.mark.usefixtures("every_epoch_is_kept")
@pytest.mark.filterwarnings("ignore:Exception ignored in")  # the log that the kill left open
@pytest.mark.parametrize(("known", "executions"), [(True, 2), (False, 1)])
def test_a_killed_training_goes_on_from_its_last_epoch(
    known: bool, executions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(place: Path) -> Any:
        _Counted.batches = 0
        given = [
            _STOPPING,
            keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.3),
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.8),
            keras.callbacks.CSVLogger(place / "log.csv"),
            keras.callbacks.TensorBoard(place / "board", write_graph=False),
        ]
        tuner = make(place, model=counted, max_trials=2, executions_per_trial=executions)
        callbacks = given if known else [_Unknown()]
        return searched(tuner, epochs=5, batch_size=32, callbacks=callbacks)

    whole = search(tmp_path / "whole")
    num_whole = _Counted.batches
    first = load_study(whole.folder).epochs.groupby("trial_id").size().iloc[0]
    killed_at = _PER_EPOCH * (first + 3) + 2  # within the fourth epoch of the second trial
    monkeypatch.setattr(_Counted, "killed_at", killed_at)
    with pytest.raises(_KilledError):
        search(tmp_path)
    monkeypatch.setattr(_Counted, "killed_at", 0)
    resumed = search(tmp_path)
    again = 0 if known else 3 * _PER_EPOCH
    assert _Counted.batches == num_whole - (first + 3) * _PER_EPOCH + again
    assert table(resumed) == table(whole)
    assert epochs_of(resumed).equals(epochs_of(whole))
    (ours, theirs) = (t.get_best_models(1)[0].get_weights() for t in (resumed, whole))
    assert all(map(np.array_equal, ours, theirs))
    assert not list(resumed.folder.glob("trial_*/snapshot-*"))
    if known:
        one, other = ((place / "log.csv").read_text() for place in (tmp_path, tmp_path / "whole"))
        assert one == other


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Early stopping conditioned on")  # not in every epoch
@pytest.mark.parametrize("every", [1, 2])
def test_an_interrupted_training_goes_on_from_its_last_epoch(
    every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(_Counted):
        def train_step(self, data: Any) -> Any:
            if _Counted.batches + 1 == 2 * _PER_EPOCH:
                signal.raise_signal(signal.SIGINT)
            return super().train_step(data)

    def build(hp: Any) -> keras.Model:
        hp.Int("units", 2, 12)
        model = Interrupted([keras.layers.Dense(3), keras.layers.Dense(1)])
        model.compile("adam", "mse", run_eagerly=True)
        return model

    monkeypatch.setattr(_Counted, "killed_at", 0)
    monkeypatch.setattr(_Counted, "batches", 0)
    options: dict[str, Any] = {"epochs": 5, "batch_size": 32, "validation_freq": every}
    options["callbacks"] = [keras.callbacks.EarlyStopping("val_loss", patience=9)]
    with pytest.raises(KeyboardInterrupt):
        searched(make(tmp_path, model=build, max_trials=1), **options)
    assert _Counted.batches == 2 * _PER_EPOCH
    resumed = searched(make(tmp_path, model=build, max_trials=1), **options)
    assert _Counted.batches == 5 * _PER_EPOCH
    whole = searched(make(tmp_path / "whole", model=build, max_trials=1), **options)
    assert epochs_of(resumed).equals(epochs_of(whole))


_TOLD = [0.0, 3.0, math.nan, *[1.0] * 8]


@pytest.mark.usefixtures("every_epoch_is_kept")
def test_an_epoch_that_measured_nan_counts_where_a_killed_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(labels: Any, outputs: Any) -> Any:
        epochs = keras.ops.cast(keras.ops.round(outputs[:, 0]), "int32")
        return keras.ops.take(keras.ops.convert_to_tensor(_TOLD), epochs)

    def build(hp: Any) -> keras.Model:  # its one weight is the number of batches
        hp.Int("units", 2, 12)
        layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        model = _Counted([keras.Input((1,)), layer])
        loss = lambda labels, outputs: -outputs  # noqa: E731
        model.compile(keras.optimizers.SGD(1.0), loss, metrics=[told], run_eagerly=True)
        return model

    def search() -> Any:
        _Counted.batches = 0
        ones = np.ones((16, 1), "float32")
        stopping = keras.callbacks.EarlyStopping("val_told", mode="max", patience=4)
        given: dict[str, Any] = {"validation_data": (ones, ones), "callbacks": [stopping]}
        tuner = make(tmp_path, model=build, max_trials=1)
        tuner.search(ones, ones, epochs=9, batch_size=16, verbose=0, **given)
        return load_study(tuner.folder).epochs

    monkeypatch.setattr(_Counted, "killed_at", 5)
    with pytest.raises(_KilledError):
        search()
    monkeypatch.setattr(_Counted, "killed_at", 0)
    assert len(search()) == 5  # the best one, and four that were no better
    assert _Counted.batches == 1  # of the fifth epoch


class _Interrupts(keras.callbacks.Callback):  # type: ignore[misc]
    """Interrupts the search at the end of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.epoch:
            signal.raise_signal(signal.SIGINT)


def eager(hp: Any) -> keras.Model:
    hp.Int("units", 2, 12)
    model = _Counted([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    return model


@pytest.mark.parametrize(("executions", "num_ended"), [(1, 1), (2, 0)])
def test_an_interrupt_in_the_last_epoch_keeps_what_is_done(
    executions: int, num_ended: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Counted, "killed_at", 0)
    monkeypatch.setattr(_Counted, "batches", 0)
    options: dict[str, Any] = {"model": eager, "executions_per_trial": executions}
    with pytest.raises(KeyboardInterrupt):  # in the last epoch of the first training
        searched(make(tmp_path, **options), batch_size=32, callbacks=[_Interrupts(1)])
    assert _Counted.batches == 2 * _PER_EPOCH
    assert len(list((tmp_path / "mine").glob("trial_*/result.json"))) == num_ended
    resumed = searched(make(tmp_path, max_trials=1, **options), batch_size=32)
    assert [row[1] for row in table(resumed)] == ["COMPLETED"]
    again = 0 if num_ended else executions
    assert _Counted.batches == (2 + 2 * again) * _PER_EPOCH


def test_a_retry_that_is_interrupted_is_no_failure(tmp_path: Path) -> None:
    attempts = []

    def fails_first(hp: Any) -> keras.Model:
        hp.Int("units", 2, 12)
        attempts.append(1)
        if len(attempts) == 2:  # the first is Keras Tuner's, which asks for hyperparameters
            raise MemoryError
        return eager(hp)

    options: dict[str, Any] = {"model": fails_first, "max_trials": 1, "max_retries_per_trial": 1}
    with pytest.raises(KeyboardInterrupt):
        searched(make(tmp_path, **options), callbacks=[_Interrupts(0)])
    (attempt,) = json.loads((tmp_path / "mine/trial_0000/attempts.json").read_text())
    assert (attempt["outcome"], attempt["message"]) == ("paused", None)
    assert [row[1] for row in table(searched(make(tmp_path, **options)))] == ["COMPLETED"]


@pytest.mark.slow
@pytest.mark.usefixtures("every_epoch_is_kept")
@pytest.mark.parametrize("what", ["arrays", "arguments"])
def test_a_killed_training_of_other_data_begins_again(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_Counted, "killed_at", _PER_EPOCH * 3 + 1)
    _Counted.batches = 0
    with pytest.raises(_KilledError):
        searched(make(tmp_path, model=counted, max_trials=1), epochs=4, batch_size=32)
    _Counted.batches = 0
    monkeypatch.setattr(_Counted, "killed_at", 0)
    tuner = make(tmp_path, model=counted, max_trials=1)
    if what == "arrays":
        tuner.search(X * 2, Y, validation_data=(X, Y), epochs=4, batch_size=32)
        said = "the arrays are others than in the session before"
    else:
        tuner.search(X, Y, validation_data=(X, Y), epochs=4, batch_size=32, shuffle=False)
        said = "other arguments of search than in the session before: shuffle"
    assert _Counted.batches == 4 * _PER_EPOCH
    assert said in capsys.readouterr().out


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


def test_the_threads_of_a_session_are_those_of_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Seven(InlineExecutor):
        threads = 7  # as many as when it was opened; what there is room for may change

    monkeypatch.setattr(_Parabola, "_executor", lambda self, config: Seven(self._run))
    tuner = _Parabola(max_trials=1, method="random", directory=tmp_path, project_name="mine")
    tuner.search(verbose=0)
    (session,) = json.loads((tmp_path / "mine/study.json").read_text())["sessions"]
    assert session["threads"] == 7


def test_a_function_of_known_hyperparameters_takes_the_automatic_method(tmp_path: Path) -> None:
    known = keras_tuner.HyperParameters()
    known.Float("x", -1, 1)
    tuner = _Parabola(
        max_trials=12, seed=0, hyperparameters=known, directory=tmp_path, project_name="mine"
    )
    tuner.search(verbose=0)
    assert len(load_study(tuner.folder).completed) == 12
    assert load_study(tuner.folder).record["config"]["method"] == "tpe"


def test_an_oracle_of_keras_tuner_says_the_method(tmp_path: Path) -> None:
    oracle = keras_tuner.oracles.BayesianOptimizationOracle(
        keras_tuner.Objective("val_loss", "min"), max_trials=2, alpha=1e-3, num_initial_points=1
    )
    tuner = experiments.Tuner(oracle, build_model, directory=tmp_path, project_name="mine")
    record = load_study(searched(tuner).folder).record["config"]
    assert (record["method"], record["objective"], record["max_trials"]) == (
        "bayesian", "val_loss:min", 2,
    )  # fmt: skip
    assert record["method_settings"] == {"num_initial_points": 1, "alpha": 1e-3, "beta": 2.6}
    assert record["seed"] == oracle.seed
    assert oracle.get_best_trials(2) == tuner.oracle.get_best_trials(2) != []
    other = keras_tuner.oracles.BayesianOptimizationOracle("val_loss", 2, seed=oracle.seed + 1)
    again = experiments.Tuner(other, build_model, directory=tmp_path, project_name="mine")
    assert again._config.seed == oracle.seed  # as the study has it
    banded = keras_tuner.oracles.HyperbandOracle("val_loss", max_epochs=4, factor=2, seed=1)
    halving = experiments.Tuner(
        oracle=banded, hypermodel=build_model, directory=tmp_path, project_name="other"
    )
    assert (halving._config.method, halving._config.max_trials) == ("hyperband", 15)
    endless = keras_tuner.oracles.HyperbandOracle("val_loss", hyperband_iterations=None)
    for kind, given in (
        (experiments.Tuner, {"oracle": endless}),
        (experiments.Hyperband, {"objective": "val_loss", "hyperband_iterations": None}),
    ):
        made = kind(hypermodel=build_model, directory=tmp_path, project_name=kind.__name__, **given)
        assert made.remaining_trials is None
    with pytest.raises(experiments.UserError, match="oracle is a _Own; RandomSearchOracle, "):
        experiments.Tuner(oracle=_Own("val_loss"), hypermodel=build_model, directory=tmp_path)


class _Own(keras_tuner.oracles.RandomSearchOracle):  # type: ignore[misc]
    """An oracle of one's own."""


@pytest.mark.parametrize("kind", ["RandomSearch", "BayesianOptimization", "GridSearch"])
def test_of_several_objectives_the_first_ranks(kind: str, tmp_path: Path) -> None:
    objective = [keras_tuner.Objective("far", "max"), "val_loss"]
    make_tuner = getattr(experiments, kind)

    class Far(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            hp.Int("distance", 1, 4)
            return build_model(keras_tuner.HyperParameters())

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            far = hp.get("distance")
            return {"far": far} if far == 3 else {"far": far, "val_loss": 1.0 / far}

    tuner = make_tuner(Far, objective, max_trials=4, directory=tmp_path, project_name="m", seed=0)
    searched(tuner)
    assert tuner.get_best_hyperparameters()[0].get("distance") == 4
    trials = load_study(tuner.folder).trials
    lacking = trials[trials["status"] == "failed"]
    assert len(lacking) == 1
    assert lacking["message"].str.contains("val_loss was not reported").all()
    assert set(trials[trials["status"] == "completed"]["val_loss"]) == {1.0, 0.5, 0.25}


@pytest.mark.usefixtures("without_drawing")
def test_a_grid_without_an_end_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[int] = []  # trials that there were when another one was asked for

    class Square(experiments.GridSearch):
        def pre_create_trial(self) -> None:
            asked.append(len(self.oracle.trials))

        def run_trial(self, trial: Any) -> float:
            return float(trial.hyperparameters.Int("x", 1, 2) ** 2)

    tuner = Square(directory=tmp_path, project_name="mine")
    tuner.search()
    assert asked == [0, 1, 2]
    assert tuner.remaining_trials is None
    said = capsys.readouterr().out
    assert "grid, all combinations\n" in said  # how it is trained is its own affair
    assert "trial 0001 (2)  4" in said
    with pytest.raises(SystemExit):
        main(["status", "mine", "--runs-dir", str(tmp_path)])
    assert "of all combinations" in capsys.readouterr().out
    assert "000000" not in said
    tuner.report()
    assert dict(facts(load_study(tuner.folder)))["budget"] == "all combinations"


def test_models_of_scikit_learn_are_searched(tmp_path: Path) -> None:
    from sklearn.datasets import load_wine
    from sklearn.linear_model import RidgeClassifier
    from sklearn.metrics import accuracy_score
    from sklearn.model_selection import GroupKFold

    x, y = load_wine(return_X_y=True)
    tuner = experiments.tuners.SklearnTuner(
        keras_tuner.oracles.RandomSearchOracle(keras_tuner.Objective("score", "max"), 2),
        lambda hp: RidgeClassifier(alpha=hp.Float("alpha", 1e-3, 1, sampling="log")),
        metrics=accuracy_score,
        cv=GroupKFold(3),
        directory=tmp_path,
        project_name="mine",
    )
    tuner.search(x, y, None, np.arange(len(y)) % 5)
    trials = load_study(tuner.folder).trials
    assert list(trials["status"]) == ["completed"] * 2
    (model,) = tuner.get_best_models()
    assert model.score(x, y) > 0.9
    assert "accuracy_score" in load_study(tuner.folder).epochs


def test_names_of_keras_tuner_are_found() -> None:
    for name in ("Oracle", "oracles", "errors", "applications", "HyperParameters"):
        assert getattr(experiments, name) is getattr(keras_tuner, name)
    assert experiments.tuners.RandomSearch is experiments.RandomSearch


def test_a_search_knows_what_another_process_did_since_it_was_set_up(tmp_path: Path) -> None:
    def tuner(max_trials: int) -> Any:
        return _Parabola(max_trials=max_trials, seed=0, directory=tmp_path, project_name="mine")

    waiting, other = tuner(4), tuner(3)
    held = waiting.oracle
    other.search(verbose=0)
    waiting.search(verbose=0)
    assert len(waiting.oracle.trials) == len(held.get_best_trials(9)) == 4
    assert len(load_study(tmp_path / "mine").record["sessions"]) == 2


def test_other_data_is_noticed_wherever_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pandas.DataFrame({"a": X[:, 0], "when": pandas.to_datetime(range(64)), "b": ["b"] * 64})
    given: dict[str, Any] = {
        "x": {"left": X, "right": [X, Y]}, "X": table, "sample_weight": X[:, 0],
        "class_weight": {0: 1.0, 1: 2.0}, "validation_data": (tf.constant(X), tf.constant(Y)),
    }  # fmt: skip
    others: dict[str, Any] = {
        "x": {"left": X, "right": [X, Y * 2]}, "X": table.assign(a=1.0), "sample_weight": X[:, 1],
        "class_weight": {0: 1.0, 1: 3.0}, "validation_data": (tf.constant(X), tf.constant(Y + 1)),
    }  # fmt: skip
    for name, other in others.items():
        for value, said in ((given[name], False), (given[name], False), (other, True)):
            tuner = _Parabola(max_trials=1, seed=0, directory=tmp_path, project_name=name * 2)
            tuner.search(**{name: value}, y=Y)
            assert ("the arrays are others" in capsys.readouterr().out) == said, name
    # As earlier versions recorded them, without tensors, or the last by its targets alone.
    mixed = (table[["a"]], tf.constant(Y)), {"class_weight": {0: 1.0}}
    assert is_same_data(fingerprint_of_data(mixed, tensors=False), mixed)
    assert is_same_data("b5eaf66c0cf27c46", ((X,), {"y": Y}))
    assert is_same_data("cba46ac2c79879b3", (({"left": X},), {"y": Y}))


class _Largest(experiments.BayesianOptimization):
    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        return -float(trial.hyperparameters.get("units") + trial.hyperparameters.get("x"))


def test_a_choice_that_was_narrowed_is_said_and_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def search(units: list[int], max_trials: int) -> Any:
        known = keras_tuner.HyperParameters()
        known.Choice("units", units)
        known.Float("x", 0, 1)
        tuner = _Largest(
            max_trials=max_trials, num_initial_points=2, seed=0, hyperparameters=known,
            directory=tmp_path, project_name="mine",
        )  # fmt: skip
        tuner.search()
        return [trial.hyperparameters.values["units"] for trial in tuner.oracle.trials.values()]

    assert 32 in search([8, 16, 32], 5)
    assert "other ranges" not in capsys.readouterr().out
    assert set(search([8, 16], 7)[5:]) <= {8, 16}
    assert "other ranges than in the session before: units; " in capsys.readouterr().out
    search([8, 16], 8)
    assert "other ranges" not in capsys.readouterr().out


def unbuilt(hp: Any) -> keras.Model:
    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 12)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(hp.Float("rate", 1e-3, 1e-1, sampling="log"))
    model.compile(optimizer, "mse", run_eagerly=True)
    return model


class _Folds(keras_tuner.HyperModel):  # type: ignore[misc]
    """Trains once a fold, and returns all histories."""

    def build(self, hp: Any) -> keras.Model:
        hp.Int("units", 2, 12)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> list[Any]:
        histories = []
        for fold in range(3):
            kwargs["validation_data"] = (X[fold::3], Y[fold::3] * (1 + fold))
            histories.append(model.fit(*args, **kwargs))
        self.best = [*getattr(self, "best", []), *(min(h.history["val_loss"]) for h in histories)]
        return histories


@pytest.mark.parametrize("executions", [1, 2])
def test_the_score_of_several_folds_is_their_mean(executions: int, tmp_path: Path) -> None:
    model = _Folds()
    tuner = make(tmp_path, model=model, max_trials=1, executions_per_trial=executions)
    searched(tuner)
    assert len(model.best) == 3 * executions
    (trial,) = tuner.oracle.trials.values()
    assert trial.score == pytest.approx(np.mean(model.best))
    epochs = load_study(tuner.folder).epochs
    assert list(epochs.groupby("execution").size()) == [2] * 3 * executions


class _Unfrozen(keras_tuner.HyperModel):  # type: ignore[misc]
    """Is built with a frozen layer, which its `fit` trains with an optimizer of its own."""

    def build(self, hp: Any) -> keras.Model:
        model = build_model(hp)
        model.layers[0].trainable = False
        return model

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        model.layers[0].trainable = True
        model.compile(keras.optimizers.Adam(hp.get("rate")), "mse", run_eagerly=True)
        return model.fit(*args, **kwargs)


@pytest.mark.parametrize("model", [traced, unbuilt, _Unfrozen])
def test_promoted_trials_continue_the_networks_that_they_come_from(
    model: Any, tmp_path: Path
) -> None:
    tuner = experiments.Hyperband(
        model, "val_loss", 3, directory=tmp_path, project_name="mine", seed=1
    )
    searched(tuner)
    trials = tuner.oracle.trials
    assert {trial.status for trial in trials.values()} == {"COMPLETED"}
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


class _Told(keras_tuner.HyperModel):  # type: ignore[misc]
    """Trains nothing, and reports a score of each epoch that it is asked for.

    Scores are `worse` or more. After `enough` trials, the search is interrupted.
    """

    def __init__(self, enough: int, worse: float) -> None:
        super().__init__()
        self.left, self.worse = enough, worse

    def build(self, hp: Any) -> keras.Model:
        return build_model(hp)

    def fit(self, hp: Any, model: Any, *args: Any, callbacks: Any, **kwargs: Any) -> float:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        score = self.worse + hp.get("rate")
        for callback in callbacks:
            callback.set_model(model)
            for epoch in range(kwargs["initial_epoch"], kwargs["epochs"]):
                callback.on_epoch_end(epoch, {"val_loss": score})
        return float(score)


def test_a_bracket_keeps_the_plan_that_it_was_begun_with(tmp_path: Path) -> None:
    options: dict[str, Any] = {"directory": tmp_path, "project_name": "mine", "seed": 1}
    with pytest.raises(KeyboardInterrupt):  # all of the first bracket's first round is there
        searched(experiments.Hyperband(_Told(3, 0.0), "val_loss", 3, **options))
    tuner = experiments.Hyperband(_Told(30, 1.0), "val_loss", 9, **options)
    with suppress(KeyboardInterrupt):
        searched(tuner)
    own = {i: t.hyperparameters.values for i, t in tuner.oracle.trials.items()}
    continued = [values for values in own.values() if "tuner/trial_id" in values]
    assert continued
    for values in continued:
        # What is continued was trained for as many epochs as it is continued from.
        assert own[values["tuner/trial_id"]]["tuner/epochs"] == values["tuner/initial_epoch"]


# The earlier plan has a bracket of 4 trials and one of 2.
@pytest.mark.parametrize(("enough", "earlier"), [(2, 4), (30, 6)])
def test_a_sweep_of_another_plan_is_whole_beside_earlier_trials(
    enough: int, earlier: int, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"directory": tmp_path, "project_name": "mine", "seed": 1}
    with suppress(KeyboardInterrupt):
        searched(experiments.Hyperband(_Told(enough, 0.0), "val_loss", 3, **options))
    with pytest.raises(KeyboardInterrupt):
        searched(experiments.Hyperband(_Told(7, 0.0), "val_loss", 9, **options))
    tuner = searched(experiments.Hyperband(_Told(30, 0.0), "val_loss", 9, **options))
    assert len(tuner.oracle.trials) == earlier + 23
    epochs = [t.hyperparameters.values["tuner/epochs"] for t in tuner.oracle.trials.values()]
    assert epochs.count(9) == 3 + 2 + 1
    assert tuner.remaining_trials == 0


class _Wide(_Told):
    """Has a layer of some width."""

    def __init__(self, enough: int, width: int) -> None:
        super().__init__(enough, 0.0)
        self.width = width

    def build(self, hp: Any) -> keras.Model:
        hp.Float("rate", 1e-3, 1e-1)
        layers = [keras.layers.Dense(self.width), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((4,)), *layers])
        model.compile("sgd", "mse", run_eagerly=True)
        return model


@pytest.mark.parametrize("changed", ["nothing", "executions", "network", "data"])
def test_a_promoted_trial_begins_again_where_its_origin_is_of_something_else(
    changed: str, tmp_path: Path
) -> None:
    def search(enough: int, again: bool = False) -> None:
        model = _Wide(enough, 3 if again and changed == "network" else 2)
        executions = 2 if again and changed == "executions" else 1
        targets = Y * 2 if again and changed == "data" else Y
        tuner = experiments.Hyperband(
            model, "val_loss", 3, directory=tmp_path, project_name="mine", seed=1,
            executions_per_trial=executions,
        )  # fmt: skip
        tuner.search(X, targets, verbose=0)

    with pytest.raises(KeyboardInterrupt):
        search(3)
    search(30, again=True)
    result = json.loads((tmp_path / "mine/trial_0003/result.json").read_text())
    assert result["status"] == "completed", result["message"]
    assert result["hyperparameters"]["tuner/initial_epoch"] == 1
    assert result["initial_epoch"] == (1 if changed == "nothing" else 0)
    epochs = {len(execution["epoch_seconds"]) for execution in result["executions"]}
    assert epochs == {3 - result["initial_epoch"]}


class _Worse(keras_tuner.HyperModel):  # type: ignore[misc]
    """Trains nothing; a promoted trial scores worse than the one that it continues."""

    def build(self, hp: Any) -> keras.Model:
        return build_model(hp)

    def fit(self, hp: Any, model: Any, *args: Any, callbacks: Any, **kwargs: Any) -> float:
        score = hp.get("rate") + kwargs["initial_epoch"]
        for callback in callbacks:
            callback.set_model(model)
            callback.on_epoch_end(0, {"val_loss": score})
        return float(score)


class _Fails(experiments.Tuner):
    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        rate = trial.hyperparameters.Float("rate", 0, 1)
        if int(trial.trial_id) < 3:
            raise ValueError("fails")
        return float(rate)


class _Bands(_Fails, experiments.Hyperband):
    """Three trials of the first bracket fail, so nothing of it is promoted."""


@pytest.mark.parametrize("is_given", [False, True])
def test_hyperband_ends_after_its_iterations(is_given: bool, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "objective": keras_tuner.Objective("loss", "min"), "max_epochs": 3, "seed": 1,
        "max_consecutive_failed_trials": 9,
    }  # fmt: skip
    if is_given:
        options = {"oracle": keras_tuner.oracles.HyperbandOracle(**options)}
    cls = _Fails if is_given else _Bands
    tuner = cls(directory=tmp_path, project_name="mine", **options)
    tuner.search(verbose=0)
    brackets = [t.hyperparameters.values["tuner/bracket"] for t in tuner.oracle.trials.values()]
    assert brackets == [1, 1, 1, 0, 0]


def test_the_best_model_is_kept_of_whatever_round(tmp_path: Path) -> None:
    tuner = experiments.Hyperband(
        _Worse(), "val_loss", 3, directory=tmp_path, project_name="mine", seed=1, keep=1
    )
    searched(tuner)
    assert "tuner/trial_id" in list(tuner.oracle.trials.values())[3].hyperparameters.values
    assert tuner.oracle.get_best_trials()[0].hyperparameters.values["tuner/bracket"] == 1
    assert len(tuner.get_best_models()) == 1


class _OwnLoop(keras.Sequential):  # type: ignore[misc]
    """Trains in a loop of its own, which tells callbacks of its epochs alone."""

    def fit(self, x: Any, y: Any, epochs: int, callbacks: Any, **kwargs: Any) -> float:
        for callback in callbacks:
            callback.set_model(self)
        for epoch in range(epochs):
            loss = float(self.train_on_batch(x, y))
            for callback in callbacks:
                callback.on_epoch_end(epoch, {"val_loss": loss})
        return loss


def test_a_model_with_a_loop_of_its_own_is_searched(tmp_path: Path) -> None:
    def looped(hp: Any) -> keras.Model:
        model = _OwnLoop([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 1, 3))])
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    study = load_study(searched(make(tmp_path, model=looped, max_trials=2)).folder)
    assert list(study.trials["status"]) == ["completed"] * 2
    assert list(study.epochs.groupby("trial_id").size()) == [2, 2]


def test_hopeless_trials_are_stopped_early(tmp_path: Path) -> None:
    tuner = make(tmp_path, method="tpe", pruner="asha", max_trials=4)
    tuner.search(X, Y, 32, 3, 0, validation_data=(X[:16], Y[:16]))  # as `fit` takes them
    statuses = load_study(tuner.folder).trials.set_index("trial_id")["status"]
    assert set(statuses) == {"completed", "pruned"}
    epochs = load_study(tuner.folder).epochs.groupby("trial_id").size()
    assert all(epochs[t] < 3 for t in statuses.index if statuses[t] == "pruned")


@pytest.mark.parametrize("method", ["random", "tpe", "hyperband"])
def test_trials_are_trained_for_max_epochs(method: str, tmp_path: Path) -> None:
    pruner = "none" if method == "hyperband" else "asha"
    tuner = make(tmp_path, model=eager, method=method, pruner=pruner, max_epochs=2, max_trials=5)
    tuner.search(X, Y, 64, validation_data=(X[:16], Y[:16]), verbose=0)
    trials = [json.loads(t.result.read_text()) for t in StudyFolder(tuner.folder).trials()]
    asked = {t["asked"]["epochs"] for t in trials if t["status"] == "completed"}
    ended = {
        t["initial_epoch"] + len(t["executions"][0]["epoch_seconds"])
        for t in trials
        if t["status"] == "completed"
    }
    assert max(asked) == 2
    assert asked == ended


class _SetsEpochs(keras_tuner.HyperModel):  # type: ignore[misc]
    def build(self, hp: Any) -> keras.Model:
        return build_model(hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, epochs=hp.Int("epochs", 3, 3), **kwargs)


class _HasNoEpochs(_SetsEpochs):
    def fit(self, hp: Any, model: Any, x: Any, y: Any, validation_data: Any, callbacks: Any,
            verbose: int = 0) -> Any:  # fmt: skip
        return model.fit(x, y, validation_data=validation_data, callbacks=callbacks, verbose=0)


class _PassesOn(_SetsEpochs):
    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, batch_size=32, **kwargs)


class _TakesAway(_SetsEpochs):
    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, epochs=kwargs.pop("epochs", 1), **kwargs)


class _Names(_SetsEpochs):
    def fit(self, hp: Any, model: Any, x: Any, y: Any, epochs: int = 1, **kwargs: Any) -> Any:
        return model.fit(x, y, epochs=epochs, **kwargs)


@pytest.mark.parametrize(
    ("model", "args", "given", "epochs"),
    [
        (_SetsEpochs, (), {}, 3),
        (_HasNoEpochs, (), {}, 1),
        (_PassesOn, (), {}, 2),
        (_PassesOn, (), {"epochs": 4}, 4),
        (_TakesAway, (), {}, 2),
        (_Names, (), {}, 2),
        (_Names, (4,), {}, 4),
    ],
)
def test_an_own_fit_gets_max_epochs_only_where_it_takes_them(
    model: Any, args: tuple[int, ...], given: dict[str, Any], epochs: int, tmp_path: Path
) -> None:
    for trials in (1, 2):  # begun, then resumed
        tuner = make(tmp_path, model=model(), max_epochs=2, max_trials=trials)
        tuner.search(X, Y, *args, validation_data=(X[:16], Y[:16]), verbose=0, **given)
    study = load_study(tuner.folder)
    assert list(study.trials["status"]) == ["completed"] * 2
    assert list(study.epochs.groupby("trial_id").size()) == [epochs] * 2
    asked = json.loads(StudyFolder(tuner.folder).record.read_text())["config"]["max_epochs"]
    assert asked == (4 if given or args else 2)


def test_a_search_of_which_nothing_is_left_says_so_where_it_is_quiet(tmp_path: Path) -> None:
    class Failing(keras_tuner.HyperModel):  # type: ignore[misc]
        def build(self, hp: Any) -> keras.Model:
            return build_model(hp)

        def fit(self, *args: Any, **kwargs: Any) -> Any:
            raise ValueError("no such layer")

    tuner = make(tmp_path, model=Failing(), max_trials=2)
    with pytest.warns(UserWarning, match="no trial completed; the last one: .*no such layer") as c:
        tuner.search(X, Y, validation_data=(X[:16], Y[:16]), verbose=0)
    assert c[0].filename == __file__


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
            seen.append(float(keras.random.uniform(())))
            return 1.0 if Once.fits in (2, 4) else float("nan")

    seen: list[float] = []
    tuner = searched(make(tmp_path, model=Once, max_retries_per_trial=1, max_trials=3))
    assert Once.fits == 6
    trials = load_study(tuner.folder).trials
    assert list(trials["status"]) == ["completed", "completed", "failed"]
    assert list(trials["cause"])[2] == "nan"
    assert len(set(seen)) == 5  # what was not finite is tried with another seed


def test_an_objective_that_no_epoch_has_is_named(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="no trial completed; the last one: .* was not reported"):
        study = load_study(searched(make(tmp_path, objective="val_accuracy", max_trials=1)).folder)
    (message,) = study.trials["message"]
    assert "val_accuracy was not reported" in message
    assert "there are loss and val_loss" in message
    assert list(study.trials["cause"]) == ["error"]


class _Asked(keras_tuner.HyperModel):  # type: ignore[misc]
    """Trains nothing; notes in which precision its models compute."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def build(self, hp: Any) -> keras.Model:
        return build_model(hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> float:
        self.seen.append(model.layers[0].compute_dtype)
        return 1.0


def test_every_trial_has_the_precision_that_the_script_has_set(tmp_path: Path) -> None:
    asked = _Asked()
    tuner = make(tmp_path, model=asked, max_trials=2)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        searched(tuner)
        left = keras.config.dtype_policy().name
    finally:
        keras.config.set_dtype_policy("float32")
    assert asked.seen == ["bfloat16"] * 2
    assert left == "mixed_bfloat16"


def test_a_precision_that_a_model_sets_is_its_own_trials(tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    def sets(hp: Any) -> keras.Model:
        kind = hp.Choice("kind", ["mixed_bfloat16", "float32"])
        if kind == "mixed_bfloat16":
            keras.config.set_dtype_policy(kind)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        seen[kind] = model.layers[0].compute_dtype
        return model

    searched(make(tmp_path, model=sets, method="grid", max_trials=2))
    assert seen == {"mixed_bfloat16": "bfloat16", "float32": "float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    def refused(words: str, **options: Any) -> None:
        with pytest.raises(experiments.UserError, match=words):
            make(tmp_path, **options)

    refused("hypermodel is missing", model=None)
    refused("unknown method 'best'", method="best")
    refused("objective 'val_x'.*direction", objective="val_x")
    refused("workers should be auto or 0 or more; got -1", workers=-1)
    refused("^deadline='soon': expected a duration", deadline="soon")
    refused("^max_trials should be a whole number, 1 or more; got 0", max_trials=0)
    refused("tune_new_entries=False needs the space", tune_new_entries=False)
    refused("allow_new_entries=False needs the space", allow_new_entries=False)
    refused("objective params: experiments.Tuner ranks by", objective=["val_loss", "params"])
    refused("objective latency_ms: experiments.Tuner ranks by", objective="latency_ms")
    refused("^executions_per_trial should be a whole number, 1 or more; got 0",
            executions_per_trial=0)  # fmt: skip
    refused("pruner='asha' compares single", method="tpe", pruner="asha", executions_per_trial=2)
    assert not (tmp_path / "mine").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    refused("exists and is no search")
    refused("exists and is no search", overwrite=True)
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"


def test_another_search_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    searched(make(tmp_path, max_trials=1))
    for name, changed in (
        ("objective", {"objective": "loss"}),
        ("method", {"method": "qmc"}),
        ("seed", {"seed": 2}),
        ("pruner", {"pruner": "asha"}),
        ("warm_start", {"method": "auto", "warm_start": "other"}),
    ):
        with pytest.raises(experiments.UserError, match=f"study 'mine' has {name} "):
            make(tmp_path, **changed)
    make(tmp_path)
    with locked(tmp_path / "mine"), pytest.raises(experiments.UserError, match="being searched"):
        make(tmp_path, overwrite=True, seed=2)
    assert len(table(searched(make(tmp_path, overwrite=True, seed=2, max_trials=2)))) == 2


def test_what_continues_a_trial_without_a_state_begins_at_its_first_epoch(tmp_path: Path) -> None:
    tuner = make(tmp_path)
    promoted = {"tuner/trial_id": "0000", "tuner/initial_epoch": 3, "tuner/epochs": 9}
    trial = SimpleNamespace(trial_id="0001", hyperparameters=SimpleNamespace(values=promoted))
    tasks = FitTasks(tuner, tuner._config, SimpleNamespace(score_to_beat=lambda: None))
    assert (tasks.task(trial).origin, tasks.task(trial).initial_epoch) == (None, 0)
    origin = Path(tuner.get_trial_dir("0000"))
    (origin / "snapshot-0.npz").touch()
    assert (tasks.task(trial).origin, tasks.task(trial).initial_epoch) == (origin, 3)


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("name", ["my models (2)", "häuser & 50%", "_old.try", "a/b"])
def test_a_project_has_any_name_that_a_folder_may_have(name: str, tmp_path: Path) -> None:
    tuner = _Parabola(max_trials=1, seed=0, directory=tmp_path, project_name=name)
    tuner.search(verbose=0)
    assert tuner.folder == tmp_path / name
    assert tuner.report() == tmp_path / name / "report/index.html"
    with pytest.raises(SystemExit) as ended:
        main(["show", tuner.folder.name, "--runs-dir", str(tuner.folder.parent)])
    assert ended.value.code == 0


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
import numpy as np, keras, os, sys
import experiments
def build_model(hp):
    seen = keras.config.image_data_format(), keras.config.floatx()
    print(os.getpid(), *seen, file=open(sys.argv[1] + "/seen", "a"))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 12))])
    model.compile("sgd", "mse", run_eagerly=True)
    return model
def run(trials=2):
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float64")
    x = np.ones((400_000, 4), "float32")
    tuner = experiments.Tuner(build_model, "val_loss", max_trials=trials, seed=1, method="random",
        directory=sys.argv[1], project_name="mine", workers=trials)
    tuner.search(x, x[:, :1], validation_data=(x[:9], x[:9, :1]), steps_per_epoch=2, batch_size=8)
"""


@pytest.mark.slow
def test_worker_processes_get_model_data_and_settings_of_keras(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_WORKERS + "if __name__ == '__main__':\n    run()\n")
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    trials = load_study(tmp_path / "mine").trials
    assert list(trials["status"]) == ["completed"] * 2
    assert trials["worker"].str.startswith("worker ").all()
    seen = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    assert len({process for process, *_ in seen}) > 1
    for _, *settings in seen:
        assert settings == ["channels_first", "float64"]


@pytest.mark.slow
def test_a_script_from_standard_input_has_workers(tmp_path: Path) -> None:
    command = [sys.executable, "-", tmp_path]
    text = f"{_WORKERS}run(trials=1)\n"
    subprocess.run(command, input=text, check=True, capture_output=True, text=True)
    trials = load_study(tmp_path / "mine").trials
    assert list(trials["status"]) == ["completed"]
    assert trials["worker"].str.startswith("worker ").all()


# What its user is told: `tests/display/test_terminal.py`
def test_no_search_begins_in_a_worker_that_still_imports_its_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit):
        make(tmp_path)
    assert not (tmp_path / "mine").exists()


def test_what_cannot_be_sent_to_workers_is_named(tmp_path: Path) -> None:
    tuner = make(tmp_path, workers=1)
    batches = ((X, Y) for _ in range(3))
    with pytest.raises(experiments.UserError, match=r"argument 1 of search \(generator\) can't be"):
        tuner.search(batches, validation_data=(X, Y), verbose=0)


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return X, Y


def test_data_that_wants_processes_of_its_own_is_refused_in_workers(tmp_path: Path) -> None:
    tuner = make(tmp_path, workers=1)
    batches = _Batches(workers=2, use_multiprocessing=True)
    words = r"workers: 'validation_data' of search \(_Batches\) has use_multiprocessing=True"
    with pytest.raises(experiments.UserError, match=words):
        tuner.search(_Batches(workers=2), validation_data=batches, verbose=0)
    assert not (tmp_path / "mine").exists()


def test_all_that_keras_tuner_has_is_there() -> None:
    for name in vars(keras_tuner):
        if not name.startswith("_") and name != "src":
            assert hasattr(experiments, name), name
    assert experiments.__version__ == keras_tuner.__version__  # type: ignore[attr-defined]
    assert experiments.synchronized is keras_tuner.synchronized  # type: ignore[attr-defined]


def test_the_last_failure_is_told_by_its_error(tmp_path: Path) -> None:
    options: dict[str, Any] = {"objective": "val_accuracy", "max_consecutive_failed_trials": 1}
    with pytest.raises(RuntimeError, match="the last one: ValueError: val_accuracy was not"):
        searched(make(tmp_path, model=eager, **options))


class _LastFirst(InlineExecutor):
    """Takes two jobs, and runs the later one first."""

    def __init__(self, run: Any) -> None:
        super().__init__(run)
        self._jobs: list[Any] = []

    def free(self) -> int:
        return 2 - len(self._jobs)

    def submit(self, job: Any) -> None:
        self._jobs.append(job)

    def wait(self, listener: Any, timeout: float) -> None:
        self._job = self._jobs.pop()
        super().wait(listener, timeout)


def test_the_last_failure_is_the_last_that_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fails(experiments.Tuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
            raise ValueError(f"fails as {trial.trial_id}")

    monkeypatch.setattr(Fails, "_executor", lambda self, config: _LastFirst(self._run))
    options: dict[str, Any] = {"max_trials": 2, "max_consecutive_failed_trials": 2}
    options |= {"hyperparameters": _units(64), "method": "random", "directory": tmp_path}
    with pytest.raises(RuntimeError, match="fails as 0000"):
        Fails(**options).search(verbose=0)


@pytest.mark.usefixtures("every_epoch_is_kept")
def test_a_full_disk_costs_an_interrupted_trial_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def full_after_one(path: Path, snapshot: Any) -> None:
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        write_snapshot(path, snapshot)

    options: dict[str, Any] = {"model": eager, "max_trials": 1, "max_retries_per_trial": 1}
    monkeypatch.setattr(_Counted, "batches", 0)
    with monkeypatch.context() as patched:
        patched.setattr("experiments.training.snapshot.write_snapshot", full_after_one)
        with pytest.raises(experiments.UserError, match=r"no space is left .* then run this again"):
            searched(make(tmp_path, **options), batch_size=32, epochs=4)
    assert _Counted.batches == 2 * _PER_EPOCH
    searched(make(tmp_path, **options), batch_size=32, epochs=4)
    assert _Counted.batches == (2 + 3) * _PER_EPOCH


class _Fits(keras_tuner.HyperModel):  # type: ignore[misc]
    """Is trained as a function says, and notes what that returned."""

    def __init__(self, how: Any) -> None:
        super().__init__()
        self.how = how
        self.returned: list[Any] = []

    def build(self, hp: Any) -> keras.Model:
        return eager(hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        self.returned.append(self.how(model, *args, **kwargs))
        return self.returned[-1]


def test_weights_are_those_of_the_model_that_had_the_best_epoch(tmp_path: Path) -> None:
    def fit(model: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        history = model.fit(x, y, **kwargs)
        other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
        other.compile("sgd", "mse", run_eagerly=True)
        other.fit(x, y + 100, **kwargs)  # which is much worse
        return history

    tuner = searched(make(tmp_path, model=_Fits(fit), max_trials=1))
    (best,) = tuner.get_best_models()
    (trial,) = tuner.oracle.trials.values()
    assert best.evaluate(X[:16], Y[:16], verbose=0) == pytest.approx(trial.score)


def test_a_model_whose_weights_cannot_be_kept_fails_its_trial_alone(tmp_path: Path) -> None:
    class Unsaved(keras.Sequential):  # type: ignore[misc]
        def save_weights(self, *args: Any, **kwargs: Any) -> None:
            raise ValueError("these can't be saved")

    def sometimes(hp: Any) -> keras.Model:
        kind = Unsaved if hp.Choice("units", [1, 2]) == 1 else keras.Sequential
        model = kind([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    trials = load_study(searched(make(tmp_path, model=sometimes, max_trials=2)).folder).trials
    assert sorted(trials["status"]) == ["completed", "failed"]
    assert "these can't be saved" in "".join(trials["message"].dropna())


def _drops_callbacks(model: Any, *args: Any, callbacks: Any, **kwargs: Any) -> Any:
    return model.fit(*args, **kwargs)


def _adds_a_metric(model: Any, *args: Any, **kwargs: Any) -> Any:
    history = model.fit(*args, **kwargs)
    history.history["val_f1"] = [0.25, 0.75]
    return history


def _trains_for_a_pretext(model: Any, x: Any, y: Any, **kwargs: Any) -> Any:
    model.fit(x * 0, y * 0, **kwargs | {"validation_data": (x * 0, y * 0)})  # whose loss is 0
    return model.fit(x, y, **kwargs)


@pytest.mark.parametrize("fit", [_drops_callbacks, _adds_a_metric, _trains_for_a_pretext])
def test_the_score_is_that_of_the_history_that_is_returned(fit: Any, tmp_path: Path) -> None:
    name, best = ("val_f1", max) if fit is _adds_a_metric else ("val_loss", min)
    model, objective = _Fits(fit), keras_tuner.Objective(name, best.__name__)
    tuner = searched(make(tmp_path, model=model, max_trials=1, objective=objective))
    (trial,) = tuner.oracle.trials.values()
    (history,) = model.returned
    assert trial.score == best(history.history[name])
    assert list(load_study(tuner.folder).epochs[name]) == history.history[name]


def test_a_fit_in_two_stages_is_recorded_whole_where_the_last_is_the_best(tmp_path: Path) -> None:
    def fit(model: Any, *args: Any, **kwargs: Any) -> Any:
        model.fit(*args, **kwargs)
        return model.fit(*args, **kwargs)

    model = _Fits(fit)
    tuner = searched(make(tmp_path, model=model, max_trials=1))
    (trial,) = tuner.oracle.trials.values()
    (history,) = model.returned
    assert trial.score == min(history.history["val_loss"])
    assert len(load_study(tuner.folder).epochs) == 4


def test_a_dictionary_that_is_returned_is_recorded_whole(tmp_path: Path) -> None:
    def fit(model: Any, *args: Any, **kwargs: Any) -> Any:
        history = model.fit(*args, **kwargs).history
        return {"val_loss": min(history["val_loss"]), "f1": 0.75}

    objective = ["val_loss", keras_tuner.Objective("f1", "max")]
    tuner = searched(make(tmp_path, model=_Fits(fit), max_trials=1, objective=objective))
    (trial,) = tuner.oracle.trials.values()
    assert (trial.status, tuner.oracle.values_of(trial)) == ("COMPLETED", [trial.score, 0.75])
    assert len(load_study(tuner.folder).epochs) == 2


def test_weights_are_kept_by_the_score_of_the_trial(tmp_path: Path) -> None:
    recorded, scores = [5.0, 9.0], [1.0, 0.5]

    def fit(model: Any, *args: Any, callbacks: Any, **kwargs: Any) -> Any:
        for callback in callbacks:
            callback.set_model(model)
            callback.on_epoch_end(0, {"val_loss": recorded.pop(0)})
        return scores.pop(0)

    tuner = searched(make(tmp_path, model=_Fits(fit), max_trials=2, keep=1))
    assert tuner.oracle.get_best_trials()[0].score == 0.5
    assert len(tuner.get_best_models()) == 1


def test_of_equal_trials_the_models_are_those_that_have_weights(tmp_path: Path) -> None:
    tuner = searched(make(tmp_path, model=_Fits(_same_for_all), max_trials=3, keep=1))
    first, second, _ = StudyFolder(tuner.folder).trials()
    first.checkpoint.rename(second.checkpoint)  # as an earlier version kept those of two workers
    assert len(tuner.get_best_models()) == 1


def _same_for_all(model: Any, *args: Any, callbacks: Any, **kwargs: Any) -> float:
    for callback in callbacks:
        callback.set_model(model)
        callback.on_epoch_end(0, {"val_loss": 1.0})
    return 1.0


class _Reports(experiments.Tuner):
    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        trial.hyperparameters.Int("units", 1, 3)
        for step, score in enumerate([3.0, 1.0, 2.0]):
            self.oracle.update_trial(trial.trial_id, {"val_loss": score, "n": step}, step=step)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_every_step_that_a_run_trial_reports_is_recorded(workers: int, tmp_path: Path) -> None:
    oracle: Any = keras_tuner.oracles.RandomSearchOracle("val_loss", max_trials=1)
    oracle.notes = threading.Lock()  # which can't be sent to a worker
    tuner = _Reports(oracle=oracle, workers=workers, directory=tmp_path)
    tuner.search(verbose=0)
    assert [t.score for t in oracle.get_best_trials()] == [1.0]
    epochs = load_study(tuner.folder).epochs
    assert (list(epochs["val_loss"]), list(epochs["n"])) == ([3, 1, 2], [0, 1, 2])


class _ReportsTwo(experiments.Tuner):
    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        units = trial.hyperparameters.Int("units", 1, 5)
        return {"val_accuracy": units / 10, "val_loss": units * 3.0}


def test_a_held_oracle_ranks_as_the_search_does(tmp_path: Path) -> None:
    objectives = [
        keras_tuner.Objective("val_accuracy", "max"),
        keras_tuner.Objective("val_loss", "min"),
    ]
    oracle = keras_tuner.oracles.RandomSearchOracle(objectives, max_trials=4, seed=1)
    tuner = _ReportsTwo(oracle=oracle, directory=tmp_path)
    tuner.search(verbose=0)
    held, own = (
        [trial.trial_id for trial in one.get_best_trials(4)] for one in (oracle, tuner.oracle)
    )
    assert held == own


class _ReportsAgain(experiments.Tuner):
    attempts = 0

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        self.attempts += 1
        trial.hyperparameters.Int("units", 1, 3)
        for step, score in enumerate([0.0, 1.0] if self.attempts == 1 else [3.0]):
            self.oracle.update_trial(trial.trial_id, {"val_loss": score}, step=step)
        if self.attempts == 1:
            raise ValueError("once")


def test_what_a_failed_attempt_reported_does_not_count(tmp_path: Path) -> None:
    tuner = _ReportsAgain(
        objective="val_loss", max_trials=1, method="random", max_retries_per_trial=1,
        directory=tmp_path,
    )  # fmt: skip
    tuner.search(verbose=0)
    assert list(load_study(tuner.folder).epochs["val_loss"]) == [3.0]


@pytest.mark.parametrize("damage", ["{", '{"trial_id": "0000", "status": "COMPLETED"}'])
def test_a_damaged_trial_is_mended_by_the_next_search(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"seed": 0, "directory": tmp_path, "project_name": "mine"}
    whole = _Parabola(max_trials=2, method="random", **options)
    whole.search()
    StudyFolder(whole.folder).trial("0000").state.write_text(damage)
    tuner = _Parabola(max_trials=2, method="random", **options)
    tuner.search()
    assert "trial 0000 was restored from its result" in capsys.readouterr().out
    assert table(tuner) == table(whole)


class _HoldsMore(_Counted):
    """Has state that is none of Keras' variables of a model and its optimizer."""

    def __init__(self, layers: Any, more: Any) -> None:
        super().__init__(layers)
        self.more = [more]


@pytest.mark.usefixtures("every_epoch_is_kept")
@pytest.mark.parametrize("more", [keras.optimizers.Adam, lambda: tf.Variable(0.0), None])
def test_a_training_of_which_not_all_is_kept_begins_again(
    more: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(hp: Any) -> keras.Model:
        hp.Int("units", 2, 12)
        model = _HoldsMore([keras.Input((4,)), keras.layers.Dense(1)], more and more())
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    monkeypatch.setattr(_Counted, "batches", 0)
    monkeypatch.setattr(_Counted, "killed_at", 2 * _PER_EPOCH + 1)
    with pytest.raises(_KilledError):
        searched(make(tmp_path, model=build, max_trials=1), epochs=3, batch_size=32)
    searched(make(tmp_path, model=build, max_trials=1), epochs=3, batch_size=32)
    trained = 1 if more is None else 3  # epochs after the resume
    assert _Counted.batches == (2 + trained) * _PER_EPOCH + 1


def test_other_data_is_noticed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for targets, said in ((Y, False), (Y * 2, True), (Y * 2, False), (Y, True)):
        tuner = _Parabola(max_trials=1, seed=0, directory=tmp_path, project_name="mine")
        tuner.search(X, targets)
        assert ("the arrays are others than in the session" in capsys.readouterr().out) == said


def test_values_to_try_are_added_to_those_of_earlier_sessions(tmp_path: Path) -> None:
    known = keras_tuner.HyperParameters()
    known.Float("x", -1, 1)
    options: dict[str, Any] = {"method": "tpe", "pruner": "none", "hyperparameters": known}
    for tried, max_trials in ((0.25, 2), (0.75, 3), (0.75, 4)):
        tuner = _Parabola(
            max_trials=max_trials, tries=[{"x": tried}], seed=0, directory=tmp_path,
            project_name="mine", **options,
        )  # fmt: skip
        tuner.search(verbose=0)
    values = [t.hyperparameters.values["x"] for t in tuner.oracle.trials.values()]
    assert (values[0], values[2], len(values)) == (0.25, 0.75, 4)
    assert load_study(tuner.folder).record["config"]["tries"] == [{"x": 0.25}, {"x": 0.75}]


def _units(most: int) -> keras_tuner.HyperParameters:
    space = keras_tuner.HyperParameters()
    space.Int("units", 8, most, step=8)
    return space


class _Units(experiments.Tuner):
    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        return float(trial.hyperparameters.get("units"))


def units(place: Path, most: int = 64, **options: Any) -> Any:
    given = {"method": "tpe", "hyperparameters": _units(most), "seed": 0} | options
    return _Units(directory=place, project_name="mine", **given)


def test_values_to_try_come_before_the_default(tmp_path: Path) -> None:
    tuner = units(tmp_path, tries=[{"units": 24}], max_trials=1)
    tuner.search(verbose=0)
    assert [row[3] for row in table(tuner)] == [{"units": 24}]


@pytest.mark.parametrize("now", [(), ({"units": 16},), ({"units": 128}, {"units": 16})])
def test_a_range_may_end_below_a_value_that_was_tried(now: Any, tmp_path: Path) -> None:
    units(tmp_path, 128, tries=[{"units": 128}], max_trials=1).search(verbose=0)
    tuner = units(tmp_path, 64, tries=now, max_trials=3)
    tuner.search(verbose=0)
    values = [row[3]["units"] for row in table(tuner)]
    assert values[0] == 128
    assert max(values[1:]) <= 64
    assert (values[1] == 16) == bool(now)


def test_nothing_is_removed_before_all_that_replaces_it_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units(tmp_path, max_trials=1).search(verbose=0)
    monkeypatch.chdir(tmp_path)
    for words, options in (
        ("units=7: expected", {"tries": [{"units": 7}]}),
        ("units=7: expected", {"tries": [{"units": 7}], "method": "auto"}),
        ("has no such setting", {"method_settings": {"startup": 3}}),
        ("startup: no method has such", {"method_settings": {"startup": 3}, "method": "auto"}),
        ("there are no trials in", {"warm_start": "mime"}),
        ("there are no trials in", {"warm_start": "mime", "method": "auto"}),
        ("overwrite=True removes", {"warm_start": "mine"}),
        ("overwrite=True removes", {"warm_start": str(tmp_path / "mine/study.csv")}),
        ("overwrite=True removes", {"warm_start": f"sqlite:///{tmp_path}/mine/optuna.db#one"}),
    ):
        with pytest.raises(experiments.UserError, match=words):
            units(tmp_path, overwrite=True, **options)
        assert len(table(units(tmp_path))) == 1
    with pytest.raises(ValueError, match="Unrecognized"):
        units(tmp_path, overwrite=True, unknown=1)
    assert len(table(units(tmp_path))) == 1
    again = units(tmp_path, overwrite=True)
    assert table(again) == table(units(tmp_path)) == []


def test_hyperparameters_of_a_trial_that_was_killed_at_its_end_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: Any) -> None:
        raise _KilledError

    options: dict[str, Any] = {"seed": 0, "directory": tmp_path, "project_name": "mine"}
    with monkeypatch.context() as patched:
        patched.setattr("experiments.search.trial_record.tell", killed)
        with pytest.raises(_KilledError):
            _Parabola(max_trials=1, method="random", **options).search()
    tuner = _Parabola(max_trials=1, method="random", **options)
    tuner.search()
    (trial,) = tuner.oracle.trials.values()
    assert trial.score == (trial.hyperparameters.values["x"] - 0.5) ** 2


def test_what_a_killed_search_sent_to_workers_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    tuner = _Parabola(max_trials=1, method="random", directory=tmp_path, project_name="mine")
    shipping(tuner, ((X, Y), {}), tuner._config)  # what closes it is not called
    assert list(tmp_path.rglob("sent.pkl"))
    tuner.search(verbose=0)
    assert not list(tmp_path.rglob("sent.pkl"))


def test_what_a_link_leads_to_is_emptied_to_be_overwritten(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mine").symlink_to(tmp_path / "elsewhere")
    units(tmp_path, max_trials=1).search(verbose=0)
    (tmp_path / "elsewhere/data").symlink_to(tmp_path)
    assert table(units(tmp_path, overwrite=True)) == []
    assert (tmp_path / "mine").is_symlink()
    assert not list((tmp_path / "elsewhere").iterdir())
    units(tmp_path, max_trials=1).search(verbose=0)
    assert (tmp_path / "elsewhere/study.json").is_file()


class _Refuses(_Units):
    """Writes a file when its search begins, and then raises an error of its own."""

    def on_search_begin(self) -> None:
        (self.folder / "mine.txt").write_text("mine")
        try:
            raise KeyError("cause")
        except KeyError as cause:
            raise OSError("own") from cause


def test_a_search_that_is_refused_leaves_what_a_script_wrote_and_its_error(tmp_path: Path) -> None:
    options: dict[str, Any] = {"method": "random", "directory": tmp_path, "project_name": "mine"}
    options["hyperparameters"] = _units(64)
    for _ in range(2):
        with pytest.raises(OSError, match="own") as raised:
            _Refuses(max_trials=1, **options).search(verbose=0)
        assert isinstance(raised.value.__cause__, KeyError)
        assert {path.name for path in (tmp_path / "mine").iterdir()} <= {"mine.txt", ".lock"}
    with pytest.raises(experiments.UserError, match="exists and is no search"):
        _Units(max_trials=1, overwrite=True, **options)
    tuner = _Units(max_trials=1, **options)
    tuner.search(verbose=0)
    assert list(load_study(tuner.folder).trials["status"]) == ["completed"]
    assert (tmp_path / "mine/mine.txt").read_text() == "mine"
