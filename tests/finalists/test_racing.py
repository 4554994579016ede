"""The rule of a race, on scores whose true means are known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from experiments.finalists.race import Race
from experiments.finalists.race_words import end_line, round_line


def simulated(
    rng: np.random.Generator, means: Sequence[float], spreads: Sequence[float], budget: int
) -> Race:
    """Runs a race of contenders with these means; a round shares a part of its luck."""
    race = Race([str(i) for i in range(len(means))], budget, resolution=1e-4)
    while names := race.next_round():
        luck = rng.normal(0, 0.002)
        drawn = {n: means[int(n)] + luck + rng.normal(0, spreads[int(n)]) for n in names}
        race.record({n: round(score, 4) for n, score in drawn.items()})
    return race


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spreads", "budget"),
    [
        ([0.004] * 2, 20),
        ([0.004] * 4, 20),
        ([0.004] * 8, 40),
        ([0.001, 0.001, 0.001, 0.02], 40),
    ],
)
def test_equal_contenders_are_not_separated(spreads: list[float], budget: int) -> None:
    rng = np.random.default_rng(0)
    races = [simulated(rng, [0.97] * len(spreads), spreads, budget) for _ in range(500)]
    assert sum(bool(race.drops) for race in races) <= 0.05 * len(races)
    assert all(race.spent <= budget for race in races)
    assert sum(len(race.alive) == 1 for race in races) <= 0.05 * len(races)


def test_clearly_better_ones_are_separated_and_the_rest_of_the_budget_is_saved() -> None:
    rng = np.random.default_rng(0)
    races = [simulated(rng, [0.97, 0.95, 0.95, 0.95], [0.004] * 4, 40) for _ in range(200)]
    assert all(race.alive == ["0"] for race in races)
    assert np.mean([race.spent for race in races]) < 25


def test_contenders_get_the_trainings_of_those_that_were_dropped() -> None:
    rng = np.random.default_rng(0)
    races = [simulated(rng, [0.97, 0.97, 0.9, 0.9, 0.9, 0.9], [0.004] * 6, 30) for _ in range(200)]
    assert np.mean([race.rounds for race in races]) > 7  # without a race, five each
    assert all(not {"2", "3", "4", "5"} & set(race.alive) for race in races)


def run(race: Race, *rounds: Sequence[float | None]) -> list[Any]:
    return [
        drop
        for scores in rounds
        for drop in race.record(dict(zip(race.alive, scores, strict=True)))
    ]


def test_nothing_is_dropped_before_the_third_round_and_never_without_a_gap() -> None:
    race = Race(["a", "b"], 40)
    assert not run(race, [0.9, 0.1], [0.9, 0.1])
    (drop,) = run(race, [0.9, 0.1])
    assert (drop.name, drop.round, drop.against, drop.p_value) == (
        "b",
        3,
        "a",
        pytest.approx(0, abs=1e-20),
    )
    assert race.next_round() == []
    same = Race(["a", "b"], 40)
    assert not run(same, *[[0.9, 0.9]] * 20)
    assert same.best() == "a"


def test_a_gap_below_the_resolution_is_none() -> None:
    rounds = [[0.9, 0.899]] * 3
    assert run(Race(["a", "b"], 20), *rounds)
    assert not run(Race(["a", "b"], 20, resolution=0.01), *rounds)


def test_p_values_are_those_of_scipy() -> None:
    from scipy import stats

    race = Race(["a", "b"], 20)
    run(race, [0.9, 0.87], [0.91, 0.9], [0.92, 0.9], [0.9, 0.91])
    expected = stats.ttest_rel([0.9, 0.91, 0.92, 0.9], [0.87, 0.9, 0.9, 0.91]).pvalue
    assert race._p_values()["a", "b"] == pytest.approx(expected)


def test_less_is_better_where_the_direction_says_so_and_failures_leave() -> None:
    race = Race(["a", "b", "c"], 30, direction="min")
    drops = run(race, [0.5, None, 0.1])
    assert [(drop.name, drop.against) for drop in drops] == [("b", "")]
    run(race, [0.5, 0.1], [0.51, 0.11])
    assert (race.best(), race.ranking()) == ("c", ["c", "a", "b"])
    assert race.place("b") == {"mean": pytest.approx(float("nan"), nan_ok=True),
                               "outcome": "failed", "round": 1}  # fmt: skip
    assert race.place("a")["outcome"] == "dropped"
    assert race.place("c") == {"mean": pytest.approx(0.31 / 3), "outcome": "won"}


def test_it_is_told_in_words() -> None:
    race = Race(["0003", "0001"], 8)
    drops = run(race, [0.9, 0.8], [0.91, 0.8], [0.9, 0.81])
    assert round_line(race, drops) == (
        "race, round 3, 6 of 8 trainings: 0003 0.9033, 0001 0.8033; "
        f"0001 is out: 0.1000 worse than 0003 (p {drops[0].p_value:.2g}, 0.03 needed)"
    )
    assert end_line(race, "separated") == (
        "race: 0003 is separated from all others after 6 trainings"
    )
    open_race = Race(["a", "b"], 3)
    run(open_race, [0.9, 0.9])
    assert open_race.next_round() == []
    assert end_line(open_race, "budget") == (
        "race: the budget ended before a was separated from b; it has the best mean"
    )


def test_who_failed_has_not_been_separated() -> None:
    race = Race(["a", "b", "c"], 30)
    run(race, [0.9, 0.8, None], [0.91, 0.8], [0.9, 0.81])
    assert race.ending == "separated"
    assert end_line(race, race.ending) == (
        "race: a is separated from b after 7 trainings; the training of c failed"
    )


def test_one_that_is_left_alone_by_failures_has_not_been_separated() -> None:
    race = Race(["a", "b"], 10)
    race.record({"a": 0.9, "b": None})
    assert race.next_round() == []
    assert race.ending == "failed"
    assert race.place("a")["outcome"] == "left"
    assert "only a is left" in end_line(race, race.ending)


def raced_front(
    rng: np.random.Generator, means: Sequence[float], costs: Sequence[float], budget: int
) -> Race:
    """Runs a race of contenders of which each costs something."""
    names = [str(i) for i in range(len(means))]
    by_name = {name: [cost] for name, cost in zip(names, costs, strict=True)}
    race = Race(names, budget, resolution=1e-4, costs=by_name)
    while alive := race.next_round():
        race.record({n: round(means[int(n)] + rng.normal(0, 0.004), 4) for n in alive})
    return race


def test_a_cheaper_network_that_is_worse_stays_and_a_dearer_one_that_is_worse_leaves() -> None:
    rng = np.random.default_rng(0)
    # The knee, a cheaper and worse one, a dearer and better one, a dearer and worse one.
    races = [raced_front(rng, [0.95, 0.9, 0.98, 0.93], [20, 10, 40, 30], 80) for _ in range(100)]
    assert all(sorted(race.alive) == ["0", "1", "2"] for race in races)
    assert {race.drops[0].against for race in races} == {"0"}
    assert {race.best() for race in races} == {"0"}
    assert {race.ending for race in races} == {"front"}
    assert np.mean([race.spent for race in races]) < 30  # what is known is not trained further
    place = races[0].place
    assert [place(n)["standing"] for n in "012"] == ["worth", "cheapest", "worth"]


def test_what_drops_the_knee_is_recommended_in_its_place() -> None:
    rng = np.random.default_rng(0)
    race = raced_front(rng, [0.9, 0.95, 0.97], [20, 10, 40], 60)
    assert (race.best(), race.ranking()[0]) == ("1", "1")
    assert race.ranking()[-1] == "0"
    assert "0 is out" in round_line(race, race.drops)
    assert "worse than 1, which costs no more" in round_line(race, race.drops)
    assert end_line(race, race.ending) == (
        "race: 1 and 2 are left, each is clearly better than what costs less, or costs least; "
        "1 is recommended"
    )


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4, 8])
def test_dearer_networks_that_are_as_good_are_seldom_told_apart(count: int) -> None:
    rng = np.random.default_rng(1)
    costs = list(range(count, 0, -1))
    races = [raced_front(rng, [0.97] * count, costs, 8 * count) for _ in range(300)]
    told = [bool(race.drops or race._worth) for race in races]
    assert np.mean(told) <= 0.06


def test_costs_that_are_the_same_for_all_change_nothing() -> None:
    scores = np.random.default_rng(2).normal([0.95, 0.9, 0.94, 0.92], 0.02, (10, 4))
    races = [Race(list("abcd"), 40), Race(list("abcd"), 40, costs={n: [1.0] for n in "abcd"})]
    for race in races:
        for row in scores:
            if names := race.next_round():
                race.record({n: float(row["abcd".index(n)]) for n in names})
    assert races[0].drops == races[1].drops
    assert races[0].drops
