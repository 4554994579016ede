"""Runs or resumes a whole search: data, study folder, trials, finalists, report."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras_tuner

from experiments.config import SearchConfig
from experiments.data.cache import cache_folder
from experiments.data.prepare import PreparedData
from experiments.data.sources.argument import is_arrays
from experiments.data.sources.base import IMAGES_ALONE, Inputs
from experiments.display.base import Display
from experiments.executors import check_available, opened
from experiments.executors.base import Executor
from experiments.executors.starting import refuse_while_spawning
from experiments.finalists import choose
from experiments.finalists.plan import check_race
from experiments.finalists.plan import notices as notices_of_finalists
from experiments.hyperparameters.model_space import ModelSpace, check_on_data, told_of
from experiments.hyperparameters.ranges import check_buildable, searched_space
from experiments.hyperparameters.settings import check_settings, parse_settings
from experiments.hyperparameters.source import check_source, own_text, space_source
from experiments.hyperparameters.space import (
    check_on_steps,
    check_ranges_used,
    class_of,
    explore,
    has_phases,
    make_space,
    stand_in,
)
from experiments.hyperparameters.space_files import check_files, space_files
from experiments.methods.guidance import chosen_method, given_points
from experiments.methods.make import make_oracle, parse_method_settings
from experiments.methods.warm_start import as_record, warm_start
from experiments.process.inherited import settled
from experiments.record.alike import SPACE_FILES
from experiments.record.durations import clock, parse_deadline
from experiments.record.errors import UserError
from experiments.record.lock import locked
from experiments.record.methods import METHODS
from experiments.record.objective import check_reported
from experiments.record.predictions import Targets
from experiments.record.study import is_unbegun, write_study
from experiments.search.new_study import (
    already_there,
    check_new,
    describe_study,
    not_made,
    remove_unbegun,
)
from experiments.search.places import prepared, whole_config, with_given
from experiments.search.resume import as_now, check_same, may_be_picked_again
from experiments.search.search_result import SearchResult, result_of
from experiments.search.session import SearchPlan, Session
from experiments.space_reference import SpaceReference, find_reference

_MOST_ATTEMPTS = 1000
_MOST_WEIGHTS = 5  # classes whose weights are all shown


@settled()
def run_search(
    config: SearchConfig,
    display: Display | None = None,
    executor: Executor | None = None,
    data: object = None,
) -> SearchResult:
    """Searches as `config` says and leaves a study folder.

    Args:
        config: The search.
        display: Shows how it goes.
        executor: Runs the trials; it is made as `config` says if it is `None`.
        data: Arrays in place of `config.dataset`: `(x, y)`, `((x_train, y_train), (x_val, y_val))`,
            a third pair for the test if you have it, or a dict of arrays by the names of an `.npz`
            file. They are kept in the cache, so that the study can be resumed.

    Raises:
        UserError: The input can't be used; nothing is left behind.
        InterruptedSearchError: It was interrupted; `resume_search` resumes it.
    """
    refuse_while_spawning()
    display = display or Display()
    config = whole_config(config)
    check_new(config)
    if data is not None:
        config = with_given(config, data)
    plan = prepare_search(config, display)
    study = describe_study(
        plan.config,
        plan.data.record(),
        describe_space(plan.space),
        plan.hypermodel.architecture_names(),
        space_source(config.space, plan.source),
    )
    if plan.config.class_weight:
        study["class_weights"] = plan.data.class_weights
    if files := space_files(config.settings):
        study[SPACE_FILES] = files
    study["started"] = time.time()
    study["earlier"] = as_record(plan.earlier)
    with opened(plan.config, executor) as executor:
        folder = _make_folder(config)
        study["name"] = study["config"]["name"] = folder.name
        with locked(folder):
            if not is_unbegun(folder):  # another process was quicker
                raise already_there(folder)
            try:
                write_study(folder, study)
                return _run(plan, folder, study, display, executor)
            except BaseException as error:
                if isinstance(error, UserError | OSError) or is_unbegun(folder):
                    remove_unbegun(folder)
                raise


@settled()
def go_on(
    record: dict[str, Any],
    folder: Path,
    config: SearchConfig,
    display: Display,
    accept_changed_source: bool = False,
    executor: Executor | None = None,
) -> SearchResult:
    """Resumes a study whose lock is held; callers use `resuming.resume_search`.

    Args:
        record: The content of `study.json`.
        folder: The study folder.
        config: What is asked now.
        display: Shows how it goes.
        accept_changed_source: Whether a user's own model, base or weights may have changed.
        executor: Runs the trials; it is made as `config` says if it is `None`.

    Raises:
        UserError: What is asked can't be; the study is left as it is.
        InterruptedSearchError: It was interrupted again.
    """
    if not accept_changed_source:
        check_source(record, config.space, folder)
        check_files(record, config.settings, folder)
    again = may_be_picked_again(record, config)  # more trials may ask for another method
    asked = replace(config, method="auto") if again else config
    plan = prepare_search(asked, display, config, record)
    space = describe_space(plan.space)
    widened = check_same(record, space, plan.data)
    if widened:
        plan = replace(plan, widened=tuple(widened))
        record["space"] = space
    study = as_now(record, folder, plan.config, plan.data)
    with opened(plan.config, executor) as executor:
        return _run(plan, folder, study, display, executor)


def prepare_search(
    config: SearchConfig,
    display: Display,
    begun: SearchConfig | None = None,
    record: Mapping[str, Any] | None = None,
) -> SearchPlan:
    """Checks `config` against its space and its dataset, which is prepared.

    Args:
        config: The search.
        display: Shows how it goes.
        begun: The search as it was until now, if it has begun.
        record: The content of its `study.json`, likewise.

    Raises:
        UserError: The input can't be used.
    """
    reference = find_reference(config.space)
    with told_of(reference):
        return _prepared(config, reference, display, begun, record)


def _prepared(
    config: SearchConfig,
    reference: SpaceReference | None,
    display: Display,
    begun: SearchConfig | None,
    record: Mapping[str, Any] | None,
) -> SearchPlan:
    from experiments.training.forecast import forecast

    end = clock() + parse_deadline(config.deadline) if config.deadline else None
    check_available(config.ray)
    source = own_text(config.space)
    settings = parse_settings(config, source)
    if begun is None:
        check_race(config)
        check_settings(config, settings, source)
    parse_method_settings(config)
    cls = class_of(config.space, source)
    hyperparameters = None if record is None else record["space"]
    is_open = _takes_arrays(config, source)  # arrays decide what the model is built for
    if not is_open:
        _check_objectives(config, cls.reported_metrics())
        early = stand_in(config.space, settings, source)  # is checked before a dataset is fetched
        searched = searched_space(early, config, hyperparameters)
        if begun is None:  # what older studies hold stays
            check_on_steps(explore(early), config.fix, early.held)
            check_ranges_used(searched, config.ranges)
    if config.max_epochs < 2 and config.method == "hyperband":
        raise UserError("method hyperband needs --max-epochs of 2 or more; got 1")
    recorded = None if record is None else record["dataset"]
    data = prepare_data(config, settings, display, recorded)
    hypermodel = make_space(config.space, data, settings, source)
    if "image_size" in settings and data.inputs == Inputs.ARRAYS:
        raise UserError("--set image_size is of images, and this model takes rows: leave it out")
    if config.class_weight and data.targets != Targets.CLASSES:
        raise UserError("--class-weight weighs classes, and this model predicts none: leave it out")
    space = searched_space(hypermodel, config, hyperparameters)
    if is_open and begun is None:
        check_on_steps(explore(hypermodel), config.fix, hypermodel.held)
        check_ranges_used(space, config.ranges)
    try:
        hypermodel.fetch()
    except ValueError as error:
        raise UserError(f"space {config.space}: {error}") from None
    brought: list[str] = []
    if reference is not None:
        checked = check_on_data(str(reference), hypermodel, space, data, bool(config.class_weight))
        _check_objectives(config, checked.metrics)
        _check_counted(config, hypermodel, space)
        brought = checked.lines
    check_buildable(hypermodel, space, config.ranges)
    phased = has_phases(hypermodel, space, config.max_epochs)
    lacks_phases = not phased and config.max_epochs == 1 and has_phases(hypermodel, space, 2)
    config, notices = chosen_method(config, space, begun, phased)
    picked = notices[0] if notices else None
    first, *further = config.objectives
    sampler = METHODS[config.method].sampler
    takes_short = sampler is not None and sampler.ranks_stopped and not further
    earlier, lines = warm_start(config.sources, space, first, config.runs_dir, further, takes_short)
    # What can't be searched is refused before anything is written.
    make_oracle(config, space)
    if sampler is not None:
        points = hypermodel.starting_points()  # a session that resumes asks for them, too
        if begun is None:
            given_points({}, config, space, points)
    notices += [*brought, *lines, *choose.notices(config), *notices_of_finalists(config)]
    if lacks_phases:
        notices.append(
            "trials of one epoch have no second phase of training: hyperparameters of it are "
            "recorded and change nothing; --max-epochs 2 or more has it"
        )
    if config.class_weight:
        notices.append(_weights_shown(data))
    if config.cache_features:
        notices += forecast(hypermodel, space, data, cache_folder(config.cache_dir))
    return SearchPlan(
        config,
        data,
        hypermodel,
        space,
        end,
        tuple(notices),
        tuple(earlier),
        picked=picked,
        source=source,
    )


def _weights_shown(data: PreparedData) -> str:
    weighed = sorted(zip(data.class_weights, data.class_names, strict=True))
    if len(weighed) > _MOST_WEIGHTS:
        weighed = [weighed[0], weighed[-1]]
    shown = [f"{name} {weight:.3g}" for weight, name in weighed]
    return (
        f"class weights: {(', ' if len(data.class_names) <= _MOST_WEIGHTS else ' to ').join(shown)}"
    )


def _takes_arrays(config: SearchConfig, source: str | None = None) -> bool:
    """Whether a model of the user's own is searched on arrays, which may be anything."""
    is_own = find_reference(config.space) is not None and is_arrays(config.dataset)
    return is_own and issubclass(class_of(config.space, source), ModelSpace)


