"""Intervals and tests of test accuracy cover what their words say: trainings and images."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

from benchmarks.believing.comparisons import arms, trainings
from reports.analysis.comparison.decide import compare, level
from reports.statistics import crossed, estimates
from reports.statistics.class_scores import METRICS, estimate_by_images
from reports.statistics.crossed import Needed, Sample


def test_without_variance_of_trainings_the_interval_is_wilsons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimates, "PRIOR_SPREAD", 1e-9)
    found = estimates.accuracy([0.95], 200)
    low, high = proportion_confint(190, 200, method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize("scores", [[1.0], [1.0, 1.0], [0.98, 0.98, 0.98], [0.0, 0.0]])
def test_an_interval_has_a_width(scores: list[float]) -> None:
    found = estimates.accuracy(scores, 500)
    assert found.high - found.low > 0.005
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert "of another training on other images" in found.scope()


def test_more_seeds_do_not_make_the_images_certain() -> None:
    many = estimates.accuracy([0.97] * 1000, 500)
    low, high = proportion_confint(485, 500, method="wilson")
    assert many.high - many.low > 0.9 * (high - low)


@pytest.mark.parametrize(("seeds", "deviation"), [(1, 0.003), (2, 0.003), (3, 0.0), (5, 0.006)])
def test_the_interval_covers_the_accuracy_on_new_images(seeds: int, deviation: float) -> None:
    rng = np.random.default_rng(21)
    hits = np.zeros(2)
    for _ in range(150):
        right, true = trainings(rng, rng.standard_normal(500), 0.97, seeds + 1, deviation)
        found = estimates.accuracy(right[:seeds].mean(axis=1), 500, right[:seeds])
        hits += [found.low <= target <= found.high for target in (true[0], true[seeds])]
    assert (hits / 150 >= 0.9).all()


def _of_trainings(deviation: float, seeds: int, draws: int) -> tuple[float, float]:
    """Returns how often intervals hold the next training, and their mean half width, in points."""
    rng, size = np.random.default_rng([int(1e4 * deviation), seeds]), 10_000
    hits, width = 0, 0.0
    for _ in range(draws):
        true = np.clip(0.9 + deviation * rng.standard_normal(seeds + 1), 0, 1)
        chance = rng.normal(0, np.sqrt(0.09 / size / 2)) + rng.normal(
            0, np.sqrt(0.09 / size / 2), seeds
        )
        found = estimates.accuracy(np.clip(true[:seeds] + chance, 0, 1), size)
        hits += found.low <= true[seeds] <= found.high
        width += 50 * (found.high - found.low) / draws
    return hits / draws, width


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "least"), [(2, 0.86), (3, 0.9), (4, 0.91), (5, 0.92), (10, 0.93)]
)
def test_the_interval_holds_trainings_that_vary_by_points(seeds: int, least: float) -> None:
    # Of 2,000 draws of trainings that vary by 3 points, with 1, 2, 3, 4, 5 and 10 seeds: 83, 92,
    # 93, 94, 94 and 96 %; by 1 point: 97 % or more.
    assert _of_trainings(0.03, seeds, 400)[0] >= least
    assert _of_trainings(0.01, seeds, 100)[0] >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "width"), [(2, 4.72), (3, 3.37), (5, 1.98), (10, 1.22)])
def test_where_trainings_vary_little_more_of_them_narrow_the_interval(
    seeds: int, width: float
) -> None:
    coverage, found = _of_trainings(0.003, seeds, 100)
    assert coverage >= 0.95
    assert found == pytest.approx(width, rel=0.01)  # points


def test_it_says_where_the_spread_of_trainings_is_assumed() -> None:
    said = [estimates.accuracy([0.9] * count, 500).scope() for count in (1, 2, 4, 5)]
    assumed = "of another training on other images; how far trainings vary is"
    assert said[0] == f"{assumed} assumed"
    assert said[1] == said[2] == f"{assumed} partly assumed"
    assert said[3] == "of another training on other images"
    rows = np.random.default_rng(0).random((2, 50))
    assert "assumed" not in estimates.over_examples(rows).scope()


def test_an_interval_may_reach_the_end() -> None:
    found = estimates.accuracy([0.9, 1.0], 1000)
    assert found.high == pytest.approx(1.0)


def _of_classes(metric: str, labels: Any, predicted: Any, num_classes: int) -> estimates.Estimate:
    scores = [_score(metric, labels, row, num_classes) for row in predicted]
    found = estimate_by_images(metric, scores, labels, predicted, num_classes)
    assert found is not None
    return found


def _score(metric: str, labels: Any, predicted: Any, num_classes: int) -> float:
    average = "binary" if num_classes == 2 else "macro"
    score = getattr(metrics, metric if metric == "f1_score" else f"{metric}_score")
    options = {} if num_classes == 2 else {"labels": range(num_classes)}
    return float(score(labels, predicted, average=average, zero_division=0, **options))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("num_classes", [2, 5])
@pytest.mark.parametrize("seeds", [1, 3])
def test_an_interval_of_classes_has_a_width_within_0_and_1(
    seeds: int, num_classes: int, metric: str
) -> None:
    labels = np.arange(60) % num_classes
    for share in (0.0, 0.02, 0.5, 1.0):  # of images that are wrong
        wrong = np.arange(60) < share * 60
        predicted = np.tile(np.where(wrong, (labels + 1) % num_classes, labels), (seeds, 1))
        found = _of_classes(metric, labels, predicted, num_classes)
        assert 0 <= found.low <= found.mean <= found.high <= 1
        assert found.high - found.low > 0.01
        assert found.kind == ("both" if seeds > 1 else "rows")
    never = _of_classes(metric, labels, np.zeros((seeds, 60), dtype=int), num_classes)
    assert never.high - never.low > 0.01


@pytest.mark.parametrize(
    ("metric", "num_classes", "positives", "right"),
    [
        ("f1_score", 2, 10, 0.97), ("f1_score", 10, 20, 0.97), ("f1_score", 10, 20, 0.7),
        ("precision", 2, 10, 0.97), ("recall", 2, 100, 0.97),
    ],
)  # fmt: skip
def test_the_interval_of_classes_covers_their_score_on_other_images(
    metric: str, num_classes: int, positives: int, right: float
) -> None:
    rng = np.random.default_rng(8)

    def drawn(size: int) -> tuple[Any, Any]:
        labels = rng.integers(num_classes, size=size)
        other = (labels + rng.integers(1, num_classes, size)) % num_classes
        return labels, np.where(rng.random(size) < right, labels, other)

    true, hits = _score(metric, *drawn(200_000), num_classes), 0
    for _ in range(150):
        labels, predicted = drawn(positives * num_classes)
        found = _of_classes(metric, labels, predicted[None], num_classes)
        hits += found.low <= true <= found.high
    assert hits / 150 >= 0.91


def test_classes_that_are_none_count_as_wrong() -> None:
    labels = np.arange(60) % 3
    predicted = np.where(np.arange(60) < 5, [2**62, -1, 3] * 20, labels)[None]
    found = _of_classes("recall", labels, predicted, 3)
    assert found.mean == pytest.approx(55 / 60, abs=1e-3)


def test_the_interval_of_many_classes_takes_little_memory() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(1000, size=100_000)
    wrong = rng.random((10, 100_000)) < 0.2
    predicted = np.where(wrong, rng.integers(1000, size=wrong.shape), labels)
    scores = [_score("f1_score", labels, row, 1000) for row in predicted]
    tracemalloc.start()
    assert estimate_by_images("f1_score", scores, labels, predicted, 1000) is not None
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100e6  # bytes


def _samples(first: list[list[int]], second: list[list[int]]) -> tuple[Sample, Sample]:
    tables = [np.array(rows, dtype=float) for rows in (first, second)]
    made = [Sample(table.mean(axis=1), table.shape[1], table) for table in tables]
    return made[0], made[1]


def test_the_variance_is_split_as_by_hand() -> None:
    # Two trainings an arm on four images. Scores .75 and .5; .25 and .25.
    first, second = _samples([[1, 1, 1, 0], [1, 1, 0, 0]], [[1, 0, 0, 0], [0, 1, 0, 0]])
    found = crossed.spread(first, second)
    assert found is not None
    assert found.gap == pytest.approx(0.375)
    # Within images: one of four differs in the first arm (variance 1/2), two in the second.
    assert found.noise == pytest.approx((0.125, 0.25))
    # Scores vary by 1/32 in the first arm; not in the second, where noise / images is the floor.
    assert found.units == pytest.approx((1 / 32, 0.25 / 4))
    # Differences of shares: .5, .5, .5, 0; their variance, less the noise of two trainings each.
    assert found.images == pytest.approx(max(np.var([0.5, 0.5, 0.5, 0], ddof=1) - 0.1875, 0))
    assert found.variance == pytest.approx(1 / 64 + 1 / 32)


def test_many_images_leave_a_t_test_over_trainings() -> None:
    scores = np.array([0.91, 0.95, 0.93, 0.96]), np.array([0.90, 0.89, 0.94, 0.91])
    samples = [Sample(s, 10**12) for s in scores]
    found = crossed.spread(samples[0], samples[1])
    assert found is not None
    reference = stats.ttest_ind(*scores, equal_var=False)
    t = abs(float(reference.statistic))
    assert crossed.p_value(found) == pytest.approx(2 * stats.t.sf(t, 3), rel=1e-6)
    assert crossed.spread(Sample(scores[0][:1], 100), samples[1]) is None


def test_what_is_needed_has_the_power_that_is_said() -> None:
    rng = np.random.default_rng(5)
    pair = arms(rng, (0.975, 0.97), (5, 5), 2000, 0.002)
    found = crossed.spread(pair[0].sample, pair[1].sample)
    assert found is not None
    more = crossed.needed(found, 0.005, level(2))
    assert more is not None
    assert crossed.power(found, more, level(2)) >= 0.8
    fewer = Needed(more.units, int(more.images * 0.95), 0.005)
    assert more.images > 2000
    assert crossed.power(found, fewer, level(2)) < 0.8
    right = sum(
        compare(
            arms(rng, (0.975, 0.97), (more.units, more.units), more.images, 0.002), look=2
        ).winner
        == 0
        for _ in range(20)
    )
    assert right >= 15


def test_trainings_are_asked_for_where_they_are_short_and_images_where_those_are() -> None:
    wide = [np.array([0.970, 0.973, 0.976, 0.972, 0.968]) + d for d in (0.0, 0.001)]
    seeds = crossed.spread(Sample(wide[0], 10**9), Sample(wide[1], 10**9))
    assert seeds is not None
    more = crossed.needed(seeds, 0.005, 0.0125)
    assert more is not None
    assert (more.images, more.units > 5) == (10**9, True)
    narrow = [np.array([0.970, 0.971, 0.970, 0.9705, 0.9703]) + d for d in (0.0, 0.001)]
    images = crossed.spread(Sample(narrow[0], 500), Sample(narrow[1], 500))
    assert images is not None
    more = crossed.needed(images, 0.005, 0.0125)
    assert more is not None
    assert more.images > 5000
    assert more.units <= 10


def test_all_looks_together_spend_five_percent() -> None:
    assert sum(level(look) for look in range(1, 50)) == pytest.approx(0.05)
