"""Reports: frames, verdict, figures, the page."""

import subprocess
import sys
from pathlib import Path

import keras_tuner
import numpy as np
import pytest

from reports import Study, load_study, write_report
from reports.figures import figures
from reports.summary import estimate, verdict
from search_spaces.mnist_cnn import MnistCnn

SECTIONS = (
    "verdict", "progress", "best-trials", "learning_curves", "hyperparameters",
    "parallel_coordinates", "architecture", "confusion", "mistakes", "predictions", "network",
    "model", "failed-trials", "all-trials", "how-it-was-run",
)  # fmt: skip


@pytest.fixture(scope="module")
def study(study_folder: Path) -> Study:
    return load_study(study_folder)


def test_frames_hold_trials_and_epochs(study: Study) -> None:
    assert list(study.trials["status"]) == ["completed"] * 3
    assert study.trials["score"].between(0, 1).all()
    best = study.epochs.groupby("trial_id")["val_accuracy"].max()
    assert best.to_dict() == pytest.approx(study.trials.set_index("trial_id")["score"].to_dict())
    blocks = study.trials.set_index("trial_id")["conv_blocks"]
    for index in range(4):
        used = study.trials.set_index("trial_id")[f"filters_{index}"].notna()
        assert used.equals(blocks > index)


def test_reports_never_import_keras(study_folder: Path) -> None:
    code = (
        "import sys\nfrom reports import write_report\n"
        f"write_report({str(study_folder)!r})\n"
        "print(sorted({'keras', 'tensorflow', 'keras_tuner'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_verdict_gives_tests_with_intervals(study: Study) -> None:
    answer = verdict(study)
    assert answer.trial_id == study.completed.iloc[0]["trial_id"]
    assert [test.count for _, test in answer.tests] == [2, 2]
    for _, test in answer.tests:
        assert test.low <= test.mean <= test.high


def test_intervals_against_known_values() -> None:
    # Wilson interval of 95 of 100, and Student's t of three scores, by their formulas.
    one = estimate([0.95], 100)
    assert (one.low, one.high) == (
        pytest.approx(0.88825, abs=1e-4),
        pytest.approx(0.97846, abs=1e-4),
    )
    three = estimate([0.90, 0.92, 0.94], 1000)
    half = 4.302653 * 0.02 / np.sqrt(3)
    assert (three.low, three.high) == (pytest.approx(0.92 - half), pytest.approx(0.92 + half))


@pytest.mark.parametrize("name", list(figures()))
def test_every_figure_draws(name: str, study: Study) -> None:
    import matplotlib.pyplot as plt

    module = figures()[name]
    info = module.info(study)
    assert not isinstance(info, str), info
    figure = module.draw(info)
    assert figure.axes
    plt.close(figure)


def test_progress_is_the_running_best(study: Study) -> None:
    info = figures()["progress"].info(study)
    assert info.best == tuple(np.maximum.accumulate(info.scores))
    assert all(minutes >= 0 for minutes in info.minutes)


def test_axes_are_in_the_scale_of_the_hyperparameter(study: Study) -> None:
    import matplotlib.pyplot as plt

    module = figures()["hyperparameters"]
    figure = module.draw(module.info(study))
    scales = {ax.get_xlabel(): ax.get_xscale() for ax in figure.axes}
    plt.close(figure)
    assert scales["learning rate"] == "log"
    assert scales["dropout"] == "linear"


def test_confusion_counts_every_test_image(study: Study) -> None:
    counts = figures()["confusion"].info(study).counts
    assert counts.sum() == study.record["dataset"]["counts"]["test"]
    exported = study.finalists[0]["runs"][study.finalists[0]["exported_run"]]
    assert np.trace(counts) / counts.sum() == pytest.approx(exported["test"]["accuracy"], abs=1e-6)


def test_page_is_whole_and_tables_lie_beside_it(study: Study, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for section in SECTIONS:
        assert f'<section id="{section}">' in text
    for outside in ('src="http', 'href="http', "<script", "@import", "url("):
        assert outside not in text
    beside = {p.name for p in page.parent.iterdir()}
    assert {"trials.csv", "epochs.csv", "best_trials.csv", "figures"} <= beside
    for name in figures():
        assert (page.parent / "figures" / f"{name}.svg").is_file()


def test_same_study_same_page(study: Study, page: Path) -> None:
    first = page.read_bytes()
    assert write_report(study).read_bytes() == first


def test_a_project_of_plain_keras_tuner_is_reported(tmp_path: Path) -> None:
    tuner = keras_tuner.RandomSearch(
        MnistCnn((8, 8, 1), 2),
        objective="val_loss",
        max_trials=2,
        directory=tmp_path,
        project_name="plain",
    )
    x, y = np.zeros((16, 8, 8, 1), "uint8"), np.arange(16) % 2
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    study = load_study(tmp_path / "plain")
    assert (study.objective, study.direction) == ("val_loss", "min")
    best = tuner.oracle.get_best_trials(1)[0]
    assert study.completed.iloc[0]["trial_id"] == best.trial_id
    text = write_report(study).read_text()
    assert "plain Keras Tuner" in text
    assert "No epochs are recorded." in text
