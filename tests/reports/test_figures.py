"""What figures say and show in cases that one study alone does not have."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from experiments.record.formatting import text
from reports import Study, load_study
from reports.analysis.comparison.arms import arms_by, arms_of_searches
from reports.analysis.comparison.decide import compare
from reports.analysis.comparison.words import verdict
from reports.analysis.front_words import exchange
from reports.analysis.study_front import study_front
from reports.analysis.verdict import study_argument
from reports.analysis.verdict import verdict as verdict_of
from reports.analysis.verdict_words import tiles
from reports.figures import _png, early_stopping, figures, parallel_coordinates
from reports.figures._choices import Group, grouped
from reports.figures._comparison import seed_points
from reports.figures._costs import scale_costs
from reports.figures._render import picture, render
from reports.figures._style import labels, scale_x
from reports.figures._wide import scale_scores
from reports.statistics.ablation import Ablation
from reports.statistics.calibration import calibration
from reports.statistics.expected import Expected
from reports.statistics.space import axis
from tests.reports.synthetic import SPACE, Synthetic, write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return load_study(write_study(tmp_path_factory.mktemp("runs"), Synthetic(40, num_failed=3)))


def without(study: Study, *names: str) -> Study:
    """Returns the study as if its best trial had not used some of its hyperparameters."""
    trials = study.trials.copy()
    trials.loc[trials["score"].idxmax(), list(names)] = np.nan
    return replace(study, trials=trials)


def test_the_best_trial_is_not_said_to_have_what_it_does_not_use(study: Study) -> None:
    module = figures()["responses"]
    panels = module.info(study).panels
    best = study.completed.iloc[0]
    assert panels[0].name == "learning_rate"
    assert panels[0].best == f"{best['learning_rate']:.3g}"
    found = module.info(without(study, "learning_rate"))
    panel = next(panel for panel in found.panels if panel.name == "learning_rate")
    assert panel.best == ""
    said = module.finding(found)
    assert said.startswith("The best trial has ")
    assert "learning rate" not in said
    assert said.endswith("Crosses there are those of 3 failed networks.")


def test_a_large_whole_number_is_written_out() -> None:
    hp = {"name": "n", "kind": "Int", "min_value": 32, "max_value": 2048, "sampling": "log"}
    column = axis(hp, [32, 1024, 2048])
    assert [column.text_of(unit) for unit in column.unit] == ["32", "1024", "2048"]


def test_trials_do_not_agree_in_what_they_do_not_use(study: Study) -> None:
    module = figures()["parallel_coordinates"]
    info = module.info(study)
    lines = info.lines.copy()
    lines[-4:-1, 1] = np.nan
    said = module.finding(replace(info, lines=lines))
    assert "(in all of them the same)" not in said
    assert info.axes[1][0].replace("_", " ") not in said


def test_untested_searches_are_not_said_to_be_tested(tmp_path: Path) -> None:
    plan: dict[str, Any] = {"further": (("val_f1_score", "max"),), "num_seeds": 0}
    names = ("one", "two", "three", "four")
    made = [
        load_study(write_study(tmp_path, Synthetic(6, name=name, seed=i, **plan)))
        for i, name in enumerate(names)
    ]
    said = verdict(compare(arms_of_searches({"a": made[:2], "b": made[2:]})))
    assert "f1 score" in said
    assert "on test" not in said


def test_points_of_searches_are_called_so(tmp_path: Path) -> None:
    made = [
        load_study(write_study(tmp_path, Synthetic(6, name=f"s{i}", seed=i, num_test=300)))
        for i in range(4)
    ]
    found = seed_points(compare(arms_of_searches({"a": made[:2], "b": made[2:]})))
    assert not isinstance(found, str)
    assert found.units == "searches"


@pytest.mark.parametrize(
    ("runs", "shown"),
    [
        ("runs", "synthetic"),
        ("My Runs", "synthetic --runs-dir 'My Runs'"),
        (None, "synthetic"),
    ],
)
def test_commands_name_the_study_as_a_shell_takes_it(
    runs: str | None, shown: str, study: Study
) -> None:
    record = study.record | {"config": study.record["config"] | {"runs_dir": runs}}
    assert study_argument(replace(study, record=record)) == shown


def test_what_trains_the_default_is_said_in_full(study: Study) -> None:
    def gain(of: Study) -> str:
        return next(t for t in tiles(of, verdict_of(of)) if t[0].startswith("gain"))[2]

    command = f"experiments compare {study_argument(study)} --default --seeds 5"
    assert gain(study).endswith(command)
    script = replace(study, record=study.record | {"script": {"file": "train.py"}})
    assert gain(script) == "the default was not trained"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"asked": {"epochs": 2}}, "the default was to have 2 epochs, the best trial 5"),
        ({"status": "failed", "score": None, "executions": []}, "the default failed"),
        ({"status": "pruned"}, "the default was stopped early"),
    ],
)
def test_a_default_without_a_comparable_score_is_said_to_be_one(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    folder = write_study(tmp_path, Synthetic(8, num_failed=0, num_seeds=0))
    default = str(load_study(folder).completed["trial_id"].iloc[-1])
    for path in folder.glob("trial_*/result.json"):
        asked: dict[str, Any] = {"asked": {"epochs": 5}}
        asked |= change if path.parent.name == f"trial_{default}" else {}
        path.write_text(json.dumps(json.loads(path.read_text()) | asked))
    path = folder / f"trial_{default}" / "trial.json"
    state = json.loads(path.read_text())
    state["hyperparameters"]["values"] = {hp["name"]: hp["default"] for hp in SPACE}
    path.write_text(json.dumps(state))
    found = load_study(folder)
    gain = next(t for t in tiles(found, verdict_of(found)) if t[0].startswith("gain"))
    command = f"experiments compare {study_argument(found)} --default --seeds 5"
    assert gain[1:] == ("unknown", f"{words}: {command}")


def test_names_of_axes_can_be_told_apart() -> None:
    names = [f"unfreeze_from_EfficientNetB{i}" for i in range(3)]
    assert len(set(labels(names, 22))) == 3


def test_many_long_values_can_be_told_apart(study: Study) -> None:
    names = [
        "MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "EfficientNetB0",
        "EfficientNetV2B0",
    ]  # fmt: skip
    groups = tuple(Group(n, (0.9, 0.8), (2 * i, 2 * i + 1), (True, True), 2, 0)
                   for i, n in enumerate(names))  # fmt: skip
    module = figures()["architecture"]
    info = replace(module.info(study), choices=(("base", groups),))
    svg, _ = render("architecture", module, info)
    assert all(f"{name}<" in svg for name in names)


def test_every_curve_is_drawn(study: Study) -> None:
    numbers = np.arange(1, 5)
    flat = np.full(4, 0.5)
    curve = Expected(numbers, flat, flat, flat, 30)
    module = figures()["expected_by_choice"]
    values = tuple((f"v{i}", curve) for i in range(8))
    svg, _ = render(
        "expected", module, module.Info("val_accuracy", "max", (("choice", values),), "")
    )
    assert all(f"v{i} (n = 30)" in svg for i in range(8))
    figure, ax = plt.subplots()
    module.draw(module.Info("val_accuracy", "max", (("choice", values),), ""), ax)
    lines = [line for each in figure.axes for line in each.get_lines()]
    plt.close(figure)
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == len(lines) == 8


def ticks(ruler: Any) -> list[str]:
    """Returns the labels that a ruler shows within its limits."""
    low, high = sorted(ruler.get_view_interval())
    places = ruler.get_majorticklocs()
    texts = ruler.get_major_formatter().format_ticks(places)
    return [t for t, place in zip(texts, places, strict=True) if low <= place <= high and t]


@pytest.mark.parametrize("costs", [[1.3e6, 8e6], [2_257_984.0, 2_259_300.0], [1e3, 1e6]])
def test_an_axis_of_costs_has_numbers_that_differ(costs: list[float]) -> None:
    figure, ax = plt.subplots()
    ax.plot(costs, [0, 1])
    scale_costs(ax, np.array(costs))
    shown = ticks(ax.xaxis)
    plt.close(figure)
    assert 2 <= len(shown) == len(set(shown)) <= 8


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("Int", 20, 30), ("Int", 2, 3), ("Int", 1000, 1010), ("Int", 5, 19), ("Int", 10, 40),
     ("Float", 0.0021, 0.0045), ("Float", 0.5, 0.501)],
)  # fmt: skip
def test_a_narrow_logarithmic_axis_has_numbers(kind: str, low: float, high: float) -> None:
    figure, ax = plt.subplots()
    ax.plot([low, high], [0, 1])
    scale_x(ax, {"kind": kind, "sampling": "log"}, [low, high])
    shown = ticks(ax.xaxis)
    plt.close(figure)
    assert 2 <= len(shown) == len(set(shown)) <= 8
    assert kind == "Float" or all(text.isdecimal() for text in shown)


@pytest.mark.parametrize("best", [0.02, 0.2])
def test_an_axis_of_wide_scores_has_numbers(best: float) -> None:
    figure, ax = plt.subplots()
    values = [*np.linspace(0.693, 0.694, 30), best]
    assert scale_scores(ax, values, "val_loss", "min")
    shown = ticks(ax.yaxis)
    plt.close(figure)
    assert 2 <= len(shown) == len(set(shown))


def test_a_sample_is_not_called_all(study: Study) -> None:
    module = figures()["importance"]
    info = replace(module.info(study), count=150, whole=2000, num_drawn=2000, fit=0.9)
    said = module.finding(info)
    assert "permutations of 600 of 2,000 networks" in said
    assert "By a model of 150 of 2,000 networks" in said
    few = replace(info, num_drawn=80)
    assert "most networks were proposed by" in module.finding(few)
    assert "By a model of all 37 networks" in module.finding(
        replace(info, count=37, whole=37, num_drawn=37)
    )


def test_a_network_with_more_loss_does_not_lose_loss(tmp_path: Path) -> None:
    plan = Synthetic(40, objective=("val_loss", "min"), further=(("params", "min"),))
    loaded = load_study(write_study(tmp_path, plan))
    found = study_front(loaded)
    best, small = found.front.members[0], found.front.members[-1]
    said = exchange(found, int(small), int(best))
    assert re.match(r"has [\d.]+ more validation loss for [\d.]+ times fewer parameters", said)


def test_a_figure_that_lacks_completed_trials_says_so(study: Study) -> None:
    tradeoffs, curves = figures()["tradeoffs"], figures()["learning_curves"]
    alone = replace(study, trials=study.trials[study.trials["number"] == 1])
    assert len(alone.completed) == 1
    assert tradeoffs.info(alone) == "Two completed trials are needed."
    stopped = replace(study, trials=study.trials.assign(status="pruned"))
    assert curves.info(stopped) == "No completed trial has recorded epochs."
    without_epochs = replace(study, read_epochs=lambda _: study.epochs[:0])
    assert curves.info(without_epochs) == "No epochs are recorded."


@pytest.mark.parametrize(
    ("cost", "scale", "words"),
    [
        ("seconds", 0.5, r"[\d.]+ s of training time against [\d.]+ s of the best, for "),
        ("seconds", 9000.0, r"[\d.]+ h of training time against [\d.]+ h of the best, for "),
        ("latency_ms", 0.5, r"[\d.]+ ms of latency against [\d.]+ ms of the best, for "),
        ("flops", 1e5, r"[\d.]+ [kM] FLOPs per image against [\d.]+ [kM] of the best, for "),
    ],
)
def test_the_knee_has_its_cost_with_a_unit(
    cost: str, scale: float, words: str, study: Study
) -> None:
    place = study.trials["number"].astype(float)  # the first costs least
    none = dict.fromkeys(("trainable_parameters", "flops", "latency_ms", "seconds"), np.nan)
    scores = (1 - 1 / place**2).where(study.trials["status"] == "completed")
    found = replace(
        study, trials=study.trials.assign(**(none | {"score": scores, cost: scale * place}))
    )
    module = figures()["tradeoffs"]
    assert re.search(words, module.finding(module.info(found)))


def test_combinations_that_the_space_has_not_are_neither_drawn_nor_recommended(
    study: Study,
) -> None:
    # A model that knows no condition predicts most for one block, and a wide second one.
    blocks, wide = study.trials["conv_blocks"], study.trials["filters_1"].fillna(32)
    failed = study.trials["status"] == "failed"
    scores = (0.03 * wide - 0.3 * blocks).where(~failed)
    found = replace(study, trials=study.trials.assign(score=scores))
    module = figures()["contour"]
    info = module.info(found)
    assert [axis.name for axis in info.axes] == ["filters_1", "conv_blocks"]
    assert [info.axes[1].text_of(unit) for unit in info.y] == ["1", "2", "3"]
    assert np.isnan(info.surface[0]).all()
    assert np.isfinite(info.surface[1:]).all()
    assert "conv blocks = 2 (" in module.finding(info)
    using = found.completed[found.completed["filters_1"].notna()]
    assert sorted(info.numbers) == sorted(using["number"])
    assert info.best is not None
    single = replace(found, trials=found.trials.assign(score=scores.where(blocks > 1, scores + 9)))
    assert module.info(single).best is None  # the best network has no second block
    figure, ax = plt.subplots()
    module.draw(info, ax)
    plt.close(figure)


def test_the_line_of_a_trial_runs_on_past_what_it_does_not_use(study: Study) -> None:
    module = figures()["parallel_coordinates"]
    info = module.info(study)
    lines = np.nan_to_num(info.lines, nan=0.5)
    lines[:, 1::2] = np.nan
    figure, ax = plt.subplots()
    module.draw(replace(info, lines=lines), ax)
    paths = next(c for c in ax.collections if isinstance(c, LineCollection)).get_paths()
    plt.close(figure)
    assert [len(path.vertices) for path in paths] == [3] * len(lines)
    assert all(np.isfinite(path.vertices).all() for path in paths)


def contrast(one: Any, other: Any) -> float:
    """Returns the ratio of two colours' luminances (WCAG 2.2): 1 to 21."""

    def luminance(color: Any) -> float:
        parts = np.array(to_rgb(color))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("direction", ["max", "min"])
