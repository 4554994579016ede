"""One bracket of Hyperband: how many trials each round has, and which is promoted next."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.methods.oracles.base import Status
from experiments.record.errors import UserError
from experiments.record.methods import FACTOR


def check_factor(factor: float) -> None:
    """Checks that epochs are divided by it.

    Raises:
        UserError: They are not: it is below 2.
    """
    least = FACTOR.least or 0
    if factor < least:
        raise UserError(f"factor should be {least} or more; got {factor}")


@dataclass(frozen=True)
class Plan:
    """How Hyperband divides its epochs.

    Sizes and epochs are Keras Tuner's. Source: Li et al., "Hyperband: A Novel Bandit-Based
    Approach to Hyperparameter Optimization", JMLR 2018.

    Args:
        max_epochs: Epochs of a trial in the last round.
        factor: Share of trials that is promoted, as a divisor; at least 2.
        first_trial: Number of the first trial that it holds for.

    Raises:
        UserError: The factor is below 2.
    """

    max_epochs: int
    factor: int = 3
    first_trial: int = 0

    def __post_init__(self) -> None:
        check_factor(self.factor)

    @property
    def num_brackets(self) -> int:
        """Number of brackets of a sweep; the first has as many rounds."""
        count = 1
        while self.factor**count <= self.max_epochs:
            count += 1
        return count

    def size(self, bracket: int, round_number: int) -> int:
        """Returns the number of trials of a round."""
        last = math.ceil(1 + math.log(self.max_epochs, self.factor)) / (bracket + 1)
        return math.ceil(last * float(self.factor) ** (bracket - round_number))

    @property
    def num_trials(self) -> int:
        """Number of trials of a sweep, promoted ones included."""
        rounds = [(b, r) for b in range(self.num_brackets) for r in range(b + 1)]
        return sum(self.size(bracket, round_number) for bracket, round_number in rounds)

    def epochs(self, bracket: int, round_number: int) -> int:
        """Returns the epochs that a trial has been trained for at the end of a round."""
        return math.ceil(self.max_epochs / float(self.factor) ** (bracket - round_number))


@dataclass
class Bracket:
    """The trials of a bracket.

    Args:
        plan: Its plan.
        number: Its number, of rounds after the first.
        sweep: The sweep over all brackets that it belongs to.
        rounds: Ids of the trials of each round.
        origins: Promoted trial -> trial that it continues.
    """

    plan: Plan
    number: int
    sweep: int = 0
    rounds: list[list[str]] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rounds = self.rounds or [[] for _ in range(self.number + 1)]

    def add(self, trial_id: str, round_number: int, origin: str | None = None) -> None:
        """Takes a trial into a round."""
        self.rounds[round_number].append(trial_id)
        if origin is not None:
            self.origins[trial_id] = origin

    @property
    def room(self) -> int:
        """Trials that the first round still lacks."""
        return self.plan.size(self.number, 0) - len(self.rounds[0])

    def expected(self, trials: Mapping[str, Any], exhausted: bool) -> list[int]:
        """Returns the number of trials of each round, less where earlier ones failed.

        Args:
            trials: trial id -> trial.
            exhausted: Whether the space has nothing left for the first round.
        """
        sizes = [len(self.rounds[0]) if exhausted else self.plan.size(self.number, 0)]
        for number in range(1, len(self.rounds)):
            failed = sum(trials[i].status == Status.FAILED for i in self.rounds[number - 1])
            sizes.append(min(self.plan.size(self.number, number), sizes[-1] - failed))
        return sizes

    def waiting(self, round_number: int) -> list[str]:
        """Returns the trials of a round that were not promoted."""
        promoted = set(self.origins.values())
        return [i for i in self.rounds[round_number] if i not in promoted]

    def promotion(
        self, trials: Mapping[str, Any], exhausted: bool, best: Callable[[list[Any]], Any]
    ) -> tuple[int, str] | None:
        """Returns the round and the trial to be promoted into it, if one is sure to be.

        As soon as more trials have ended than will be left behind, the best of them is among
        those promoted, however the others end; a failed one is left behind.
        """
        sizes = self.expected(trials, exhausted)
        for number in range(1, len(self.rounds)):
            if len(self.rounds[number]) >= sizes[number]:
                continue
            waiting = [trials[i] for i in self.waiting(number - 1)]
            ended = [t for t in waiting if t.status in (Status.COMPLETED, Status.FAILED)]
            completed = [t for t in ended if t.status == Status.COMPLETED]
            if completed and len(ended) > sizes[number - 1] - sizes[number]:
                return number, best(completed).trial_id
        return None

    def complete(self, trials: Mapping[str, Any], exhausted: bool) -> bool:
        """Whether no trial of it can come any more."""
        sizes = self.expected(trials, exhausted)
        return all(len(r) >= size for r, size in zip(self.rounds, sizes, strict=True))
