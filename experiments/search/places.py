"""Folders named in a search, as absolute paths whatever the current folder; its data in them."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.config import SearchConfig
from experiments.data.cache import KINDS, cache_folder
from experiments.data.prepare import PreparedData, prepare
from experiments.data.sources import argument
from experiments.data.sources.base import IMAGES_ALONE, Wanted
from experiments.data.sources.given import keep_given
from experiments.display.base import Display
from experiments.hyperparameters.space_files import FILE_SETTINGS
from experiments.record.errors import UserError
from experiments.record.layout import StudyFolder
from experiments.record.reading import dig
from experiments.space_reference import find_reference, whole_space

_FOLDERS = ("data_dir", "cache_dir")


def whole(options: Mapping[str, Any], place: Path | None = None) -> dict[str, Any]:
    """Returns the options that name folders and files, with absolute paths.

    Args:
        options: Fields of `SearchConfig`.
        place: Base folder of relative paths; the current folder if `None`.
    """
    found: dict[str, Any] = {
        name: argument.absolute(options[name], place)
        for name in _FOLDERS
        if isinstance(options.get(name), str | os.PathLike) and options[name]
    }
    dataset = options.get("dataset")
    if argument.is_path(dataset):
        found["dataset"] = argument.whole(str(dataset), place)
    if isinstance(space := options.get("space"), str):
        found["space"] = whole_space(space, place)
    if isinstance(settings := options.get("settings"), Mapping):
        found["settings"] = {
            name: _whole_files(value, place) if name in FILE_SETTINGS else value
            for name, value in settings.items()
        }
    return found


def _whole_files(value: object, place: Path | None) -> object:
    """Returns a setting with absolute paths of the files in it: `PATH`, `NAME=PATH`, several."""
    if isinstance(value, Mapping):
        return {name: _whole_files(own, place) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_files(own, place) for own in value]
    if not isinstance(value, str | os.PathLike):
        return value
    return ",".join(_whole_file(part, place) for part in str(value).split(","))


def _whole_file(part: str, place: Path | None) -> str:
    name, equals, file = part.rpartition("=")
    for before, path in (("", part.strip()), (f"{name.strip()}{equals}", file.strip())):
        if not Path(path).suffix:
            continue
        for whole in (argument.absolute(path, place), *_moved(path, place)):
            if os.path.isfile(whole) and "," not in whole:
                return f"{before}{whole}"
    return part


def _moved(path: str, place: Path | None) -> Iterator[str]:
    """Yields where a file may be that was recorded whole, if the folder it was in has moved."""
    if place is not None and Path(path).is_absolute():
        _, *parts = Path(path).parts
        yield from (str(place.joinpath(*parts[start:])) for start in range(len(parts)))


def whole_config(config: SearchConfig) -> SearchConfig:
    """Returns `config` with absolute paths of data, cache, images, and files of models."""
    names = (*_FOLDERS, "dataset", "space", "settings")
    return replace(config, **whole({n: getattr(config, n) for n in names}))


def with_given(config: SearchConfig, data: object) -> SearchConfig:
    """Returns `config` with arrays as its dataset, which are kept in the cache.

    Raises:
        UserError: They are no arrays, or a dataset was named, too.
    """
    if config.dataset != SearchConfig.dataset:
        raise UserError(
            f"data was given, and dataset={config.dataset!r} was named: leave one of them out"
        )
    return replace(config, dataset=keep_given(data, cache_folder(config.cache_dir)))


def given_again(data: object, options: Mapping[str, Any], folder: Path, cache: str | None) -> str:
    """Keeps the arrays of a study that are given again, and returns the dataset's name.

    Args:
        data: As `run_search` takes them.
        options: The recorded config.
        folder: The study folder.
        cache: The cache folder, if the command names one.

    Raises:
        UserError: They are not those that the study was begun with.
    """
    was = options.get("dataset")
    if not argument.is_given(was):
        raise UserError(
            f"study {folder.name!r} was begun with dataset {was!r}, not with data=: leave data out"
        )
    now = keep_given(data, cache_folder(cache or recorded(options, folder).get("cache_dir")))
    if now != was:
        raise UserError(
            f"the data given are not those that study {folder.name!r} was begun with ({was}; these "
            f"are {now}): give the same arrays, with the same names and types"
        )
    return now


def is_inside(space: str, folder: Path) -> bool:
    """Whether the file of a space lies in a study's own folder."""
    reference = find_reference(space)
    if reference is None or reference.path is None:
        return False
    return reference.path.resolve().is_relative_to(folder.resolve())


