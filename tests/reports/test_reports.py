"""Reports: frames, verdict, figures, the page."""

import base64
import csv
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from experiments.config import SearchConfig, load_toml
from experiments.record.formatting import duration, shortened
from experiments.studies.next_search import write_next
from reports import Study, load_study, write_report
from reports.analysis.facts import facts
from reports.analysis.health import health
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import verdict_sentence
from reports.figures import figures
from reports.figures._render import picture, render
from reports.page.embedded import trials_json
from reports.page.report import environment
from reports.page.sections import SECTIONS
from tests.reports.synthetic import Synthetic, write_study
from tests.reports.test_browser import CHROMIUM
from tests.reports.test_overview import begin


@pytest.fixture(scope="module")
def study(study_folder: Path) -> Study:
    return load_study(study_folder)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Study:
    plan = Synthetic(40, name="synthetic", num_failed=3)
    return load_study(write_study(tmp_path_factory.mktemp("runs"), plan))


def test_frames_hold_trials_and_epochs(study: Study) -> None:
    assert list(study.trials["status"]) == ["completed"] * 3
    assert study.trials["score"].between(0, 1).all()
    best = study.epochs.groupby("trial_id")["val_accuracy"].max()
    assert best.to_dict() == pytest.approx(study.trials.set_index("trial_id")["score"].to_dict())
    blocks = study.trials.set_index("trial_id")["conv_blocks"]
    for index in range(4):
        used = study.trials.set_index("trial_id")[f"filters_{index}"].notna()
        assert used.equals(blocks > index)