def test_the_best_line_is_seen_on_both_papers_and_bright_as_in_the_surface(
    study: Study, direction: str
) -> None:
    module = figures()["parallel_coordinates"]
    info = replace(module.info(study), direction=direction)
    scores = np.sort(info.scores)
    info = replace(info, scores=scores if direction == "max" else scores[::-1])
    figure, ax = plt.subplots()
    module.draw(info, ax)
    lines = next(c for c in ax.collections if isinstance(c, LineCollection))
    worst, best = lines.get_colors()[0], lines.get_colors()[-1]
    plt.close(figure)
    assert min(contrast(best[:3], paper) for paper in ("#ffffff", "#171c23")) >= 3
    assert contrast(best[:3], "black") > 2 * contrast(worst[:3], "black")


def test_epochs_without_validation_keep_their_numbers(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, Synthetic(30, num_epochs=7, num_failed=0)))
    epochs = study.epochs.copy()
    validated = [name for name in epochs if name.startswith("val_")]
    epochs.loc[epochs["epoch"] % 2 == 1, validated] = np.nan  # validation_freq=2
    found = replace(study, read_epochs=lambda _: epochs)
    assert figures()["early_stopping"].info(found).epochs.tolist() == [2, 4]
    module = figures()["learning_curves"]
    said = module.finding(module.info(found))
    assert said.startswith("The best trial ran 7 epochs and had after epoch 6 accuracy 0.")
    assert "(+0.0200)" in said
    figure, ax = plt.subplots()
    module.draw(module.info(found), ax)
    lines = [line.get_ydata() for each in figure.axes for line in each.get_lines()]
    plt.close(figure)
    assert lines
    assert all(np.isfinite(values).all() for values in lines)


