"""Exports a study's best model to other runtimes, and checks that its predictions agree."""

import re
import shutil
import tempfile
import warnings
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.process.quiet import without_notes
from experiments.record.errors import UserError
from experiments.record.model_metadata import KEY, ModelMetadata, add_to_archive, add_to_folder
from experiments.record.reading import clean
from experiments.studies.best_model import best_file, best_metadata, load_best
from experiments.studies.run_model import RUNNERS, tried
from reports.page.model_card import write_card
from reports.page.model_file import ModelFile
from reports.study.study import Study

if TYPE_CHECKING:
    import keras

TOLERANCE = 1e-3  # of the largest output, or of 1: other runtimes add in another order
_NUM_IMAGES = 8
_LACKING = re.compile(r"^(?:TF Select|Custom) ops: (.+)$", re.MULTILINE)


def export_model(study: Study, to: str, out: Path, space: str | None = None) -> float:
    """Exports `best_model.keras`, predicts with the exported file, and writes its model card.

    The card is beside it: `model.tflite` has `model.tflite_card.md`.

    Args:
        study: The study.
        to: `saved_model` (a folder), `tflite` or `onnx` (a file).
        out: Path to write; it must not exist.
        space: Where the study's own model is, if not at its recorded place.

    Returns:
        The largest difference of an output between Keras and the exported file.

    Raises:
        UserError: There is no model, it can't be loaded, the format is unknown or can't be written
            here, `out` exists, or the exported file predicts differently.
    """
    if to not in _FORMATS:
        raise UserError(f"unknown model format {to!r}: there are {', '.join(_FORMATS)}")
    best_file(study)
    if out.exists():
        raise UserError(f"{str(out)!r} exists already: choose another --out, or remove it")
    missing = [name for name in _NEEDS.get(to, ()) if util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--model {to} needs {', '.join(missing)}: "
            "pip install 'keras-tuner-experiments[export]'"
        )
    model, metadata = load_best(study, space), best_metadata(study)
    failure = f"the model can't be exported as {to}"
    difference = tried(failure, lambda: _export(model, metadata, to, out))
    write_card(study, out.with_name(f"{out.name}_card.md"), ModelFile(out, to))
    return difference


def _export(model: "keras.Model", metadata: ModelMetadata | None, to: str, out: Path) -> float:
    write, add = _FORMATS[to]
    rows = _rows_for(model, 256 if metadata is not None and metadata.of_images else 2)
    expected = np.asarray(model(rows, training=False))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        made = Path(folder) / "exported"
        write(model, made)
        if metadata is not None:
            add(made, metadata)
        largest = float(np.abs(RUNNERS[to](made).predict(rows) - expected).max())
        scale = max(1.0, float(np.abs(expected).max()))
        if not largest / scale <= TOLERANCE:
            raise UserError(
                f"the exported {to} file does not predict as Keras does (an output differs by "
                f"{largest:.2g}): it was not kept"
            )
        shutil.move(made, out)
    return largest


def _rows_for(model: "keras.Model", end: int) -> npt.NDArray[Any]:
    """Draws rows of the shape and the type that a model takes: numbers below `end`, or texts."""
    from experiments.hyperparameters.model_graph import input_shape, input_type

    shape = (_NUM_IMAGES, *(size or 1 for size in input_shape(model)))
    numbers, takes = np.random.default_rng(0).integers(0, end, shape), input_type(model)
    return numbers.astype(str).astype(object) if takes == "string" else numbers.astype(takes)


def _write_saved_model(model: "keras.Model", path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _write_tflite(model: "keras.Model", path: Path) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _write_saved_model(model, Path(folder) / "saved")
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder) / "saved"))
        path.write_bytes(_converted(converter))


def _converted(converter: Any) -> bytes:
    try:
        with without_notes():
            found: bytes = converter.convert()
            return found
    except Exception as error:
        lacking = _LACKING.search(str(error))
        if lacking is None:
            raise
        raise UserError(
            f"the model can't be exported as tflite: it needs {clean(lacking[1], 200)}, which "
            "TFLite does not have"
        ) from None


def _write_onnx(model: "keras.Model", path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.onnx"  # Keras requires the suffix
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's, about how Keras and tf2onnx use it
            model.export(made, format="onnx", verbose=False)
        shutil.copyfile(made, path)


def _add_to_tflite(path: Path, metadata: ModelMetadata) -> None:
    add_to_archive(path, metadata, labels=True)


def _add_to_onnx(path: Path, metadata: ModelMetadata) -> None:
    import onnx

    model = onnx.load(path)
    model.metadata_props.add(key=KEY, value=metadata.as_json())
    onnx.save(model, path)


_NEEDS = {"onnx": ("tf2onnx", "onnx", "onnxruntime")}
# Format -> what writes a model, and what adds metadata to it.
_FORMATS: dict[str, tuple[Callable[[Any, Path], None], Callable[[Path, ModelMetadata], None]]] = {
    "saved_model": (_write_saved_model, add_to_folder),
    "tflite": (_write_tflite, _add_to_tflite),
    "onnx": (_write_onnx, _add_to_onnx),
}
