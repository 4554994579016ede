"""Keras' own training and test steps in a loop that is traced once.

`Model.fit` with `steps_per_execution` traces its step three times. In a trial of a few seconds,
that is a large share of the time. Here the step, callbacks, metrics and optimizer are the model's
own; only the loop around them is leaner. Adam updates each variable by one operation of TensorFlow
in place of some twenty. Results are the same up to float rounding.
"""

import types
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from experiments.process.replaced import replaced

_STEPS = {"train_step", "test_step", "compute_metrics"}
_MAKERS = {"make_train_function", "make_test_function"}


def install(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    steps: int,
    sizes: tuple[Any, Any] | None = None,
) -> None:
    """Makes `fit` and `evaluate` of a compiled model use the lean loop, and traces it.

    A model that `is_plain` does not hold of keeps Keras' loop.

    Args:
        model: A compiled model; the next `compile` undoes this.
        train: The batches to train on.
        validation: The batches to evaluate on.
        steps: Batches per call into the graph.
        sizes: Rows of a batch of training and of validation, numbers or variables, where the one
            element of each dataset is all rows of an epoch: batches are cut from it in the graph.
    """
    if not is_plain(model):
        return
    _make_variables(model, validation)
    model.steps_per_execution = steps
    train_size, test_size = sizes or (None, None)
    _replace(model, "train_function", "make_train_function", model.train_step, train_size)
    _replace(model, "test_function", "make_test_function", model.test_step, test_size)
    model.make_train_function()
    with replaced(vars(model.optimizer), _fused(model.optimizer)):
        model.train_function.get_concrete_function(iter(train))
    model.make_test_function()
    model.test_function.get_concrete_function(iter(validation))


def is_plain(model: keras.Model) -> bool:
    """Whether a compiled model trains in a graph, with a loss, and as Keras' own step does.

    A step of its own may report what its metrics do not.
    """
    own = vars(model).keys() & _STEPS or any(
        getattr(type(model), name) is not getattr(keras.Model, name) for name in _STEPS | _MAKERS
    )
    return not own and not model.run_eagerly and model.loss is not None


def _fused(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    """Returns what replaces an optimizer's update to make it one operation, if there is one."""
    adam = keras.optimizers.Adam
    is_adams = getattr(type(optimizer), "update_step", None) is adam.update_step
    if not is_adams or optimizer.amsgrad or tf.distribute.has_strategy():
        return {}
    return {"update_step": types.MethodType(_adam_step, optimizer)}


def _adam_step(optimizer: keras.optimizers.Adam, gradient: Any, variable: Any, rate: Any) -> None:
    """Does what `Adam.update_step` does."""
    if variable.dtype != tf.float32 or isinstance(gradient, tf.IndexedSlices):
        type(optimizer).update_step(optimizer, gradient, variable, rate)
        return
    index = optimizer._get_variable_index(variable)
    step = tf.cast(optimizer.iterations + 1, tf.float32)
    beta_1, beta_2, epsilon = (
        tf.cast(each, tf.float32)
        for each in (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon)
    )
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=optimizer._momentums[index].value.handle,
        v=optimizer._velocities[index].value.handle,
        beta1_power=tf.pow(beta_1, step),
        beta2_power=tf.pow(beta_2, step),
        lr=tf.cast(rate, tf.float32),
        beta1=beta_1,
        beta2=beta_2,
        epsilon=epsilon,
        grad=tf.cast(gradient, tf.float32),
    )


def _make_variables(model: keras.Model, data: tf.data.Dataset) -> None:
    """Creates the variables of optimizer and metrics; creating them in a trace forces another."""
    model.optimizer.build(model.trainable_variables)
    inputs, labels = (part[:2] for part in next(iter(data)))
    outputs = model(inputs)
    model.compute_loss(inputs, labels, outputs, None)  # Keras gives all four, by place
    model.compute_metrics(inputs, labels, outputs)
    model.reset_metrics()


def _replace(
    model: keras.Model, name: str, maker: str, step: Callable[[Any], Any], size: Any | None
) -> None:
    def make(self: Any, force: bool = False) -> None:
        if getattr(self, name) is None or force:
            setattr(self, name, _looped(self, step) if size is None else _cut(self, step, size))

    setattr(model, maker, types.MethodType(make, model))
    setattr(model, name, None)


def _cut(model: keras.Model, step: Callable[[Any], Any], size: Any) -> Any:
    """Returns a function that runs all batches of `size` rows of an iterator's one element."""
    one = tf.function(step, jit_compile=True) if model.jit_compile else step

    def run(iterator: Any) -> Any:
        rows = iterator.get_next()
        count, by = tf.shape(rows[0])[0], tf.convert_to_tensor(size)

        def body(first: Any) -> Any:
            one(tuple(part[first : first + by] for part in rows))
            return first + by

        tf.while_loop(lambda first: first < count, body, (tf.constant(0),))
        return model.get_metrics_result()

    return tf.function(run, autograph=False)


def _looped(model: keras.Model, step: Callable[[Any], Any]) -> Any:
    """Returns a function that runs up to `steps_per_execution` batches of an iterator."""
    limit = model.steps_per_execution
    one = tf.function(step, jit_compile=True) if model.jit_compile else step

    def run(iterator: Any) -> Any:
        def more(done: Any, batch: Any) -> Any:
            return tf.logical_and(done < limit, batch.has_value())

        def body(done: Any, batch: Any) -> tuple[Any, Any]:
            one(batch.get_value())
            return done + 1, tf.cond(done + 1 < limit, iterator.get_next_as_optional, nothing)

        def nothing() -> Any:
            return tf.experimental.Optional.empty(iterator.element_spec)

        tf.while_loop(more, body, (tf.constant(0), iterator.get_next_as_optional()))
        return model.get_metrics_result()

    return tf.function(run, autograph=False)