def test_what_an_ablation_predicts_is_named_and_most_is_more_than_half() -> None:
    module = figures()["ablation"]
    names = ("pooling", "dropout", "layers")

    def said(*scores: float) -> str:
        path = Ablation(names, scores, 0.5, 30)
        return module.finding(module.Info("share of trials beaten", "max", path, names))

    assert said(0.2, 0.6, 0.7, 0.8).startswith(
        "Predicted share of trials beaten: for the default 0.2000, for the best trial's values "
        "0.8000; most of it by pooling ("
    )
    assert "; the largest part by pooling (" in said(0.2, 0.45, 0.65, 0.8)
    assert "no gain in share of trials beaten from the default" in said(0.8, 0.7, 0.7, 0.6)


def test_an_axis_of_many_options_names_some_of_them(study: Study) -> None:
    module = figures()["responses"]
    info = module.info(study)
    options = tuple(f"option {i}" for i in range(45))
    panel = replace(info.panels[0], labels=options, x=np.arange(len(info.panels[0].x)) % 45)
    figure, ax = plt.subplots()
    module.draw(replace(info, panels=(panel,)), ax)
    shown = [ax for ax in figure.axes if ax.get_visible() and ax.has_data()]
    names = [label.get_text() for label in shown[0].get_xticklabels()]
    plt.close(figure)
    assert names == [f"option {i}" for i in range(0, 45, 3)]


