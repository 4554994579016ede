"""What an exported model needs beside Keras to be loaded: code that is no part of the file."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from experiments.record.formatting import listed

if TYPE_CHECKING:
    import keras


def own_code(model: "keras.Model") -> list[str]:
    """Names the layers that Keras can't load by itself, and what each needs.

    A Python function in a `Lambda` layer is refused by Keras' safe mode, for a file could hold any;
    a class that is not Keras' own has to be there when the file is loaded.

    Args:
        model: Of Keras.

    Returns:
        One text a layer; none where the file loads by itself.
    """
    return [needs for layer in _layers(model) if (needs := _needs(layer))]


def notice_of(needs: list[str]) -> str:
    """Says in one line what loading `best_model.keras` takes."""
    return (
        f"best_model.keras does not load by itself: {listed(needs, 3)}; `experiments export` takes "
        "them from the search space, and layers of Keras (Rescaling, say) need nothing"
    )


def _layers(model: "keras.Model") -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        yield from _layers(layer) if hasattr(layer, "layers") else ()


def _needs(layer: "keras.Layer") -> str:
    kind = type(layer)
    if kind.__name__ == "Lambda":
        return f"layer {layer.name!r} is a Python function (load it with safe_mode=False)"
    if kind.__module__.split(".")[0] != "keras":
        return f"layer {layer.name!r} is of class {kind.__name__} (import it first)"
    return ""
