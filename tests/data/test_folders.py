"""Folders of images as people leave them: divided, linked, half readable."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.data.prepare import PreparedData, prepare
from experiments.data.sources import manifest
from experiments.display.plain import introduction
from experiments.record.errors import UserError


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def draw_class(folder: Path, count: int, first: int = 0) -> None:
    for index in range(count):
        draw(folder / f"{index}.png", first + index)


def divided(root: Path, splits: dict[str, int], classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Makes splits with so many images of each class, each image another."""
    first = 0
    for split, count in splits.items():
        for name in classes:
            draw_class(root / split / name, count, first)
            first += count
    return root


def prepared(root: Path, sample: int | None = None) -> PreparedData:
    cache = root.parent / "cache"
    return prepare(f"folder:{root}", lambda c: (6, 7, c), cache, sample=sample)


@pytest.mark.parametrize("valid", ["validation", "val", "valid", "VALID"])
@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Training", "Testing")])
def test_a_divided_folder_is_used_as_splits(
    tmp_path: Path, train: str, valid: str, test: str
) -> None:
    data = prepared(divided(tmp_path / "set", {train: 5, valid: 3, test: 4}))
    assert data.class_names == ("cat", "dog")
    assert data.counts == {"train": 10, "validation": 6, "test": 8}
    assert data.open("test").labels.tolist() == [0] * 4 + [1] * 4
    assert data.roles == {"train": f"{train}/", "validation": f"{valid}/", "test": f"{test}/"}
    wanted = np.asarray(Image.open(tmp_path / "set" / test / "cat" / "2.png"))
    assert np.array_equal(data.open("test").images[2], wanted)


def test_what_a_divided_folder_lacks_is_taken_from_train(tmp_path: Path) -> None:
    data = prepared(divided(tmp_path / "a" / "set", {"train": 10, "test": 4}))
    assert data.counts == {"train": 16, "validation": 4, "test": 8}
    assert data.roles["validation"] == "20 % of train/"
    data = prepared(divided(tmp_path / "b" / "set", {"train": 10, "val": 4}))
    assert data.counts == {"train": 18, "validation": 8, "test": 2}
    assert data.roles == {
        "train": "the rest of train/", "validation": "val/", "test": "10 % of train/"
    }  # fmt: skip
    data = prepared(divided(tmp_path / "c" / "set", {"train": 10}))
    assert data.class_names == ("cat", "dog")
    assert data.roles["validation"] == "20 % of the rest of train/"


def test_a_sample_is_taken_from_all_splits(tmp_path: Path) -> None:
    root = divided(tmp_path / "set", {"train": 12, "val": 6, "test": 6})
    assert prepared(root, sample=24).counts == {"train": 12, "validation": 6, "test": 6}


def test_a_train_that_holds_images_is_a_class(tmp_path: Path) -> None:
    for name in ("bus", "train"):
        draw_class(tmp_path / "set" / name, 12)
    data = prepared(tmp_path / "set")
    assert data.class_names == ("bus", "train")


def test_a_split_without_suffixes_is_one_too(tmp_path: Path) -> None:
    root = divided(tmp_path / "set", {"train": 5, "test": 3, "val": 3})
    for path in root.rglob("*.png"):
        path.rename(path.with_suffix(""))
    assert prepared(root).counts == {"train": 10, "validation": 6, "test": 6}


def make(root: Path, kind: str) -> None:
    if kind == "beside a class":
        divided(root, {"train": 5, "test": 5})
        draw_class(root / "bird", 5)
    elif kind == "other classes":
        divided(root, {"train": 5})
        divided(root, {"test": 5}, ("cat", "Dog"))
    elif kind == "another form":
        divided(root, {"train": 5}, ("cat", "d\xf6g"))
        divided(root, {"test": 5}, ("cat", "do\u0308g"))
    elif kind == "linked":
        divided(root, {"train": 5})
        (root / "test").mkdir()
        for name in ("cat", "dog"):
            (root / "test" / name).symlink_to(f"../train/{name}")
    elif kind == "twice":
        divided(root, {"train": 5, "Training": 5})
    elif kind == "without train":
        divided(root, {"val": 5, "test": 5})
    elif kind == "test without classes":
        divided(root, {"train": 5})
        draw_class(root / "test", 5)
    else:
        draw_class(root / "train", 5)
        draw_class(root / "test", 5)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("beside a class", r"has splits \('test', 'train'\) beside other .* \('bird'\)"),
        ("other classes", r"'train' lacks the class 'Dog' of the other splits|'test' lacks"),
        ("another form", r"lacks the class '\w+' .* is there in another Unicode form"),
        ("linked", r"'(test|train)/cat' is the same folder as '(test|train)/cat': .*remove the"),
        ("twice", r"two folders for train: 'Training', 'train'"),
        ("without train", "no folder 'train'"),
        ("test without classes", "images in 'test' are in no class"),
        ("nothing has classes", "images in 'test', 'train' are in no class"),
    ],
)
def test_mixtures_are_refused_in_one_line(tmp_path: Path, kind: str, message: str) -> None:
    make(tmp_path / "set", kind)
    with pytest.raises(UserError, match=message) as error:
        prepared(tmp_path / "set")
    assert "\n" not in str(error.value)