def _check_counted(config: SearchConfig, hypermodel: Any, space: Any) -> None:
    """Checks that the operations of a user's own model can be counted, if they are an objective."""
    from experiments.training.costs import flops

    if (
        "flops" in [o.name for o in config.objectives]
        and flops(hypermodel.build(space.copy())) is None
    ):
        raise UserError(
            "objective flops: operations of a subclass of keras.Model or Layer with its own call, "
            "or of inputs without a size, can't be counted; take --objective latency_ms or params, "
            "or make it of keras.Model(inputs, outputs) and layers of Keras"
        )


def _check_objectives(config: SearchConfig, reported: tuple[str, ...]) -> None:
    is_own = find_reference(config.space) is not None
    for objective in config.objectives:
        metric = objective.name.removeprefix("val_")
        mend = ""
        if is_own:
            mend = f'; compile the model with metrics=["{metric}"], or take --objective val_loss'
        check_reported(objective, reported, mend)


def prepare_data(
    config: SearchConfig,
    settings: dict[str, Any],
    display: Display,
    recorded: Mapping[str, Any] | None = None,
) -> PreparedData:
    """Prepares the dataset of `config`, or finds it in the cache.

    Args:
        config: The search.
        settings: Of the space.
        display: Shows how it goes.
        recorded: What `study.json` holds under `dataset`; `None` for a new study.
    """
    cls = class_of(config.space)
    wanted = IMAGES_ALONE
    if _takes_arrays(config) and issubclass(cls, ModelSpace):
        wanted = cls.wanted()
    return prepared(
        config, lambda channels: cls.required_shape(channels, settings), display, recorded, wanted
    )


