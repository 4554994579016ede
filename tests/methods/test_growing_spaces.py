"""Hyperparameters that are known only once a trial asks for them: what was tried counts on."""

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import experiments
from experiments.methods.oracles.bayesian import BayesianOracle
from experiments.methods.oracles.grid import GridOracle
from experiments.methods.oracles.hyperband import HyperbandOracle
from experiments.methods.oracles.hyperband_brackets import Plan
from experiments.methods.oracles.optuna_oracle import OptunaOracle
from experiments.methods.oracles.random_search import RandomOracle


def build(hp: keras_tuner.HyperParameters, most: int = 16) -> None:
    """Asks for the units of a layer, up to `most`, only where there is that layer."""
    for number in range(hp.Int("layers", 1, 2)):
        hp.Int(f"units_{number}", 8, most, step=8)


def network(values: dict[str, Any]) -> tuple[int, ...]:
    """Returns what `build` makes of a trial's values."""
    return tuple(values.get(f"units_{number}", 8) for number in range(values["layers"]))


def make(cls: Any, folder: Path, *arguments: Any, most: int = 16, **options: Any) -> Any:
    """Makes an oracle that knows what the first build asks for, as a tuner does."""
    options = {"seed": 1, "max_trials": 40} | options
    oracle = cls(*arguments, objective=keras_tuner.Objective("score", "max"), **options)
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "project")
    first = oracle.get_space()
    build(first, most)
    oracle.update_space(first)
    return oracle


def end(oracle: Any, trial: Any, score: float = 0.0, most: int = 16) -> None:
    build(trial.hyperparameters, most)
    oracle.update_trial(trial.trial_id, {"score": score})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def run(oracle: Any, most: int = 40) -> list[dict[str, Any]]:
    """Runs trials to the end, or `most` of them, and returns the values of all there are."""
    for _ in range(most):
        trial = oracle.create_trial("one")
        if trial.status != "RUNNING":
            break
        end(oracle, trial, float(sum(network(trial.hyperparameters.values))))
    return [dict(trial.hyperparameters.values) for trial in oracle.trials.values()]


def test_a_grid_trains_no_network_twice(tmp_path: Path) -> None:
    tried = [network(values) for values in run(make(GridOracle, tmp_path))]
    assert tried == [(8,), (16,), (8, 8), (8, 16), (16, 8), (16, 16)]


@pytest.mark.parametrize("slots", [1, 2])
def test_a_given_point_is_tried_once(slots: int, tmp_path: Path) -> None:
    given = {"tries": [{}, {"layers": 2}], "starting_points": [{"units_0": 16}]}
    oracle = make(OptunaOracle, tmp_path, "tpe", most=8000, **given)
    for _ in range(6):
        running = [oracle.create_trial(str(slot)) for slot in range(slots)]
        end(oracle, running[-1], most=8000)
    tried = [network(trial.hyperparameters.values) for trial in oracle.trials.values()]
    assert [tried.count(point) for point in ((8,), (8, 8), (16,))] == [1, 1, 1]


def test_what_a_script_asks_for_since_is_tried_with_all_that_was_tried(tmp_path: Path) -> None:
    def first(hp: Any) -> float:
        return float(hp.Choice("units", [8, 16]))

    def second(hp: Any) -> float:
        return hp.Choice("units", [8, 16]) * float(hp.Choice("rate", [0.1, 0.2]))

    class Own(experiments.GridSearch):
        def run_trial(self, trial: Any, **_: Any) -> float:
            return float(self.hypermodel.build(trial.hyperparameters))

    for script in (first, second):
        tuner = Own(script, directory=tmp_path, project_name="mine")
        tuner.search(verbose=0)
    tried = [trial.hyperparameters.values for trial in tuner.oracle.trials.values()]
    assert [(v["units"], v.get("rate")) for v in tried] == [
        (8, None),
        (16, None),
        (8, 0.2),
        (16, 0.2),
    ]


