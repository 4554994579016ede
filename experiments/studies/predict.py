"""Predicts the classes of new images with a study's best model, or with a model file."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.data.prepare import fit_image
from experiments.data.sources.base import Image
from experiments.data.sources.pixels import UnusableImageError, decode
from experiments.data.sources.walk import iterate_files, with_parents
from experiments.record.errors import UserError
from experiments.record.formatting import plural
from experiments.record.layout import StudyFolder, expanded
from experiments.record.model_metadata import ModelMetadata, is_image_shape
from experiments.record.predictions import Targets
from experiments.studies.best_model import best_file, best_metadata, load_best
from experiments.studies.run_model import Runner, kind_of, metadata_of, open_model, run_keras
from reports.study.load import load_study
from reports.study.study import Study

_BATCH = 32
_ROUNDING = 0.01  # of probabilities in half precision, added up
_PREDICTED = {Targets.VALUES.value: "numbers", Targets.LABELS.value: "several labels an image"}
_MODEL_SUFFIXES = (".keras", ".tflite", ".onnx")
Unusable = Callable[[Path, str], None]


@dataclass(frozen=True)
class Model:
    """A model that was found, and not loaded yet.

    Args:
        path: Its file or folder.
        kind: `keras`, `tflite`, `onnx` or `saved_model`.
        metadata: Its class names and the shape of its images; `None` where unknown.
        study: The study whose best model it is.
        space: Where the study's own model is, if not at its recorded place.
    """

    path: Path
    kind: str
    metadata: ModelMetadata | None
    study: Study | None = None
    space: str | None = None


@dataclass(frozen=True)
class Prediction:
    """What a model predicts of one image.

    Args:
        path: The image.
        probabilities: `(num_classes,)`, float32.
    """

    path: Path
    probabilities: npt.NDArray[np.float32]

    @property
    def ranking(self) -> list[int]:
        """The indices of the most probable class and of its runner-up, if there is one."""
        return [int(i) for i in np.argsort(-self.probabilities, kind="stable")[:2]]


@dataclass(frozen=True)
class Predictions:
    """Predictions of many images, made as they are asked for.

    Args:
        class_names: One a class; numbers where the names are unknown.
        note: What is to be said of the names; empty if nothing is.
        rows: The predictions, in the order of the images.
    """

    class_names: tuple[str, ...]
    note: str
    rows: Iterator[Prediction]


def find_model(named: str, runs_dir: str | Path, space: str | None = None) -> Model:
    """Finds a model file, or the best model of a study; no model is loaded.

    Args:
        named: Path of a model, name of a study, or a study folder.
        runs_dir: Folder of studies.
        space: Where the study's own model is, if not at its recorded place.

    Raises:
        UserError: There is no such thing, the study has no exported model, or it classifies no
            images.
    """
    path = expanded(named)
    is_study = os.path.isfile(StudyFolder(Path(runs_dir) / named).record)
    kind = None if is_study else kind_of(path)
    if kind is not None:
        if not os.path.exists(path):
            raise UserError(f"there is no model {named!r}")
        return _checked(Model(path, kind, metadata_of(path, kind)))
    if os.path.isfile(path) and not is_study:
        raise UserError(
            f"{named!r} is no model: expected a study, a SavedModel folder, or a file that ends "
            f"with {', '.join(_MODEL_SUFFIXES)}"
        )
    study = load_study(named, runs_dir)
    return _checked(Model(best_file(study), "keras", best_metadata(study), study, space))


def _checked(model: Model) -> Model:
    """Returns the model.

    Raises:
        UserError: It says that it takes no images, or predicts no classes.
    """
    known = model.metadata
    if known is not None and not known.of_images:
        raise UserError(
            f"{str(model.path)!r} was trained on arrays as they are, not on images: load it in a "
            "program of your own and give it such arrays"
        )
    if known is not None and known.targets != Targets.CLASSES:
        raise UserError(
            f"{str(model.path)!r} predicts {_PREDICTED.get(known.targets, known.targets)}, not one "
            "of several classes: load it in a program of your own"
        )
    return model


def read_images(paths: Sequence[Path], unusable: Unusable) -> Iterator[tuple[Path, Image]]:
    """Opens images and all images of folders, one at a time, as a dataset's folder is read.

    Args:
        paths: Images and folders.
        unusable: Told of each image that can't be used, and why.

    Returns:
        Paths and images, `(height, width, 3)`, uint8; the first has been read.

    Raises:
        UserError: A path does not exist, or none of the images can be used.
    """
    missing = [path for path in paths if not os.path.lexists(path)]
    if missing:
        raise UserError(f"there is no image or folder {str(missing[0])!r}")
    images = _decoded(paths, unusable)
    first = next(images, None)
    if first is None:
        raise UserError(f"no readable image in {', '.join(repr(str(p)) for p in paths[:3])}")
    return chain([first], images)


def _decoded(paths: Iterable[Path], unusable: Unusable) -> Iterator[tuple[Path, Image]]:
    for path, is_named in _files(paths, unusable):
        try:
            found = decode(path)
        except (UnusableImageError, OSError) as error:
            unusable(path, str(error))
            continue
        if found is not None:
            yield path, found.pixels
        elif is_named:
            unusable(path, "no image that Pillow can read")


def _files(paths: Iterable[Path], unusable: Unusable) -> Iterator[tuple[Path, bool]]:
    """Yields regular files, and whether each was named itself."""
    for path in paths:
        if path.is_dir():
            for file in _walked(path, unusable):
                yield file, False
        elif path.is_file():
            yield path, True
        else:
            unusable(path, "a link to nothing" if path.is_symlink() else "no regular file")


def _walked(folder: Path, unusable: Unusable) -> Iterator[Path]:
    problems: list[tuple[Path, str]] = []
    for file in iterate_files(folder, problems, with_parents(folder)):
        yield file
        while problems:
            unusable(*problems.pop(0))
    for problem in problems:
        unusable(*problem)


def predict(model: Model, images: Iterator[tuple[Path, Image]]) -> Predictions:
    """Loads a model and predicts the class of each image, in batches.

    Args:
        model: What `find_model` found.
        images: What `read_images` returned.

    Raises:
        UserError: The model can't be loaded, or classifies no images.
    """
    runner = _open(model)
    _check_type(model, runner.input_type)
    shape = _image_shape(model, runner)
    rows = _predicted(model, runner, shape, images)
    first = next(rows)
    names, note = _class_names(model, len(first.probabilities))
    return Predictions(names, note, chain([first], rows))


def _open(model: Model) -> Runner:
    if model.study is None:
        return open_model(model.path, model.kind)
    return run_keras(load_best(model.study, model.space))


def _check_type(model: Model, takes: np.dtype[Any]) -> None:
    if takes.kind not in "iuf" or not np.can_cast(np.uint8, takes):
        raise UserError(
            f"{str(model.path)!r} takes {takes}, expected a type that holds 0 to 255, as float32"
        )


def _image_shape(model: Model, runner: Runner) -> tuple[int, int, int]:
    """Returns the shape of images that both the model and its metadata ask for."""
    taken = runner.input_shape[1:]
    stated = model.metadata.shape if model.metadata else None
    shape = stated if stated and len(taken) == 3 else taken
    if not is_image_shape(tuple(shape)):
        raise UserError(
            f"{str(model.path)!r} takes inputs of shape {taken}, expected images of a fixed "
            "(height, width, channels) with 1 or 3 channels"
        )
    if any(has not in (None, wanted) for has, wanted in zip(taken, shape, strict=True)):
        raise UserError(
            f"{str(model.path)!r} takes images of {taken}, but its record says {shape}: one of "
            "them is damaged; export the model again"
        )
    height, width, channels = (int(n or 0) for n in shape)
    return height, width, channels


def _predicted(
    model: Model, runner: Runner, shape: tuple[int, int, int], images: Iterator[tuple[Path, Image]]
) -> Iterator[Prediction]:
    fixed = runner.input_shape[0]
    fitted = ((path, fit_image(image, shape)) for path, image in images)
    while batch := list(islice(fitted, fixed or _BATCH)):
        array = np.zeros((fixed or len(batch), *shape), dtype=np.float32)
        array[: len(batch)] = [image for _, image in batch]
        found = _probabilities(model, runner, array)
        for (path, _), row in zip(batch, found[: len(batch)], strict=True):
            yield Prediction(path, row)


def _probabilities(
    model: Model, runner: Runner, images: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    from experiments.finalists.artifacts import class_probabilities

    outputs = runner.predict(images)
    if isinstance(outputs, list | tuple | dict) or np.ndim(outputs) != 2:
        raise UserError(f"{str(model.path)!r} is no classifier: expected one output of classes")
    found = class_probabilities(outputs)
    if not ((found >= -1e-5) & (found <= 1 + 1e-5)).all():
        raise UserError(
            f"{str(model.path)!r} gives values that are no probabilities: expected an output "
            "layer with softmax or sigmoid"
        )
    if model.metadata is None:
        _check_foreign(model.path, runner, np.shape(outputs)[1], found)
    return found


def _check_foreign(
    path: Path, runner: Runner, num_outputs: int, found: npt.NDArray[np.float32]
) -> None:
    """Refuses outputs between 0 and 1 that are no classes, of a model that does not say so."""
    if runner.activation == "linear":
        raise UserError(
            f"the last layer of {str(path)!r} has no activation, as that of a regression: expected "
            "softmax or sigmoid"
        )
    several = runner.activation == "sigmoid" and num_outputs > 1
    if several or not np.allclose(found.sum(axis=1), 1, atol=_ROUNDING):
        raise UserError(
            f"the outputs of {str(path)!r} need not add up to 1, as those of several labels: "
            "expected an output layer with softmax, or one unit with sigmoid"
        )


def _class_names(model: Model, count: int) -> tuple[tuple[str, ...], str]:
    """Returns a name for each class, and a line about it if they are numbers."""
    names = model.metadata.class_names if model.metadata else ()
    if len(names) == count:
        return names, ""
    numbered = tuple(str(index) for index in range(count))
    recorded = f"{plural(len(names), 'class name')} for" if names else "no names of"
    return numbered, (
        f"{str(model.path)!r} records {recorded} its {count} classes: they are numbered from 0"
    )
