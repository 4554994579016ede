"""Every statistic against an independent source, or a case worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from reports.statistics import estimates, paired
from reports.statistics.ablation import ablation
from reports.statistics.calibration import calibration
from reports.statistics.expected import expected_best, expected_performance
from reports.statistics.front import find_front
from reports.statistics.importance import importances
from reports.statistics.pareto import front
from reports.statistics.space import axis
from reports.statistics.surrogate import fit_surrogate

FIRST, SECOND = [0.91, 0.95, 0.93, 0.96], [0.90, 0.89, 0.94]


@pytest.mark.parametrize(("right", "count"), [(95, 100), (0, 10), (10, 10), (1, 7)])
def test_wilson_against_statsmodels(right: int, count: int) -> None:
    expected = proportion_confint(right, count, method="wilson")
    assert estimates.wilson(right, count) == pytest.approx(expected, abs=1e-12)


def test_mean_against_scipy() -> None:
    mean = estimates.mean(FIRST)
    low, high = stats.t.interval(0.95, len(FIRST) - 1, np.mean(FIRST), stats.sem(FIRST))
    assert (mean.low, mean.high) == pytest.approx((low, high))
    assert not estimates.mean([0.9]).has_interval


def test_holm_against_statsmodels_and_missing_values_do_not_count() -> None:
    p_values = [0.01, 0.04, 0.03, 0.5]
    reference = multipletests(p_values, method="holm")[1]
    assert paired.holm(p_values) == pytest.approx(list(reference))
    with_missing = paired.holm([0.01, math.nan, 0.04, 0.03, 0.5])
    assert math.isnan(with_missing[1])
    assert [with_missing[i] for i in (0, 2, 3, 4)] == pytest.approx(list(reference))


def test_superiority_against_mann_whitney() -> None:
    reference = stats.mannwhitneyu(FIRST, SECOND).statistic / (len(FIRST) * len(SECOND))
    assert paired.superiority(FIRST, SECOND) == pytest.approx(reference)
    low, high = paired.superiority_interval(FIRST, SECOND)
    assert low < reference < high


def test_superiority_of_two_seeds_has_a_width() -> None:
    low, high = paired.superiority_interval([0.9, 0.91], [0.8, 0.81])
    assert low < 0.6
    assert high == 1.0


def test_groups_of_arms_that_tie() -> None:
    assert paired.groups([1, 0, 2], [(1, 2), (0, 2)]) == [(1, 0), (2,)]
    assert paired.groups([0, 1, 2], [(0, 2)]) == [(0, 1), (1, 2)]
    assert paired.groups([0, 1], []) == [(0, 1)]


def test_expected_best_by_hand() -> None:
    # Two draws from {1, 2, 4} with replacement: the maximum is 1 once, 2 three times, 4 five times.
    curve = expected_best([4.0, 1.0, 2.0], np.array([1, 2]))
    assert curve == pytest.approx([7 / 3, (1 + 3 * 2 + 5 * 4) / 9])
    # The minimum of two: 1 five times, 2 three times, 4 once.
    least = expected_best([4.0, 1.0, 2.0], np.array([2]), "min")
    assert least == pytest.approx([(5 * 1 + 3 * 2 + 4) / 9])
    tied = expected_best([1.0, 1.0, 3.0], np.array([2]))
    assert tied == pytest.approx([(4 * 1 + 5 * 3) / 9])


def test_expected_performance_has_a_band_that_its_seed_decides() -> None:
    scores = np.random.default_rng(0).random(20)
    curve = expected_performance(scores, seed=1)
    assert (curve.low <= curve.mean + 1e-12).all()
    assert (curve.high >= curve.mean - 1e-12).all()
    assert np.array_equal(curve.low, expected_performance(scores, seed=1).low)
    assert not np.array_equal(curve.low, expected_performance(scores, seed=2).low)
    assert len(expected_performance(np.arange(5000.0), seed=1).trials) <= 60


def test_pareto_front_and_knee_by_hand() -> None:
    costs = np.array([1.0, 2.0, 3.0, 4.0, 4.0, 2.5])
    scores = np.array([0.5, 0.9, 0.8, 0.95, 0.94, 0.9])
    best = front(costs, scores)
    assert best.tolist() == [0, 1, 3]
    values = np.column_stack([scores, costs])
    assert find_front(values, ["max", "min"], [False, True]).knee == 1
    assert front(costs, -scores, "min").tolist() == [0, 1, 3]
    assert find_front(values[:2], ["max", "min"], [False, True]).knee is None


def test_calibration_by_hand() -> None:
    # Two images at 0.9, one of them right; two at 0.6, both right.
    chances = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    answer = calibration(np.array([0, 1, 0, 1]), chances)
    assert answer.error == pytest.approx((abs(0.9 - 0.5) * 2 + abs(0.6 - 1) * 2) / 4)
    assert answer.brier == pytest.approx((2 * 0.01 + 2 * 0.81 + 2 * 0.16 * 2) / 4)
    assert answer.counts.sum() == 4


RATE = {
    "name": "rate", "kind": "Float", "min_value": 1e-4, "max_value": 0.1, "sampling": "log",
    "default": 1e-4,
}  # fmt: skip
IDLE = {"name": "idle", "kind": "Float", "min_value": 0.0, "max_value": 1.0, "default": 0.5}
KIND = {"name": "kind", "kind": "Choice", "values": ["a", "b", "c"], "default": "a"}


def _known(count: int) -> tuple[list, np.ndarray]:
    """Scores that depend on the rate alone."""
    rng = np.random.default_rng(4)
    rates = 10 ** rng.uniform(-4, -1, count)
    axes = [
        axis(RATE, list(rates)),
        axis(IDLE, list(rng.random(count))),
        axis(KIND, [KIND["values"][i] for i in rng.integers(0, 3, count)]),
    ]
    return axes, -((np.log10(rates) + 2) ** 2) + rng.normal(0, 0.02, count)


def test_importance_finds_the_one_that_matters() -> None:
    axes, scores = _known(60)
    first, *others = importances(axes, scores, seed=0)
    assert first.name == "rate"
    assert first.low > 0.6
    assert all(other.high < 0.3 for other in others)
    assert importances(axes, scores, seed=0)[0] == first
    assert importances(axes[:1], scores[:9], seed=0) == []


def test_importance_against_optunas_own_example() -> None:
    # Optuna's documentation: x1 has by far the greatest range, so it matters most.
    rng = np.random.default_rng(0)
    values = [rng.uniform(-k, k, 80) for k in (0.1, 1.0, 10.0)]
    axes = [
        axis({"name": f"x{i}", "kind": "Float", "min_value": -k, "max_value": k}, list(v))
        for i, (k, v) in enumerate(zip((0.1, 1.0, 10.0), values, strict=True))
    ]
    scores = sum(v**2 for v in values)
    assert importances(axes, np.asarray(scores), seed=0)[0].name == "x2"


def test_ablation_changes_what_matters_first() -> None:
    axes, scores = _known(80)
    surrogate = fit_surrogate(axes, scores, seed=0)
    assert surrogate is not None
    assert surrogate.fit > 0.8
    path = ablation(axes, surrogate, int(scores.argmax()), "max")
    assert path is not None
    assert path.names[0] == "rate"
    gains = np.diff(path.scores)
    assert gains[0] > 0.9 * (path.scores[-1] - path.scores[0])


def test_inactive_values_take_the_default_and_whole_floats_are_their_choice() -> None:
    column = axis(RATE, [1e-2, None, math.nan])
    assert column.values.tolist() == pytest.approx([-2, -4, -4])
    assert column.active.tolist() == [True, False, False]
    sizes = axis({"name": "n", "kind": "Choice", "values": [16, 32], "default": 32}, [16.0, 32.0])
    assert sizes.labels == ("16", "32")
    assert sizes.default == 1.0