def test_names_of_many_options_on_parallel_axes_lie_apart() -> None:
    options = [f"option {i}" for i in range(45)]
    hp = {"name": "base", "kind": "Choice", "values": options, "default": options[0]}
    shown = parallel_coordinates._ticks(axis(hp, options))
    places = [place for place, _ in shown]
    assert 8 <= len(shown) <= 10
    assert min(np.diff(places)) > 0.08
    assert all(label == options[round(44 * place)] for place, label in shown)


def test_a_figure_that_fails_is_left_out_of_the_pngs_and_named(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Study) -> None:
        raise AttributeError("no score")

    known = figures()
    failing = SimpleNamespace(TITLE="Fails", info=fail)
    monkeypatch.setattr(_png, "figures", lambda: {"failing": failing, "race": known["race"],
                                                  "ablation": known["ablation"]})  # fmt: skip
    said: list[str] = []
    written = _png.write_pngs(replace(study, folder=tmp_path), complain=said.append)
    assert [path.name for path in written] == ["ablation.png"]
    reason = "This figure can't be made of this record (AttributeError: no score)."
    assert said == [f"failing.png: {reason}"]
    assert picture(study, "failing", failing).finding == reason


def test_intervals_of_early_scores_lie_on_their_axis(study: Study) -> None:
    module = figures()["early_stopping"]
    info = module.info(study)
    figure, ax = plt.subplots()
    module.draw(replace(info, low=np.full_like(info.low, -0.6)), ax)
    left = next(ax for ax in figure.axes if ax.get_visible() and ax.has_data())
    assert left.get_ylim()[0] < -0.6
    plt.close(figure)


