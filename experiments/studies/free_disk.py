"""`experiments free-disk`: removes weights and snapshots that are no longer needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.record.errors import UserError
from experiments.record.layout import TEMPORARY, StudyFolder, TrialFolder, was_pruned
from experiments.record.objective import Objective
from experiments.record.reading import as_dict, read_json
from experiments.record.schema import check_format
from experiments.record.trial_index import Trial, read_result
from reports.study.fidelity import EARLY, handicaps


def free_disk(folder: Path, num_kept: int) -> tuple[int, int]:
    """Removes the weights of all but the best trials, and the snapshots of all trials.

    Histories, scores and the exported model stay. An interrupted trial loses its snapshot: after a
    resume it starts again from its first epoch.

    Args:
        folder: The study folder; its lock is held.
        num_kept: Number of best trials whose weights stay.

    Returns:
        Number of files removed, and their bytes.
    """
    kept = _best_trials(folder, num_kept)
    removed = size = 0
    for trial in StudyFolder(folder).trials():
        weights = [] if trial.path.name in kept else [trial.checkpoint]
        for path in (*weights, *trial.snapshots(), *trial.path.glob(f"{TEMPORARY}*")):
            if path.is_file() and not path.is_symlink():
                size += path.stat().st_size
                path.unlink()
                removed += 1
    return removed, size


def _best_trials(folder: Path, number: int) -> set[str]:
    """Returns the folders of the best trials; with several objectives, the front's first."""
    scores: list[tuple[bool, int, float, bool, str]] = []
    found: list[Trial] = []
    place = StudyFolder(folder)
    study = as_dict(read_json(place.record))
    check_format(study, folder)
    try:
        direction = study["objective"]["direction"]
        for own in place.begun():
            state: dict[str, Any] = read_json(own.state)
            found.append((own.path.name, state, read_result(own.path)))
        last = handicaps(found, study)
        for name, trial, _ in found:
            if trial["status"] == "COMPLETED" and trial["score"] is not None:
                worth = float(trial["score"]) * (1 if direction == "max" else -1)
                pruned = was_pruned(trial["status"], trial.get("message"))
                stopped = pruned and "script" not in study  # which ranks as Keras Tuner does
                kept = TrialFolder(folder / name).checkpoint.is_file()
                scores.append((not stopped, -last.get(name, 0), worth, kept, name))
        # Best first. Trials that were stopped early come last, and before them those of fewer
        # epochs: finalists are fully trained ones. Among equal trials, those with weights come
        # first, then the earliest.
        scores.sort(key=lambda trial: trial[:4], reverse=True)
        ranked = [name for *_, name in scores]
        whole = [name for name in ranked if last.get(name) != EARLY]
        first = _front(folder, whole, [Objective(**o) for o in study.get("objectives", [])])
    except UserError as error:
        raise UserError(f"{error}; nothing was removed") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(
            f"study {folder.name!r} can't be read ({type(error).__name__}: {error}): "
            "nothing was removed"
        ) from None
    return set(list(dict.fromkeys([*first, *ranked]))[:number])


def _front(folder: Path, ranked: Sequence[str], objectives: Sequence[Objective]) -> list[str]:
    """Returns the folders of the front's trials, the knee first; empty for one objective."""
    if not objectives:
        return []
    from experiments.record.front import front_of

    records = [read_json(TrialFolder(folder / name).result) for name in ranked]
    whole = [i for i, record in enumerate(records) if record["status"] == "completed"]
    values = [[records[i]["objectives"][o.name] for o in objectives] for i in whole]
    return [ranked[whole[position]] for position in front_of(values, objectives).ranked()]
