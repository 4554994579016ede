"""Other tuners in simulated searches, as their users call them: SMAC3 and Syne Tune.

`pip install smac syne-tune` brings them; they are left out where they are not there. Each has the
methods of an oracle that `events.simulate` calls. SMAC knows conditions. Syne Tune has none: it
draws all hyperparameters, of which those that are active count.
"""

import logging
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import optuna
from contenders import OBJECTIVE, keras_tuner_seed

from experiments.hyperparameters.optuna_space import Parameter, SpaceMap

_SCORE, _EPOCH = "score", "epoch"


class SyneTune:
    """A scheduler of Syne Tune, which stops trials that fall behind.

    Args:
        name: The class, one of `syne_tune.optimizer.baselines`.
        space: Hyperparameters.
        epochs: Epochs of a full trial.
        seed: From 0.
    """

    def __init__(self, name: str, space: Any, epochs: int, seed: int) -> None:
        from syne_tune.optimizer import baselines
        from syne_tune.optimizer.scheduler import SchedulerDecision

        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        self._stop = SchedulerDecision.STOP
        self._space = SpaceMap(space.space)
        self._scheduler = getattr(baselines, name)(
            {key: _domain(parameter) for key, parameter in self._space.by_key.items()},
            metric=_SCORE,
            do_minimize=False,
            time_attr=_EPOCH,
            max_t=epochs,
            random_seed=keras_tuner_seed(seed),
        )
        self._trials: dict[str, Any] = {}

    def create_trial(self, tuner_id: str) -> Any:
        """Asks for a trial."""
        from datetime import UTC, datetime

        from syne_tune.backend.trial_status import Trial

        config = self._scheduler.suggest().config
        values = self._space.values(lambda parameter: _stepped(parameter, config[parameter.key]))
        trial = _trial(len(self._trials), values)
        trial.theirs = Trial(len(self._trials), config, datetime.now(UTC))
        self._scheduler.on_trial_add(trial.theirs)
        self._trials[trial.trial_id] = trial
        return trial

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int) -> Any:
        """Reports an epoch."""
        result = {_SCORE: metrics[OBJECTIVE.name], _EPOCH: step + 1}
        decision = self._scheduler.on_trial_result(self._trials[trial_id].theirs, result)
        return SimpleNamespace(status="STOPPED" if decision == self._stop else "RUNNING")

    def end_trial(self, trial: Any) -> None:
        """Ends the trial: the scheduler has stopped it, after its last epoch too."""
        self._scheduler.on_trial_remove(trial.theirs)


class Smac:
    """SMAC3 by its own facades. Its budgets are epochs, each trained from the first.

    Args:
        name: The facade, a class of `smac`.
        space: Hyperparameters.
        epochs: Epochs of a full trial.
        seed: From 0.
        num_trials: Trials that it plans for.
        folder: Where it writes.
    """

    def __init__(
        self, name: str, space: Any, epochs: int, seed: int, num_trials: int, folder: str
    ) -> None:
        import smac

        self._space, self._epochs = SpaceMap(space.space), epochs
        by_fidelity = name == "MultiFidelityFacade"
        scenario = smac.Scenario(
            _configuration_space(space, self._space, seed),
            output_directory=folder,
            deterministic=True,
            n_trials=num_trials,
            seed=seed,
            **({"min_budget": 1, "max_budget": epochs} if by_fidelity else {}),
        )
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            self._facade = getattr(smac, name)(
                scenario, _by_budget if by_fidelity else _whole, overwrite=True, logging_level=False
            )
        self._count = 0
        self._running: dict[str, Any] = {}

    def create_trial(self, tuner_id: str) -> Any:
        """Asks for a trial."""
        info = self._facade.ask()
        config = dict(info.config)
        values = self._space.values(lambda parameter: _stepped(parameter, config[parameter.key]))
        trial = _trial(self._count, values)
        trial.info, trial.scores = info, []
        trial.hyperparameters.values["tuner/epochs"] = round(info.budget or self._epochs)
        self._count += 1
        self._running[trial.trial_id] = trial
        return trial

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int) -> Any:
        """Keeps the score of an epoch."""
        self._running[trial_id].scores.append(metrics[OBJECTIVE.name])
        return SimpleNamespace(status="RUNNING")

    def end_trial(self, trial: Any) -> None:
        """Tells the result."""
        from smac.runhistory import TrialValue

        del self._running[trial.trial_id]
        self._facade.tell(trial.info, TrialValue(cost=1 - max(trial.scores)))


def _whole(config: Any, seed: int = 0) -> float:
    raise NotImplementedError("trials are asked for and told")


