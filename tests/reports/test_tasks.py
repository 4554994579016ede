"""Reports of tasks other than one class an image: regression, several labels, several outputs."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from experiments.record.errors import UserError
from experiments.record.predictions import read_finalists_outputs
from reports import Study, load_study, write_report
from reports.analysis.comparison.arms import arms_of_studies
from reports.analysis.comparison.decide import compare
from reports.analysis.health import health
from reports.analysis.label_scores import LabelScore
from reports.analysis.numbers import Numbers, fits, numbers
from reports.analysis.verdict import estimate_of, verdict
from reports.analysis.verdict_words import tiles, verdict_sentence
from reports.figures import figures
from reports.page.card_tests import errors_part
from reports.page.comparison import comparison_text, write_comparison
from reports.page.sections import can_have, sections_of
from reports.page.tables import label_table, metrics_table, target_fits, worst_predictions
from reports.page.terminal import study_text
from reports.statistics.estimates import accuracy, over_draws, over_examples, wilson
from tests.reports.synthetic import Synthetic, write_study
from tests.stand_ins import drawn_alone

LOSS = ("val_loss", "min")
ROWS: dict[str, Any] = {"inputs": "arrays", "targets": "values", "target_shape": []}
REGRESSION = Synthetic(8, name="numbers", objective=LOSS, task="numbers", shape=(6,))
LABELS = Synthetic(
    8, name="labels", objective=LOSS, task="labels", num_outputs=3, shape=(6,)
)  # fmt: skip


def made(folder: Path, plan: Synthetic, **dataset: Any) -> Study:
    """Writes and loads a study of rows, with facts of its dataset."""
    path = write_study(folder, plan)
    record = json.loads((path / "study.json").read_text())
    record["dataset"] |= ROWS | {"targets": "labels" if plan.task == "labels" else "values"}
    record["dataset"] |= dataset
    (path / "study.json").write_text(json.dumps(record))
    return load_study(path)


def drawn(module: ModuleType, study: Study) -> Any:
    """Draws a figure of a study; returns its info and its visible axes."""
    from matplotlib.figure import Figure

    figure, info = Figure(), module.info(study)
    assert not isinstance(info, str), info
    module.draw(info, figure.subplots())
    return info, [ax for ax in figure.axes if ax.get_visible() and ax.has_data()]


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return made(tmp_path_factory.mktemp("runs"), REGRESSION)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return made(tmp_path_factory.mktemp("runs"), LABELS, class_names=["red", "large", "old"])


def test_a_regression_leads_with_its_own_test_value_and_interval(regression: Study) -> None:
    answer = verdict(regression)
    test = answer.tests[0][1]
    losses = [run["test"]["loss"] for run in regression.finalists[0]["runs"]]
    assert (answer.test_metric, test.kind) == ("loss", "both")
    assert test.mean == pytest.approx(np.mean(losses))
    assert test.low < min(losses) < max(losses) < test.high
    said = verdict_sentence(regression, answer)
    assert "of another training on other rows; from 200 test rows)." in said
    everything = " ".join([said, study_text(regression), *map(str, tiles(regression, answer))])
    assert not re.search(r"accuracy|image|%(?! interval)| points", everything.replace("95 %", ""))


def test_predicted_against_true_and_residuals(regression: Study) -> None:
    found = numbers(regression)
    assert not isinstance(found, str)
    (fit,) = fits(found)
    errors = found.outputs - found.targets
    assert fit.mae == pytest.approx(np.abs(errors).mean())
    assert fit.r2 == pytest.approx(
        1 - (errors**2).sum() / ((found.targets - found.targets.mean()) ** 2).sum()
    )
    module = figures()["predicted_true"]
    info, axes = drawn(module, regression)
    assert [ax.get_xlabel() for ax in axes] == ["true", "absolute error"]
    points = axes[0].collections[0].get_offsets()
    assert np.allclose(np.asarray(points), np.c_[found.targets, found.outputs])
    assert "predicted = true" in [t.get_text() for t in axes[0].get_legend().get_texts()]
    assert f"R² {fit.r2:.3f}" in module.finding(info)
    module = figures()["residuals"]
    info, axes = drawn(module, regression)
    assert [ax.get_xlabel() for ax in axes] == ["predicted - true", "predicted"]
    assert "not shown to be biased" in module.finding(info)


def test_wide_targets_have_logarithmic_axes_and_predictions_far_off_are_counted(
    tmp_path: Path,
) -> None:
    study = made(tmp_path, REGRESSION)
    rng = np.random.default_rng(0)
    true = np.exp(rng.normal(3, 2, (200, 1)))
    said = true * np.exp(rng.normal(0, 0.3, true.shape))
    said[3] = 1e9
    np.savez(study.folder / "artifacts" / "predictions.npz", targets=true, outputs=said)
    module = figures()["predicted_true"]
    info, axes = drawn(module, load_study(study.folder))
    assert (axes[0].get_xscale(), axes[0].get_yscale()) == ("log", "log")
    assert axes[0].get_ylim()[1] < 1e7
    assert axes[0].get_title(loc="right") == "n = 200 test rows; 1 beyond"
    ticks = [axes[0].xaxis.get_major_formatter().format_ticks([0.1, 10, 1e4])]
    assert ticks == [["0.1", "10", "10 k"]]
    assert "nothing of the variance (R² below 0)" in module.finding(info)


def test_biased_and_growing_errors_are_told(tmp_path: Path) -> None:
    study = made(tmp_path, REGRESSION)
    true = np.linspace(0, 10, 200)[:, None]
    said = true + 1 + true * np.random.default_rng(0).normal(0, 0.2, true.shape)
    np.savez(study.folder / "artifacts" / "predictions.npz", targets=true, outputs=said)
    module = figures()["residuals"]
    finding = module.finding(module.info(load_study(study.folder)))
    assert "too high on average" in finding
    assert "errors are larger where more is predicted" in finding


def test_the_worst_cases_are_the_largest_errors(regression: Study) -> None:
    table, found = worst_predictions(regression), numbers(regression)
    assert not isinstance(found, str)
    worst = int(np.abs(found.errors[:, 0]).argmax())
    assert list(table.columns) == ["row", "true", "predicted", "error"]
    assert (table["row"].iloc[0], len(table)) == (str(worst), 12)
    assert table["error"].iloc[0] == f"{found.errors[worst, 0]:+.4f}"


def test_of_many_targets_four_are_drawn_and_all_are_in_the_table(tmp_path: Path) -> None:
    study = made(tmp_path, replace(REGRESSION, num_outputs=6))
    module = figures()["predicted_true"]
    info, axes = drawn(module, study)
    assert len(axes) == 4
    assert "2 further targets are not drawn" in module.finding(info)
    assert list(target_fits(study)["target"]) == [f"target {index}" for index in range(6)]
    assert "target" in worst_predictions(study)
    _, axes = drawn(figures()["residuals"], study)
    assert len(axes) == 8


def test_a_model_no_better_than_the_median_is_a_problem(tmp_path: Path) -> None:
    study = made(tmp_path, replace(REGRESSION, error=1.2))
    said = verdict_sentence(study, verdict(study))
    assert re.search(
        r"no better than always saying the median by mean absolute error \(0\.\d+ against 0\.\d+\)",
        said,
    )
    assert any(
        "always saying the median" in f.title and f.level == "problem" for f in health(study)
    )


@pytest.mark.usefixtures("without_drawing")
def test_outputs_that_are_no_numbers_are_said_to_be_none(tmp_path: Path) -> None:
    study = made(tmp_path, REGRESSION)
    path = study.folder / "artifacts" / "predictions.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, targets=arrays["targets"], outputs=np.full_like(arrays["outputs"], np.nan))
    page = write_report(study.folder).read_text()
    assert "does not give a finite number for every test row" in page
    path.write_bytes(b"damage")
    assert "The recorded predictions are damaged" in write_report(study.folder).read_text()


@pytest.mark.slow
def test_what_a_task_cannot_have_is_left_out(
    regression: Study, labels: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    for study, wanted in ((regression, "predicted_true"), (labels, "labels")):
        if study is labels:  # the other figures are those of a regression
            monkeypatch.setattr("reports.figures._render.render", drawn_alone("labels"))
        page = write_report(study).read_text()
        assert f'data-name="{wanted}"' in page
        for absent in ("Confusion matrix", "Calibration", "Worst mistakes", "Filters and feature"):
            assert absent not in page
        text = re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.DOTALL)
        assert not re.search(r"\bimages?\b", re.sub(r"<[^>]*>", " ", text))


def test_sections_and_figures_fit_the_task(regression: Study, labels: Study) -> None:
    titles = [section.title for section in sections_of(regression, frozenset())]
    assert {"Errors", "The network"} <= set(titles)
    assert not {"Mistakes", "What the network sees", "Model card"} & set(titles)
    assert "Mistakes" in [section.title for section in sections_of(labels, frozenset())]
    assert not any(can_have(name, labels) for name in ("confusion", "calibration", "mistakes"))
    questions = " ".join(s.question for s in sections_of(regression, frozenset()))
    assert not re.search("image|higher", questions)


def test_labels_have_precision_recall_and_f1_with_counts(labels: Study) -> None:
    table = label_table(labels)
    assert list(table["label"]) == ["red", "large", "old", "all labels together"]
    with np.load(labels.folder / "artifacts" / "predictions.npz") as stored:
        targets, said = stored["targets"] > 0, stored["probabilities"] >= 0.5
    right = int((targets & said)[:, 1].sum())
    assert list(table.iloc[1][["have it", "said to", "right"]]) == [
        str(targets[:, 1].sum()), str(said[:, 1].sum()), str(right)
    ]  # fmt: skip
    assert float(table.iloc[1]["precision"]) == pytest.approx(right / said[:, 1].sum(), abs=1e-4)
    module = figures()["labels"]
    info, axes = drawn(module, labels)
    assert len(axes) == 2
    whole = int((targets == said).all(axis=1).sum())
    assert f"every label is right of {whole} of 200 test rows" in module.finding(info)
    assert figures()["confusion"].info(labels) == "The exported model does not predict classes."


def test_several_outputs_have_their_metrics_in_a_table(tmp_path: Path) -> None:
    alone = load_study(write_study(tmp_path, Synthetic(6, name="one")))
    assert metrics_table(alone).empty
    study = load_study(write_study(tmp_path, Synthetic(6, name="two", outputs=("kind", "size"))))
    best = study.completed.iloc[0]
    assert f"{best['score']:.4f}" in list(metrics_table(study)["validation"])


@pytest.mark.parametrize(
    ("metrics", "layers", "outputs"),
    [
        ((), (), None),  # parts of one loss, as of a VAE
        (("kind_mae",), (), None),
        (("kind_mae", "size_mae"), (), ["all", "all", "kind", "kind", "size", "size"]),
        ((), ("kind", "size"), ["all", "all", "kind", "size"]),
    ],
)
def test_losses_alone_are_of_outputs_where_layers_have_their_names(
    metrics: tuple[str, ...], layers: tuple[str, ...], outputs: list[str] | None, tmp_path: Path
) -> None:
    folder = write_study(tmp_path, Synthetic(6, name="two", outputs=("kind", "size")))
    for path in folder.glob("trial_*/result.json"):
        record = json.loads(path.read_text())
        for execution in record["executions"]:
            history = execution["history"]
            history |= dict.fromkeys(metrics, history["loss"])
        path.write_text(json.dumps(record))
    path = folder / "artifacts" / "model.json"
    named = [{"name": name, "kind": "Dense"} for name in layers]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"layers": named}))
    table = metrics_table(load_study(folder))
    assert outputs == (list(table["output"]) if "output" in table else None)
    assert list(table.columns)[-3:] == ["training", "validation", "test"]
    assert "size loss" in list(table["metric"]) or outputs


def test_a_diverged_curve_lies_beyond_the_axis_and_is_counted(tmp_path: Path) -> None:
    plan = replace(REGRESSION, num_trials=20, diverged=1e9)
    module = figures()["learning_curves"]
    info, axes = drawn(module, made(tmp_path, plan))
    assert info.metrics == ("loss", "mae")
    assert axes[0].get_ylim()[1] < 10
    assert axes[0].get_title(loc="left") == "1 curve beyond"
    assert "ended with loss" in module.finding(info)


def test_means_of_choices_and_importance_leave_out_what_diverged(tmp_path: Path) -> None:
    study = made(tmp_path, replace(REGRESSION, num_trials=24, diverged=1e9))
    module = figures()["architecture"]
    assert "1 far worse is left out of means" in module.finding(module.info(study))
    assert "e+0" not in module.finding(module.info(study))
    module = figures()["importance"]
    assert "variance of ranks" in module.finding(module.info(study))


def test_the_interval_of_a_loss_covers_another_training_on_other_rows() -> None:
    rng, found = np.random.default_rng(0), []
    for _ in range(300):
        level = 1 + rng.normal(0, 0.05, 4)  # of three trainings, and of the one to come
        rows = level[:3, None] * rng.exponential(size=60)[None] + rng.normal(0, 0.1, (3, 60))
        estimate = over_examples(rows)
        to_come = level[3] * rng.exponential(size=100_000).mean()
        found.append(estimate.low <= to_come <= estimate.high)
    assert 0.88 <= np.mean(found) <= 0.99
    assert over_examples(rng.exponential(size=(1, 50))).kind == "rows"
    assert over_examples(np.full((2, 9), 0.0)).high == 0


def test_the_interval_of_a_loss_holds_where_a_few_rows_are_large() -> None:
    rng, hits, plain = np.random.default_rng(2), 0, 0
    for _ in range(150):
        rows = rng.standard_t(5, (1, 100)) ** 2
        found, without = (
            over_examples(rows),
            over_draws(rows.mean(axis=1), rows.var(ddof=1) / 100, 100),
        )
        hits += found.low <= 5 / 3 <= found.high
        plain += without.low <= 5 / 3 <= without.high
    assert hits >= max(0.88 * 150, plain + 5)  # of 400 draws 93 %, by Student's t alone 87 %


def test_the_interval_of_a_loss_reaches_further_up_than_down() -> None:
    rows = np.r_[np.full(95, 0.1), np.full(5, 4.0)][None]
    found = over_examples(rows)
    assert found.high - found.mean > 1.3 * (found.mean - found.low)
    assert over_examples(rows - 1).high - over_examples(rows - 1).mean < found.high - found.mean


@pytest.mark.parametrize(
    "alike", [[0.1] * 50, [0.3] * 200, [-math.log(1 - 1e-7)] * 500, [0.2, 0.200001]]
)
def test_rows_that_are_drawn_alike_say_nothing_of_the_interval(alike: list[float]) -> None:
    rows = np.array([[*alike, 5.0]])
    found = over_examples(rows)
    assert found.high <= found.mean + 10.001 * rows.std(ddof=1) / math.sqrt(rows.size)


def test_no_interval_of_a_loss_ends_below_0() -> None:
    rows = np.zeros((3, 25_000))
    rows[1, :9] = 50.0
    found = over_examples(rows)
    assert found.low == 0 < found.mean < found.high


@pytest.mark.parametrize("num_labels", [1, 3])
@pytest.mark.parametrize("seeds", [1, 3])
def test_labels_that_are_all_right_have_an_interval_with_a_width(
    seeds: int, num_labels: int, tmp_path: Path
) -> None:
    plan = replace(LABELS, num_outputs=num_labels, num_seeds=seeds, num_test=50, error=0.01)
    study = made(tmp_path, replace(plan, objective=("val_accuracy", "max")))
    [finalist] = study.finalists
    assert [run["test"]["binary_accuracy"] for run in finalist["runs"]] == [1.0] * seeds
    found = estimate_of(study, finalist, "binary_accuracy")
    assert (found.kind, found.mean, found.high) == ("both", 1, 1)
    assert found.low <= wilson(50, 50)[0]
    wrong = replace(plan, name="wrong", error=0.3)
    [finalist] = (study := made(tmp_path, wrong)).finalists
    found = estimate_of(study, finalist, "binary_accuracy")
    assert 0 < found.low < found.mean < found.high <= 1


@pytest.mark.parametrize("name", ["f1_score", "auc", "recall", "r2_score"])
def test_a_score_beside_another_in_value_stays_itself(name: str, tmp_path: Path) -> None:
    study = made(tmp_path, replace(LABELS, num_outputs=3, num_test=2000, error=0.17))
    [finalist] = study.finalists
    for run in finalist["runs"]:  # as near as a micro F1 of .9966 is to an accuracy of .9979
        run["test"][name] = 0.9987 * run["test"]["binary_accuracy"]
    wanted = np.mean([run["test"][name] for run in finalist["runs"]])
    found = estimate_of(study, finalist, name)
    assert (found.mean, found.kind) == (pytest.approx(wanted), "seeds")
    assert estimate_of(study, finalist, "binary_accuracy").kind == "both"
    assert estimate_of(study, finalist, "loss").kind == "both"


@pytest.mark.parametrize("num_labels", [1, 3, 10])
@pytest.mark.parametrize("alike", [0.0, 0.95])  # share of labels that go wrong with their row
@pytest.mark.parametrize(("seeds", "true"), [(1, 0.99), (3, 0.99), (3, 0.98)])
def test_the_interval_of_right_labels_covers_the_share_on_other_rows(
    seeds: int, true: float, alike: float, num_labels: int
) -> None:
    rng, hits, size = np.random.default_rng(4), 0, (seeds, 50, num_labels)
    for _ in range(100):
        own, row = rng.random(size) < true, rng.random((1, 50, 1)) < true
        rows = np.where(rng.random(size) < alike, row, own).mean(axis=2)
        found = accuracy(rows.mean(axis=1), 50, rows)
        hits += found.low <= true <= found.high
    assert hits >= 90


def _squares(outputs: Any, targets: Any) -> Any:
    return ((outputs - targets) ** 2).mean(axis=(1, 2))


_OF_OUTPUTS = {
    "square": _squares,
    "size": lambda outputs, targets: np.abs(outputs - targets).mean(axis=(1, 2)),
    "root": lambda outputs, targets: np.sqrt(_squares(outputs, targets)),
    "crossentropy": lambda outputs, targets: (
        -np.log(np.where(targets > 0.5, outputs, 1 - outputs)).mean(axis=(1, 2))
    ),
}


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("mse", "square"), ("MSE", "square"), ("MeanSquaredError", "square"),
        ("mae", "size"), ("mean_absolute_error", "size"), ("fehler", "size"),
        ("RMSE", "root"), ("root_mean_squared_error_1", "root"), ("abweichung", "root"),
        ("bce", "crossentropy"), ("BinaryCrossentropy", "crossentropy"),
        ("entropy", "crossentropy"),
    ],
)  # fmt: skip
def test_a_mean_over_rows_has_its_interval_by_any_of_its_names(
    name: str, score: str, tmp_path: Path
) -> None:
    study = made(tmp_path, replace(LABELS, num_outputs=3, num_test=200))
    [finalist] = study.finalists
    targets, outputs = read_finalists_outputs(study.folder)
    kept = outputs[finalist["trial_id"]]
    said = np.stack([kept[run["seed"]] for run in finalist["runs"]]).astype(float)
    for run, value in zip(finalist["runs"], _OF_OUTPUTS[score](said, targets), strict=True):
        run["test"][name] = float(value)
    found = estimate_of(study, finalist, name)
    assert (found.kind, found.has_interval) == ("both", True)
    for run in finalist["runs"]:  # now of another metric that is near
        run["test"]["nearly"] = run["test"][name] * 1.0005
    assert estimate_of(study, finalist, "nearly").kind == "seeds"


def test_class_weights_are_on_the_page(tmp_path: Path) -> None:
    from reports.analysis.facts import facts

    folder = write_study(tmp_path, Synthetic(4, name="weighed"))
    record = json.loads((folder / "study.json").read_text())
    assert "class weights" not in dict(facts(load_study(folder)))
    record["config"]["class_weight"] = "balanced"
    record["class_weights"] = [2.5, 0.5, 1.0]
    (folder / "study.json").write_text(json.dumps(record))
    said = dict(facts(load_study(folder)))["class weights"]
    assert said.startswith("balanced: class 1 0.5, class 2 1, class 0 2.5; ")


def test_classes_of_rows_are_not_called_images(tmp_path: Path) -> None:
    plan = Synthetic(8, name="rows", shape=(6,), num_classes=3)
    study = made(tmp_path, plan, targets="classes")
    for name in ("confusion", "calibration"):
        module = figures()[name]
        info, axes = drawn(module, study)
        texts = [module.finding(info)]
        texts += [t.get_text() for ax in axes for t in ax.texts]
        texts += [label for ax in axes for label in (ax.get_xlabel(), ax.get_ylabel())]
        assert any("rows" in text for text in texts), name
        assert not any("image" in text for text in texts), name
    part = errors_part(study)
    assert "test rows" in str(part)
    assert "image" not in str(part)


def test_rows_that_are_compared_are_not_called_images(tmp_path: Path) -> None:
    plans = [Synthetic(8, name=n, shape=(6,), seed=i) for i, n in enumerate(("one", "two"))]
    found = compare(arms_of_studies([made(tmp_path, p, targets="classes") for p in plans]))
    page = write_comparison(found).read_text(encoding="utf-8")
    assert page.count("What a budget finds") == 1
    text = re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.DOTALL)
    for said in (re.sub(r"<[^>]*>", " ", text), comparison_text(found)):
        assert re.search(r"\brows\b", said)
        assert not re.search(r"\bimages?\b", said, flags=re.IGNORECASE)
    plans = [replace(plan, name=f"other {plan.name}") for plan in plans]
    other = [made(tmp_path, p, targets="classes", fingerprint=p.name) for p in plans]
    with pytest.raises(UserError, match="scores on different rows can't be compared"):
        arms_of_studies(other)


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("plan", [REGRESSION, LABELS])
def test_what_has_no_classes_is_not_called_untested(plan: Synthetic, tmp_path: Path) -> None:
    for name in ("one", "two"):
        made(tmp_path, replace(plan, name=name))
    answer = CliRunner().invoke(main, ["compare", "one", "two", "--runs-dir", str(tmp_path)])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.startswith("No verdict: study 'one' has no classes: ")
    assert "no test accuracy" in answer.stdout
    page = Path(answer.stdout.rsplit("comparison: ")[1].strip()).read_text(encoding="utf-8")
    assert "Study 'one' has no classes: " in page.replace("&#39;", "'")
    for text in (answer.stdout, page):
        assert "--seeds" not in text
        assert "not tested" not in text
        assert "No arm was tested" not in text


def test_labels_that_no_row_has_are_left_out_first(labels: Study) -> None:
    module = figures()["labels"]
    info = module.info(labels)
    some = tuple(LabelScore(f"label {i}", 10, 10, i % 10) for i in range(45))
    none = tuple(LabelScore(f"unused {i}", 0, 0, 0) for i in range(50))
    study = replace(labels)
    study.memory["reports.analysis.label_scores.label_scores"] = replace(
        info.scores, labels=some + none
    )
    found = module.info(study)
    assert len(found.shown) == 40
    assert not any(label.name.startswith("unused") for label in found.shown)
    assert module.finding(found).endswith(
        " Not drawn, but in the table: 50 that no row has or is said to have, and the best 5."
    )


def test_of_many_targets_without_a_bias_none_is_called_biased() -> None:
    module, rng = figures()["residuals"], np.random.default_rng(2)
    called = 0
    for _ in range(100):
        targets = rng.normal(size=(60, 20))
        found = Numbers(
            "row", tuple(f"target {i}" for i in range(20)), targets,
            targets + rng.normal(size=targets.shape),
        )  # fmt: skip
        info = module.Info(found, tuple(fits(found)), ((0.0, 1.0),) * 20)
        called += "are biased on average" in module.finding(info)
    assert called <= 10
