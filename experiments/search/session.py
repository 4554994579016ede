"""A session: one run of a study, from its first or a later trial to the report."""

import shlex
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras_tuner

from experiments.config import SearchConfig, trainings_in_turn
from experiments.data.cache_use import held
from experiments.data.prepare import PreparedData
from experiments.display.base import Display
from experiments.executors.base import Executor
from experiments.executors.deadline import Deadline
from experiments.finalists.record import Confirmed
from experiments.finalists.trainings import OutOfTimeError
from experiments.hyperparameters.ranges import Widened
from experiments.hyperparameters.source import (
    changed_source,
    keep_text,
    new_source,
    space_source,
)
from experiments.hyperparameters.space_files import space_files
from experiments.methods.guidance import GivenPoints, given_points
from experiments.methods.make import make_oracle, plan_of, plans_of
from experiments.methods.prior_trials import PriorTrial
from experiments.methods.warm_start import from_record
from experiments.record.alike import SPACE_FILES
from experiments.record.durations import clock
from experiments.record.ended_trials import num_ended, so_far
from experiments.record.errors import InterruptedSearchError
from experiments.record.formatting import deadline_anew, named
from experiments.record.methods import optuna_methods
from experiments.search.driver import Driver
from experiments.search.places import is_inside
from experiments.search.repair import forget_states, restore
from experiments.search.retention import make_retention
from experiments.search.search_result import begin_report
from experiments.search.session_record import SessionRecord, other_threads, told
from experiments.search.trial_record import TrialRecord
from experiments.search.tuner import SuiteTuner
from experiments.space_reference import shown_space
from search_spaces.base import ImageSpace


@dataclass(frozen=True)
class SearchPlan:
    """What a search works on.

    Args:
        config: The search.
        data: The prepared dataset.
        hypermodel: The space, for this dataset.
        space: Its hyperparameters, some of them fixed.
        end: Time of the deadline, by `deadline.clock`; `None` for no deadline.
        notices: Lines to show at its start.
        earlier: Trials of other searches that inform the method.
        widened: Ranges that are wider from now on.
        picked: What `auto` picked and why, if it picked the method anew.
        source: Text of the file of a user's own model.
    """

    config: SearchConfig
    data: PreparedData
    hypermodel: ImageSpace
    space: keras_tuner.HyperParameters
    end: float | None = None
    notices: tuple[str, ...] = ()
    earlier: tuple[PriorTrial, ...] = ()
    widened: tuple[Widened, ...] = ()
    picked: str | None = None
    source: str | None = None


