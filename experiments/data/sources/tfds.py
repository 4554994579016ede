"""Image-classification datasets of tensorflow-datasets."""

import logging
import os
import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.data.sources.base import Access, Image, RawDataset, RawSplit
from experiments.data.sources.tfds_roles import Roles, choose_roles
from experiments.record.errors import UserError, first_line

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

_HOST = "storage.googleapis.com"  # where tensorflow-datasets keeps its copies
# Batches, where sizes allow, for TensorFlow hands over a batch in the time of one image.
_LABELS_AT_ONCE = 4096
_IMAGES_AT_ONCE = 256


def load(name: str, argument: str, access: Access) -> RawDataset:
    """Opens the dataset `argument`, downloading and preparing it where needed.

    Raises:
        UserError: It can't be had or read, is no image classification, or has none to train on.
    """
    builder = _builder(name, argument, access.data_dir)
    _prepare(name, builder)
    features = builder.info.features
    _check_features(name, features)
    counts = {split: int(info.num_examples) for split, info in builder.info.splits.items()}
    class_names = tuple(features["label"].names)
    with _reading(name, builder):
        roles = choose_roles(
            name, counts, len(class_names), lambda split: _labels(_stream(builder, split))
        )
    class_names = _used(class_names, roles)
    content = f"tfds/{builder.info.full_name}/{_checksum(builder)}"
    transparent = features["image"].shape[-1] == 4  # laid on white since format 2
    splits = {
        role: _split(name, builder, split, roles.labels[role])
        for role, split in roles.splits.items()
    }
    return RawDataset(
        name=name,
        identity=f"{content}/pixels-2" if transparent else content,
        class_names=class_names,
        channels=1 if features["image"].shape[-1] == 1 else 3,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        notes=tuple(roles.notes),
        former_identity=content if transparent else None,
    )


def _used(class_names: tuple[str, ...], roles: Roles) -> tuple[str, ...]:
    """Leaves out classes that no image has, and numbers the others anew; says so in a note."""
    used = np.unique(np.concatenate(list(roles.labels.values())))
    if len(used) == len(class_names):
        return class_names
    for role, labels in roles.labels.items():
        roles.labels[role] = np.searchsorted(used, labels)
    unused = len(class_names) - len(used)
    roles.notes.append(f"{unused} of {len(class_names)} classes left out: no image has them")
    return tuple(class_names[index] for index in used)


def _builder(name: str, argument: str, data_dir: str | None) -> "tfds.core.DatasetBuilder":
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(argument, data_dir=data_dir or os.environ.get("TFDS_DATA_DIR"))
    except Exception as error:  # of many kinds: unknown, no such version, a damaged description
        raise UserError(
            f"dataset {name!r}: tensorflow-datasets has no such dataset, or can't load it: "
            f"{_first_line(error)}"
        ) from None


def _check_features(name: str, features: "tfds.features.FeaturesDict") -> None:
    import tensorflow_datasets as tfds

    # Its features have no `get`.
    image, label = (features[n] if n in features else None for n in ("image", "label"))  # noqa: SIM401
    pictures = isinstance(image, tfds.features.Image) and image.np_dtype == np.uint8
    classes = isinstance(label, tfds.features.ClassLabel) and label.num_classes
    if not pictures or not classes:
        raise UserError(
            f"dataset {name!r} is no image classification: an image (uint8) and a label (a class) "
            f"are needed, it has {', '.join(features)}"
        )


@contextmanager
def _reading(name: str, builder: "tfds.core.DatasetBuilder") -> Iterator[None]:
    import tensorflow as tf

    try:
        yield
    except UserError:
        raise
    except (tf.errors.OpError, OSError, ValueError) as error:
        raise UserError(
            f"dataset {name!r} in {str(builder.data_dir)!r} can't be read "
            f"({_first_line(error)}): remove that folder and let it be downloaded again"
        ) from None


def _prepare(name: str, builder: "tfds.core.DatasetBuilder") -> None:
    if builder.is_prepared():
        return
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # not one line a retry
    try:
        _check_network()
        builder.download_and_prepare()
    except Exception as error:  # downloads fail in as many ways as there are servers
        raise UserError(
            f"dataset {name!r} is not in {str(builder.data_dir)!r} and can't be downloaded "
            f"({type(error).__name__}: {_first_line(error)}): connect to the network, or name "
            "the folder that holds it with --data-dir or TFDS_DATA_DIR"
        ) from None


def _check_network() -> None:
    """Fails at once where there is no network, which ten retries of every file would find late."""
    if any(urllib.request.getproxies().get(scheme) for scheme in ("http", "https", "all")):
        return  # the proxy resolves names
    try:
        socket.getaddrinfo(_HOST, 443)
    except OSError as error:
        raise ConnectionError(f"no network: {_HOST} is not found ({error})") from None


def _first_line(error: BaseException) -> str:
    # TensorFlow puts the name of the graph's node before its message.
    return re.sub(r"^\{\{.*?\}\} ", "", first_line(error, 400))[:200]


def _checksum(builder: "tfds.core.DatasetBuilder") -> str:
    return "-".join(
        f"{split.name}:{split.num_examples}:{split.num_bytes}"
        for split in builder.info.splits.values()
    )


def _stream(builder: "tfds.core.DatasetBuilder", split: str) -> Any:
    """Opens a split in the order of its files, images not decoded."""
    import tensorflow_datasets as tfds

    return builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders={"image": tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(interleave_cycle_length=1),  # the order of the files
    )


def _labels(stream: Any) -> npt.NDArray[np.int64]:
    batches = stream.map(lambda example: example["label"]).batch(_LABELS_AT_ONCE)
    parts = [np.asarray(batch, dtype=np.int64) for batch in batches.as_numpy_iterator()]
    return np.concatenate([np.empty(0, np.int64), *parts])


def _split(
    name: str, builder: "tfds.core.DatasetBuilder", split: str, labels: npt.NDArray[np.int64]
) -> RawSplit:
    """Opens one split; only images that are asked for are decoded."""
    import tensorflow as tf

    def images(indices: npt.NDArray[np.int64]) -> Iterator[Image]:
        wanted = np.zeros(len(labels), dtype=bool)
        wanted[indices] = True
        end = int(np.max(indices, initial=-1)) + 1
        decode = builder.info.features["image"].decode_example
        stream = _stream(builder, split)
        chosen = stream.take(end).enumerate().filter(lambda index, _: tf.gather(wanted, index))
        pixels = chosen.map(lambda _, example: decode(example["image"]))
        with _reading(name, builder):
            if not pixels.element_spec.shape.is_fully_defined():
                yield from pixels.as_numpy_iterator()
                return
            for batch in pixels.batch(_IMAGES_AT_ONCE).as_numpy_iterator():
                yield from batch

    return RawSplit(labels, images, split)
