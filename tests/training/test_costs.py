"""Floating-point operations: of each kind of layer as counted by hand, or not known."""

from typing import Any

import keras
import pytest
from keras import layers

from experiments.training.costs import flops


def of(layer: Any, shape: tuple[int | None, ...]) -> int | None:
    return flops(keras.Sequential([keras.Input(shape), layer]))


class Own(layers.Layer):  # type: ignore[misc]
    """Multiplies by a matrix in a way of its own."""

    def build(self, input_shape: Any) -> None:
        self.matrix = self.add_weight(shape=(input_shape[-1], 2))

    def call(self, inputs: Any) -> Any:
        return inputs @ self.matrix


class OwnModel(keras.Model):  # type: ignore[misc]
    """Says nothing of its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


@pytest.mark.parametrize(
    ("layer", "shape", "multiplications"),
    [
        (layers.Dense(5), (3, 2), 3 * 2 * 5),
        (layers.EinsumDense("abc,cd->abd", (None, 5)), (3, 2), 3 * 2 * 5),
        (layers.Conv1D(4, 3), (10, 2), 8 * 3 * 2 * 4),
        (layers.Conv2D(4, 3, groups=2), (6, 6, 2), 16 * 9 * 1 * 4),
        (layers.Conv3D(2, 2), (4, 4, 4, 3), 27 * 8 * 3 * 2),
        (layers.DepthwiseConv1D(3), (10, 2), 8 * 3 * 2),
        (layers.SeparableConv1D(4, 3), (10, 2), 8 * (3 * 2 + 2 * 4)),
        (layers.SeparableConv2D(4, 3), (6, 6, 2), 16 * (9 * 2 + 2 * 4)),
        # Each input is multiplied by the whole kernel, whatever the strides.
        (layers.Conv1DTranspose(4, 3, strides=2), (5, 2), 5 * 3 * 4 * 2),
        (layers.Conv2DTranspose(4, 3, strides=2), (5, 5, 2), 25 * 9 * 4 * 2),
        (layers.Conv3DTranspose(2, 2), (3, 3, 3, 1), 27 * 8 * 2 * 1),
        (layers.SimpleRNN(4), (6, 3), 6 * (3 + 4) * 4),
        (layers.GRU(4), (6, 3), 6 * (3 + 4) * 3 * 4),
        (layers.LSTM(4, return_sequences=True), (6, 3), 6 * (3 + 4) * 4 * 4),
        (layers.Bidirectional(layers.LSTM(4)), (6, 3), 2 * 6 * (3 + 4) * 4 * 4),
        (layers.RNN([layers.LSTMCell(4), layers.GRUCell(2)]), (6, 3), 6 * (7 * 16 + 6 * 6)),
        (layers.TimeDistributed(layers.Conv2D(2, 3)), (6, 5, 5, 1), 6 * 9 * 9 * 1 * 2),
        (layers.BatchNormalization(), (3,), 0),
        (layers.LayerNormalization(axis=(1, 2)), (3, 2), 0),
        (layers.PReLU(), (3, 2), 0),
        (layers.Embedding(9, 4), (3,), 0),
        (Own(), (3,), None),
        (OwnModel(), (3,), None),
        (layers.ConvLSTM1D(2, 3), (6, 5, 1), None),
        (layers.Dense(5), (None, 2), None),
        (layers.Conv2D(4, 3), (None, None, 3), None),
        (layers.LSTM(4), (None, 3), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else str(value),
)
def test_operations_of_a_layer_by_hand(
    layer: Any, shape: tuple[int | None, ...], multiplications: int | None
) -> None:
    expected = None if multiplications is None else 2 * multiplications
    assert of(layer, shape) == expected


def test_operations_of_attention_by_hand() -> None:
    query, value = keras.Input((5, 4)), keras.Input((7, 4))
    plain = keras.Model([query, value], layers.Attention()([query, value]))
    assert flops(plain) == 2 * (5 * 7 * 4 + 5 * 7 * 4)
    heads = layers.MultiHeadAttention(2, 3)(query, value)
    projected = (5 + 7 + 7 + 5) * 4 * 2 * 3  # query, key, value, output
    assert flops(keras.Model([query, value], heads)) == 2 * (projected + 5 * 7 * 2 * (3 + 3))


def test_a_layer_counts_as_often_as_the_model_calls_it() -> None:
    one, other = keras.Input((3, 2)), keras.Input((7, 2))
    dense = layers.Dense(2)
    inner = keras.Sequential()  # built anew with each layer that is added
    for layer in (keras.Input((3, 2)), layers.Dense(4), layers.Dense(2)):
        inner.add(layer)
    keras.Model(other, dense(other))  # a call of another model
    outputs = inner(inner(dense(dense(one))))
    assert flops(keras.Model(one, outputs)) == 2 * (2 * 3 * 2 * 2 + 2 * 3 * (2 * 4 + 4 * 2))


def test_a_mask_is_no_input() -> None:
    ids = keras.Input((6,), dtype="int64")
    steps = layers.LSTM(4, return_sequences=True)(layers.Embedding(9, 3, mask_zero=True)(ids))
    model = keras.Model(ids, layers.TimeDistributed(layers.Dense(2))(steps))
    assert flops(model) == 2 * (6 * (3 + 4) * 4 * 4 + 6 * 4 * 2)


@pytest.mark.slow
def test_a_base_of_layers_of_its_own_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(self: Any, shape: Any, dtype: Any = None) -> Any:  # millions of random numbers
        return keras.ops.zeros(shape, dtype)

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)
    model = keras.applications.ConvNeXtTiny(weights=None)
    assert flops(model) == pytest.approx(2 * 4500e6, rel=0.02)  # as its paper has it
