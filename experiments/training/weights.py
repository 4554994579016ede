"""Writes the weights of networks to the disk, and reads them back."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from experiments.hyperparameters.model_graph import description, is_functional
from experiments.process.replaced import replaced
from experiments.record.files import atomic, check_room
from experiments.record.layout import StudyFolder
from experiments.record.model_metadata import ModelMetadata, add_to_archive

_SAVED_KINDS = ("Operation", "Layer", "Functional", "Sequential", "Metric", "Optimizer", "Loss")
_skipped: dict[str, Any] = {}  # kind -> names of attributes that Keras does not save


@contextmanager
def without_optimizer(model: keras.Model) -> Iterator[keras.Model]:
    """Gives `model` without its optimizer, whose state is neither written nor read."""
    if is_functional(model):
        yield keras.Model(model.inputs, model.outputs)
        return
    optimizer = getattr(model, "optimizer", None)
    model.optimizer = None
    try:
        yield model
    finally:
        model.optimizer = optimizer


def save_weights(model: keras.Model, path: Path) -> None:
    """Writes weights to `path`, through a file with Keras' required suffix `.weights.h5`."""
    with without_optimizer(model) as bare:
        save_whole(bare, path)


def save_whole(model: keras.Model, path: Path) -> None:
    """Writes what `model.load_weights` reads to `path`, the optimizer's state included."""
    check_room(path.parent, room_for(model))
    written = path.with_suffix(".weights.h5")
    _remind_keras()
    model.save_weights(written, overwrite=True)
    written.replace(path)


def _remind_keras() -> None:
    """Gives Keras what it looks up once for every layer that it saves: half of the time.

    It keeps these names of attributes under another name than it asks for, and forgets them with
    its session.
    """
    with suppress(ImportError, AttributeError, ValueError):  # it is none of Keras' API
        from keras.src.backend.common import global_state
        from keras.src.saving import saving_lib

        for kind in _SAVED_KINDS:
            if kind not in _skipped:
                _skipped[kind] = saving_lib.get_attr_skipset(kind)
            global_state.set_global_attribute(f"saving_attr_skiplist_{kind}", _skipped[kind])


def room_for(model: keras.Model) -> float:
    """Returns the maximum size in bytes of a file of the model's and its optimizer's variables."""
    optimizer = getattr(model, "optimizer", None)  # missing in a model that was never compiled
    variables = [*model.variables, *(optimizer.variables if optimizer else ())]
    content = sum(int(np.prod(v.shape)) * 8 for v in variables)
    return 1.2 * content + 4096 * len(variables) + 2**18


def load_weights(model: keras.Model, weights: Path) -> None:
    """Loads the weights of a training's best epoch into `model`."""
    with without_optimizer(model) as bare:
        bare.load_weights(weights)


def export(folder: Path, model: keras.Model, metadata: ModelMetadata) -> None:
    """Writes `best_model.keras`, which loads without the suite, with class names and shape.

    Args:
        folder: The study folder.
        model: The model.
        metadata: What travels with the file.
    """
    # Keras' own metric only and, instead of a loss that only the space has, Keras' own loss.
    loss = getattr(model.loss, "plain", model.loss)
    metrics = ["accuracy"] if metadata.classifies_images else None
    model.compile(model.optimizer, loss=loss, metrics=metrics, jit_compile=False)
    model.optimizer.build(model.trainable_variables)  # else loading the file warns
    check_room(folder, room_for(model))
    with atomic(StudyFolder(folder).model) as temporary:
        _save(model, temporary)
        add_to_archive(temporary, metadata)


def _save(model: keras.Model, path: Path) -> None:
    """Saves a model without what can't be described of it: its file holds the weights anyway."""
    asked = ("get_config", "get_compile_config")
    untold = [name for name in asked if description(model, name) is None]
    with replaced(vars(model), dict.fromkeys(untold, dict)):
        model.save(path)
