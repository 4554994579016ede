"""Datasets: splits, subsets, folders of images, the cache."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.data.prepare import PreparedData, prepare
from experiments.data.sources.registry import resolve
from experiments.record.errors import UserError


def digits(cache: Path, sample: int | None = None, seed: int = 0, side: int = 28) -> PreparedData:
    return prepare("digits", lambda c: (side, side, c), cache, sample=sample, split_seed=seed)


def folder_of_images(root: Path, counts: dict[str, int]) -> Path:
    rng = np.random.default_rng(1)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (10 + index, 20, 3)).astype("uint8")
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def test_splits_cover_the_data_and_do_not_overlap(cache_dir: Path) -> None:
    data = digits(cache_dir)
    assert sum(data.counts.values()) == 1797
    assert data.counts["validation"] == pytest.approx(0.2 * (1797 - data.counts["test"]), abs=6)
    assert data.open("train").images.shape == (data.counts["train"], 28, 28, 1)
    share = np.bincount(data.open("validation").labels) / np.bincount(data.open("train").labels)
    assert np.allclose(share, 0.25, atol=0.02)


def test_same_seed_same_splits_whatever_the_size(cache_dir: Path) -> None:
    first = digits(cache_dir)
    assert digits(cache_dir).fingerprint == first.fingerprint
    assert digits(cache_dir, side=12).fingerprint == first.fingerprint
    assert digits(cache_dir, seed=1).fingerprint != first.fingerprint


def test_sample_is_balanced_over_classes(cache_dir: Path) -> None:
    data = digits(cache_dir, sample=300)
    assert sum(data.counts.values()) == 300
    labels = np.concatenate([data.open(s).labels for s in ("train", "validation", "test")])
    assert np.bincount(labels).min() >= 29


def test_prepared_arrays_are_reused(tmp_path: Path) -> None:
    folder = Path(digits(tmp_path, sample=100).folder)
    written = (folder / "train-images.npy").stat().st_mtime_ns
    digits(tmp_path, sample=100)
    assert (folder / "train-images.npy").stat().st_mtime_ns == written
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("damage", ["cut short", "away"])
@pytest.mark.parametrize("file", ["train-images.npy", "test-labels.npy", "info.json"])
def test_damaged_arrays_are_prepared_again(tmp_path: Path, damage: str, file: str) -> None:
    data = digits(tmp_path, sample=100)
    before = np.array(data.open("train").images)
    path = Path(data.folder) / file
    if damage == "away":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2)
    again = digits(tmp_path, sample=100)
    assert again == data
    assert np.array_equal(again.open("train").images, before)
    assert len(again.open("test").labels) == data.counts["test"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files, which a memory map would be killed by."""
    code = (
        "import pathlib, resource, signal\n"
        "from experiments.data.prepare import prepare\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "prepare('digits', lambda c: (28, 28, c), pathlib.Path('cache'))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    last = answer.stderr.splitlines()[-1]
    assert "UserError: prepared images can't be written to 'cache/datasets' (File too" in last
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["cache", "datasets"]


def bomb() -> bytes:
    """A PNG whose header promises 60,000 x 60,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    checked = header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + checked + b"\0\0\0\x08IDAT" + bytes(12)


def test_folder_skips_and_names_what_it_cannot_use(tmp_path: Path) -> None:
    root = folder_of_images(tmp_path / "images", {"cat": 20, "dog": 20, "empty": 0})
    (root / "dog" / "broken.jpg").write_bytes(b"no image")
    (root / "dog" / "huge.png").write_bytes(bomb())
    (root / "dog" / "nowhere.png").symlink_to("/no/such/file")
    data = prepare(f"folder:{root}", lambda c: (16, 16, c), tmp_path / "cache")
    assert data.class_names == ("cat", "dog")
    assert data.skipped == (
        "dog/broken.jpg (no image that Pillow can read)",
        "dog/huge.png (too large: more than 179 million pixels)",
        "dog/nowhere.png (a link to nothing)",
        "empty/ (no image in it)",
    )
    assert sum(data.counts.values()) == 40
    assert set(data.open("train").sizes[:, 1]) == {20}


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "no readable image"),
        ({"cat": 9}, "one class only"),
        ({"cat": 1, "dog": 9}, "too small"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, counts: dict[str, int], message: str) -> None:
    (tmp_path / "images").mkdir()
    folder_of_images(tmp_path / "images", counts)
    with pytest.raises(UserError, match=message):
        prepare(f"folder:{tmp_path / 'images'}", lambda c: (8, 8, c), tmp_path / "cache")


@pytest.mark.parametrize("damage", ["cut short", "away", "described wrongly"])
def test_a_damaged_download_is_one_line(tmp_path: Path, tfds_dir: str, damage: str) -> None:
    folder = tmp_path / "cats_vs_dogs" / "4.0.1"
    folder.mkdir(parents=True)
    for path in (Path(tfds_dir) / "cats_vs_dogs" / "4.0.1").iterdir():
        if path.suffix in (".json", ".txt"):
            (folder / path.name).write_bytes(path.read_bytes())
        elif damage == "cut short":
            with path.open("rb") as whole:
                (folder / path.name).write_bytes(whole.read(100_000))
    if damage == "described wrongly":
        (folder / "dataset_info.json").write_text("{")
    with pytest.raises(UserError, match=r"can't (be read|load it)"):
        prepare("cats_vs_dogs", lambda c: (8, 8, c), tmp_path / "cache", data_dir=str(tmp_path))


def test_images_of_a_sample_are_the_datasets_own(tfds_dir: str) -> None:
    """Only the wanted images are decoded: they must be the requested ones."""
    import tensorflow_datasets as tfds

    builder = tfds.builder("cats_vs_dogs", data_dir=tfds_dir)
    plain = builder.as_dataset(split="train", shuffle_files=False).take(40)
    examples = list(plain.as_numpy_iterator())
    raw = resolve("cats_vs_dogs", tfds_dir)
    wanted = np.array([0, 3, 4, 38])
    images = list(raw.train.images(wanted))
    assert len(images) == len(wanted)
    for index, image in zip(wanted, images, strict=True):
        assert np.array_equal(image, examples[index]["image"])
        assert raw.train.labels[index] == examples[index]["label"]


def test_without_network_a_dataset_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*arguments: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", no_network)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with pytest.raises(UserError, match=r"'mnist' is not in .* no network.* --data-dir"):
        prepare("mnist", lambda c: (28, 28, c), tmp_path, data_dir=str(tmp_path))
