"""Earlier trials of any source inform a search, and the search reports which were used."""

import json
import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
import pytest

from benchmarks.simulated import Simulation
from benchmarks.simulated import space as simulated_space
from experiments.hyperparameters.space import fixed
from experiments.methods.oracles.optuna_oracle import OptunaOracle
from experiments.methods.prior_trials import PriorTrial
from experiments.methods.warm_start import as_record, from_record, warm_start
from experiments.record.errors import UserError
from experiments.record.objective import Objective
from experiments.studies.export_study import export_study
from reports.study.load import load_study
from tests.reports.plain import PlainTrial, write_plain

ACCURACY = Objective("val_accuracy", "max")


def space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Boolean("deep")
    with hp.conditional_scope("deep", [True]):
        hp.Int("layers", 1, 3)
    return hp


def project(folder: Path, hp: Any, scores: int = 6) -> Path:
    """Leaves a project of plain Keras Tuner."""

    class Plain(keras_tuner.RandomSearch):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            return {"val_accuracy": 0.5 + int(trial.trial_id) / 100}

    def hypermodel(_: Any) -> None: ...

    tuner = Plain(
        hypermodel,
        objective=keras_tuner.Objective("val_accuracy", "max"),
        hyperparameters=hp,
        max_trials=scores,
        directory=folder,
        project_name="plain",
        seed=1,
    )
    tuner.search(verbose=0)
    return folder / "plain"


def test_a_project_of_keras_tuner(tmp_path: Path) -> None:
    wider = space()
    wider.Choice("color", ["red", "blue"])
    folder = project(tmp_path, wider)
    path = folder / "trial_3" / "trial.json"
    state = json.loads(path.read_text())
    state["hyperparameters"]["values"]["rate"] = 5.0
    path.write_text(json.dumps(state))
    (folder / "trial_4" / "trial.json").write_text("{")
    used, lines = warm_start([str(folder)], space(), ACCURACY, tmp_path)
    assert lines == [
        f"--from {folder}: 4 trials used, 2 dropped (1 damaged, 1 rate out of range); "
        "not in this space and ignored: color"
    ]
    assert [e.score for e in used] == [0.5, 0.51, 0.52, 0.55]
    assert all({"rate", "deep"} <= set(e.values) <= {"rate", "deep", "layers"} for e in used)


def test_a_project_of_another_objective(tmp_path: Path) -> None:
    both = [
        PlainTrial({"val_loss": ("min", s), "val_accuracy": ("max", 1 - s)}, s, {"rate": 0.01})
        for s in (0.3, 0.2)
    ]
    folder = str(write_plain(tmp_path / "p", both))
    with pytest.raises(UserError, match="its objective is val_loss:min, that of this search val_a"):
        warm_start([folder], space(), ACCURACY, tmp_path)
    used, _ = warm_start([folder], space(), Objective("val_loss", "min"), tmp_path)
    assert [e.score for e in used] == [0.3, 0.2]
    used, _ = warm_start([folder], space(), Objective("val_loss", "min"), tmp_path, [ACCURACY])
    assert [e.further for e in used] == [(0.7,), (0.8,)]
    guessed = PlainTrial({"val_f1_score": ("min", 0.4)}, 0.4, {"rate": 0.01})
    folder = str(write_plain(tmp_path / "q", [guessed]))
    with pytest.raises(UserError, match="its objective is val_f1_score:min"):
        warm_start([folder], space(), Objective("val_f1_score", "max"), tmp_path)
    nothing = PlainTrial({"val_accuracy": ("max", 0.4)}, 7.0, {"rate": 0.01})
    folder = str(write_plain(tmp_path / "r", [nothing]))
    with pytest.raises(UserError, match="no metric that it records equals its scores"):
        warm_start([folder], space(), ACCURACY, tmp_path)


def test_trials_of_a_project_that_are_of_no_use(tmp_path: Path) -> None:
    def trial(metric: str, score: float, **values: Any) -> PlainTrial:
        return PlainTrial({metric: ("max", score)}, score, {"rate": 0.01, **values})

    trials = [
        trial("val_accuracy", 0.5, **{"tuner/epochs": 3, "block/units": 8}),
        trial("val_accuracy", 0.6),
        trial("val_auc", 0.9),
        trial("val_accuracy", math.nan),
        PlainTrial(status="RUNNING"),
    ]
    folder = write_plain(tmp_path / "p", trials)
    used, (line,) = warm_start([str(folder)], space(), ACCURACY, tmp_path)
    assert [e.score for e in used] == [0.5, 0.6]
    assert "3 dropped (1 failed, 1 ranked by another objective, 1 running)" in line
    assert line.endswith("not in this space and ignored: block/units")


