"""The configuration of a search: one frozen, validated object."""

import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from experiments.catalogue import (
    BALANCED,
    COSTS,
    DATASETS,
    METHODS,
    PRUNERS,
    check_name,
    shown_names,
)
from experiments.option import Kind, changeable, option, options_of
from experiments.record.errors import UserError
from experiments.record.methods import multi_objective, optuna_methods
from experiments.record.objective import Objective, parse_objectives
from experiments.space_reference import check_space

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


@dataclass(frozen=True)
class SearchConfig:
    """Everything that determines a search.

    Args:
        space: Name of the search space; or your own model: `FILE.py[:NAME]`, or
            `package.module:NAME`.
        dataset: `mnist`, `cats_vs_dogs`, `digits`, `tfds:<name>`, `folder:<path>`, `npz:<path>`,
            `file:<path.py>[:<function>]`, or `arrays:<fingerprint>` of arrays given in Python.
        method: Search method: `random`, `grid`, `hyperband` or `bayesian` (Keras Tuner's); `tpe`,
            `gp`, `cmaes`, `nsga2` or `qmc` (Optuna's); `auto` chooses by budget and space.
        max_trials: Number of trials, at least 1 (hyperband sizes its brackets by `max_epochs` and
            repeats them until this number; with fewer than its first round has, it promotes none).
        max_epochs: Most epochs of one trial, at least 1.
        objective: Metric and direction, for example `val_accuracy` or `val_loss:min`; or several
            in a list, the first of which ranks trials, for methods `tpe`, `nsga2` and `auto`. After
            the first, `params`, `flops` and `latency_ms` (less is better) can be named.
        seed: Seed of everything random, 0 or more.
        split_seed: Seed of the splits; studies to be compared share it.
        fix: Hyperparameters held at a value, by name.
        ranges: Ranges in place of the space's own, by name: `LO:HI` for numbers, `a,b,c` or a list
            for choices.
        settings: Settings of the space, by name.
        name: Name of the study; made of space and time if empty.
        runs_dir: Folder that holds studies.
        data_dir: Folder of tensorflow-datasets; its own default if `None`.
        cache_dir: Folder of prepared arrays; the user's cache folder if `None`.
        sample: Number of images of a class-balanced subset; all if `None`.
        patience: Epochs without improvement before a phase of training ends (of most trials there
            is one); never if `None` or 0.
        executions_per_trial: Trainings of each trial, with seeds of their own.
        confirm: Number of finalists trained again. Of several, the one with the best mean on
            validation is trained once more on fresh seeds, and tested; of several objectives all
            are tested.
        seeds: Trainings of each finalist, and of the one that is tested.
        race: Whether `confirm` times `seeds` trainings are spent on those finalists alone that may
            yet be the best; `seeds` of them are kept for the winner's test. Of several objectives,
            which are costs after the first, those leave that are worse than what costs no more.
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
            `hyperband` or `wilcoxon`; `asha` and `hyperband` with `random` and `grid` too. If
            `None`: as `auto` chooses, else none.
        class_weight: `balanced` weighs each image in the training loss by the inverse of its
            class's share of the training images; all weigh the same if `None`.
        tries: Values that the first trials get, with Optuna's methods; defaults for what is left
            out.
        sources: Where earlier trials come from that inform Optuna's methods: studies, folders of
            Keras Tuner projects, CSV files, URLs of Optuna storages.
        try_default: Whether Optuna's methods begin with the space's default.
        starting_points: Whether they then try the points that the space declares as good, in every
            second trial; never with `sources`.
    """

    space: str
    dataset: str = option("mnist", _either(shown_names()), choices=DATASETS)
    method: str = option("auto", ", ".join(METHODS), choices=METHODS)
    max_trials: int = changeable(10, "trials at most", least=1)
    max_epochs: int = changeable(10, "epochs of a trial at most", least=1)
    objective: str | Sequence[str] = option(
        "val_accuracy",
        "what ranks trials, and whether more or less of it is better; repeatable: the others may "
        f"be metrics too, or {', '.join(COSTS)}",
        Kind.TEXTS,
        metavar="METRIC[:max|min]",
    )
    seed: int = option(0, "seed of everything random")
    split_seed: int = option(0, "seed of the splits; studies to compare share it")
    fix: Mapping[str, Any] = option({}, "hold a hyperparameter")
    ranges: Mapping[str, Any] = option(
        {},
        "search a number from LO to HI, or these choices",
        flag="--range",
        metavar="NAME=LO:HI|a,b,c",
        resume="may become wider",  # `check_same` checks that
    )
    settings: Mapping[str, Any] = option({}, "setting of the space", flag="--set")
    name: str = option("", "name of the study", shown="space and time")
    runs_dir: str = option("runs", "folder of studies", Kind.FOLDER)
    data_dir: str | None = changeable(None, "folder of tensorflow-datasets", Kind.FOLDER)
    cache_dir: str | None = changeable(None, "folder of prepared arrays", Kind.FOLDER)
    sample: int | None = option(
        None, "work on a class-balanced subset of N images", Kind.WHOLE, least=10
    )
    patience: int | None = changeable(
        3, "epochs without improvement before a trial stops, 0 for never"
    )
    executions_per_trial: int = option(1, "trainings a trial", least=1)
    confirm: int = changeable(1, "finalists trained again; the best of them is tested")
    seeds: int = changeable(1, "trainings of each finalist", least=1)
    race: bool = changeable(
        False,
        "spend --confirm times --seeds trainings on finalists that may yet be the best, and on the "
        "winner's test",
    )
    cache_features: bool = changeable(
        True, "compute what frozen layers make of images once, and keep it"
    )
    workers: int | str = changeable(
        0, "worker processes; 0 for none", Kind.OTHER, metavar="N|auto", on_command_line=1
    )
    ray: str | None = changeable(
        None, "run trials on a Ray cluster", Kind.TEXT, metavar="ADDRESS|local|none"
    )
    ray_cpus: float = changeable(1.0, "CPUs Ray reserves for a trial")
    ray_gpus: float = changeable(0.0, "GPUs Ray reserves for a trial")
    deadline: str | None = changeable(
        None, "when finalists and report should be done", Kind.TEXT, metavar="30m|18:00"
    )
    max_failures: int = changeable(10, "failures in a row that end the search", least=1)
    keep: int = changeable(3, "best trials whose weights are kept")
    method_settings: Mapping[str, Any] = changeable(
        {}, "setting of the method, such as factor or startup_trials", flag="--method-set"
    )
    pruner: str | None = option(
        None,
        f"what stops hopeless trials: {', '.join(PRUNERS)}",
        Kind.OTHER,
        choices=PRUNERS,
        shown="as auto chooses, else none",
    )
    class_weight: str | None = option(
        None,
        f"{BALANCED}: rare classes weigh more in the training loss, so that all weigh the same",
        Kind.OTHER,
        choices=(BALANCED,),
        metavar=BALANCED,
    )
    tries: Sequence[Mapping[str, Any]] = option(
        (),
        "values that a first trial gets; defaults for the rest",
        Kind.POINTS,
        flag="--try",
        metavar="NAME=VALUE,...",
        resume="may become more",
    )
    sources: Sequence[str] = option(
        (),
        "earlier trials that inform the method: a study, a Keras Tuner project, a CSV file, an "
        "Optuna storage",
        flag="--from",
        metavar="STUDY|PROJECT|CSV|URL",
    )
    try_default: bool = option(True, "begin with the space's default")
    starting_points: bool = option(True, "then try good points that the space declares")

    def __post_init__(self) -> None:
        self._check_kinds()
        self._check_space()
        if self.method not in METHODS:
            raise UserError(f"unknown method {self.method!r}: there are {', '.join(METHODS)}")
        self._check_execution()
        self._check_guidance()
        if self.patience == 0:
            object.__setattr__(self, "patience", None)
        self._check_objectives()
        self._check_race()
        if self.class_weight not in (None, BALANCED):
            raise UserError(
                f"--class-weight should be {BALANCED}, or left out; got {self.class_weight!r}"
            )
        self._check_name()

    def _check_name(self) -> None:
        if self.name and not _NAME.fullmatch(self.name):
            raise UserError(
                f"study name {self.name!r}: a name of letters, digits, '.', '_' and '-' is "
                "expected, not a path; choose the folder with --runs-dir"
            )

    def _check_space(self) -> None:
        check_space(self.space)
        check_name(self.dataset)

    def _check_kinds(self) -> None:
        if not isinstance(self.space, str):
            raise UserError(f"space should be a text; got {self.space!r}")
        for name, known in OPTIONS.items():
            value = getattr(self, name)
            if known.kind == Kind.FOLDER and isinstance(value, str | os.PathLike):
                object.__setattr__(self, name, value := os.path.expanduser(value))
            known.check(name, value)

    def _check_objectives(self) -> None:
        given: Any = self.objective
        texts = [given] if isinstance(given, str) else given
        if not _is_list_of(texts, str):
            raise UserError(f"objective should be a text or a list of texts; got {given!r}")
        # A single objective is recorded as text, as before several were supported.
        object.__setattr__(self, "objective", texts[0] if len(texts) == 1 else tuple(texts))
        if len(parse_objectives(texts)) > 1:
            self._check_several()

    def _check_several(self) -> None:
        if not METHODS[self.method].several:
            raise UserError(
                f"method {self.method!r} takes one objective; for several take "
                f"{', '.join(multi_objective())} or auto"
            )

    def _check_race(self) -> None:
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
        method = METHODS[self.method]
        if self.needs_optuna and not method.is_guided and not self._is_halved:
            what = (
                "--try" if self.tries else "--from" if self.sources else f"--pruner {self.pruner}"
            )
            of_pruner = [n for n, m in METHODS.items() if m.oracle and self.pruner in m.pruners]
            takers = optuna_methods() if self.tries or self.sources else of_pruner
            raise UserError(
                f"{what} goes with methods {', '.join(takers)} and auto; "
                f"method {self.method!r} does not take it"
            )
        if self.sources and not method.learns:
            learners = [name for name in optuna_methods() if METHODS[name].learns]
            raise UserError(
                f"--from informs methods that learn from trials; {self.method} {method.what}, "
                f"whatever there was: take {_either([*learners, 'auto'])}"
            )
        if self.prunes and self.executions_per_trial > 1:
            raise UserError(
                f"--pruner {self.pruner} compares single trainings; "
                "leave out --executions-per-trial, or take --pruner none"
            )

    def _check_execution(self) -> None:
        from experiments.record.durations import parse_deadline

        count = int(self.workers) if str(self.workers).isdecimal() else self.workers
        is_count = isinstance(count, int) and not isinstance(count, bool) and count >= 0
        if count != "auto" and not is_count:
            raise UserError(f"--workers should be auto or 0 or more; got {self.workers!r}")
        object.__setattr__(self, "workers", count)
        if self.ray == "none":  # resets an earlier request
            object.__setattr__(self, "ray", None)
        if self.deadline is not None:
            parse_deadline(self.deadline)

    @property
    def parsed_objective(self) -> Objective:
        """The objective that ranks trials: the first one, with its direction."""
        return self.objectives[0]

    @property
    def prunes(self) -> bool:
        """Whether a pruner was requested."""
        return self.pruner not in (None, "none")

    @property
    def _is_halved(self) -> bool:
        """Whether a method without a model is combined with successive halving alone."""
        is_one = self.pruner in METHODS[self.method].pruners
        return is_one and not self.tries and not self.sources

    @property
    def needs_optuna(self) -> bool:
        """Whether an option was given that only Optuna's methods support."""
        return bool(self.prunes or self.tries or self.sources)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All objectives with their directions, in the given order."""
        texts = [self.objective] if isinstance(self.objective, str) else self.objective
        return parse_objectives(texts)

    def as_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain data for JSON."""
        return asdict(self)


