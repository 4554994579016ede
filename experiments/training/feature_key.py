"""Names a frozen part by what determines its output: layers, connections and weights."""

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from search_spaces.frozen import FrozenPart

if TYPE_CHECKING:
    import keras


@lru_cache(maxsize=16)
def identity(part: FrozenPart) -> str:
    """Names a frozen part by its weights and layers."""
    digest = hashlib.sha256(topology(part.model).encode())
    for weight in part.model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def topology(model: "keras.Model") -> str:
    """Describes the layers of a model without their names, which differ between builds.

    Each line is one layer: its class, compute precision, config, and the positions of its input
    layers. The last line holds the positions of the output layers.
    """
    positions = {id(layer): position for position, layer in enumerate(model.layers)}
    rows = [_described(layer, positions) for layer in model.layers]
    outputs = model.output if isinstance(model.output, dict) else {"": model.output}
    rows.append(json.dumps({n: _origins([t], positions) for n, t in sorted(outputs.items())}))
    return "\n".join(rows)


def _described(layer: "keras.Layer", positions: dict[int, int]) -> str:
    inputs = sorted(
        {tuple(_origins(node.input_tensors, positions)) for node in layer._inbound_nodes}
    )
    if hasattr(layer, "layers"):
        return f"({topology(layer)}) {inputs}"
    config = {k: v for k, v in layer.get_config().items() if k not in ("name", "dtype")}
    facts = json.dumps(config, sort_keys=True, default=repr)
    return f"{type(layer).__name__} {layer.dtype_policy.name} {facts} {inputs}"


def _origins(
    tensors: "keras.KerasTensor | list[keras.KerasTensor]", positions: dict[int, int]
) -> list[int]:
    """Returns the positions of the layers that produced tensors; -1 for layers of another model."""
    found = tensors if isinstance(tensors, list | tuple) else [tensors]
    return [positions.get(id(tensor._keras_history.operation), -1) for tensor in found]
