"""Writes the weights of networks to the disk, and reads them back."""

from pathlib import Path

import keras
import numpy as np

from experiments.record.files import atomic, check_room
from experiments.record.layout import StudyFolder
from experiments.record.model_metadata import ModelMetadata, add_to_archive


def without_optimizer(model: keras.Model) -> keras.Model:
    """Returns `model` without its optimizer, whose state is neither written nor read."""
    return keras.Model(model.inputs, model.outputs)


def save_weights(model: keras.Model, path: Path) -> None:
    """Writes weights to `path`, through a file with Keras' required suffix `.weights.h5`."""
    save_whole(without_optimizer(model), path)


def save_whole(model: keras.Model, path: Path) -> None:
    """Writes what `model.load_weights` reads to `path`, the optimizer's state included."""
    check_room(path.parent, room_for(model))
    written = path.with_suffix(".weights.h5")
    model.save_weights(written, overwrite=True)
    written.replace(path)


def room_for(model: keras.Model) -> float:
    """Returns the maximum size in bytes of a file of the model's and its optimizer's variables."""
    optimizer = getattr(model, "optimizer", None)  # missing in a model that was never compiled
    variables = [*model.variables, *(optimizer.variables if optimizer else ())]
    content = sum(int(np.prod(v.shape)) * 8 for v in variables)
    return 1.2 * content + 4096 * len(variables) + 2**18


def load_weights(model: keras.Model, weights: Path) -> None:
    """Loads the weights of a training's best epoch into `model`."""
    without_optimizer(model).load_weights(weights)


def export(folder: Path, model: keras.Model, metadata: ModelMetadata) -> None:
    """Writes `best_model.keras`, which loads without the suite, with class names and shape."""
    # Keras' own metric and, instead of a loss that only the space has, Keras' own loss.
    loss = getattr(model.loss, "plain", model.loss)
    model.compile(model.optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)
    model.optimizer.build(model.trainable_variables)  # else loading the file warns
    check_room(folder, room_for(model))
    with atomic(StudyFolder(folder).model) as temporary:
        model.save(temporary)
        add_to_archive(temporary, metadata)
