"""Maps a dataset's name to what loads it; loaders are imported when chosen."""

import importlib
from collections.abc import Set
from pathlib import Path

from experiments.catalogue import DATASETS, check_name
from experiments.data.sources.base import IMAGES_ALONE, Access, Progress, RawDataset, Wanted
from experiments.record.errors import UserError
from experiments.record.predictions import Targets


def resolve(
    name: str,
    data_dir: str | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    wanted: Wanted = IMAGES_ALONE,
    left_out: Set[str] = frozenset(),
) -> RawDataset:
    """Opens the dataset called `name`, downloading it where needed and possible.

    Args:
        name: The dataset's name.
        data_dir: Folder of tensorflow-datasets.
        cache_dir: Where it is remembered what the files of a folder are.
        progress: Receives the number of images read.
        wanted: What the space takes of arrays.
        left_out: Images of a folder, by their paths in it, that are not to be used.

    Raises:
        UserError: It is unknown, can't be had, or is no image classification.
    """
    key, argument = check_name(name)
    module = importlib.import_module(f"experiments.data.sources.{DATASETS[key].module}")
    access = Access(data_dir, cache_dir, progress, wanted, left_out)
    dataset = module.load(name, argument, access)
    assert isinstance(dataset, RawDataset)
    if dataset.targets == Targets.CLASSES and len(dataset.class_names) < 2:
        raise UserError(
            f"dataset {name!r} has one class only ({', '.join(dataset.class_names)}): "
            "a classification needs at least 2"
        )
    return dataset
