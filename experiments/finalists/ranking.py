"""Which finalist wins: each is trained again, and their scores on validation are compared."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras

from experiments.config import SearchConfig, is_choice
from experiments.finalists.plan import race_budget
from experiments.finalists.race import Race
from experiments.finalists.race_words import end_line, fresh_line, ranking_line, round_line
from experiments.finalists.trainings import Outcome, Training, Trainings
from experiments.record.durations import REPORT_SECONDS, clock
from experiments.record.seeds import Stream, derive_seed, seeds_of
from experiments.training.network import build_network
from experiments.training.weights import load_weights


@dataclass
class Finalist:
    """A finalist with its trainings.

    Args:
        trial_id: The trial.
        outcomes: Trainings that are tested.
        ranking: Trainings that ranked it among the finalists, which are not tested.
        race: Its outcome in a race; empty without one.
    """

    trial_id: str
    outcomes: list[Outcome] = field(default_factory=list)
    ranking: list[Outcome] = field(default_factory=list)
    race: dict[str, Any] = field(default_factory=dict)

    @property
    def trained(self) -> list[Outcome]:
        """The trainings to test that did not fail."""
        return [outcome for outcome in self.outcomes if outcome.execution is not None]

    @cached_property
    def _model(self) -> keras.Model:
        return build_network(self.outcomes[0].training.task)

    def network(self, outcome: Outcome) -> keras.Model:
        """Returns the network of a training; the same object for all, built and traced once."""
        assert outcome.weights is not None
        load_weights(self._model, outcome.weights)
        return self._model


def mean_score(outcomes: Iterable[Outcome]) -> float:
    """Returns the mean score of trainings that did not fail; NaN without one."""
    scores = [outcome.score for outcome in outcomes if outcome.score is not None]
    return math.fsum(scores) / len(scores) if scores else math.nan


def num_failed(outcomes: Iterable[Outcome]) -> int:
    """Returns how many trainings have no score."""
    return sum(outcome.score is None for outcome in outcomes)


def ranked(names: Sequence[str], means: Sequence[float], direction: str) -> list[str]:
    """Returns names by their mean scores, the best first.

    Args:
        names: In the order of the search, which breaks ties.
        means: One per name; NaN, for one without scores, comes last.
        direction: `"max"` or `"min"`.
    """
    sign = -1.0 if direction == "max" else 1.0
    merit = {n: sign * m if m == m else math.inf for n, m in zip(names, means, strict=True)}
    return sorted(names, key=lambda name: merit[name])


class Ranking:
    """Trains finalists, ranks them, and trains the winner on fresh seeds.

    Args:
        config: The search.
        trainings: Trains.
        make: Makes a training of a trial and a seed.
        say: Called with a line of progress.
        resolution: Smallest possible difference of two scores; see `race.Race`.
        costs: With several objectives, the cost of each finalist; see `race.Race`.
        end: Time of the deadline, by `deadline.clock`; `None` for no deadline.
    """

    def __init__(
        self,
        config: SearchConfig,
        trainings: Trainings,
        make: Callable[[str, int], Training],
        say: Callable[[str], None],
        resolution: float = 0.0,
        end: float | None = None,
        costs: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self._config, self._trainings, self._make, self._say = config, trainings, make, say
        self._resolution, self._end, self._costs = resolution, end, costs or {}

    def of(self, names: Sequence[str]) -> list[Finalist]:
        """Returns the finalists, the winner first.

        A single finalist has no competitor. With several objectives the knee stays first,
        and the others are ranked by the first objective. In both cases no training decides what is
        recommended, and all are tested. The exception is a race of finalists of several objectives.

        Args:
            names: Ids of the trials, in the order of the search.
        """
        if not is_choice(self._config, len(names)):
            runs = self._over_seeds(names, to_test=True)
            first, *others = names
            order = [first, *self._by_mean(others, runs)]
            return [Finalist(name, outcomes=runs[name]) for name in order]
        finalists = self._raced(names) if self._config.race else self._compared(names)
        return self._with_fresh(finalists)

    @property
    def _direction(self) -> str:
        return self._config.parsed_objective.direction

    def _by_mean(self, names: Sequence[str], runs: dict[str, list[Outcome]]) -> list[str]:
        """Returns names by mean score; those of which more trainings failed come after others."""
        order = ranked(names, [mean_score(runs[name]) for name in names], self._direction)
        return sorted(order, key=lambda name: num_failed(runs[name]))

    def _over_seeds(self, names: Sequence[str], to_test: bool) -> dict[str, list[Outcome]]:
        """Trains each with seeds of its own."""
        seed, count = self._config.seed, self._config.seeds
        wanted = [
            self._make(name, s)
            for name in names
            for s in seeds_of(seed, Stream.CONFIRM, name, count)
        ]
        return _by_trial(names, self._trainings.run(wanted, to_test))

    def _compared(self, names: Sequence[str]) -> list[Finalist]:
        """Ranks by the mean over seeds."""
        runs = self._over_seeds(names, to_test=False)
        order = self._by_mean(names, runs)
        means = [mean_score(runs[name]) for name in order]
        failed = [num_failed(runs[name]) for name in order]
        self._say(ranking_line(self._config.parsed_objective.name, order, means, failed))
        return [Finalist(name, ranking=runs[name]) for name in order]

    def _raced(self, names: Sequence[str]) -> list[Finalist]:
        """Trains round by round, with the same seed for all contenders that are left."""
        config, budget = self._config, race_budget(self._config)
        race = Race(names, budget, self._direction, self._resolution, self._costs)
        runs: dict[str, list[Outcome]] = {name: [] for name in names}
        ended_by = None
        while ended_by is None and (left := race.next_round()):
            began = time.monotonic()
            seed = derive_seed(config.seed, Stream.RACE, race.rounds)
            for outcome in self._trainings.run([self._make(name, seed) for name in left]):
                runs[outcome.training.trial_id].append(outcome)
            drops = race.record({name: runs[name][-1].score for name in left})
            self._say(round_line(race, drops))
            training_seconds = (time.monotonic() - began) / len(left)
            if self._is_due(training_seconds * (len(left) + config.seeds)) and race.next_round():
                ended_by = "deadline"
        ended_by = ended_by or race.ending
        self._say(end_line(race, ended_by))
        facts = {"budget": config.confirm * config.seeds, "kept_back": config.seeds}
        facts |= {"spent": race.spent, "rounds": race.rounds}
        return [
            Finalist(
                name, ranking=runs[name], race={**facts, "ended_by": ended_by} | race.place(name)
            )
            for name in race.ranking()
        ]

    def _is_due(self, seconds: float) -> bool:
        """Whether work that takes `seconds` would miss the deadline."""
        left = None if self._end is None else self._end - clock()
        return left is not None and left < seconds + REPORT_SECONDS

    def _with_fresh(self, finalists: Sequence[Finalist]) -> list[Finalist]:
        """Trains the winner on fresh seeds; if all these trainings fail, the next finalist."""
        winner = None
        for finalist in finalists:
            seeds = seeds_of(self._config.seed, Stream.FRESH, finalist.trial_id, self._config.seeds)
            wanted = [self._make(finalist.trial_id, seed) for seed in seeds]
            if winner is None and mean_score(finalist.ranking) == mean_score(finalist.ranking):
                self._say(fresh_line(finalist.trial_id, len(wanted)))
                finalist.outcomes = self._trainings.run(wanted, to_test=True)
                winner = finalist if finalist.trained else None
            else:  # trainings that an earlier session tested stay
                finalist.outcomes = self._trainings.tested(wanted)
        first = [winner] if winner else []
        return [*first, *(f for f in finalists if f is not winner)]


def _by_trial(names: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {name: [] for name in names}
    for outcome in outcomes:
        found[outcome.training.trial_id].append(outcome)
    return found