def test_workers_with_long_names_are_told_apart(study: Study) -> None:
    module = figures()["workers"]
    host = "node-of-a-cluster.example.org: worker "
    names = np.array([f"{host}{i % 2}" for i in range(len(study.trials))])
    figure, ax = plt.subplots()
    module.draw(module.info(replace(study, trials=study.trials.assign(worker=names))), ax)
    shown = [label.get_text() for label in ax.get_yticklabels()]
    plt.close(figure)
    assert len(shown) == len(set(shown)) == 2


def test_trade_offs_name_a_command_that_the_study_can_follow(study: Study) -> None:
    module = figures()["tradeoffs"]
    lacking = replace(study, trials=study.trials.assign(latency_ms=np.nan))
    command = f"`experiments measure {study_argument(study)}` adds costs."
    assert command in module.finding(module.info(lacking))
    plain = replace(lacking, record={})
    assert "experiments measure" not in module.finding(module.info(plain))


def test_rows_that_are_networks_are_called_so(study: Study) -> None:
    module, importance = figures()["parallel_coordinates"], figures()["importance"]
    assert "networks agree most in" in module.finding(module.info(study))
    completed = study.trials["number"] == study.completed["number"].iloc[0]
    alone = replace(study, trials=study.trials[completed])
    assert str(importance.info(alone)).startswith("1 network is too few to say what matters: ")


