"""Search methods and pruners, one row each: everything else of them derives from here.

Classes are named by text, `module:Class`, so that a list of methods loads none of them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any


@dataclass(frozen=True)
class Setting:
    """A setting of a method (`--method-set`): a whole number, unless its default is a float.

    Args:
        help: What it is.
        default: Its default; `None` if the method derives it from the space.
        least: Its smallest value; `None` if it only has to be above 0.
        keyword: Its name in the constructor of Optuna's sampler; empty if it is not the sampler's.
        at_least: The smallest value that the method derives, where the default is `None`.
        is_startup: Whether so many trials from the first on are drawn at random.
    """

    help: str
    default: float | int | None
    least: int | None = None
    keyword: str = ""
    at_least: int = 0
    is_startup: bool = False


@dataclass(frozen=True)
class Pruner:
    """What stops hopeless trials.

    Args:
        what: What it stops.
        promotes: Whether it may promote what it stopped (successive halving).
        made_by: Optuna's class, if it is one of Optuna's.
        options: Arguments of that class.
    """

    what: str
    promotes: bool = False
    made_by: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sampler:
    """One of Optuna's samplers.

    Args:
        made_by: Its class.
        options: Arguments of that class, besides its seed and the method's settings.
        shares_seed: Whether all proposals take the search's seed: they are points of one sequence.
        models_conditions: Whether it models conditions; others are shown inactive values too.
        ranks_stopped: Whether it ranks trials that were stopped early by how far they came.
        needs_torch: Whether it needs PyTorch.
    """

    made_by: str
    options: Mapping[str, Any] = field(default_factory=dict)
    shares_seed: bool = False
    models_conditions: bool = False
    ranks_stopped: bool = False
    needs_torch: bool = False


@dataclass(frozen=True)
class Method:
    """A search method.

    Args:
        what: What it does.
        oracle: `module:Class` of its oracle, in `experiments.methods.oracles`; empty if it only
            picks another method.
        settings: Its settings by name.
        pruners: Pruners that it takes, besides `none`.
        sampler: Its sampler, if it is Optuna's. Such methods take points and earlier trials.
        whose: The library that it comes from; empty if it is the suite's own.
        several: Whether it takes several objectives.
        learns: Whether what it proposes depends on results.
        blind: Whether all its new trials are a random sample of the space.
    """

    what: str
    oracle: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    pruners: Collection[str] = ()
    sampler: Sampler | None = None
    whose: str = ""
    several: bool = False
    learns: bool = True
    blind: bool = False

    @property
    def is_guided(self) -> bool:
        """Whether it takes points to begin with and earlier trials, or may pick one that does."""
        return self.sampler is not None or not self.oracle


PRUNERS = {
    "none": Pruner("nothing"),
    "median": Pruner(
        "worse than half of the completed trials were at this epoch",
        made_by="optuna.pruners:MedianPruner",
        options={"n_startup_trials": 5},  # completed before a median says anything
    ),
    "asha": Pruner("all but the best of each rung, asynchronously", promotes=True),
    "hyperband": Pruner("the same in several brackets, which begin at other rungs", promotes=True),
    "wilcoxon": Pruner(
        "worse than the best trial at the same epochs, by a signed-rank test at 0.1",
        made_by="optuna.pruners:WilcoxonPruner",
        options={"p_threshold": 0.1, "n_startup_steps": 3},  # epochs that are compared, at least
    ),
}
HALVING = tuple(name for name, pruner in PRUNERS.items() if pruner.promotes)

FACTOR = Setting("one trial in N is promoted at each rung", 3, 2)
_HALVED = {"factor": FACTOR}
_DRAWN = Setting("trials drawn at random first", 10, 1, "n_startup_trials", is_startup=True)
_GP_SETTINGS = {"startup_trials": _DRAWN}
_TPE_SETTINGS = {
    "startup_trials": _DRAWN,
    "candidates": Setting("candidates of a proposal", 24, 1, "n_ei_candidates"),
}
_CMAES_SETTINGS = {  # by default Hansen's: 4 + 3 ln of the dimensions
    "population_size": Setting("trials of a generation", None, 2, "popsize", 4, is_startup=True)
}
_NSGA2_SETTINGS = {
    "population_size": Setting("trials of a generation", 20, 2, "population_size", is_startup=True)
}
_BAYESIAN_SETTINGS = {
    "num_initial_points": Setting("trials drawn at random first", None, 1),
    "beta": Setting("how much uncertainty attracts", 2.6),
    "alpha": Setting("variance of the noise of scores", 1e-4),
}
_TPE = Sampler(
    "optuna.samplers:TPESampler",
    {"multivariate": True, "constant_liar": True},
    models_conditions=True,
    ranks_stopped=True,
)
_QUIET = {"warn_independent_sampling": False}
_GP = Sampler("optuna.samplers:GPSampler", _QUIET, needs_torch=True)
_CMAES = Sampler("optuna.samplers:CmaEsSampler", _QUIET)
_NSGA2 = Sampler("optuna.samplers:NSGAIISampler")
_QMC = Sampler("optuna.samplers:QMCSampler", {"scramble": True, **_QUIET}, shares_seed=True)

_keras_tuner = partial(Method, whose="Keras Tuner")


def _optuna(what: str, sampler: Sampler, settings: Mapping[str, Setting], **facts: bool) -> Method:
    oracle, settings = "optuna_oracle:OptunaOracle", {**settings, **_HALVED}
    return Method(what, oracle, settings, tuple(PRUNERS), sampler, "Optuna", **facts)


METHODS = {
    "random": _keras_tuner(
        "draws at random", "random_search:RandomOracle", _HALVED, HALVING, learns=False, blind=True
    ),
    "grid": _keras_tuner(
        "tries every combination", "grid:GridOracle", _HALVED, HALVING, learns=False
    ),
    "hyperband": _keras_tuner(
        "draws at random, trains the best longer", "hyperband:HyperbandOracle", _HALVED, blind=True
    ),
    "bayesian": _keras_tuner(
        "models scores by a Gaussian process", "bayesian:BayesianOracle", _BAYESIAN_SETTINGS
    ),
    "tpe": _optuna(
        "models good and bad trials apart (Parzen estimators)", _TPE, _TPE_SETTINGS, several=True
    ),
    "gp": _optuna("models scores by a Gaussian process", _GP, _GP_SETTINGS),
    "cmaes": _optuna(
        "moves a normal distribution towards good trials (CMA-ES)", _CMAES, _CMAES_SETTINGS
    ),
    "nsga2": _optuna(
        "breeds generations of good trials (NSGA-II)", _NSGA2, _NSGA2_SETTINGS, several=True
    ),
    "qmc": _optuna("spreads points evenly", _QMC, {}, learns=False, blind=True),
    "auto": Method(
        "picks one of the others by budget and space", pruners=tuple(PRUNERS), several=True
    ),
}


def optuna_methods() -> list[str]:
    """Returns the names of Optuna's methods."""
    return [name for name, method in METHODS.items() if method.sampler]


def multi_objective() -> list[str]:
    """Returns the names of the methods that take several objectives."""
    return [name for name, method in METHODS.items() if method.several and method.oracle]