def test_number_and_names_of_the_classes_are_said(tmp_path: Path) -> None:
    from experiments.config import SearchConfig

    data = prepared(divided(tmp_path / "set", {"train": 5, "val": 3, "test": 4}))
    lines = introduction("study", SearchConfig(space="mnist_cnn", dataset="digits"), data)
    assert "2 classes: cat, dog" in lines
    assert "splits: train = train/, validation = val/, test = test/" in lines


def test_hidden_folders_and_what_systems_leave_are_not_looked_at(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        draw_class(tmp_path / "set" / name, 12)
    draw(tmp_path / "set" / "cat" / ".ipynb_checkpoints" / "0-checkpoint.png", 0)
    draw(tmp_path / "set" / "cat" / "__MACOSX" / "0.png", 0)
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "labels.csv", "README"):
        (tmp_path / "set" / "dog" / name).write_bytes(b"no image")
    data = prepared(tmp_path / "set")
    assert sum(data.counts.values()) == 24
    assert data.skipped == ()


def test_images_in_no_class_are_said(tmp_path: Path) -> None:
    root = divided(tmp_path / "set", {"train": 5, "val": 3, "test": 4})
    draw_class(root, 3)
    draw(root / "train" / "0.png", 9)
    (root / "labels.csv").touch()
    assert prepared(root).skipped == (". (3 images in no class)", "train (1 image in no class)")
    draw(tmp_path / "flat" / "0.png", 1)
    with pytest.raises(UserError, match=r"found 0 sub-folders .*: \. \(1 image in no class\)"):
        prepared(tmp_path / "flat")


