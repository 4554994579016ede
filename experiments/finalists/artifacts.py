"""Computes data for the report that needs Keras, and writes it to the study folder.

- `model.json`: every layer with its output shape and its trainable and frozen parameters; FLOPs
  and latency of one image; `own_code`, what the file of the model needs to be loaded, if anything.
- `predictions.npz`: `labels` `(num_images,)` int64 and `probabilities` `(num_images, num_classes)`
  float32 of the exported model on the test split, in the split's order. Of several labels a row
  `targets` `(num_rows, num_labels)`, 0 or 1, and `probabilities` likewise; of a regression
  `targets` and `outputs` `(num_rows, num_targets)`.
- `pictures.npz`, where rows are images: some test images `(n, height, width, channels)` uint8,
  those that the model is most wrong about, and training images, with their positions in the split
  and their original sizes `(n, 2)`, height and width in pixels.
- `features.npz`, likewise: one test image, the filters of the first convolution, what it makes of
  the image and what pooling then makes of that.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from experiments.data.prepare import DatasetSplit, PreparedData
from experiments.data.sources.base import Inputs
from experiments.hyperparameters.model_graph import input_shape, is_functional, output_shape
from experiments.record.files import write_arrays, write_json
from experiments.record.layout import StudyFolder
from experiments.record.predictions import Targets, as_rows, largest_errors
from experiments.training.costs import flops, latency
from experiments.training.own_code import own_code

NUM_FILTERS = 9
_NUM_PICTURES = 12
_Array = npt.NDArray[Any]


def write_artifacts(study: StudyFolder, model: keras.Model, data: PreparedData) -> None:
    """Computes and writes every artifact of the exported `model` of a study."""
    from experiments.training.feed import dataset_of

    test = data.open("test")
    labels = np.asarray(test.labels)
    outputs = model.predict(dataset_of(test, 64), verbose=0)
    measured, counted = latency(model, np.asarray(test.images[0])), flops(model)
    costs = {**({} if counted is None else {"flops": counted}), **measured.as_dict()}
    write_json(study.model_facts, describe_model(model) | costs)
    answers = _answers(data.targets, labels, outputs)
    write_arrays(study.arrays("predictions"), **answers)
    if data.inputs == Inputs.IMAGES:
        _write_pictures(study, model, data, answers)


def _write_pictures(
    study: StudyFolder, model: keras.Model, data: PreparedData, answers: dict[str, _Array]
) -> None:
    """Writes images of the dataset, and what the first convolution makes of one."""
    test, targets = data.open("test"), data.targets
    labels = np.asarray(test.labels)
    pictures = _pictures("mistake", test, _worst(targets, answers))
    pictures |= _pictures("test", test, _spread(targets, labels))
    train = data.open("train")
    pictures |= _pictures("train", train, _spread(targets, np.asarray(train.labels)))
    write_arrays(study.arrays("pictures"), **pictures)
    features = _looked(model, example_image(data))
    if features is not None:
        write_arrays(study.arrays("features"), **features)


def example_image(data: PreparedData) -> _Array:
    """Returns the test image that feature maps are shown of, `(height, width, channels)`, uint8."""
    test = data.open("test")
    return np.asarray(test.images[_spread(data.targets, np.asarray(test.labels))[0]])


def _answers(targets: Targets, labels: _Array, outputs: _Array) -> dict[str, _Array]:
    """Returns labels or targets with the model's outputs, as arrays by name."""
    if targets == Targets.CLASSES:
        return {"labels": labels, "probabilities": class_probabilities(outputs)}
    name = "probabilities" if targets == Targets.LABELS else "outputs"
    return {"targets": as_rows(labels), name: as_rows(outputs).astype(np.float32)}


def _worst(targets: Targets, answers: dict[str, _Array]) -> _Array:
    """Returns the positions of the rows that the model is most wrong about, worst first."""
    if targets == Targets.CLASSES:
        return worst_mistakes(answers["labels"], answers["probabilities"])
    true, outputs = answers.values()
    return np.array([row for row, _ in largest_errors(true, outputs, _NUM_PICTURES)])