def test_a_promoted_trial_has_the_default_of_what_was_found_since(tmp_path: Path) -> None:
    oracle = make(RandomOracle, tmp_path, most=8000, pruner="asha", max_epochs=9)
    for level in (0.5, 0.4, 0.1, 0.1, 0.1, 0.1):
        trial = oracle.create_trial("one")
        for epoch in range(9):
            answer = oracle.update_trial(trial.trial_id, {"score": level}, step=epoch)
            if answer.status == "STOPPED":
                trial.message = "pruned after 1 epoch"
                break
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    late = oracle.get_space()
    late.Int("late", 5, 10**6)
    oracle.update_space(late)
    promoted = oracle.create_trial("one").hyperparameters.values
    assert promoted["tuner/trial_id"] == "0001"
    assert promoted["late"] == 5


def test_plain_keras_tuner_resumes_with_what_trials_have_asked_for(tmp_path: Path) -> None:
    class Plain(keras_tuner.Tuner):  # type: ignore[misc]
        def run_trial(self, trial: Any, **_: Any) -> float:
            build(trial.hyperparameters)
            return float(sum(network(trial.hyperparameters.values)))

    def searched(folder: str, *limits: int) -> list[dict[str, Any]]:
        for most in limits:
            oracle = OptunaOracle("tpe", max_trials=most, seed=1, tries=[{}])
            tuner = Plain(oracle, build, directory=tmp_path, project_name=folder)
            tuner.search(verbose=0)
        return [trial.hyperparameters.values for trial in tuner.oracle.trials.values()]

    assert searched("resumed", 4, 6) == searched("whole", 6)


def test_a_sampler_sees_an_older_trial_at_the_default(tmp_path: Path) -> None:
    oracle = make(OptunaOracle, tmp_path, "tpe", tries=[{"units_0": 16}, {"layers": 2}])
    run(oracle, most=3)
    seen = [trial.params for trial in oracle._shown()]
    expected = [{"layers": 1, "units_0": 16}, {"layers": 2, "units_0": 8}]
    decoded = [
        {key: oracle.space_map.by_key[key].decode(value) for key, value in params.items()}
        for params in seen
    ]
    assert decoded[:2] == [values | {"units_1": 8} for values in expected]


def test_cma_es_goes_on_in_a_space_that_has_grown(tmp_path: Path) -> None:
    def opened(space: Any) -> Any:
        objective = keras_tuner.Objective("score", "max")
        oracle = OptunaOracle(
            "cmaes",
            {"population_size": 4},
            objective=objective,
            hyperparameters=space,
            seed=1,
        )
        oracle._set_project_dir(str(tmp_path), "project")
        return oracle

    space = keras_tuner.HyperParameters()
    for name in ("x", "y"):
        space.Float(name, 0.0, 1.0)
    oracle = opened(space)
    for number in range(9):
        trial = oracle.create_trial("one")
        if number == 8:
            trial.hyperparameters.Float("z", 0.0, 1.0)
        oracle.update_trial(trial.trial_id, {"score": trial.hyperparameters["x"]})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    afresh = opened(oracle.get_space())
    afresh.rebuild(oracle.trials.values())
    proposed = [each.create_trial("one").hyperparameters.values for each in (oracle, afresh)]
    assert proposed[0] == proposed[1]


def test_cma_es_remembers_no_more_than_its_generations(tmp_path: Path) -> None:
    space = keras_tuner.HyperParameters()
    for name in ("x", "y"):
        space.Float(name, 0.0, 1.0)
    options: dict[str, Any] = {"hyperparameters": space, "seed": 1}
    objective = keras_tuner.Objective("score", "max")
    oracle = OptunaOracle("cmaes", {"population_size": 4}, objective=objective, **options)
    oracle._set_project_dir(str(tmp_path), "project")
    for number in range(12):
        trial = oracle.create_trial("one")
        if number:  # each is worse than those before, and what failed counts as the worst
            oracle.update_trial(trial.trial_id, {"score": -number})
        trial.status = "COMPLETED" if number else "FAILED"
        oracle.end_trial(trial)
    oracle.create_trial("one")
    assert len(oracle._proposer._generations) == 3


