"""The code that loading an exported model needs besides Keras and the file itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from experiments.record.formatting import listed

if TYPE_CHECKING:
    import keras


def own_code(model: "keras.Model") -> list[str]:
    """Names the layers that Keras can't load by itself, and what each needs.

    Keras' safe mode refuses a Python function in a `Lambda` layer, because a file could hold any
    code. A custom class must be importable when the file is loaded.

    Args:
        model: A Keras model.

    Returns:
        One text per layer, and one for a model of a class of one's own; empty if the file loads
        by itself.
    """
    kind = type(model)
    own = [] if is_keras(kind) else [f"the model is of class {kind.__name__} (import it first)"]
    return own + [needs for layer in _layers(model) if (needs := _needs(layer))]


def notice_of(needs: list[str]) -> str:
    """Returns one line that says what loading `best_model.keras` needs."""
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
    if not is_keras(kind):
        return f"layer {layer.name!r} is of class {kind.__name__} (import it first)"
    return ""


def is_keras(thing: object) -> bool:
    """Whether a class, a function or an object of a class is of Keras."""
    return package_of(thing) == "keras"


def package_of(thing: object) -> str:
    """Returns the name of the package that a class, a function or an object is of."""
    return str(getattr(thing, "__module__", "")).partition(".")[0]
