"""Makes folders of images and layouts of tensorflow-datasets as people leave them, by a seed.

Each folder is one that somebody may point a search at: images of every mode, damaged files, names
that are no text, links that lead back, pipes, splits in every spelling. What is asked of the
preparation is a right result or a `UserError` of one line: no traceback, no hang, nothing written
outside the cache. Run as a script, it makes some and prepares each.
"""

import argparse
import os
import random
import signal
import struct
import sys
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

MODES = ("1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16")
_WORDS = ("cat", "dog", "bird", "Cat", "[old]", "[/raw]", "a b", "ü", "-n", "x" * 80, "train")
_SPLITS = ("train", "Training", "val", "valid", "VALIDATION", "test", "Testing")
_DIVISIONS = (["train"], ["train", "test"], ["Training", "Testing"], ["TRAIN", "val", "test"])
_LONGEST = 1200  # of a message
_SECONDS = 60  # that a preparation may take


class HangError(BaseException):
    """A preparation took too long; not an `Exception`, so that nothing swallows it."""


def image_of(mode: str, rng: np.random.Generator) -> Image.Image:
    """Makes a small image of a Pillow mode; some are of one colour throughout."""
    height, width = (int(side) for side in rng.integers(1, 24, 2))
    constant = rng.random() < 0.1
    if mode == "I;16":
        grey = rng.integers(0, 65_536, (height, width)).astype(np.uint16)
        return Image.fromarray(np.full_like(grey, grey[0, 0]) if constant else grey)
    if mode in ("I", "F"):
        numbers = rng.normal(0, 1e5, (height, width))
        numbers[0, 0] = rng.choice([0, np.nan, np.inf]) if mode == "F" else 0
        return Image.fromarray(numbers.astype(np.int32 if mode == "I" else np.float32))
    pixels = rng.integers(0, 256, (height, width, 4)).astype(np.uint8)
    picture = Image.fromarray(np.broadcast_to(pixels[:1, :1], pixels.shape) if constant else pixels)
    if mode in ("LAB", "HSV", "CMYK", "YCbCr", "P"):
        picture = picture.convert("RGB")
    if mode == "LAB":
        return Image.merge("LAB", picture.split())
    return picture.convert(mode)


def write_image(path: Path, rng: np.random.Generator) -> None:
    """Writes an image of any mode in a format that takes it; TIFF takes nearly all."""
    mode = str(rng.choice(MODES))
    picture = image_of(mode, rng)
    suffixes = [".png", ".tiff", ".jpg", ".gif", ".bmp", ".webp", ".ppm"]
    rng.shuffle(suffixes)
    for suffix in suffixes:
        options: dict[str, Any] = {}
        if mode in ("P", "L") and suffix == ".png" and rng.random() < 0.5:
            options["transparency"] = 0
        if mode in ("I", "F") and suffix == ".tiff" and rng.random() < 0.5:
            options["tiffinfo"] = {340: -1e5, 341: float(rng.choice([1e5, -2e5]))}
        with suppress(OSError, ValueError, KeyError, struct.error):
            picture.save(str(path) + suffix, **options)
            return


