"""Health checks: silent on noise, and seeing what they are there to see."""

import json
import math
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.believing import health as simulated
from reports import load_study
from reports.analysis.health import health
from reports.analysis.health.found import noise_of
from reports.analysis.shared import scores_of
from reports.figures import figures
from reports.statistics.noise import Noise, pooled
from reports.statistics.spans import one_group_p, span_p
from reports.statistics.trend import mean_above_zero_p, trend_p
from tests.reports.synthetic import Synthetic, write_study


def test_rates_hold_on_seeds_that_were_not_tuned_on() -> None:
    rng = np.random.default_rng(77)
    found = [
        *simulated.improving(rng, 150), *simulated.failures(rng, 150),
        *simulated.ties(rng, 150), *simulated.idle(rng, 60),
    ]  # fmt: skip
    assert [row for row in found if not row.holds] == []


def test_a_trend_is_spearman_where_there_is_one_group() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random(60), rng.random(60)
    reference = stats.spearmanr(stats.rankdata(x), y, alternative="greater").pvalue
    ours = trend_p(stats.rankdata(x), y, np.zeros(60, dtype=np.int64))
    assert ours == pytest.approx(reference, abs=0.01)
    assert math.isnan(trend_p(np.ones(5), y[:5], np.zeros(5, dtype=np.int64)))


def test_a_mean_above_zero_against_scipy() -> None:
    values = np.random.default_rng(1).standard_normal(7)
    reference = stats.ttest_1samp(values, 0, alternative="greater").pvalue
    assert mean_above_zero_p(values) == pytest.approx(reference)


def test_spans_by_counting_all_choices() -> None:
    choices = list(combinations(range(9), 3))
    for count in (3, 5, 9):
        share = np.mean([max(c) - min(c) + 1 <= count for c in choices])
        assert span_p(count, 9, 3) == pytest.approx(share)
    kinds = "aaabbbbcc"
    same = [len({kinds[i] for i in c}) == 1 and kinds[c[0]] != "b" for c in choices]
    assert one_group_p([3, 4, 2], 3, 3) == pytest.approx(np.mean(same))


def test_noise_is_pooled_within_networks() -> None:
    deviation, degrees = pooled([[0.9, 0.92], [0.5, 0.5, 0.53], [0.7]])
    squares = 2 * 0.01**2 + 2 * 0.01**2 + 0.02**2
    assert (deviation, degrees) == (pytest.approx(math.sqrt(squares / 3)), 3)
    both = Noise(0.03, 0.04, 5.0)
    assert both.deviation == pytest.approx(0.05)
    assert both.total_degrees == pytest.approx(5 * (5 / 4) ** 4)
    assert Noise(0.01, math.nan, 0.0).apart() == pytest.approx(1.96 * math.sqrt(2) * 0.01, rel=0.01)
    rng = np.random.default_rng(3)
    gaps = np.abs(np.diff(rng.normal(0, 0.01, (20_000, 2)), axis=1))
    assert np.mean(gaps > Noise(0.01, math.nan, 0.0).apart()) == pytest.approx(0.05, abs=0.005)


def rewrite(folder: Path, change: object) -> None:
    for path in sorted(folder.glob("trial_*/result.json")):
        record = json.loads(path.read_text())
        if record["executions"]:
            change(record)  # type: ignore[operator]
            path.write_text(json.dumps(record))


def titles(folder: Path) -> str:
    return " | ".join(finding.title for finding in health(load_study(folder)))


def test_a_gap_between_training_and_validation_is_overfitting(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(12, name="gap"))

    def memorized(record: dict) -> None:  # type: ignore[type-arg]
        history = record["executions"][0]["history"]
        epochs = len(history["val_accuracy"])
        history |= {"accuracy": [1.0] * epochs, "val_accuracy": [0.8] * epochs}
        history |= {"loss": [0.0] * epochs, "val_loss": [0.7] * epochs}
        record["score"] = 0.8

    rewrite(folder, memorized)
    said = titles(folder)
    assert "accuracy 1.0000 on training images, 0.8000 on validation images" in said
    assert "does not overfit" not in said


def test_that_nothing_overfits_is_not_said_of_few_images(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(12, name="few"))
    record = json.loads((folder / "study.json").read_text())
    record["dataset"]["counts"]["validation"] = 20
    (folder / "study.json").write_text(json.dumps(record))
    assert "overfit" not in titles(folder)


