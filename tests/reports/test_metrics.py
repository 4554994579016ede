"""Objectives other than accuracy: their own test value, their own digits, no false proportions."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.record.formatting import (
    article,
    between,
    byte_size,
    compact,
    duration,
    percent,
    score,
)
from reports import Study, load_study
from reports.analysis.facts import checklist
from reports.analysis.health import health
from reports.analysis.verdict import estimate, estimate_of, verdict
from reports.analysis.verdict_words import tiles, verdict_sentence, winner_on_test_words
from reports.figures import figures
from reports.figures._style import distinct
from reports.figures._wide import scale_scores
from reports.page.listing import studies_table
from reports.page.notebook import study_html
from reports.page.tables import best_trials, finalists
from reports.page.terminal import study_text
from reports.statistics.estimates import mean
from reports.statistics.wide import far_worse
from reports.study.metrics import is_proportion, is_share_of_images
from tests.reports.synthetic import Synthetic, write_study

LOSS, F1 = ("val_loss", "min"), ("val_f1_score", "max")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.9767, "0.9767"), (0.1, "0.1000"), (1.0, "1.0000"), (0.00123, "0.00123"), (0.0, "0"),
        (1e-7, "1e-07"), (0.99997, "0.99997"), (179.6866, "179.69"), (1234.56, "1,234.6"),
        (179686667714560.0, "1.7969e+14"), (-0.0123, "-0.0123"), (float("nan"), ""), (None, ""),
        (float("inf"), ""),
    ],
)  # fmt: skip
def test_scores_have_digits_that_say_something(value: float | None, shown: str) -> None:
    assert score(value) == shown


def test_differences_have_their_sign() -> None:
    assert (score(0.0123, signed=True), score(-2e-7, signed=True)) == ("+0.0123", "-2e-07")


@pytest.mark.parametrize(
    ("share", "digits", "shown"),
    [
        (0.97, 0, "97%"), (0.996, 0, "99.6%"), (0.9999996, 2, "99.99996%"), (0.004, 0, "0.4%"),
        (0.00004, 1, "0.004%"), (1.0, 2, "100.00%"), (0.0, 0, "0%"), (1 - 1e-15, 1, "100.0%"),
        (0.5, 1, "50.0%"), (float("nan"), 2, "nan%"),
    ],
)  # fmt: skip
def test_a_share_reads_as_all_or_none_only_where_it_is(
    share: float, digits: int, shown: str
) -> None:
    assert percent(share, digits) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"), (999, "999 B"), (5000, "5 kB"), (1234, "1.2 kB"), (999_600, "1 MB"),
        (34_560_000, "35 MB"), (1_620_000_000, "1.6 GB"), (4.2e13, "42,000 GB"),
    ],
)  # fmt: skip
def test_a_size_is_in_the_unit_that_fits(size: float, shown: str) -> None:
    assert byte_size(size) == shown


def test_a_rough_duration_has_no_decimals() -> None:
    assert [duration(s, 0) for s in (12.4, 400, 5400)] == ["12 s", "7 min", "1.5 h"]
    assert [duration(s) for s in (12.4, 400, math.nan)] == ["12.4 s", "6.7 min", "unknown"]


def test_the_ends_of_an_interval_are_told_apart() -> None:
    found = mean([179690.11, 179690.12, 179690.13])
    assert between(found.low, found.high) == "179,690.10 to 179,690.14"
    assert between(0.97670, 0.97671, signed=True) == "+0.97670 to +0.97671"
    assert between(1.0001e-7, 1.0002e-7) == "1.0001e-07 to 1.0002e-07"
    assert between(0.9, 0.9) == "0.9000 to 0.9000"
    assert between(0.9, 0.95) == "0.9000 to 0.9500"
    assert between(math.nan, 0.9) == between(0.9, math.inf, signed=True) == "unknown"


def test_a_test_score_just_below_all_is_not_shown_as_all(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, Synthetic(4, objective=F1, num_seeds=2)))
    for run, value in zip(study.finalists[0]["runs"], (0.99996, 0.99998), strict=True):
        run["test"]["f1_score"] = value
    label, shown, interval = tiles(study, verdict(study))[0]
    assert (label, shown) == ("test f1 score", "99.997%")
    assert interval.startswith("99.98% to 100.00%")


def test_articles() -> None:
    words = ("accuracy", "validation loss", "f1 score", "mse", "loss", "test auc", "auc")
    articles = [article(word).split()[0] for word in words]
    assert articles == ["an", "a", "an", "an", "a", "a", "an"]


def test_ticks_are_told_apart() -> None:
    ticks = [116.01e6 + 2e3 * i for i in range(6)]
    assert len(set(map(compact, ticks))) == 1  # what they were
    assert distinct(ticks)[:2] == ["116.01 M", "116.012 M"]
    assert distinct([1e3, 2e3, 999_999.0]) == ["1 k", "2 k", "1 M"]


def test_what_is_a_proportion_is_known_by_name() -> None:
    assert all(map(is_proportion, ("val_accuracy", "auc_1", "val_precision_2", "f1_score")))
    assert not any(map(is_proportion, ("val_loss", "mean_absolute_error", "score", "r2_score")))
    assert is_share_of_images("val_binary_accuracy")
    assert not is_share_of_images("val_auc")


@pytest.fixture(scope="module")
def loss(tmp_path_factory: pytest.TempPathFactory) -> Study:
    plan = Synthetic(24, name="loss", objective=LOSS, loss_scale=1e-6, diverged=1.8e14)
    return load_study(write_study(tmp_path_factory.mktemp("runs"), plan))


def test_a_loss_is_reported_as_one(loss: Study) -> None:
    answer = verdict(loss)
    said = verdict_sentence(loss, answer)
    assert answer.test_metric == "loss"
    assert re.search(r"with a validation loss of 1\.\d+e-07;", said)
    assert re.search(r"reaches a test loss of 1\.\d+e-07 \(95 % interval", said)
    assert tiles(loss, answer)[0][0] == "test loss"
    assert "%" not in tiles(loss, answer)[0][1]
    for text in (study_text(loss), study_html(loss), str(best_trials(loss)), str(finalists(loss))):
        assert "e-07" in text
        assert "0.0000" not in text
    assert "test loss" in study_html(loss)
    assert list(finalists(loss).columns[2:5]) == ["validation loss", "test loss", "test accuracy"]
    assert "e-07" in studies_table(loss.folder.parent)
    assert ("test loss, mean with 95 % interval") in [answer for _, _, answer in checklist(loss)]


@pytest.mark.parametrize(
    ("objective", "seeds", "wanted"),
    [
        (LOSS, 1, ("partly", "test loss: one training, no interval")),
        (LOSS, 2, ("yes", "test loss, mean with 95 % interval")),
        (F1, 1, ("partly", "test f1 score: one training, no interval")),
        (("val_accuracy", "max"), 1, ("yes", "test accuracy, mean with 95 % interval")),
        (LOSS, 0, ("no", "no test score")),
    ],
)
def test_the_checklist_has_an_interval_where_the_verdict_has_one(
    objective: tuple[str, str], seeds: int, wanted: tuple[str, str], tmp_path: Path
) -> None:
    plan = Synthetic(4, name="checked", objective=objective, num_seeds=seeds)
    study = load_study(write_study(tmp_path, plan))
    answers = {item: (answer, said) for item, answer, said in checklist(study)}
    assert answers["Measure and statistics used to report results"] == wanted
    said = verdict_sentence(study, verdict(study))
    assert ("95 % interval" in said) == (wanted[0] == "yes")


def test_health_takes_a_loss_for_no_proportion(loss: Study) -> None:
    said = " | ".join(finding.title for finding in health(loss))
    assert "by the luck of seeds)" in said or "as good as the best" not in said
    assert "images alone" not in said
    assert " less" not in said.replace("no less", "")


@pytest.mark.slow
def test_a_loss_that_diverged_flattens_no_figure(loss: Study) -> None:
    from matplotlib.figure import Figure

    for name in ("progress", "responses", "learning_curves", "tradeoffs", "architecture"):
        module, figure = figures()[name], Figure()
        module.draw(module.info(loss), figure.subplots())
        drawn = [ax for ax in figure.axes if ax.get_visible() and ax.has_data()]
        if name == "learning_curves":  # training losses are millions of times these
            assert "log" in [ax.get_yscale() for ax in drawn]
            continue
        notes = [t.get_text() for ax in drawn for t in ax.texts]
        assert "1 of 23 values beyond" in notes, name
        assert min(ax.get_ylim()[1] for ax in drawn) < 1e-6, name
    losses = 10.0 ** np.random.default_rng(0).uniform(-3, 3, 30)
    ax = Figure().subplots()
    assert scale_scores(ax, losses, "val_loss", "min")
    assert (ax.get_yscale(), list(ax.texts)) == ("log", [])
    assert not scale_scores(ax, [0.1, 0.97, 0.98, 0.98], "val_accuracy", "max")
    errors = -losses  # of a metric such as R²
    assert far_worse(np.array([0.9, 0.8, 0.85, 0.7, -1e5]), "max").tolist() == [False] * 4 + [True]
    assert scale_scores(Figure().subplots(), errors, "val_r2_score", "max")
    contour = figures()["contour"].info(loss)
    assert 0 <= contour.surface.min() < contour.surface.max() <= 1
    assert contour.surface.max() > contour.surface.min() + 0.1
    module, figure = figures()["parallel_coordinates"], Figure()
    module.draw(module.info(loss), figure.subplots())
    assert "share of trials beaten" in [ax.get_ylabel() for ax in figure.axes]


def test_f1_is_what_was_asked_and_what_is_shown(tmp_path: Path) -> None:
    plan = Synthetic(8, name="f1", objective=F1, test_accuracy=0.9)
    study = load_study(write_study(tmp_path, plan))
    answer = verdict(study)
    wanted = [run["test"]["f1_score"] for run in study.finalists[0]["runs"]]
    assert answer.test_metric == "f1_score"
    assert answer.tests[0][1].mean == pytest.approx(sum(wanted) / 3)
    assert tiles(study, answer)[0][0] == "test f1 score"
    assert tiles(study, answer)[0][1].endswith("%")
    assert "a test f1 score of" in verdict_sentence(study, answer)


def test_only_what_counts_images_has_an_interval_over_images(tmp_path: Path) -> None:
    scores, is_right = (0.95, 0.96), np.ones((2, 200), dtype=bool)
    assert estimate(scores, 200, "balanced_accuracy", is_right).kind == "seeds"
    assert estimate(scores, 200, "sparse_top_k_categorical_accuracy").kind == "both"
    folder = write_study(tmp_path, Synthetic(8, num_seeds=2))
    path = folder / "artifacts" / "finalists.json"
    records = json.loads(path.read_text())
    for run, value in zip(records[0]["runs"], scores, strict=True):
        run["test"]["balanced_accuracy"] = value
    path.write_text(json.dumps(records))
    [finalist] = (study := load_study(folder)).finalists
    assert estimate_of(study, finalist, "balanced_accuracy").kind == "seeds"
    assert estimate_of(study, finalist, "accuracy").kind == "both"


@pytest.mark.parametrize("seeds", [1, 3])
def test_an_f1_score_has_an_interval_over_images_where_predictions_are_kept(
    seeds: int, tmp_path: Path
) -> None:
    plan = Synthetic(8, objective=F1, num_seeds=seeds, test_accuracy=0.9, seed=4)
    study = load_study(write_study(tmp_path, plan))
    [finalist], rng = study.finalists, np.random.default_rng(0)
    labels = rng.integers(0, plan.num_classes, plan.num_test)
    wrong = rng.random((seeds, plan.num_test)) < 0.1
    predicted = np.where(wrong, (labels + 1) % plan.num_classes, labels)
    trial = finalist["trial_id"]
    np.savez(
        study.folder / "artifacts" / "finalists.npz",
        labels=labels, **{f"seeds_{trial}": np.arange(seeds), f"predicted_{trial}": predicted},
    )  # fmt: skip
    for seed, (run, row) in enumerate(zip(finalist["runs"], predicted, strict=True)):
        f1 = macro_f1(labels, row)
        run |= {"seed": seed, "test": {"accuracy": float((row == labels).mean()), "f1_score": f1}}
    path = study.folder / "artifacts" / "finalists.json"
    path.write_text(json.dumps([finalist]))
    study = load_study(study.folder)
    found = estimate_of(study, study.finalists[0], "f1_score")
    assert found.kind == ("both" if seeds > 1 else "rows")
    assert found.mean == pytest.approx(np.mean([r["test"]["f1_score"] for r in finalist["runs"]]))
    accuracy = estimate_of(study, study.finalists[0], "accuracy")
    assert 0.3 < (found.high - found.low) / (accuracy.high - accuracy.low) < 1.5


def macro_f1(labels: Any, predicted: Any) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predicted, average="macro", zero_division=0))


@pytest.mark.parametrize("metric", ["f1_score", "auc", "loss"])
def test_equal_trainings_have_no_interval_instead_of_one_without_width(
    metric: str, tmp_path: Path
) -> None:
    assert not estimate([1.0, 1.0, 1.0], 200, metric).has_interval
    study = load_study(write_study(tmp_path, Synthetic(8, objective=F1)))
    for run in study.finalists[0]["runs"]:
        run["test"]["f1_score"] = 1.0
    said = verdict_sentence(study, verdict(study))
    assert "of 1.0000 (3 equal trainings on 200 test images: no interval)" in said


def test_an_f1_score_has_no_interval_above_1(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(8, objective=F1, num_seeds=2))
    path = folder / "artifacts" / "finalists.json"
    records = json.loads(path.read_text())
    for run, value in zip(records[0]["runs"], (0.96, 0.97), strict=True):
        run["test"]["f1_score"] = value
    path.write_text(json.dumps(records))
    study = load_study(folder)
    answer = verdict(study)
    assert tiles(study, answer)[0][1:] == ("96.50%", "90.15% to 100.00%, 2 seeds")
    assert "interval 0.9015 to 1" in verdict_sentence(study, answer)
    assert "1.02" not in verdict_sentence(study, answer)


def test_the_end_of_a_search_names_the_metric_that_was_asked_for(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(8, name="f1", objective=F1))
    runs = load_study(folder).finalists[0]["runs"]
    mean = sum(run["test"]["f1_score"] for run in runs) / len(runs)
    line = f", test f1 score {score(mean)} of 3 trainings (95 % interval "
    assert winner_on_test_words(load_study(folder)).startswith(line)
    folder = write_study(tmp_path, Synthetic(8, name="accuracy"))
    found = winner_on_test_words(load_study(folder))
    assert re.match(r", test accuracy 0\.\d{4} of 3 trainings \(95 % interval ", found)


def test_runs_without_accuracy_are_usable(tmp_path: Path) -> None:
    plan = Synthetic(8, name="other", objective=LOSS, without_accuracy=True)
    study = load_study(write_study(tmp_path, plan))
    assert (study.problems, len(study.finalists[0]["runs"])) == ((), 3)
    assert verdict(study).test_metric == "loss"
    assert "test accuracy" not in finalists(study)
    confirmed = study.folder / "artifacts" / "confirmed" / "default.json"
    confirmed.parent.mkdir()
    runs = [dict(run, seed=index + 9) for index, run in enumerate(study.finalists[0]["runs"])]
    confirmed.write_text(json.dumps([{"trial_id": "default", "runs": runs}]))
    assert verdict(load_study(study.folder)).gain is None


def test_a_loss_that_was_not_confirmed_is_expected_to_be_higher(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, Synthetic(4, objective=LOSS, num_seeds=0)))
    assert verdict_sentence(study, verdict(study)).endswith("so expect a higher one there.")


def test_curves_are_of_what_was_recorded(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(5, name="regression", objective=LOSS))
    for path in folder.glob("trial_*/result.json"):
        record = json.loads(path.read_text())
        for execution in record["executions"]:
            for name in ("accuracy", "val_accuracy"):
                del execution["history"][name]
        path.write_text(json.dumps(record))
    module = figures()["learning_curves"]
    info = module.info(load_study(folder))
    assert info.metrics == ("loss",)
    assert "ended with loss 0." in module.finding(info)


def test_perfect_scores_ask_for_nothing(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(30, name="perfect", num_failed=0))
    for path in folder.glob("trial_*/result.json"):
        record = json.loads(path.read_text()) | {"score": 1.0}
        path.write_text(json.dumps(record))
    said = " | ".join(f.title for f in health(load_study(folder)))
    assert "30 trials are enough" in said
    assert "are few" not in said
