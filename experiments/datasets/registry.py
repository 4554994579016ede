"""Maps a dataset's name to what loads it; loaders are imported when chosen."""

import importlib

from experiments.datasets.base import RawDataset
from experiments.errors import UserError

# name -> what it is; names that end in ':' take an argument
DATASETS = {
    "mnist": "60,000 + 10,000 handwritten digits, 28x28 grey (tensorflow-datasets)",
    "cats_vs_dogs": "23,262 photographs of cats and dogs, any size (tensorflow-datasets)",
    "digits": "1,797 handwritten digits, 8x8 grey (embedded in scikit-learn, no network)",
    "tfds:": "any other image classification of tensorflow-datasets: tfds:<name>",
    "folder:": "your own images, one sub-folder a class: folder:<path>",
}
_MODULES = {
    "mnist": "tfds",
    "cats_vs_dogs": "tfds",
    "digits": "digits",
    "tfds:": "tfds",
    "folder:": "folder",
}


def check_name(name: str) -> tuple[str, str]:
    """Splits `name` into the registry's key and the argument.

    Raises:
        UserError: There is no such dataset.
    """
    scheme, colon, argument = name.partition(":")
    key = scheme + colon
    if key not in DATASETS or (colon and not argument):
        listed = ", ".join(k + ("<...>" if k.endswith(":") else "") for k in DATASETS)
        raise UserError(f"unknown dataset {name!r}: there are {listed}")
    return key, argument or name


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