def test_reports_never_import_keras(study_folder: Path, tmp_path: Path) -> None:
    """That no file of theirs names it, drawing ones included, is checked by import-linter."""
    copy = shutil.copytree(study_folder, tmp_path / "small")
    code = (
        "import sys\nimport reports.figures._render as drawing\nfrom reports import write_report\n"
        "drawing.render = lambda *_: ('<svg></svg>', ())\n"
        f"write_report({str(copy)!r})\n"
        "print(sorted({'keras', 'tensorflow', 'keras_tuner'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_verdict_gives_tests_with_intervals(study: Study) -> None:
    answer = verdict(study)
    assert answer.trial_id == study.finalists[0]["trial_id"]
    assert [test.count for _, test in answer.tests] == [2]  # of two finalists the winner alone
    for _, test in answer.tests:
        assert test.low <= test.mean <= test.high


@pytest.mark.slow
def test_every_figure_draws_on_given_axes(synthetic: Study) -> None:
    from matplotlib.figure import Figure

    elsewhere = ("race", "expected_by_choice", "predicted_true", "residuals", "labels", "bases")
    elsewhere += ("what_bases_see",)
    for name, module in figures().items():
        if name in elsewhere:  # see test_race.py, test_networks.py, test_tasks.py, test_bases.py
            continue
        info = module.info(synthetic)
        assert not isinstance(info, str), f"{name}: {info}"
        figure = Figure()
        before = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        assert module.draw(info, before) is before
        assert module.finding(info).endswith((".", ")"))
        assert len(figure.axes) >= 1


def test_figures_change_no_global_setting(synthetic: Study) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    picture(synthetic, "progress", figures()["progress"])
    assert dict(mpl.rcParams) == before


def test_progress_is_the_running_best(study: Study) -> None:
    info = figures()["progress"].info(study)
    assert info.best == tuple(np.maximum.accumulate(info.scores))
    assert all(minutes >= 0 for minutes in info.minutes)


def test_axes_are_in_the_scale_of_the_hyperparameter(synthetic: Study) -> None:
    from matplotlib.figure import Figure

    module, figure = figures()["responses"], Figure()
    module.draw(module.info(synthetic), figure.subplots())
    scales = {ax.get_xlabel(): ax.get_xscale() for ax in figure.axes}
    assert scales["learning rate"] == "log"
    assert scales["dropout"] == "linear"


@pytest.mark.slow
def test_trials_stopped_early_are_shown(synthetic: Study) -> None:
    from matplotlib.figure import Figure

    trials = synthetic.trials.copy()
    stopped = list(trials.index[trials["status"] == "completed"][:4])
    trials.loc[stopped, "status"] = "pruned"
    pruned = replace(synthetic, trials=trials)
    module, figure = figures()["responses"], Figure()
    info = module.info(pruned)
    module.draw(info, figure.subplots())
    assert "4 networks were stopped early" in module.finding(info)
    rate = next(panel for panel in info.panels if panel.name == "learning_rate")
    assert list(rate.pruned) == pytest.approx(list(trials.loc[stopped, "learning_rate"]))
    low, high = figure.axes[1].get_ylim()  # ticks at the bottom leave the scale as it is
    scores = pruned.completed["score"]
    assert low > scores.min() - np.ptp(scores)
    assert high < scores.max() + np.ptp(scores)
    curves = figures()["learning_curves"].info(pruned)
    assert list(curves.pruned) == list(trials.loc[stopped, "trial_id"])
    assert all((trial, "val_accuracy") in curves.curves for trial in curves.pruned)
    assert "(4 stopped early)" in verdict_sentence(pruned, verdict(pruned))


def test_a_promoted_trial_is_said_to_run_its_own_epochs(synthetic: Study) -> None:
    module = figures()["learning_curves"]
    assert "ran 5 epochs" in module.finding(module.info(synthetic))
    epochs = synthetic.epochs.assign(epoch=synthetic.epochs["epoch"] + 4)
    promoted = replace(synthetic, read_epochs=lambda _: epochs)
    assert "ran epochs 5 to 9 and ended" in module.finding(module.info(promoted))


def test_workers_of_a_resumed_search_are_counted_once(synthetic: Study) -> None:
    names = [f"worker {i % 2} (process {100 + i})" for i in range(len(synthetic.trials))]
    resumed = replace(synthetic, trials=synthetic.trials.assign(worker=names))
    module = figures()["workers"]
    assert module.info(resumed).workers == ("worker 0", "worker 1")
    assert module.finding(module.info(resumed)).startswith("2 workers spent")


def test_commands_in_findings_are_shown_as_code() -> None:
    template = environment().from_string("{{ said | code }}")
    assert template.render(said="<b> run `a <i>`") == "&lt;b&gt; run <code>a &lt;i&gt;</code>"


def test_what_matters_comes_first(synthetic: Study) -> None:
    assert figures()["importance"].info(synthetic).importances[0].name == "learning_rate"
    assert figures()["parallel_coordinates"].info(synthetic).axes[0][0] == "learning_rate"
    contour = figures()["contour"].info(synthetic)
    assert contour.axes[0].name == "learning_rate"


def test_there_is_nothing_between_whole_numbers(synthetic: Study) -> None:
    # Scores follow the step size and, less, the number of blocks: 1, 2 or 3.
    blocks = synthetic.trials["conv_blocks"]
    scores = np.log10(synthetic.trials["learning_rate"]) + 0.3 * blocks
    module = figures()["contour"]
    contour = module.info(replace(synthetic, trials=synthetic.trials.assign(score=scores)))
    assert {axis.name for axis in contour.axes} == {"learning_rate", "conv_blocks"}
    assert contour.axes[1].name == "conv_blocks"
    assert contour.surface.shape[0] == 3
    assert [contour.axes[1].text_of(unit) for unit in contour.y] == ["1", "2", "3"]
    assert "and conv blocks = 3 (" in module.finding(contour)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["max", "average"], ["max", "average"]),
        (["block_16_expand", "block_6_expand"], ["block_16_…", "block_6_e…"]),
        (["Solanum_tuberosum_blight", "Solanum_tuberosum_healthy"], ["Solan…ight", "Solan…lthy"]),
        (["expanded_conv_11_expand", "expanded_conv_3_expand"], ["…11…", "…3…"]),
    ],
)
def test_short_names_can_be_told_apart(names: list[str], shown: list[str]) -> None:
    assert shortened(names, 10) == shown


def test_isolation_is_the_best_at_each_value(synthetic: Study) -> None:
    panels = figures()["responses"].info(synthetic).panels
    pooling = next(panel for panel in panels if panel.name == "pooling")
    best = synthetic.completed.groupby("pooling")["score"].max()
    assert dict(
        zip([pooling.labels[int(x)] for x in pooling.best_x], pooling.best_y, strict=True)
    ) == (pytest.approx(best.to_dict()))


def test_marks_lie_where_trials_are_drawn(synthetic: Study) -> None:
    module = figures()["tradeoffs"]
    svg, marks = render("tradeoffs", module, module.info(synthetic))
    numbers = {mark[0] for mark in marks}
    assert numbers == set(synthetic.completed["number"])
    width, height = (float(part) for part in svg.split('viewBox="0 0 ')[1].split('"')[0].split())
    assert all(0 <= m[1] <= width and 0 <= m[2] <= height for m in marks)


