"""Which finalist wins, on scores that are given: nothing is trained."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from experiments import SearchConfig, UserError
from experiments.config import num_trainings
from experiments.data.prepare import PreparedData
from experiments.finalists.ranking import Finalist, Ranking, mean_score
from experiments.finalists.record import is_done, left_out
from experiments.finalists.testing import write_predictions
from experiments.finalists.trainings import Outcome, Training, Trainings
from experiments.record.seeds import Stream, seeds_of
from experiments.record.test_uses import (
    look_digest,
    note_look,
    note_test_use,
    read_looks,
    read_uses,
)
from experiments.studies.reopen import Opened
from experiments.studies.retrain import confirm_trial
from experiments.training.task import Execution
from reports import load_study
from reports.analysis.test_looks import looks_before
from tests.reports.synthetic import Synthetic, write_study

NAMES = ["0004", "0001", "0007"]  # in the order of the search


class Given:
    """Trainings whose scores are given: trial -> one a training, `None` for a failure."""

    def __init__(self, **scores: Sequence[float | None]) -> None:
        self._scores = {name.removeprefix("t"): list(of) for name, of in scores.items()}
        self.to_test: list[str] = []

    def run(self, wanted: Sequence[Training], to_test: bool = False) -> list[Outcome]:
        self.to_test += [training.trial_id for training in wanted if to_test]
        return [self._outcome(training) for training in wanted]

    def tested(self, wanted: Sequence[Training]) -> list[Outcome]:
        return []

    def _outcome(self, training: Training) -> Outcome:
        score = self._scores[training.trial_id].pop(0)
        if score is None:
            return Outcome(training, failure="NotANumberError")
        return Outcome(training, Execution(training.seed, {}, score=score))


def config(**options: Any) -> SearchConfig:
    return SearchConfig("mnist_cnn", **({"confirm": 3, "seeds": 2, "method": "tpe"} | options))


def rank(given: Given, costs: Any = None, **options: Any) -> list[Finalist]:
    def make(trial_id: str, seed: int) -> Training:
        return Training(trial_id, seed, cast(Any, None))

    trainings = cast(Trainings, given)
    ranking = Ranking(config(**options), trainings, make, lambda line: None, costs=costs)
    return ranking.of(NAMES)


def ids(finalists: Sequence[Finalist]) -> list[str]:
    return [finalist.trial_id for finalist in finalists]


def test_finalists_are_ranked_by_the_mean_of_their_trainings() -> None:
    given = Given(t0004=[0.9, 0.8], t0001=[0.91, 0.9, 0.7, 0.6], t0007=[0.99, 0.7])
    found = rank(given)
    assert ids(found) == ["0001", "0004", "0007"]  # the search had put it second
    assert given.to_test == ["0001", "0001"]
    assert [outcome.score for outcome in found[0].outcomes] == [0.7, 0.6]  # whatever they are
    assert [outcome.training.seed for outcome in found[0].outcomes] == seeds_of(
        0, Stream.FRESH, "0001", 2
    )
    assert not found[1].outcomes


def test_less_is_better_where_the_objective_says_so_and_equal_ones_stay_in_order() -> None:
    given = Given(t0004=[0.4, 0.4], t0001=[0.1, 0.3, 0.1, 0.1], t0007=[0.3, 0.1])
    assert ids(rank(given, objective="val_loss")) == ["0001", "0007", "0004"]


def test_who_fails_more_often_comes_after_others() -> None:
    given = Given(t0004=[0.87, None], t0001=[0.9, 0.8, 0.9, 0.9], t0007=[None, None])
    assert ids(rank(given)) == ["0001", "0004", "0007"]


def test_where_all_fresh_trainings_fail_the_next_one_wins() -> None:
    given = Given(t0004=[0.9, 0.9, None, None], t0001=[0.8, 0.8, 0.8, None], t0007=[0.7, 0.7])
    first, second, _ = rank(given)
    assert (first.trial_id, second.trial_id) == ("0001", "0004")
    assert [o.failure for o in second.outcomes] == ["NotANumberError"] * 2


def test_of_several_objectives_the_knee_stays_first_and_all_are_tested() -> None:
    given = Given(t0004=[0.7, 0.7], t0001=[0.8, 0.8], t0007=[0.9, 0.9])
    found = rank(given, objective=["val_accuracy", "params"])
    assert ids(found) == ["0004", "0007", "0001"]
    assert all(len(f.outcomes) == 2 and not f.ranking for f in found)


def test_a_race_keeps_trainings_for_its_winner() -> None:
    scores: Any = {n: [s] * 20 for n, s in (("t0004", 0.7), ("t0001", 0.9), ("t0007", 0.8))}
    found = rank(Given(**scores), race=True, seeds=6)
    assert ids(found)[0] == "0001"
    assert [len(f.ranking) for f in found] == [3, 3, 3]
    assert [len(f.outcomes) for f in found] == [6, 0, 0]
    race = found[0].race
    assert (race["budget"], race["kept_back"], race["spent"]) == (18, 6, 9)


def test_finalists_of_several_objectives_race_against_what_costs_no_more() -> None:
    scores: Any = {n: [s] * 20 for n, s in (("t0004", 0.7), ("t0001", 0.9), ("t0007", 0.6))}
    objectives = {"objective": ["val_accuracy", "params"], "race": True, "seeds": 6}
    costs = {"0004": [50.0], "0001": [80.0], "0007": [10.0]}
    found = rank(Given(**scores), costs, **objectives)
    assert ids(found) == ["0004", "0001", "0007"]  # each is worth what it costs: the knee stays
    assert [f.race["standing"] for f in found] == ["worth", "worth", "cheapest"]
    assert [len(f.outcomes) for f in found] == [6, 0, 0]  # the recommended one alone is tested
    found = rank(Given(**scores), costs | {"0001": [50.0]}, **objectives)
    assert ids(found) == ["0001", "0007", "0004"]  # what costs no more has taken the knee's place
    assert found[2].race["against"] == "0001"
    assert (found[0].race["ended_by"], found[0].race["spent"]) == ("front", 11)


def test_a_race_needs_costs_that_are_known() -> None:
    with pytest.raises(UserError, match="among networks whose costs are known: val_loss varies"):
        config(objective=["val_accuracy", "val_loss"], race=True, seeds=6)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"confirm": 1, "seeds": 3}, 3),
        ({"confirm": 3, "seeds": 2}, 8),
        ({"confirm": 3, "seeds": 5, "race": True}, 15),
        ({"confirm": 3, "seeds": 2, "objective": ["val_accuracy", "params"]}, 6),
        ({"confirm": 0, "seeds": 2}, 0),
    ],
)
def test_trainings_are_counted_for_the_deadline(options: dict[str, Any], expected: int) -> None:
    assert num_trainings(config(**options)) == expected


def record(trial_id: str, tested: int, ranking: int | None, **facts: Any) -> dict[str, Any]:
    runs = [{"seed": seed} for seed in range(10)]
    made = {"trial_id": trial_id, "runs": runs[:tested], "exported_run": 0 if tested else None,
            "max_epochs": 10, "patience": 3}  # fmt: skip
    return made | ({} if ranking is None else {"ranking": runs[:ranking]}) | facts


RACE = {"race": {"budget": 6, "ended_by": "budget"}}
FAILED = [{"seed": 1, "message": "nan"}]
LOST = [{"seed": 1, "message": "the worker process was lost: WorkerCrashedError: no node"}]


@pytest.mark.parametrize(
    ("records", "options", "expected"),
    [
        # As earlier commits wrote them: in the order of the search, all tested.
        ([record("0004", 3, None), record("0001", 3, None)], {}, True),
        ([record("0004", 3, None), record("0001", 2, None, failed=FAILED)], {}, True),
        ([record("0004", 3, None, **RACE), record("0001", 2, None, **RACE)], {"race": True}, True),
        ([record("0004", 3, None), record("0001", 3, None)], {"seeds": 4}, False),
        ([record("0004", 3, None)], {}, False),
        # Ranked.
        ([record("0001", 3, 3), record("0004", 0, 3)], {}, True),
        ([record("0001", 3, 3), record("0004", 0, 2)], {}, False),
        ([record("0001", 2, 3), record("0004", 0, 3)], {}, False),
        ([record("0001", 2, 3, failed=FAILED), record("0004", 0, 3)], {}, True),
        ([record("0001", 2, 3, failed=LOST), record("0004", 0, 3)], {}, False),
        ([record("0001", 3, 3), record("0004", 0, 3)], {"max_epochs": 9}, False),
        ([record("0001", 3, 3, **RACE), record("0004", 0, 2, **RACE)], {"race": True}, True),
        ([record("0001", 2, 3, **RACE), record("0004", 0, 2, **RACE)], {"race": True}, False),
        ([record("0001", 3, 3), record("0004", 0, 3)], {"race": True}, False),
        # More than is asked for is not forgotten.
        ([record("0004", 3, None), record("0001", 3, None)], {"seeds": 2}, True),
        ([record("0001", 3, 3), record("0004", 0, 3)], {"seeds": 1}, True),
        ([record("0001", 3, 3), record("0007", 0, 3), record("0004", 0, 3)], {}, True),
        ([record("0001", 3, 3), record("0007", 0, 3)], {}, False),
    ],
)
def test_what_was_confirmed_before_is_done(
    records: list[dict[str, Any]], options: dict[str, Any], expected: bool
) -> None:
    asked = config(**({"confirm": 2, "seeds": 3} | options))
    assert is_done(records, asked, ["0004", "0001"]) is expected


def test_trainings_that_leave_the_record_are_kept() -> None:
    before = [record("0001", 3, 2), record("0004", 0, 3)]
    now = [record("0001", 2, None)]
    (first, second) = left_out(before, now)
    assert [run["seed"] for run in first["runs"]] == [2]
    assert first["ranking"] == []
    assert (second["trial_id"], len(second["ranking"])) == ("0004", 3)
    assert left_out([first, second, *now], [*before, *now]) == []
    other = record("0001", 2, None) | {"max_epochs": 4}  # other trainings by the same seeds
    assert [r["max_epochs"] for r in left_out([other], now)] == [4]


@pytest.fixture
def data() -> PreparedData:
    return PreparedData("folder", "digits", ("a", "b"), (8, 8, 1), {"test": 15}, "f1")


def test_each_opening_of_test_is_noted_once(tmp_path: Path, data: PreparedData) -> None:
    how = {"max_epochs": 3, "patience": None}
    note_test_use(tmp_path, "finalists", data, how, [("0001", 5), ("0001", 6)])
    note_test_use(tmp_path, "finalists", data, how, [("0001", 5)])  # as after an interruption
    assert len(read_uses(tmp_path)) == 1
    note_test_use(tmp_path, "compare", data, how, [("0001", 6), ("0001", 7)])
    note_test_use(tmp_path, "finalists", data, how | {"max_epochs": 4}, [("0001", 5)])
    note_test_use(tmp_path, "compare", data, how, [])
    uses = read_uses(tmp_path)
    assert [use["by"] for use in uses] == ["finalists", "compare", "finalists"]
    assert [[t["seed"] for t in use["trainings"]] for use in uses] == [[5, 6], [7], [5]]
    assert {use["fingerprint"] for use in uses} == {"f1"}


def test_the_same_look_again_is_no_other_look(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(num_trials=4))
    study = load_study(folder)
    arms = [("b", "0001"), ("a", "0002")]
    runs = [{"seed": seed, "test": {"accuracy": 0.9}} for seed in range(4)]
    first = look_digest({"a": runs[:2], "b": runs[:2]})
    assert first == look_digest({"b": runs[1::-1], "a": runs[:2]})
    second = look_digest({"a": runs, "b": runs[:2]})
    facts = {"trainings": {"a": 2, "b": 2}, "images": 200}
    assert looks_before(study, arms, first) == 0
    for digest in (first, first, second, first):
        assert note_look(folder, reversed(arms), facts | {"digest": digest})
    assert [look["digest"] for look in read_looks(folder)] == [first, second]
    assert read_looks(folder)[0]["arms"] == [["a", "0002"], ["b", "0001"]]
    assert looks_before(study, arms, first) == 0
    assert looks_before(study, arms, second) == 1
    assert looks_before(study, arms, "third") == 2
    assert looks_before(study, [("a", "0002"), ("c", "0001")], first) == 0


def test_a_look_at_a_folder_that_can_not_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file")
    facts = {"trainings": {}, "images": 1, "digest": "d"}
    assert not note_look(tmp_path, [("a", "1"), ("b", "2")], facts)


def test_trainings_that_chose_the_winner_flatter_it_and_its_fresh_ones_do_not() -> None:
    rng = np.random.default_rng(5)
    ranking, fresh = [], []
    for _ in range(400):
        scores: Any = {f"t{name}": list(rng.normal(0.9, 0.01, 4)) for name in NAMES}
        winner = rank(Given(**scores))[0]
        ranking.append(mean_score(winner.ranking))
        fresh.append(mean_score(winner.outcomes))
    assert np.mean(ranking) > 0.904  # by 0.85 standard errors of a mean of two
    assert np.mean(fresh) == pytest.approx(0.9, abs=3 * 0.01 / np.sqrt(2 * 400))


def confirmed_seeds(folder: Path, patch: pytest.MonkeyPatch, trial_id: str, data: Any) -> set[int]:
    """Returns the seeds with which `compare --seeds 2` trains a trial."""
    predicted = np.zeros(15, np.uint8)

    def train(opened: Any, training: Any) -> Any:
        test = {"accuracy": 1.0, "loss": 0.1}
        return {"seed": training.seed, "score": 0.9, "test": test, "test_size": 15}, predicted

    patch.setattr("experiments.studies.retrain._train_and_test", train)
    labels = SimpleNamespace(labels=np.zeros(15, int))
    patch.setattr(PreparedData, "open", lambda self, split: labels)
    opened = Opened(load_study(folder), config(seed=7, seeds=2, max_epochs=5), data)
    before = {training["seed"] for use in read_uses(folder) for training in use["trainings"]}
    confirm_trial(opened, trial_id, 2)
    after = {training["seed"] for use in read_uses(folder) for training in use["trainings"]}
    return after - before


def test_a_comparison_tests_what_was_ranked_on_seeds_that_did_not_rank_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: PreparedData
) -> None:
    folder = write_study(tmp_path, Synthetic(num_trials=6))
    best, other, third = load_study(folder).completed["trial_id"][:3]
    ranking = {n: seeds_of(7, Stream.CONFIRM, n, 2) for n in (best, other)}
    fresh = {n: seeds_of(7, Stream.FRESH, n, 2) for n in (best, other)}
    tested = {"test": {"accuracy": 1.0}, "test_size": 15, "score": 0.9}
    records = [
        {"trial_id": n, "runs": [{"seed": s, **tested} for s in fresh[n] if n == best],
         "ranking": [{"seed": s, "score": 0.9} for s in ranking[n]],
         "max_epochs": 5, "patience": 3, "exported_run": 0 if n == best else None}
        for n in (best, other)
    ]  # fmt: skip
    (folder / "artifacts" / "finalists.json").write_text(json.dumps(records))
    said: Any = {best: dict.fromkeys(fresh[best], np.zeros(15, np.uint8))}
    write_predictions(folder / "artifacts" / "finalists.npz", np.zeros(15, int), said)
    assert confirmed_seeds(folder, monkeypatch, best, data) == set()  # tested as a finalist
    assert confirmed_seeds(folder, monkeypatch, other, data) == set(fresh[other])
    assert confirmed_seeds(folder, monkeypatch, other, data) == set()
    expected = set(seeds_of(7, Stream.CONFIRM, third, 2))  # as ever: it was never ranked
    assert confirmed_seeds(folder, monkeypatch, third, data) == expected
