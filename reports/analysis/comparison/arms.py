"""The arms of a comparison: what was tried in each, and how its finalist did on test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.record.errors import UserError
from experiments.record.formatting import apart, listed, plural, short
from experiments.record.layout import DEFAULT
from experiments.record.predictions import no_classes
from experiments.record.reading import as_number, clean, dig
from reports.analysis.predictions import predictions
from reports.analysis.recommended import recommended
from reports.analysis.task import has_no_classes, noun_of
from reports.analysis.test_predictions import test_predictions, tested_runs
from reports.statistics.crossed import Sample
from reports.study.study import Study

_MOST_ARMS = 8


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    Args:
        name: Its name.
        study: Its study; the first one, for several searches.
        trials: Its trials, as in `Study.trials`.
        trial_id: The trial whose network represents it; `None` without one.
        tests: `(num_units,)`, test accuracies: one a training of the network, or one a search (the
            mean over its network's trainings).
        test_size: Images of the test split; 0 where nothing was tested.
        is_correct: `(num_kept, num_images)`, 0, 1 or a share: how often each training, or search,
            is right on each test image. Only those whose predictions were kept are included; `None`
            without any.
        network: The name of its network in the verdict.
        searches: The arms of its single searches; empty for one study.
        note: Why its network is none of a whole trial, or why it has none, as a sentence; empty
            for others.
    """

    name: str
    study: Study
    trials: pd.DataFrame
    trial_id: str | None
    tests: tuple[float, ...]
    test_size: int
    is_correct: npt.NDArray[np.float64] | None = None
    network: str = ""
    searches: tuple["Arm", ...] = ()
    note: str = ""

    @property
    def is_left_out(self) -> bool:
        """Whether there is nothing to compare, which its note says."""
        return self.trial_id is None and bool(self.note)

    @property
    def unit(self) -> str:
        """The unit of `tests`: `seed` or `search`."""
        return "search" if self.searches else "seed"

    @property
    def units(self) -> str:
        """What varies between its `tests`: `trainings` or `searches`."""
        return "searches" if self.searches else "trainings"

    @property
    def tested(self) -> str:
        """The number of its test scores as text: `3 seeds`, `2 searches`, `not tested`."""
        if not self.tests:
            return "no test accuracy" if without_classes([self]) else "not tested"
        count = len(self.tests)
        return f"{count} searches" if self.searches and count != 1 else plural(count, self.unit)

    @property
    def sample(self) -> Sample:
        """Its test scores as a sample for the statistics."""
        return Sample(np.array(self.tests), self.test_size, self.is_correct)

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """Validation scores of its completed trials, best first."""
        return self.completed["score"].to_numpy(dtype=float)

    @property
    def completed(self) -> pd.DataFrame:
        """Its completed trials, best first."""
        if self.searches:
            found = pd.concat([arm.completed for arm in self.searches], ignore_index=True)
            return found.sort_values("score", ascending=self.study.direction == "min")
        done = self.study.completed
        return done[done["trial_id"].isin(set(self.trials["trial_id"]))]


def without_classes(arms: Sequence[Arm]) -> str:
    """Says which study has no classes to compare arms by, as a clause; empty where all have."""
    studies = [part.study for arm in arms for part in arm.searches or (arm,)]
    return next((no_classes(study.name) for study in studies if has_no_classes(study)), "")


def arms_of_studies(studies: Sequence[Study], allow_different_splits: bool = False) -> list[Arm]:
    """Makes an arm of each study.

    Raises:
        UserError: They saw different splits, or were ranked by different objectives.
    """
    if len(studies) < 2:
        raise UserError(
            "one study can't be compared with itself: name two, or add --by NAME or --default"
        )
    if len({study.folder.resolve() for study in studies}) < len(studies):
        raise UserError("a study is named twice: it can't be compared with itself")
    _check_objectives(studies)
    if not allow_different_splits:
        _check_splits(studies)
    names = [study.name for study in studies]
    labels = [n if names.count(n) == 1 else f"{n} ({i + 1})" for i, n in enumerate(names)]
    return [
        _arm(name, study, study.trials, recommended(study), f"the network that {name} found")
        for name, study in zip(labels, studies, strict=True)
    ]


def arms_of_searches(
    named: Mapping[str, Sequence[Study]], allow_different_splits: bool = False
) -> list[Arm]:
    """Makes arms of several searches each, such as searches by one method with other seeds.

    Args:
        named: The studies of each arm. A search counts once, by the network it recommends.
        allow_different_splits: Whether studies of different splits may be compared.

    Raises:
        UserError: They saw different splits, were ranked by different objectives, or one is there
            twice, under whatever name.
    """
    studies = [study for several in named.values() for study in several]
    folders = [study.folder.resolve() for study in studies]
    for study, folder in zip(studies, folders, strict=True):
        if folders.count(folder) > 1:
            raise UserError(f"--arm: study {study.name!r} is named twice, and would count twice")
    _check_objectives(studies)
    if not allow_different_splits:
        _check_splits(studies)
    return [_arm_of_searches(name, several) for name, several in named.items()]


def _arm_of_searches(name: str, studies: Sequence[Study]) -> Arm:
    found = tuple(_arm(s.name, s, s.trials, recommended(s), s.name) for s in studies)
    tested = all(arm.tests for arm in found)
    kept = [arm.is_correct.mean(axis=0) for arm in found if arm.is_correct is not None]
    whole = tested and len(kept) == len(found) and len({len(row) for row in kept}) == 1
    return replace(
        found[0],
        name=name,
        trials=pd.concat([arm.trials for arm in found], ignore_index=True),
        tests=tuple(float(np.mean(arm.tests)) for arm in found) if tested else (),
        test_size=min(arm.test_size for arm in found),
        is_correct=np.stack(kept) if whole else None,
        network=name,
        searches=found,
    )