def test_flat_curves_and_scores_say_nothing(tmp_path: Path) -> None:
    rng, spoken = np.random.default_rng(5), 0
    folder = write_study(tmp_path, Synthetic(20, name="flat", num_epochs=8, num_failed=0))

    def flat(record: dict) -> None:  # type: ignore[type-arg]
        history = record["executions"][0]["history"]
        for name in ("val_accuracy", "accuracy", "val_loss", "loss"):
            history[name] = (0.9 + 0.01 * rng.standard_normal(8)).tolist()
        record["score"] = max(history["val_accuracy"])

    for _ in range(12):
        rewrite(folder, flat)
        said = titles(folder)
        wrong = ("end of the range", "still improving", "overfits", "are few")
        spoken += sum(word in said for word in wrong)
    assert spoken <= 5  # of 48 chances at 5 % each


def test_curves_that_an_earlier_limit_cut_were_not_ended_by_patience(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(12, name="cut", num_epochs=5))
    assert "still improving at their last epoch" in titles(folder)
    rewrite(folder, lambda record: record.update(asked={"epochs": 5}))
    path = folder / "study.json"
    record = json.loads(path.read_text())
    record["config"]["max_epochs"] = 20  # by `resume`, without another trial
    path.write_text(json.dumps(record))
    said = titles(folder)
    assert "still improving at their last epoch" in said
    assert "had stopped improving" not in said


def test_a_choice_that_always_fails_is_named(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(24, num_failed=6))
    for number in range(24):
        path = folder / f"trial_{number:02}" / "trial.json"
        record = json.loads(path.read_text())
        record["hyperparameters"]["values"]["batch_norm"] = number >= 18  # no other has ended well
        path.write_text(json.dumps(record))
    [advice] = [f.advice for f in health(load_study(folder)) if "failed with cause" in f.title]
    assert advice.endswith("all of them have batch norm yes")


def test_close_knows_the_luck_of_seeds(tmp_path: Path) -> None:
    plan = Synthetic(12, name="seeds", num_failed=0)
    folder = write_study(tmp_path, plan)
    assert "by the luck of seeds and images" in titles(folder)
    path = folder / "artifacts" / "finalists.json"
    records = json.loads(path.read_text())
    for run, value in zip(records[0]["runs"], (0.7, 0.9, 0.8), strict=True):
        run["score"] = value
    path.write_text(json.dumps(records))
    assert "12 trials are as good as the best but for luck" in titles(folder)
    study = json.loads((folder / "study.json").read_text())
    study["config"]["seeds"] = 4
    (folder / "study.json").write_text(json.dumps(study))
    advised = [f.advice for f in health(load_study(folder)) if "but for luck" in f.title]
    assert advised == ["confirm more of them over seeds: --confirm 5 --seeds 4"]
    ranking = records[0]["runs"]
    others = [{"trial_id": f"{i:02}", "runs": [], "ranking": ranking} for i in range(4)]
    path.write_text(json.dumps([*records, *others]))  # five were confirmed
    assert "but for luck (" not in titles(folder)


def test_stopping_is_judged_from_twenty_trials_on(tmp_path: Path) -> None:
    module = figures()["early_stopping"]
    few = load_study(write_study(tmp_path, Synthetic(12, name="few")))
    assert "can't be said of 11 trials: 20 are needed" in module.finding(module.info(few))
    many = load_study(write_study(tmp_path, Synthetic(40, name="many")))
    said = module.finding(module.info(many))
    assert "would have kept the best trial, and 8 of the best 8" in said
    assert "95 % interval" in said