def check_space_place(space: str, folder: Path) -> None:
    """Checks the recorded place of a user's own model: a study's code is not run unless named.

    Args:
        space: As recorded.
        folder: The study folder.

    Raises:
        UserError: It lies in the study folder, or is not there.
    """
    reference = find_reference(space)
    if reference is None or reference.path is None:
        return
    if is_inside(space, folder):
        raise UserError(
            f"study {folder.name!r} names a file of its own folder as its model, which is not run "
            f"unless it is named: read it, then give --space {space}"
        )
    kept = StudyFolder(folder).source
    if not reference.path.is_file():
        copy = f"; the study keeps its text: read it, then give --space {kept}"
        raise UserError(
            f"study {folder.name!r}: its model {str(reference.path)!r} is not there any more: "
            f"restore it, or say where it is with --space FILE.py{copy if kept.is_file() else ''}"
        )


def recorded(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Returns the folders in a study's config, as they are found now.

    The folder of TensorFlow Datasets may have moved. If the recorded one does not hold the dataset,
    `TFDS_DATA_DIR` is used, or the user's default. If the recorded cache folder is not a cache, it
    is not written to, and the user's default is used.

    Args:
        options: The recorded config.
        folder: The study folder.
    """
    found = whole(options, base_of(options, folder))
    if "cache_dir" in found and not _is_cache(Path(found["cache_dir"])):
        found["cache_dir"] = None  # untrusted: no folder is made a cache because a record names it
    if "data_dir" in found and not argument.is_path(options.get("dataset")):
        found["data_dir"] = _data_dir(str(options.get("dataset")), found["data_dir"])
    return found


def _is_cache(folder: Path) -> bool:
    return any((folder / kind).is_dir() for kind in KINDS)


def prepared(
    config: SearchConfig,
    shape_for: Callable[[int], tuple[int, int, int]],
    display: Display,
    recorded: Mapping[str, Any] | None,
    wanted: Wanted = IMAGES_ALONE,
) -> PreparedData:
    """Prepares the dataset of a search, or finds it in the cache; see `prepare`.

    Args:
        config: The search.
        shape_for: From the dataset's channels to the `(height, width, channels)` needed.
        display: Shows how it goes.
        recorded: What `study.json` holds under `dataset`, which may be of earlier rules; `None` for
            a new study.
        wanted: What the space takes of arrays.
    """
    skipped = dig(recorded, "skipped")
    return prepare(
        config.dataset,
        shape_for,
        cache_folder(config.cache_dir),
        data_dir=config.data_dir,
        sample=config.sample,
        split_seed=config.split_seed,
        progress=display.preparing,
        recorded=dig(recorded, "fingerprint"),
        wanted=wanted,
        skipped=tuple(map(str, skipped)) if isinstance(skipped, list) else (),
    )


def check_code(dataset: str, folder: Path) -> None:
    """Checks that a recorded dataset is not made by code in the study folder, which is untrusted.

    Args:
        dataset: The recorded dataset; one that the command names needs no check.
        folder: The study folder.

    Raises:
        UserError: It is.
    """
    path = argument.file_of(dataset) if argument.is_code(dataset) else None
    if path is not None and folder.resolve() in path.resolve().parents:
        raise UserError(
            f"study {folder.name!r} takes its data from {str(path)!r}, which is in its own folder: "
            "code of a study folder is not run unless it is named; name it with --dataset "
            f"{'file:' + str(path)!r}"
        )


def base_of(options: Mapping[str, Any], folder: Path) -> Path | None:
    """Returns the current folder at the start of a study, as far as the record tells.

    Older studies recorded relative paths, including the runs folder. So the study folder itself
    determines their base.

    Args:
        options: The recorded config.
        folder: The study folder.

    Returns:
        `None` if the record does not tell.
    """
    here, runs_dir = Path(os.path.abspath(folder)), options.get("runs_dir")
    runs = Path(runs_dir) if isinstance(runs_dir, str) else Path()
    depth = len(runs.parts)
    if runs.is_absolute() or ".." in runs.parts or here.parts[-1 - depth : -1] != runs.parts:
        return None
    return here.parents[depth]


def _data_dir(dataset: str, then: str) -> str | None:
    name = dataset.partition(":")[2] or dataset
    if (Path(then) / name.split("/")[0].split(":")[0]).is_dir():
        return then
    now = os.environ.get("TFDS_DATA_DIR")
    return os.path.abspath(now) if now else None
