"""Arrays as datasets: `npz:` files, and functions of a user's own file."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.data.prepare import PreparedData, prepare
from experiments.data.sources.registry import resolve
from experiments.data.splits import fingerprint, make_splits
from experiments.record.errors import UserError
from experiments.search.places import whole
from experiments.search.resuming import resume_search
from tests.reports.synthetic import Synthetic, write_study

Arrays = dict[str, Any]


def arrays(count: int = 40, num_classes: int = 3, **others: Any) -> Arrays:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 6, 5)).astype(np.uint8)
    return {"x_train": images, "y_train": np.arange(count) % num_classes} | others


def divided(**others: Any) -> Arrays:
    found = arrays()
    for ending, count in (("val", 9), ("test", 12)):
        found |= {f"x_{ending}": found["x_train"][:count], f"y_{ending}": found["y_train"][:count]}
    return found | others


def npz(folder: Path, given: Arrays, name: str = "set.npz") -> PreparedData:
    np.savez(folder / name, **given)
    return prepared(folder, f"npz:{folder / name}")


def prepared(folder: Path, name: str) -> PreparedData:
    return prepare(name, lambda c: (6, 5, c), folder / "cache")


def test_arrays_keep_their_splits_pixels_and_class_names(tmp_path: Path) -> None:
    given = divided(class_names=np.array(["cat", "ant", "dog"]))
    data = npz(tmp_path, given)
    assert data.class_names == ("cat", "ant", "dog")  # in the order of their numbers
    assert data.counts == {"train": 40, "validation": 9, "test": 12}
    assert data.roles == {"train": "x_train", "validation": "x_val", "test": "x_test"}
    assert data.shape == (6, 5, 1)
    assert np.array_equal(data.open("test").images[..., 0], given["x_test"])
    assert data.open("validation").labels.tolist() == given["y_val"].tolist()
    assert data.notes == ()


def test_missing_splits_are_drawn_and_said(tmp_path: Path) -> None:
    data = npz(tmp_path, arrays(100, x_extra=np.zeros(3)))
    assert data.counts == {"train": 73, "validation": 18, "test": 9}
    assert data.roles["test"] == "10 % of x_train"
    assert data.notes == ("arrays that are not used: x_extra",)


def test_at_most_5000_rows_are_set_aside_to_validate_on(tmp_path: Path) -> None:
    given = arrays(27_000)
    data = npz(tmp_path, given | {"x_test": given["x_train"][:9], "y_test": given["y_train"][:9]})
    assert data.counts == {"train": 21_999, "validation": 5_001, "test": 9}  # 1,667 of each class
    assert data.roles["validation"] == "5,001 of x_train"
    # A study that was begun when a fifth was taken keeps its rows.
    raw = resolve(data.name)
    then = fingerprint(raw, make_splits(raw, None, 0, most_validation=None))
    again = prepare(data.name, lambda _: (6, 5, 1), tmp_path / "cache", recorded=then)
    assert again.fingerprint == then != data.fingerprint
    assert again.counts["validation"] == 5_400
    assert again.roles["validation"] == "20 % of x_train"


def test_rare_classes_of_a_large_dataset_are_validated_on(tmp_path: Path) -> None:
    x = np.zeros((60_000, 2, 2), np.uint8)
    y = np.zeros(60_000, np.int64)
    y[:20], y[20:320] = 1, 2
    data = npz(tmp_path, {"x_train": x, "y_train": y, "x_test": x[:9], "y_test": y[:9]})
    counts = np.bincount(data.open("validation").labels)
    assert counts.tolist() == [4_973, 4, 50]
    for most in (5_000, None):
        then = fingerprint(raw := resolve(data.name), make_splits(raw, None, 0, most))
        again = prepare(data.name, lambda _: (2, 2, 1), tmp_path / "cache", recorded=then)
        assert again.fingerprint == then


def as_floats(x: Any) -> Any:
    return x.astype(np.float64)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda x: x / np.float32(255), ("images of 0 to 1 were scaled to 0 to 255",)),
        (as_floats, ()),
        (lambda x: x.astype(np.int64), ()),
        (lambda x: x[..., None], ()),
    ],
)
def test_the_same_pixels_are_the_same_dataset(
    tmp_path: Path, change: Callable[[Any], Any], note: tuple[str, ...]
) -> None:
    given = divided()
    first = npz(tmp_path, given)
    changed = {n: change(a) if n[0] == "x" else np.eye(3)[a] for n, a in given.items()}
    second = npz(tmp_path, changed, "other.npz")
    assert second.fingerprint == first.fingerprint
    assert second.folder == first.folder  # nothing is prepared twice
    assert second.notes == note


def test_images_that_are_dark_are_taken_as_they_are_once_they_are_rounded(tmp_path: Path) -> None:
    dark = npz(tmp_path, changed(x_train=IMAGES // 16))
    floats = npz(tmp_path, changed(x_train=np.floor(IMAGES / 16)), "floats.npz")
    assert floats.fingerprint == dark.fingerprint
    brighter = npz(tmp_path, changed(x_train=IMAGES / 10), "brighter.npz")
    assert brighter.open("train").images.max() == 26


def test_a_moved_file_is_the_same_and_a_changed_one_is_not(tmp_path: Path) -> None:
    first = npz(tmp_path, arrays())
    shutil.move(tmp_path / "set.npz", tmp_path / "moved.npz")
    assert prepared(tmp_path, f"npz:{tmp_path / 'moved.npz'}").fingerprint == first.fingerprint
    given = arrays()
    given["x_train"][7, 0, 0] ^= 1
    assert npz(tmp_path, given).fingerprint != first.fingerprint
    named = arrays(class_names=np.array(["a", "b", "c"]))
    assert npz(tmp_path, named).fingerprint != first.fingerprint


def test_colours_and_transparency(tmp_path: Path) -> None:
    for channels, kept in ((3, 3), (4, 3), (1, 1)):
        given = arrays(x_train=np.zeros((40, 6, 5, channels), np.uint8))
        assert npz(tmp_path, given).shape == (6, 5, kept)


def changed(**others: Any) -> Arrays:
    return arrays() | others


def without(name: str) -> Arrays:
    found = divided()
    del found[name]
    return found


LABELS = np.arange(40) % 3
IMAGES = arrays()["x_train"]
NAN = IMAGES / 255
NAN[3, 2, 1] = np.nan
WRONG: list[tuple[Arrays, str]] = [
    (without("x_train"), "there is 'y_train' but no array 'x_train'"),
    (divided(y_val=np.full(9, 7)), "'y_val' has the label 7, and the highest of 'y_train' is"),
    ({"a": LABELS}, r"no array 'x_train': expected .*; there are a$"),
    ({"x_train.a": LABELS, "x_train.b": LABELS}, "x_train.a and x_train.b, .* experiments.Tuner"),
    (without("y_val"), "there is 'x_val' but no array 'y_val'"),
    (divided(x_validation=IMAGES), "'validation' and for 'val', which mean the same"),
    (changed(y_train=LABELS[:39]), "'x_train' has 40 images and 'y_train' has 39 labels"),
    (changed(y_train=np.int64(3)), "'y_train' has one number"),
    (changed(x_train=NAN), "'x_train' has values that are NaN"),
    (changed(x_train=IMAGES / 127.5 - 1), "values from -1 to 1: expected 0 to 255"),
    (changed(x_train=IMAGES.astype(int) * 9), "values from 0 to 2295"),
    (changed(x_train=IMAGES / 200), r"from 0 to 1.275, not all whole: .* x / x.max\(\); .* round"),
    (divided(x_val=(IMAGES[:9] / 16).astype(np.float16)), "'x_val' has values .* not all whole"),
    (
        divided(x_val=IMAGES[:9] / 255),
        "values of x_val are from 0 to 1, those of x_train and x_test",
    ),
    (changed(x_train=IMAGES[:, 0]), r"shape \(40, 5\): images .* tables, series"),
    (changed(x_train=np.zeros((40, 3, 6, 5))), "channels last: np.moveaxis"),
    (divided(x_val=np.zeros((9, 6, 5, 3))), "numbers of channels: x_train has 1, x_val has 3"),
    (changed(x_train=IMAGES[:0], y_train=LABELS[:0]), "'x_train' is empty"),
    (changed(x_train=IMAGES.astype(complex)), "dtype complex128: expected uint8 or float"),
    (changed(y_train=LABELS - 1), "negative labels, such as -1"),
    (
        changed(y_train=LABELS + 0.5),
        "not whole, such as 0.5: .* regression search a model of your",
    ),
    (changed(y_train=np.where(LABELS, np.nan, 1)), "'y_train' has values that are NaN"),
    (changed(y_train=LABELS * 0), r"'y_train' has one class only \(0\)"),
    (changed(y_train=LABELS + 1), "no image of class 0: classes are numbered from 0 to 3"),
    (changed(y_train=LABELS * 99999999), "labels up to 199,999,998: "),
    (changed(y_train=np.eye(3)[LABELS] * 0.5), r"row 0 is not one-hot \(0.5, 0, 0\)"),
    (changed(y_train=np.ones((40, 3, 2))), r"shape \(40, 3, 2\): expected \(N,\)"),
    (changed(y_train=LABELS.astype(str)), "dtype <U21: expected whole numbers"),
    (changed(class_names=np.array(["a", "b"])), "label 2, but 'class_names' has 2 classes"),
    (changed(class_names=np.array(["a", "b", "c", "d"])), "no image of class 3"),
    (changed(class_names=np.array(["a", "b", "b"])), "'class_names' has 'b' twice"),
    (changed(class_names=np.eye(3)), "'class_names' has shape"),
    (
        changed(y_train=np.eye(3)[LABELS], class_names=np.array(["a", "b"])),
        "one-hot for 3 classes, but 'class_names' has 2",
    ),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_wrong_arrays_are_refused_in_one_line(tmp_path: Path, given: Arrays, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        npz(tmp_path, given)
    assert "\n" not in str(error.value)
    assert f"dataset 'npz:{tmp_path}" in str(error.value)


def test_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    path, saved = tmp_path / "set.npz", tmp_path / "saved.npy"
    np.save(saved, IMAGES)
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: None, "No such file"),
        (lambda: path.write_bytes(b"no arrays"), "it is no .npz file"),
        (lambda: path.write_bytes(b""), "it is no .npz file"),
        (lambda: shutil.move(saved, path), "holds a single array"),
        (
            lambda: np.savez(path, **changed(y_train=LABELS.astype(object))),  # type: ignore[arg-type]
            "array 'y_train' of .* holds Python objects, which are never loaded",
        ),
        (lambda: path.write_bytes(path.read_bytes()[:-300]), "can't be read"),
    ]
    for make, message in cases:
        make()
        with pytest.raises(UserError, match=message) as error:
            prepared(tmp_path, f"npz:{path}")
        assert "\n" not in str(error.value)


SOURCE = """import numpy as np
from beside import COUNT

