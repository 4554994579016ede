"""Of the model card: the file that it describes, what that needs, and how it is loaded."""

import json
from dataclasses import dataclass
from pathlib import Path

from experiments.record.reading import clean

# Kind of a file -> what it needs, and Python that loads it.
_LOADED = {
    "keras": ("Keras", "import keras\nmodel = keras.models.load_model({})"),
    "saved_model": ("TensorFlow", "import tensorflow as tf\nmodel = tf.saved_model.load({})"),
    "tflite": (
        "TensorFlow or LiteRT",
        "import tensorflow as tf\nmodel = tf.lite.Interpreter(model_path={})",
    ),
    "onnx": (
        "an ONNX runtime, such as onnxruntime",
        "import onnxruntime\nmodel = onnxruntime.InferenceSession({})",
    ),
}


@dataclass(frozen=True)
class ModelFile:
    """A file that the study's best model is in.

    Args:
        path: The file, or the folder of a SavedModel.
        kind: `keras`, `saved_model`, `tflite` or `onnx`.
    """

    path: Path
    kind: str

    @property
    def name(self) -> str:
        """The last part of its path."""
        return clean(self.path.name, 200)

    @property
    def size(self) -> int:
        """Its bytes, of a folder those of all its files."""
        files = [self.path, *self.path.rglob("*")] if self.path.is_dir() else [self.path]
        return sum(path.stat().st_size for path in files if path.is_file())

    @property
    def needs(self) -> str:
        """What loads it."""
        return _LOADED[self.kind][0]

    @property
    def code(self) -> str:
        """Python that loads it."""
        return _LOADED[self.kind][1].format(json.dumps(self.name, ensure_ascii=False))
