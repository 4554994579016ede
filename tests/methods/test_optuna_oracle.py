"""Optuna behind a Keras Tuner oracle: exact ranges, resumed proposals, plain Keras Tuner."""

import math
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_tuner.engine import hyperparameters as hp_module

from experiments.hyperparameters.optuna_space import SpaceMap, only_value, parameter_of
from experiments.hyperparameters.space import explore
from experiments.methods.oracles.optuna_oracle import OptunaOracle
from experiments.record.errors import UserError
from search_spaces.mnist_cnn import MnistCnn

SAMPLERS = ["tpe", "cmaes", "nsga2", "qmc"]


@st.composite
def hyperparameters(draw: Any) -> Any:
    """Draws a hyperparameter of any kind."""
    kind = draw(st.sampled_from(["int", "float", "choice", "boolean"]))
    sampling = draw(st.sampled_from(["linear", "log", "reverse_log"]))
    if kind == "boolean":
        return hp_module.Boolean("x")
    if kind == "choice":
        element = draw(st.sampled_from([st.integers(-9, 9), st.text(max_size=3), st.floats(-1, 1)]))
        return hp_module.Choice("x", draw(st.lists(element, min_size=1, max_size=6)))
    stepped = draw(st.booleans())
    if kind == "int":
        low = draw(st.integers(1 if sampling != "linear" else -50, 50))
        step = draw(st.integers(2, 7)) if stepped else None
        return hp_module.Int("x", low, low + draw(st.integers(0, 200)), step, sampling)
    low = draw(st.floats(1e-5 if sampling != "linear" else -10, 10))
    step = draw(st.floats(1.1, 4)) if stepped else None
    return hp_module.Float("x", low, low + draw(st.floats(0.01, 90)), step, sampling)


@settings(derandomize=True, max_examples=80, deadline=None)
@given(hyperparameters(), st.floats(0, 1, exclude_max=True))
def test_values_survive_the_way_to_optuna_and_back(hp: Any, prob: float) -> None:
    value = hp.prob_to_value(prob)
    parameter = parameter_of(hp, "x")
    if parameter is None:
        assert value == only_value(hp)
        return
    back = parameter.decode(parameter.encoded(value))
    assert type(back) is type(value)
    if getattr(hp, "sampling", "") == "reverse_log" and hp.step is None:
        assert math.isclose(back, value, rel_tol=1e-12, abs_tol=1e-12)  # mirrored and back
    else:
        assert back == value


@settings(derandomize=True, max_examples=80, deadline=None)
@given(hyperparameters(), st.floats(0, 1))
def test_what_optuna_can_draw_is_what_keras_tuner_can(hp: Any, share: float) -> None:
    parameter = parameter_of(hp, "x")
    if parameter is None:
        return
    distribution = parameter.distribution
    if hasattr(distribution, "choices"):
        drawn = distribution.choices[min(int(share * len(distribution.choices)), 99) - 1]
        assert parameter.decode(drawn) in hp.values
        return
    low, high = distribution.low, distribution.high
    drawn = low + share * (high - low)
    if isinstance(low, int):
        drawn = low + round((drawn - low) / distribution.step) * distribution.step
    value = parameter.decode(drawn)
    allowed = hp.values
    if isinstance(hp, hp_module.Choice) or hp.step is not None:
        assert value in {type(value)(v) for v in allowed}
    else:
        assert hp.min_value <= value <= hp.max_value


def test_a_doubling_step_is_as_in_keras_tuner() -> None:
    parameter = parameter_of(hp_module.Int("x", 16, 64, step=2, sampling="log"), "x")
    assert parameter is not None
    assert [parameter.decode(i) for i in range(parameter.distribution.high + 1)] == [16, 32, 64]
    assert parameter.encoded(48) is None
    assert parameter.encoded("text") is None