def test_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "earlier.csv"
    path.write_text(
        "rate,deep,layers,val_accuracy\n0.01,true,2,0.9\n0.02,False,,0.8\n0.5,true,1,1\n"
    )
    used, lines = warm_start([str(path)], space(), ACCURACY, tmp_path)
    assert [e.values for e in used] == [
        {"rate": 0.01, "deep": True, "layers": 2},
        {"rate": 0.02, "deep": False},
    ]
    assert lines[0].endswith("2 trials used, 1 dropped (1 rate out of range)")


def test_a_choice_of_texts_may_look_like_numbers_in_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "earlier.csv"
    path.write_text("kernel,kind,score\n3,true,0.9\n5,false,0.8\n7,true,0.7\n")
    hp = keras_tuner.HyperParameters()
    hp.Choice("kernel", ["3", "5"])
    hp.Choice("kind", ["true", "false"])
    used, lines = warm_start([str(path)], hp, ACCURACY, tmp_path)
    assert [e.values for e in used] == [
        {"kernel": "3", "kind": "true"}, {"kernel": "5", "kind": "false"},
    ]  # fmt: skip
    assert "1 dropped (1 kernel out of range)" in lines[0]


def test_trials_of_another_value_than_the_one_held_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "earlier.csv"
    path.write_text(
        "rate,deep,layers,score\n0.01,true,2,0.9\n0.02,false,,0.8\n0.03,true,3,0.7\n0.04,,,0.6\n"
    )
    held = fixed(space(), {"deep": "true", "layers": "2"})
    used, lines = warm_start([str(path)], held, ACCURACY, tmp_path)
    assert [e.score for e in used] == [0.9, 0.6]
    assert "2 dropped (1 deep out of range, 1 layers out of range)" in lines[0]


def test_what_is_not_known_yet_is_kept_for_a_space_that_grows(tmp_path: Path) -> None:
    path = tmp_path / "earlier.csv"
    path.write_text("rate,units_1,score\n0.01,8,0.9\n")
    used, lines = warm_start([str(path)], space(), ACCURACY, tmp_path, grows=True)
    assert [e.values for e in used] == [{"rate": 0.01, "units_1": 8}]
    assert lines[0].endswith("1 trial used; not in this space so far: units_1")
    oracle = OptunaOracle(
        "tpe",
        objective=keras_tuner.Objective("score", "max"),
        earlier=used,
    )
    assert oracle._shown() == []  # nothing is known of what it has
    found = oracle.get_space()
    found.Int("units_1", 1, 9)
    found.Boolean("deep")
    oracle.update_space(found)
    assert [trial.params for trial in oracle._shown()] == [{"units_1": 8, "deep": False}]


def test_a_table_of_the_suite_has_trials_that_were_not_completed(tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    path.write_text(
        "trial,status,score,rate\n0,completed,0.9,0.01\n1,pruned,0.3,0.02\n2,failed,,0.03\n"
    )
    used, lines = warm_start([str(path)], space(), ACCURACY, tmp_path)
    assert [e.score for e in used] == [0.9]
    assert "1 trial used, 2 dropped (1 failed, 1 pruned)" in lines[0]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("0.01,false,9,0.9", None),  # not active: it may be anything
        ("0.01,true,9,0.9", "layers out of range"),
        ("0.01,true,1.5,0.9", "layers out of range"),
        ("0.01,true,inf,0.9", "layers out of range"),
        ("0.01,off,1,0.9", "deep out of range"),
        (f"0.01,true,1,{'9' * 400}", "without a score"),
    ],
)
def test_a_value_of_the_wrong_kind(row: str, why: str | None, tmp_path: Path) -> None:
    path = tmp_path / "earlier.csv"
    path.write_text(f"rate,deep,layers,score\n{row}\n")
    used, lines = warm_start([str(path)], space(), ACCURACY, tmp_path)
    assert len(used) == (why is None)
    assert why is None or f"1 dropped (1 {why})" in lines[0]