@pytest.mark.parametrize(
    ("flat", "words"),
    [
        (1, r".* \(rank correlation -?0\.\d\d, 95 % interval -?0\.\d\d to .* after epoch 2\)"),
        (4, "Whether early scores tell the final ones can't be said: they don't vary."),
    ],
)
def test_equal_early_scores_have_no_correlation(flat: int, words: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = write_study(tmp_path, Synthetic(30, name="equal", num_failed=0))

    def equal(record: dict) -> None:  # type: ignore[type-arg]
        curve = [0.1] * flat + (0.2 + 0.1 * rng.random(5 - flat)).tolist()
        record["executions"][0]["history"]["val_accuracy"] = curve
        record["score"] = max(curve)

    rewrite(folder, equal)
    module = figures()["early_stopping"]
    assert re.match(words, module.finding(module.info(load_study(folder))))


def test_the_picture_claims_no_pooling_that_the_network_lacks(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    folder, module = write_study(tmp_path, Synthetic(6, name="bare")), figures()["network"]
    path = folder / "artifacts" / "model.json"
    record, drawn = json.loads(path.read_text()), []
    for kinds in (["Conv2D"], ["Conv2D", "MaxPooling2D"]):
        record["layers"] = [dict(record["layers"][0], kind=kind) for kind in kinds]
        path.write_text(json.dumps(record))
        info, figure = module.info(load_study(folder)), Figure()
        ax = module.draw(info, figure.subplots())
        drawn.append((module.finding(info), " ".join(t.get_text() for t in ax.texts)))
    assert "no pooling follows" in drawn[0][0]
    assert "pooling" not in drawn[0][1]
    assert "2x2 max pooling into 4x4" in drawn[1][0]
    assert "2x2\nmax pooling" in drawn[1][1]


def test_trials_that_continue_each_other_leave_no_best_to_measure(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(2, num_failed=0))
    for number in (0, 1):
        for name in ("trial.json", "result.json"):
            path = folder / f"trial_{number}" / name
            record = json.loads(path.read_text())
            values = {"tuner/trial_id": str(1 - number), "tuner/initial_epoch": 1}
            if name == "trial.json":
                record["hyperparameters"]["values"] |= values
            path.write_text(json.dumps(record | {"initial_epoch": 1}))
    study = load_study(folder)
    assert (len(study.completed), len(scores_of(study))) == (2, 0)
    assert math.isnan(noise_of(study).images)
    assert health(study)


@pytest.mark.parametrize(
    ("objective", "images"), [("val_accuracy", 250), ("val_f1_score", 10), ("val_auc", None)]
)
def test_the_noise_of_images_counts_what_the_metric_counts(
    objective: str, images: int | None, tmp_path: Path
) -> None:
    plan = Synthetic(4, num_classes=2, class_names=["common", "rare"])
    folder = write_study(tmp_path, plan)
    record = json.loads((folder / "study.json").read_text())
    record["objective"]["name"] = objective
    record["dataset"]["per_class"] = {"validation": [240, 10]}
    (folder / "study.json").write_text(json.dumps(record))
    study = load_study(folder)
    best, found = float(scores_of(study)[0]), noise_of(study).images
    if images is None:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(max(math.sqrt(best * (1 - best) / images), 1 / images))


def test_what_more_epochs_bring_is_no_luck_of_seeds(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(4, num_seeds=0, num_epochs=6))
    how = [{"max_epochs": epochs, "patience": None} for epochs in (3, 3, 6, 6)]
    scores = (0.7, 0.702, 0.9, 0.902)
    runs = [
        {"seed": i, "score": score, "how": of, "test": {"accuracy": score}, "test_size": 200,
         "history": {"val_accuracy": [score] * of["max_epochs"]}}
        for i, (score, of) in enumerate(zip(scores, how, strict=True))
    ]  # fmt: skip
    path = folder / "artifacts" / "confirmed" / "0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps([{"trial_id": "0", "runs": runs}]))
    study = load_study(folder)
    assert len(study.confirmed[0]["runs"]) == 4
    assert noise_of(study).seeds == pytest.approx(0.002 / math.sqrt(2))


def ended_by_patience(folder: Path, count: int, slope: float) -> str:
    """Lets patience end `count` of the best eight trials; the others rise by `slope` an epoch."""
    best = [str(i) for i in load_study(folder).completed["trial_id"]][:8]
    rng = np.random.default_rng(0)
    for place, trial_id in enumerate(best):
        path = folder / f"trial_{trial_id}" / "result.json"
        record = json.loads(path.read_text())
        execution = record["executions"][0]
        epochs = 8 if place < count else 20
        curve = 0.5 + slope * np.arange(epochs) + 0.001 * rng.standard_normal(epochs)
        execution["history"] = {"val_accuracy": curve.tolist()}
        execution["epoch_seconds"] = [1.0] * epochs
        path.write_text(json.dumps(record))
    return titles(folder)


def test_trials_that_ran_to_the_limit_are_tested_whatever_patience_ended(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(9, name="some", num_epochs=20))
    study = json.loads((folder / "study.json").read_text())
    study["config"]["patience"] = 3
    (folder / "study.json").write_text(json.dumps(study))
    said = ended_by_patience(folder, 4, 0.01)
    assert "4 of the best 8 trials were still improving at their last epoch" in said
    assert "had stopped improving" not in said
    said = ended_by_patience(folder, 5, 0.0)
    assert "patience ended 5 of the best 8 trials: they had stopped improving" in said
    assert "show no gain" not in said
    said = ended_by_patience(folder, 2, 0.0)
    assert "6 of the best 8 trials show no gain above the noise, and patience ended 2" in said
    study["config"]["patience"] = None  # a fit of one's own may train fewer epochs, too
    (folder / "study.json").write_text(json.dumps(study))
    assert "had stopped improving" not in ended_by_patience(folder, 5, 0.0)


def test_no_gap_is_no_points_and_not_less(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(12, name="below"))

    def below(record: dict) -> None:  # type: ignore[type-arg]
        history = record["executions"][0]["history"]
        history["accuracy"] = [value - 0.2 for value in history["val_accuracy"]]

    rewrite(folder, below)
    said = titles(folder)
    assert "the validation losses of the best trials did not turn up, and the best of them" in said
    assert "is no better on training images than on validation: no overfitting" in said
    assert "points better" not in said