def test_a_diverged_network_that_does_not_use_the_first_choice_flattens_nothing(
    tmp_path: Path,
) -> None:
    plan = Synthetic(24, objective=("val_loss", "min"), diverged=1e12)
    study = load_study(write_study(tmp_path, plan))
    changed = {}
    module = figures()["responses"]
    info = module.info(study)
    first = info.panels[0]
    assert first.scores.max() > 1e11
    near = first.scores < 1e11
    numbers = tuple(n for n, is_near in zip(first.numbers, near, strict=True) if is_near)
    first = replace(first, x=first.x[near], scores=first.scores[near], numbers=numbers)
    changed["responses"] = replace(info, panels=(first, *info.panels[1:]))
    module = figures()["architecture"]
    info = module.info(study)
    name, groups = info.choices[0]
    groups = tuple(replace(group, scores=tuple(min(s, 1.0) for s in group.scores))
                   for group in groups)  # fmt: skip
    changed["architecture"] = replace(info, choices=((name, groups), *info.choices[1:]))
    for figure_name, info in changed.items():
        figure, ax = plt.subplots()
        figures()[figure_name].draw(info, ax)
        tops = [ax.get_ylim()[1] for ax in figure.axes if ax.get_visible() and ax.has_data()]
        plt.close(figure)
        assert max(tops) < 10, figure_name


CLOSE = (0.9995, 0.9999, 1.0)


def test_values_that_somebody_wrote_are_told_apart(study: Study) -> None:
    assert [text(value) for value in CLOSE] == ["0.9995", "0.9999", "1"]
    assert text(0.123456789) == "0.123"  # drawn
    rates = [CLOSE[i % 3] for i in range(len(study.trials))]
    found = replace(study, trials=study.trials.assign(dropout=rates))
    assert [arm.name for arm in arms_by(found, "dropout")] == [
        "dropout 0.9995", "dropout 0.9999", "dropout 1"
    ]  # fmt: skip
    assert [group.value for group in grouped(found, "dropout")] == ["0.9995", "0.9999", "1"]


def test_options_with_the_same_first_digits_are_told_apart(study: Study) -> None:
    near = [0.12345678, 0.12345679]
    column = axis({"name": "rate", "kind": "Choice", "values": near, "default": near[1]}, near)
    assert column.labels == ("0.12345678", "0.12345679")
    assert (column.values.tolist(), column.default) == ([0.0, 1.0], 1.0)
    rates = [near[i % 2] for i in range(len(study.trials))]
    found = replace(study, trials=study.trials.assign(dropout=rates))
    assert len(arms_by(found, "dropout")) == len(grouped(found, "dropout")) == 2


def test_a_pause_between_sessions_is_no_time_of_the_search(study: Study) -> None:
    begin = study.trials["started"].min()
    trials = study.trials.assign(worker="worker 0")
    late = trials["number"] > 20
    for name in ("started", "ended"):
        trials.loc[late, name] += 86_400.0
    middle, end = begin + 200, begin + 86_400 + 400
    sessions = [
        {"started": begin - 5, "search_ended": middle, "ended": middle + 3600},
        {"started": begin + 86_400 + 195, "search_ended": end, "ended": end},
    ]
    resumed = replace(study, trials=trials, record=study.record | {"sessions": sessions})
    module = figures()["workers"]
    once = module.info(replace(study, trials=study.trials.assign(worker="worker 0")))
    found = module.info(resumed)
    assert found.busy == pytest.approx(once.busy, abs=0.02)
    assert np.diff(found.begins).max() < 1
    assert "of 6.7 min in trials" in module.finding(found)
    assert max(figures()["progress"].info(resumed).minutes) < 7
    killed = [{"started": begin - 5}, sessions[1]]  # it may have run long after its last trial
    unknown = replace(resumed, record=study.record | {"sessions": killed})
    assert np.diff(module.info(unknown).begins).max() > 1400  # minutes


@pytest.mark.parametrize(("count", "is_trusted"), [(10, False), (90, False), (150, True)])
def test_few_images_do_not_show_that_a_model_is_calibrated(count: int, is_trusted: bool) -> None:
    module = figures()["calibration"]
    bins = calibration(np.zeros(count, dtype=int), np.full((count, 2), [0.999, 0.001]))
    said = module.finding(SimpleNamespace(bins=bins, count=count, noun="image"))
    assert ("can be taken at their word" in said) == is_trusted
    assert ("so few images would not show much" in said) != is_trusted


def test_a_correlation_just_below_1_is_not_shown_as_1() -> None:
    info = SimpleNamespace(correlation=[0.998], low=[0.99], high=[0.9996], counts=[30])
    said = early_stopping._of(info, 0)  # type: ignore[arg-type]
    assert said == "0.9980, 95 % interval 0.99 to 0.9996, 30 trials"
