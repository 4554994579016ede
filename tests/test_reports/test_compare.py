"""Comparisons: they refuse what can't be compared, see what is there, and don't see what isn't."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from experiments.cli import main
from experiments.errors import UserError
from reports import Study, load_study
from reports.compare import Arm, arms_by, arms_of_studies, compare, write_comparison
from reports.compare.decide import verdict
from reports.compare.figures import FIGURES
from tests.test_reports.synthetic import Synthetic, write_study

EMPTY = Study(Path(), "s", {}, "val_accuracy", "max", pd.DataFrame(), pd.DataFrame(), {})


def simulate(
    rng: np.random.Generator, accuracies: tuple[float, ...], seeds: int, images: int = 500
) -> list[Arm]:
    """Makes arms whose images share their difficulty and whose trainings vary."""
    difficulty = rng.normal(size=images)
    arms = []
    for index, accuracy in enumerate(accuracies):
        right = []
        for _ in range(seeds):
            skill = accuracy + rng.normal(0, 0.004)
            noisy = difficulty + rng.normal(0, 0.6, images)
            right.append(noisy <= np.quantile(noisy, skill) + rng.normal(0, 0.05))
        tests = tuple(float(r.mean()) for r in right)
        best = right[int(rng.integers(seeds))]
        share = np.mean(right, axis=0)
        arms.append(Arm(f"arm {index}", EMPTY, pd.DataFrame(), "0", tests, images, best, share))
    return arms


@pytest.mark.parametrize(("num_arms", "seeds"), [(2, 3), (2, 5), (4, 4)])
def test_equal_arms_have_a_winner_in_at_most_one_of_twenty(num_arms: int, seeds: int) -> None:
    rng = np.random.default_rng(11)
    won = sum(
        compare(simulate(rng, (0.9,) * num_arms, seeds), seed=0).winner is not None
        for _ in range(200)
    )
    assert won <= 10


def test_arms_apart_have_a_winner() -> None:
    rng = np.random.default_rng(12)
    won = [compare(simulate(rng, (0.80, 0.93), 5), seed=0).winner for _ in range(50)]
    assert won.count(1) >= 48
    assert 0 not in won


def test_verdicts_say_what_is_missing() -> None:
    rng = np.random.default_rng(13)
    untested = Arm("new", EMPTY, pd.DataFrame(), "1", (), 0, None)
    assert "new was not tested" in verdict(compare([*simulate(rng, (0.9,), 3), untested], seed=0))
    assert "one training" in verdict(compare(simulate(rng, (0.7, 0.95), 1), seed=0))
    close = verdict(compare(simulate(rng, (0.90, 0.905), 3), seed=0))
    assert close.startswith("Not separable with 3 seeds")
    assert "would" in close
    apart = verdict(compare(simulate(rng, (0.7, 0.95), 4), seed=0))
    assert apart.startswith("arm 1 wins")


def test_a_winners_interval_excludes_zero() -> None:
    rng = np.random.default_rng(15)
    for _ in range(60):
        comparison = compare(simulate(rng, (0.88, 0.92), 4), seed=0)
        gap = comparison.pairs[0].difference
        if comparison.winner is not None:
            assert gap.high < 0 or gap.low > 0


def test_unkept_predictions_weaken_the_test_of_images() -> None:
    rng = np.random.default_rng(14)
    kept = simulate(rng, (0.88, 0.93), 5)
    lost = [Arm(a.name, a.study, a.trials, a.trial_id, a.tests, a.test_size, None) for a in kept]
    with_images, without = compare(kept, seed=0).pairs[0], compare(lost, seed=0).pairs[0]
    assert without.images is None
    assert without.difference.low < with_images.difference.low
    assert with_images.images is not None
    assert with_images.images.count == 500


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
    arms = arms_of_studies([load_study(studies / n) for n in ("low", "high", "same")])
    comparison = compare(arms, seed=0)
    assert comparison.winner == 1
    assert comparison.pair(0, 2) is not None
    page = write_comparison(comparison)
    assert page.parent == studies / "low" / "report"
    text = page.read_text(encoding="utf-8")
    assert "high wins" in text
    assert "What a budget finds" in text  # in words: these are too few for expected_curves
    for figure in {*FIGURES} - {"expected_curves"}:
        assert f'id="figure-{figure}"' in text
    assert write_comparison(comparison).read_bytes() == page.read_bytes()


def test_by_a_hyperparameter(studies: Path) -> None:
    study = load_study(studies / "low")
    arms = arms_by(study, "pooling")
    assert [arm.name for arm in arms] == ["pooling average", "pooling max"]
    assert sum(len(arm.trials) for arm in arms) == 14
    assert sum(bool(arm.tests) for arm in arms) == 1  # the winner's alone is confirmed
    with pytest.raises(UserError, match="no such hyperparameter"):
        arms_by(study, "colour")
    with pytest.raises(UserError, match="2 to 8 values"):
        arms_by(study, "learning_rate")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["low", "elsewhere"], "different splits"),
        (["low"], "name two"),
        (["low", "high", "--by", "pooling"], "within one study"),
        (["low", "--by", "pooling", "--default"], "give one of them"),
        (["nothing", "low"], "no study 'nothing'"),
    ],
)
def test_bad_input_is_one_line(studies: Path, arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["compare", *arguments, "--runs-dir", str(studies)])
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_command_prints_verdict_and_page(studies: Path) -> None:
    result = CliRunner().invoke(main, ["compare", "low", "high", "--runs-dir", str(studies)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("high wins")
    assert Path(result.stdout.rsplit("comparison: ")[1].strip()).is_file()