def test_links_are_followed_once(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("cat", "dog"):
        draw_class(root / name, 12)
    draw_class(tmp_path / "elsewhere", 5, 100)
    (root / "cat" / "more").symlink_to("../../elsewhere")
    (root / "cat" / "again").symlink_to(tmp_path / "elsewhere")
    (root / "cat" / "back").symlink_to("..")
    (root / "cat" / "itself").symlink_to("itself")
    (root / "cat" / "other").symlink_to("../dog")
    (root / "loop").symlink_to(".")
    (root / "gone").symlink_to("/no/such/place")
    data = prepared(root)
    assert data.class_names == ("cat", "dog")
    assert sum(data.counts.values()) == 24 + 5
    used = "links to a folder that is used already"
    assert data.skipped == (
        f"cat/back ({used})",
        "cat/itself (too many levels of symbolic links)",
        f"cat/more ({used})",
        f"cat/other ({used})",
        "gone (a link to nothing)",
        f"loop ({used})",
    )


def test_pipes_and_devices_do_not_hang(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("cat", "dog"):
        draw_class(root / name, 12)
    os.mkfifo(root / "cat" / "pipe.png")
    (root / "cat" / "zero.png").symlink_to("/dev/zero")
    code = (
        "import pathlib, sys\n"
        "from experiments.data.prepare import prepare\n"
        "print(prepare(sys.argv[1], lambda c: (8, 8, c), pathlib.Path(sys.argv[2])).skipped)"
    )
    command = [sys.executable, "-c", code, f"folder:{root}", str(tmp_path / "cache")]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert "('cat/pipe.png (no regular file)', 'cat/zero.png (no regular file)')" in answer.stdout


def test_names_that_are_no_text_are_used_and_shown(tmp_path: Path) -> None:
    root = tmp_path / "set"
    draw_class(root / "dog", 12)
    draw_class(root / os.fsdecode(b"caf\xe9"), 12)
    for name in (b"b\xe9.png", b"two\nlines.png", b"\x1b[31mred.png"):
        with open(os.path.join(os.fsencode(root / "dog"), name), "wb") as file:
            file.write(b"no image")
    data = prepared(root)
    assert data.class_names == ("caf\\xe9", "dog")
    assert data.skipped == (
        "dog/\\x1b[31mred.png (no image that Pillow can read)",
        "dog/b\\xe9.png (no image that Pillow can read)",
        "dog/two\\nlines.png (no image that Pillow can read)",
    )
    json.dumps(data.record()).encode()
    "".join((*data.class_names, *data.skipped)).encode()


def test_a_folder_that_may_not_be_entered_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cat", "dog", "cat/locked"):
        draw_class(tmp_path / "set" / name, 12)
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)  # root may enter all
    assert prepared(tmp_path / "set").skipped == ("cat/locked (permission denied)",)


def test_a_second_command_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = divided(tmp_path / "set", {"train": 5, "val": 3, "test": 4})
    (root / "train" / "cat" / "broken.jpg").write_bytes(b"no image")
    first = prepared(root)
    decoded: list[Path] = []
    examine = manifest._examine
    monkeypatch.setattr(manifest, "_examine", lambda p: (decoded.append(p), examine(p))[1])
    monkeypatch.setattr("experiments.data.sources.folder.decode", None)
    assert prepared(root) == first
    assert decoded == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(5, "Input/output error"), "input/output error"),
        (PermissionError(13, "Permission denied"), "permission denied"),
        (MemoryError(), "too large for the memory"),
    ],
)
def test_an_error_of_the_system_excludes_no_image_for_good(
    error: Exception, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = divided(tmp_path / "set", {"train": 5, "val": 3, "test": 4})
    with monkeypatch.context() as at_first:
        failing(at_first, root / "train" / "cat" / "1.png", error)
        first = prepared(root)
    assert first.skipped == (f"train/cat/1.png ({reason})",)
    again = prepared(root)
    assert again.skipped == ()
    assert sum(again.counts.values()) == sum(first.counts.values()) + 1 == 24


def failing(patch: pytest.MonkeyPatch, path: Path, error: Exception) -> None:
    """Lets the system fail to open an image."""
    open_ = Image.open

    def opened(given: Path, **options: object) -> Image.Image:
        if given == path:
            raise error
        return open_(given, **options)

    patch.setattr("PIL.Image.open", opened)


def test_a_study_goes_on_without_an_image_that_could_not_be_read_when_it_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = divided(tmp_path / "set", {"train": 5, "val": 3, "test": 4})
    with monkeypatch.context() as at_first:
        failing(at_first, root / "train" / "cat" / "1.png", OSError(5, "Input/output error"))
        first = prepared(root)

    def resumed() -> PreparedData:
        return prepare(
            f"folder:{root}", lambda c: (6, 7, c), tmp_path / "cache",
            recorded=first.fingerprint, skipped=first.skipped,
        )  # fmt: skip

    assert resumed().fingerprint == first.fingerprint
    assert resumed().skipped == ("train/cat/1.png (left out, as when the study was begun)",)
    assert prepared(root).fingerprint != first.fingerprint
    draw(root / "train" / "cat" / "3.png", 999)  # the rest is what it was, or the study is refused
    assert resumed().fingerprint == prepared(root).fingerprint != first.fingerprint


@pytest.mark.parametrize("damage", ["none", "cut short", "another kind", "another reader"])
def test_a_changed_file_is_read_again(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = divided(tmp_path / "set", {"train": 5, "val": 3, "test": 4})
    first = prepared(root)
    (remembered,) = (tmp_path / "cache" / "folders").glob("*/files.json")
    if damage == "cut short":
        os.truncate(remembered, 100)
    elif damage == "another kind":
        remembered.write_text('{"files": {"train/cat/0.png": [1]}, "reader": 7}')
    elif damage == "another reader":
        monkeypatch.setattr(manifest, "reader", lambda: "another")
    path = root / "train" / "cat" / "3.png"
    state = path.stat()
    draw(path, 999)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    second = prepared(root)
    assert second.fingerprint != first.fingerprint
    assert np.array_equal(second.open("train").images[3], np.asarray(Image.open(path)))


def test_what_is_remembered_of_a_folder_is_listed_and_pruned(tmp_path: Path) -> None:
    from experiments.data.cache import describe, entries, prune

    root = divided(tmp_path / "set", {"train": 5, "val": 3, "test": 4})
    first, cache = prepared(root), tmp_path / "cache"
    assert {entry.kind for entry in entries(cache)} == {"datasets", "folders"}
    assert f"list of files: 24 images of {root}" in describe(cache, entries(cache))
    prune(cache, None, None)
    assert entries(cache) == []
    assert prepared(root) == first


def test_a_cache_that_refuses_to_remember_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(manifest, "write_json", refusing)
    monkeypatch.setattr("os.utime", refusing)
    root = divided(tmp_path / "set", {"train": 5, "val": 3, "test": 4})
    assert prepared(root) == prepared(root)


def test_reading_that_takes_long_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments.display.plain import PatientDisplay, PlainDisplay

    plain = PlainDisplay()
    plain.preparing(1, 3, "reading images")
    plain.preparing(3, 3, "reading images")
    assert capsys.readouterr().out == ""  # quick
    for display in (plain, PatientDisplay()):
        display.preparing(1, 900, "reading images")
        display._pace._next["reading images"] -= 2  # a second has gone by
        display.preparing(2, 900, "reading images")
        display.preparing(3, 900, "reading images")
        display.preparing(900, 900, "reading images")
    found = capsys.readouterr()
    assert found.out == found.err
    assert found.out == "reading images: 2 of 900\nreading images: 900 of 900\n"


def test_a_file_that_goes_while_it_is_prepared_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = divided(tmp_path / "set", {"train": 5, "val": 3, "test": 4})
    prepare_ = "experiments.data.prepare.as_recorded"
    from experiments.data.splits import as_recorded

    def vanishing(*arguments: object) -> object:
        (root / "val" / "dog" / "1.png").unlink()
        return as_recorded(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(prepare_, vanishing)
    with pytest.raises(UserError, match=r"1.png' has changed since it was read"):
        prepared(root)


def test_facts_on_the_data_are_counted(tmp_path: Path) -> None:
    root = tmp_path / "set"
    first = 0
    for split, counts in {"train": (18, 2), "val": (9, 1), "test": (4, 0)}.items():
        for name, count in zip(("cat", "dog"), counts, strict=True):
            (root / split / name).mkdir(parents=True)
            draw_class(root / split / name, count, first)
            first += count
    copies = {
        "train/cat/0.png": ["val/cat/a.png", "test/cat/a.png"],
        "train/cat/1.png": ["train/dog/b.png"],
        "val/cat/3.png": ["test/cat/c.png"],
    }
    for source, places in copies.items():
        for place in places:
            (root / place).write_bytes((root / source).read_bytes())
    data = prepared(root)
    record = json.loads(json.dumps(data.record()))
    assert record["per_class"] == {"train": [18, 3], "validation": [10, 1], "test": [6, 0]}
    assert record["missing_classes"] == {"train": [], "validation": [], "test": ["dog"]}
    assert record["baseline"] == {"validation": 10 / 11, "test": 1.0}
    assert record["duplicates"] == {"train/validation": 1, "train/test": 1, "validation/test": 2}
    assert record["conflicting"] == 2
    assert record["constant"] == {"train": 0, "validation": 0, "test": 0}
    assert "no test image of 1 of 2 classes: dog" in data.notes
    assert "test/dog/ (no image in it)" in data.skipped
    assert prepared(root).health == data.health


def test_a_plain_folder_keeps_the_fingerprint_of_format_1(tmp_path: Path) -> None:
    """Earlier studies can be resumed; commit 8961b20 made this fingerprint of these files."""
    for label, name in enumerate(("b", "a c", "Z")):
        for index in range(12):
            path = tmp_path / "set" / name / ("deep" if index % 3 else ".") / f"{index}.ppm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"P6 2 2 255\n" + bytes([label, index] * 6))
    (tmp_path / "set" / "b" / "broken.png").write_bytes(b"no image")
    data = prepared(tmp_path / "set")
    assert data.fingerprint == "7bc7ba73321c31d9"
    assert data.former_fingerprint is None


def test_a_folder_whose_images_are_read_otherwise_has_another(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        draw_class(tmp_path / "set" / name, 12)
    before = prepared(tmp_path / "set")
    drawn = Image.new("RGBA", (6, 6), (0, 0, 0, 0))
    drawn.save(tmp_path / "set" / "cat" / "drawn.png")
    after = prepared(tmp_path / "set")
    assert after.former_fingerprint not in (None, before.fingerprint, after.fingerprint)
    assert "read differently now" in after.why_changed({"fingerprint": after.former_fingerprint})
    assert "files have changed" in after.why_changed(before.record())
