"""Traced networks that later trainings of the same structure use again.

Tracing a small network's step takes as long as training it. Trials of a search often have the same
structure: they differ in learning rate, batch size, dropout, weight decay or label smoothing, or
are one trial trained again with another seed. Such a training brings its own first weights; graph
and variables are those of an earlier training of this process. Its numbers are those of a network
that was traced for it alone.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import MethodType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiments.hyperparameters.model_graph import description, is_functional
from experiments.process.replaced import replaced
from experiments.training import loop
from experiments.training.own_code import is_keras
from experiments.training.snapshot import Arrays, assign
from search_spaces._metrics import MacroAUC, MacroF1
from search_spaces._recipe import SmoothedCrossentropy

_MOST_KEPT = 16
_MOST_BYTES = 512 * 2**20  # of all that kept networks hold
# Layers whose graph is what their description says, and which change nothing when they are called.
_TOLD = frozenset(
    {
        "AveragePooling2D",
        "BatchNormalization",
        "Conv2D",
        "Dense",
        "Dropout",
        "Flatten",
        "GlobalAveragePooling2D",
        "GlobalMaxPooling2D",
        "InputLayer",
        "MaxPooling2D",
        "ReLU",
        "Rescaling",
    }
)
_OPTIMIZERS = (keras.optimizers.Adam, keras.optimizers.RMSprop, keras.optimizers.SGD)
_LOSSES = (keras.losses.BinaryCrossentropy, SmoothedCrossentropy)
_METRICS = (MacroAUC, MacroF1)
_STEPS = {"train_step", "test_step", "compute_loss", "compute_metrics"}


@dataclass(eq=False)
class Traced:
    """A compiled network whose loop has been traced.

    Args:
        model: The network. Its weights are those of the training that used it last.
        structure: See `structure_of`.
        sizes: Rows of a batch of training and of validation, where batches are cut in the graph.
        dropouts: What each dropout layer that drops anything takes its rate from.
        share: What the loss takes its label smoothing from, if it smooths.
        decay: What the optimizer takes its weight decay from, if it has one.
        first: What the optimizer's variables hold at the beginning.
        functions: The loops, to tell whether anybody compiled the model anew.
    """

    model: keras.Model
    structure: str | None
    sizes: tuple[tf.Variable, tf.Variable] | None
    dropouts: "list[_Dropped]"
    share: "_Share | None"
    decay: tf.Variable | None
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
        if self.share is not None:
            self.share.set(_smoothing(fresh))
        if self.decay is not None:
            self.decay.assign(fresh.optimizer.weight_decay)
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


class _Share:
    """A share of labels in a graph, as variables; losses compute with it as with a number.

    What they make of the number alone is made in double precision, as Python does it.
    """

    def __init__(self) -> None:
        self._share, self._rest, self._half = (tf.Variable(0.0, trainable=False) for _ in range(3))

    def set(self, share: float) -> None:
        """Sets the share."""
        self._share.assign(share)
        self._rest.assign(1 - share)
        self._half.assign(0.5 * share)

    def __rsub__(self, one: float) -> Any:
        assert one == 1
        return self._rest

    def __rmul__(self, half: float) -> Any:
        assert half == 0.5
        return self._half

    def __mul__(self, tensor: Any) -> Any:
        return self._share * tensor


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
        is_alone: bool = False,
    ) -> Traced:
        """Returns a network to train in place of `model`: itself, traced now, or one that is kept.

        Args:
            model: A compiled model that was just built.
            train: As in `loop.install`.
            validation: As in `loop.install`.
            steps: As in `loop.install`.
            sizes: As in `loop.install`.
            is_alone: Whether to trace it in any case, and keep nothing.
        """
        key = None
        if not is_alone:
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
            or _num_bytes([each.model for each in self._kept.values()]) > _MOST_BYTES
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
    share = _Share() if is_kept and _smoothing(model) else None
    decays = is_kept and model.optimizer.weight_decay is not None
    decay = tf.Variable(0.0, trainable=False) if decays else None
    with ExitStack() as stack:
        for layer, dropped in dropouts:
            call = MethodType(dropped.call, layer)
            stack.enter_context(replaced(vars(layer), {"call": call}))
        if share is not None:
            # Keras' own losses hand on what they were made with, the other one looks at itself.
            own = getattr(model.loss, "_fn_kwargs", vars(model.loss))
            stack.enter_context(replaced(own, {"label_smoothing": share}))
        if decay is not None:
            stack.enter_context(replaced(vars(model.optimizer), {"weight_decay": decay}))
        loop.install(model, train, validation, steps, in_graph)
    return Traced(
        model,
        structure,
        in_graph,
        [dropped for _, dropped in dropouts],
        share,
        decay,
        _values(model.optimizer.variables) if is_kept else [],
        (model.train_function, model.test_function),
    )


def structure_of(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    steps: int,
    is_cut: bool,
) -> str | None:
    """Returns what a traced graph depends on; `None` where it can't be told.

    It can be told of a graph of Keras' own plain layers, compiled as `ImageSpace.compile` does it
    with an optimizer that is new.

    Args:
        model: A compiled model.
        train: Its training data.
        validation: Its validation data.
        steps: Batches per call into the graph.
        is_cut: Whether batches are cut in the graph.
    """
    if not is_functional(model) or not is_keras(type(model)) or vars(model).keys() & _STEPS:
        return None
    if model.run_eagerly or model.loss is None or model.optimizer.built:
        return None
    if not _is_compiled_plainly(model) or not all(map(_is_told, model.layers)):
        return None
    described: dict[str, Any] = {
        "model": description(model, "get_config"),
        "compiled": description(model, "get_compile_config"),
    }
    if None in described.values():
        return None
    settings = described["compiled"]["optimizer"]["config"]
    if not isinstance(settings["learning_rate"], float):
        return None
    settings["learning_rate"] = "variable"
    if settings["weight_decay"] is not None:
        settings["weight_decay"] = "variable"
        # What it leaves out is not in the description.
        if getattr(model.optimizer, "_exclude_from_weight_decay", None):
            return None
        names = getattr(model.optimizer, "_exclude_from_weight_decay_pattern", None)
        settings["not_decayed"] = None if names is None else names.pattern
    if _smoothing(model):
        described["compiled"]["loss"]["config"]["label_smoothing"] = "variable"
    for layer in described["model"]["layers"]:
        if layer["class_name"] == "Dropout" and _varies(layer["config"]):
            layer["config"]["rate"] = "variable"
    facts = [
        described,
        repr(train.element_spec),
        repr(validation.element_spec),
        steps,
        is_cut,
        [variable.trainable for variable in model.variables],
    ]
    return json.dumps(facts, sort_keys=True)


def _is_compiled_plainly(model: keras.Model) -> bool:
    """Whether optimizer, loss and metrics are named, or of classes whose description is whole.

    One of one's own may have the name of one of these.
    """
    given = model._compile_config.config
    metrics = given["metrics"] or []
    return (
        type(model.optimizer) in _OPTIMIZERS
        and isinstance(metrics, list)
        and all(isinstance(each, str) or type(each) in _METRICS for each in metrics)
        and (isinstance(model.loss, str) or type(model.loss) in _LOSSES)
        and given["weighted_metrics"] is None
    )


def _is_told(layer: keras.layers.Layer) -> bool:
    """Whether the description of a layer determines its graph."""
    if type(layer).__name__ not in _TOLD or not is_keras(type(layer)):
        return False
    # An activation or a regularizer of one's own may have the name of one of Keras', or no
    # description at all.
    return all(is_keras(value) for value in vars(layer).values() if callable(value))


def _varies(config: Mapping[str, Any]) -> bool:
    """Whether the rate of a dropout layer can be a variable."""
    is_plain = config["noise_shape"] is None and config["dtype"]["config"]["name"] == "float32"
    return is_plain and 0 < config["rate"] < 1  # at 0 and 1 the layer draws nothing


def _dropouts(model: keras.Model) -> list[keras.layers.Dropout]:
    """Returns the dropout layers whose rate can be a variable, in order."""
    layers = (layer for layer in model.layers if type(layer) is keras.layers.Dropout)
    return [layer for layer in layers if _varies(layer.get_config())]


def _smoothing(model: keras.Model) -> float:
    """Returns the share of each label that the loss spreads over all classes."""
    return float(getattr(model.loss, "label_smoothing", 0.0))


def _num_bytes(models: Sequence[keras.Model]) -> int:
    """Returns the bytes of all variables that models keep alive.

    A layer knows each graph that it is in: a head keeps the whole network that it was joined to.
    """
    found: dict[int, Any] = {}
    waiting, seen = [layer for model in models for layer in model.layers], set()
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        found |= {id(variable): variable for variable in getattr(layer, "variables", ())}
        tensors = (t for node in layer._inbound_nodes for t in node.input_tensors)
        waiting += [tensor._keras_history.operation for tensor in tensors]
    found |= {id(v): v for model in models for v in model.optimizer.variables}
    return sum(int(np.prod(v.shape)) * 4 for v in found.values())


def _values(variables: Sequence[Any]) -> Arrays:
    return [np.asarray(variable) for variable in variables]
