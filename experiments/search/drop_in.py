"""`experiments.Tuner`: takes the calls of Keras Tuner's tuners, and leaves a study.

The model, its training and its data are the caller's. Trials run in this process, or in worker
processes that get model and data once (`search.shipped`).
"""

import inspect
import math
import os
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from itertools import chain, groupby, islice
from numbers import Integral
from operator import attrgetter
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine import trial as trial_module
from keras_tuner.src.engine import tuner_utils

from experiments.config import ScriptConfig, SearchConfig
from experiments.data.prepare import PreparedData
from experiments.display import make_display
from experiments.display.base import Display
from experiments.display.plain import PlainDisplay
from experiments.executors import opened
from experiments.executors.base import Executor
from experiments.executors.deadline import Deadline
from experiments.executors.inline import InlineExecutor
from experiments.executors.starting import refuse_while_spawning
from experiments.hyperparameters.declared import declared_points
from experiments.hyperparameters.model_space import add_appearing
from experiments.hyperparameters.source import new_source
from experiments.methods.guidance import (
    GivenPoints,
    chosen_method,
    given_points,
    parse_tries,
)
from experiments.methods.make import make_oracle, plan_of, plans_of
from experiments.methods.oracles.hyperband_brackets import Plan
from experiments.methods.oracles.reported import epochs_of
from experiments.methods.prior_trials import PriorTrial
from experiments.methods.warm_start import as_record, from_record, warm_start
from experiments.process.heap import short_collections
from experiments.process.inherited import follow, keras_settings, refuse_shared_trials
from experiments.record.durations import parse_deadline
from experiments.record.ended_trials import num_ended, so_far
from experiments.record.errors import UserError
from experiments.record.files import write_json
from experiments.record.formatting import NO_END, plural
from experiments.record.layout import StudyFolder, TrialFolder, expanded
from experiments.record.lock import locked
from experiments.record.methods import METHODS, optuna_methods
from experiments.record.objective import Objective
from experiments.record.reading import read_dict
from experiments.record.study import write_study
from experiments.search import own_epochs
from experiments.search.given_oracle import show_trials, takes_oracle
from experiments.search.keywords import as_keywords, in_keywords
from experiments.search.new_study import describe_study, remove_unbegun
from experiments.search.repair import forget_states, readable, restore
from experiments.search.retention import make_retention
from experiments.search.run import describe_space
from experiments.search.script_facts import (
    changed_arguments,
    changed_ranges,
    describe_data,
    fingerprint_of_data,
    is_same_data,
    last_fingerprint,
    name_of_model,
    objective_text,
    plain_arguments,
    source_of_script,
)
from experiments.search.script_folder import (
    as_before,
    check_folder,
    made,
    record_of,
    remove,
)
from experiments.search.script_trials import FitTasks, HookedDriver
from experiments.search.session_record import SessionRecord, told
from experiments.search.trial_record import TrialRecord
from experiments.training.fit_attempt import FitAttempt
from experiments.training.graphs import released_afterwards
from experiments.training.own_fit import FitResult, run_fit
from experiments.training.replay import build as rebuild
from experiments.training.replay import can_be_replayed
from experiments.training.task import FitTask

_DATA = 2  # positions of `x` and `y`
_HOOKS = ("on_batch_begin", "on_batch_end", "on_epoch_begin", "on_epoch_end")


