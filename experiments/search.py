"""Runs a whole search: data, study folder, trials, finalists, artifacts."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.cache import cache_folder
from experiments.config import SearchConfig
from experiments.data import PreparedData, prepare
from experiments.display import Display, SilentDisplay
from experiments.errors import UserError
from experiments.objective import check_reported
from experiments.space import explore, fixed
from experiments.study import check_new, describe_study, write_study
from search_spaces import space_class


@dataclass(frozen=True)
class SearchResult:
    """What a search came to.

    Args:
        folder: The study folder.
        best_trial: Id of the best trial, or `None` if none was completed.
        best_score: Its score on the validation split.
        test_scores: Test accuracy of the winner's trainings, one a seed.
        num_failed: Trials that failed.
        report: The report's page.
    """

    folder: Path
    best_trial: str | None
    best_score: float | None
    test_scores: tuple[float, ...]
    num_failed: int
    report: Path


def run_search(config: SearchConfig, display: Display | None = None) -> SearchResult:
    """Searches as `config` says and leaves a study folder.

    Raises:
        UserError: The input can't be used; nothing is left behind.
    """
    from experiments.forecast import forecast

    display = display or SilentDisplay()
    name = config.name or f"{config.space}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = check_new(config, name)
    settings = parse_settings(config)
    cls = space_class(config.space)
    check_reported(config.parsed_objective, cls.metrics)
    # Facts of the space are checked on a stand-in before a dataset is fetched.
    fixed(explore(_make(config, cls.required_shape(3, settings), 2, settings)), config.fix)
    if config.max_epochs < 2 and config.method == "hyperband":
        raise UserError("method hyperband needs --max-epochs of 2 or more; got 1")
    data = prepare_data(config, settings, display)
    hypermodel = _make(config, data.shape, len(data.class_names), settings)
    space = fixed(explore(hypermodel), config.fix)
    try:
        hypermodel.fetch()
    except ValueError as error:
        raise UserError(f"space {config.space}: {error}") from None
    notices = []
    if config.cache_features:
        notices = forecast(hypermodel, space, data, cache_folder(config.cache_dir))
    return _run(config, name, folder, data, hypermodel, space, display, notices)


def _make(config: SearchConfig, shape: Any, num_classes: int, settings: dict[str, Any]) -> Any:
    try:
        return space_class(config.space)(shape, num_classes, **settings)
    except ValueError as error:
        raise UserError(f"space {config.space}: {error}") from None


def prepare_data(config: SearchConfig, settings: dict[str, Any], display: Display) -> PreparedData:
    """Prepares the dataset of `config`, or finds it in the cache."""
    cls = space_class(config.space)
    return prepare(
        config.dataset,
        lambda channels: cls.required_shape(channels, settings),
        cache_folder(config.cache_dir),
        data_dir=config.data_dir,
        sample=config.sample,
        split_seed=config.split_seed,
        progress=display.preparing,
    )


def parse_settings(config: SearchConfig) -> dict[str, Any]:
    """Parses the settings of the space: text becomes what the default is.

    Raises:
        UserError: There is no such setting, or its value does not fit.
    """
    defaults = space_class(config.space).setting_defaults()
    settings: dict[str, Any] = {}
    for name, value in config.settings.items():
        if name not in defaults:
            raise UserError(
                f"--set {name}: space {config.space} has no such setting; "
                f"there are {', '.join(defaults)}"
            )
        settings[name] = _size(name, value) if isinstance(defaults[name], int) else value
    return settings


def _size(name: str, value: Any) -> int:
    text = str(value).strip()
    if not text.isdecimal() or not 1 <= int(text) <= 4096:
        raise UserError(f"--set {name}={value}: a whole number from 1 to 4096 is expected")
    return int(text)


def _run(
    config: SearchConfig,
    name: str,
    folder: Path,
    data: PreparedData,
    hypermodel: Any,
    space: Any,
    display: Display,
    notices: list[str],
) -> SearchResult:
    from experiments.finalists import confirm
    from experiments.methods import make_oracle
    from experiments.tuner import SuiteTuner

    kinds = [
        {"kind": type(hp).__name__}
        | hp.get_config()
        | {"conditions": [{"name": c.name, "values": list(c.values)} for c in hp.conditions]}
        for hp in space.space
    ]
    study = describe_study(config, name, data, kinds, hypermodel.architecture)
    study["started"] = time.time()
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(
            f"study folder {str(folder)!r} can't be made "
            f"({error.strerror}): choose another --runs-dir"
        ) from None
    try:
        write_study(folder, study)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    tuner = SuiteTuner(
        config,
        data,
        display,
        oracle=make_oracle(config, space),
        hypermodel=hypermodel,
        directory=str(config.runs_dir),
        project_name=name,
    )
    display.search_started(name, config, data)
    for line in notices:
        display.notice(line)
    tuner.search()
    study["search_ended"] = time.time()
    scores = confirm(config, data, tuner, folder, display)
    study["ended"] = time.time()
    write_study(folder, study)
    from reports import write_report

    return _result(folder, tuner, scores, write_report(folder))


def _result(folder: Path, tuner: Any, scores: tuple[float, ...], report: Path) -> SearchResult:
    trials = list(tuner.oracle.trials.values())
    best = [t for t in tuner.oracle.get_best_trials(1) if t.status == "COMPLETED"]
    return SearchResult(
        folder=folder,
        best_trial=best[0].trial_id if best else None,
        best_score=best[0].score if best else None,
        test_scores=scores,
        num_failed=sum(t.status == "FAILED" for t in trials),
        report=report,
    )
