"""Traced networks that later trainings of the same structure use again.

Tracing a small network's step takes as long as training it. Trials of a search often have the same
structure: they differ in learning rate, batch size or dropout, or are one trial trained again with
another seed. Such a training brings its own first weights; graph and variables are those of an
earlier training of this process. Its numbers are those of a network that was traced for it alone.
"""

import json
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MethodType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiments.hyperparameters.model_graph import is_functional
from experiments.training import loop
from experiments.training.snapshot import Arrays, assign

_MOST_KEPT = 16
_MOST_BYTES = 128 * 2**20  # of all kept networks, with what their optimizers hold
_OWN = ("keras", "search_spaces")  # packages whose objects are what their description says


@dataclass(eq=False)
class Traced:
    """A compiled network whose loop has been traced.

    Args:
        model: The network. Its weights are those of the training that used it last.
        structure: See `structure_of`.
        sizes: Rows of a batch of training and of validation, where batches are cut in the graph.
        dropouts: What each dropout layer that drops anything takes its rate from.
        first: What the optimizer's variables hold at the beginning.
        functions: The loops, to tell whether anybody compiled the model anew.
    """

    model: keras.Model
    structure: str | None
    sizes: tuple[tf.Variable, tf.Variable] | None
    dropouts: "list[_Dropped]"
    first: Arrays
    functions: tuple[Any, Any]

    def begin(self, fresh: keras.Model, sizes: tuple[int, int] | None) -> None:
        """Sets all that changes between trainings to what it is in a network just built."""
        if self.sizes is not None and sizes is not None:
            for variable, size in zip(self.sizes, sizes, strict=True):
                variable.assign(size)
        if self.structure is None:
            return
        for dropped, layer in zip(self.dropouts, _dropouts(fresh), strict=True):
            dropped.set(layer.rate)
        if fresh is self.model:
            return
        assign(self.model.variables, _values(fresh.variables))
        optimizer = self.model.optimizer
        assign(optimizer.variables, self.first)
        optimizer.learning_rate = float(fresh.optimizer.learning_rate)

    def end(self, fresh: keras.Model) -> None:
        """Gives a network what was trained in its place."""
        if fresh is not self.model:
            assign(fresh.variables, _values(self.model.variables))

    @property
    def is_intact(self) -> bool:
        """Whether the model still has the loops that were traced."""
        return self.functions == (self.model.train_function, self.model.test_function)

    @property
    def num_bytes(self) -> int:
        """Bytes of all variables."""
        held = [*self.model.variables, *self.model.optimizer.variables]
        return sum(int(np.prod(v.shape)) * 4 for v in held)


class _Dropped:
    """The rate of a dropout layer in a graph, as variables."""

    def __init__(self) -> None:
        self._rate = tf.Variable(0.0, trainable=False)
        self._scale = tf.Variable(1.0, trainable=False)

    def set(self, rate: float) -> None:
        """Sets the share of units that is dropped."""
        self._rate.assign(rate)
        self._scale.assign(1 / (1 - rate))  # as TensorFlow does it: in double precision

    def call(self, layer: keras.layers.Dropout, inputs: Any, training: bool = False) -> Any:
        """Does what the layer does, bit for bit."""
        if not training:
            return inputs
        seed = layer.seed_generator.next()
        if seed.dtype != tf.int32:  # as Keras makes it one
            seed = tf.cast(tf.math.floormod(seed, tf.int32.max - 1), tf.int32)
        noise = tf.random.stateless_uniform(tf.shape(inputs), seed)
        kept = tf.where(noise >= self._rate, inputs * self._scale, 0.0)
        return tf.ensure_shape(kept, inputs.shape)