def test_every_value_has_a_place_among_those_that_a_sampler_knows() -> None:
    for hp, pairs in (
        (hp_module.Float("x", -0.3, 0.3, step=0.1), {0.0: 3, 9.0: 5, -0.06: 2}),
        (hp_module.Float("x", 1e-3, 1e-1, sampling="log"), {0.5: 1e-1, 0: 1e-3, math.nan: 1e-2}),
        (hp_module.Float("x", 1.0, 3.0, sampling="reverse_log"), {9: 1.0}),  # mirrored
        (hp_module.Int("x", 8, 64, step=8), {12: 8, 13: 16, 80: 64, "text": 40}),
        (hp_module.Int("x", 1, 9, step=3), {9: 7}),
        (hp_module.Int("x", 1, 100, sampling="log"), {1000: 100, 3.6: 4}),
        (hp_module.Int("x", 16, 64, step=2, sampling="log"), {50: 2, 1000: 2}),
        (hp_module.Choice("x", [1, 2, 8]), {6: 2, 0: 0}),
        (hp_module.Choice("x", ["a", "b", "c"]), {"d": "b"}),
    ):
        parameter = parameter_of(hp, "x")
        assert parameter is not None
        found = {value: parameter.nearest(value) for value in pairs}
        assert found == {value: pytest.approx(place) if isinstance(place, float) else place
                         for value, place in pairs.items()}  # fmt: skip


