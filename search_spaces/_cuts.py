"""Where a backbone can be cut: the tensors through which everything goes that comes after."""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import keras

_MOST_STAGES = 3  # cuts at the ends of stages; earlier layers are general and their maps large


def tensors_before(model: keras.Model, cut: str, streams: int = 1) -> list[Any]:
    """Returns the last tensors before `cut` that separate the graph of `model`.

    Args:
        model: A functional model with one input and one output.
        cut: Name of a layer, or what names of layers begin with, up to an underscore.
        streams: How many tensors, at most, all of one height and width.

    Raises:
        ValueError: No layer is so named, or nothing separates the graph before it.
    """
    found: list[Any] = []
    for operation, alive in _in_order(model):
        if operation.name == cut or operation.name.startswith(f"{cut}_"):
            break
        if len(alive) <= streams and len({tuple(tensor.shape[1:-1]) for tensor in alive}) == 1:
            # Padding would only make it larger.
            found = found if isinstance(operation, keras.layers.ZeroPadding2D) else alive
    else:
        found = []
    if not found:
        raise ValueError(f"{model.name} can't be cut at {cut!r}")
    return found


def layers_before(model: keras.Model, tensors: list[Any]) -> set[int]:
    """Returns the ids of the layers that `tensors` depend on."""
    return {id(layer) for layer in keras.Model(model.input, tensors).layers}


def joined(tensors: list[Any]) -> Any:
    """Joins the tensors of a cut, `(batch, height, width, channels)` each, by their channels."""
    return tensors[0] if len(tensors) == 1 else keras.layers.Concatenate(name="streams")(tensors)


def parted(features: Any, tensors: list[Any]) -> Any:
    """Parts what `joined` has joined."""
    if len(tensors) == 1:
        return features
    ends = list(accumulate(tensor.shape[-1] for tensor in tensors))
    return keras.ops.split(features, ends[:-1], axis=-1)


def stage_cuts(model: keras.Model) -> tuple[str, ...]:
    """Finds cuts of a backbone by its stages; the one that unfreezes the least comes first.

    One is before the last layer with a kernel. The others are where the size of the map falls, at
    the ends of the last stages. Where a block widens the map before it shrinks it, the cut is
    before the block, because a narrow map takes less room.
    """
    order = _in_order(model)
    alone = [place for place, (_, alive) in enumerate(order) if len(alive) == 1]
    kernels = [place for place, (layer, _) in enumerate(order) if _has_kernel(layer)]
    before_last = [place for place in alone if kernels and place < kernels[-1]]
    ends = [_best_near(order, alone, end) for end in _ends_of_stages(order, alone)]
    ends = [place for place in ends if place in before_last][-_MOST_STAGES:]
    chosen = {*ends, *before_last[-1:]} - {0}
    after = [next(_unpadded(order[place + 1 :])) for place in sorted(chosen, reverse=True)]
    return tuple(layer.name for layer in after)


def _unpadded(order: list[tuple[Any, list[Any]]]) -> Iterator[Any]:
    return (layer for layer, _ in order if not isinstance(layer, keras.layers.ZeroPadding2D))


def _in_order(model: keras.Model) -> list[tuple[Any, list[Any]]]:
    """Returns each operation with the tensors that later ones need: one separates the graph."""
    by_depth = model._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    uses = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    uses[id(model.outputs[0])] += 1
    order, alive = [], dict[int, Any]()
    for node in nodes:
        for tensor in node.input_tensors:
            uses[id(tensor)] -= 1
            if not uses[id(tensor)]:
                alive.pop(id(tensor), None)
        alive |= {id(tensor): tensor for tensor in node.output_tensors}
        order.append((node.operation, list(alive.values())))
    return order


def _ends_of_stages(order: list[tuple[Any, list[Any]]], alone: list[int]) -> list[int]:
    """Returns the places after which the size of the map falls."""
    sides = [order[place][1][0].shape[1:-1] for place in alone]
    return [
        place
        for place, here, after in zip(alone, sides, sides[1:], strict=False)
        if len(here) == len(after) == 2 and _pixels(after) < _pixels(here) / 2
    ]


def _pixels(shape: tuple[int, ...]) -> int:
    return math.prod(side or 1 for side in shape)


def _best_near(order: list[tuple[Any, list[Any]]], alone: list[int], end: int) -> int:
    """Returns the place near the end of a stage where the map takes the least room."""
    if end + 1 in alone and not getattr(order[end + 1][0], "weights", ()):  # pooling, say
        return end + 1
    place = end
    for earlier in reversed(alone[: alone.index(end) + 1]):
        operation, (tensor,) = order[earlier]
        if isinstance(order[place][0], keras.layers.ZeroPadding2D):
            place = earlier
        here = order[place][1][0].shape
        if tensor.shape[1:-1] == here[1:-1] and 2 * tensor.shape[-1] < here[-1]:
            return earlier
        if len(operation._inbound_nodes[0].input_tensors) > 1:  # the block began here
            break
    return place


def _has_kernel(layer: Any) -> bool:
    return any(len(weight.shape) > 1 for weight in getattr(layer, "weights", ()))