def _helper():
    return np.random.default_rng(0).integers(0, 256, (COUNT, 6, 5)).astype("uint8")

def {name}():
    {body}
    labels = [index % 3 for index in range(COUNT)]
    return {{"x_train": _helper(), "y_train": labels, "class_names": ["a", "b", "c"]}}
"""


def own(folder: Path, name: str = "load", body: str = "pass", more: str = "") -> Path:
    (folder / "beside.py").write_text("COUNT = 40\n")
    path = folder / "my_data.py"
    path.write_text(SOURCE.format(name=name, body=body) + more)
    sys.modules.pop("beside", None)
    return path


@pytest.mark.parametrize(
    ("name", "more", "end"),
    [
        ("load", "def other():\n    pass\n", ""),
        ("anything", "", ""),
        ("anything", "def load():\n    1 / 0\n", ":anything"),
    ],
)
def test_a_function_of_an_own_file_gives_arrays(
    tmp_path: Path, name: str, more: str, end: str
) -> None:
    data = prepared(tmp_path, f"file:{own(tmp_path, name, more=more)}{end}")
    assert data.class_names == ("a", "b", "c")
    assert sum(data.counts.values()) == 40
    assert data.notes[0].startswith(f"arrays made by {name}() of my_data.py, source ")
    assert not list(tmp_path.rglob("my_data*.pyc"))
    assert str(tmp_path) not in sys.path


CACHED = "import functools\n{name} = functools.cache({name})\n"


@pytest.mark.parametrize(
    ("name", "more", "end", "said"),
    [
        ("load", CACHED.format(name="load"), "", "load"),
        ("make", CACHED.format(name="make"), "", "make"),
        ("make", "from json import load\n", "", "make"),
        ("make", "class load:\n    def __init__(self, path):\n        pass\n", "", "make"),
        ("make", "class Helper:\n    pass\n", "", "make"),
        ("_make", "from beside import load\ndef two():\n    pass\n", "", "load"),
        ("make", "import functools\nown = functools.partial(make)\n", ":own", "own"),
    ],
)
def test_whatever_can_be_called_gives_arrays(
    tmp_path: Path, name: str, more: str, end: str, said: str
) -> None:
    path = own(tmp_path, name, more=more)
    with (tmp_path / "beside.py").open("a") as file:
        file.write(
            "\ndef load():\n    from experiments_own_data import _make\n    return _make()\n"
        )
    data = prepared(tmp_path, f"file:{path}{end}")
    assert sum(data.counts.values()) == 40
    assert data.notes[0].startswith(f"arrays made by {said}() of my_data.py, source ")


def test_the_source_is_told_apart_and_the_arrays_decide(tmp_path: Path) -> None:
    first = prepared(tmp_path, f"file:{own(tmp_path)}")
    second = prepared(tmp_path, f"file:{own(tmp_path, more='# more')}")
    assert first.notes != second.notes
    assert first.fingerprint == second.fingerprint
    third = npz(tmp_path, arrays(class_names=np.array(["a", "b", "c"])))
    assert third.fingerprint == first.fingerprint


WRONG_FILES: list[tuple[str, str, str, str]] = [
    ("load", "raise ValueError('bad\\nluck')", "", r"line 8 of .*y' fails: ValueError: bad$"),
    ("load", "raise SystemExit(3)", "", "line 8 of .* fails: SystemExit: 3"),
    ("load", "np.zeros(3).reshape(2)", "", "line 8 of .* fails: ValueError: cannot reshape"),
    ("load", "return 7", "", r"load\(\) of my_data.py returned int: expected a dict of arrays"),
    ("load", "return {'x_train': [[1], [2, 3]], 'y_train': [0, 1]}", "", "'x_train' is no array"),
    ("load", "return {'x_train': [object()], 'y_train': [0]}", "", "holds Python objects"),
    ("load", "pass", "import nothing_of_that_name\n", "line 11 of .* fails: ModuleNotFoundError"),
    ("load", "pass", "def f(:\n", "line 11 of .* fails: SyntaxError: [^(]*$"),
    ("one", "pass", "def two():\n    pass\n", "no function 'load', .*functions are one and two"),
    ("_one", "pass", "", "no function 'load', nor a single other one .it has no function"),
    ("load", "pass", "def load(path):\n    pass\n", r"load\(\) of .* needs the argument 'path'"),
]  # fmt: skip


def test_each_file_imports_what_lies_beside_it(tmp_path: Path) -> None:
    found = []
    for folder, value in (("a", 50), ("b", 200), ("a", 90)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "beside_it.py").write_text(f"VALUE = {value}")
        code = (
            "import numpy as np\nimport beside_it\ndef load():\n"
            "    x = np.full((40, 8, 8), beside_it.VALUE, np.uint8)\n"
            "    return {'x_train': x, 'y_train': np.arange(40) % 2}\n"
        )
        (tmp_path / folder / "my_data.py").write_text(code)
        data = prepared(tmp_path, f"file:{tmp_path / folder / 'my_data.py'}")
        found.append(int(np.max(data.open("train").images)))
    assert found == [50, 200, 90]
    assert "beside_it" not in sys.modules


@pytest.mark.parametrize(("name", "body", "more", "message"), WRONG_FILES)
def test_mistakes_in_an_own_file_are_one_line(
    tmp_path: Path, name: str, body: str, more: str, message: str
) -> None:
    path = own(tmp_path, name, body, more)
    with pytest.raises(UserError, match=message) as error:
        prepared(tmp_path, f"file:{path}")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"no function 'nope'|line 11 of"):
        prepared(tmp_path, f"file:{path}:nope")
    with pytest.raises(UserError, match=r"no\.py' can't be read"):
        prepared(tmp_path, f"file:{tmp_path / 'no.py'}")


def test_paths_are_recorded_whole(tmp_path: Path) -> None:
    for name, wanted in (
        ("npz:a.npz", f"npz:{tmp_path}/a.npz"),
        ("file:a.py", f"file:{tmp_path}/a.py"),
        ("file:b/a.py:make", f"file:{tmp_path}/b/a.py:make"),
        ("digits", None),
    ):
        assert whole({"dataset": name}, tmp_path).get("dataset") == wanted


def test_code_in_a_study_folder_is_run_only_if_it_is_named(tmp_path: Path) -> None:
    study = write_study(tmp_path / "runs", Synthetic(num_trials=1, num_failed=0, name="study"))
    record = json.loads((study / "study.json").read_text())
    record["config"]["dataset"] = f"file:{study / 'data.py'}:load"
    (study / "study.json").write_text(json.dumps(record))
    (study / "data.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")

    def refuse() -> None:
        raise UserError("it would have gone on")

    def resume(dataset: str | None) -> str:
        changes = {"max_trials": 99, **({"dataset": dataset} if dataset else {})}
        with pytest.raises(UserError) as error:
            resume_search(study, changes=changes, import_keras=refuse)
        return str(error.value)

    assert "in its own folder: code of a study folder is not run" in resume(None)
    assert resume(f"file:{study / 'data.py'}") == "it would have gone on"
    assert resume(f"file:{tmp_path / 'data.py'}") == "it would have gone on"
    assert not (tmp_path / "ran").exists()
