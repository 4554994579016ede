"""TensorFlow's one-pass kernels in the place of the operations that Keras composes.

Keras writes an update of Adam, and batch normalisation in training, as a dozen operations. Each
reads and writes all of a weight matrix or of a feature map. TensorFlow has kernels that do the same
in one pass or two. Their results differ from Keras' by float rounding only. A step is traced within
`one_pass`; model, layers and optimizer are afterwards what they were.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import MethodType
from typing import Any

import keras
import tensorflow as tf

from experiments.process.replaced import replaced

_LEAST_EPSILON = 1.001e-5  # what the kernel of batch normalisation raises a smaller one to


@contextmanager
def one_pass(model: keras.Model) -> Iterator[None]:
    """Lets a compiled model compute by one-pass kernels within: its Adam and batch norm layers."""
    with ExitStack() as stack:
        if _is_adam(model.optimizer):
            update = {"update_step": MethodType(_update_step, model.optimizer)}
            stack.enter_context(replaced(vars(model.optimizer), update))
        for layer in _batch_norms(model):
            call = {"call": MethodType(_call, layer)}
            stack.enter_context(replaced(vars(layer), call))
        yield


def has_one_pass(model: keras.Model) -> bool:
    """Whether a compiled model computes anything by one-pass kernels within `one_pass`."""
    return _is_adam(model.optimizer) or any(layer.trainable for layer in _batch_norms(model))


def _is_adam(optimizer: Any) -> bool:
    return (
        type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW)
        and "update_step" not in vars(optimizer)
        and not optimizer.amsgrad
        and not tf.distribute.has_strategy()
    )


def _batch_norms(model: keras.Model) -> list[keras.layers.Layer]:
    # XLA computes the kernel's variance in one pass: with a large mean it is wrong, even negative.
    return [] if model.jit_compile else [e for e in model._flatten_layers() if _is_plain(e)]


def _update_step(optimizer: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
    """What `keras.optimizers.Adam.update_step` does."""
    if not isinstance(gradient, tf.Tensor):  # sparse
        type(optimizer).update_step(optimizer, gradient, variable, learning_rate)
        return
    index = optimizer._get_variable_index(variable)
    moments = optimizer._momentums[index], optimizer._velocities[index]
    dtype = variable.dtype
    step = keras.ops.cast(optimizer.iterations + 1, dtype)
    rates = [tf.constant(each, dtype) for each in (optimizer.beta_1, optimizer.beta_2)]
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=moments[0].value.handle,
        v=moments[1].value.handle,
        beta1_power=tf.pow(rates[0], step),
        beta2_power=tf.pow(rates[1], step),
        lr=tf.cast(learning_rate, dtype),
        beta1=rates[0],
        beta2=rates[1],
        epsilon=tf.constant(optimizer.epsilon, dtype),
        grad=tf.cast(gradient, dtype),
    )


def _is_plain(layer: keras.layers.Layer) -> bool:
    """Whether a layer normalises maps of float32 with channels last, as Keras does by default."""
    return (
        type(layer) is keras.layers.BatchNormalization
        and "call" not in vars(layer)
        and layer.built
        and layer.axis in (-1, 3)
        and layer.center
        and layer.scale
        and not layer.synchronized
        and not layer.renorm
        and layer.epsilon >= _LEAST_EPSILON
        and layer.dtype_policy.name == "float32"
    )


def _call(layer: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    """What `keras.layers.BatchNormalization.call` does."""
    is_map = len(inputs.shape) == 4 and inputs.dtype == tf.float32
    if mask is not None or not is_map or not (training and layer.trainable):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        inputs, layer.gamma, layer.beta, epsilon=layer.epsilon, is_training=True
    )
    count = tf.cast(tf.size(inputs) / tf.shape(inputs)[-1], tf.float32)
    variance *= tf.maximum(count - 1, 1) / count  # the kernel's is that of a sample
    for moving, now in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + now * (1.0 - layer.momentum))
    return outputs
