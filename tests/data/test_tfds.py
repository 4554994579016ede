"""Datasets of tensorflow-datasets: which split serves as what."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.hostile_data import FakeBuilder, fake_tfds
from experiments.config import SearchConfig
from experiments.data.prepare import PreparedData, prepare
from experiments.display.plain import introduction
from experiments.record.errors import UserError

AB = [0, 1]


def prepared(
    builder: FakeBuilder, cache: Path, sample: int | None = None, recorded: str | None = None
) -> PreparedData:
    with fake_tfds(builder):
        return prepare("tfds:fake", lambda c: (8, 8, c), cache, sample=sample, recorded=recorded)


def test_each_split_serves_as_what_it_is_called(tmp_path: Path) -> None:
    splits = {"test": AB * 3, "train": AB * 10, "validation": AB * 4, "extra": AB}
    data = prepared(FakeBuilder(splits, 2), tmp_path)
    assert data.counts == {"train": 20, "validation": 8, "test": 6}
    assert data.roles == {"train": "train", "validation": "validation", "test": "test"}
    assert data.notes == ("splits that are not used: extra",)
    lines = introduction("study", SearchConfig(space="mnist_cnn", dataset="digits"), data)
    assert "splits: train = train, validation = validation, test = test" in lines


def test_a_sample_is_taken_from_all_splits(tmp_path: Path) -> None:
    splits = {"train": AB * 20, "validation": AB * 10, "test": AB * 10}
    data = prepared(FakeBuilder(splits, 2), tmp_path, sample=40)
    assert data.counts == {"train": 20, "validation": 10, "test": 10}


def test_a_split_without_labels_does_not_serve(tmp_path: Path) -> None:
    splits = {"train": AB * 20, "validation": AB * 4, "test": [-1] * 9}
    data = prepared(FakeBuilder(splits, 2), tmp_path)
    assert data.counts == {"train": 36, "validation": 8, "test": 4}
    assert data.roles["test"] == "10 % of train"
    assert data.notes == ("split 'test' does not serve as test: 9 of its 9 images have no label",)
    assert min(data.open("test").labels) == 0


@pytest.mark.parametrize("labels", [[0, 1, -1], [0, 1, 2]])
def test_labels_that_are_no_class_are_none(tmp_path: Path, labels: list[int]) -> None:
    splits = {"train": AB * 20, "validation": labels, "test": AB * 4}
    data = prepared(FakeBuilder(splits, 2), tmp_path)
    assert data.roles["validation"] == "20 % of train"
    assert "1 of its 3 images has no label" in data.notes[0]


def test_classes_that_no_image_has_are_left_out(tmp_path: Path) -> None:
    splits = {"train": [1, 3] * 20, "test": [1, 3] * 4}
    data = prepared(FakeBuilder(splits, 5), tmp_path)
    assert data.class_names == ("1", "3")
    assert "3 of 5 classes left out: no image has them" in data.notes
    assert set(data.open("test").labels) == {0, 1}


def test_a_class_that_is_tested_alone_is_named(tmp_path: Path) -> None:
    splits = {"train": AB * 20, "test": [0, 1, 2]}
    with pytest.raises(UserError, match=r"no image of class .* to train on"):
        prepared(FakeBuilder(splits, 3), tmp_path)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": [0, -1] * 9, "test": AB}, "can't train on the split 'train': 9 of its 18"),
        ({"train": [], "test": AB}, "can't train on the split 'train': it is empty"),
        ({"first": AB * 9, "test": AB * 9}, "no split 'train': it has first, test"),
        ({}, "no split 'train': it has none"),
    ],
)
def test_there_must_be_one_to_train_on(
    tmp_path: Path, splits: dict[str, list[int]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        prepared(FakeBuilder(splits, 2), tmp_path)


def test_labels_are_looked_at_before_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.data.prepare._write", None)
    splits = {"train": [0, -1] * 9, "test": AB}
    with pytest.raises(UserError, match="can't train"):
        prepared(FakeBuilder(splits, 2), tmp_path)


def test_a_single_split_is_divided_whatever_it_is_called(tmp_path: Path) -> None:
    data = prepared(FakeBuilder({"test": AB * 20}, 2), tmp_path)
    assert data.counts == {"train": 28, "validation": 8, "test": 4}
    assert data.roles == {
        "train": "the rest of test",
        "validation": "20 % of the rest of test",
        "test": "10 % of test",
    }


def test_a_class_without_test_image_is_said(tmp_path: Path) -> None:
    data = prepared(FakeBuilder({"train": AB * 10, "test": [0] * 5}, 2), tmp_path)
    assert data.notes == ("no test image of 1 of 2 classes: 1",)
    assert data.health["missing_classes"]["test"] == ["1"]
    assert data.health["baseline"]["test"] == 1.0


def test_the_same_image_in_several_splits_is_counted(tmp_path: Path) -> None:
    """The builder's images are told by their number, so splits begin with the same ones."""
    splits = {"train": AB * 10, "validation": AB * 4, "test": [1, 0] * 3}
    data = prepared(FakeBuilder(splits, 2), tmp_path)
    assert data.health["duplicates"] == {
        "train/validation": 8, "train/test": 6, "validation/test": 6
    }  # fmt: skip
    assert data.health["conflicting"] == 3 * 6
    lines = introduction("study", SearchConfig(space="mnist_cnn", dataset="digits"), data)
    assert "warning: 6 test images are also in train" in lines
    assert "warning: 18 images are also in another class" in lines


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    data = prepared(FakeBuilder({"train": AB * 10, "test": AB * 5}, 2, channels=4), tmp_path)
    image = data.open("test").images[3]
    assert (image[4:] == 255).all()  # nothing drawn
    assert (image[:4] == 255 - 33).all()
    assert data.former_fingerprint != data.fingerprint


def test_a_study_that_was_begun_without_the_validation_split_goes_on(tmp_path: Path) -> None:
    """Format 1 validated on images of train; the fingerprint is the recorded one."""
    splits = {"train": AB * 10, "test": AB * 5}
    identity = FakeBuilder({**splits, "validation": AB * 5}, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.data.sources.tfds._checksum", lambda builder: "same")
        then = prepared(FakeBuilder(splits, 2), tmp_path)
        now = prepared(identity, tmp_path)
        again = prepared(identity, tmp_path, recorded=then.fingerprint)
        assert now.fingerprint != then.fingerprint
        assert again.fingerprint == then.fingerprint
        assert again.counts == then.counts
        assert np.array_equal(again.open("train").images, then.open("train").images)
        assert again.notes == ("validated on images of train, as the study was begun",)
        assert prepared(identity, tmp_path, recorded="another").fingerprint == now.fingerprint
