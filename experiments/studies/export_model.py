"""Exports a study's best model to other runtimes, and checks that its predictions agree."""

import shutil
import tempfile
import warnings
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.record.errors import UserError
from experiments.studies.reopen import exported_network
from experiments.training.weights import load_weights
from reports.study.study import Study

if TYPE_CHECKING:
    import keras

TOLERANCE = 1e-3  # of a probability: other runtimes add in another order
_NUM_IMAGES = 8
_Images = npt.NDArray[np.float32]


def export_model(study: Study, to: str, out: Path) -> float:
    """Exports `best_model.keras`, and predicts with the exported file.

    Args:
        study: The study.
        to: `saved_model` (a folder), `tflite` or `onnx` (a file).
        out: Path to write; it must not exist.

    Returns:
        The largest difference of a probability between Keras and the exported file.

    Raises:
        UserError: There is no model, it can't be loaded, the format is unknown or can't be written
            here, `out` exists, or the exported file predicts differently.
    """
    if to not in _FORMATS:
        raise UserError(f"unknown model format {to!r}: there are {', '.join(_FORMATS)}")
    path = study.files.model
    if not path.is_file():
        raise UserError(f"study {study.name!r} has no exported model: it confirmed no finalist")
    if out.exists():
        raise UserError(f"{str(out)!r} exists already: choose another --out, or remove it")
    missing = [name for name in _NEEDS.get(to, ()) if util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--model {to} needs {', '.join(missing)}: pip install keras-tuner-experiments[export]"
        )
    return _export(_loaded(study, path), to, out)


def _loaded(study: Study, path: Path) -> "keras.Model":
    """Loads the model, or builds it from its search space if loading needs custom code.

    No code in the file is run: the file is untrusted.

    Raises:
        UserError: Neither is possible.
    """
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        why = " ".join(str(error).split())[:200]
    try:
        model = exported_network(study)
        load_weights(model, path)
        return model
    except (UserError, ValueError, TypeError, OSError, KeyError) as error:
        raise UserError(
            f"{str(path)!r} can't be loaded ({why}), nor can its network be built by the search "
            f"space ({' '.join(str(error).split())[:200]}); if you trust the file: "
            "keras.models.load_model(..., safe_mode=False)"
        ) from None


def _export(model: "keras.Model", to: str, out: Path) -> float:
    write, predict = _FORMATS[to]
    rng = np.random.default_rng(0)
    shape = (_NUM_IMAGES, *model.input_shape[1:])
    images = rng.integers(0, 256, shape).astype(np.float32)
    expected = np.asarray(model(images, training=False))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        made = Path(folder) / "exported"
        write(model, made)
        largest = float(np.abs(predict(made, images) - expected).max())
        if not largest <= TOLERANCE:
            raise UserError(
                f"the exported {to} file does not predict as Keras does (a probability differs by "
                f"{largest:.2g}): it was not kept"
            )
        shutil.move(made, out)
    return largest


def _write_saved_model(model: "keras.Model", path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _run_saved_model(path: Path, images: _Images) -> Any:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))  # its variables live as long as this name
    return np.asarray(loaded.serve(images))


def _write_tflite(model: "keras.Model", path: Path) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _write_saved_model(model, Path(folder) / "saved")
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder) / "saved"))
        path.write_bytes(converter.convert())


def _run_tflite(path: Path, images: _Images) -> Any:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow announces that its interpreter will move
        interpreter = tf.lite.Interpreter(model_path=str(path))
    entry = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(entry, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry, images)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def _write_onnx(model: "keras.Model", path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.onnx"  # Keras requires the suffix
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's, about how Keras and tf2onnx use it
            model.export(made, format="onnx", verbose=False)
        shutil.copyfile(made, path)


def _run_onnx(path: Path, images: _Images) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


_NEEDS = {"onnx": ("tf2onnx", "onnx", "onnxruntime")}
_FORMATS: dict[str, tuple[Callable[[Any, Path], None], Callable[[Path, _Images], Any]]] = {
    "saved_model": (_write_saved_model, _run_saved_model),
    "tflite": (_write_tflite, _run_tflite),
    "onnx": (_write_onnx, _run_onnx),
}
