"""The exported model of a study: its file, its metadata, and how it is loaded."""

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.record.errors import UserError
from experiments.record.formatting import deadline_anew, named
from experiments.record.model_metadata import ModelMetadata, read_metadata, recorded_metadata
from experiments.record.reading import DAMAGED_ARRAYS, as_dict, as_number, dicts
from reports.study.study import Study

if TYPE_CHECKING:
    import keras


def best_file(study: Study) -> Path:
    """Returns the path of `best_model.keras`.

    Raises:
        UserError: The study confirmed no finalist, or the file is gone.
    """
    path = study.files.model
    if not path.is_file():
        if any(as_number(record.get("exported_run")) >= 0 for record in study.finalists):
            raise UserError(
                f"study {study.name!r} has lost its {path.name}: `experiments resume "
                f"{named(study.folder)}{_anew(study)}` trains that model again, or put a copy in "
                "its place"
            )
        raise UserError(f"study {study.name!r} has no exported model: it confirmed no finalist")
    return path


def _anew(study: Study) -> str:
    """Returns the options without which a resume would confirm nothing."""
    config, sessions = as_dict(study.record.get("config")), dicts(study.record.get("sessions"))
    nothing = " --confirm 1" if config.get("confirm") == 0 else ""
    if sessions and sessions[-1].get("ended_by"):  # and no more trials, which might win
        return f" --max-trials {len(study.trials)}{nothing}"
    return deadline_anew(config) + nothing


def best_metadata(study: Study) -> ModelMetadata | None:
    """Returns the metadata of the model; the study's record if its file has none.

    Raises:
        UserError: The file's metadata is damaged.
    """
    dataset = as_dict(study.record.get("dataset"))
    return read_metadata(best_file(study)) or recorded_metadata(study.class_names, dataset)


def load_best(study: Study, space: str | None = None) -> "keras.Model":
    """Loads the model, or builds it from its search space if loading needs custom code.

    No code in the file is run: the file is untrusted.

    Args:
        study: The study.
        space: Where its own model is, if not at its recorded place.

    Raises:
        UserError: Neither is possible.
    """
    import keras

    from experiments.studies.reopen import exported_network
    from experiments.training.weights import load_weights

    path = best_file(study)

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except DAMAGED_ARRAYS as error:
        why = " ".join(str(error).split())[:200]
    try:
        model = exported_network(study, space)
        load_weights(model, path)
        return model
    except (UserError, *DAMAGED_ARRAYS) as error:
        raise UserError(
            f"{str(path)!r} can't be loaded ({why}), nor can its network be built by the search "
            f"space ({' '.join(str(error).split())[:200]}); if you trust the file: "
            "keras.models.load_model(..., safe_mode=False)"
        ) from None