class ScriptConfig(SearchConfig):
    """The search of a script: its model and its data are objects, not names."""

    def _check_space(self) -> None:
        """Takes any names: they are for the reader of the record."""

    def _check_name(self) -> None:
        """Takes any name that a folder may have, as Keras Tuner does."""

    def _check_several(self) -> None:
        """Takes several objectives with any method: the first guides those that know of one."""


OPTIONS = options_of(SearchConfig)
FIELDS = frozenset(field.name for field in fields(SearchConfig))


def load_toml(path: str | Path) -> dict[str, Any]:
    """Reads options of a search from a TOML file; keys are the fields of `SearchConfig`.

    Raises:
        UserError: The file is missing, is not TOML, or has an unknown key.
    """
    try:
        options = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config file {str(path)!r} can't be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"config file {str(path)!r} is no valid TOML: {error}") from None
    check_fields(options, f"config file {str(path)!r}")
    return options


def check_fields(given: Iterable[str], where: str) -> None:
    """Checks names of options.

    Args:
        given: The names.
        where: Where they were given, for the message.

    Raises:
        UserError: There is no such option.
    """
    unknown = sorted(set(given) - FIELDS)
    if unknown:
        raise UserError(
            f"{where}: unknown key {unknown[0]!r}; there are {', '.join(sorted(FIELDS))}"
        )


def _is_list_of(given: object, kind: type) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(one, kind) for one in given)


def is_choice(config: SearchConfig, num_finalists: int) -> bool:
    """Whether trainings choose the winner among finalists.

    With several objectives, finalists are different compromises and do not compete: the knee stays
    recommended. Only a race may replace it, with a trial that costs no more.
    """
    return num_finalists > 1 and (len(config.objectives) == 1 or config.race)


def num_trainings(config: SearchConfig) -> int:
    """Returns the largest number of trainings that confirming takes."""
    among = config.confirm * config.seeds
    fresh = config.seeds if is_choice(config, config.confirm) and not config.race else 0
    return among + fresh


def trainings_in_turn(config: SearchConfig, room: int) -> int:
    """Returns how many trainings of finalists are done one after the other at most.

    Args:
        config: The search.
        room: Trainings at a time.
    """
    among = config.confirm * config.seeds
    fresh = num_trainings(config) - among
    # A race may go on with two contenders, who take turns.
    at_once = max(1, min(room, 2) if config.race else room)
    return math.ceil(among / at_once) + math.ceil(fresh / at_once)