class Tuner(keras_tuner.Tuner):  # type: ignore[misc]
    """Searches the hyperparameters of a Keras model; use it as a tuner of Keras Tuner.

    `search(...)` passes its arguments to the model's `fit`. Each epoch is recorded. A search that
    was ended resumes when the script runs again: trials that had ended are not repeated. The
    project folder is a study of this suite and a project of Keras Tuner.

    Args:
        hypermodel: A function of `HyperParameters` that returns a compiled model, a `HyperModel`,
            or its class; may be missing where `run_trial` is overridden.
        objective: As in Keras Tuner: a name, an `Objective`, or a list of them, of which the first
            ranks trials. The objective that `run_trial` returns as a number if `None`.
        max_trials: Number of trials; may be raised when a search is resumed.
        seed: Seed of everything random; drawn and recorded if `None`.
        hyperparameters: Overrides of the search space, as in Keras Tuner.
        tune_new_entries: As in Keras Tuner.
        allow_new_entries: As in Keras Tuner.
        max_retries_per_trial: How often a trial is tried again after an error, or, with another
            seed, where its score is not finite.
        max_consecutive_failed_trials: Failures in a row that end the search with an error.
        method: `random`, `grid`, `hyperband`, `bayesian`, `tpe`, `gp`, `cmaes`, `nsga2`, `qmc`, or
            `auto`, which chooses by budget and space.
        pruner: What stops hopeless trials after an epoch: `asha`, `hyperband`, `median`,
            `wilcoxon`, or `none`; with `auto`, `None` leaves the choice to it.
        workers: Worker processes; 0 runs trials in this process.
        deadline: When to start no more trials, and to pause those that run: `30m`, `18:00`.
        keep: Best trials whose weights are kept.
        warm_start: Earlier trials that inform the method: studies, Keras Tuner projects, CSV
            files, Optuna storages.
        tries: Values that the first trials get; defaults for the rest.
        max_epochs: Epochs of a trial, fewer where the method divides them or stops it; `epochs` of
            `search` if `None`. A `HyperModel.fit` of one's own gets them as `epochs` if it takes
            that, sets none itself, and `search` passes none.
        method_settings: Settings of the method, such as `{"factor": 4}`.
        directory: Folder of the project folder, `.` if `None`.
        project_name: Name of the project folder, `untitled_project` if `None`.
        overwrite: Whether to remove an earlier search instead of resuming it.
        executions_per_trial: Trainings of each trial; its score is their mean.
        **kwargs: `optimizer`, `loss`, `metrics`, `distribution_strategy`, `max_model_size`,
            `logger` and `tuner_id`, as in Keras Tuner; `oracle`, one of Keras Tuner's, in place of
            the method and what else it says.

    Raises:
        UserError: An argument can't be used, or the folder holds something else.
    """

    oracle: Any
    _seed_of_oracle: int | None  # of a given one
    _sweeps: int | None = None  # of Hyperband; as many as there are trials for if `None`

    @in_keywords()
    @takes_oracle
    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        method: str = "auto",
        pruner: str | None = None,
        workers: int = 0,
        deadline: str | None = None,
        keep: int = 10,
        warm_start: str | Sequence[str] = (),
        tries: Sequence[Mapping[str, Any]] = (),
        max_epochs: int | None = None,
        method_settings: Mapping[str, Any] | None = None,
        directory: str | os.PathLike[str] | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        executions_per_trial: int = 1,
        **kwargs: Any,
    ) -> None:
        refuse_while_spawning()
        if hypermodel is None and not self._has_own_run:
            raise UserError(
                "hypermodel is missing: give a function that builds a model, or override run_trial"
            )
        if inspect.isclass(hypermodel) and issubclass(hypermodel, keras_tuner.HyperModel):
            hypermodel = hypermodel()
        self._declared = declared_points(hypermodel)
        self._entries = {
            "tune_new_entries": tune_new_entries, "allow_new_entries": allow_new_entries,
        }  # fmt: skip
        for name in [name for name, new in self._entries.items() if not new]:
            if hyperparameters is None:
                raise UserError(f"{name}=False needs the space: give it as hyperparameters")
        folder = expanded(directory or ".") / (project_name or "untitled_project")
        sources = (warm_start,) if isinstance(warm_start, str) else tuple(warm_start)
        check_folder(folder, overwrite, sources)
        given = objective if isinstance(objective, list | tuple) else [objective]
        drawn = self._seed_of_oracle or int.from_bytes(os.urandom(3), "big")
        self._config: SearchConfig = ScriptConfig(
            space=name_of_model(hypermodel, type(self)),
            dataset="",
            method=method,
            max_trials=NO_END if max_trials is None else max_trials,
            max_epochs=max_epochs or 1,
            objective=[objective_text(one) for one in given],
            seed=drawn if seed is None else seed,
            name=folder.name,
            runs_dir=str(folder.parent),
            patience=None,
            executions_per_trial=executions_per_trial,
            confirm=0,
            workers=workers,
            deadline=deadline,
            max_failures=max_consecutive_failed_trials,
            keep=keep,
            method_settings=dict(method_settings or {}),
            pruner=pruner,
            tries=tuple(tries),
            try_default=not tries,
            sources=sources,
        )
        self._max_epochs = max_epochs
        self._seed_given = seed is not None
        self._retries = max_retries_per_trial
        self._attempt: FitAttempt | None = None
        self._keras_settings = keras_settings()  # what the script has set
        self._fit: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
        study = None if overwrite else record_of(folder)
        if study is not None:
            self._config = as_before(self._config, study, self._seed_given)
        plain = replace(
            self._config,
            method="random", method_settings={}, pruner=None, tries=(), sources=(),
        )  # fmt: skip
        space = hyperparameters or keras_tuner.HyperParameters()
        self._overwrites = overwrite  # until all is checked
        super().__init__(
            oracle=make_oracle(plain, space, further=self._entries),
            hypermodel=hypermodel,
            directory=str(folder.parent),
            project_name=folder.name,
            executions_per_trial=executions_per_trial,
            **kwargs,
        )
        if self._config.method != "auto":
            self._set_oracle(self._config, points=self._points(study or {}, self._config))
        if overwrite:
            self._overwrite()

    @property
    def _has_own_run(self) -> bool:
        return type(self).run_trial is not Tuner.run_trial

    @property
    def _has_own_fit(self) -> bool:
        return self._has_own_run or self._own_fit is not None

    @property
    def _own_fit(self) -> Callable[..., Any] | None:
        """The `fit` of the hypermodel, if it is one of its own."""
        is_own = type(self.hypermodel).fit is not keras_tuner.HyperModel.fit
        return self.hypermodel.fit if is_own else None

    def _said_epochs(self, fit_args: Sequence[Any], fit_kwargs: Mapping[str, Any]) -> Any:
        """Returns the epochs that `search` passes to a `fit` of one's own, if any."""
        return self._own_fit and own_epochs.said(self._own_fit, fit_args, fit_kwargs)

    def _takes_max_epochs(self, fit_args: Sequence[Any], fit_kwargs: Mapping[str, Any]) -> bool:
        """Whether `max_epochs` is passed on where the method does not divide it."""
        if self._own_fit is None:
            return True
        is_said = self._said_epochs(fit_args, fit_kwargs) is not None
        return not is_said and own_epochs.is_taken(self._own_fit)

    @property
    def _fits_by_keras(self) -> bool:
        """Whether a training is one call of the model's `fit`."""
        builds = type(self)._build_and_fit_model is keras_tuner.Tuner._build_and_fit_model
        return builds and not self._has_own_fit

    @property
    def folder(self) -> Path:
        """The study folder."""
        return Path(self.project_dir)

    @property
    def remaining_trials(self) -> int | None:
        """Trials that are left; `None` where no number limits them."""
        return None if self._config.max_trials >= NO_END else int(super().remaining_trials)

    def _populate_initial_space(self) -> None:
        super()._populate_initial_space()
        follow(self._keras_settings)  # a build may have changed them
        self.oracle.always = frozenset(hp.name for hp in self.oracle.hyperparameters.space)

    def reload(self) -> None:
        """Sets the state from the trial files of an earlier search; `search` mends damaged ones."""
        self._populate_initial_space()
        self.oracle.take_up(readable(self.folder, self.oracle))

    def _get_tuner_fname(self) -> str:
        name = str(super()._get_tuner_fname())
        return f"{name}.new" if self._overwrites else name  # lest Keras Tuner load it

    def _overwrite(self) -> None:
        """Removes an earlier search, once nothing that was given can be refused any more."""
        if self._config.method == "auto":
            if self._config.tries:
                parse_tries(self._config, self.oracle.hyperparameters)
            known = {name for method in METHODS.values() for name in method.settings}
            if unknown := self._config.method_settings.keys() - known:
                raise UserError(f"method_settings {min(unknown)}: no method has such a setting")
        self._earlier(self._config)
        if self.folder.is_dir():
            with locked(self.folder):  # another process may have begun a search meanwhile
                remove(self.folder)
        self._overwrites = False

    def save(self) -> None:
        """Writes the file by which Keras Tuner knows a project, and the oracle's state."""
        write_json(Path(self._get_tuner_fname()), self.get_state())
        self.oracle.flush()

    def _points(self, study: Mapping[str, Any], config: SearchConfig) -> GivenPoints | None:
        if config.method not in optuna_methods():
            return None
        return given_points(study, config, self.oracle.hyperparameters, self._declared)

    def _set_oracle(self, config: SearchConfig, **arguments: Any) -> None:
        """Makes the method's oracle over the space that is known, with the trials there are."""
        before: Any = self.oracle
        further: dict[str, Any] = dict(self._entries)
        if config.method == "hyperband":
            further["hyperband_iterations"] = self._sweeps
        self.oracle = make_oracle(config, before.hyperparameters, further=further, **arguments)
        self.oracle._set_project_dir(self.directory, self.project_name)
        self.oracle.always = before.always
        self.oracle.rebuild(before.trials.values())
        self._held.append(before)
        show_trials(self.oracle, self._held)

    @in_keywords()
    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Runs trials until the method has no more.

        Args:
            *fit_args: Passed to the hypermodel's `fit`, or to `run_trial` where it is overridden.
            **fit_kwargs: Likewise; callbacks are copied for each training. `verbose=0` shows
                nothing.

        Raises:
            UserError: Something asked can't be; nothing that had ended is lost.
            RuntimeError: Too many trials failed in a row.
            KeyboardInterrupt: It was interrupted; the same script resumes it.
        """
        refuse_shared_trials()
        self._keras_settings = keras_settings()
        self._fit = fit_args, fit_kwargs = self._named(fit_args, fit_kwargs)
        verbose = fit_kwargs.get("verbose")
        self.oracle.verbose = 0
        loud = verbose not in (None, 0, "auto")
        with PlainDisplay() if loud else make_display(verbose == 0) as display:
            config, notices = self._planned(fit_args, fit_kwargs)
            with locked(made(self.folder)):
                is_new = not StudyFolder(self.folder).record.is_file()
                try:
                    self._search(config, notices, display)
                except OSError as error:
                    if line := told(error, self.folder, "run this again"):
                        raise line from None
                    raise
                finally:
                    follow(self._keras_settings)
                    if is_new:
                        remove_unbegun(self.folder)

    def _named(
        self, fit_args: tuple[Any, ...], fit_kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Names what comes after `x` and `y`, where it is Keras' own `fit` that gets it."""
        if self._has_own_fit:
            return fit_args, fit_kwargs
        bound = inspect.signature(keras.Model.fit).bind_partial(None, *fit_args).arguments
        named = dict(list(bound.items())[1 + _DATA :])
        return fit_args[:_DATA], dict(**named, **fit_kwargs)

    def _planned(
        self, fit_args: tuple[Any, ...], fit_kwargs: Mapping[str, Any]
    ) -> tuple[SearchConfig, list[str]]:
        """Returns the search with its epochs, its data and its method, and lines to show."""
        # Of a `run_trial` of one's own nothing is known but what has a name.
        said = None if self._has_own_run else self._said_epochs(fit_args, fit_kwargs)
        is_divided = self._config.method == "hyperband"
        config = replace(
            self._config,
            max_epochs=_whole(
                None if is_divided else said, self._max_epochs, fit_kwargs.get("epochs"), said
            ),
            dataset=describe_data(fit_args, fit_kwargs),
        )
        if config.method != "auto":
            return config, []
        space = self.oracle.get_space()
        if not space.space:
            return replace(config, method="random"), [
                "auto: --method random, because hyperparameters are known only once a trial ran"
            ]
        if config.pruner is None and self._has_own_fit:
            config = replace(config, pruner="none")  # its `fit` may not take what promotions need
        grows = self._entries["tune_new_entries"]
        if grows and not self._has_own_fit and chosen_method(config, space)[0].method == "grid":
            add_appearing(space, self.hypermodel.build)  # lest it be claimed of a part
        return chosen_method(config, space, is_whole=not (grows and self._has_own_fit))

    def _search(self, config: SearchConfig, notices: list[str], display: Display) -> None:
        study = record_of(self.folder)  # another process may have searched since it was read
        changed: dict[str, Any] = {}
        if study is None:
            study = self._new_study(config, notices)
        else:
            config = as_before(config, study, self._seed_given)
            changed = self._changes(study, notices)
        study |= {"config": config.as_dict(), "script": self._script()}
        points = self._points(study, config)
        plans = plans_of(config, study, self.folder)
        self._set_oracle(config, plans=plans, earlier=from_record(study), points=points)
        if self._sweeps is not None and len(plans) > 1:
            self.oracle.max_trials = self.oracle.trials_with(self._sweeps)
            config = replace(config, max_trials=self.oracle.max_trials)
            study["config"] = config.as_dict()
        self._config = config
        write_study(self.folder, study)
        record = TrialRecord(self.folder, self.oracle)
        session = SessionRecord(self.folder, study)
        mended = restore(self.folder, record, self.oracle)
        show_trials(self.oracle, self._held)
        for trial in self.oracle.trials.values():
            self.oracle.update_space(trial.hyperparameters)
        self.save()
        plan = plan_of(config)
        facts = points.recorded if points else {}
        num_before = num_ended(self.oracle)
        self.on_search_begin()
        with opened(config, self._executor(config)) as executor:
            session.begin(
                first_trial=len(self.oracle.trials),
                max_trials=config.max_trials,
                max_epochs=plan.max_epochs,
                factor=plan.factor,
                restored=mended,
                threads=executor.threads,
                fit=plain_arguments(self._fit),
                **changed,
                **facts,
            )
            display.search_started(self.folder.name, config, _NO_DATA)
            display.recalled(*so_far(self.oracle))
            display.words = as_keywords
            for line in [*notices, *([f"restored: {'; '.join(mended)}"] if mended else [])]:
                display.notice(line)
            driver = self._drive(config, executor, record, session, display)
        self.on_search_end()
        display.words = str
        study["space"] = describe_space(self.oracle.get_space())
        session.note(
            search_ended=time.time(), ended_by=driver.ended_by, num_trials=len(self.oracle.trials)
        )
        session.end(was_idle=num_ended(self.oracle) == num_before)
        display.notice(
            f"report: tuner.report(), or experiments report {shlex.quote(str(self.folder))}"
        )
        ended = [self.oracle.trials[trial_id] for trial_id in self.oracle.end_order]
        failed = [trial for trial in ended if trial.status == "FAILED"]
        if driver.ended_by == "failures":
            raise RuntimeError(
                f"{plural(config.max_failures, 'trial')} in a row failed, the last one: "
                f"{failed[-1].message}"
            )
        if failed and len(failed) == len(ended):  # with verbose=0 nothing else says so
            why = str(failed[-1].message).strip().splitlines()[-1:]
            warnings.warn(f"no trial completed; the last one: {''.join(why)}", stacklevel=4)

    def _drive(
        self,
        config: SearchConfig,
        executor: Executor,
        record: TrialRecord,
        session: SessionRecord,
        display: Display,
    ) -> HookedDriver:
        retention = make_retention(self.folder, config, by_score=True)
        driver = HookedDriver(
            FitTasks(self, config, retention),
            executor,
            record,
            display,
            retention,
            deadline=Deadline(
                parse_deadline(config.deadline) if config.deadline else None,
                config.max_epochs * config.executions_per_trial,
                0,
            ),
            max_failures=config.max_failures,
        )
        try:
            with short_collections():
                driver.run()
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            with suppress(OSError):
                session.note(
                    ended_by="interrupted" if interrupted else "error", stopped=time.time()
                )
            if interrupted:
                display.notice("interrupted: run this again to resume the search")
            raise
        return driver

    def _executor(self, config: SearchConfig) -> Executor:
        if config.workers == 0:
            return InlineExecutor(self._run)
        from experiments.search.shipped import shipping

        return shipping(self, self._fit, config)

    def _run(self, task: FitTask, report: Any, note: Any) -> FitResult:
        trial = self.oracle.trials[task.trial_id]
        return self._run_task(trial, task, report)

    def _run_task(self, trial: trial_module.Trial, task: FitTask, report: Any) -> FitResult:
        args, kwargs = self._fit
        self._attempt = FitAttempt(task, report)
        # A loop of the user's own may hold a graph from one trial to the next.
        released = nullcontext() if self._has_own_fit else released_afterwards()
        try:
            with released:
                return run_fit(self._attempt, lambda: self._returned(trial, args, kwargs))
        finally:
            self._attempt = None

    def _returned(
        self, trial: trial_module.Trial, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        trial.metrics = type(trial.metrics)()  # without those of a failed attempt
        returned = self.run_trial(trial, *args, **kwargs)
        if returned is None and trial.metrics.exists(self.oracle.objective.name):
            return _reported(trial)
        tuner_utils.validate_trial_results(returned, self.oracle.objective, "Tuner.run_trial()")
        return returned

    def run_trial(self, trial: trial_module.Trial, *fit_args: Any, **fit_kwargs: Any) -> Any:
        """Trains the model of a trial, `executions_per_trial` times.

        Args:
            trial: The trial, with its hyperparameters.
            *fit_args: Passed to the hypermodel's `fit`.
            **fit_kwargs: Likewise.

        Returns:
            What each `fit` returned: a `History`, a dictionary of metrics, or the objective.
        """
        attempt = self._attempt
        if attempt is None:
            raise UserError("run_trial is called by search: call tuner.search(...)")
        callbacks = fit_kwargs.pop("callbacks", None) or []
        is_divided = "tuner/epochs" in trial.hyperparameters.values
        if is_divided or (self._max_epochs and self._takes_max_epochs(fit_args, fit_kwargs)):
            fit_kwargs["epochs"] = attempt.task.epochs
        if is_divided:
            fit_kwargs["initial_epoch"] = attempt.task.initial_epoch
        if not self._has_own_fit:
            fit_kwargs.setdefault("verbose", 0)
        results = []
        for execution in range(self.executions_per_trial):
            own = self._callbacks(callbacks, trial, execution)
            resumes = partial(self._resumes, own, attempt.task.objective)
            recorder = attempt.recorder(resumes, self._fits_by_keras)
            own = [*([recorder.replay] if recorder.replay else []), *own, recorder]
            results.append(
                self._build_and_fit_model(trial, *fit_args, **{**fit_kwargs, "callbacks": own})
            )
        return results

    def _callbacks(self, given: Any, trial: trial_module.Trial, execution: int) -> list[Any]:
        copied = list(self._deepcopy_callbacks(given))
        self._configure_tensorboard_dir(copied, trial, execution)
        if any(getattr(type(self), hook) is not getattr(Tuner, hook) for hook in _HOOKS):
            copied.append(tuner_utils.TunerCallback(self, trial))
        return copied

    def _resumes(self, callbacks: Sequence[Any], objective: Objective) -> bool:
        """Whether an interrupted training goes on: everything that acts in it is known."""
        is_known = self._fits_by_keras and self.distribution_strategy is None
        return is_known and can_be_replayed(callbacks, objective)

    def _build_hypermodel(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        # Keras Tuner has cleared Keras' session, and mixed precision with it.
        follow(self._keras_settings)
        return super()._build_hypermodel(hp)

    def _try_build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = super()._try_build(hp)
        return model if self._attempt is None else self._attempt.continued(model)

    def on_trial_end(self, trial: trial_module.Trial) -> None:
        """Is called when a trial is recorded; does nothing, for subclasses."""

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """Returns the models of the best trials; of equal ones first those whose weights are kept.

        Args:
            num_models: How many; fewer are returned where there are fewer.
        """
        ranked = self.oracle.get_best_trials(len(self.oracle.trials))
        equals = groupby(ranked, attrgetter("score"))
        trials = chain.from_iterable(sorted(e, key=self._lacks_weights) for _, e in equals)
        return [self.load_model(trial) for trial in islice(trials, num_models)]

    def _lacks_weights(self, trial: trial_module.Trial) -> bool:
        return not TrialFolder(self.get_trial_dir(trial.trial_id)).checkpoint.is_file()

    def load_model(self, trial: trial_module.Trial) -> keras.Model:
        """Returns a trial's model with the weights of its best epoch.

        Raises:
            UserError: Its weights are not kept, or it can't be built without data.
        """
        if self._lacks_weights(trial):
            raise UserError(
                f"the weights of trial {trial.trial_id} are not kept: weights of the best "
                f"{plural(self._config.keep, 'trial')} are, as Tuner(keep={self._config.keep}) "
                "says, of trainings that report epochs to the callbacks"
            )
        with warnings.catch_warnings():
            # The best epoch's optimizer is not needed, and a fresh one has no variables yet.
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            strategy, model = self.distribution_strategy, self._try_build(trial.hyperparameters)
            if not model.built:  # of a subclass; Keras Tuner notes the shapes it was built with
                shapes = read_dict(Path(self._get_build_config_fname(trial.trial_id)))
                with suppress(Exception):
                    rebuild(model, shapes)
            if not model.built:
                raise UserError(
                    f"the model of trial {trial.trial_id} has weights only once it is called on "
                    "data, and its shapes are not known: call it in build, or give it a "
                    "build(input_shape)"
                )
            with nullcontext() if strategy is None else strategy.scope():
                model.load_weights(self._get_checkpoint_fname(trial.trial_id))
            return model

    def report(self) -> Path:
        """Writes the report of the study, and returns the path of its page."""
        from reports import write_report

        return Path(write_report(self.folder))

    def _script(self) -> dict[str, Any]:
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        return {
            "file": os.path.abspath(main) if main else None,
            "hypermodel": self._config.space,
            "tuner": type(self).__qualname__,
        }

    def _new_study(self, config: SearchConfig, notices: list[str]) -> dict[str, Any]:
        space = self.oracle.hyperparameters
        earlier, lines = self._earlier(config)
        notices += lines
        data = {"name": config.dataset, "fingerprint": fingerprint_of_data(self._fit)}
        study = describe_study(config, data, describe_space(space), (), source_of_script(self))
        return study | {"started": time.time(), "earlier": as_record(earlier)}

    def _earlier(self, config: SearchConfig) -> tuple[list[PriorTrial], list[str]]:
        space = self.oracle.hyperparameters
        first, *further = config.objectives
        sampler = METHODS[config.method].sampler
        short = sampler is not None and sampler.ranks_stopped and not further
        grows = self._entries["tune_new_entries"]
        return warm_start(config.sources, space, first, ".", further, short, grows)

    def _changes(self, study: Mapping[str, Any], notices: list[str]) -> dict[str, Any]:
        """Returns the fingerprints of the model's code and of the data that have changed.

        A training of other code or other data does not go on from its last epoch.
        """
        facts, names = new_source(study, source_of_script(self))
        data = not is_same_data(last_fingerprint(study), self._fit)
        if names:
            notices.append(
                f"the code of the model has changed since the session before ({', '.join(names)}): "
                "trials from now on may be of other networks"
            )
        ranges = changed_ranges(study["space"], describe_space(self.oracle.hyperparameters))
        if ranges:
            notices.append(
                f"other ranges than in the session before: {', '.join(ranges)}; earlier trials "
                "count as they were drawn"
            )
        if data:
            facts["fingerprint"] = fingerprint_of_data(self._fit)
            notices.append("the arrays are others than in the session before: so are the scores")
        if changed := changed_arguments(study, self._fit):
            notices.append(
                f"other arguments of search than in the session before: {', '.join(changed)}; "
                "trials from now on are trained by these"
            )
        if names or data or changed:
            forget_states(self.folder)
        return facts


def _whole(*numbers: Any) -> int:
    """Returns the first whole number, 1 if there is none."""
    return next((int(n) for n in numbers if isinstance(n, Integral) and n), 1)


def _reported(trial: trial_module.Trial) -> keras.callbacks.History:
    """Returns what a `run_trial` reported by `oracle.update_trial`, as was once done, by step."""
    curves = {name: epochs_of(trial, name) for name in trial.metrics.metrics}
    steps = sorted({step for curve in curves.values() for step in curve})
    history = keras.callbacks.History()
    history.history = {n: [c.get(step, math.nan) for step in steps] for n, c in curves.items()}
    return history


class RandomSearch(Tuner):
    """Draws at random; the arguments are those of `keras_tuner.RandomSearch`, and `Tuner`'s."""

    def __init__(self, hypermodel: Any = None, objective: Any = None, max_trials: int = 10,
                 *args: Any, **kwargs: Any) -> None:  # fmt: skip
        super().__init__(hypermodel, objective, max_trials, *args, **{"method": "random", **kwargs})


class GridSearch(Tuner):
    """Tries all combinations; the arguments are those of `keras_tuner.GridSearch`."""

    def __init__(self, hypermodel: Any = None, objective: Any = None,
                 max_trials: int | None = None, *args: Any, **kwargs: Any) -> None:  # fmt: skip
        super().__init__(hypermodel, objective, max_trials, *args, **{"method": "grid", **kwargs})


class BayesianOptimization(Tuner):
    """Models the score; the arguments are those of `keras_tuner.BayesianOptimization`."""

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int = 10,
        num_initial_points: int | None = None,
        alpha: float = 1e-4,
        beta: float = 2.6,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        settings: dict[str, Any] = {"alpha": alpha, "beta": beta}
        if num_initial_points is not None:
            settings["num_initial_points"] = num_initial_points
        own = {"method": "bayesian", "method_settings": settings}
        super().__init__(hypermodel, objective, max_trials, *args, **{**own, **kwargs})


class Hyperband(Tuner):
    """Divides epochs by successive halving; the arguments are those of `keras_tuner.Hyperband`."""

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int | None = 1,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self._sweeps = hyperband_iterations or None
        sweep = Plan(max_epochs, factor).num_trials
        num_trials = hyperband_iterations * sweep if hyperband_iterations else None
        own = {
            "method": "hyperband", "max_epochs": max_epochs, "method_settings": {"factor": factor},
        }  # fmt: skip
        super().__init__(hypermodel, objective, num_trials, *args, **{**own, **kwargs})


_NO_DATA = PreparedData("", "", (), (0, 0, 0), {}, "")
