"""Names a frozen part by what determines its output: layers, connections and weights."""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from search_spaces.frozen import FrozenPart

if TYPE_CHECKING:
    import keras

_NAMES = ("name", "built", "input", "output")


@lru_cache(maxsize=16)
def identity(part: FrozenPart) -> str:
    """Names a frozen part by its weights and layers."""
    digest = hashlib.sha256(topology(part.model).encode())
    for weight in part.model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    if part.edition:
        digest.update(f"edition {part.edition}".encode())
    return digest.hexdigest()


def topology(model: "keras.Model") -> str:
    """Describes the layers of a model without their names, which differ between builds.

    Each line is one operation: its class, compute precision, config, and the positions of the
    operations that it takes from. The last line holds the positions of the output operations.
    """
    operations = getattr(model, "operations", model.layers)  # arithmetic between layers, too
    positions = {id(operation): position for position, operation in enumerate(operations)}
    rows = [_described(operation, _nodes(operation, model), positions) for operation in operations]
    outputs = model.output if isinstance(model.output, dict) else {"": model.output}
    rows.append(json.dumps({n: _origins([t], positions) for n, t in sorted(outputs.items())}))
    return "\n".join(rows)


def _nodes(operation: "keras.Operation", model: "keras.Model") -> list[Any]:
    """Returns the calls of an operation, those in `model` alone where Keras knows them."""
    by_depth = getattr(model, "_nodes_by_depth", {0: operation._inbound_nodes})
    own = {id(node) for nodes in by_depth.values() for node in nodes}
    return [node for node in operation._inbound_nodes if id(node) in own]


def _described(
    operation: "keras.Operation", nodes: Sequence[Any], positions: dict[int, int]
) -> str:
    inputs = sorted({tuple(_origins(node.input_tensors, positions)) for node in nodes})
    if hasattr(operation, "layers"):
        return f"({topology(operation)}) {inputs}"
    if not hasattr(operation, "dtype_policy"):
        return f"{type(operation).__name__} {_given(operation, nodes)} {inputs}"
    config = {k: v for k, v in operation.get_config().items() if k not in ("name", "dtype")}
    facts = json.dumps(config, sort_keys=True, default=repr)
    return f"{type(operation).__name__} {operation.dtype_policy.name} {facts} {inputs}"


def _given(operation: "keras.Operation", nodes: Sequence[Any]) -> str:
    """Describes what an operation that is no layer was made and called with, besides tensors."""
    made = {k: v for k, v in vars(operation).items() if k[:1] != "_" and k not in _NAMES}
    called = [
        [_constant(value) for value in (*node.arguments.args, *node.arguments.kwargs.values())]
        for node in nodes
    ]
    return json.dumps([made, called], sort_keys=True, default=repr)


def _constant(value: object) -> object:
    if hasattr(value, "_keras_history"):
        return "tensor"
    # An array's text leaves out what is in the middle.
    return np.asarray(value).tolist() if hasattr(value, "shape") else value


def _origins(
    tensors: "keras.KerasTensor | list[keras.KerasTensor]", positions: dict[int, int]
) -> list[int]:
    """Returns the positions of the layers that produced tensors; -1 for layers of another model."""
    found = tensors if isinstance(tensors, list | tuple) else [tensors]
    return [positions.get(id(tensor._keras_history.operation), -1) for tensor in found]
