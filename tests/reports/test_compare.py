"""Comparisons: they refuse what can't be compared, see what is there, and don't see what isn't."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from benchmarks.believing.comparisons import arms
from experiments.cli.main import main
from experiments.record.errors import UserError
from experiments.record.formatting import score
from reports import load_study
from reports.analysis import test_predictions
from reports.analysis.comparison.arms import (
    arms_by,
    arms_of_default,
    arms_of_searches,
    arms_of_studies,
)
from reports.analysis.comparison.decide import compare
from reports.analysis.comparison.ledger import finding, ledger, table
from reports.analysis.comparison.words import verdict
from reports.analysis.study_front import study_front
from reports.figures._comparison import FIGURES
from reports.figures._costs import COLORS
from reports.page import comparison as page_of
from reports.page.comparison import pairs_table, write_comparison
from reports.statistics.estimates import mean
from tests.reports.synthetic import Synthetic, write_study

SPREAD = 0.004


@pytest.mark.parametrize("seeds", [(3, 3), (2, 10), (4, 4, 4, 4)])
def test_equal_arms_have_a_winner_in_at_most_one_of_twenty(seeds: tuple[int, ...]) -> None:
    rng = np.random.default_rng(11)
    won = sum(
        compare(arms(rng, (0.9,) * len(seeds), seeds, 500, SPREAD)).winner is not None
        for _ in range(150)
    )
    assert won <= 7


def test_arms_apart_have_a_winner() -> None:
    rng = np.random.default_rng(12)
    won = [compare(arms(rng, (0.80, 0.93), (5, 5), 500, SPREAD)).winner for _ in range(50)]
    assert won.count(1) >= 48
    assert 0 not in won


def test_verdicts_say_what_is_missing() -> None:
    rng = np.random.default_rng(13)
    untested = replace(arms(rng, (0.9,), (3,), 100, 0)[0], name="new", tests=())
    both = [*arms(rng, (0.9,), (3,), 500, SPREAD), untested]
    assert "new was not tested" in verdict(compare(both))
    assert "one training" in verdict(compare(arms(rng, (0.7, 0.95), (1, 1), 500, SPREAD)))
    close = verdict(compare(arms(rng, (0.97, 0.975), (5, 5), 500, 0.001)))
    assert close.startswith("Not separable with 5 seeds and 500 test images: ")
    assert "Test images are short: with 500 not even 100 seeds will do" in close
    apart = verdict(compare(arms(rng, (0.7, 0.95), (4, 4), 500, SPREAD)))
    assert apart.startswith("arm 1 wins")


def test_arms_that_tie_and_one_behind_are_groups() -> None:
    rng = np.random.default_rng(16)
    found = compare(arms(rng, (0.95, 0.95, 0.70), (5, 5, 5), 500, SPREAD))
    assert found.winner is None
    assert [set(group) for group in found.groups] == [{0, 1}, {2}]
    said = verdict(found)
    assert said.startswith("In groups, best first: ")
    assert "can't be told apart" in said
    assert "arm 2 is behind arm" in said


def test_a_difference_must_be_clearer_at_a_later_look() -> None:
    rng = np.random.default_rng(17)
    pairs = [arms(rng, (0.90, 0.93), (4, 4), 500, SPREAD) for _ in range(60)]
    won = [[compare(pair, look=look).winner is not None for pair in pairs] for look in (1, 4)]
    assert sum(won[0]) > sum(won[1])
    assert all(first or not later for first, later in zip(*won, strict=True))


def test_a_winners_interval_excludes_zero() -> None:
    rng = np.random.default_rng(15)
    for _ in range(60):
        comparison = compare(arms(rng, (0.86, 0.92), (4, 4), 500, SPREAD))
        gap = comparison.pairs[0].difference
        if comparison.winner is not None:
            assert gap.high < 0 or gap.low > 0


def test_unkept_predictions_weaken_the_test() -> None:
    kept = arms(np.random.default_rng(14), (0.88, 0.93), (5, 5), 500, SPREAD)
    lost = [replace(arm, is_correct=None) for arm in kept]
    with_images, without = compare(kept).pairs[0], compare(lost).pairs[0]
    assert without.difference.low < with_images.difference.low
    assert without.p > with_images.p


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    for index, (name, accuracy) in enumerate((("low", 0.85), ("high", 0.97), ("same", 0.85))):
        plan = Synthetic(14, name=name, seed=index, num_test=1000, num_seeds=4)
        plan.test_accuracy = accuracy
        write_study(runs, plan)
    write_study(runs, Synthetic(6, name="elsewhere", fingerprint="0" * 16))
    other = {"objective": {"name": "val_loss", "direction": "min"}}
    write_study(runs, Synthetic(6, name="by_loss", changes=other))
    return runs


def test_other_splits_and_other_objectives_are_refused(studies: Path) -> None:
    first, elsewhere, by_loss = (load_study(studies / n) for n in ("low", "elsewhere", "by_loss"))
    with pytest.raises(UserError, match="f1f1f1f1f1f1f1f1 and 0000000000000000"):
        arms_of_studies([first, elsewhere])
    assert len(arms_of_studies([first, elsewhere], allow_different_splits=True)) == 2
    with pytest.raises(UserError, match="different objectives"):
        arms_of_studies([first, by_loss])
    with pytest.raises(UserError, match="name two"):
        arms_of_studies([first])


def test_studies_apart_are_told_apart_on_the_page(studies: Path) -> None:
    named = arms_of_studies([load_study(studies / n) for n in ("low", "high", "same")])
    comparison = compare(named)
    assert comparison.winner == 1
    assert comparison.pair(0, 2) is not None
    page = write_comparison(comparison)
    assert page.parent == studies / "low" / "report"
    text = page.read_text(encoding="utf-8")
    assert "The network that high found wins" in text
    assert "What a budget finds" in text  # in words: these are too few for expected_curves
    for figure in {*FIGURES} - {"expected_curves"}:
        assert f'id="figure-{figure}"' in text
    assert write_comparison(comparison).read_bytes() == page.read_bytes()


def test_the_ends_of_a_difference_are_told_apart_everywhere(studies: Path) -> None:
    found = compare(arms_of_studies([load_study(studies / n) for n in ("low", "high")]))
    near = replace(found.pairs[0].difference, mean=0.0123455, low=0.012345, high=0.012346)
    found = replace(found, pairs=(replace(found.pairs[0], difference=near),))
    assert "+0.012345 to +0.012346" in pairs_table(found)["difference"][0]
    assert re.search(r"[+-]0.01234[56] to [+-]0.01234[56]", verdict(found))


def test_by_a_hyperparameter(studies: Path) -> None:
    study = load_study(studies / "low")
    values = arms_by(study, "pooling")
    assert [arm.name for arm in values] == ["pooling average", "pooling max"]
    assert sum(len(arm.trials) for arm in values) == 14
    assert sum(bool(arm.tests) for arm in values) == 1  # the winner's alone is confirmed
    with pytest.raises(UserError, match="no such hyperparameter"):
        arms_by(study, "colour")
    with pytest.raises(UserError, match="2 to 8 values"):
        arms_by(study, "learning_rate")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["low", "elsewhere"], "different splits"),
        (["low"], "name two"),
        (["low", "low"], "a study is named twice"),
        (["low", "high", "--by", "pooling"], "within one study"),
        (["low", "--by", "pooling", "--default"], "give one of them"),
        (["nothing", "low"], "no study 'nothing'"),
        ([], "say what to compare"),
        (["--arm", "a=low"], "give --arm twice"),
        (["--arm", "a=low", "--arm", "a=high"], "same name"),
        (["--arm", "a=low,low", "--arm", "b=high"], "named twice"),
        (["--arm", "a=low,STUDIES/low", "--arm", "b=high"], "named twice"),
        (["--arm", "a=low", "--arm", "b=STUDIES/low"], "named twice"),
        (["--arm", "a", "--arm", "b=high"], "expected NAME=STUDY"),
        (["low", "--arm", "a=low", "--arm", "b=high"], "names all that is compared"),
    ],
)
def test_bad_input_is_one_line(studies: Path, arguments: list[str], words: str) -> None:
    given = [each.replace("STUDIES", str(studies)) for each in arguments]
    result = CliRunner().invoke(main, ["compare", *given, "--runs-dir", str(studies)])
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.usefixtures("without_drawing")
def test_command_prints_verdict_and_page(studies: Path) -> None:
    result = CliRunner().invoke(main, ["compare", "low", "high", "--runs-dir", str(studies)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("The network that high found wins")
    assert Path(result.stdout.rsplit("comparison: ")[1].strip()).is_file()


def test_pages_of_different_comparisons_have_names_of_their_own() -> None:
    def named(*names: str) -> str:
        found = arms(np.random.default_rng(1), (0.9, 0.9), (2, 2), 100, 0)
        both = [replace(arm, name=name) for arm, name in zip(found, names, strict=True)]
        return page_of.comparison_name(compare(both))

    assert named("low", "high_2.b") == "low-vs-high_2.b"
    assert named("дерево", "сеть") == "дерево-vs-сеть"
    alike = [
        ("a b", "c"),
        ("a_b", "c"),
        ("a/b", "c"),
        ("木" * 200, "c"),
        ("木" * 200, "d"),
        ("!", "?"),
    ]
    found = [named(*names) for names in alike]
    assert len(set(found)) == len(alike)
    assert all(len(f"compare-{name}.html".encode()) < 255 for name in found)
    assert not any(set(name) & set(" /!?") for name in found)


@pytest.mark.usefixtures("without_drawing")
def test_arms_of_several_searches_count_searches(studies: Path) -> None:
    options = ["--arm", "first=low,same", "--arm", "second=high", "--runs-dir", str(studies)]
    result = CliRunner().invoke(main, ["compare", *options])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("No verdict: second has one search")
    loaded = [load_study(studies / name) for name in ("low", "same", "high")]
    low, high = arms_of_searches({"first": loaded[:2], "second": loaded[2:]})
    assert (len(low.tests), len(high.tests)) == (2, 1)
    assert low.tests[0] == pytest.approx(np.mean(arms_of_studies(loaded[:2])[0].tests))
    assert len(low.completed) == 26


@pytest.mark.usefixtures("without_drawing")
def test_each_look_with_other_trainings_needs_a_clearer_difference(tmp_path: Path) -> None:
    for index, name in enumerate(("one", "two")):
        write_study(tmp_path, Synthetic(4, name=name, seed=index, num_test=1000, num_seeds=3))

    def look() -> str:
        result = CliRunner().invoke(main, ["compare", "one", "two", "--runs-dir", str(tmp_path)])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "a winner needs less than 0.025" in look()
    assert "a winner needs less than 0.025" in look()  # the same trainings are the same look
    path = tmp_path / "one" / "artifacts" / "finalists.json"
    finalists = json.loads(path.read_text())
    finalists[0]["runs"].append(finalists[0]["runs"][0] | {"seed": 99})
    path.write_text(json.dumps(finalists))
    assert "at look 2 a winner needs less than 0.0125" in look()
    assert "at look 2 a winner needs less than 0.0125" in look()


def test_further_objectives_of_each_network_stand_beside_the_verdict(tmp_path: Path) -> None:
    for index, name in enumerate(("one", "two")):
        plan = Synthetic(12, name=name, seed=index, num_test=500, further=(("params", "min"),))
        write_study(tmp_path, plan)
    found = arms_of_studies([load_study(tmp_path / name) for name in ("one", "two")])
    for arm in found:
        assert (
            arm.trial_id
            == study_front(arm.study).trials.iloc[study_front(arm.study).recommended]["trial_id"]
        )  # the knee, not the best by the first objective
    shown = table(ledger(compare(found)))
    assert [int(text.replace(",", "")) % 1000 for text in shown["parameters"]] == [10, 10]


def test_every_objective_is_compared_and_a_win_says_what_it_costs(tmp_path: Path) -> None:
    further = (("params", "min"), ("val_loss", "min"))
    for name, accuracy, plan_seed in (("large", 0.95, 1), ("small", 0.80, 0)):
        plan = Synthetic(12, name=name, seed=plan_seed, num_test=800, further=further,
                         test_accuracy=accuracy)  # fmt: skip
        write_study(tmp_path, plan)
    found = arms_of_studies([load_study(tmp_path / name) for name in ("large", "small")])
    trials = [arm.study.trials.set_index("trial_id") for arm in found]
    costs = [
        int(of.loc[arm.trial_id, "trainable_parameters"]) + 10
        for of, arm in zip(trials, found, strict=True)
    ]
    text = verdict(compare(found))
    assert "the network that large found wins" in text.lower()
    assert f"parameters {costs[0]:,} (large), {costs[1]:,} (small)" in text
    losses = [
        [run["test"]["loss"] for run in test_predictions.tested_runs(a.study, a.trial_id)]
        for a in found
    ]
    low, high = mean(losses[0]).low, mean(losses[0]).high
    assert (
        f"validation loss {score(np.mean(losses[0]))} on test ({score(low)} to {score(high)})"
        in text
    )
    assert costs == [64_010, 16_010]
    assert "small is better in parameters: the win is by accuracy alone." in text


def test_trainings_that_were_made_under_other_numerics_are_named(tmp_path: Path) -> None:
    for name, threads in (("one", 1), ("two", 2)):
        folder = write_study(tmp_path, Synthetic(6, name=name, num_test=200))
        path = folder / "artifacts" / "finalists.json"
        records = json.loads(path.read_text())
        for run in records[0]["runs"]:
            run["numerics"] = {"intra_op_threads": threads, "cpu": "A", "versions": {"keras": "3"}}
        path.write_text(json.dumps(records))
    found = arms_of_studies([load_study(tmp_path / name) for name in ("one", "two")])
    assert "under the same threads of an operation (1, 2): this affects" in finding(
        ledger(compare(found))
    )
    alike = arms_of_default(load_study(tmp_path / "one"))
    assert "under the same" not in finding(ledger(compare(alike)))


def test_the_same_network_found_twice_is_said(tmp_path: Path) -> None:
    for index, name in enumerate(("one", "two")):  # the same draws, tested on other trainings
        plan = Synthetic(6, name=name, seed=4, num_test=500 + index, num_seeds=3)
        write_study(tmp_path, plan)
    found = arms_of_studies([load_study(tmp_path / name) for name in ("one", "two")])
    assert "found, trained with other seeds)" in verdict(compare(found))


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        ({"settings": {"alpha": "1.0"}}, {}),  # values are equal, the base has another width
        ({"space": "keras_hub"}, {}),
        ({"space": "nets.py:Net"}, {"space_source": {"nets": "ffff"}}),
    ],
)
def test_equal_values_of_other_models_are_not_the_same_network(
    tmp_path: Path, config: dict[str, object], facts: dict[str, object]
) -> None:
    for index, name in enumerate(("one", "two")):
        folder = write_study(
            tmp_path, Synthetic(6, name=name, seed=4, num_test=500 + index, num_seeds=3)
        )
        path = folder / "study.json"
        record = json.loads(path.read_text())
        if config.get("space") == "nets.py:Net":
            record["config"]["space"] = "nets.py:Net"
            record["space_source"] = {"nets": "0000"}
        if index:
            record["config"].update(config)
            record.update(facts)
        path.write_text(json.dumps(record))
    found = arms_of_studies([load_study(tmp_path / name) for name in ("one", "two")])
    assert "trained with other seeds" not in verdict(compare(found))


def test_variance_is_told_apart_by_its_sources() -> None:
    pair = compare(arms(np.random.default_rng(3), (0.9, 0.9), (5, 5), 500, SPREAD)).pairs[0]
    images, chance = pair.spread.shares
    assert 0 <= images <= 1
    assert 0 < chance <= 1
    assert images + chance <= 1.0001


def test_a_diverged_loss_flattens_no_figure_of_a_comparison(tmp_path: Path) -> None:
    plan = Synthetic(40, objective=("val_loss", "min"), diverged=1e12)
    for index, name in enumerate(("one", "two", "three")):
        write_study(tmp_path, replace(plan, name=name, seed=index))
    found = compare(arms_of_studies([load_study(tmp_path / n) for n in ("one", "two", "three")]))
    for name in ("pareto_fronts", "expected_curves"):
        info = FIGURES[name].info(found)
        assert not isinstance(info, str), info
        figure = Figure()
        ax = figure.subplots()
        FIGURES[name].draw(info, ax)
        assert ax.get_ylim()[1] < 10, name
        assert any(text.get_text().endswith(" values beyond") for text in ax.texts), name


def test_an_arm_without_known_sizes_takes_no_color_of_another(studies: Path) -> None:
    named = arms_of_studies([load_study(studies / n) for n in ("low", "high", "same")])
    unknown = named[0].study.trials.assign(trainable_parameters=np.nan)
    named[0] = replace(named[0], study=replace(named[0].study, trials=unknown))
    module = FIGURES["pareto_fronts"]
    ax = Figure().subplots()
    module.draw(module.info(compare(named)), ax)
    assert [line.get_color() for line in ax.get_lines()] == list(COLORS[1:3])


def test_the_csv_of_tests_names_each_search_and_its_trial(studies: Path) -> None:
    loaded = {name: load_study(studies / name) for name in ("low", "same", "high")}
    first, second = [loaded["low"], loaded["same"]], [loaded["high"]]
    frame = page_of.tests_frame(compare(arms_of_searches({"first": first, "second": second})))
    assert list(frame["arm"]) == ["first", "first", "second"]
    assert list(frame["study"]) == ["low", "same", "high"]
    assert list(frame["trial"]) == [study.finalists[0]["trial_id"] for study in loaded.values()]
    alone = page_of.tests_frame(compare(arms_of_studies([*loaded.values()])))
    assert list(alone["study"]) == ["low"] * 4 + ["same"] * 4 + ["high"] * 4
