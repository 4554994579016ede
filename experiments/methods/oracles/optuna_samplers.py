"""One proposal by one of Optuna's samplers, as a function of the trials that are shown to it.

Optuna keeps what a sampler remembers in attributes of trials and of the study. Here every proposal
is made in a study of its own, which is thrown away: what a sampler must remember is worked out
from the trials each time, so a search that was rebuilt from its files continues as if undisturbed.
"""

import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pkgutil import resolve_name
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from experiments.hyperparameters.optuna_space import Parameter, SpaceMap
from experiments.record.errors import UserError
from experiments.record.methods import METHODS, multi_objective, optuna_methods

_START = datetime(2000, 1, 1)  # the same in every study; no sampler looks at it


class _View(optuna.storages.InMemoryStorage):
    """A study over given trials, and one that is being proposed."""

    def __init__(self, trials: Sequence[FrozenTrial], num_drawn: int) -> None:
        super().__init__()
        self.proposed = frozen(len(trials), TrialState.RUNNING, {}, {})
        self._shown = [*trials, self.proposed]
        self._attributes = _Attributes(num_drawn)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Returns the trials in the order of their numbers."""
        return [t for t in self._shown if states is None or t.state in states]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Returns the completed trial with the best value of the first objective."""
        completed = [t for t in self._shown if t.state == TrialState.COMPLETE and t.values]
        if not completed:
            raise ValueError("no trial is completed yet")
        most = self.get_study_directions(study_id)[0] == StudyDirection.MAXIMIZE
        return (max if most else min)(completed, key=lambda t: (t.values or [0.0])[0])

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Returns one trial."""
        return self._shown[trial_id]

    def set_trial_system_attr(self, trial_id: int, key: str, value: object) -> None:
        """Notes what a sampler remembers of a trial; gone with this view."""
        self._shown[trial_id].system_attrs[key] = value

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Returns what a sampler remembers of the study."""
        return self._attributes

    def set_study_system_attr(self, study_id: int, key: str, value: object) -> None:
        """Notes what a sampler remembers of the study; gone with this view."""
        self._attributes[key] = value


class _Attributes(dict[str, Any]):
    """Attributes of a study; points of a quasi-random sequence are counted by what was drawn.

    Not by trial: every second one may be a given point, and every second point of the sequence lies
    in one half of a dimension.
    """

    def __init__(self, num_drawn: int) -> None:
        super().__init__()
        self._num_drawn = num_drawn

    def get(self, key: str, default: object = None) -> Any:
        return self._num_drawn - 1 if key.startswith("qmc:") else super().get(key, default)


def frozen(
    place: int,
    state: TrialState,
    parameters: dict[str, Any],
    distributions: Mapping[str, BaseDistribution],
    values: Sequence[float] | None = None,
    intermediate: dict[int, float] | None = None,
) -> FrozenTrial:
    """Returns a trial as Optuna keeps it, at a place among the others."""
    return FrozenTrial(
        number=place,
        trial_id=place,
        state=state,
        value=None,
        values=values,
        datetime_start=_START,
        datetime_complete=_START if state.is_finished() else None,
        params=parameters,
        distributions={name: distributions[name] for name in parameters},
        user_attrs={},
        system_attrs={},
        intermediate_values=intermediate or {},
    )


