"""Points that a space declares as good are tried after its default, in every second trial."""

import json
from dataclasses import replace
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
from experiments.methods.make import make_oracle
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
    taken = given_points({}, config(), hp, points).starting
    assert len(taken) == len(points)
    for point, values in zip(points, taken, strict=True):
        assert known.dropped(point) == []
        assert point.items() <= {n: pytest.approx(v) for n, v in values.items()}.items()
        if "conv_blocks" not in point and point not in (points[0], points[-1]):
            continue  # a deep base takes long to build
        drawn = hp.copy()
        drawn.values = values
        assert space.build(drawn).count_params() > 0


def test_every_base_is_tried_frozen_before_one_is_unfrozen() -> None:
    space = transfer_head(**_BASES)
    points = given_points({}, config(), explore(space), space.starting_points()).starting
    frozen = [p for p in points if not p["unfreeze"]]
    assert points[: len(frozen)] == frozen
    widths = {(p["base"], p.get("alpha_MobileNetV2")) for p in frozen}
    assert widths == {("MobileNet", None), ("MobileNetV2", 0.35), ("MobileNetV2", 1.0)}


def test_every_second_trial_is_left_to_the_method(tmp_path: Path) -> None:
    hp, declared = explore(mnist_cnn()), mnist_cnn().starting_points()
    for options, expected in (
        ({}, len(declared)),
        ({"starting_points": False}, 0),
        ({"sources": ["x.csv"]}, 0),
    ):
        given = given_points({}, config(**options), hp, declared)
        assert (len(given.every), len(given.starting)) == (1, expected)

    def proposed(most: int) -> list[dict[str, Any]]:
        """Proposals do not depend on how many trials there will be."""
        given = given_points({}, config(max_trials=most), hp, declared)
        oracle = make_oracle(config(max_trials=most), hp.copy(), points=given)
        oracle._set_project_dir(str(tmp_path / str(most)), "project")
        return [oracle.create_trial(f"w{n}").hyperparameters.values for n in range(most)]

    points = given_points({}, config(), hp, declared).starting
    values = proposed(6)
    assert values[0] == given_points({}, config(), hp).every[0]
    assert values[1::2] == points[:3]
    assert not any(each in points for each in values[2::2])
    assert proposed(9)[:6] == values


def test_what_is_fixed_or_out_of_range_gives_way() -> None:
    hp = fixed(explore(mnist_cnn()), {"batch_norm": "false", "conv_blocks": "2"})
    declared = [
        {"batch_norm": True, "conv_blocks": 3, "filters_2": 64, "dropout": 0.4},
        {"dropout": 0.4},  # the same, now
        {"learning_rate": 1.0, "dropout": 0.2},
        {},  # the default
    ]
    given = given_points({}, config(), hp, declared)
    first, second = given.starting
    assert (first["batch_norm"], first["conv_blocks"]) == (False, 2)
    assert (first["dropout"], "filters_2" in first) == (pytest.approx(0.4), False)
    assert (second["learning_rate"], second["dropout"]) == (1e-3, pytest.approx(0.2))
    (line,) = given.described()  # what was fixed is no surprise
    assert line.endswith("; outside its range, so at its default: learning_rate=1.0")


def test_a_resumed_study_gets_no_other_ones() -> None:
    hp, declared = explore(mnist_cnn()), mnist_cnn().starting_points()
    begun = config(tries=[{"dropout": "0.1"}], max_trials=9)
    first = given_points({}, begun, hp, declared)
    study = {"sessions": [first.recorded]}
    more = config(tries=[{"dropout": "0.1"}, {"dropout": "0.3"}], max_trials=40)
    again = given_points(study, more, hp, declared[1:])
    assert again.every == [*first.every, *again.new]
    assert [point["dropout"] for point in again.new] == [pytest.approx(0.3)]
    assert again.starting == first.starting
    assert "starting_points" not in again.recorded
    assert again.described() == []


def test_a_search_says_and_records_them(
    tmp_path: Path, cache_dir: Path, without_report: None
) -> None:
    asked = SearchConfig(
        "mnist_cnn", dataset="digits", method="tpe", pruner="none", max_trials=2, max_epochs=1,
        fix={"conv_blocks": 1, "filters_0": 16, "kernel_size": 3, "augment": "none"},
        confirm=0, workers=0, sample=200, name="s", runs_dir=tmp_path, cache_dir=cache_dir,
    )  # fmt: skip
    heard = _Hears()
    folder = run_search(asked, heard).folder
    assert any("starting points of the space, in every second trial" in x for x in heard.lines)
    record = json.loads((folder / "study.json").read_text())
    assert record["sessions"][0]["starting_points"]
    assert record["config"]["starting_points"] is True
    second = json.loads((folder / "trial_0001" / "result.json").read_text())["hyperparameters"]
    assert (second["batch_norm"], second["dense_layers"]) == (True, 0)

    del record["config"]["starting_points"], record["sessions"][0]["starting_points"]
    (folder / "study.json").write_text(json.dumps(record))  # as a study of before had it
    resume_search(folder, changes={"max_trials": 3})
    record = json.loads((folder / "study.json").read_text())
    assert record["config"]["starting_points"] is False


def test_a_model_of_ones_own_declares_them_too(tmp_path: Path) -> None:
    def build_model(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 1, 64))])
        model.compile("adam", "mse", run_eagerly=True)
        return model

    build_model.starting_points = [{"units": 7}, {"units": 9}]  # type: ignore[attr-defined]
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")

    def searched(name: str, **options: Any) -> list[int]:
        tuner = experiments.Tuner(
            build_model, "val_loss", 5, directory=tmp_path, project_name=name, **options
        )
        tuner.search(x, x[:, :1], validation_data=(x, x[:, :1]), epochs=1, verbose=0)
        return [t.hyperparameters.get("units") for t in tuner.oracle.trials.values()]

    taken = searched("taken", method="tpe")
    assert (taken[0], taken[1::2]) == (1, [7, 9])
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
    wrong = write(tmp_path, build(), "build_model.starting_points = [{'unit': 8}]", name="wrong.py")
    with pytest.raises(UserError, match="no such hyperparameter 'unit'; there are units"):
        run_search(replace(asked, space=wrong, name="w", runs_dir=str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()
    assert record["sessions"][0]["points"] == [{"units": 4}]
    assert record["sessions"][0]["starting_points"] == [{"units": 8}]