def huge_png(path: Path) -> None:
    """Writes a PNG whose header promises 60,000 x 60,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n\0\0\0\r"
    checked = header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(signature + checked + b"\0\0\0\x08IDAT" + bytes(12))


def _truncated(folder: Path, rng: random.Random) -> None:
    path = folder / "truncated.png"
    pixels = np.random.default_rng(rng.random() > 0.5).integers(0, 256, (40, 40, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    os.truncate(path, rng.randrange(1, path.stat().st_size))


def _noise(folder: Path, rng: random.Random) -> None:
    suffix = rng.choice([".jpg", ".png", ".tga", ".heic", ".cr2", ".txt", "", ".gif", ".ico"])
    (folder / f"noise{suffix}").write_bytes(rng.randbytes(rng.randrange(300)))


def _damaged(folder: Path, rng: random.Random) -> None:
    """Changes some bytes of a sound image."""
    suffix = rng.choice(["png", "jpg", "gif", "tiff", "webp", "bmp", "ico", "tga", "pcx"])
    path = folder / f"damaged.{suffix}"
    Image.new("RGB", (16, 16), (rng.randrange(256), 9, 80)).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(rng.randrange(1, 6)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content)


def _strange_name(folder: Path, rng: random.Random) -> None:
    names = [
        b"line\nbreak.png", b"\x1b[31mred.png", b"caf\xe9.png", b"[bold].png", b"%s{}.png",
        b"\xe2\x80\xaertl.png", b" .png", b"-rf.png", b"tab\t.png", b"n" * 240 + b".png",
    ]  # fmt: skip
    picture = Image.new("RGB", (3, 4), (rng.randrange(256), 7, 7))
    with open(os.path.join(os.fsencode(folder), rng.choice(names)), "wb") as file:
        picture.save(file, "PNG")


def _link(folder: Path, rng: random.Random) -> None:
    targets = [".", "..", "../..", "/no/such/place", "link", "/dev/null", "/dev/zero", "../dog"]
    with suppress(FileExistsError):
        (folder / "link").symlink_to(rng.choice(targets))


def _linked_image(folder: Path, rng: random.Random) -> None:
    with suppress(FileExistsError):
        (folder / "linked.png").symlink_to(rng.choice(["/dev/zero", "linked.png", "/etc/hostname"]))


def _pipe(folder: Path, rng: random.Random) -> None:
    with suppress(FileExistsError):
        os.mkfifo(folder / rng.choice(["pipe", "pipe.png"]))


def _forbidden(folder: Path, rng: random.Random) -> None:
    path = folder / "forbidden.png"
    Image.new("RGB", (3, 4)).save(path)
    path.chmod(0)


def _forbidden_folder(folder: Path, rng: random.Random) -> None:
    path = folder / "locked"
    path.mkdir(exist_ok=True)
    path.chmod(0)


def _system_files(folder: Path, rng: random.Random) -> None:
    (folder / rng.choice(["Thumbs.db", ".DS_Store", "desktop.ini", "labels.csv"])).write_bytes(b"x")
    hidden = folder / ".ipynb_checkpoints"
    hidden.mkdir(exist_ok=True)
    Image.new("RGB", (3, 4)).save(hidden / "copy.png")


def _deep(folder: Path, rng: random.Random) -> None:
    path = folder
    for _ in range(rng.randrange(1, 40)):
        path = path / "deeper"
    path.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (3, 4), (0, 0, rng.randrange(256))).save(path / "deep.png")


TROUBLES: tuple[Callable[[Path, random.Random], None], ...] = (
    _truncated, _noise, _damaged, _strange_name, _link, _linked_image, _pipe, _forbidden,
    _forbidden_folder, _system_files, _deep,
    lambda folder, rng: (folder / "empty.jpg").touch(),
    lambda folder, rng: huge_png(folder / "huge.png"),
)  # fmt: skip


def class_folder(folder: Path, num_images: int, rng: random.Random) -> None:
    """Makes a folder of images with some troubles in it."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(rng.randrange(2**32))
    for index in range(num_images):
        write_image(folder / f"{index}", numbers)
    for trouble in rng.sample(TROUBLES, rng.choice([0, 0, 1, 2, 4])):
        trouble(folder, rng)


def image_folder(root: Path, seed: int) -> Path:
    """Makes the hostile folder number `seed` in `root`: of classes, or divided, or neither."""
    rng = random.Random(seed)
    root.mkdir(parents=True)
    classes = rng.sample(_WORDS, rng.choice([1, 2, 2, 3, 4]))
    num_images = rng.choice([1, 5, 16, 16, 16, 24])
    kinds = ["classes", "classes", "classes", "divided", "divided", "divided", "mixed", "flat"]
    kind = rng.choice(kinds)
    if kind in ("classes", "mixed"):
        for name in classes:
            class_folder(root / name, num_images, rng)
    if kind in ("divided", "mixed"):
        some = rng.choice(_DIVISIONS) if rng.random() < 0.7 else rng.sample(_SPLITS, 2)
        for split in some:
            there = classes if rng.random() < 0.9 else classes[1:]
            for name in there:
                class_folder(root / split / name, num_images, rng)
    if kind == "flat":
        class_folder(root, num_images, rng)
    if rng.random() < 0.2:
        rng.choice(TROUBLES)(root, rng)
    if rng.random() < 0.1:
        with suppress(OSError):
            os.mkdir(os.path.join(os.fsencode(root), b"caf\xe9\x1b[2J"))
    return root


def open_again(root: Path) -> None:
    """Gives back permissions, so that the folder can be removed."""
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755)


def listing(root: Path) -> list[tuple[str, int, int]]:
    """Returns what is in a folder: path, kind with permissions, and time of the last change."""
    paths = [Path(folder, name) for folder, ds, fs in os.walk(root) for name in [*ds, *fs]]
    states = [(str(path), path.lstat()) for path in sorted(paths)]
    return [(path, state.st_mode, state.st_mtime_ns) for path, state in states]


def tfds_layout(seed: int) -> tuple[dict[str, list[int]], int]:
    """Makes the splits of a hostile dataset.

    Returns:
        Split -> labels, some of them -1 or no class, and the number of classes.
    """
    rng = random.Random(seed)
    num_classes = rng.choice([1, 2, 2, 3, 3])
    names = ["train", "validation", "test", "valid", "extra", "train_small", "unlabelled"]
    chosen = rng.sample(names, rng.randrange(1, 5)) if rng.random() < 0.4 else names[: seed % 3 + 1]
    splits = {}
    for name in chosen:
        count = rng.choice([0, 3, 20, 30, 30, 30, 30])
        labels = [index % num_classes for index in range(count)]
        if rng.random() < 0.2:
            labels = [rng.choice([-1, num_classes, label]) for label in labels]
        if rng.random() < 0.2:
            labels = [0] * count
        splits[name] = labels
    return splits, num_classes


