"""Networks, not trials: promotions joined, equal fidelity, and what was drawn at random."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from reports import Study, load_study
from reports.analysis.comparison.arms import arms_of_searches, arms_of_studies
from reports.analysis.comparison.decide import compare
from reports.analysis.draws import independent
from reports.analysis.health import health
from reports.analysis.health.found import unimportant
from reports.analysis.networks import best_so_far, finished, networks, population
from reports.analysis.shared import effects_of
from reports.figures import figures
from reports.figures._comparison import (
    draw_expected_curves,
    expected_curves,
    expected_curves_finding,
)
from tests.reports.synthetic import Synthetic, write_study

EPOCHS = 6


def _change(folder: Path, trial_id: str, name: str, change: Any) -> None:
    path = folder / f"trial_{trial_id}" / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _stop(folder: Path, trial_id: str, epochs: int, begin: int = 0) -> None:
    """Makes a trial one that was stopped after so many epochs."""

    def cut(result: dict[str, Any]) -> None:
        execution = result["executions"][0]
        for name, values in execution["history"].items():
            execution["history"][name] = values[begin:epochs]
        execution["epoch_seconds"] = [1.0] * (epochs - begin)
        result |= {"status": "pruned", "score": max(execution["history"]["val_accuracy"])}
        result["initial_epoch"] = begin

    _change(folder, trial_id, "result.json", cut)


def _promote(folder: Path, origin: str, trial_id: str, begin: int) -> None:
    """Makes a trial the one that continues `origin`, to the end."""
    first = json.loads((folder / f"trial_{origin}" / "trial.json").read_text())
    values = first["hyperparameters"]["values"] | {
        "tuner/trial_id": origin, "tuner/initial_epoch": begin, "tuner/epochs": EPOCHS,
    }  # fmt: skip
    _change(folder, trial_id, "trial.json", lambda t: t["hyperparameters"].update(values=values))
    _stop(folder, trial_id, EPOCHS, begin)
    _change(folder, trial_id, "result.json", lambda r: r.update(status="completed"))


def _halved(runs: Path, **options: Any) -> Path:
    """Writes a search of 24 trials: 20 stopped after epoch 2, of the other four one promoted."""
    plan = Synthetic(24, num_epochs=EPOCHS, num_failed=0, name="halved", **options)
    folder = write_study(runs, plan)
    for number in range(3, 23):
        _stop(folder, f"{number:02}", 2)
    _promote(folder, "05", "23", begin=2)
    return folder


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return load_study(_halved(tmp_path_factory.mktemp("runs")))


def test_a_promoted_trial_goes_on_with_its_network(halved: Study) -> None:
    found = networks(halved).set_index("trial_id")
    assert len(found) == 23
    assert found.loc["23", "trial_ids"] == ("05", "23")
    assert found.loc["23", ["status", "total_epochs"]].tolist() == ["completed", EPOCHS]
    assert found["status"].value_counts().to_dict() == {"stopped": 19, "completed": 4}
    assert list(finished(halved)["trial_id"]) == list(halved.completed["trial_id"])
    (curve,) = best_so_far(halved, [("05", "23")])
    rows = halved.epochs.set_index("trial_id")["val_accuracy"]
    joined = np.maximum.accumulate([*rows["05"], *rows["23"]])
    assert curve.tolist() == pytest.approx(joined.tolist())
    assert len(curve) == EPOCHS


def test_networks_are_compared_after_the_epoch_that_all_reached(halved: Study) -> None:
    found = population(halved)
    assert (found.epoch, len(found.frame), found.after) == (2, 23, " after epoch 2")
    early = halved.epochs[halved.epochs["epoch"] <= 2].groupby("trial_id")["val_accuracy"].max()
    for trial, scored in zip(found.frame["trial_ids"], found.scores, strict=True):
        assert scored == pytest.approx(early[trial[0]])
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.slow
def test_statistics_of_a_halved_search_are_not_of_its_survivors(halved: Study) -> None:
    importance = figures()["importance"].info(halved)
    assert (importance.count, importance.num_drawn) == (23, 23)
    assert importance.real == ["learning_rate"]  # the four that are left could not tell
    assert "after epoch 2" in figures()["importance"].finding(importance)
    contour = figures()["contour"].info(halved)
    assert len(contour.numbers) == 23
    assert contour.numbers[contour.best] == finished(halved).iloc[0]["number"]
    assert "after epoch 2" in figures()["ablation"].finding(figures()["ablation"].info(halved))
    assert figures()["progress"].info(halved).expected is None
    responses = figures()["responses"].info(halved)
    assert responses.cut_short == "19 networks were stopped early"
    assert all(len(p.x) + len(p.pruned) <= 23 for p in responses.panels)
    said = " | ".join(f.title for f in health(halved))
    assert "can't be said, because 19 networks were stopped early" in said
    assert "are enough" not in said


def test_a_choice_that_was_always_stopped_is_mentioned(tmp_path: Path) -> None:
    folder = _halved(tmp_path)
    trials = load_study(folder).trials
    whole = trials[trials["trial_id"].isin(["00", "01", "02", "05", "23"])]["trial_id"]
    for trial_id in whole:
        _change(folder, trial_id, "trial.json",
                lambda t: t["hyperparameters"]["values"].update(pooling="max"))  # fmt: skip
    study = load_study(folder)
    tried = int((networks(study)["pooling"] == "average").sum())
    module = figures()["architecture"]
    info = module.info(study)
    assert f"pooling average ({tried} of {tried})" in module.finding(info)
    groups = {g.value: g for name, own in info.choices for g in own if name == "pooling"}
    assert len(groups["average"].scores) == tried  # and its scores are compared as others' are
    # Where scores by epoch are missing, nothing is compared, and it is mentioned all the same.
    unseen = study.epochs.drop(columns="val_accuracy")
    blind = replace(study, read_epochs=lambda _: unseen)
    trials = blind.trials.assign(planned_epochs=np.nan)
    blind = replace(blind, trials=trials[trials["status"] == "pruned"])
    said = module.info(blind)
    assert "no sample of what was tried" in said
    assert f"pooling average ({tried} of {tried})" in said
    assert figures()["importance"].info(blind) == population(blind).problem


def _plain(folder: Path, oracle: dict[str, Any], trials: list[dict[str, Any]]) -> Study:
    """Writes what plain Keras Tuner leaves: no `study.json`, no curves."""
    space = [
        {"class_name": "Float", "config": {"name": "rate", "min_value": 0.0, "max_value": 1.0,
                                           "step": None, "conditions": []}},
        {"class_name": "Choice", "config": {"name": "kind", "values": ["a", "b"],
                                            "conditions": []}},
    ]  # fmt: skip
    for index, trial in enumerate(trials):
        state = {
            "trial_id": f"{index:04}", "status": "COMPLETED", "score": trial.pop("score"),
            "hyperparameters": {"space": space, "values": trial}, "message": None,
            "metrics": {"metrics": {}}, "best_step": 0,
        }  # fmt: skip
        path = folder / f"trial_{index:04}" / "trial.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(state))
    (folder / "oracle.json").write_text(json.dumps(oracle))
    return load_study(folder)


def _values(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {"rate": float(rng.random()), "kind": str(rng.choice(["a", "b"])), "score": float(score)}
        for score in rng.random(count)
    ]


def test_hyperband_of_plain_keras_tuner_is_compared_by_its_largest_first_round(
    tmp_path: Path,
) -> None:
    drawn = _values(15)
    for index, trial in enumerate(drawn):  # nine begin with 3 epochs, six with 9
        trial |= {"tuner/epochs": 3 if index < 9 else 9, "tuner/initial_epoch": 0}
    promoted = [
        {k: v for k, v in drawn[index].items() if not k.startswith("tuner")}
        | {"tuner/epochs": 9, "tuner/initial_epoch": 3, "tuner/trial_id": f"{index:04}",
           "score": 2.0}
        for index in (1, 4, 8)
    ]  # fmt: skip
    scores = [trial["score"] for trial in drawn[:9]]
    study = _plain(tmp_path / "band", {"hyperband_iterations": 1}, [*drawn, *promoted])
    assert study.trials["planned_epochs"].tolist() == [3.0] * 9 + [9.0] * 9
    assert study.trials["origin"].dropna().tolist() == ["0001", "0004", "0008"]
    assert networks(study)["status"].value_counts().to_dict() == {"completed": 9, "stopped": 6}
    found = population(study)
    assert found.epoch == 3
    assert found.scores.tolist() == pytest.approx(sorted(scores, reverse=True))
    assert found.drawn["drawn"].all()
    assert finished(study)["score"].max() == 2.0
    importance = figures()["importance"].info(study)
    assert importance == "9 networks are too few to say what matters: " + (
        "10 are the least, 30 are better."
    )


def test_what_was_drawn_is_told_by_method_startup_and_given_points(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, Synthetic(30, num_failed=0)))

    def drawn(method: str, **changes: Any) -> list[int]:
        config = study.record["config"] | {"method": method, "max_trials": 30}
        config |= changes.pop("config", {})
        record = study.record | {"config": config} | changes
        ids = independent(replace(study, record=record)).trial_ids
        return [int(i) for i in sorted(ids)]

    every = list(range(30))
    assert drawn("random") == drawn("qmc") == drawn("hyperband") == every
    assert drawn("tpe") == drawn("gp") == every[:10]
    assert drawn("tpe", config={"method_settings": {"startup_trials": "4"}}) == every[:4]
    assert drawn("nsga2") == every[:20]
    assert drawn("bayesian") == every[:21]  # three a hyperparameter
    row = study.trials.iloc[2]
    point = {name: row[name] for name in study.hyperparameters if row[name] == row[name]}
    assert drawn("tpe", sessions=[{"points": [point]}]) == [0, 1, *range(3, 10)]
    assert drawn("tpe", earlier=[{"values": {}, "score": 0.5}] * 7) == [0, 1, 2]
    picked = [{"picked": "auto: --method qmc, because", "first_trial": 0},
              {"picked": "auto: --method tpe, because", "first_trial": 12}]  # fmt: skip
    assert drawn("tpe", sessions=picked) == every[:12]
    assert drawn("grid") == []  # it may have ended at --max-trials: a corner of the space
    assert drawn("grid", config={"max_trials": 99}) == every
    assert drawn("grid", config={"max_trials": 99}, sessions=[{"ended_by": "deadline"}]) == []


def test_of_plain_keras_tuner_the_method_is_told_only_where_its_oracle_tells(
    tmp_path: Path,
) -> None:
    base = {"start_order": [f"{i:04}" for i in range(12)], "end_order": [], "seed": 1}
    random = independent(_plain(tmp_path / "random", base, _values(12)))
    assert (random.method, len(random.trial_ids)) == ("random", 12)
    few = independent(_plain(tmp_path / "few", base, _values(8)))  # a grid has ten values a range
    assert (few.method, len(few.trial_ids)) == ("unknown method", 0)
    own = independent(_plain(tmp_path / "own", base | {"greedy": 1}, _values(12)))
    assert (own.method, len(own.trial_ids)) == ("unknown method", 0)
    learns = base | {"num_initial_points": None}
    bayesian = independent(_plain(tmp_path / "bayesian", learns, _values(12)))
    assert (bayesian.method, len(bayesian.trial_ids)) == ("bayesian", 6)
    unordered = learns | {"start_order": []}
    assert not independent(_plain(tmp_path / "unordered", unordered, _values(12))).trial_ids


def _by_method(study: Study, method: str) -> Study:
    record = study.record | {"config": study.record["config"] | {"method": method}}
    return replace(study, record=record)


@pytest.mark.slow
def test_architectures_of_a_search_that_learned_are_shown_not_tested(tmp_path: Path) -> None:
    plan = Synthetic(40, num_failed=0, pooling_effect=0.015)
    study = _by_method(load_study(write_study(tmp_path, plan)), "tpe")
    importance = figures()["importance"]
    assert "most networks were proposed by tpe" in importance.finding(importance.info(study))
    # What tpe proposed later is better, and has average pooling: no evidence for it.
    later = study.trials["number"] > 10
    trials = study.trials.copy()
    trials.loc[later, "score"] = 1 + trials.loc[later, "score"] / 100
    trials.loc[later, "pooling"] = np.where(np.arange(later.sum()) < 25, "average", "max")
    trials.loc[later, "batch_norm"] = True
    study = replace(study, trials=trials)
    module = figures()["architecture"]
    said = module.finding(module.info(study))
    assert "No choice is shown to separate" in said
    assert "of 10 networks" in said
    assert "The other 30 of 40 networks were proposed by tpe" in said
    assert "experiments compare synthetic --by" in said
    drawn = _by_method(study, "random")
    assert "separates the scores most" in module.finding(module.info(drawn))
    assert "batch_norm" not in importance.info(study).real
    assert figures()["progress"].info(study).expected is None
    assert figures()["progress"].info(drawn).expected is not None
    assert "drawn independently of results (of this study: 10)" in (
        figures()["expected_by_choice"].info(study)
    )


def test_arms_are_compared_at_one_budget(tmp_path: Path) -> None:
    studies = [
        load_study(write_study(tmp_path, Synthetic(count, num_failed=0, name=f"of{count}")))
        for count in (35, 70)
    ]
    curves = expected_curves(compare(arms_of_studies(studies)))
    assert not isinstance(curves, str)
    assert [c.trials[-1] for c in curves.curves] == [5, 5]
    assert "The best of 5 random trials is expected to reach" in expected_curves_finding(curves)
    draw_expected_curves(curves, Figure().subplots())
    module = figures()["expected_by_choice"]
    by_choice = module.info(studies[1])
    module.draw(by_choice, Figure().subplots())
    assert "is expected to reach, by batch norm" in module.finding(by_choice)
    few = load_study(write_study(tmp_path, Synthetic(12, num_failed=0, name="few")))
    other = expected_curves(compare(arms_of_studies([studies[0], few])))
    assert not isinstance(other, str)
    assert "Can't be said of: few (12 drawn independently of results)" in (
        expected_curves_finding(other)
    )
    learned = [_by_method(s, "tpe") for s in studies]
    said = expected_curves(compare(arms_of_studies(learned)))
    assert isinstance(said, str)
    assert "of35 (10 drawn independently of results)" in said


def test_no_difference_is_claimed_of_what_was_shown_to_make_little(tmp_path: Path) -> None:
    many = load_study(write_study(tmp_path, Synthetic(200, num_failed=0, name="many")))
    idle = [list(finding.fix) for finding in unimportant(many)]
    assert "learning_rate" not in idle[0]
    assert len(idle[0]) >= 3
    few = load_study(write_study(tmp_path, Synthetic(40, num_failed=0, name="few")))
    assert not list(unimportant(few))  # 40 networks can't show that


def test_what_was_shown_to_matter_a_little_is_not_said_to_make_no_difference(
    tmp_path: Path,
) -> None:
    plan = Synthetic(400, num_failed=0, num_seeds=0, pooling_effect=0.015)
    study = load_study(write_study(tmp_path, plan))
    (pooling,) = [effect for effect in effects_of(study) if effect.name == "pooling"]
    assert pooling.is_real
    assert pooling.most < 0.1
    (finding,) = unimportant(study)
    assert "pooling" not in finding.fix
    assert len(finding.fix) >= 3


def test_a_damaged_record_does_not_claim_a_billion_epochs(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(4, num_failed=0, num_epochs=3))
    path = next(folder.glob("trial_*2")) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"initial_epoch": 1_000_000_000}))
    study = load_study(folder)
    curves = best_so_far(study, [(t,) for t in study.trials["trial_id"]])
    assert [len(curve) for curve in curves] == [3, 3, 12, 3]


def test_trials_of_an_earlier_limit_were_not_stopped(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(24, num_epochs=EPOCHS, num_failed=0))
    for number in range(24):
        if is_short := number < 10:
            _stop(folder, f"{number:02}", 3)
        asked = {"asked": {"epochs": 3 if is_short else EPOCHS}, "status": "completed"}
        _change(folder, f"{number:02}", "result.json", lambda r, asked=asked: r.update(asked))
        pooling = {"pooling": "average" if is_short else "max"}
        _change(folder, f"{number:02}", "trial.json",
                lambda t, p=pooling: t["hyperparameters"]["values"].update(p))  # fmt: skip
    study = load_study(folder)
    assert population(study).epoch == 3
    assert "because 10 networks had fewer epochs" in " | ".join(f.title for f in health(study))
    said = {name: figures()[name].info(study) for name in ("responses", "architecture")}
    texts = [figures()[name].finding(found) for name, found in said.items()]
    texts.append(figures()["early_stopping"].info(study))
    assert "values of others: 10 networks had fewer epochs." in texts[0]
    assert "Fewer epochs whenever tried: pooling average (10 of 10)" in texts[1]
    assert "10 networks had fewer epochs: " in texts[2]
    figure = Figure()
    axes = figures()["architecture"].draw(said["architecture"], figure.subplots()).figure.axes
    texts += [label.get_text() for ax in axes for label in ax.get_xticklabels()]
    assert "average\nn = 10\nfewer epochs 10" in texts
    assert not any("topped" in text for text in texts)


def test_a_method_that_is_not_recorded_is_not_said_to_have_learned(tmp_path: Path) -> None:
    study = _plain(tmp_path / "own", {"greedy": 1}, _values(12))
    assert "can't be said, because how trials were proposed is not recorded" in (
        " | ".join(f.title for f in health(study))
    )
    texts = []
    for name in ("architecture", "importance"):
        found = figures()[name].info(study)
        found = replace(found, fit=0.9) if name == "importance" else found
        texts.append(figures()[name].finding(found))
    assert "How the other 12 of 12 networks were proposed is not recorded" in texts[0]
    assert "how most networks were proposed is not recorded" in texts[1]
    assert not any("unknown method" in text for text in texts)


def test_what_made_no_difference_after_few_epochs_is_not_held(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(200, num_epochs=4, num_failed=0, name="early"))
    for number in range(100):
        _stop(folder, f"{number:03}", 2)
    (finding,) = unimportant(load_study(folder))
    assert "made next to no difference after epoch 2 (alone" in finding.title
    assert (finding.advice, finding.fix) == ("", {})


def test_an_arm_of_several_searches_has_the_draws_of_all(tmp_path: Path) -> None:
    studies = [
        load_study(write_study(tmp_path, Synthetic(20, num_failed=0, seed=seed, name=f"of{seed}")))
        for seed in range(4)
    ]
    curves = expected_curves(compare(arms_of_searches({"a": studies[:2], "b": studies[2:]})))
    assert not isinstance(curves, str), curves
    assert [curve.count for curve in curves.curves] == [40, 40]