class Proposer:
    """Proposes parameters by one of Optuna's samplers.

    Args:
        sampler: A name of `METHODS` whose row has a sampler.
        directions: `"max"` or `"min"` for each objective.
        settings: Settings of the sampler, by name; see its row.
        seed: Seed of what all proposals share: scrambling, and the generations of CMA-ES.

    Raises:
        UserError: There is no such sampler, it does not handle several objectives, or needs what
            is not installed.
    """

    def __init__(
        self, sampler: str, directions: Sequence[str], settings: Mapping[str, Any], seed: int
    ) -> None:
        if sampler not in optuna_methods():
            raise UserError(f"unknown sampler {sampler!r}: there are {', '.join(optuna_methods())}")
        method = METHODS[sampler]
        if len(directions) > 1 and not method.several:
            several = " or ".join(multi_objective())
            raise UserError(f"method {sampler} takes one objective; for several take {several}")
        assert method.sampler is not None
        self.row, self._known, self._seed = method.sampler, method.settings, seed
        self._class = resolve_name(self.row.made_by)
        self._is_cma = self._class is optuna.samplers.CmaEsSampler
        self._settings = {name: setting.default for name, setting in method.settings.items()} | {
            name: value for name, value in settings.items() if value is not None
        }
        self._directions = [
            StudyDirection.MAXIMIZE if d == "max" else StudyDirection.MINIMIZE for d in directions
        ]
        self._generations: dict[Any, dict[str, Any]] = {}  # of the last proposal
        if self.row.needs_torch:
            _require_torch(sampler)

    def propose(
        self, trials: Sequence[FrozenTrial], space: SpaceMap, num_drawn: int, seed: int
    ) -> Callable[[Parameter], Any]:
        """Returns a function that draws the encoded value of a parameter.

        Args:
            trials: All trials there are, in order.
            space: The parameters. Those that are active under the same conditions are drawn
                together, by a sampler that does not model conditions all of them.
            num_drawn: How many trials were proposed here before.
            seed: Seed of this proposal.
        """
        shown = self._prepared(trials, space.distributions)
        sampler, view = self._sampler(seed, space.distributions), _View(shown, num_drawn)
        study = self._study(view, sampler)
        trial = view.proposed
        drawn: dict[str, Any] = {}
        done: set[str] = set()

        def draw(parameter: Parameter) -> Any:
            if parameter.key not in done:
                group = self._joint(
                    space.groups[parameter.key]
                    if self.row.models_conditions
                    else space.distributions
                )
                with _one_thread(self.row.needs_torch):
                    drawn.update(sampler.sample_relative(study, trial, group))
                done.update({parameter.key, *group})
            distribution, encoded = parameter.distribution, drawn.get(parameter.key)
            if encoded is not None and distribution._contains(
                distribution.to_internal_repr(encoded)
            ):
                return encoded
            return sampler.sample_independent(study, trial, parameter.key, distribution)

        return draw

    @property
    def num_startup(self) -> int:
        """Trials that are drawn at random first; 0 if the sampler has no such setting."""
        return int(self._settings.get("startup_trials") or 0)

    def study(self, trials: Sequence[FrozenTrial]) -> Study:
        """Returns a study over `trials`, for a pruner to look at: by the first objective alone."""
        return self._study(_View(trials, 0), self._sampler(0, {}), self._directions[:1])

    def _study(
        self,
        view: _View,
        sampler: optuna.samplers.BaseSampler,
        directions: Sequence[StudyDirection] | None = None,
    ) -> Study:
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # else it announces every study
        try:
            view.create_new_study(directions or self._directions, "proposal")
        finally:
            optuna.logging.set_verbosity(level)
        return Study("proposal", view, sampler)

    def _joint(self, distributions: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
        """Returns the parameters that are drawn jointly; CMA-ES wants an order on each."""
        return {
            name: distribution
            for name, distribution in sorted(distributions.items())
            if not self._is_cma or not isinstance(distribution, CategoricalDistribution)
        }

    def _sampler(
        self, seed: int, distributions: Mapping[str, BaseDistribution]
    ) -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():
            # Quasi-random points are marked as experimental.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return self._made(seed, distributions)

    def _made(
        self, seed: int, distributions: Mapping[str, BaseDistribution]
    ) -> optuna.samplers.BaseSampler:
        known = dict(self._settings)
        if "population_size" in known:
            known["population_size"] = self._population(distributions)
        given = {s.keyword: known[name] for name, s in self._known.items() if s.keyword}
        seed = self._seed if self.row.shares_seed else seed
        sampler: optuna.samplers.BaseSampler = self._class(seed=seed, **self.row.options, **given)
        return sampler

    def _population(self, distributions: Mapping[str, BaseDistribution]) -> int:
        """Returns the size of a generation; of CMA-ES, Hansen's: 4 + 3 ln of the dimensions."""
        given = self._settings.get("population_size")
        dimensions = max(1, len(self._joint(distributions)))
        return given if given is not None else 4 + int(3 * np.log(dimensions))

    def _prepared(
        self, trials: Sequence[FrozenTrial], distributions: Mapping[str, BaseDistribution]
    ) -> list[FrozenTrial]:
        """Returns `trials` with the generations that evolutionary samplers put them in.

        A generation is made of completed trials in order of their numbers, whichever ended first.
        """
        trials = list(trials)
        if hasattr(self._class, "_get_generation_key"):
            key = self._class._get_generation_key()
            self._number(trials, key, self._population(distributions))
        elif self._is_cma and self._joint(distributions):
            self._number(trials, "cma:generation", self._population(distributions))
            self._tell(trials, distributions)
        return trials

    @staticmethod
    def _number(trials: Sequence[FrozenTrial], key: str, size: int) -> None:
        completed = [t for t in trials if t.state == TrialState.COMPLETE]
        for index, trial in enumerate(completed):
            trial.system_attrs.clear()
            trial.system_attrs[key] = index // size

    def _tell(
        self, trials: list[FrozenTrial], distributions: Mapping[str, BaseDistribution]
    ) -> None:
        """Tells CMA-ES of each whole generation, unless it was told before."""
        size = self._population(distributions)
        completed = [t for t in trials if t.state == TrialState.COMPLETE]
        space = repr(self._joint(distributions))
        before, self._generations = self._generations, {}
        for end in range(size, len(completed) + 1, size):
            told = completed[:end]
            key = (space, *((t.number, t.value) for t in told))
            known = key in before
            self._generations[key] = before[key] if known else self._told(told, distributions)
            told[-1].system_attrs.update(self._generations[key])

    def _told(
        self, told: Sequence[FrozenTrial], distributions: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        sampler, view = self._sampler(self._seed, distributions), _View(told, 0)
        sampler.sample_relative(
            self._study(view, sampler), view.proposed, self._joint(distributions)
        )
        attributes = view.proposed.system_attrs
        return {k: v for k, v in attributes.items() if k.startswith("cma:optimizer")}


@contextmanager
def _one_thread(uses_torch: bool) -> Iterator[None]:
    """Keeps PyTorch to one thread: on such small matrices, several wait for each other."""
    if not uses_torch:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _require_torch(method: str) -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise UserError(
            f"method {method} needs PyTorch, which is not installed: "
            "pip install 'keras-tuner-experiments[gp]', or choose method tpe"
        ) from None
