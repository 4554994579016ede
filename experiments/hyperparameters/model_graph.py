"""What is known of a model's inputs and outputs, of a subclass of `keras.Model` too."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

Shape = tuple[int | None, ...]
Calls = dict[int, list[Any]]  # id of an operation -> its calls, in order


def is_functional(model: keras.Model) -> bool:
    """Whether the model is a graph of layers; a subclass with its own `call` is not."""
    return bool(getattr(model, "inputs", None))


def calls_of(model: keras.Model, operations: Sequence[Any]) -> Calls:
    """Returns the calls of each operation: those in `model` alone, where Keras knows them."""
    by_depth = getattr(
        model, "_nodes_by_depth", {0: [n for o in operations for n in o._inbound_nodes]}
    )
    own = {id(node) for nodes in by_depth.values() for node in nodes}
    return {id(o): [node for node in o._inbound_nodes if id(node) in own] for o in operations}


def build_on_zeros(model: keras.Model, shape: Sequence[int | None]) -> object:
    """Makes the weights of a subclass of `keras.Model`; returns what it gives for one row.

    Args:
        model: A model that is no graph of layers.
        shape: Shape of a row; 1 stands for what is open.
    """
    return model(np.zeros((1, *(size or 1 for size in shape)), dtype=np.float32))


def input_shape(model: keras.Model) -> Shape:
    """Returns the shape of a row that a built model takes."""
    if is_functional(model):
        return tuple(model.inputs[0].shape[1:])
    return tuple(model.get_build_config()["input_shape"][1:])


def input_type(model: keras.Model) -> str:
    """Returns the type of the rows that a built model takes, as Keras names it."""
    return str(model.inputs[0].dtype) if is_functional(model) else "float32"


def output_shape(model: keras.Model) -> Shape:
    """Returns the shape of what a built model gives for a row."""
    if is_functional(model):
        return tuple(model.outputs[0].shape[1:])
    given = build_on_zeros(model, input_shape(model))
    return tuple(getattr(given, "shape", ()))[1:]


def last_activation(model: keras.Model) -> Any:
    """Returns the activation of the last layer; `None` where it is not known."""
    # What gives the output may be no layer: `keras.ops.softmax`.
    last = model.outputs[0]._keras_history.operation if is_functional(model) else None
    return (
        last_activation(last)
        if isinstance(last, keras.Model)
        else getattr(last, "activation", None)
    )


def description(model: keras.Model, name: str) -> dict[str, Any] | None:
    """Returns what Keras says of a model; `None` where its own code can't be described.

    Args:
        model: A model.
        name: `get_config` or `get_compile_config`.
    """
    try:
        return dict(getattr(model, name)())
    except Exception:  # it asks losses, schedules and layers of the user's own
        return None
