"""What a search is asked to do: one frozen, validated object."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from experiments.catalogue import check_name
from experiments.record.errors import UserError
from experiments.record.objective import COSTS, Objective, parse_objectives

_KERAS_TUNER = ("random", "grid", "hyperband", "bayesian")
OPTUNA_METHODS = ("tpe", "gp", "cmaes", "nsga2", "qmc")
MULTI_OBJECTIVE = ("tpe", "nsga2")  # methods that take several objectives
METHODS = (*_KERAS_TUNER, *OPTUNA_METHODS, "auto")
PRUNERS = ("none", "median", "asha", "hyperband", "wilcoxon")
HALVING = ("asha", "hyperband")  # pruners that may promote what they stopped
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class SearchConfig:
    """Everything that determines a search.

    Args:
        space: Name of the search space.
        dataset: `mnist`, `cats_vs_dogs`, `digits`, `tfds:<name>` or `folder:<path>`.
        method: Search method: `random`, `grid`, `hyperband` or `bayesian` (Keras Tuner's); `tpe`,
            `gp`, `cmaes`, `nsga2` or `qmc` (Optuna's); `auto` chooses by budget and space.
        max_trials: Number of trials, at least 1 (hyperband sizes itself by `max_epochs` and stops
            at this number at the latest).
        max_epochs: Most epochs of one trial, at least 1.
        objective: Metric and direction, for example `val_accuracy` or `val_loss:min`; or several
            in a list, the first of which ranks trials, for methods `tpe` and `nsga2`. After the
            first, `params`, `flops` and `latency_ms` (less is better) can be named.
        seed: Seed of everything random, 0 or more.
        fix: Hyperparameters held at a value, by name.
        ranges: Ranges in place of the space's own, by name: `LO:HI` for numbers, `a,b,c` or a list
            for choices.
        settings: Settings of the space, by name.
        name: Name of the study; made of space, dataset and time if empty.
        runs_dir: Folder that holds studies.
        data_dir: Folder of tensorflow-datasets; its own default if `None`.
        cache_dir: Folder of prepared arrays; the user's cache folder if `None`.
        sample: Number of images of a class-balanced subset; all if `None`.
        patience: Epochs without improvement before a trial stops; never if `None` or 0.
        executions_per_trial: Trainings of each trial, with seeds of their own.
        confirm: Number of finalists trained again. Of several, the one with the best mean on
            validation is trained once more on fresh seeds, and tested; of several objectives all
            are tested.
        seeds: Trainings of each finalist, and of the one that is tested.
        race: Whether `confirm` times `seeds` trainings are spent on those finalists alone that may
            yet be the best; `seeds` of them are kept for the winner's test. Of several objectives,
            which are costs after the first, those leave that are worse than what costs no more.
        split_seed: Seed of the splits; studies to be compared share it.
        cache_features: Whether what frozen parts make of images is computed once and kept.
        workers: Worker processes that run trials; 0 runs them in this process, `auto` takes as
            many as fit.
        ray: Address of a Ray cluster that runs trials instead, or `local`; `none` is `None`, and
            takes back what a study was begun with.
        ray_cpus: CPUs that Ray reserves for a trial.
        ray_gpus: GPUs that Ray reserves for a trial.
        deadline: When finalists and report should be done: `30m`, `1h30m` or `18:00`.
        max_failures: Failures in a row that end the search.
        keep: Best trials whose weights are kept; at least those that are confirmed.
        method_settings: Settings of the method, by name.
        pruner: What stops hopeless trials, with Optuna's methods: `none`, `median`, `asha`,
            `hyperband` or `wilcoxon`. If `None`: none, but what `auto` chooses.
        tries: Values that the first trials get, with Optuna's methods; defaults for what is left
            out.
        sources: Where earlier trials come from that inform Optuna's methods: studies, folders of
            Keras Tuner projects, CSV files, URLs of Optuna storages.
        try_default: Whether Optuna's methods begin with the space's default.
    """

    space: str
    dataset: str = "mnist"
    method: str = "auto"
    max_trials: int = 10
    max_epochs: int = 10
    objective: str | Sequence[str] = "val_accuracy"
    seed: int = 0
    fix: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    runs_dir: str = "runs"
    data_dir: str | None = None
    cache_dir: str | None = None
    sample: int | None = None
    patience: int | None = 3
    executions_per_trial: int = 1
    confirm: int = 1
    seeds: int = 1
    split_seed: int = 0
    cache_features: bool = True
    workers: int | str = 0
    ray: str | None = None
    ray_cpus: float = 1.0
    ray_gpus: float = 0.0
    deadline: str | None = None
    max_failures: int = 10
    keep: int = 3
    method_settings: Mapping[str, Any] = field(default_factory=dict)
    pruner: str | None = None
    tries: Sequence[Mapping[str, Any]] = ()
    sources: Sequence[str] = ()
    try_default: bool = True
    ranges: Mapping[str, Any] = field(default_factory=dict)
    race: bool = False

    def __post_init__(self) -> None:
        from search_spaces import names

        for name in ("runs_dir", "data_dir", "cache_dir"):  # a `Path` will do as well
            if isinstance(getattr(self, name), os.PathLike):
                object.__setattr__(self, name, os.fspath(getattr(self, name)))
        self._check_kinds()
        if self.space not in names():
            raise UserError(f"unknown search space {self.space!r}: there are {', '.join(names())}")
        if self.method not in METHODS:
            raise UserError(f"unknown method {self.method!r}: there are {', '.join(METHODS)}")
        self._check_numbers()
        self._check_execution()
        self._check_guidance()
        if self.patience == 0:
            object.__setattr__(self, "patience", None)
        self._check_objectives()
        self._check_race()
        check_name(self.dataset)
        if self.name and not _NAME.fullmatch(self.name):
            raise UserError(
                f"study name {self.name!r}: a name of letters, digits, '.', '_' and '-' is "
                "expected, not a path; choose the folder with --runs-dir"
            )

    def _check_kinds(self) -> None:
        texts = ("space", "dataset", "method", "name", "runs_dir")
        optionals = ("data_dir", "cache_dir", "ray", "deadline")
        tables = ("fix", "settings", "method_settings", "ranges")
        for name in (*texts, *optionals, *tables):
            value = getattr(self, name)
            kind, words = (Mapping, "a table") if name in tables else (str, "a text")
            optional = name in optionals and value is None
            if not isinstance(value, kind) and not optional:
                raise UserError(f"{name} should be {words}; got {value!r}")
            if value == "" and name.endswith("_dir"):
                option = f"--{name.replace('_', '-')}"
                raise UserError(f"{option} is empty: name a folder, or leave the option away")

        if not isinstance(self.cache_features, bool):
            raise UserError(f"cache_features should be true or false; got {self.cache_features!r}")

    def _check_objectives(self) -> None:
        given: Any = self.objective
        texts = [given] if isinstance(given, str) else given
        if not _is_list_of(texts, str):
            raise UserError(f"objective should be a text or a list of texts; got {given!r}")
        # One objective is recorded as a text, as it was before there could be several.
        object.__setattr__(self, "objective", texts[0] if len(texts) == 1 else tuple(texts))
        several = len(parse_objectives(texts)) > 1
        if several and self.method not in (*MULTI_OBJECTIVE, "auto"):
            raise UserError(
                f"method {self.method!r} takes one objective; for several take "
                f"{', '.join(MULTI_OBJECTIVE)} or auto"
            )

    def _check_race(self) -> None:
        if not isinstance(self.race, bool):
            raise UserError(f"race should be true or false; got {self.race!r}")
        metrics = [o.name for o in self.objectives[1:] if not o.is_cost]
        if self.race and metrics:
            raise UserError(
                f"--race compares by {self.parsed_objective.name} among networks whose costs are "
                f"known: {metrics[0]} varies from training to training as it does; after the first "
                f"objective name {', '.join(COSTS)} alone, or leave --race out"
            )
        if self.race and (self.confirm < 2 or self.seeds < 3):
            raise UserError(
                "--race spends K times S trainings (--confirm K, --seeds S) on the best K trials: "
                f"K should be 2 or more and S 3 or more; got {self.confirm} and {self.seeds}"
            )

    def _check_guidance(self) -> None:
        if self.pruner not in (None, *PRUNERS):
            raise UserError(f"unknown pruner {self.pruner!r}: there are {', '.join(PRUNERS)}")
        if not _is_list_of(self.tries, Mapping):
            raise UserError(f"tries should be a list of tables of values; got {self.tries!r}")
        object.__setattr__(self, "tries", tuple(dict(values) for values in self.tries))
        if not _is_list_of(self.sources, str):
            raise UserError(f"sources should be a list of texts; got {self.sources!r}")
        object.__setattr__(self, "sources", tuple(self.sources))
        if not isinstance(self.try_default, bool):
            raise UserError(f"try_default should be true or false; got {self.try_default!r}")
        if self.method in _KERAS_TUNER and self.needs_optuna and not self._is_halved:
            what = (
                "--try" if self.tries else "--from" if self.sources else f"--pruner {self.pruner}"
            )
            raise UserError(
                f"{what} goes with methods {', '.join(OPTUNA_METHODS)} and auto; "
                f"method {self.method!r} does not take it"
            )
        if self.sources and self.method == "qmc":
            raise UserError(
                "--from informs methods that learn from trials; qmc spreads points evenly, "
                "whatever there was: take tpe, gp, cmaes, nsga2 or auto"
            )
        if self.prunes and self.executions_per_trial > 1:
            raise UserError(
                f"--pruner {self.pruner} compares single trainings; "
                "leave out --executions-per-trial, or take --pruner none"
            )

    def _check_numbers(self) -> None:
        least = {
            "max_trials": 1,
            "max_epochs": 1,
            "executions_per_trial": 1,
            "seeds": 1,
            "confirm": 0,
            "seed": 0,
            "split_seed": 0,
            "patience": 0,
            "sample": 10,
            "max_failures": 1,
            "keep": 0,
        }
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is None and name in ("patience", "sample"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
                raise UserError(
                    f"--{name.replace('_', '-')} should be a whole number, {lowest} or more; "
                    f"got {value!r}"
                )

    def _check_execution(self) -> None:
        from experiments.record.durations import parse_deadline

        count = int(self.workers) if str(self.workers).isdecimal() else self.workers
        if count != "auto" and (not isinstance(count, int) or isinstance(self.workers, bool)):
            raise UserError(f"--workers should be auto or 0 or more; got {self.workers!r}")
        object.__setattr__(self, "workers", count)
        if self.ray == "none":  # takes back what was asked before
            object.__setattr__(self, "ray", None)
        for name in ("ray_cpus", "ray_gpus"):
            value = getattr(self, name)
            if (
                not isinstance(value, int | float)
                or isinstance(value, bool)
                or not 0 <= value < 1e4
            ):
                raise UserError(f"--{name.replace('_', '-')} should be 0 or more; got {value!r}")
        if self.deadline is not None:
            parse_deadline(self.deadline)

    @property
    def parsed_objective(self) -> Objective:
        """The objective that ranks trials, the first named, with its direction."""
        return self.objectives[0]

    @property
    def prunes(self) -> bool:
        """Whether a pruner was asked for."""
        return self.pruner not in (None, "none")

    @property
    def _is_halved(self) -> bool:
        """Whether a method that draws by itself is asked for nothing but successive halving."""
        is_one = self.method in ("random", "grid") and self.pruner in HALVING
        return is_one and not self.tries and not self.sources

    @property
    def needs_optuna(self) -> bool:
        """Whether something was asked for that goes with Optuna's methods alone."""
        return bool(self.prunes or self.tries or self.sources)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All objectives with their directions, in the order they were named."""
        texts = [self.objective] if isinstance(self.objective, str) else self.objective
        return parse_objectives(texts)

    def as_dict(self) -> dict[str, Any]:
        """Returns plain data that JSON can hold."""
        return asdict(self)


def load_toml(path: str | Path) -> dict[str, Any]:
    """Reads options of a search from a TOML file; keys are the fields of `SearchConfig`.

    Raises:
        UserError: The file is missing, is no TOML, or has an unknown key.
    """
    try:
        options = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config file {str(path)!r} can't be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"config file {str(path)!r} is no valid TOML: {error}") from None
    known = {field.name for field in fields(SearchConfig)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise UserError(
            f"config file {str(path)!r}: unknown key {unknown[0]!r}; "
            f"there are {', '.join(sorted(known))}"
        )
    return options


def _is_list_of(given: object, kind: type) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(one, kind) for one in given)


def is_choice(config: SearchConfig, num_finalists: int) -> bool:
    """Whether trainings choose the winner among finalists.

    Those of several objectives are different compromises, not contenders for one place: the knee
    stays what is recommended, but for a race, in which one that costs no more may replace it.
    """
    return num_finalists > 1 and (len(config.objectives) == 1 or config.race)


def num_trainings(config: SearchConfig) -> int:
    """Returns how many trainings confirming takes at most."""
    among = config.confirm * config.seeds
    fresh = config.seeds if is_choice(config, config.confirm) and not config.race else 0
    return among + fresh
