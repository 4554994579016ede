"""Optuna's samplers behind a Keras Tuner oracle."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from keras_tuner.engine import trial as trial_module
from optuna.trial import FrozenTrial, TrialState

from experiments.hyperparameters.optuna_space import Parameter, SpaceMap
from experiments.methods.oracles.base import Status
from experiments.methods.oracles.halved import Halved
from experiments.methods.oracles.halving import ORIGIN, origins
from experiments.methods.oracles.optuna_pruners import stops
from experiments.methods.oracles.optuna_samplers import Proposer, frozen
from experiments.methods.oracles.reported import epochs_of
from experiments.methods.prior_trials import PriorTrial
from experiments.record.fidelity import is_paused

_NEIGHBOURS = 20  # of a point that was tried before; what comes next is drawn at random
_COMPARABLE = 10  # trials at a rung, from which on they are compared there and not earlier
_SHOWN = 3  # of the stopped trials with a choice that none of those has, one in so many is shown


class OptunaOracle(Halved):
    """Proposes by Optuna: tree-structured Parzen estimators, Gaussian processes, CMA-ES and more.

    A proposal is a function of the seed, the trial's number and the trials there are, running ones
    included. Nothing else is remembered, so an oracle that is rebuilt from the trial files
    continues as if nothing had happened. A failed trial counts as the worst one seen. Works in
    plain Keras Tuner: `keras_tuner.Tuner(oracle=OptunaOracle(...))`.

    With `asha` or `hyperband`, `tpe` compares trials after the same number of epochs: that of the
    last rung which ten of them (or `startup_trials`, if that is more) have reached. Those that were
    stopped before it are not seen: to count them as bad would condemn values that were drawn beside
    a bad one by chance. Only of those with a choice that was never drawn at the rung, one in three
    counts as bad, so that it is not tried for ever.

    `tpe` and `nsga2` take a list of objectives. The first named decides a trial's best epoch, its
    score, its rank and what the pruner stops; values of the others are those of that epoch.

    Args:
        sampler: `tpe`, `gp` (needs PyTorch), `cmaes`, `nsga2` or `qmc`.
        settings: Settings of the sampler, by name; see `catalogue.METHODS`.
        tries: Values that the first trials get, as far as they are given; defaults for the rest.
        starting_points: Likewise, after those, for every second trial: of an odd number.
        pruner: `none`, `median`, `asha`, `hyperband` (asynchronous both) or `wilcoxon`. It decides
            when `update_trial` reports an epoch, which plain Keras Tuner does not do by itself; the
            answer's status is `STOPPED` then. Such a trial ends as completed, its message begins
            with `pruned`.
        max_epochs: Epochs of a trial that is not stopped; needed by `asha` and `hyperband`.
        factor: Of `asha` and `hyperband`: one trial in so many is promoted at each rung.
        earlier: Trials of other searches; the sampler takes them as its own, pruners do not see
            them. At a rung, one that was trained whole counts with its best until there.
        **kwargs: Arguments of `keras_tuner.Oracle`.

    Raises:
        UserError: There is no such sampler, or it takes one objective of several, or needs PyTorch.
    """

    def __init__(
        self,
        sampler: str = "tpe",
        settings: Mapping[str, Any] | None = None,
        tries: Sequence[Mapping[str, Any]] = (),
        starting_points: Sequence[Mapping[str, Any]] = (),
        pruner: str = "none",
        max_epochs: int = 1,
        factor: int = 3,
        earlier: Sequence[PriorTrial] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(pruner, max_epochs, factor, **kwargs)
        self._names = [o.name for o in self._objectives()]
        self._directions = [o.direction for o in self._objectives()]
        self._proposer = Proposer(sampler, self._directions, settings or {}, self.seed)
        self._tries = [dict(values) for values in tries]
        self._starting_points = [dict(values) for values in starting_points]
        self._earlier = list(earlier)
        self._map: SpaceMap | None = None
        self._size_of_space = 0
        self._ended: dict[str, FrozenTrial] = {}  # trial id -> what does not change any more

    @property
    def space_map(self) -> SpaceMap:
        """The space as Optuna's parameters; made again when hyperparameters were added."""
        if self._map is None or len(self.hyperparameters.space) != self._size_of_space:
            self._map = SpaceMap(self.hyperparameters.space)
            self._size_of_space = len(self.hyperparameters.space)
            self._ended.clear()
        return self._map

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of the next trial: given, or promoted, or the sampler's."""
        number = int(trial_id)
        values = self._tried(self._tries)
        if number % 2:
            values = values or self._tried(self._starting_points)
        values = values or self._promoted() or self._proposed(number)
        values = values or self._random_values()
        if values is None:  # every combination of a finite space was tried
            return {"status": Status.IDLE if self.ongoing_trials else Status.STOPPED}
        return {"status": Status.RUNNING, "values": values}

    def _tried(self, points: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """Returns the first of the points that no trial has had yet."""
        return next((v for v in self._whole(points) if not self._duplicate(v)), None)

    def _whole(self, points: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yields points with the defaults of what they leave open, active values only."""
        space = self.space_map
        defaults = {hp.name: hp.default for hp in self.hyperparameters.space} if points else {}
        for given in points:
            chosen = space.encoded(defaults | dict(given))
            yield space.values(lambda p, c=chosen: c.get(p.key))  # type: ignore[misc]

    def _num_drawn(self) -> int:
        """Returns how many trials the sampler has proposed: neither given nor promoted."""
        points = [*self._tries, *self._starting_points]
        given = {self._compute_values_hash(values) for values in self._whole(points)}
        drawn = set(self.trials) - {t.trial_id for t in self.trials.values() if _is_promoted(t)}
        return sum(self._id_to_hash[trial_id] not in given for trial_id in drawn)

    def _proposed(self, number: int) -> dict[str, Any] | None:
        """Returns the sampler's proposal, or a neighbour of it if it was tried before."""
        space, seed = self.space_map, self.derived_seed(number)
        draw = self._proposer.propose(self._shown(), space, self._num_drawn(), seed)
        values = space.values(draw)
        rng = np.random.default_rng(seed)
        for _ in range(_NEIGHBOURS):
            if not self._duplicate(values):
                return values
            values = space.values(_beside(space.encoded(values), draw, rng))
        return None

    def _shown(self) -> list[FrozenTrial]:
        """Returns all trials as Optuna's, in order."""
        promoted = origins(self.trials.values())
        fidelity = self._fidelity(promoted)
        shown = self._before(fidelity)
        shown += [
            self._as_optuna(place, t, promoted, fidelity)
            for place, t in enumerate(self._in_order(), len(shown))
        ]
        if fidelity is not None:
            self._show_unknown_choices(shown, promoted)
        known = [t.values for t in shown if t.values is not None]
        if known:
            worst = [
                (min if d == "max" else max)(column)
                for d, column in zip(self._directions, zip(*known, strict=True), strict=True)
            ]
            for trial in shown:
                if trial.state == TrialState.FAIL:
                    trial.state, trial.values = TrialState.COMPLETE, worst
        return shown

    def _show_unknown_choices(self, shown: list[FrozenTrial], promoted: set[str]) -> None:
        """Shows some of the stopped trials whose choice is in no trial that is compared, as bad."""
        compared = [t for t in shown if t.state == TrialState.COMPLETE]
        names = self.space_map.unordered
        known = {(n, t.params[n]) for t in compared for n in names if n in t.params}
        trials = self._in_order()
        first = len(shown) - len(trials)
        for place, trial in enumerate(trials, first):
            seen = shown[place]
            if seen.state != TrialState.WAITING or trial.trial_id in promoted:
                continue
            if int(trial.trial_id) % _SHOWN:
                continue
            if any((n, seen.params[n]) not in known for n in names if n in seen.params):
                # What runs counts as bad, and does not raise the number that counts as good.
                shown[place] = frozen(
                    place, TrialState.RUNNING, seen.params, self.space_map.distributions
                )

    def _fidelity(self, promoted: set[str]) -> int | None:
        """Returns the epochs after which trials are compared; `None`: at their ends.

        It is the last rung that enough trials have reached, see the class.
        """
        halving = self._halving
        if halving is None or not self._ranks_stopped:
            return None
        enough = max(_COMPARABLE, self._proposer.num_startup)
        trials = [t for t in self._in_order() if t.trial_id not in promoted]
        for epochs in reversed(halving.fidelities):
            there = [t for t in trials if halving.value_at(t, epochs, self.trials) is not None]
            before = [e.value_at(epochs, self._directions[0]) for e in self._earlier]
            if len(there) + sum(value is not None for value in before) >= enough:
                return epochs
        return halving.fidelities[0]

    def _before(self, fidelity: int | None) -> list[FrozenTrial]:
        """Returns the trials of other searches."""
        space, complete = self.space_map, not self._proposer.row.models_conditions
        shown: list[FrozenTrial] = []
        for trial in self._earlier:
            if space.names.isdisjoint(trial.values):
                continue  # nothing is known yet of what it has
            seen = None if trial.is_short else [trial.score, *trial.further]
            if fidelity is not None:
                value = trial.value_at(fidelity, self._directions[0])
                seen = None if value is None else [value]
            if seen is None and (fidelity is not None or not self._ranks_stopped):
                continue
            state = TrialState.PRUNED if seen is None else TrialState.COMPLETE
            encoded = space.encoded(trial.values, complete)
            curve = dict(trial.curve) if seen is None else {}
            shown.append(frozen(len(shown), state, encoded, space.distributions, seen, curve))
        return shown

    @property
    def _ranks_stopped(self) -> bool:
        """Whether the sampler can use trials that were stopped early."""
        return self._proposer.row.ranks_stopped and len(self._names) == 1

    def _in_order(self) -> list[Any]:
        return [self.trials[i] for i in sorted(self.trials, key=int)]

    def _as_optuna(
        self, place: int, trial: trial_module.Trial, promoted: set[str], fidelity: int | None
    ) -> FrozenTrial:
        state, result = self._seen(trial, promoted, fidelity)
        known = self._ended.get(trial.trial_id)
        if known and (known.number, known.state, known.values) == (place, state, result):
            return known
        space = self.space_map
        values = trial.hyperparameters.values
        parameters = space.encoded(values, complete=not self._proposer.row.models_conditions)
        curve = epochs_of(trial, self._names[0]) if state == TrialState.PRUNED else None
        made = frozen(place, state, parameters, space.distributions, result, curve)
        if trial.status == Status.COMPLETED:
            self._ended[trial.trial_id] = made
        return made

    def _seen(
        self, trial: trial_module.Trial, promoted: set[str], fidelity: int | None
    ) -> tuple[TrialState, list[float] | None]:
        """Returns the state of a trial as the sampler is to see it, and its values."""
        state = _state_of(trial)
        if trial.trial_id in promoted:
            return TrialState.WAITING, None  # it is seen as the trial that continues it
        if state == TrialState.FAIL:
            return state, None
        if fidelity is not None and self._halving is not None:
            value = self._halving.value_at(trial, fidelity, self.trials)
            if value is not None:
                return TrialState.COMPLETE, [value]
            return (TrialState.WAITING if state == TrialState.PRUNED else state), None
        if state == TrialState.PRUNED and not self._ranks_stopped:
            state = TrialState.COMPLETE
        return state, self.values_of(trial) if state == TrialState.COMPLETE else None

    def _is_hopeless(self, trial: trial_module.Trial, step: int) -> bool:
        if self._halving is not None:
            return super()._is_hopeless(trial, step)
        trials = self._in_order()
        shown = [self._as_compared(place, t) for place, t in enumerate(trials)]
        return stops(self._pruner, self._proposer.study(shown), shown[trials.index(trial)])

    def _as_compared(self, place: int, trial: trial_module.Trial) -> FrozenTrial:
        """Returns a trial as a pruner is to see it: what was stopped or failed is not completed."""
        state = _state_of(trial)
        value = [trial.score] if state == TrialState.COMPLETE else None
        return frozen(place, state, {}, {}, value, epochs_of(trial, self._names[0]))

    def rebuild(self, trials: Iterable[Any]) -> None:
        """Sets the state to what it was after `trials`."""
        self._ended.clear()
        super().rebuild(trials)


def _is_promoted(trial: trial_module.Trial) -> bool:
    return ORIGIN in trial.hyperparameters.values


def _state_of(trial: trial_module.Trial) -> TrialState:
    if trial.status == Status.FAILED:
        return TrialState.FAIL
    if trial.status != Status.COMPLETED:
        return TrialState.RUNNING
    return TrialState.PRUNED if is_paused(trial) else TrialState.COMPLETE


def _beside(
    parameters: Mapping[str, Any], draw: Callable[[Parameter], Any], rng: np.random.Generator
) -> Callable[[Parameter], Any]:
    """Returns a function that draws one of `parameters` anew, and what becomes active by it."""
    changed = sorted(parameters)[int(rng.integers(len(parameters)))] if parameters else None

    def drawn(parameter: Parameter) -> Any:
        if parameter.key == changed:
            return parameter.encoded(parameter.hp.prob_to_value(rng.uniform()))
        return parameters[parameter.key] if parameter.key in parameters else draw(parameter)

    return drawn
