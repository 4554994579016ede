"""Folders of images whose classes a CSV file names."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.data.prepare import PreparedData, prepare
from experiments.record.errors import UserError
from experiments.search.places import whole
from tests.data.test_folders import draw

NAMES = tuple(f"{number}.png" for number in range(24))


def images(root: Path) -> Path:
    for seed, name in enumerate(NAMES):
        draw(root / ("more" if seed % 2 else ".") / name, seed)
    return root


def prepared(root: Path, labels: str = "labels.csv") -> PreparedData:
    name = f"folder:{root}?labels={labels}"
    return prepare(name, lambda c: (6, 7, c), root.parent / "cache")


def rows(*labels: str, separator: str = ",") -> str:
    return "".join(
        f"{name}{separator}{labels[index % len(labels)]}\n" for index, name in enumerate(NAMES)
    )


SWAPPED = "".join(f"{'cat' if i % 2 else 'dog'};{name}\r\n" for i, name in enumerate(NAMES))
ENDLESS = rows("dog", "cat").replace(".png", "")
AGED = "id,breed,age\n" + rows("dog,3", "cat,4")
COUNTED = "".join(f"{i},{name},dog\n" for i, name in enumerate(reversed(NAMES)))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("file,label\n" + rows("dog", "cat"), "columns 'file' and 'label'"),
        ("\ufeffLabel;File\r\n" + SWAPPED, "columns 'File' and 'Label'"),
        ("sep=;\r\nLabel;File\r\n" + SWAPPED, "columns 'File' and 'Label'"),
        ("id,breed\n" + ENDLESS, "columns 1 and 2 ('id' and 'breed')"),
        ("file,breed\n" + rows("dog", "cat"), "columns 1 and 2 ('file' and 'breed')"),
        (rows("dog", "cat", separator="\t"), "columns 1 and 2 (no header)"),
    ],
)
def test_labels_are_read_from_a_file(tmp_path: Path, text: str, columns: str) -> None:
    root = images(tmp_path / "set")
    (root / "labels.csv").write_text(text, encoding="utf-8", newline="")
    data = prepared(root)
    assert data.class_names == ("cat", "dog")
    assert data.notes == (f"labels from labels.csv, {columns}",)
    assert data.skipped == ()
    assert sum(data.counts.values()) == 24
    found = {
        image.tobytes(): data.class_names[label]
        for opened in map(data.open, data.counts)
        for image, label in zip(opened.images, opened.labels, strict=True)
    }
    assert found[np.asarray(Image.open(root / "0.png")).tobytes()] == "dog"
    assert found[np.asarray(Image.open(root / "more" / "1.png")).tobytes()] == "cat"


def test_a_file_that_is_missing_is_no_other_of_its_name(tmp_path: Path) -> None:
    root = images(tmp_path / "set")
    lines = rows("dog", "cat") + "more/0.png,cat\n"  # there is 0.png, and a folder `more`
    (root / "labels.csv").write_text(lines)
    data = prepared(root)
    assert sum(data.counts.values()) == 24
    assert data.skipped == ("more/0.png (no such file)",)


def test_numbers_are_in_their_own_order(tmp_path: Path) -> None:
    root = images(tmp_path / "set")
    (root / "labels.csv").write_text(rows("10", "2"))
    assert prepared(root).class_names == ("2", "10")


def test_what_does_not_fit_is_named_with_counts(tmp_path: Path) -> None:
    root = images(tmp_path / "set")
    (root / "broken.png").write_bytes(b"no image")
    (root / "notes.txt").write_text("no image")
    draw(root / "alone.png", 99)
    draw(root / "a" / "twice.png", 100)
    draw(root / "b" / "twice.png", 101)
    more = "broken.png,cat\nnotes.txt,cat\n../away.png,dog\ngone.png,dog\ntwice.png,dog\n"
    (root / "labels.csv").write_text("file,label\n" + rows("dog", "cat") + more)
    data = prepared(root)
    assert sum(data.counts.values()) == 24
    assert data.skipped == (
        "broken.png (no image that Pillow can read)",
        "notes.txt (it is no image)",
        "../away.png (no such file)",
        "gone.png (no such file)",
        "twice.png (several files of that name)",
        "a/twice.png (no label in labels.csv)",
        "alone.png (no label in labels.csv)",
        "b/twice.png (no label in labels.csv)",
    )
    assert data.notes[1] == (
        "3 files of labels.csv not found, 3 images without a label, 2 files unreadable"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rows("dog", "cat") + "0.png,cat\n", "gives '0.png' two labels, 'dog' and 'cat'"),
        (rows("dog", "cat") + "0.png\n", "row 25 of .* has 1 column: expected a file name"),
        ("", "is empty"),
        ("file,label\n", "no readable image of .* has a label in .*24 images without a label"),
        ("file,label\nx.png,cat\n", "no readable image .*1 file of labels.csv not found, 24"),
        (AGED, r"has 3 columns .'id', 'breed', 'age'., and .* names one 'file' and one 'label'"),
        (",image,class\n" + COUNTED, "has 3 columns .'', 'image', 'class'."),
        (COUNTED, "has 3 columns .'0', '23.png', 'dog'."),
        ("file,label\n" + rows("ch\xe9vre", "cat"), "no UTF-8 text: save it as UTF-8"),
        (rows("dog"), r"has one class only \(dog\)"),
        (None, "labels.csv' can't be read .No such file.*; a relative path is looked for"),
    ],
)  # fmt: skip
def test_wrong_files_of_labels_are_refused_in_one_line(
    tmp_path: Path, text: str | None, message: str
) -> None:
    root = images(tmp_path / "set")
    if text is not None:
        (root / "labels.csv").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=message) as error:
        prepared(root)
    assert "\n" not in str(error.value)


def test_other_labels_are_another_dataset_and_a_moved_folder_is_not(tmp_path: Path) -> None:
    root = images(tmp_path / "set")
    (root / "labels.csv").write_text(rows("dog", "cat"))
    first = prepared(root)
    root = root.rename(tmp_path / "moved")
    assert prepared(root).fingerprint == first.fingerprint
    (root / "labels.csv").write_text(rows("cat", "dog"))
    assert prepared(root).fingerprint != first.fingerprint


def test_labels_are_looked_for_in_the_folder_then_in_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = images(tmp_path / "set")
    named = {"dataset": "folder:set?labels=labels.csv"}
    assert whole(named)["dataset"] == f"folder:{root}?labels=labels.csv"
    (tmp_path / "labels.csv").write_text(rows("dog", "cat"))
    assert whole(named)["dataset"] == f"folder:{root}?labels={tmp_path}/labels.csv"
    assert prepared(root).class_names == ("cat", "dog")
    (root / "labels.csv").write_text(rows("dog", "bird"))
    assert whole(named)["dataset"] == f"folder:{root}?labels=labels.csv"
    assert prepared(root).class_names == ("bird", "dog")
