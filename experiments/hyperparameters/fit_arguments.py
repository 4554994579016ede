"""What a space's own `fit` may pass to `model.fit`: what arrays take, though batches come made."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import keras
import tensorflow as tf

_NAMES = tuple(inspect.signature(keras.Model.fit).parameters)[1:]
# what Keras Tuner's users may ask for and batches do not need
_UNNEEDED = {"y": None, "shuffle": True, "verbose": 0}


def unneeded_by(fit: Callable[..., Any]) -> dict[str, Any]:
    """Returns the arguments that a user's `fit` requires, and that batches leave without a use."""
    parameters = inspect.signature(fit).parameters
    required = {name for name, own in parameters.items() if own.default is own.empty}
    return {name: value for name, value in _UNNEEDED.items() if name in required}


@contextmanager
def on_batches(
    model: keras.Model, num_rows: int, batch_size: int, shuffle: Callable[[bool], object]
) -> Iterator[None]:
    """Lets `model.fit` in the block take `batch_size`, `shuffle` and `verbose` of batches.

    A `fit` of the model's own takes what it takes, but for `batch_size`.

    Args:
        model: The model.
        num_rows: Rows of all batches.
        batch_size: Rows of a batch as it comes.
        shuffle: Called with whether the batches' rows are to be shuffled.
    """
    own = model.fit

    @wraps(own)  # whose name an error says
    def fit(*args: Any, **kwargs: Any) -> Any:
        if type(model).fit is not keras.Model.fit:
            return own(*args, **{n: v for n, v in kwargs.items() if n != "batch_size"})
        given = dict(zip(_NAMES, args, strict=False)) | kwargs
        if isinstance(given.get("x"), tf.data.Dataset):
            shuffle(bool(given.get("shuffle", True)))
            size = given.pop("batch_size", None)
            if size not in (None, batch_size):
                given["x"] = _rebatched(given["x"], int(size), num_rows, batch_size)
            given["shuffle"] = False
        return own(**given | {"verbose": 0})

    with instead(model, fit):
        yield


def _rebatched(data: tf.data.Dataset, size: int, num_rows: int, before: int) -> tf.data.Dataset:
    made = data.rebatch(size)
    if data.cardinality() != -(-num_rows // before):  # it is not all of them any more
        return made
    return made.apply(tf.data.experimental.assert_cardinality(-(-num_rows // size)))


@contextmanager
def instead(model: Any, fit: Callable[..., Any]) -> Iterator[None]:
    """Puts another `fit` on a model inside the block."""
    model.fit = fit
    try:
        yield
    finally:
        del model.fit
