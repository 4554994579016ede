"""Points that a space declares as good are tried after its default, in half of the trials."""

import json
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import experiments
from experiments import SearchConfig, UserError, run_search
from experiments.display.base import Display
from experiments.hyperparameters.optuna_space import SpaceMap
from experiments.hyperparameters.space import explore, fixed
from experiments.methods.guidance import given_points
from experiments.search.resuming import resume_search
from search_spaces import space_class
from search_spaces.base import ImageSpace
from tests.hyperparameters.own_models import build, write

_BASES = {
    "base": "MobileNet,MobileNetV2",
    "alpha": "MobileNet=0.25,MobileNetV2=0.35,1.0",
    "weights": "none",
}


class _Hears(Display):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def notice(self, text: str) -> None:
        self.lines.append(text)


def mnist_cnn(size: int = 28) -> ImageSpace:
    return space_class("mnist_cnn")((size, size, 1), 10)


def transfer_head(**settings: Any) -> ImageSpace:
    return space_class("transfer_head")((32, 32, 3), 2, **({"weights": "none"} | settings))


def config(**options: Any) -> SearchConfig:
    return SearchConfig("mnist_cnn", method="tpe", **({"max_trials": 30} | options))


@pytest.mark.parametrize(
    "space",
    [mnist_cnn(), mnist_cnn(8), transfer_head(), transfer_head(**_BASES)],
    ids=["28 pixels", "8 pixels", "one base", "several bases"],
)
def test_what_a_space_declares_is_in_it_and_can_be_built(space: ImageSpace) -> None:
    hp = explore(space)
    points = space.starting_points()
    known = SpaceMap(hp.space)
    assert 1 <= len(points) <= 8
    assert len({json.dumps(given_points({}, config(), hp, [p]).every[-1]) for p in points}) == len(
        points
    )
    for point in points:
        assert known.dropped(point) == []
        (_, values) = given_points({}, config(), hp, [point]).every
        assert point.items() <= {n: pytest.approx(v) for n, v in values.items()}.items()
        drawn = hp.copy()
        drawn.values = values
        assert space.build(drawn).count_params() > 0


def test_every_base_is_tried_frozen_before_one_is_unfrozen() -> None:
    space = transfer_head(**_BASES)
    points = given_points({}, config(), explore(space), space.starting_points()).every
    frozen = [p for p in points if not p["unfreeze"]]
    assert points[: len(frozen)] == frozen
    widths = {(p["base"], p.get("alpha_MobileNetV2")) for p in frozen}
    assert widths == {("MobileNet", None), ("MobileNetV2", 0.35), ("MobileNetV2", 1.0)}


def test_half_of_the_trials_are_left_to_the_method() -> None:
    space, hp = mnist_cnn(), explore(mnist_cnn())
    declared = space.starting_points()
    for most, expected in ((1, 0), (2, 0), (3, 1), (8, 3), (9, 4), (30, len(declared))):
        given = given_points({}, config(max_trials=most), hp, declared)
        assert given.num_starting == expected
        assert len(given.every) == 1 + expected
    assert given_points({}, config(starting_points=False), hp, declared).num_starting == 0
    assert given_points({}, config(sources=["x.csv"]), hp, declared).num_starting == 0


def test_what_is_fixed_or_out_of_range_gives_way() -> None:
    hp = fixed(explore(mnist_cnn()), {"batch_norm": "false", "conv_blocks": "2"})
    declared = [
        {"batch_norm": True, "conv_blocks": 3, "filters_2": 64, "dropout": 0.4},
        {"dropout": 0.4},  # the same, now
        {"learning_rate": 1.0, "dropout": 0.2},
        {},  # the default
    ]
    given = given_points({}, config(), hp, declared)
    first, second = given.every[1:]
    assert (first["batch_norm"], first["conv_blocks"]) == (False, 2)
    assert (first["dropout"], "filters_2" in first) == (pytest.approx(0.4), False)
    assert (second["learning_rate"], second["dropout"]) == (1e-3, pytest.approx(0.2))


def test_a_resumed_study_gets_no_other_ones() -> None:
    hp, declared = explore(mnist_cnn()), mnist_cnn().starting_points()
    begun = config(tries=[{"dropout": "0.1"}], max_trials=9)
    first = given_points({}, begun, hp, declared)
    assert first.num_starting == 3
    study = {"sessions": [first.recorded]}
    more = config(tries=[{"dropout": "0.1"}, {"dropout": "0.3"}], max_trials=40)
    again = given_points(study, more, hp, declared[1:])
    assert again.every == [*first.every, *again.new]
    assert [point["dropout"] for point in again.new] == [pytest.approx(0.3)]
    assert again.num_starting == 0


def test_a_search_says_and_records_them(
    tmp_path: Path, cache_dir: Path, without_report: None
) -> None:
    asked = SearchConfig(
        "mnist_cnn", dataset="digits", method="tpe", pruner="none", max_trials=4, max_epochs=1,
        fix={"conv_blocks": 1, "filters_0": 16, "kernel_size": 3, "augment": "none"},
        confirm=0, workers=0, sample=200, name="s", runs_dir=tmp_path, cache_dir=cache_dir,
    )  # fmt: skip
    heard = _Hears()
    folder = run_search(asked, heard).folder
    assert any("begins with 1 starting point of the space" in line for line in heard.lines)
    record = json.loads((folder / "study.json").read_text())
    assert record["sessions"][0]["num_starting_points"] == 1
    assert record["config"]["starting_points"] is True
    second = json.loads((folder / "trial_0001" / "result.json").read_text())["hyperparameters"]
    assert (second["batch_norm"], second["dense_layers"]) == (True, 0)

    del record["config"]["starting_points"], record["sessions"][0]["num_starting_points"]
    (folder / "study.json").write_text(json.dumps(record))  # as a study of before had it
    resume_search(folder, changes={"max_trials": 5})
    record = json.loads((folder / "study.json").read_text())
    assert record["config"]["starting_points"] is False


def test_a_model_of_ones_own_declares_them_too(tmp_path: Path) -> None:
    def build_model(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 1, 64))])
        model.compile("adam", "mse")
        return model

    build_model.starting_points = [{"units": 7}, {"units": 9}]  # type: ignore[attr-defined]
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")

    def searched(name: str, **options: Any) -> list[int]:
        tuner = experiments.Tuner(
            build_model, "val_loss", 5, directory=tmp_path, project_name=name, **options
        )
        tuner.search(x, x[:, :1], validation_data=(x, x[:, :1]), epochs=1, verbose=0)
        return [t.hyperparameters.get("units") for t in tuner.oracle.trials.values()]

    assert searched("taken", method="tpe")[:3] == [1, 7, 9]
    build_model.starting_points = [{"unit": 7}]  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="no such hyperparameter 'unit'; there are units"):
        searched("unknown", method="tpe")
    build_model.starting_points = 5  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"should be a list of mappings.*; got 5"):
        searched("wrong", method="tpe")


def test_a_file_of_ones_own_declares_them_too(
    tmp_path: Path, cache_dir: Path, without_report: None
) -> None:
    path = write(tmp_path, build(), "build_model.starting_points = [{'units': 8}]")
    asked = SearchConfig(
        path, dataset="digits", method="tpe", pruner="none", max_trials=3, max_epochs=1, confirm=0,
        workers=0, sample=200, name="s", runs_dir=tmp_path / "runs", cache_dir=cache_dir,
    )  # fmt: skip
    folder = run_search(asked).folder
    record = json.loads((folder / "study.json").read_text())
    assert record["sessions"][0]["points"] == [{"units": 4}, {"units": 8}]
