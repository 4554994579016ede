"""Maps a dataset's name to what loads it; loaders are imported when chosen."""

import importlib

from experiments.datasets.base import RawDataset
from experiments.datasets.names import check_name
from experiments.errors import UserError

_MODULES = {
    "mnist": "tfds",
    "cats_vs_dogs": "tfds",
    "digits": "digits",
    "tfds:": "tfds",
    "folder:": "folder",
}


def resolve(name: str, data_dir: str | None = None) -> RawDataset:
    """Opens the dataset called `name`, downloading it where needed and possible.

    Raises:
        UserError: It is unknown, can't be had, or is no image classification.
    """
    key, argument = check_name(name)
    module = importlib.import_module(f"experiments.datasets.{_MODULES[key]}")
    dataset = module.load(name, argument, data_dir)
    assert isinstance(dataset, RawDataset)
    if len(dataset.class_names) < 2:
        raise UserError(
            f"dataset {name!r} has one class only ({', '.join(dataset.class_names)}): "
            "a classification needs at least 2"
        )
    return dataset
