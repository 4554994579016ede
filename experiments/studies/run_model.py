"""Runs a model file in its own runtime: Keras, SavedModel, TFLite or ONNX."""

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from experiments.record.errors import UserError
from experiments.record.formatting import plural
from experiments.record.model_metadata import KEY, ModelMetadata, parse_metadata, read_metadata
from experiments.record.reading import clean

_Result = TypeVar("_Result")
Images = npt.NDArray[np.float32]
_SUFFIXES = {".keras": "keras", ".tflite": "tflite", ".onnx": "onnx"}
_SAVED_MODEL = "saved_model.pb"
_FLOAT32, _TEXT = np.dtype(np.float32), np.dtype(object)
_ONNX_TYPES = {"float": "float32", "double": "float64", "string": "object"}


@dataclass(frozen=True)
class Runner:
    """A model that was loaded.

    Args:
        predict: From images `(num_images, height, width, channels)`, float32, 0..255, to outputs
            `(num_images, num_outputs)`. They are cast to `input_type`.
        input_shape: Shape of its input with the batch; `None` where any length will do.
        input_type: Type of its input.
        activation: Name of its last layer's activation; empty where it is not known.
    """

    predict: Callable[[Images], Any]
    input_shape: tuple[int | None, ...]
    input_type: np.dtype[Any] = _FLOAT32
    activation: str = ""


def kind_of(path: Path) -> str | None:
    """Returns what kind of model a path is: `keras`, `tflite`, `onnx` or `saved_model`.

    Returns:
        `None` if it is no model.
    """
    if os.path.isdir(path):
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
        raise UserError("ONNX needs onnxruntime: pip install 'keras-tuner-experiments[export]'")
    session = tried(_unloadable(path), lambda: _onnx_session(path))
    found = session.get_modelmeta().custom_metadata_map
    return parse_metadata(found[KEY], path) if KEY in found else None


def open_model(path: Path, kind: str) -> Runner:
    """Loads a model file; what it is then given and can't run is a `UserError` too.

    Args:
        path: The file, or the folder of a SavedModel.
        kind: What `kind_of` returned.

    Raises:
        UserError: It can't be loaded.
    """
    runner = tried(_unloadable(path), lambda: RUNNERS[kind](path))

    def predict(images: Images) -> Any:
        return tried(f"{str(path)!r} can't be run", lambda: runner.predict(images))

    return replace(runner, predict=predict)


def _unloadable(path: Path) -> str:
    return f"{str(path)!r} can't be loaded"


def tried(failure: str, work: Callable[[], _Result]) -> _Result:
    """Returns what `work` returns.

    Args:
        failure: What is said if it fails, without the reason.
        work: Uses a runtime; each has its own errors.

    Raises:
        UserError: It failed.
    """
    try:
        return work()
    except UserError:
        raise
    except Exception as error:
        why = clean(" ".join(str(error).split()) or type(error).__name__, 200)
        raise UserError(f"{failure} ({why})") from None


def _only(path: Path, what: str, found: Iterable[_Result]) -> _Result:
    """Returns a model's one input or output."""
    several = list(found)
    if len(several) != 1:
        raise UserError(f"{str(path)!r} has {plural(len(several), what)}, expected one")
    return several[0]


def _cast(images: Images, to: np.dtype[Any]) -> Any:
    return images if to == _TEXT else images.astype(to, copy=False)


def run_keras(model: Any) -> Runner:
    """Returns a Keras model as a runner."""
    model.compile(jit_compile=False)  # compiling for a few images takes longer than they do
    from experiments.hyperparameters.model_graph import last_activation

    shape = (None, *_row_shape(model))
    activation = getattr(last_activation(model), "__name__", "")
    return Runner(model.predict_on_batch, shape, activation=activation)


def _keras(path: Path) -> Runner:
    import keras

    return run_keras(keras.models.load_model(path, compile=False, safe_mode=True))


def _saved_model(path: Path) -> Runner:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]
    name, entry = _only(path, "input", signature.structured_input_signature[1].items())
    _only(path, "output", signature.structured_outputs)
    input_type = np.dtype(entry.dtype.as_numpy_dtype)

    def predict(images: Images) -> Any:
        assert loaded is not None  # its variables live as long as this name
        (outputs,) = signature(**{name: tf.constant(_cast(images, input_type))}).values()
        return np.asarray(outputs)

    return Runner(predict, tuple(entry.shape), input_type)


def _tflite(path: Path) -> Runner:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow announces that its interpreter will move
        interpreter = tf.lite.Interpreter(model_path=str(path))
    entry = _only(path, "input", interpreter.get_input_details())
    output = _only(path, "output", interpreter.get_output_details())
    for end in (entry, output):
        if end["quantization"][0]:  # its numbers stand for others
            raise UserError(
                f"{str(path)!r} is quantized to {end['dtype'].__name__}, expected float32"
            )
    input_type = np.dtype(entry["dtype"])
    prepared_for: list[tuple[int, ...]] = []

    def predict(images: Images) -> Any:
        if prepared_for != [images.shape]:
            interpreter.resize_tensor_input(entry["index"], images.shape)
            interpreter.allocate_tensors()
            prepared_for[:] = [images.shape]
        interpreter.set_tensor(entry["index"], _cast(images, input_type))
        interpreter.invoke()
        return interpreter.get_tensor(output["index"])

    shape = tuple(None if n < 0 else int(n) for n in entry["shape_signature"])
    return Runner(predict, shape, input_type)


def _onnx_session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])


def _onnx(path: Path) -> Runner:
    session = _onnx_session(path)
    entry = _only(path, "input", session.get_inputs())
    _only(path, "output", session.get_outputs())
    stated = entry.type.removeprefix("tensor(").removesuffix(")")
    input_type = np.dtype(_ONNX_TYPES.get(stated, stated))

    def predict(images: Images) -> Any:
        return session.run(None, {entry.name: _cast(images, input_type)})[0]

    shape = tuple(n if isinstance(n, int) else None for n in entry.shape)
    return Runner(predict, shape, input_type)


def _row_shape(model: Any) -> tuple[int | None, ...]:
    if len(getattr(model, "inputs", None) or ()) > 1:
        raise UserError("the model has several inputs, expected one of images")
    from experiments.hyperparameters.model_graph import input_shape

    return input_shape(model)


RUNNERS: dict[str, Callable[[Path], Runner]] = {
    "keras": _keras, "saved_model": _saved_model, "tflite": _tflite, "onnx": _onnx,
}  # fmt: skip
