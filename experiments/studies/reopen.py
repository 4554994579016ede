"""Reopens a study: its configuration, its data, and its trials as tasks."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.config import FIELDS, SearchConfig
from experiments.data.cache import cache_folder
from experiments.data.cache_use import hold_for
from experiments.data.prepare import PreparedData, described
from experiments.display.plain import PatientDisplay
from experiments.hyperparameters.ranges import searched_space
from experiments.hyperparameters.settings import parse_settings
from experiments.hyperparameters.source import check_source
from experiments.hyperparameters.space import make_space
from experiments.hyperparameters.space_files import check_files
from experiments.record.errors import UserError, named_line
from experiments.record.objective import LATENCY
from experiments.record.reading import as_dict, clean, dig, read_json
from experiments.record.schema import check_hyperparameters
from experiments.record.study import check_trainable
from experiments.search.places import check_code, check_space_place, recorded, whole
from experiments.search.resume import as_named
from experiments.search.run import prepare_data
from experiments.space_reference import whole_space
from experiments.training.network import new_network
from experiments.training.task import TrialTask
from reports.study.study import Study

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Opened:
    """A study whose trials can be trained again.

    Args:
        study: The study, as reports read it.
        config: The recorded configuration of the search.
        data: The prepared dataset, with the same splits.
    """

    study: Study
    config: SearchConfig
    data: PreparedData

    @property
    def folder(self) -> Path:
        """The study folder."""
        return self.study.folder

    def task(self, hyperparameters: dict[str, Any], **options: object) -> TrialTask:
        """Returns the task of training `hyperparameters`, a `HyperParameters` config."""
        config = self.config
        defaults: dict[str, Any] = {
            "epochs": config.max_epochs,
            "patience": config.patience,
            "class_weight": config.class_weight,
            "further": tuple(o.name for o in config.objectives[1:] if o.name != LATENCY),
            "cache_dir": str(cache_folder(config.cache_dir)) if config.cache_features else None,
            "settings": parse_settings(config),
        }
        return TrialTask(
            space=config.space,
            hyperparameters=hyperparameters,
            data=self.data,
            objective=config.parsed_objective,
            **(defaults | options),
        )

    def hyperparameters(self, trial_id: str) -> dict[str, Any]:
        """Returns a trial's `HyperParameters` config.

        Raises:
            UserError: The trial's file can't be read.
        """
        path = self.study.files.trial(trial_id).state
        config = dig(read_json(path), "hyperparameters")
        try:
            check_hyperparameters(config)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{str(path)!r} is damaged: it holds no hyperparameters "
                f"({named_line(error)}); restore it from a copy"
            ) from None
        return dict(config)

    def default(self) -> dict[str, Any]:
        """Returns the space's default as a `HyperParameters` config, with fixed values applied."""
        space = make_space(self.config.space, self.data, parse_settings(self.config))
        config: dict[str, Any] = searched_space(space, self.config).get_config()
        return config

    def build(self, hyperparameters: dict[str, Any], **settings: object) -> "keras.Model":
        """Builds the network of `hyperparameters`, from raw images to probabilities.

        Raises:
            UserError: They are damaged, or the search space has changed.
        """
        chosen = parse_settings(self.config) | settings
        try:
            return new_network(self.task(hyperparameters, seeds=(), settings=chosen)).whole
        except Exception as error:  # the file is untrusted and may hold anything
            cause = error.__cause__ or error
            raise UserError(
                f"study {self.folder.name!r}: no network can be built of a trial's recorded "
                f"hyperparameters ({clean(named_line(cause), 200)}): they are "
                f"damaged, or search space {self.config.space!r} has changed since"
            ) from error


def exported_network(study: Study, space: str | None = None) -> "keras.Model":
    """Builds the network of the exported model from its search space, without its weights.

    Args:
        study: The study.
        space: Where its own model is, if not at its recorded place.

    Raises:
        UserError: The study does not record the network, or the space is missing.
    """
    exported = next((f for f in study.finalists if f.get("exported_run") is not None), {})
    stated, trial_id = as_dict(study.record.get("config")), str(exported.get("trial_id"))
    shape = as_dict(study.record.get("dataset")).get("shape")
    if not stated or not trial_id.isdecimal() or not isinstance(shape, list):
        raise UserError(f"study {study.name!r} does not record which network it exported")
    own = _own_space(study, stated.get("space"), space)
    config = SearchConfig(**(_config_fields(stated) | {"space": own}))
    record = as_dict(study.record.get("dataset")) | {"class_names": study.class_names}
    try:
        data = described(config.dataset, record)
    except (KeyError, TypeError, ValueError):
        raise UserError(f"study {study.name!r} is damaged: its dataset has no shape") from None
    opened = Opened(study, config, data)
    return opened.build(opened.hyperparameters(trial_id))


def _own_space(study: Study, recorded: object, given: str | None) -> str:
    """Returns what names the space; code that came with a study is run only if it was named."""
    if given is not None:
        return whole_space(as_named(recorded, given))
    check_space_place(str(recorded), study.folder)
    return str(recorded)


def _config_fields(stated: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stated.items() if name in FIELDS}


def open_study(
    study: Study,
    data_dir: str | None = None,
    cache_dir: str | None = None,
    dataset: str | None = None,
    space: str | None = None,
    accept_changed_source: bool = True,
) -> Opened:
    """Opens a study's configuration and its data, which are not pruned while what it returns lives.

    A slow preparation is shown on standard error.

    Args:
        study: A study of this suite.
        data_dir: Folder of tensorflow-datasets, if it has moved.
        cache_dir: Folder of prepared arrays, if it has moved.
        dataset: `folder:<path>`, `npz:<path>` or `file:<path>` of its data, if they have moved.
        space: `FILE.py[:NAME]` of its own model, if it has moved.
        accept_changed_source: Whether files of a user's own may have changed: model, base, weights.

    Raises:
        UserError: The study does not record its configuration, or its data have changed.
    """
    check_trainable(study.record, study.name)
    options = _config_fields(study.record["config"])
    options |= recorded(options, study.folder)
    if not dataset:
        check_code(str(options.get("dataset")), study.folder)
    options["space"] = _own_space(study, options.get("space"), space)
    if not accept_changed_source:
        check_source(study.record, str(options["space"]), study.folder)
        check_files(study.record, as_dict(options.get("settings")), study.folder)
    now = {"data_dir": data_dir, "cache_dir": cache_dir, "dataset": dataset}
    options |= whole({name: folder for name, folder in now.items() if folder})
    try:
        config = SearchConfig(**options)
    except TypeError as error:
        raise UserError(f"study {study.name!r} is damaged: its config lacks {error}") from None
    dataset_then = as_dict(study.record.get("dataset"))
    wanted = dataset_then.get("fingerprint")
    data = prepare_data(config, parse_settings(config), PatientDisplay(), dataset_then)
    if not data.is_recorded(dataset_then):
        differ = data.fingerprint != wanted
        splits = f" (splits now {data.fingerprint}, then {wanted})" if differ else ""
        raise UserError(
            f"dataset {config.dataset!r} is not what study {study.name!r} saw{splits}: "
            f"{data.why_changed(dataset_then)}"
        )
    opened = Opened(study, config, data)
    hold_for(opened, Path(data.folder))
    return opened