@pytest.mark.parametrize(
    ("sampler", "setting"),
    [
        ("cmaes", "population_size"),
        ("nsga2", "population_size"),
        pytest.param("gp", "startup_trials", marks=pytest.mark.gp),
    ],
)
def test_a_value_off_its_range_ends_no_search(sampler: str, setting: str, tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Float("x", -0.3, 0.3, step=0.1, default=0.0)  # the step's own is 5.6e-17
    hp.Int("layers", 1, 4, default=9)
    hp.Boolean("deep")
    with hp.conditional_scope("deep", [True]):
        hp.Int("extra", 8, 64, step=8, default=12)
    oracle = make(tmp_path, sampler, hp, tries=[{}], settings={setting: 4})
    for number in range(12):
        trial = oracle.create_trial("one")
        oracle.update_trial(trial.trial_id, {"score": float(number % 5)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert len(oracle.trials) == 12


def nested() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 1e-4, 1e-1, sampling="log")
    hp.Choice("kind", ["plain", "deep"])
    hp.Fixed("constant", 5)
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("layers", 1, 3)
        with hp.conditional_scope("layers", [2, 3]):
            hp.Boolean("skip")
    with hp.conditional_scope("kind", ["plain"]):
        hp.Int("layers", 4, 8)
    with hp.conditional_scope("kind", ["plain", "deep"]):
        hp.Int("always", 1, 9)
    return hp


def test_conditional_hyperparameters_are_drawn_where_they_are_active() -> None:
    space = SpaceMap(nested().space)
    deep = space.values(
        lambda parameter: {"kind": "deep", "layers": 2, "skip": True}.get(parameter.key, 1)
    )
    assert deep == {
        "x": 1.0,
        "kind": "deep",
        "constant": 5,
        "layers": 2,
        "skip": True,
        "always": 1,
    }
    plain = {"x": 0.01, "kind": "plain", "constant": 5, "layers": 6, "always": 3}
    assert space.encoded(plain) == {"x": 0.01, "kind": "plain", "layers#2": 6, "always": 3}
    assert set(space.encoded(plain, complete=True)) == set(space.by_key)
    assert space.groups["always"].keys() == {"x", "kind", "always"}
    assert space.groups["skip"].keys() == {"skip"}
    assert space.dropped(plain | {"x": 7.0, "unknown": 1}) == ["x", "unknown"]


def make(folder: Path, sampler: str, space: Any = None, **options: Any) -> OptunaOracle:
    defaults: dict[str, Any] = {
        "objective": keras_tuner.Objective("score", "max"),
        "hyperparameters": space or explore(MnistCnn((28, 28, 1), 10)),
        "seed": 3,
        "max_consecutive_failed_trials": 10**9,
    }
    oracle = OptunaOracle(sampler, **(defaults | options))
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "project")
    return oracle


def worth(values: dict[str, Any]) -> float:
    rate = abs(math.log10(values["learning_rate"]) + 2.7)
    return 0.9 - 0.05 * rate + 0.02 * values["conv_blocks"] - 0.05 * abs(values["dropout"] - 0.3)


def step(oracle: Any, slots: int, failing: bool = False) -> None:
    """Starts trials until as many as `slots` run, then ends the oldest one."""
    for slot in range(slots):
        oracle.create_trial(f"slot{slot}")
    slot, trial = min(oracle.ongoing_trials.items(), key=lambda pair: int(pair[1].trial_id))
    if failing:
        trial.status = "FAILED"
    else:
        oracle.update_trial(trial.trial_id, {"score": worth(trial.hyperparameters.values)})
        trial.status = "COMPLETED"
    oracle.end_trial(trial)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_rebuilt_from_its_files_it_proposes_the_same(sampler: str, tmp_path: Path) -> None:
    oracle = make(tmp_path, sampler)
    for index in range(32):
        step(oracle, slots=2, failing=index % 7 == 5)
    again = make(tmp_path, sampler)
    again.reload()
    for _ in oracle.ongoing_trials:  # what was running is to be run again: the same in both
        again.create_trial(f"slot{len(again.ongoing_trials)}")
    fresh = oracle.create_trial("new").hyperparameters.values
    assert again.create_trial("new").hyperparameters.values == fresh
    assert len({str(t.hyperparameters.values) for t in oracle.trials.values()}) == 34


def test_a_failed_trial_counts_as_the_worst(tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 1, 1000)
    oracle = make(tmp_path, "tpe", hp)
    for _ in range(60):
        trial = oracle.create_trial("one")
        units = trial.hyperparameters.values["units"]
        oracle.update_trial(trial.trial_id, {"score": 0.5 + units % 7 / 1000})
        trial.status = "FAILED" if units > 200 else "COMPLETED"
        oracle.end_trial(trial)
    later = [oracle.trials[i].hyperparameters.values["units"] for i in list(oracle.trials)[20:]]
    assert sum(units > 200 for units in later) < 20, later  # of 40; 32, if failures were not seen


def test_trials_that_run_are_taken_into_account(tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("x", 0, 4)
    oracle = make(tmp_path, "tpe", hp)
    running = [oracle.create_trial(f"slot{n}").hyperparameters.values["x"] for n in range(5)]
    assert sorted(running) == [0, 1, 2, 3, 4]
    assert oracle.create_trial("slot5").status == "IDLE"


def test_it_ends_when_a_finite_space_is_exhausted(tmp_path: Path) -> None:
    oracle = make(tmp_path, "nsga2", nested_finite())
    while (trial := oracle.create_trial("one")).status == "RUNNING":
        oracle.update_trial(trial.trial_id, {"score": 1.0})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert trial.status == "STOPPED"
    assert len(oracle.trials) == 1 + 3


def nested_finite() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Boolean("deep")
    with hp.conditional_scope("deep", [True]):
        hp.Int("layers", 1, 3)
    return hp


def test_given_points_come_first_with_defaults_for_the_rest(tmp_path: Path) -> None:
    oracle = make(tmp_path, "tpe", tries=[{}, {"conv_blocks": 2, "dropout": 0.2}])
    default = oracle.create_trial("one").hyperparameters.values
    other = oracle.create_trial("two").hyperparameters.values
    assert default["learning_rate"] == 1e-3
    assert "filters_1" not in default
    assert other == default | {"conv_blocks": 2, "dropout": pytest.approx(0.2), "filters_1": 32}


def test_quasi_random_points_beside_given_ones_are_spread_evenly(tmp_path: Path) -> None:
    points = [{"learning_rate": 10**-n, "dropout": 0.1} for n in (2.1, 2.2, 2.3, 2.4, 2.5, 2.6)]
    oracle = make(tmp_path, "qmc", tries=[{}], starting_points=points)
    for _ in range(16):
        step(oracle, slots=1)
    drawn = [oracle.trials[f"{n:04d}"].hyperparameters.values for n in range(2, 13, 2)]
    assert not any(v["dropout"] == 0.1 and v["learning_rate"] > 2e-3 for v in drawn)
    normed = [v["batch_norm"] for v in drawn]  # the second dimension
    assert sum(normed) == 3, normed


def test_a_promotion_takes_no_given_point_away(tmp_path: Path) -> None:
    rates = [0.001, 0.002, 0.003]
    tries = [{"learning_rate": rate} for rate in rates]
    oracle = make(tmp_path, "tpe", tries=tries, pruner="asha", max_epochs=9)
    better, worse = oracle.create_trial("one"), oracle.create_trial("two")
    oracle.update_trial(better.trial_id, {"score": 0.9}, step=0)
    assert oracle.update_trial(worse.trial_id, {"score": 0.8}, step=0).status == "STOPPED"
    worse.status, worse.message = "COMPLETED", "pruned after 1 epoch"
    better.status, better.message = "FAILED", "it ran out of memory"
    oracle.end_trial(worse)
    oracle.end_trial(better)
    last, promoted = oracle.create_trial("one"), oracle.create_trial("two")
    assert promoted.hyperparameters.values["tuner/trial_id"] == worse.trial_id
    trials = (better, worse, last)
    assert [t.hyperparameters.values["learning_rate"] for t in trials] == rates


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_several_objectives_find_the_front(sampler: str, tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    hp.Float("waste", 0.0, 1.0)
    objectives = [keras_tuner.Objective("gain", "max"), keras_tuner.Objective("cost", "min")]
    oracle = make(tmp_path, sampler, hp, objective=objectives, seed=0)
    for _ in range(60):
        trial = oracle.create_trial("one")
        x, waste = (trial.hyperparameters.values[name] for name in ("x", "waste"))
        oracle.update_trial(trial.trial_id, {"gain": x - waste, "cost": x * x + waste})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    wasted = [t.hyperparameters.values["waste"] for t in oracle.trials.values()]
    assert sum(wasted[40:]) / 20 < 0.7 * sum(wasted[:20]) / 20


def test_one_objective_is_what_the_others_take(tmp_path: Path) -> None:
    objectives = [keras_tuner.Objective("gain", "max"), keras_tuner.Objective("cost", "min")]
    with pytest.raises(UserError, match="method cmaes takes one objective"):
        make(tmp_path, "cmaes", objective=objectives)


@pytest.mark.gp
def test_the_gaussian_process_proposes(tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Float("x", -1.0, 1.0)
    oracle = make(tmp_path, "gp", hp, settings={"startup_trials": 4})
    for _ in range(8):
        trial = oracle.create_trial("one")
        oracle.update_trial(
            trial.trial_id, {"score": -((trial.hyperparameters.values["x"] - 0.3) ** 2)}
        )
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert abs(oracle.get_best_trials(1)[0].hyperparameters.values["x"] - 0.3) < 0.05


def test_without_torch_the_gaussian_process_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(UserError, match=r"pip install 'keras-tuner-experiments\[gp\]'"):
        make(tmp_path, "gp")


def test_plain_keras_tuner_runs_it(tmp_path: Path) -> None:
    class Plain(keras_tuner.Tuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            x = trial.hyperparameters.Float("x", -1.0, 1.0)
            return {"score": -((x - 0.25) ** 2)}

    def hypermodel(hp: Any) -> Any:
        hp.Float("x", -1.0, 1.0)

    oracle = OptunaOracle(
        "tpe", objective=keras_tuner.Objective("score", "max"), max_trials=25, seed=1
    )
    tuner = Plain(oracle=oracle, hypermodel=hypermodel, directory=tmp_path, project_name="plain")
    tuner.search(verbose=0)
    assert len(oracle.trials) == 25
    assert abs(tuner.get_best_hyperparameters(1)[0].get("x") - 0.25) < 0.1