def _check_objectives(studies: Sequence[Study]) -> None:
    first = studies[0]
    for other in studies[1:]:
        if (first.objective, first.direction) != (other.objective, other.direction):
            raise UserError(
                f"studies {first.name!r} and {other.name!r} were ranked by different objectives "
                f"({first.objective}:{first.direction}, {other.objective}:{other.direction}): "
                "their scores can't be compared"
            )


def fingerprint(study: Study) -> str | None:
    """Returns the fingerprint of the study's splits, if recorded."""
    found = dig(study.record, "dataset", "fingerprint")
    return clean(found, 64) if isinstance(found, str) else None


def _check_splits(studies: Sequence[Study]) -> None:
    known = [(study.name, print_) for study in studies if (print_ := fingerprint(study))]
    for name, print_ in known[1:]:
        if print_ != known[0][1]:
            raise UserError(
                f"studies {known[0][0]!r} and {name!r} saw different splits (fingerprints "
                f"{known[0][1]} and {print_}): scores on different {noun_of(studies[0])}s can't be "
                "compared; run both with the same --dataset, --sample and --split-seed, or add "
                "--allow-different-splits"
            )


def arms_by(study: Study, name: str) -> list[Arm]:
    """Makes an arm of each value of the hyperparameter `name`.

    A value's best trial stands for it. Of one without a trial that was trained whole the longest
    does, to be trained whole; one without any score is left out of the verdict. Both say so in
    `Arm.note`.

    Raises:
        UserError: There is no such hyperparameter, or it took one value only, or too many.
    """
    if name not in study.hyperparameters:
        there = ", ".join(study.hyperparameters)
        raise UserError(
            f"--by {name}: study {study.name!r} has no such hyperparameter; there are {there}"
        )
    values = study.trials[name].map(apart(study.trials[name]))
    groups = sorted(value for value in values.unique() if value)
    if not 2 <= len(groups) <= _MOST_ARMS:
        raise UserError(
            f"--by {name}: 2 to {_MOST_ARMS} values can be compared, trials of study "
            f"{study.name!r} have {len(groups)}"
        )
    arms = []
    for value in groups:
        trials = study.trials[values == value]
        done = study.ranked[study.ranked["trial_id"].isin(set(trials["trial_id"]))]
        label = f"{name} {short(value, 40)}"
        best = str(done.iloc[0]["trial_id"]) if len(done) else _longest(study, trials)
        arm = _arm(label, study, trials, best, f"the best network with {label}")
        arms.append(arm if len(done) else replace(arm, note=_no_whole_trial(label, trials, best)))
    return arms


def _longest(study: Study, trials: pd.DataFrame) -> str | None:
    """Returns the trial with the most epochs, the best of equal ones; `None` without a score."""
    scored = trials[trials["score"].notna() & (trials["status"] == "pruned")]
    ranked = scored.sort_values("score", ascending=study.direction == "min", kind="stable")
    ranked = ranked.sort_values("total_epochs", ascending=False, kind="stable")
    return str(ranked.iloc[0]["trial_id"]) if len(ranked) else None


def _no_whole_trial(label: str, trials: pd.DataFrame, longest: str | None) -> str:
    counts = trials["status"].value_counts()
    what = listed([f"{count} {status}" for status, count in counts.items()])
    if longest is None:
        return f"{label} has no trial with a score ({what}): it is left out of the verdict."
    epochs = int(trials.loc[trials["trial_id"] == longest, "total_epochs"].iloc[0])
    return (
        f"{label} has no trial that was trained whole ({what}): its longest, trial {longest} "
        f"({plural(epochs, 'epoch')}), stands for it, and is trained whole by --seeds."
    )


def arms_of_default(study: Study) -> list[Arm]:
    """Makes two arms of a study: its best trial and the space's default."""
    best = _arm("best", study, study.trials, recommended(study), "the recommended network")
    return [best, _arm(DEFAULT, study, study.trials[:0], DEFAULT, "the space's default")]


def _arm(name: str, study: Study, trials: pd.DataFrame, trial_id: str | None, network: str) -> Arm:
    # Arms are compared by accuracy, whatever their trials were ranked by.
    tested = [] if has_no_classes(study) else tested_runs(study, trial_id)
    runs = [r for r in tested if 0 <= as_number(r["test"].get("accuracy")) <= 1]
    size = int(as_number(runs[0]["test_size"])) if runs else 0
    return Arm(
        name=name,
        study=study,
        trials=trials,
        trial_id=trial_id,
        # As shares of whole images, so that equal counts give equal scores in any precision.
        tests=tuple(round(as_number(run["test"]["accuracy"]) * size) / size for run in runs),
        test_size=size,
        is_correct=_is_correct(study, trial_id, size),
        network=network,
    )


def _is_correct(study: Study, trial_id: str | None, size: int) -> npt.NDArray[np.float64] | None:
    """Returns `(num_kept, num_images)`: correctness of kept trainings; `None` without any."""
    kept = test_predictions(study, trial_id)
    if kept is not None:
        fits = kept.predicted.shape[1] == size
        return np.asarray(kept.predicted == kept.labels, dtype=np.float64) if fits else None
    exported = study.finalists[0]["trial_id"] if study.finalists else None
    found = predictions(study)
    if trial_id != exported or isinstance(found, str) or len(found[0]) != size:
        return None
    return np.asarray(found[1].argmax(axis=1) == found[0], dtype=np.float64)[None]
