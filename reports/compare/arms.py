"""The arms of a comparison: what was tried in each, and how its finalist did on test."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.errors import UserError
from reports.figures._predictions import predictions
from reports.reading import clean, dig, number, read_arrays
from reports.study import Study
from reports.summary import DEFAULT
from reports.words import short, text

_MOST_ARMS = 8


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    Args:
        name: What it is called.
        study: The study it is of.
        trials: Its trials, as in `Study.trials`.
        trial_id: Its finalist, the best trial by validation score; `None` without one.
        tests: `(num_seeds,)`, test accuracies of the finalist's trainings.
        test_size: Images of the test split; 0 where nothing was tested.
        right: `(num_images,)`, whether the finalist's training with the best validation score is
            right on each test image; `None` where predictions were not kept.
        share: `(num_images,)`, share of its kept trainings that are right on each test image.
    """

    name: str
    study: Study
    trials: pd.DataFrame
    trial_id: str | None
    tests: tuple[float, ...]
    test_size: int
    right: npt.NDArray[np.bool_] | None
    share: npt.NDArray[np.float64] | None = None

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """Validation scores of its completed trials, best first."""
        return self.completed["score"].to_numpy(dtype=float)

    @property
    def completed(self) -> pd.DataFrame:
        """Its completed trials, best first."""
        done = self.study.completed
        return done[done["trial_id"].isin(set(self.trials["trial_id"]))]


def arms_of_studies(studies: Sequence[Study], allow_different_splits: bool = False) -> list[Arm]:
    """Makes an arm of each study.

    Raises:
        UserError: They saw different splits, or were ranked by different objectives.
    """
    if len(studies) < 2:
        raise UserError("one study can't be compared with itself: name two, or add --by NAME")
    _check_objectives(studies)
    if not allow_different_splits:
        _check_splits(studies)
    names = [study.name for study in studies]
    labels = [
        n if names.count(n) == 1 else f"{n} ({i + 1})" for i, n in enumerate(names)
    ]  # fmt: skip
    return [_arm(n, s, s.trials, _best(s.completed)) for n, s in zip(labels, studies, strict=True)]


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
                f"{known[0][1]} and {print_}): scores on different images can't be compared; run "
                "both with the same --dataset, --sample and --split-seed, or add "
                "--allow-different-splits"
            )


def arms_by(study: Study, name: str) -> list[Arm]:
    """Makes an arm of each value of the hyperparameter `name`.

    Raises:
        UserError: There is no such hyperparameter, or it took one value only, or too many.
    """
    if name not in study.hyperparameters:
        there = ", ".join(study.hyperparameters)
        raise UserError(
            f"--by {name}: study {study.name!r} has no such hyperparameter; there are {there}"
        )
    values = study.trials[name].map(text)
    groups = sorted(value for value in values.unique() if value)
    if not 2 <= len(groups) <= _MOST_ARMS:
        raise UserError(
            f"--by {name}: 2 to {_MOST_ARMS} values can be compared, trials of study "
            f"{study.name!r} have {len(groups)}"
        )
    arms = []
    for value in groups:
        trials = study.trials[values == value]
        done = study.completed[study.completed["trial_id"].isin(set(trials["trial_id"]))]
        arms.append(_arm(f"{name} {short(value, 40)}", study, trials, _best(done)))
    return arms


def arms_of_default(study: Study) -> list[Arm]:
    """Makes two arms of a study: its best trial and the space's default."""
    best = _arm("best", study, study.trials, _best(study.completed))
    return [best, _arm(DEFAULT, study, study.trials[:0], DEFAULT)]


def _best(done: pd.DataFrame) -> str | None:
    return str(done.iloc[0]["trial_id"]) if len(done) else None


def _arm(name: str, study: Study, trials: pd.DataFrame, trial_id: str | None) -> Arm:
    runs = _runs(study, trial_id)
    right, share = _right(study, trial_id, runs)
    return Arm(
        name=name,
        study=study,
        trials=trials,
        trial_id=trial_id,
        tests=tuple(number(run["test"]["accuracy"]) for run in runs),
        test_size=int(number(runs[0]["test_size"])) if runs else 0,
        right=right,
        share=share,
    )


def _runs(study: Study, trial_id: str | None) -> list[dict[str, Any]]:
    """Returns the trainings of a trial, those of the search and those made for comparisons."""
    runs: dict[Any, dict[str, Any]] = {}
    for record in [*study.finalists, *study.confirmed]:
        if record["trial_id"] == trial_id:
            for run in record["runs"]:
                runs.setdefault(clean(str(run.get("seed"))), run)
    return list(runs.values())


def _right(
    study: Study, trial_id: str | None, runs: list[dict[str, Any]]
) -> tuple[npt.NDArray[np.bool_] | None, npt.NDArray[np.float64] | None]:
    """Returns what the kept training with the best validation score gets right, and the share."""
    path = study.folder / "artifacts" / "confirmed" / f"{trial_id}.npz"
    if trial_id in study.trials["trial_id"].values or trial_id == DEFAULT:
        kept = read_arrays(path) if path.is_file() else {}
        labels, said = kept.get("labels"), kept.get("predicted")
        scores = kept.get("scores")
        if labels is not None and said is not None and scores is not None and len(scores):
            pick = int((np.argmax if study.direction == "max" else np.argmin)(scores))
            if said.ndim == 2 and said.shape == (len(scores), len(labels)):
                return said[pick] == labels, (said == labels).mean(axis=0)
    exported = study.finalists[0]["trial_id"] if study.finalists else None
    found = predictions(study)
    if not runs or trial_id != exported or isinstance(found, str):
        return None, None
    labels, chances = found
    right = np.asarray(chances.argmax(axis=1) == labels)
    return right, right.astype(float)