def test_an_optuna_storage(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'earlier.db'}"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=url, study_name="one", direction="maximize")
    study.optimize(lambda t: t.suggest_float("rate", 1e-3, 1e-2, log=True), n_trials=4)
    study.enqueue_trial({"rate": 0.005})
    used, lines = warm_start([url], space(), ACCURACY, tmp_path)
    assert len(used) == 4
    assert "1 dropped (1 waiting)" in lines[0]
    with pytest.raises(UserError, match="its objective is val_loss:max, that of this search"):
        warm_start([url], space(), Objective("val_loss", "min"), tmp_path)
    optuna.create_study(storage=url, study_name="two")
    with pytest.raises(UserError, match=r"choose a study as .*#STUDY; there are one, two"):
        warm_start([url], space(), ACCURACY, tmp_path)
    assert len(warm_start([f"{url}#one"], space(), ACCURACY, tmp_path)[0]) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "expected a column 'val_accuracy' or 'score'"),
        ("", "got no rows"),
        (None, "there are no trials in"),
    ],
)
def test_what_can_not_be_read(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "earlier.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        warm_start([str(path) if content is not None else "nothing"], space(), ACCURACY, tmp_path)
    database = tmp_path / "all.db"
    with pytest.raises(UserError, match=r"there is no database '/.*all\.db'"):
        warm_start([f"sqlite:///{database}"], space(), ACCURACY, tmp_path)
    assert not database.exists()
    with pytest.raises(UserError, match="there is no database ':memory:'"):
        warm_start(["sqlite://"], space(), ACCURACY, tmp_path)
    with closing(sqlite3.connect(database)) as connection:  # not Optuna's: left as it is
        connection.execute("create table mine (a)")
    before = database.read_bytes()
    with pytest.raises(UserError, match="can't be read"):
        warm_start([f"sqlite:///{database}"], space(), ACCURACY, tmp_path)
    assert database.read_bytes() == before


@pytest.mark.parametrize("known", [{"deep": False}, {}])  # a source may lack a hyperparameter
def test_earlier_trials_lead_the_sampler(known: dict[str, Any], tmp_path: Path) -> None:
    def first_rate(earlier: Any, seed: int) -> float:
        oracle = OptunaOracle(
            "tpe",
            objective=keras_tuner.Objective("score", "max"),
            hyperparameters=space(),
            seed=seed,
            earlier=earlier,
        )
        oracle._set_project_dir(str(tmp_path / f"{len(earlier)}-{seed}"), "project")
        return float(oracle.create_trial("one").hyperparameters.values["rate"])

    def num_near(earlier: Any) -> int:
        return sum(0.003 < first_rate(earlier, seed) < 0.03 for seed in range(12))

    good = [PriorTrial({"rate": 0.01 * (1 + n / 50)} | known, 0.9) for n in range(5)]
    bad = [PriorTrial({"rate": 1e-4 * 1.3**n} | known, 0.1) for n in range(25)]
    assert num_near([*good, *bad]) > 8
    assert num_near([]) < 7


@pytest.mark.parametrize(
    ("method", "pruner", "keeps_state"),
    [("tpe", "asha", False), ("tpe", "asha", True), ("hyperband", None, False)],
)
def test_trials_of_fewer_epochs_are_passed_with_their_curve(
    method: str, pruner: str | None, keeps_state: bool, tmp_path: Path
) -> None:
    study = Simulation(
        tmp_path / "s", method=method, pruner=pruner, max_trials=30, epochs=9,
        keeps_state=keeps_state,
    )  # fmt: skip
    study.run()
    stated = {"objective": {"name": "val_accuracy", "direction": "max"}}
    (study.folder / "study.json").write_text(json.dumps(stated))
    same = simulated_space()
    whole, lines = warm_start([str(study.folder)], same, ACCURACY, tmp_path)
    assert not any(trial.is_short for trial in whole)  # the method can't rank short ones
    assert "stopped early" in lines[0]
    used, lines = warm_start([str(study.folder)], same, ACCURACY, tmp_path, takes_short=True)
    short = [trial for trial in used if trial.is_short]
    assert f"({len(short)} of them stopped early)" in lines[0]
    assert short
    assert len(used) - len(short) == len(whole)
    assert all(max(trial.curve) < 8 and trial.curve[max(trial.curve)] > 0 for trial in short)
    assert all(sorted(t.curve) == [*range(len(t.curve))] for t in short)  # with their origins'
    networks = [repr(sorted(trial.values.items())) for trial in used]
    assert len(networks) == len(set(networks))  # one that was promoted is seen once
    assert from_record(json.loads(json.dumps({"earlier": as_record(used)}))) == used


def test_a_curve_that_begins_late_is_not_known_before(tmp_path: Path) -> None:
    # As studies were recorded once.
    late = PriorTrial({"rate": 0.01}, 0.9, curve={3: 0.8, 8: 0.9}, is_short=True)
    early = PriorTrial({"rate": 0.02}, 0.5, curve={0: 0.5, 2: 0.6}, is_short=True)
    oracle = OptunaOracle(
        "tpe",
        objective=keras_tuner.Objective("score", "max"),
        hyperparameters=space(),
        seed=1,
        earlier=[early, late] * 5,
        pruner="asha",
        max_epochs=27,
    )
    shown = [trial.state.name for trial in oracle._shown()]
    assert shown.count("COMPLETE") == 5
    oracle._set_project_dir(str(tmp_path), "project")
    assert oracle.create_trial("one").status == "RUNNING"


def test_of_hyperband_in_plain_keras_tuner_a_network_counts_once_and_whole(tmp_path: Path) -> None:
    class Plain(keras_tuner.Hyperband):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            return {"val_accuracy": trial.hyperparameters["rate"]}

    tuner = Plain(
        lambda _: None,
        objective=keras_tuner.Objective("val_accuracy", "max"),
        hyperparameters=space(),
        max_epochs=9,
        directory=tmp_path,
        project_name="plain",
        seed=1,
    )
    tuner.search(verbose=0)
    values = [t.hyperparameters.values for t in tuner.oracle.trials.values()]
    last = [v for v in values if v["tuner/round"] == v["tuner/bracket"]]
    used, lines = warm_start([str(tmp_path / "plain")], space(), ACCURACY, tmp_path)
    assert sorted(t.values["rate"] for t in used) == sorted(v["rate"] for v in last)
    assert "stopped early" in lines[0]
    assert "continued as another trial" in lines[0]


def test_trials_of_before_more_epochs_are_passed_as_short_ones(tmp_path: Path) -> None:
    before = Simulation(tmp_path / "s", max_trials=4, epochs=2)
    before.run()
    replace(before, max_trials=6, epochs=8).run()
    (before.folder / "study.json").write_text("{}")
    used, _ = warm_start(
        [str(before.folder)], simulated_space(), ACCURACY, tmp_path, takes_short=True
    )
    assert [(trial.is_short, len(trial.curve)) for trial in used] == [(True, 2)] * 4 + [
        (False, 8)
    ] * 2


def test_a_sampler_ranks_earlier_trials_by_how_far_they_came(tmp_path: Path) -> None:
    whole = PriorTrial({"rate": 0.01}, 0.5)
    short = PriorTrial({"rate": 0.02}, 0.9, curve={0: 0.9}, is_short=True)

    def shown(sampler: str, **options: Any) -> list[str]:
        oracle = OptunaOracle(
            sampler,
            objective=keras_tuner.Objective("score", "max"),
            hyperparameters=space(),
            seed=1,
            earlier=[whole, short] * 5,
            **options,
        )
        return [trial.state.name for trial in oracle._shown()]

    assert shown("tpe") == ["COMPLETE", "PRUNED"] * 5
    assert shown("cmaes") == ["COMPLETE"] * 5
    # Ten have the first epoch: they are compared there.
    assert shown("tpe", pruner="asha", max_epochs=9) == ["COMPLETE"] * 10


def test_at_a_rung_an_earlier_trial_counts_with_what_it_had_there() -> None:
    known = PriorTrial({"rate": 0.02}, 0.9, curve={0: 0.4, 1: 0.6, 2: 0.5, 8: 0.9})
    unknown = PriorTrial({"rate": 0.01}, 0.5)
    oracle = OptunaOracle(
        "tpe",
        objective=keras_tuner.Objective("score", "max"),
        hyperparameters=space(),
        seed=1,
        earlier=[known, unknown],
        pruner="asha",
        max_epochs=9,
    )
    assert [trial.values for trial in oracle._shown()] == [[0.4], [0.5]]  # after one epoch
    assert [known.value_at(epochs, "max") for epochs in (1, 3, 9, 27)] == [0.4, 0.6, 0.9, 0.9]
    assert known.value_at(3, "min") == 0.4
    late = PriorTrial({"rate": 0.02}, 0.9, curve={4: 0.5, 8: 0.9})  # reported every fifth epoch
    assert [late.value_at(epochs, "max") for epochs in (1, 3, 8, 9)] == [0.5, 0.5, 0.5, 0.9]


def test_steps_of_an_optuna_storage_may_count_from_1(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'earlier.db'}"
    study = optuna.create_study(storage=url, direction="maximize")
    for curve in ({1: 0.3, 2: 0.6}, {1: 0.4}):
        trial = study.ask({"rate": optuna.distributions.FloatDistribution(1e-3, 1e-2)})
        for step, value in curve.items():
            trial.report(value, step)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    used, _ = warm_start([url], space(), ACCURACY, tmp_path, takes_short=True)
    assert [dict(e.curve) for e in used] == [{0: 0.3, 1: 0.6}, {0: 0.4}]


@pytest.mark.filterwarnings("ignore:.*set_metric_names")
def test_an_optuna_storage_says_what_its_values_are_of(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'earlier.db'}"
    study = optuna.create_study(storage=url, direction="maximize")
    study.optimize(lambda t: t.suggest_float("rate", 1e-3, 1e-2, log=True), n_trials=2)
    study.set_metric_names(["f1"])
    with pytest.raises(UserError, match="its objective is f1:max, that of this search"):
        warm_start([url], space(), ACCURACY, tmp_path)
    study.set_metric_names([ACCURACY.name])
    assert len(warm_start([url], space(), ACCURACY, tmp_path)[0]) == 2


def test_columns_of_a_table_of_the_suite_are_no_hyperparameters(tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    rows = (
        "trial_id,status,score,epochs,epochs (hyperparameter),rate,planned_epochs\n"
        "0000,completed,0.9,7,20,0.01,9\n"
        "0001,completed,0.8,3,30,0.02,3\n"  # of an early round
    )
    path.write_text(rows)
    hp = space()
    hp.Int("epochs", 1, 50)
    used, lines = warm_start([str(path)], hp, ACCURACY, tmp_path)
    assert [e.values for e in used] == [{"rate": 0.01, "epochs": 20}]
    assert lines[0].endswith("1 trial used, 1 dropped (1 stopped early)")
    path.write_text("score,epochs\n0.9,7\n")  # of someone else: it is what its name says
    assert warm_start([str(path)], hp, ACCURACY, tmp_path)[0][0].values == {"epochs": 7}


@pytest.mark.parametrize("to", ["csv", "optuna"])
def test_early_rounds_are_short_in_what_is_exported_too(to: str, tmp_path: Path) -> None:
    study = Simulation(tmp_path / "s", method="hyperband", max_trials=30, epochs=9)
    study.run()
    space = [
        {"name": hp.name, "kind": type(hp).__name__, "conditions": [], **hp.get_config()}
        for hp in simulated_space().space
    ]
    record = {"objective": {"name": "val_accuracy", "direction": "max"}, "space": space}
    (study.folder / "study.json").write_text(json.dumps(record))
    loaded, out = load_study(study.folder), tmp_path / f"out.{to}"
    export_study(loaded, to, out)
    source = str(out / "trials.csv") if to == "csv" else f"sqlite:///{out}"
    used, _ = warm_start([source], simulated_space(), ACCURACY, tmp_path)
    whole = loaded.completed[~loaded.completed["trial_id"].isin(loaded.handicaps)]
    assert 0 < len(whole) < len(loaded.completed)
    assert sorted(e.score for e in used) == sorted(whole["score"])
    if to == "optuna":  # with the epochs of those that they continue, which count once
        short, lines = warm_start([source], simulated_space(), ACCURACY, tmp_path, takes_short=True)
        assert "continued as another trial" in lines[0]
        assert all(sorted(e.curve) == [*range(len(e.curve))] for e in short)
        networks = [repr(sorted(e.values.items())) for e in short]
        assert len(networks) == len(set(networks))
        own, _ = warm_start(
            [str(study.folder)], simulated_space(), ACCURACY, tmp_path, takes_short=True
        )
        assert sorted(len(e.curve) for e in short) == sorted(len(e.curve) for e in own)
