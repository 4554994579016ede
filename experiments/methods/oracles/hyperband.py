"""Hyperband that survives failures, small spaces and parallel workers, and that resumes."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras_tuner
from keras_tuner.engine import trial as trial_module

from experiments.methods.oracles.base import DurableOracle, Status
from experiments.methods.oracles.hyperband_brackets import Bracket, Plan

_BOOKKEEPING = ("tuner/epochs", "tuner/initial_epoch", "tuner/bracket", "tuner/round")


class HyperbandOracle(DurableOracle, keras_tuner.oracles.HyperbandOracle):
    """Keras Tuner's Hyperband with brackets that are made of the trials there are.

    Args:
        max_epochs: Epochs of a trial in the last round.
        factor: Share of trials that is promoted, as a divisor.
        hyperband_iterations: Sweeps over all brackets; as many as `max_trials` allows if `None`.
        plans: Plans that held before, with the number of the first trial of each; brackets that
            were begun are ended as they were planned.
        **kwargs: Arguments of `keras_tuner.Oracle`.

    Raises:
        UserError: The factor is below 2.
    """

    def __init__(
        self,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int | None = 1,
        plans: Sequence[Plan] = (),
        **kwargs: Any,
    ) -> None:
        plan = Plan(max_epochs, factor)
        max_trials = kwargs.pop("max_trials", None)
        seed = kwargs.get("seed")
        super().__init__(
            max_epochs=max_epochs,
            factor=factor,
            hyperband_iterations=hyperband_iterations or 0,
            **kwargs,
        )
        self.max_trials = max_trials
        self.seed = self.seed if seed is None else int(seed)
        self._sweeps = hyperband_iterations
        self._plans = list(plans) or [plan]
        self._open: list[Bracket] = []
        self._last: Bracket | None = None
        self._size_when_exhausted: int | None = None  # hyperparameters there were

    @property
    def _exhausted(self) -> bool:
        """Whether the space has nothing left, unless a trial has brought hyperparameters since."""
        return self._size_when_exhausted == len(self.hyperparameters.space)

    def _start_new_bracket(self) -> None:
        """Nothing is begun before its first trial."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the next trial: one of a first round, or one promoted."""
        self._open = [b for b in self._open if not b.complete(self.trials, self._exhausted)]
        for bracket in self._open:
            values = self._drawn(trial_id, bracket) or self._promoted(trial_id, bracket)
            if values:
                return {"status": Status.RUNNING, "values": values}
        following = self._following(int(trial_id))
        if following is not None and (values := self._drawn(trial_id, following)):
            self._begin(following)
            return {"status": Status.RUNNING, "values": values}
        return {"status": Status.IDLE if self.ongoing_trials else Status.STOPPED}

    def _drawn(self, trial_id: str, bracket: Bracket) -> dict[str, Any] | None:
        if bracket.room <= 0 or self._exhausted:
            return None
        values = self._random_values()
        if values is None:
            if not self.ongoing_trials:  # which may yet bring new hyperparameters
                self._size_when_exhausted = len(self.hyperparameters.space)
            return None
        bracket.add(trial_id, 0)
        return values | self._bookkeeping(bracket, 0)

    def _promoted(self, trial_id: str, bracket: Bracket) -> dict[str, Any] | None:
        promotion = bracket.promotion(self.trials, self._exhausted, self._best)
        if promotion is None:
            return None
        round_number, origin = promotion
        bracket.add(trial_id, round_number, origin)
        values: dict[str, Any] = self.trials[origin].hyperparameters.values
        return values | self._bookkeeping(bracket, round_number) | {"tuner/trial_id": origin}

    def _best(self, trials: list[Any]) -> trial_module.Trial:
        return (max if self.objective.direction == "max" else min)(trials, key=lambda t: t.score)

    @staticmethod
    def _bookkeeping(bracket: Bracket, round_number: int) -> dict[str, int]:
        before = bracket.plan.epochs(bracket.number, round_number - 1) if round_number else 0
        epochs = bracket.plan.epochs(bracket.number, round_number)
        return dict(zip(_BOOKKEEPING, (epochs, before, bracket.number, round_number), strict=True))

    def _begin(self, bracket: Bracket) -> None:
        self._open.append(bracket)
        self._last = bracket

    def _following(self, number: int) -> Bracket | None:
        """Returns the bracket to be begun with trial `number`; `None` after the last sweep."""
        plan = [p for p in self._plans if p.first_trial <= number][-1]
        last = self._last
        if last is None:
            return Bracket(plan, plan.num_brackets - 1)
        if last.plan == plan and last.number > 0:
            return Bracket(plan, last.number - 1, last.sweep)
        sweep = last.sweep + 1 if last.plan == plan else 0
        if self._sweeps is not None and sweep >= self._sweeps:
            return None
        return Bracket(plan, plan.num_brackets - 1, sweep)

    def wanted(self) -> set[str]:
        """Returns the trials that may yet be promoted."""
        found: set[str] = set()
        for bracket in self._open:
            sizes = bracket.expected(self.trials, self._exhausted)
            for number in range(1, len(sizes)):
                if len(bracket.rounds[number]) < sizes[number]:
                    found.update(bracket.waiting(number - 1))
        return {i for i in found if self.trials[i].status != Status.FAILED}

    def rebuild(self, trials: Iterable[Any]) -> None:
        """Sets the state to what it was after `trials`."""
        super().rebuild(trials)
        self._open, self._last, self._size_when_exhausted = [], None, None
        for trial_id, trial in self.trials.items():
            self._place(trial_id, trial.hyperparameters.values)

    def trials_with(self, sweeps: int) -> int:
        """Returns the number of trials after sweeps of the last plan, with those of earlier plans.

        Args:
            sweeps: Sweeps over all brackets.
        """
        plan = self._plans[-1]
        earlier = (bracket for bracket in self._open if bracket.plan != plan)
        expected = (sum(bracket.expected(self.trials, self._exhausted)) for bracket in earlier)
        return sweeps * plan.num_trials + sum(expected)

    def _place(self, trial_id: str, values: dict[str, Any]) -> None:
        round_number, origin = int(values.get("tuner/round", 0)), values.get("tuner/trial_id")
        if round_number:
            for bracket in self._open:
                if origin in bracket.rounds[:round_number][-1]:
                    bracket.add(trial_id, round_number, origin)
            return
        number = values.get("tuner/bracket")
        room = [b for b in self._open if b.number == number and b.room > 0]
        if not room:
            following = self._following(int(trial_id))
            if following is None:
                return
            self._begin(following)
            room = [following]
        room[-1].add(trial_id, 0)

    def get_state(self) -> dict[str, Any]:
        """Returns the state as Keras Tuner's own oracle reads it."""
        self._brackets = [
            {
                "bracket_num": bracket.number,
                "rounds": [
                    [{"past_id": bracket.origins.get(i), "id": i} for i in trials]
                    for trials in bracket.rounds
                ],
            }
            for bracket in self._open
        ]
        if self._last is not None:
            self._current_bracket, self._current_iteration = self._last.number, self._last.sweep
        state: dict[str, Any] = super().get_state()
        if self._sweeps is None:  # infinity, which JSON has no word for
            state["hyperband_iterations"] = self._current_iteration + 1
        return state