def _by_budget(config: Any, seed: int = 0, budget: float = 0.0) -> float:
    raise NotImplementedError("trials are asked for and told")


def _trial(number: int, values: dict[str, Any]) -> Any:
    return SimpleNamespace(
        trial_id=str(number),
        status="RUNNING",
        hyperparameters=SimpleNamespace(values=values),
        message=None,
    )


def _stepped(parameter: Parameter, value: Any) -> Any:
    """Returns Optuna's value of a number of steps; any other as it is."""
    drawn: Any = parameter.distribution
    if isinstance(drawn, optuna.distributions.CategoricalDistribution):
        return drawn.choices[int(value)]
    if isinstance(drawn, optuna.distributions.IntDistribution):
        return int(value) if drawn.log else drawn.low + int(value) * drawn.step
    return float(value)


def _steps(drawn: Any) -> int:
    return int((drawn.high - drawn.low) // drawn.step)


def _domain(parameter: Parameter) -> Any:
    """Returns a parameter's domain in Syne Tune; choices by their number."""
    from syne_tune import config_space

    drawn: Any = parameter.distribution
    if isinstance(drawn, optuna.distributions.CategoricalDistribution):
        return config_space.choice([str(i) for i in range(len(drawn.choices))])
    if isinstance(drawn, optuna.distributions.IntDistribution):
        if drawn.log:
            return config_space.lograndint(drawn.low, drawn.high)
        return config_space.randint(0, _steps(drawn))
    make = config_space.loguniform if drawn.log else config_space.uniform
    return make(drawn.low, drawn.high)


def _configuration_space(space: Any, mapped: SpaceMap, seed: int) -> Any:
    """Returns the space as SMAC has it, with its conditions."""
    import ConfigSpace

    made = ConfigSpace.ConfigurationSpace(seed=seed)
    for key, parameter in mapped.by_key.items():
        drawn: Any = parameter.distribution
        if isinstance(drawn, optuna.distributions.CategoricalDistribution):
            made.add(
                ConfigSpace.CategoricalHyperparameter(
                    key, [str(i) for i in range(len(drawn.choices))]
                )
            )
        elif isinstance(drawn, optuna.distributions.IntDistribution):
            bounds = (drawn.low, drawn.high) if drawn.log else (0, _steps(drawn))
            made.add(ConfigSpace.UniformIntegerHyperparameter(key, *bounds, log=drawn.log))
        else:
            made.add(
                ConfigSpace.UniformFloatHyperparameter(key, drawn.low, drawn.high, log=drawn.log)
            )
    for key, parameter in mapped.by_key.items():
        needs = [
            ConfigSpace.InCondition(made[key], made[condition.name], theirs)
            for condition in parameter.hp.conditions
            if condition.name in mapped.by_key
            and len(theirs := _numbers(mapped.by_key[condition.name], condition.values))
            < _size(mapped.by_key[condition.name])
        ]
        if needs:
            made.add(needs[0] if len(needs) == 1 else ConfigSpace.AndConjunction(*needs))
    return made


def _numbers(parent: Parameter, values: Any) -> list[Any]:
    """Returns a parent's values as `_configuration_space` has them."""
    drawn: Any = parent.distribution
    encoded = [e for value in values if (e := parent.encoded(value)) is not None]
    if isinstance(drawn, optuna.distributions.CategoricalDistribution):
        return [str(drawn.choices.index(e)) for e in encoded]
    return [e if drawn.log else (e - drawn.low) // drawn.step for e in encoded]


def _size(parent: Parameter) -> int:
    drawn: Any = parent.distribution
    if isinstance(drawn, optuna.distributions.CategoricalDistribution):
        return len(drawn.choices)
    return _steps(drawn) + 1


def _syne_tune(name: str, surrogate: Any, seed: int, full_trials: int, folder: str) -> Any:
    return SyneTune(name, surrogate.space, surrogate.epochs, seed)


def _smac(name: str, factor: int, surrogate: Any, seed: int, full_trials: int, folder: str) -> Any:
    return Smac(name, surrogate.space, surrogate.epochs, seed, factor * full_trials, folder)


PEERS: dict[str, Callable[..., Any]] = {}
if find_spec("syne_tune"):
    PEERS |= {f"Syne Tune {name}": partial(_syne_tune, name) for name in ("ASHA", "BOHB")}
if find_spec("smac"):
    PEERS |= {
        "SMAC random forest": partial(_smac, "HyperparameterOptimizationFacade", 1),
        # Its Hyperband trains a third of the epochs in the mean.
        "SMAC multi-fidelity": partial(_smac, "MultiFidelityFacade", 3),
    }
