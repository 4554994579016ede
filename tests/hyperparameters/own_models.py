"""Files of models as users write them, and pictures to search on."""

from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from PIL import Image

from experiments.data.prepare import prepare
from experiments.hyperparameters.space import make_space
from experiments.record.objective import Objective
from experiments.training.task import TrialTask

HEAD = "import keras\nimport keras_tuner\n\n\n"
LAST = {
    "softmax": 'keras.layers.Dense(10, activation="softmax")',
    "sigmoid": 'keras.layers.Dense(1, activation="sigmoid")',
}


def build(
    last: str = LAST["softmax"],
    compiled: str = 'optimizer="adam", loss="sparse_categorical_crossentropy", '
    'metrics=["accuracy"], run_eagerly=True',
    inputs: str = "(8, 8, 1)",
    name: str = "build_model",
    parameters: str = "hp",
    end: str = "return model",
) -> str:
    """Returns the text of a function that builds a model for digits."""
    compile_ = f"    model.compile({compiled})\n" if compiled else ""
    return (
        f"def {name}({parameters}):\n"
        '    units = hp.Int("units", 4, 8, step=4)\n'
        "    model = keras.Sequential([\n"
        f"        keras.Input({inputs}),\n"
        "        keras.layers.Rescaling(1 / 255),\n"
        "        keras.layers.Flatten(),\n"
        '        keras.layers.Dense(units, activation="relu"),\n'
        f"        {last},\n"
        "    ])\n"
        f"{compile_}"
        f"    {end}\n"
    )


def write(folder: Path, *parts: str, name: str = "my_model.py") -> str:
    """Writes a file of a model and returns its path."""
    path = folder / name
    path.write_text(HEAD + "\n\n".join(parts))
    return str(path)


def pictures(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 20) -> str:
    """Makes a folder of small colour pictures, a folder a class, and returns it as a dataset."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 120, (10, 12, 3)) + 100 * (number % 2)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{index}.png")
    return f"folder:{folder}"


# of images of 8x8x1, with a `fit` of its own
FIT = """
class Mine(keras_tuner.HyperModel):
    def build(self, hp):
        model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(10, activation="softmax"))
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"],
                      run_eagerly=True)
        return model

    def fit(self, hp, model, {parameters}):
        {body}
"""


def task_of(path: str, cache_dir: Path, **options: Any) -> TrialTask:
    """Returns the task to train a file's model on digits, of two epochs if not said otherwise."""
    data = prepare("digits", lambda channels: (8, 8, 1), cache_dir, sample=100)
    hp = keras_tuner.HyperParameters()
    make_space(path, data, {}).declare_hyperparameters(hp)
    given = {"objective": Objective("val_accuracy", "max"), "epochs": 2, "seeds": (5,)} | options
    return TrialTask(space=path, settings={}, hyperparameters=hp.get_config(), data=data, **given)