def class_probabilities(outputs: _Array) -> npt.NDArray[np.float32]:
    """Brings a model's output to `(num_images, num_classes)`; one sigmoid unit becomes two."""
    outputs = np.asarray(outputs, dtype=np.float32)
    if outputs.shape[1] == 1:
        outputs = np.concatenate([1 - outputs, outputs], axis=1)
    return outputs


def worst_mistakes(labels: _Array, probabilities: _Array) -> _Array:
    """Returns the positions of the wrong images that the model was surest about, worst first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    sureness = probabilities[wrong].max(axis=1)
    return wrong[np.argsort(-sureness, kind="stable")][:_NUM_PICTURES]


def _spread(targets: Targets, labels: _Array) -> _Array:
    """Returns the first positions of each class in turn; of other tasks, evenly apart."""
    if targets != Targets.CLASSES:
        return np.unique(np.linspace(0, len(labels) - 1, _NUM_PICTURES).astype(int))
    firsts = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    turns = [of_class[turn : turn + 1] for turn in range(_NUM_PICTURES) for of_class in firsts]
    return np.concatenate(turns)[:_NUM_PICTURES]


def _pictures(name: str, split: DatasetSplit, positions: _Array) -> dict[str, _Array]:
    return {
        f"{name}_images": np.asarray(split.images[positions]),
        f"{name}_labels": np.asarray(split.labels[positions]),
        f"{name}_sizes": np.asarray(split.sizes[positions]),
        f"{name}_positions": positions,
    }


def describe_model(model: keras.Model) -> dict[str, Any]:
    """Returns totals and, layer by layer, output shapes and parameters; inner models unfolded."""
    needs = own_code(model)
    return {
        **({"own_code": needs} if needs else {}),
        "name": model.name,
        "input_shape": [None, *input_shape(model)],
        "output_shape": [None, *output_shape(model)],
        **_parameters(model),
        "layers": [row for layer in model.layers for row in _describe_layer(layer, depth=0)],
    }


def _describe_layer(layer: keras.Layer, depth: int) -> list[dict[str, Any]]:
    row = {
        "name": layer.name,
        "kind": type(layer).__name__,
        "depth": depth,
        "output_shape": list(_output_shape(layer)),
        **_parameters(layer),
    }
    inner = layer.layers if isinstance(layer, keras.Model) else []
    return [row, *(r for sub in inner for r in _describe_layer(sub, depth + 1))]


def _output_shape(layer: keras.Layer) -> tuple[int | None, ...]:
    # A layer within a subclassed model has no place in a graph.
    outputs = keras.tree.flatten(getattr(layer, "output", None))
    return tuple(getattr(outputs[0], "shape", ())) if outputs else ()


def _parameters(layer: keras.Layer) -> dict[str, int]:
    return {
        "trainable_parameters": _count(layer.trainable_variables),
        "frozen_parameters": _count(
            w
            for w in layer.non_trainable_variables
            if "seed_generator" not in w.path and w.dtype != "uint32"
        ),
    }


def _count(weights: Iterable[keras.Variable]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


def _looked(model: keras.Model, image: npt.NDArray[np.uint8]) -> dict[str, _Array] | None:
    try:
        return look(model, image)
    except Exception:  # a user's network may have any form; a picture is not worth a search
        return None


def first_and_last(
    model: keras.Model, image: npt.NDArray[np.uint8], count: int
) -> dict[str, _Array] | None:
    """Computes what the first and the last layer of a network's base make of an image.

    Args:
        model: From raw images to classes; the inner model that holds the first convolution is the
            base.
        image: `(height, width, channels)`, uint8, 0..255.
        count: Number of channels of each, those that vary most.

    Returns:
        `filters` `(kernel_height, kernel_width, channels, n)`, `first` and `last`, `(height, width,
        n)`; `None` where there are no such maps.
    """
    found = look(model, image, count)
    if found is None:
        return None
    prefix, base = _unfold(model, image[None].astype("float32"))
    last = np.asarray(_as_list(base(prefix, training=False))[0])
    if last.ndim != 4:
        return None
    maps = last[0][..., _liveliest(last[0], count)]
    return {"filters": found["filters"], "first": found["convolution"], "last": maps}


def look(
    model: keras.Model, image: npt.NDArray[np.uint8], count: int = NUM_FILTERS
) -> dict[str, _Array] | None:
    """Computes the response of the first convolution and the pooling after it to one image.

    Args:
        model: From raw images to classes.
        image: `(height, width, channels)`, uint8, 0..255.
        count: Number of filters at most, those whose maps vary most.

    Returns:
        `image`; `filters` `(kernel_height, kernel_width, channels, n)`; `convolution` and
        `pooling`, `(height, width, n)`, after the activation; `pooling_kind`: `max` or `average`
        as the network itself pools, or `strides` where it has no pooling layer there, in which
        case `pooling` is a 2x2 max pooling made for the picture. `None` without a convolution.
    """
    if not is_functional(model):
        return None
    prefix, body = _unfold(model, image[None].astype("float32"))
    layers = body.layers
    first = next((i for i, x in enumerate(layers) if isinstance(x, keras.layers.Conv2D)), None)
    if first is None:
        return None
    activation, pooling = _after(layers, first)
    outputs = [activation.output] + ([pooling.output] if pooling is not None else [])
    maps = [np.asarray(m)[0] for m in _as_list(keras.Model(body.inputs[0], outputs)(prefix))]
    chosen = _liveliest(maps[0], count)
    if pooling is None:
        pooled = np.asarray(keras.layers.MaxPooling2D(2)(maps[0][None]))[0]
        kind = "strides"
    else:
        pooled = maps[1]
        kind = "max" if isinstance(pooling, keras.layers.MaxPooling2D) else "average"
    return {
        "image": image,
        "filters": np.asarray(layers[first].kernel)[..., chosen],
        "convolution": maps[0][..., chosen],
        "pooling": pooled[..., chosen],
        "pooling_kind": np.array(kind),
    }


def _as_list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _unfold(model: keras.Model, images: _Array) -> tuple[Any, keras.Model]:
    """Returns the inner model that holds the first convolution and what reaches its input."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            return images, model
        if isinstance(layer, keras.Model):
            reaching = keras.Model(model.inputs[0], _input_of(model, layer))
            return _unfold(layer, np.asarray(reaching(images)))
    return images, model


def _input_of(model: keras.Model, inner: keras.Model) -> keras.KerasTensor:
    # A sequential model does not list its input among its layers.
    outputs = [getattr(layer, "output", None) for layer in model.layers if layer is not inner]
    for node in inner._inbound_nodes:
        (tensor, *_) = node.arguments.keras_tensors
        if any(tensor is one for one in (*model.inputs, *outputs)):
            return tensor
    raise ValueError(f"model {inner.name!r} is not called inside {model.name!r}")


def _after(layers: list[Any], first: int) -> tuple[Any, Any]:
    """Returns the activation of the convolution `first` and the pooling right after, if any."""
    activation, pooling = layers[first], None
    for layer in layers[first + 1 :]:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            break
        if isinstance(layer, keras.layers.ReLU | keras.layers.Activation):
            activation = layer
        if isinstance(layer, keras.layers.MaxPooling2D | keras.layers.AveragePooling2D):
            pooling = layer
            break
    return activation, pooling


def _liveliest(maps: _Array, count: int) -> _Array:
    """Returns the channels whose maps vary most, in the order of the network."""
    spread = maps.reshape(-1, maps.shape[-1]).std(axis=0)
    return np.sort(np.argsort(-spread, kind="stable")[:count])
