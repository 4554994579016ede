"""What travels with an exported model: its class names, and how images are prepared for it.

- `.keras` and TFLite: a member `experiments.json` of the zip archive that the file is, or that
  follows the model in it. TFLite files have `labels.txt` as well, one class a line.
- SavedModel: the same two files in `assets.extra`, which TensorFlow leaves to others.
- ONNX: `metadata_props`, under `KEY`.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.record.errors import UserError
from experiments.record.predictions import Targets
from experiments.record.reading import as_dict, clean

KEY = "experiments"
_FORMAT = 1
_MEMBER, _LABELS = "experiments.json", "labels.txt"
_EXTRA = "assets.extra"
_RESIZE = "bilinear"
_IMAGES = "images"
_MOST_BYTES = 2**24
_LARGEST_SIDE = 16_384  # pixels
_LONGEST_NAME = 80


@dataclass(frozen=True)
class ModelMetadata:
    """How images are prepared for a model, and what its outputs are called.

    Args:
        class_names: One a class, in the order of the outputs; empty where unknown.
        shape: `(height, width, channels)` of an image, with 1 or 3 channels; of arrays that of a
            row, empty where unknown.
        inputs: `images`, or `arrays`, which are given as they are.
        targets: What the outputs are, see `Targets`.
    """

    class_names: tuple[str, ...]
    shape: tuple[int, ...]
    inputs: str = _IMAGES
    targets: str = Targets.CLASSES

    @property
    def of_images(self) -> bool:
        """Whether the model takes images."""
        return self.inputs == _IMAGES

    @property
    def classifies_images(self) -> bool:
        """Whether the model says which of several classes an image is of."""
        return self.of_images and self.targets == Targets.CLASSES

    def as_json(self) -> str:
        """Returns the text that is kept with a model."""
        facts = {
            "format": _FORMAT,
            "class_names": list(self.class_names),
            "shape": list(self.shape),
        }
        targets = {} if self.targets == Targets.CLASSES else {"targets": self.targets}
        return json.dumps(facts | targets | self._how_prepared(), indent=1)

    def _how_prepared(self) -> dict[str, str]:
        if not self.of_images:
            return {"inputs": self.inputs}
        return {
            "colour": "grey" if self.shape[-1] == 1 else "RGB",
            "resize": _RESIZE,
            "values": "0 to 255, float32",
        }

    @property
    def labels(self) -> str:
        """The class names, one a line."""
        return "".join(f"{' '.join(name.split())}\n" for name in self.class_names)


def recorded_metadata(class_names: object, facts: Mapping[str, Any]) -> ModelMetadata | None:
    """Returns metadata of recorded facts, which may be damaged.

    Args:
        class_names: One a class.
        facts: What is recorded under `shape`, `inputs` and `targets`, see `ModelMetadata`.

    Returns:
        `None` if no shape of images is recorded.
    """
    stated, names = facts.get("shape"), class_names if isinstance(class_names, list | tuple) else ()
    shape = tuple(stated) if isinstance(stated, list | tuple) else ()
    found = ModelMetadata(
        tuple(clean(name, _LONGEST_NAME) for name in names),
        shape if all(isinstance(n, int) for n in shape) else (),
        clean(facts.get("inputs") or _IMAGES, _LONGEST_NAME),
        clean(facts.get("targets") or Targets.CLASSES, _LONGEST_NAME),
    )
    return None if found.of_images and not is_image_shape(found.shape) else found


def is_image_shape(shape: tuple[Any, ...]) -> bool:
    """Whether a shape is `(height, width, channels)` of an image that can be prepared."""
    whole = all(isinstance(n, int) and 0 < n <= _LARGEST_SIDE for n in shape)
    return whole and len(shape) == 3 and shape[-1] in (1, 3)


def parse_metadata(text: str | bytes, path: Path) -> ModelMetadata:
    """Reads the text that `ModelMetadata.as_json` returned.

    Args:
        text: The text.
        path: Where it was found, for messages.

    Raises:
        UserError: It is damaged, or of a later version.
    """
    try:
        content = as_dict(json.loads(text))
    except (ValueError, RecursionError):
        content = {}
    found = recorded_metadata(content.get("class_names"), content)
    if content.get("format", _FORMAT) != _FORMAT or content.get("resize", _RESIZE) != _RESIZE:
        raise UserError(
            f"{str(path)!r} says how its images are prepared in a way that this version does not "
            f"know (expected format {_FORMAT}): update keras-tuner-experiments"
        )
    if found is None:
        raise UserError(
            f"{str(path)!r} has damaged metadata (expected class names and a shape in "
            f"{_MEMBER}): export the model again"
        )
    return found


def add_to_archive(path: Path, metadata: ModelMetadata, *, labels: bool = False) -> None:
    """Adds metadata to a `.keras` file, or to another file that a zip archive may follow."""
    members = {_MEMBER: metadata.as_json()} | ({_LABELS: metadata.labels} if labels else {})
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # without a time: same model, same file


def add_to_folder(path: Path, metadata: ModelMetadata) -> None:
    """Adds metadata to a SavedModel."""
    folder = path / _EXTRA
    folder.mkdir(exist_ok=True)
    (folder / _MEMBER).write_text(metadata.as_json(), encoding="utf-8")
    (folder / _LABELS).write_text(metadata.labels, encoding="utf-8")


def read_metadata(path: Path) -> ModelMetadata | None:
    """Reads the metadata of a `.keras` file, a TFLite file or a SavedModel.

    Returns:
        `None` if there are none.

    Raises:
        UserError: They are damaged, or of a later version.
    """
    text = _of_folder(path) if path.is_dir() else _of_archive(path)
    return None if text is None else parse_metadata(text, path)


def _of_folder(path: Path) -> bytes | None:
    file = path / _EXTRA / _MEMBER
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        return opened.read(_MOST_BYTES)


def _of_archive(path: Path) -> bytes | None:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_MEMBER) as member:
            return member.read(_MOST_BYTES)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError):
        return None  # no archive, or none of ours
