"""Runs a model file in its own runtime: Keras, SavedModel, TFLite or ONNX."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from experiments.record.errors import UserError
from experiments.record.model_metadata import KEY, ModelMetadata, parse_metadata, read_metadata
from experiments.record.reading import clean

_Loaded = TypeVar("_Loaded")
Images = npt.NDArray[np.float32]
_SUFFIXES = {".keras": "keras", ".tflite": "tflite", ".onnx": "onnx"}
_SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True)
class Runner:
    """A model that was loaded.

    Args:
        predict: From images `(num_images, height, width, channels)`, float32, 0..255, to outputs
            `(num_images, num_outputs)`.
        input_shape: Shape of its input with the batch; `None` where any length will do.
    """

    predict: Callable[[Images], Any]
    input_shape: tuple[int | None, ...]


def kind_of(path: Path) -> str | None:
    """Returns what kind of model a path is: `keras`, `tflite`, `onnx` or `saved_model`.

    Returns:
        `None` if it is no model.
    """
    if path.is_dir():
        return "saved_model" if (path / _SAVED_MODEL).is_file() else None
    return _SUFFIXES.get(path.suffix.lower())


def metadata_of(path: Path, kind: str) -> ModelMetadata | None:
    """Reads what travels with a model; `None` if nothing does.

    Raises:
        UserError: It is damaged, or the runtime of the model is missing.
    """
    if kind != "onnx":
        return read_metadata(path)
    if util.find_spec("onnxruntime") is None:
        raise UserError("ONNX needs onnxruntime: pip install keras-tuner-experiments[export]")
    found = _loading(path, _onnx_session).get_modelmeta().custom_metadata_map
    return parse_metadata(found[KEY], path) if KEY in found else None


def open_model(path: Path, kind: str) -> Runner:
    """Loads a model file.

    Args:
        path: The file, or the folder of a SavedModel.
        kind: What `kind_of` returned.

    Raises:
        UserError: It can't be loaded.
    """
    return _loading(path, RUNNERS[kind])


def _loading(path: Path, load: Callable[[Path], _Loaded]) -> _Loaded:
    try:
        return load(path)
    except UserError:
        raise
    except Exception as error:  # each runtime has its own errors for damaged files
        why = clean(" ".join(str(error).split()) or type(error).__name__, 200)
        raise UserError(f"{str(path)!r} can't be loaded ({why})") from None


def run_keras(model: Any) -> Runner:
    """Returns a Keras model as a runner."""
    model.compile(jit_compile=False)  # compiling for a few images takes longer than they do
    return Runner(model.predict_on_batch, (None, *_row_shape(model)))


def _keras(path: Path) -> Runner:
    import keras

    return run_keras(keras.models.load_model(path, compile=False, safe_mode=True))


def _saved_model(path: Path) -> Runner:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]
    (entry,) = signature.structured_input_signature[1].items()

    def predict(images: Images) -> Any:
        assert loaded is not None  # its variables live as long as this name
        (outputs,) = signature(**{entry[0]: tf.constant(images)}).values()
        return np.asarray(outputs)

    return Runner(predict, tuple(entry[1].shape))


def _tflite(path: Path) -> Runner:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow announces that its interpreter will move
        interpreter = tf.lite.Interpreter(model_path=str(path))
    (entry,) = interpreter.get_input_details()
    (output,) = interpreter.get_output_details()
    if entry["dtype"] is not np.float32:
        raise UserError(f"{str(path)!r} takes {entry['dtype'].__name__}, expected float32")
    prepared_for: list[tuple[int, ...]] = []

    def predict(images: Images) -> Any:
        if prepared_for != [images.shape]:
            interpreter.resize_tensor_input(entry["index"], images.shape)
            interpreter.allocate_tensors()
            prepared_for[:] = [images.shape]
        interpreter.set_tensor(entry["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(output["index"])

    return Runner(predict, tuple(None if n < 0 else int(n) for n in entry["shape_signature"]))


def _onnx_session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])


def _onnx(path: Path) -> Runner:
    session = _onnx_session(path)
    (entry,) = session.get_inputs()
    shape = tuple(n if isinstance(n, int) else None for n in entry.shape)
    return Runner(lambda images: session.run(None, {entry.name: images})[0], shape)


def _row_shape(model: Any) -> tuple[int | None, ...]:
    if len(getattr(model, "inputs", None) or ()) > 1:
        raise UserError("the model has several inputs, expected one of images")
    from experiments.hyperparameters.model_graph import input_shape

    return input_shape(model)


RUNNERS: dict[str, Callable[[Path], Runner]] = {
    "keras": _keras, "saved_model": _saved_model, "tflite": _tflite, "onnx": _onnx,
}  # fmt: skip
