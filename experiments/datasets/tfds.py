"""Image-classification datasets of tensorflow-datasets."""

import logging
import os
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.datasets.base import Image, RawDataset, RawSplit
from experiments.errors import UserError

_HOST = "storage.googleapis.com"  # where tensorflow-datasets keeps its copies


def load(name: str, argument: str, data_dir: str | None) -> RawDataset:
    """Opens the dataset `argument`, downloading and preparing it where needed."""
    import tensorflow_datasets as tfds

    folder = data_dir or os.environ.get("TFDS_DATA_DIR")
    try:
        builder = tfds.builder(argument, data_dir=folder)
    except (tfds.core.registered.DatasetNotFoundError, ValueError, ImportError, OSError) as error:
        raise UserError(
            f"dataset {name!r}: tensorflow-datasets has no such dataset, or can't load it: "
            f"{_first_line(error)}"
        ) from None
    _prepare(name, builder)
    features = builder.info.features
    if not {"image", "label"} <= set(features) or not hasattr(features["label"], "names"):
        raise UserError(
            f"dataset {name!r} is no image classification: an image and a label are needed, it "
            f"has {', '.join(features)}"
        )
    splits = builder.info.splits
    return RawDataset(
        name=name,
        identity=f"tfds/{builder.info.full_name}/{_checksum(builder)}",
        class_names=tuple(features["label"].names),
        channels=1 if features["image"].shape[-1] == 1 else 3,
        train=_split(builder, "train" if "train" in splits else next(iter(splits))),
        test=_split(builder, "test") if "test" in splits and "train" in splits else None,
    )


def _prepare(name: str, builder: Any) -> None:
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
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _checksum(builder: Any) -> str:
    return "-".join(
        f"{split.name}:{split.num_examples}:{split.num_bytes}"
        for split in builder.info.splits.values()
    )


def _split(builder: Any, split: str) -> RawSplit:
    import tensorflow_datasets as tfds

    def stream(decoders: dict[str, Any] | None = None) -> Any:
        config = tfds.ReadConfig(interleave_cycle_length=1)  # the order of the files
        return builder.as_dataset(
            split=split, shuffle_files=False, decoders=decoders, read_config=config
        )

    skip = {"image": tfds.decode.SkipDecoding()}
    labels = np.array(
        [int(x) for x in stream(skip).map(lambda example: example["label"]).as_numpy_iterator()],
        dtype=np.int64,
    )

    def images(indices: npt.NDArray[np.int64]) -> Iterator[Image]:
        wanted = set(indices.tolist())
        pixels = stream().map(lambda example: example["image"])
        for index, image in enumerate(pixels.as_numpy_iterator()):
            if index in wanted:
                yield image

    return RawSplit(labels, images)
