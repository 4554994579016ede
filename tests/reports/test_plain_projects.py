"""Reports of plain Keras Tuner projects say what the record holds, and no more."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from reports import load_study, write_report
from reports.analysis.health import health, sentence
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import tiles, trials_sentence, verdict_sentence
from reports.figures import progress
from reports.page.listing import studies_table
from reports.page.overview import write_overview
from reports.page.terminal import study_text, trial_text
from reports.study.study import Study
from tests.reports.plain import PlainTrial, by_loss, choice, number, write_plain
from tests.reports.synthetic import Synthetic, write_study

HASHES = ["f3" * 16, "0a" * 16, "9c" * 16, "51" * 16]


def seen(study: Study, level: str | None = None) -> str:
    """Everything that the health section says, one line each."""
    return "\n".join(f"{f.title} | {f.advice}" for f in health(study) if level in (None, f.level))


def ranked(study: Study) -> list[str]:
    return list(study.completed["trial_id"])


def objective(folder: Path, trials: Sequence[PlainTrial]) -> tuple[Study, str]:
    study = load_study(write_plain(folder, trials))
    return study, f"{study.objective}:{study.direction}"


# Objectives


def test_the_objective_is_that_of_most_trials(tmp_path: Path) -> None:
    first = PlainTrial({"val_precision": ("max", 0.6)}, 0.6)
    both = PlainTrial({"val_precision": ("max", 0.9), "val_auc": ("max", 0.7)}, 0.9)
    rest = [
        PlainTrial({"loss": ("min", 0.3), "val_auc": ("max", auc)}, auc)
        for auc in (0.85, 0.8, 0.75)
    ]
    study, found = objective(tmp_path / "p", [first, both, *rest])
    assert found == "val_auc:max"
    assert ranked(study) == ["2", "3", "4", "1"]  # trial 1 by its own val_auc, 0 has none
    assert study.completed["score"].iloc[-1] == 0.7
    said = seen(study, "problem")
    assert "different objectives" in said
    assert "2 trials by val_precision:max" in said
    assert "1 left out" in said
    assert trials_sentence(study, verdict(study)) == (
        "5 trials: 4 completed, 1 without a score to rank by."
    )


def test_scores_of_nothing_that_is_recorded(tmp_path: Path) -> None:
    odd = PlainTrial({"val_loss": ("min", 3.0)}, 77.0)
    study = objective(tmp_path / "p", [*by_loss(1.0, 2.0), odd])[0]
    assert list(study.completed["score"]) == [1.0, 2.0, 3.0]
    assert "those of 1 trial of nothing that is recorded; 1 of them ranked here" in seen(study)


def test_zero_everywhere_is_no_proof(tmp_path: Path) -> None:
    nothing = PlainTrial({"val_loss": ("min", 0.0), "val_accuracy": ("max", 0.0)}, 0.0)
    better = PlainTrial({"val_loss": ("min", 0.9), "val_accuracy": ("max", 0.5)}, 0.5)
    study, found = objective(tmp_path / "p", [nothing, better])
    assert (found, ranked(study)) == ("val_accuracy:max", ["1", "0"])
    assert "guess" not in seen(study)
    study, _ = objective(tmp_path / "q", [nothing, nothing])
    assert "that the objective was" in seen(study, "problem")


def test_equal_metrics_are_named(tmp_path: Path) -> None:
    trials = [
        PlainTrial({"loss": ("min", s), "val_loss": ("min", s), "val_mse": ("min", s)}, s)
        for s in (3.0, 1.0, 2.0)
    ]
    study, found = objective(tmp_path / "p", trials)
    assert (found, ranked(study)) == ("val_mse:min", ["1", "2", "0"])
    assert "loss and val_loss had the same values" in seen(study, "good")


def test_the_score_is_the_best_of_all_steps_over_executions(tmp_path: Path) -> None:
    steps = [(0.5, 0.7), (0.9, 0.7), math.nan, (0.1, 0.2)]
    trial = PlainTrial({"loss": ("min", 0.4), "val_acc": ("max", steps)}, 0.8)
    assert objective(tmp_path / "p", [trial])[1] == "val_acc:max"


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e15])
def test_scores_of_any_size(scale: float, tmp_path: Path) -> None:
    study, found = objective(tmp_path / "p", by_loss(3 * scale, scale, 2 * scale))
    assert (found, ranked(study)) == ("val_loss:min", ["1", "2", "0"])
    assert "could not be read" not in seen(study)


def test_scores_that_no_metric_equals(tmp_path: Path) -> None:
    study, _ = objective(tmp_path / "p", [PlainTrial({"val_loss": ("min", 1.0)}, 7.0)])
    assert "that more is better is an assumption" in seen(study, "problem")


def test_an_objective_of_training_data(tmp_path: Path) -> None:
    trials = [PlainTrial({"accuracy": ("max", s)}, s) for s in (0.8, 0.9)]
    assert "rewards overfitting" in seen(objective(tmp_path / "p", trials)[0], "problem")
    assert "rewards overfitting" not in seen(objective(tmp_path / "q", by_loss(1.0, 2.0))[0])


def test_several_objectives_are_taken_apart(tmp_path: Path) -> None:
    trials = [
        PlainTrial(
            {
                "loss": ("min", loss / 2),
                "val_loss": ("min", loss),
                "val_auc": ("min", auc),  # as Keras Tuner records it: the direction is not kept
                "multi_objective": ("min", loss - auc),
            },
            loss - auc,
        )
        for loss, auc in ((0.9, 0.4), (0.3, 0.8), (0.5, 0.9))
    ]
    study, found = objective(tmp_path / "p", trials)
    assert (found, ranked(study)) == ("multi_objective:min", ["1", "2", "0"])
    assert "val_loss - val_auc" in seen(study, "good")
    twice = [PlainTrial({**t.metrics, "val_mse": t.metrics["val_loss"]}, t.score) for t in trials]
    assert "which ones is not recorded" in seen(objective(tmp_path / "q", twice)[0], "doubt")


def test_a_direction_that_keras_tuner_guessed_wrong(tmp_path: Path) -> None:
    trials = [PlainTrial({"val_f1_score": ("min", s)}, s) for s in (0.3, 0.9, 0.6)]
    study, found = objective(tmp_path / "p", trials)
    assert found == "val_f1_score:min"  # the record is not overruled silently
    assert "keras_tuner.Objective('val_f1_score', 'max')" in seen(study, "problem")
    said = verdict_sentence(study, verdict(study))
    assert "is trial 0, 0.3." in said
    assert "If more is better, which is usual, it is trial 1, 0.9." in said
    assert "Train the network" not in said
    assert not tiles(study, verdict(study))
    told = CliRunner().invoke(main, ["status", "p", "--runs-dir", str(tmp_path)])
    for text in (told.output, study_text(study)):
        assert "problem: by its record the search took less val_f1_score for better" in text


def test_keras_tuner_guesses_them_so() -> None:
    from keras_tuner.engine import metrics_tracking

    from experiments.record.plain_objective import is_unusual

    wrong = ("f1_score", "r2_score", "binary_io_u", "pearson_correlation", "cosine_similarity")
    for name in wrong:
        assert metrics_tracking.infer_metric_direction(f"val_{name}") == "min"
        assert is_unusual(f"val_{name}", "min")
    for name in ("loss", "accuracy", "auc", "mean_absolute_error", "kl_divergence", "precision"):
        direction = metrics_tracking.infer_metric_direction(f"val_{name}")
        assert not is_unusual(f"val_{name}", str(direction))


# Order


def test_ids_of_two_and_three_digits(tmp_path: Path) -> None:
    ids = [f"{i:02d}" for i in range(0, 100, 33)] + ["100", "101"]
    study = load_study(write_plain(tmp_path / "p", by_loss(5, 4, 3, 2, 1, 6), ids))
    assert list(study.trials["trial_id"]) == ids
    assert study.is_ordered


def test_the_record_of_the_order_is_used(tmp_path: Path) -> None:
    oracle = {"start_order": HASHES, "end_order": [HASHES[i] for i in (1, 0, 3, 2)]}
    study = load_study(write_plain(tmp_path / "p", by_loss(1, 3, 2, 4), HASHES, oracle))
    assert list(study.trials["trial_id"]) == HASHES
    info = progress.info(study)
    assert isinstance(info, progress.Info)
    assert info.scores == (3, 1, 4, 2)
    assert "was number 2 to end" in progress.finding(info)
    times = {i: f"2023-05-0{9 - n}T10:00:00" for n, i in enumerate(HASHES)}
    oracle = {"start_order": HASHES[:2], "display": {"trial_start": times}}
    study = load_study(write_plain(tmp_path / "q", by_loss(1, 3, 2, 4), HASHES, oracle))
    assert list(study.trials["trial_id"]) == HASHES[::-1]
    info = progress.info(study)
    assert isinstance(info, progress.Info)
    assert "to start" in progress.finding(info)


@pytest.mark.parametrize(
    ("zone", "order"),
    [("UTC", "ps"), ("EAST-9", "sp"), ("WEST+5", "ps"), ("CET-1CEST,M3.5.0,M10.5.0/3", "sp")],
)
def test_start_times_are_shown_as_they_were_written(
    zone: str, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = "2023-03-26T02:30:00.123456"  # a time that European summer time leaves out
    oracle = {"display": {"trial_start": {"0": written}}}
    write_plain(tmp_path / "p", by_loss(1.0, 2.0), oracle=oracle)
    instant = datetime.fromisoformat("2023-03-26T02:00:00+00:00").timestamp()
    write_study(tmp_path, Synthetic(4, name="s", num_seeds=0, changes={"started": instant}))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        rows = studies_table(tmp_path).splitlines()[1:]
        page = write_overview(tmp_path).read_text()
        trials = load_study(tmp_path / "p").trials
    finally:
        monkeypatch.undo()
        time.tzset()
    assert next(row for row in rows if row.startswith("p ")).endswith(" 2023-03-26 02:30")
    assert "".join(row[0] for row in rows) == order
    assert "2023-03-26 02:30" in page
    assert trials["started"].min() == datetime.fromisoformat(f"{written}+00:00").timestamp()


@pytest.mark.usefixtures("without_drawing")
def test_hashes_say_nothing_of_time(tmp_path: Path) -> None:
    folder = write_plain(tmp_path / "p", by_loss(1, 3, 2, 4), HASHES)
    study = load_study(folder)
    assert not study.is_ordered
    assert "order of its trials is not recorded" in str(progress.info(study))
    page = write_report(study).read_text()
    assert page.count("order of its trials is not recorded") == 1
    assert "to end" not in page
    assert not (folder / "report" / "figures" / "progress.svg").exists()


def test_what_version_1_0_lacks(tmp_path: Path) -> None:
    folder = write_plain(tmp_path / "p", by_loss(2, 1), HASHES[:2], {"tried_so_far": HASHES})
    for path in folder.glob("trial_*/trial.json"):
        state = json.loads(path.read_text())
        del state["message"]
        state["hyperparameters"]["space"] = [number("units", 1, 9, sampling=None)]
        state["hyperparameters"]["values"] = {"units": 3, "tuner/round": 0}
        path.write_text(json.dumps(state))
    study = load_study(folder)
    assert (ranked(study), study.is_ordered) == ([HASHES[1], HASHES[0]], False)
    assert list(study.hyperparameters) == ["units"]


# Failures


@pytest.mark.usefixtures("without_drawing")
def test_scores_that_are_no_numbers_are_failures(tmp_path: Path) -> None:
    lost = [
        PlainTrial({"val_loss": ("min", s)}, s, status=status)
        for s, status in (
            (math.nan, "COMPLETED"), (math.inf, "COMPLETED"), (-math.inf, "COMPLETED"),
            (math.nan, "FAILED"), (math.nan, "COMPLETED"),
        )
    ]  # fmt: skip
    study = load_study(write_plain(tmp_path / "p", lost))
    assert list(study.failed["cause"]) == ["nan"] * 5
    assert "5 of 5 trials (100%) failed with cause nan" in seen(study, "problem")
    assert sentence(health(study)) != "No problems or doubts were found."
    assert verdict_sentence(study, verdict(study)) == "No trial was completed; 5 failed."
    page = write_report(study).read_text()
    assert "in which nothing was scored" in page
    assert 'id="hyperparameters"' not in page
    good = load_study(write_plain(tmp_path / "q", [*lost[:1], *by_loss(2.0, 1.0)]))
    assert (good.objective, ranked(good)) == ("val_loss", ["2", "1"])


@pytest.mark.parametrize("score", [None, [0.5]])
def test_completed_trials_whose_scores_are_no_numbers_are_left_out(
    score: Any, tmp_path: Path
) -> None:
    study = load_study(write_plain(tmp_path, [PlainTrial({}, score), PlainTrial({}, score)]))
    assert study.trials["score"].isna().all()
    assert "2 completed trials without a score" in seen(study)


@pytest.mark.usefixtures("without_drawing")
def test_failures_without_a_message(tmp_path: Path) -> None:
    raised = "Traceback (most recent call last):\n  here\nValueError: it"
    failed = [PlainTrial(status="FAILED"), PlainTrial(status="INVALID", message=raised)]
    only = load_study(write_plain(tmp_path / "q", [*by_loss(1.0), failed[0]]))
    assert "cause not recorded" in seen(only)
    assert "traceback" not in seen(only)
    study = load_study(write_plain(tmp_path / "p", [*by_loss(1.0), *failed]))
    page = write_report(study).read_text()
    assert "nan" not in page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert page.count("<details><summary>traceback of trial") == 1
    assert trial_text(study, "1").endswith("cause: not recorded")
    assert trial_text(study, "2").endswith("ValueError: it")


@pytest.mark.usefixtures("without_drawing")
def test_files_as_repositories_hold_them(tmp_path: Path) -> None:
    folder = write_plain(tmp_path / "p", by_loss(*range(1, 8)))
    text = (folder / "trial_0" / "trial.json").read_text()
    for index, content in enumerate(
        (
            "",
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            f"<<<<<<< HEAD\n{text}\n=======\n{text}\n>>>>>>> other\n",
            "[]",
        )
    ):
        (folder / f"trial_{index}" / "trial.json").write_text(content)
    (folder / "oracle.json").write_text("version https://git-lfs.github.com/spec/v1\n")
    study = load_study(folder)
    assert ranked(study) == ["4", "5", "6"]
    assert [p.split(":")[0] for p in study.problems] == [
        *(f"trial {i} is left out" for i in range(4)),
        "the order of trials may be lost",
    ]
    for problem, why in zip(
        study.problems, ("empty", "git lfs pull", "merge conflict"), strict=False
    ):
        assert why in problem
    write_report(study)


# Hyperparameters


def test_a_trial_of_defaults_is_recognised(tmp_path: Path) -> None:
    space = [
        number("units", 8, 64), number("rate", 0.25, 0.75), choice("pool", ["max", "avg"]),
        {"class_name": "Boolean", "config": {"name": "norm", "default": None, "conditions": []}},
    ]  # fmt: skip
    values = {"units": 8, "rate": 0.25, "pool": "max", "norm": False}
    trials = by_loss(1.0, 2.0, 3.0)
    for trial, changed in zip(
        trials, ({"units": 36, "rate": 0.5}, {}, {"norm": True}), strict=True
    ):
        trial.space, trial.values = space, values | changed
    study = load_study(write_plain(tmp_path / "p", trials))
    gain = verdict(study).gain
    assert gain is not None
    assert (gain.default, gain.estimate.mean) == (2.0, 1.0)
    tile = tiles(study, verdict(study))[1][2]
    assert tile.endswith(", the best of 3 trials, so too large; no interval from one training")
    several = study.trials.assign(scores=[(1.0, 1.0, 1.0)] * len(study.trials))
    study = replace(study, trials=several)
    assert tiles(study, verdict(study))[1][2].endswith("no interval from 3 trainings each")
    assert study.hyperparameters["units"]["default"] == 8


def test_hyperparameters_that_only_some_builds_use(tmp_path: Path) -> None:
    trials = by_loss(1.0, 2.0)
    trials[1].space = [*trials[1].space, number("units_1", 8, 64)]
    trials[1].values |= {"units_1": 8}
    said = seen(load_study(write_plain(tmp_path / "p", trials)), "doubt")
    assert "1 hyperparameter (units_1) came up in the course of the search" in said
    within = {"class_name": "Parent", "config": {"name": "rate", "values": [1.0]}}
    trials[1].space = [*trials[0].space, number("units_1", 8, 64, conditions=[within])]
    assert "units_1" not in seen(load_study(write_plain(tmp_path / "q", trials)), "doubt")


def test_ranges_of_searches_that_share_a_folder(tmp_path: Path) -> None:
    trials = by_loss(1.0, 2.0)
    trials[0].space = [number("a/units", 8, 64), choice("kind", ["x", "y"])]
    trials[1].space = [number("a/units", 32, 128), choice("kind", ["y", "z"])]
    trials[0].values, trials[1].values = {"a/units": 8, "kind": "x"}, {"a/units": 99, "kind": "z"}
    study = load_study(write_plain(tmp_path / "p", trials))
    hp = study.hyperparameters["a/units"]
    assert (hp["min_value"], hp["max_value"]) == (8, 128)
    assert sorted(study.hyperparameters["kind"]["values"]) == ["x", "y", "z"]
    assert list(study.trials["a/units"]) == [8, 99]


# Pages and commands


def of_dropout(folder: Path) -> Study:
    """A search whose best trials have the least dropout."""
    trials = by_loss(*[1 + i / 100 for i in range(40)])
    for trial in trials:
        trial.space = [number("dropout", 0.0, 0.5), number("units", 8, 64)]
        trial.values = {"dropout": trial.values["rate"] ** 3 / 2}
    for index, trial in enumerate(trials):
        trial.values["units"] = 8 + (index * 17) % 40
    return load_study(write_plain(folder, trials))


@pytest.mark.usefixtures("without_drawing")
def test_advice_can_be_followed(tmp_path: Path) -> None:
    study = of_dropout(tmp_path / "p")
    said, page = seen(study), write_report(study).read_text()
    assert "beyond which it means nothing" in said
    assert "nothing was tested: the best score is the luckiest of 40 trials" in said
    for text in (said, page):
        for ours in ("--range", "--confirm", "--default", "--max-trials", "--next"):
            assert ours not in text


@pytest.mark.usefixtures("without_drawing")
def test_sections_that_nothing_can_fill_are_left_out(tmp_path: Path) -> None:
    page = write_report(of_dropout(tmp_path / "p")).read_text()
    for section in ("learning-curves", "trade-offs", "mistakes", "what-it-sees", "how-it-was-run"):
        assert f'id="{section}"' not in page
        assert f'href="#{section}"' not in page
    assert 'download="trials.csv"' in page
    assert 'download="epochs.csv"' not in page
    for section in ("verdict", "health", "progress", "hyperparameters", "all-trials"):
        assert f'id="{section}"' in page
    assert "unknown" not in page.partition('<section id="verdict"')[2].partition("</section>")[0]


def test_commands_of_a_project(tmp_path: Path) -> None:
    write_plain(tmp_path / "p", [*by_loss(9.0, 1.0, 4.0), PlainTrial(status="RUNNING")])
    told = CliRunner().invoke(main, ["status", "p", "--runs-dir", str(tmp_path)]).output
    assert "trials: 3 completed, 1 not ended" in told
    assert "best: trial 1, val_loss 1 (less is better)" in told
    assert "experiments resume" not in told
    refused = CliRunner().invoke(main, ["resume", "p", "--runs-dir", str(tmp_path)])
    assert refused.exit_code != 0
    assert "--from" in refused.output
    study = load_study(tmp_path / "p")
    assert "nan" not in trial_text(study, "1")
    assert "best trial 1" in study_text(study)
    assert "plain Keras Tuner" in studies_table(tmp_path)