def test_confusion_counts_every_test_image(study: Study) -> None:
    counts = figures()["confusion"].info(study).counts
    assert counts.sum() == study.record["dataset"]["counts"]["test"]
    exported = study.finalists[0]["runs"][study.finalists[0]["exported_run"]]
    assert np.trace(counts) / counts.sum() == pytest.approx(exported["test"]["accuracy"], abs=1e-6)


def test_page_is_whole_and_tables_lie_beside_it(study: Study) -> None:
    page = study.folder / "report/index.html"  # as the search wrote it
    text = page.read_text(encoding="utf-8")
    positions = [text.index(f'<section id="{section.id}"') for section in SECTIONS]
    assert positions == sorted(positions)
    for section in SECTIONS:
        assert section.question in text
    for outside in ('src="http', 'href="http', "@import", "can't be made of this record"):
        assert outside not in text
    beside = {p.name for p in page.parent.iterdir()}
    assert {"trials.csv", "epochs.csv", "best.csv", "figures"} <= beside
    assert {p.stem for p in (page.parent / "figures").iterdir()} <= set(figures())


def test_same_study_same_bytes_wherever_it_lies(synthetic: Study, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / synthetic.folder.name
    shutil.copytree(synthetic.folder, copy)
    first = write_report(load_study(synthetic.folder)).read_bytes()
    assert len(first) < 3e6
    assert write_report(load_study(copy)).read_bytes() == first


@pytest.mark.usefixtures("without_drawing")
def test_data_inside_the_page_is_the_studys(synthetic: Study) -> None:
    text = write_report(synthetic).read_text(encoding="utf-8")
    embedded = json.loads(text.split('id="trials">')[1].split("</script>")[0])
    columns = embedded["trials"]["columns"]
    rows = [dict(zip(columns, row, strict=True)) for row in embedded["trials"]["rows"]]
    assert [row["trial_id"] for row in rows] == list(synthetic.trials["trial_id"])
    link = text.split('download="trials.csv" href="')[1].split('"')[0]
    table = base64.b64decode(link.split(",")[1]).decode()
    mappings = ["step_seconds", "kept_parts"]  # of which a cell holds no single value
    written = pd.read_csv(io.StringIO(table), dtype={"trial_id": str})
    expected = io.StringIO(synthetic.trials.drop(columns=mappings).to_csv(index=False))
    pd.testing.assert_frame_equal(
        written, pd.read_csv(expected, dtype={"trial_id": str}), check_dtype=False
    )
    with_gaps = [c for c, hp in synthetic.hyperparameters.items() if hp["kind"] == "Int"]
    assert with_gaps
    cells = list(csv.DictReader(io.StringIO(table)))
    for column in ("epochs", *with_gaps):
        assert {row[column].strip("0123456789") for row in cells} == {""}, column


def test_gain_over_the_default_needs_the_default(synthetic: Study, tmp_path: Path) -> None:
    assert verdict(synthetic).gain is None
    copy = tmp_path / synthetic.folder.name
    shutil.copytree(synthetic.folder, copy)
    runs = [{"seed": i, "score": 0.8, "test": {"accuracy": a}, "test_size": 200}
            for i, a in enumerate((0.80, 0.82, 0.81))]  # fmt: skip
    (copy / "artifacts" / "confirmed").mkdir()
    path = copy / "artifacts" / "confirmed" / "default.json"
    path.write_text(json.dumps([{"trial_id": "default", "runs": runs}]))
    gain = verdict(load_study(copy)).gain
    assert gain is not None
    best = np.mean([r["test"]["accuracy"] for r in synthetic.finalists[0]["runs"]])
    assert gain.estimate.mean == pytest.approx(best - 0.81, abs=1 / 200)  # whole images
    assert gain.estimate.low < gain.estimate.mean < gain.estimate.high


def test_health_sees_what_is_wrong_and_next_does_it(tmp_path: Path) -> None:
    write_study(tmp_path, Synthetic(12, name="ill", num_failed=5, num_seeds=1))
    found = health(load_study(tmp_path / "ill"))
    said = " | ".join(f.title for f in found)
    assert "5 of 12 trials (42%) failed with cause nan" in said
    assert "were still improving at their last epoch" in said
    assert "tested with one training" in said
    assert found[0].level == "problem"
    path = write_next(load_study(tmp_path / "ill"), tmp_path / "next.toml")
    config = SearchConfig(**load_toml(path))
    assert (config.max_epochs, config.seeds) == (10, 3)
    assert config.max_trials > 12
    assert config.space == "mnist_cnn"


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_a_study_that_still_runs_is_reported(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(8, name="going", num_seeds=0))
    record = json.loads((folder / "study.json").read_text())
    del record["ended"], record["search_ended"]
    (folder / "study.json").write_text(json.dumps(record))
    (folder / "trial_7" / "result.json").unlink()
    state = json.loads((folder / "trial_7" / "trial.json").read_text()) | {"status": "RUNNING"}
    (folder / "trial_7" / "trial.json").write_text(json.dumps(state))
    begin(folder)
    study = load_study(folder)
    assert study.running
    text = study.report().read_text(encoding="utf-8")
    assert "still running when this was written" in text
    assert "1 not ended" in text


@pytest.mark.usefixtures("without_drawing")
def test_an_interrupted_study_is_not_said_to_run(tmp_path: Path) -> None:
    session = {"started": 1.0, "stopped": 2.0, "ended_by": "interrupted"}
    folder = write_study(tmp_path, Synthetic(8, changes={"sessions": [session]}))
    found = {f.title: f.advice for f in health(load_study(folder))}
    advice = found["the search was interrupted (0 trials not ended)"]
    assert advice == "go on with it: `experiments resume synthetic`"
    text = write_report(folder).read_text(encoding="utf-8")
    assert "interrupted before it ended" in text
    assert "still running" not in text
    assert "go on with it: <code>experiments resume synthetic</code>" in text


def test_a_pause_after_a_killed_session_is_no_time_spent(synthetic: Study) -> None:
    ends = synthetic.trials["ended"]
    start = ends.max() + 86_400
    sessions = [{"started": ends.iloc[0] - 9}, {"started": start, "ended": start + 60}]

    def took(sessions: list[dict[str, float]]) -> str:
        record = synthetic.record | {"sessions": sessions}
        return dict(facts(replace(synthetic, record=record)))["took"]

    expected = duration(float(ends.max() - ends.iloc[0] + 69))
    said = ", those that were killed up to the end of their last trial"
    assert took(sessions) == f"{expected} in 2 sessions{said}"
    sessions[0]["started"] = ends.max() + 1  # killed before a trial had ended
    assert took(sessions) == "not known: of 2 sessions 1 had no end"


def test_trials_in_the_page_keep_small_numbers(synthetic: Study) -> None:
    times = [1_700_000_009.25, *synthetic.trials["ended"][1:]]
    trials = synthetic.trials.assign(score=3.456789e-8, ended=times)
    embedded = json.loads(trials_json(replace(synthetic, trials=trials)))["trials"]
    row = dict(zip(embedded["columns"], embedded["rows"][0], strict=True))
    assert (row["score"], row["ended"]) == (3.456789e-8, times[0])


def test_a_study_shows_itself_in_a_notebook(synthetic: Study) -> None:
    html = synthetic._repr_html_()
    assert "<table" in html
    assert synthetic.completed.iloc[0]["trial_id"] in html


@pytest.mark.skipif(CHROMIUM is not None, reason="the test of its table in a browser looks, too")
def test_a_report_of_many_trials_is_small(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(400, name="s", num_epochs=8, num_failed=2))
    assert write_report(folder).stat().st_size < 8e6


@pytest.mark.usefixtures("without_drawing")
def test_a_project_of_plain_keras_tuner_is_reported(tmp_path: Path) -> None:
    def build_model(hp: keras_tuner.HyperParameters) -> keras.Model:
        layers = [keras.layers.Flatten(), keras.layers.Dense(hp.Int("units", 2, 64), "relu")]
        model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(2)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-4, 1e-2)), loss, run_eagerly=True)
        return model

    tuner = keras_tuner.RandomSearch(
        build_model,
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
    assert 'id="learning-curves"' not in text  # it records no epochs
    assert study.end_order
    # A second project, still going on: the states that plain Keras Tuner leaves.
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "plain", other)
    state = json.loads((other / "trial_1" / "trial.json").read_text())
    state |= {"status": "RUNNING", "score": None, "metrics": {"metrics": {}}}
    (other / "trial_1" / "trial.json").write_text(json.dumps(state))
    assert list(load_study(other).trials["status"]) == ["completed", "running"]
    arguments = ["compare", "plain", "other", "--runs-dir", str(tmp_path)]
    compared = CliRunner().invoke(main, arguments)
    assert compared.exit_code == 0, compared.output
    assert compared.stdout.startswith("No verdict: plain and other were not tested")
    assert "not recorded" in compared.stdout


def test_figures_are_written_as_png_too(study: Study) -> None:
    from reports.figures._png import write_pngs

    written = write_pngs(study)
    assert len(written) >= 8
    for path in written:
        assert path.read_bytes().startswith(b"\x89PNG")
