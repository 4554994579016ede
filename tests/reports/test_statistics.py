"""Every statistic against an independent source, or a case worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from experiments.record.front import find_front
from reports.statistics import estimates, paired
from reports.statistics.ablation import ablation
from reports.statistics.calibration import calibration
from reports.statistics.effects import effects
from reports.statistics.expected import expected_best, expected_performance, same_budget
from reports.statistics.importance import importances
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
    low, high = paired.superiority_interval([*FIRST, 0.92], [*SECOND, 0.93, 0.88])
    assert low < reference < high


def test_superiority_has_an_interval_with_a_width_from_five_seeds_on() -> None:
    better, worse = [0.9 + 0.01 * i for i in range(5)], [0.8 + 0.01 * i for i in range(5)]
    low, high = paired.superiority_interval(better, worse)
    assert low < 0.85
    assert high == 1.0
    assert math.isnan(paired.superiority_interval(better, worse[:4])[0])


def test_groups_of_arms_that_tie() -> None:
    assert paired.groups([1, 0, 2], [(1, 2), (0, 2)]) == [(1, 0), (2,)]
    assert paired.groups([0, 1, 2], [(0, 2)]) == [(0, 1), (1, 2)]
    assert paired.groups([0, 1], []) == [(0, 1)]


def test_expected_best_by_hand() -> None:
    # Two of {1, 2, 4} without replacement: the larger is 2 once, 4 twice.
    curve = expected_best([4.0, 1.0, 2.0], np.array([1, 2, 3]))
    assert curve == pytest.approx([7 / 3, (2 + 4 + 4) / 3, 4])
    least = expected_best([4.0, 1.0, 2.0], np.array([2]), "min")
    assert least == pytest.approx([(1 + 1 + 2) / 3])
    assert expected_best([1.0, 1.0, 3.0], np.array([2])) == pytest.approx([(1 + 3 + 3) / 3])
    with pytest.raises(ValueError, match="at most 3 trials"):
        expected_best([4.0, 1.0, 2.0], np.array([4]))


def test_expected_best_has_no_bias_in_small_samples() -> None:
    samples = np.random.default_rng(0).random((4000, 10))
    found = np.mean([expected_best(s, np.array([8]))[0] for s in samples])
    assert found == pytest.approx(8 / 9, abs=0.004)  # of uniform scores; with replacement 0.83


@pytest.mark.parametrize("tail", ["normal", "collapsed"])
def test_the_band_of_the_expected_best_covers_it(tail: str) -> None:
    rng = np.random.default_rng(7)

    def draw(count: int) -> np.ndarray:
        scores = rng.normal(0.9, 0.02, count)
        return np.where(rng.random(count) < 0.3, 0.1, scores) if tail == "collapsed" else scores

    curves = [expected_performance(draw(40)) for _ in range(300)]
    true = np.array([draw(n * 10_000).reshape(-1, n).max(axis=1).mean() for n in curves[0].trials])
    covered = np.mean([(c.low <= true) & (true <= c.high) for c in curves], axis=0)
    assert covered.min() >= 0.9


def test_the_expected_best_is_drawn_well_below_the_number_of_scores() -> None:
    scores = np.random.default_rng(0).random(70)
    assert expected_performance(scores[:29]) is None
    curve = expected_performance(scores)
    assert curve is not None
    assert curve.trials[-1] == 10
    assert (curve.low <= curve.mean).all()
    assert (curve.high >= curve.mean).all()
    turned = expected_performance(-scores, "min")
    assert turned is not None
    assert turned.low == pytest.approx(-curve.high)
    large = expected_performance(np.arange(5000.0))
    assert large is not None
    assert len(large.trials) <= 60
    short = expected_performance(scores[:35])
    assert short is not None
    assert [c.trials.tolist() for c in same_budget([curve, short])] == [[1, 2, 3, 4, 5]] * 2


def test_pareto_front_and_knee_by_hand() -> None:
    costs = np.array([1.0, 2.0, 3.0, 4.0, 4.0, 2.5])
    scores = np.array([0.5, 0.9, 0.8, 0.95, 0.94, 0.9])
    values = np.column_stack([scores, costs])
    found = find_front(values, ["max", "min"], [False, True])
    assert (found.members.tolist(), found.knee) == ([3, 1, 0], 1)
    least = find_front(values * [-1, 1], ["min", "min"], [False, True])
    assert least.members.tolist() == [3, 1, 0]
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
    shares = importances(axes, scores, seed=0)
    assert shares is not None
    first, *others = shares.importances
    assert first.name == "rate"
    assert first.low > 0.9
    assert all(other.high < 0.05 for other in others)
    assert shares.fit > 0.9
    assert importances(axes, scores, seed=0) == shares
    assert importances(axes[:1], scores[:9], seed=0) is None


@pytest.mark.slow
def test_importance_against_optunas_own_example() -> None:
    # Optuna's documentation: x1 has by far the greatest range, so it matters most.
    rng = np.random.default_rng(0)
    values = [rng.uniform(-k, k, 80) for k in (0.1, 1.0, 10.0)]
    axes = [
        axis({"name": f"x{i}", "kind": "Float", "min_value": -k, "max_value": k}, list(v))
        for i, (k, v) in enumerate(zip((0.1, 1.0, 10.0), values, strict=True))
    ]
    scores = sum(v**2 for v in values)
    shares = importances(axes, np.asarray(scores), seed=0)
    assert shares is not None
    assert shares.importances[0].name == "x2"


DEEP = {"name": "deep", "kind": "Boolean", "default": False}
WIDTH = {
    "name": "width", "kind": "Float", "min_value": 0.0, "max_value": 1.0, "default": 0.5,
    "conditions": [{"name": "deep", "values": [True]}],
}  # fmt: skip


@pytest.mark.slow
def test_shares_are_of_the_space_not_of_where_trials_were_proposed() -> None:
    rng = np.random.default_rng(1)
    # Most trials near the optimum, as a method that learns proposes them: there nothing matters.
    rates = np.concatenate([10 ** rng.uniform(-4, -1, 12), 10 ** rng.normal(-2, 0.15, 28)])
    deep = rng.random(40) < 0.5
    width = [float(w) if d else None for w, d in zip(rng.random(40), deep, strict=True)]
    scores = -0.08 * (np.log10(rates) + 2) ** 2 + 0.03 * deep + rng.normal(0, 0.003, 40)
    axes = [axis(RATE, list(rates)), axis(DEEP, list(deep)), axis(WIDTH, width)]
    shares = importances(axes, scores, seed=0)
    assert shares is not None
    found = {i.name: i.mean for i in shares.importances}
    x = np.linspace(-4, -1, 1000)
    parts = {"rate": np.var(0.08 * (x + 2) ** 2), "deep": 0.03**2 / 4, "width": 0.0}
    for name, part in parts.items():  # the inert width takes nothing from what it depends on
        assert found[name] == pytest.approx(part / sum(parts.values()), abs=0.06)


@pytest.mark.slow
def test_effects_name_what_matters_and_little_else() -> None:
    named = {"rate": 0, "deep": 0, "inert": 0}
    for seed in range(150):
        rng = np.random.default_rng([seed, 1])
        rates, deep = 10 ** rng.uniform(-4, -1, 24), rng.random(24) < 0.5
        width = [float(w) if d else None for w, d in zip(rng.random(24), deep, strict=True)]
        scores = -0.08 * (np.log10(rates) + 2.5) ** 2 + 0.02 * deep + rng.normal(0, 0.01, 24)
        axes = [
            axis(RATE, list(rates)), axis(DEEP, list(deep)), axis(WIDTH, width),
            axis(IDLE, list(rng.random(24))), axis(KIND, [*rng.choice(["a", "b", "c"], 24)]),
        ]  # fmt: skip
        found = {e.name: e.is_real for e in effects(axes, scores, seed)}
        named["rate"] += found["rate"]
        named["deep"] += found["deep"]
        named["inert"] += found["width"] or found["idle"] or found["kind"]
    assert named["rate"] > 145
    assert named["inert"] <= 150 * 0.05 + 2 * math.sqrt(150 * 0.05 * 0.95)


def test_an_effect_of_one_choice_is_kruskal_and_wallis() -> None:
    rng = np.random.default_rng(3)
    kinds = rng.choice(["a", "b", "c"], 40)
    scores = rng.normal(size=40) + 0.8 * (kinds == "b")
    effect = effects([axis(KIND, [*kinds])], scores, seed=0)[0]
    reference = stats.kruskal(*(scores[kinds == k] for k in "abc"))
    assert effect.share == pytest.approx(reference.statistic / 39)
    assert effect.p == pytest.approx(reference.pvalue, abs=0.015)
    assert effect.corrected == effect.p
    assert effect.most > effect.share
    assert math.isnan(effects([axis(KIND, ["a", "b", "a"])], scores[:3], seed=0)[0].p)


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