class Session:
    """Works on a study whose lock is held.

    Args:
        plan: What the search works on.
        folder: The study folder.
        study: The content of `study.json`; the session is added to it.
        display: Shows how it goes.
        executor: Runs the trials.
    """

    def __init__(
        self,
        plan: SearchPlan,
        folder: Path,
        study: dict[str, Any],
        display: Display,
        executor: Executor,
    ) -> None:
        self._executor = executor
        self._new_source: list[str] = []
        self._num_before = 0  # trials that had ended when the session began
        self.config, self.folder, self.study = plan.config, folder, study
        self._data, self._end, self._notices = plan.data, plan.end, plan.notices
        self._text = plan.source
        self._display, self._widened, self._picked = display, plan.widened, plan.picked
        self._points: GivenPoints | None = None
        if self.config.method in optuna_methods():
            declared = plan.hypermodel.starting_points()
            self._points = given_points(study, self.config, plan.space, declared)
        plans = plans_of(self.config, study, folder)
        self._oracle = make_oracle(self.config, plan.space, plans, from_record(study), self._points)
        self._retention = make_retention(folder, self.config)
        self.tuner = SuiteTuner(
            self.config,
            plan.data,
            self._retention,
            plan.source,
            oracle=self._oracle,
            hypermodel=plan.hypermodel,
            directory=str(folder.parent),
            project_name=folder.name,
        )
        self._record = TrialRecord(folder, self._oracle)
        self._session = SessionRecord(folder, study)

    @property
    def _how(self) -> str:
        """The command that resumes the study."""
        how = f"experiments resume {named(self.folder)}"
        if self.config.ray not in (None, "local"):  # an address is not taken from the record
            how += f" --ray {shlex.quote(str(self.config.ray))}"
        if is_inside(self.config.space, self.folder):  # nor is code that came with the study
            how += f" --space {shlex.quote(self.config.space)}"
        return how + deadline_anew(vars(self.config))

    def run(self) -> Confirmed:
        """Runs trials, then the finalists.

        Returns:
            The winner of the finalists and its test scores.

        Raises:
            InterruptedSearchError: It was interrupted.
            UserError: There is no room on the disk.
        """
        try:
            self._begin()
            with held(Path(self._data.folder)):
                driver = self._driver()
                self.tuner.search(driver)
                self._session.note(
                    search_ended=time.time(),
                    ended_by=driver.ended_by,
                    num_trials=len(self._oracle.trials),
                )
                return self._confirm()
        except KeyboardInterrupt:
            if self._session.is_begun:  # else the last session is an earlier one
                with suppress(OSError):
                    self._session.note(ended_by="interrupted", stopped=time.time())
            raise InterruptedSearchError(f"interrupted; resume with: {self._how}") from None
        except OSError as error:
            if line := told(error, self.folder, f"resume with: {self._how}"):
                raise line from None
            raise

    def _begin(self) -> None:
        mended = restore(self.folder, self._record, self._oracle)
        plan = plan_of(self.config)
        session = {
            "first_trial": len(self._oracle.trials),
            "max_trials": self.config.max_trials,
            "max_epochs": plan.max_epochs,
            "factor": plan.factor,
            "restored": mended,
            "threads": self._executor.threads,
        }
        if self._points is not None:
            session |= self._points.recorded
        if self._picked:
            session["picked"] = self._picked
        session |= self._source()
        if self._widened:
            session["widened"] = [asdict(change) for change in self._widened]
        self._num_before = num_ended(self._oracle)
        self._session.begin(**session)
        self._display.search_started(self.folder.name, self.config, self._data)
        self._display.recalled(*so_far(self._oracle))
        for line in other_threads(self.study["sessions"]):
            self._display.notice(line)
        for change in self._widened:
            self._display.notice(f"widened: {change.name} was {change.was}, now {change.now}")
        for line in [*self._notices, *(self._points.described() if self._points else ())]:
            self._display.notice(line)
        for line in self._new_source:
            self._display.notice(line)
        if mended:
            self._display.notice(f"restored: {'; '.join(mended)}")

    def _source(self) -> dict[str, Any]:
        """Returns fingerprints of the space's code and files that changed since last session."""
        facts, names = new_source(self.study, space_source(self.config.space, self._text))
        files, file_names = new_source(self.study, space_files(self.config.settings), SPACE_FILES)
        keep_text(self.folder, self.config.space, self._text)
        if names or file_names:
            forget_states(self.folder)
            self._new_source = [
                f"the code of space {shown_space(self.config.space)} has changed since the "
                f"session before ({', '.join([*names, *file_names])}): what is trained from now on "
                "may be other networks under the same names, and interrupted trials begin again"
            ]
        return facts | files

    def _driver(self) -> Driver:
        config = self.config
        return Driver(
            self.tuner,
            self._executor,
            self._record,
            self._display,
            self._retention,
            deadline=Deadline(
                None if self._end is None else self._end - clock(),
                config.max_epochs * config.executions_per_trial,
                config.max_epochs * trainings_in_turn(config, self._executor.free()),
            ),
            max_failures=config.max_failures,
        )

    def _confirm(self) -> Confirmed:
        from experiments.finalists.confirm import Confirmation

        confirmation = Confirmation(
            self.config,
            self._data,
            self.tuner,
            self.folder,
            self._display,
            self._executor,
            self._end,
            changed_source(self.study),
        )
        was_done = confirmation.is_done
        begin_report()
        ended_by = {}
        try:
            confirmed = confirmation.run()
        except OutOfTimeError as error:
            confirmed, ended_by = Confirmed(), {"ended_by": "deadline"}
            self._display.notice(f"{error}; resume with: {self._how}")
        was_idle = was_done and num_ended(self._oracle) == self._num_before
        self._session.end(was_idle=was_idle, **ended_by)
        return confirmed