def test_auto_takes_a_grid_where_the_whole_space_fits_and_not_a_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def script(hp: Any) -> keras.Model:
        units = hp.Choice("units", [2, 4]) if hp.Boolean("deep") else 1
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
        model.compile("sgd", "mse")
        return model

    class Own(experiments.Tuner):
        def run_trial(self, trial: Any, **kwargs: Any) -> float:  # which may ask for anything
            return float(trial.hyperparameters.Boolean("deep"))

    rows = np.zeros((4, 2), "float32")
    for most, method in ((2, "qmc"), (4, "grid")):
        tuner = experiments.Tuner(
            script, "val_loss", most, directory=tmp_path, project_name=f"{most}"
        )
        tuner.search(rows, rows[:, :1], validation_data=(rows, rows[:, :1]))
        assert tuner._config.method == method
    assert "the whole space fits in: 4 combinations" in capsys.readouterr().out
    own = Own(script, max_trials=2, directory=tmp_path, project_name="own")
    own.search(verbose=0)
    assert own._config.method == "qmc"


@pytest.mark.parametrize("name", ["grid", "random", "bayesian", "hyperband", "tpe", "qmc"])
def test_what_was_tried_counts_where_new_entries_are_not_tuned(name: str, tmp_path: Path) -> None:
    kinds: dict[str, Any] = {
        "grid": GridOracle, "random": RandomOracle, "bayesian": BayesianOracle,
        "hyperband": HyperbandOracle,
    }  # fmt: skip

    def opened(**choices: list[int]) -> Any:
        space = keras_tuner.HyperParameters()
        for hp, values in choices.items():
            space.Choice(hp, values)
        arguments = () if name in kinds else (name,)
        options = {"hyperparameters": space, "tune_new_entries": False, "max_trials": 60}
        cls = kinds.get(name, OptunaOracle)
        oracle = cls(*arguments, objective=keras_tuner.Objective("score", "max"), seed=1, **options)
        oracle.verbose = 0
        oracle.always = frozenset(choices)
        oracle._set_project_dir(str(tmp_path), "project")
        oracle.reload()
        return oracle

    def drawn(oracle: Any, most: int = 60) -> list[tuple[Any, ...]]:
        for _ in range(most):
            trial = oracle.create_trial("one")
            if trial.status != "RUNNING":
                break
            trial.hyperparameters.Float("dropout", 0.0, 0.5)
            oracle.update_trial(trial.trial_id, {"score": 0.0})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
        values = [trial.hyperparameters.values for trial in oracle.trials.values()]
        first = [v for v in values if "tuner/trial_id" not in v]
        return sorted((v["units"], v.get("rate", 1)) for v in first)

    units = [8, 16, 24, 32]
    drawn(opened(units=units), most=2)
    assert drawn(opened(units=units)) == [(u, 1) for u in units]
    assert drawn(opened(units=units, rate=[1, 2])) == [(u, rate) for u in units for rate in (1, 2)]


def test_hyperband_goes_on_with_hyperparameters_that_trials_bring(tmp_path: Path) -> None:
    objective = keras_tuner.Objective("score", "max")
    oracle = HyperbandOracle(max_epochs=9, objective=objective, seed=1)
    oracle._set_project_dir(str(tmp_path), "project")
    for _ in range(40):
        running = [t for t in map(oracle.create_trial, "ab") if t.status == "RUNNING"]
        for trial in running:
            trial.hyperparameters.Float("rate", 0.0, 1.0)
            end(oracle, trial)
    rates = [trial.hyperparameters.values["rate"] for trial in oracle.trials.values()]
    assert len(rates) == Plan(9).num_trials
    assert len(set(rates)) > 10