class TracedStore:
    """Keeps the traced networks that were used last, one of each structure."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Traced] = OrderedDict()

    def take(
        self,
        model: keras.Model,
        train: tf.data.Dataset,
        validation: tf.data.Dataset,
        steps: int,
        sizes: tuple[int, int] | None = None,
    ) -> Traced:
        """Returns a network to train in place of `model`: itself, traced now, or one that is kept.

        Args:
            model: A compiled model that was just built.
            train: As in `loop.install`.
            validation: As in `loop.install`.
            steps: As in `loop.install`.
            sizes: As in `loop.install`.
        """
        key = structure_of(model, train, validation, steps, sizes is not None)
        found = None if key is None else self._kept.pop(key, None)
        if found is None or not found.is_intact:
            found = _trace(model, train, validation, steps, sizes, key)
        found.begin(model, sizes)
        return found

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, traced: Traced) -> None:
        """Keeps a network for later trainings, if it can be told from others."""
        if traced.structure is None or not traced.is_intact:
            return
        self._kept[traced.structure] = traced
        while self._kept and (
            len(self._kept) > _MOST_KEPT
            or sum(each.num_bytes for each in self._kept.values()) > _MOST_BYTES
        ):
            self._kept.popitem(last=False)


def _trace(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    steps: int,
    sizes: tuple[int, int] | None,
    structure: str | None,
) -> Traced:
    in_graph = None
    if sizes is not None:
        train_size, test_size = (tf.Variable(size, trainable=False) for size in sizes)
        in_graph = train_size, test_size
    is_kept = structure is not None
    dropouts = [(layer, _Dropped()) for layer in _dropouts(model)] if is_kept else []
    with _replaced(dropouts):
        loop.install(model, train, validation, steps, in_graph)
    return Traced(
        model,
        structure,
        in_graph,
        [dropped for _, dropped in dropouts],
        _values(model.optimizer.variables) if is_kept else [],
        (model.train_function, model.test_function),
    )


@contextmanager
def _replaced(dropouts: Sequence[tuple[keras.layers.Dropout, _Dropped]]) -> Iterator[None]:
    for layer, dropped in dropouts:
        layer.call = MethodType(dropped.call, layer)
    try:
        yield
    finally:
        for layer, _ in dropouts:
            del layer.call


def structure_of(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    steps: int,
    is_cut: bool,
) -> str | None:
    """Returns what a traced graph depends on; `None` where it can't be told.

    Args:
        model: A compiled model.
        train: Its training data.
        validation: Its validation data.
        steps: Batches per call into the graph.
        is_cut: Whether batches are cut in the graph.
    """
    if not is_functional(model) or model.run_eagerly or model.loss is None:
        return None
    with (
        suppress(TypeError, ValueError, NotImplementedError, AttributeError),
        warnings.catch_warnings(action="ignore"),
    ):
        described = {"model": model.get_config(), "compiled": model.get_compile_config()}
        described = json.loads(json.dumps(described))
        optimizer = described["compiled"]["optimizer"]["config"]
        if isinstance(optimizer["learning_rate"], float):
            optimizer["learning_rate"] = "variable"
        # What weight decay leaves out is not in the description.
        if _is_told(described) and optimizer.get("weight_decay") is None:
            specs = [repr(train.element_spec), repr(validation.element_spec), steps, is_cut]
            return json.dumps([described, specs], sort_keys=True)
    return None


def _is_told(described: Any) -> bool:
    """Whether a description names nothing whose code it does not determine.

    Rates of dropout become the same, since they are variables.
    """
    if isinstance(described, list):
        return all(map(_is_told, described))
    if not isinstance(described, dict):
        return True
    name, module = described.get("class_name"), described.get("module")
    if name in ("function", "__lambda__") or described.keys() == {"value"}:  # a function's code
        return False
    if module is not None and module.partition(".")[0] not in (*_OWN, "builtins"):
        return False
    if name == "Dropout" and _varies(described["config"]):
        described["config"]["rate"] = "variable"
    return all(map(_is_told, described.values()))


def _varies(config: Mapping[str, Any]) -> bool:
    """Whether the rate of a dropout layer can be a variable."""
    is_plain = config["noise_shape"] is None and config["dtype"]["config"]["name"] == "float32"
    return is_plain and 0 < config["rate"] < 1  # at 0 and 1 the layer draws nothing


def _dropouts(model: keras.Model) -> list[keras.layers.Dropout]:
    """Returns the dropout layers whose rate can be a variable, in order."""
    layers = (layer for layer in model._flatten_layers() if type(layer) is keras.layers.Dropout)
    return [layer for layer in layers if _varies(layer.get_config())]


def _values(variables: Sequence[Any]) -> Arrays:
    return [np.asarray(variable) for variable in variables]
