"""Names a frozen part by what determines its output: layers, connections and weights."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.hyperparameters.model_graph import Calls, calls_of
from experiments.training.by_part import kept_by_part
from experiments.training.own_callables import config_of, own_callables
from search_spaces.frozen import FrozenPart

if TYPE_CHECKING:
    import keras

_NAMES = ("name", "built", "input", "output")


@kept_by_part(16)
def identity(part: FrozenPart) -> str:
    """Names a frozen part by its weights and layers.

    Raises:
        UntoldError: What one of its layers computes can't be told.
    """
    digest = hashlib.sha256(topology(part.model).encode())
    for weight in part.model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    if part.edition:
        digest.update(f"edition {part.edition}".encode())
    return digest.hexdigest()


def topology(model: "keras.Model") -> str:
    """Describes the layers of a model without their names, which differ between builds.

    Each line is one operation: its class, compute precision, config, and the positions of the
    operations that it takes from; where it is or holds code of one's own, a name of that. The last
    line holds the positions of the output operations.
    """
    operations = getattr(model, "operations", model.layers)  # arithmetic between layers, too
    positions = {id(operation): position for position, operation in enumerate(operations)}
    calls, rows = calls_of(model, operations), []
    for operation in operations:
        nodes = calls[id(operation)]
        row = _described(operation, nodes, positions) + _further(nodes, calls, positions)
        own = own_callables(operation, topology)
        rows.append(f"{row} {own}" if own else row)
    outputs = _named(model.output)
    rows.append(json.dumps({n: _origins([t], positions) for n, t in sorted(outputs.items())}))
    taken = {name: _output(tensor, calls) for name, tensor in sorted(outputs.items())}
    return "\n".join(rows) + (f" {taken}" if any(map(any, taken.values())) else "")


def _named(outputs: Any) -> dict[str, Any]:
    if isinstance(outputs, list | tuple):  # of a model within a part
        return {str(number): tensor for number, tensor in enumerate(outputs)}
    return outputs if isinstance(outputs, dict) else {"": outputs}


def _described(
    operation: "keras.Operation", nodes: Sequence[Any], positions: dict[int, int]
) -> str:
    inputs = sorted({tuple(_origins(node.input_tensors, positions)) for node in nodes})
    if hasattr(operation, "layers"):
        return f"({topology(operation)}) {inputs}"
    if not hasattr(operation, "dtype_policy"):
        return f"{type(operation).__name__} {_given(operation, nodes)} {inputs}"
    config = {k: v for k, v in config_of(operation).items() if k != "dtype"}
    facts = json.dumps(config, sort_keys=True, default=repr)
    return f"{type(operation).__name__} {operation.dtype_policy.name} {facts} {inputs}"


def _further(nodes: Sequence[Any], calls: Calls, positions: dict[int, int]) -> str:
    """Describes calls that are not one call with the first outputs of first calls: else `""`."""
    taken = [[_output(tensor, calls) for tensor in node.input_tensors] for node in nodes]
    options = [_options(node) for node in nodes]
    is_plain = not any(any(output) for row in taken for output in row) and not any(options)
    if is_plain and len(nodes) < 2:
        return ""
    return f" {[_origins(node.input_tensors, positions) for node in nodes]} {taken} {options}"


def _output(tensor: "keras.KerasTensor", calls: Calls) -> tuple[int, int]:
    """Returns which call of its operation made a tensor, and as which output."""
    operation, number, index = tensor._keras_history
    known = [id(node) for node in calls.get(id(operation), ())]
    made = id(operation._inbound_nodes[number]) if known else 0
    return (known.index(made) if made in known else 0), int(index)


def _options(node: Any) -> dict[str, Any]:
    """Returns what else a layer was called with, without what is off."""
    if not hasattr(node.operation, "dtype_policy"):
        return {}  # see `_given`
    given = node.arguments.kwargs.items()
    return {n: value for n, value in given if isinstance(value, bool | int | float | str) and value}


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