class FakeBuilder:
    """Stands for a builder of tensorflow-datasets that has been prepared.

    Args:
        splits: Split -> labels.
        num_classes: Labels that are classes.
        channels: Of the images; `None` for any.
    """

    def __init__(
        self, splits: dict[str, list[int]], num_classes: int, channels: int | None = 3
    ) -> None:
        import tensorflow_datasets as tfds

        self._splits, self._channels = splits, channels
        self.data_dir = "nowhere"
        self.info = _Info(
            tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, channels)),
                    "label": tfds.features.ClassLabel(num_classes=num_classes),
                }
            ),
            {name: _SplitInfo(name, len(labels)) for name, labels in splits.items()},
        )
        self.num_decoded = 0

    def is_prepared(self) -> bool:
        """Nothing is downloaded."""
        return True

    def as_dataset(self, split: str, **options: Any) -> Any:
        """Streams encoded images and labels, as with `SkipDecoding`."""
        import tensorflow as tf

        labels = np.array(self._splits[split], dtype=np.int64)
        pixels = np.zeros((len(labels), 8, 8, self._channels or 3), np.uint8)
        pixels[:, :4, :, :] = (np.arange(len(labels)) * 11 % 256).reshape(-1, 1, 1, 1)
        if self._channels == 4:
            pixels[..., :3] = 0  # drawn in the transparency alone
        encoded = [tf.io.encode_png(image).numpy() for image in pixels]
        images = tf.constant(encoded, tf.string) if encoded else tf.zeros([0], tf.string)
        return tf.data.Dataset.from_tensor_slices({"image": images, "label": labels})


class _SplitInfo:
    def __init__(self, name: str, count: int) -> None:
        self.name, self.num_examples, self.num_bytes = name, count, 64 * count


class _Info:
    def __init__(self, features: Any, splits: dict[str, _SplitInfo]) -> None:
        self.features, self.splits, self.full_name = features, splits, "fake/1.0.0"


@contextmanager
def fake_tfds(builder: FakeBuilder) -> Iterator[None]:
    """Lets `tfds:fake` open `builder`."""
    from experiments.data.sources import tfds

    kept = tfds._builder
    tfds._builder = lambda *arguments: builder
    try:
        yield
    finally:
        tfds._builder = kept


def outcome_of(name: str, cache: Path, verbose: bool = False) -> str:
    """Prepares a dataset twice; says how it ended: `prepared`, `refused`, or what is wrong."""
    from experiments.data.prepare import prepare
    from experiments.display.plain import introduction
    from experiments.record.errors import UserError

    def hang(*arguments: object) -> None:
        raise HangError(f"took more than {_SECONDS} s")

    signal.signal(signal.SIGALRM, hang)
    signal.alarm(_SECONDS)
    try:
        data = prepare(name, lambda channels: (8, 8, channels), cache)
        again = prepare(name, lambda channels: (8, 8, channels), cache)
        if data != again:
            return "wrong: a second preparation gave something else"
        if any(data.open(s).images.shape[0] != n for s, n in data.counts.items()):
            return "wrong: counts are not those of the arrays"
        for line in introduction("study", _config(), data):
            if not line.isprintable():
                return f"wrong: not printable: {line!r}"
        return "prepared"
    except UserError as error:
        if verbose:
            print(str(error)[:300], flush=True)
        is_line = len(str(error)) < _LONGEST
        return "refused" if is_line else f"wrong: no line: {str(error)!r}"
    except BaseException as error:
        traceback.print_exc(limit=-6)
        return f"wrong: {type(error).__name__}"
    finally:
        signal.alarm(0)


def _config() -> Any:
    from experiments.config import SearchConfig

    return SearchConfig(space="mnist_cnn", dataset="digits")


def main() -> None:
    """Prepares folders and layouts and counts how each ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folders", type=int, default=300)
    parser.add_argument("--layouts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="print what is refused, and why")
    options = parser.parse_args()
    ends: Counter[str] = Counter()
    began = time.monotonic()
    for seed in range(options.seed, options.seed + options.folders):
        with TemporaryDirectory() as place:
            root = image_folder(Path(place) / "images", seed)
            before = listing(root)
            end = outcome_of(f"folder:{root}", Path(place) / "cache", options.verbose)
            if listing(root) != before:
                end = "wrong: something was written into the folder"
            open_again(Path(place))
        ends[f"folder {end}"] += 1
        if end.startswith("wrong"):
            print(f"folder {seed}: {end}", flush=True)
    for seed in range(options.seed, options.seed + options.layouts):
        splits, num_classes = tfds_layout(seed)
        with TemporaryDirectory() as place, fake_tfds(FakeBuilder(splits, num_classes)):
            end = outcome_of("tfds:fake", Path(place), options.verbose)
        ends[f"layout {end}"] += 1
        if end.startswith("wrong"):
            print(f"layout {seed}: {end}", flush=True)
    for end, count in sorted(ends.items()):
        print(f"{count:6} {end}")
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(any("wrong" in end for end in ends))


if __name__ == "__main__":
    main()