def _name(config: SearchConfig, attempt: int) -> str:
    """Returns a default study name; a different one for each attempt."""
    suffix = "" if attempt == 1 else f"-{attempt}"
    reference = find_reference(config.space)
    space = config.space if reference is None else reference.stem
    return f"{space}-{time.strftime('%Y%m%d-%H%M%S')}{suffix}"


def _make_folder(config: SearchConfig) -> Path:
    """Makes the folder of a new study; two studies named in the same second get different ones."""
    for attempt in range(1, _MOST_ATTEMPTS):
        folder = Path(config.runs_dir) / (config.name or _name(config, attempt))
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            check_new(config)  # of a name that was given, another process was quicker
            if config.name:  # a search that was killed has left it empty
                return folder
        except (OSError, ValueError) as error:
            raise not_made(folder, error) from None
    raise UserError(f"no name is left in {config.runs_dir!r} for a study: give one with --name")


def describe_space(space: keras_tuner.HyperParameters) -> list[dict[str, Any]]:
    """Returns every hyperparameter with its range and its conditions, as plain data."""
    return [
        {"kind": type(hp).__name__}
        | hp.get_config()
        | {"conditions": [{"name": c.name, "values": list(c.values)} for c in hp.conditions]}
        for hp in space.space
    ]


def _run(
    plan: SearchPlan, folder: Path, study: dict[str, Any], display: Display, executor: Executor
) -> SearchResult:
    session = Session(plan, folder, study, display, executor)
    confirmed = session.run()
    ended_by = study["sessions"][-1].get("ended_by")
    return result_of(folder, session.tuner.oracle, confirmed, ended_by)
