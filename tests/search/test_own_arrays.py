"""A model of one's own on arrays of any kind, searched to the report; arrays given in Python."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import SearchConfig, UserError, resume_search, run_search
from experiments.data.cache import entries
from experiments.data.prepare import prepare
from experiments.data.sources.base import Wanted
from experiments.data.sources.given import keep_given
from experiments.display.base import Display
from experiments.hyperparameters.space import describe_space
from experiments.record.layout import StudyFolder
from experiments.record.predictions import Targets
from experiments.search.places import with_given
from experiments.search.run import prepare_search
from experiments.studies.predict import find_model
from tests.hyperparameters.own_models import HEAD

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 5)).astype(np.float32)
MODEL = """
def build_model(hp):
    inputs = keras.Input({shape})
    x = {body}
    model = keras.Model(inputs, keras.layers.Dense({last})(x))
    model.compile(optimizer=keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1)), {compiled})
    return model
"""
DENSE = 'keras.layers.Dense(hp.Int("units", 4, 8, step=4), activation="relu")(inputs)'
MSE = 'loss="mse", metrics=["mae", keras.metrics.RootMeanSquaredError()], run_eagerly=True'
SPARSE = 'loss="sparse_categorical_crossentropy", metrics=["accuracy"]'
BINARY = 'loss="binary_crossentropy", metrics=["binary_accuracy", keras.metrics.AUC(name="auc")]'


def model(folder: Path, compiled: str, last: str, shape: str = "(5,)", body: str = DENSE) -> str:
    path = folder / "my_model.py"
    path.write_text(HEAD + MODEL.format(shape=shape, body=body, last=last, compiled=compiled))
    return str(path)


def config(space: str, folder: Path, objective: str = "val_loss", **others: Any) -> SearchConfig:
    options = {"max_trials": 1, "max_epochs": 1, "name": "own", "method": "random", "workers": 0}
    places = {"runs_dir": str(folder / "runs"), "cache_dir": str(folder / "cache")}
    return SearchConfig(space, objective=objective, **(options | places | others))


VALUES = ROWS.sum(axis=1) * 3
SEVERAL = (RNG.random((60, 3)) < 0.4).astype(np.int64)
TOKENS = RNG.integers(0, 50, (60, 7))
TEXTS = np.array([["good film"], ["bad film"], ["ça va"]])[np.arange(60) % 3]
VECTORIZE = (
    "keras.layers.Embedding(50, 4)(keras.layers.TextVectorization(max_tokens=50, "
    'vocabulary=["good", "film", "bad", "va"], output_sequence_length=3)(inputs))'
)
LAST = "keras.layers.GlobalAveragePooling1D()"
PICTURES = RNG.integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
KINDS: dict[str, tuple[Any, Any, dict[str, str], str]] = {
    "regression": (ROWS, VALUES, {"compiled": MSE, "last": "1"}, "val_loss"),
    "two values": (
        ROWS,
        ROWS[:, :2],
        {"compiled": MSE, "last": "2"},
        "val_root_mean_squared_error",
    ),
    "counts": (ROWS, np.arange(60), {"compiled": 'loss="poisson", metrics=["mae"]',
               "last": '1, activation="softplus"'}, "val_mae"),
    "table": (
        ROWS.astype(np.float64),
        np.arange(60) % 3,
        {"compiled": SPARSE, "last": '3, activation="softmax"'},
        "val_accuracy",
    ),
    "labels": (ROWS, SEVERAL, {"compiled": BINARY, "last": '3, activation="sigmoid"'}, "val_auc"),
    "series": (
        RNG.normal(size=(60, 6, 2)),
        VALUES,
        {"compiled": MSE, "last": "1", "shape": "(6, 2)", "body": "keras.layers.LSTM(4)(inputs)"},
        "val_loss",
    ),
    "tokens": (
        TOKENS,
        np.arange(60) % 2,
        {
            "compiled": 'loss="binary_crossentropy", metrics=["accuracy"]',
            "last": '1, activation="sigmoid"',
            "shape": "(7,)",
            "body": f"{LAST}(keras.layers.Embedding(50, 4)(inputs))",
        },
        "val_accuracy",
    ),
    "texts": (
        TEXTS,
        np.arange(60) % 3,
        {
            "compiled": SPARSE,
            "last": '3, activation="softmax"',
            "shape": '(1,), dtype="string"',
            "body": f"{LAST}({VECTORIZE})",
        },
        "val_accuracy",
    ),
    "pictures": (
        PICTURES,
        PICTURES.mean(axis=(1, 2, 3)),
        {
            "compiled": MSE,
            "last": "1",
            "shape": "(8, 8, 1)",
            "body": "keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))",
        },
        "val_loss",
    ),
}  # fmt: skip


FACTS = MODEL.replace("(hp)", "(hp, input_shape, num_classes)")
LSTM = "keras.layers.LSTM(4)(inputs)"


@pytest.mark.parametrize(
    ("text", "x"),
    [
        (FACTS.format(shape="input_shape", body=LSTM, last="num_classes", compiled=MSE), "series"),
        (FACTS.format(shape="input_shape", body=DENSE, last="num_classes", compiled=MSE), "table"),
        (
            "def build_model(hp):\n"
            '    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 4, 8)),\n'
            "                              keras.layers.Dense(1)])\n"
            '    model.compile("adam", "mse", metrics=["mae"])\n'
            "    return model\n",
            "table",
        ),
    ],
    ids=["series", "table", "open"],
)
def test_a_model_may_take_the_shape_of_its_rows(text: str, x: str, tmp_path: Path) -> None:
    path = tmp_path / "my_model.py"
    path.write_text(HEAD + text)
    assert "my_model.py" in describe_space(str(path))
    given = KINDS[x][0], VALUES.tolist()
    plan = prepare_search(with_given(config(str(path), tmp_path), given), Display())
    assert plan.hypermodel.input_shape == np.shape(given[0])[1:]
    sized = config(str(path), tmp_path, settings={"image_size": 32})
    with pytest.raises(UserError, match="--set image_size is of images"):
        prepare_search(with_given(sized, given), Display())


TRAINED = ("regression", "labels", "texts", "pictures")  # the others are tried on a batch
REFUSED = dict.fromkeys(TRAINED, "trained on arrays as they are") | {"pictures": "predicts numbers"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRAINED)
def test_arrays_of_any_kind_are_searched_to_the_end(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("without_drawing" if kind == "regression" else "without_report")
    x, y, parts, objective = KINDS[kind]
    result = run_search(config(model(tmp_path, **parts), tmp_path, objective), data=(x, y))
    study = StudyFolder(result.folder)
    trained = json.loads(study.trial("0000").result.read_text())
    assert trained["status"] == "completed", trained["traceback"]
    assert len(result.test_scores) == 1
    (finalist,) = json.loads(study.finalists.read_text())
    assert objective.removeprefix("val_") in finalist["runs"][0]["test"]
    dataset = json.loads(study.record.read_text())["dataset"]
    assert sum(dataset["counts"].values()) == 60
    stored = np.load(study.arrays("predictions"))
    given = {"classes": {"labels", "probabilities"}, "labels": {"targets", "probabilities"}}
    assert {*stored} == given.get(dataset.get("targets", "classes"), {"targets", "outputs"})
    with pytest.raises(UserError, match=REFUSED[kind]):  # of the file alone, too
        find_model(str(study.model), tmp_path)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in TRAINED])
def test_arrays_of_any_kind_fit_their_model(kind: str, tmp_path: Path) -> None:
    x, y, parts, objective = KINDS[kind]
    searched = config(model(tmp_path, **parts), tmp_path, objective)
    assert "rate = " in describe_space(searched.space)
    plan = prepare_search(with_given(searched, (x, y)), Display())
    assert plan.data.shape == x.shape[1:]
    assert any("as they are" in line for line in plan.notices)


WRONG: dict[str, tuple[Any, Any, dict[str, str], str]] = {
    "shape": (ROWS, VALUES, {"compiled": MSE, "last": "1", "shape": "(4,)"},
              r"takes rows of shape \(4,\), those of x_train have \(5,\): make it keras.Input"),
    "outputs": (ROWS, VALUES, {"compiled": MSE, "last": "2"},
                r"outputs of shape \(2,\), the targets in y_train have \(\): .* Dense\(1\)"),
    "labels": (ROWS, SEVERAL, {"compiled": BINARY, "last": '4, activation="sigmoid"'},
               'y_train has 3 labels a row: make the last layer Dense.3, activation="sigmoid"'),
    "logits": (ROWS, SEVERAL, {"compiled": BINARY, "last": "3"},
               r'no probabilities .* end it with Dense\(3, activation="sigmoid"\)'),
    "classes": (ROWS, VALUES, {"compiled": SPARSE, "last": '3, activation="softmax"'},
                "labels that are not whole, .* for regression search a model .* whose loss is for"),
    "objective": (ROWS, VALUES, {"compiled": 'loss="mse"', "last": "1"},
                  "objective 'val_mae': no model .* report val_loss, loss.*compile .*mae"),
    "holes": (np.where(ROWS > 2, np.nan, ROWS), VALUES, {"compiled": MSE, "last": "1"},
              "'x_train' has values that are NaN"),
    "far": (ROWS, VALUES.astype(float) * 1e39, {"compiled": MSE, "last": "1"},
            "'y_train' has values .*: expected what 32-bit floats hold, -3.4e.38 to 3.4e.38"),
    "names": (ROWS, TEXTS[:, 0], {"compiled": SPARSE, "last": '3, activation="softmax"'},
              "dtype .U9: expected whole numbers, .*np.unique.y, return_inverse=True"),
    "words": (ROWS, TEXTS[:, 0], {"compiled": MSE, "last": "1"},
              "'y_train' has dtype .U9: expected numbers to be predicted"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_arrays_that_do_not_fit_are_one_line(kind: str, tmp_path: Path) -> None:
    x, y, parts, expected = WRONG[kind]
    searched = config(model(tmp_path, **parts), tmp_path, "val_mae")
    with pytest.raises(UserError, match=expected) as error:
        run_search(searched, data=(x, y))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "runs").exists()


FORMS: dict[str, Any] = {
    "pair": (ROWS, VALUES),
    "lists": [ROWS.tolist(), VALUES.tolist()],
    "frames": (pd.DataFrame(ROWS), pd.Series(VALUES)),
    "pairs": ((ROWS, VALUES), (ROWS[:9], VALUES[:9])),
    "three": ((ROWS, VALUES), (ROWS[:9], VALUES[:9]), (ROWS[:7], VALUES[:7])),
    "dict": {"x_train": ROWS, "y_train": VALUES, "x_test": ROWS[:7], "y_test": VALUES[:7]},
}
COUNTS = {"pairs": (46 + 8, 9, 6), "three": (60, 9, 7), "dict": (48, 12, 7)}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_are_given_in_any_form(form: str, tmp_path: Path) -> None:
    name = keep_given(FORMS[form], tmp_path)
    assert keep_given(FORMS[form], tmp_path) == name
    wanted = Wanted(arrays=True, targets=Targets.VALUES)
    data = prepare(name, lambda c: (0, 0, c), tmp_path, wanted=wanted)
    assert tuple(data.counts.values()) == COUNTS.get(form, (43, 11, 6))
    assert data.open("train").images.dtype == np.float32
    assert [entry.kind for entry in entries(tmp_path)].count("arrays") == 1


WORDS = np.array([[1, 2**63], [1, 1], [2**64 - 1, 0]], np.uint64)
BAD: list[tuple[Any, str]] = [
    (ROWS, r" is a ndarray: expected \(x, y\), \(\(x_train"),
    ((ROWS,), " has 1 array: expected"),
    ((ROWS, VALUES, ROWS), " has 3 arrays: expected"),
    ((ROWS, (ROWS, VALUES)), "mixes arrays and pairs of arrays"),
    (((ROWS, VALUES, VALUES), (ROWS, VALUES)), " has 3 arrays for 'train'"),
    ({}, "the dict has nothing; expected"),
    ({"x": ROWS, "y": VALUES}, "the dict has x and y; expected"),
    (({"a": ROWS}, VALUES), "'x_train' is a dict, .* take experiments.Tuner"),
    ((iter([ROWS]), VALUES), "of type list_iterator: expected an array; for tf.data and gen"),
    ((None, VALUES), "'x_train' is of type NoneType"),
    ((ROWS, 3), "'y_train' is a single int"),
    (([[1], [2, 3]], [0, 1]), "'x_train' is no array of numbers"),
    (([object()], [0]), "'x_train' holds Python objects"),
    ((ROWS, VALUES[:-1]), "'x_train' has .* 'y_train' has .*: expected"),
    (((ROWS, VALUES), (ROWS, VALUES[:3])), "'x_val' has 60 rows and 'y_val' has 3 labels"),
    ({"x_train": ROWS}, "there is 'x_train' but no array 'y_train'"),
    ({"x_val": ROWS, "y_val": VALUES}, "there is no array 'x_train'"),
    ((ROWS[:0], VALUES[:0]), "'x_train'"),
    ((ROWS.astype(float) * 1e39, VALUES), "'x_train' has values .*: expected what 32-bit floats"),
    (
        (WORDS, np.arange(3)),
        "'x_train' has whole numbers up to 18446744073709551615: expected 9223",
    ),
    (
        (np.array(["a", "b", "c\udc80"]), np.arange(3)),
        r"'x_train' has text that is no Unicode, such as 'c\\udc80': .* mends it",
    ),
]


@pytest.mark.parametrize(("data", "expected"), BAD)
def test_what_is_no_data_is_one_line(data: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^data.*{expected}") as error:
        keep_given(data, tmp_path)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_dataset_and_arrays_are_not_given_both(tmp_path: Path) -> None:
    space = model(tmp_path, MSE, "1")
    with pytest.raises(UserError, match="data was given, and dataset='digits' was named"):
        run_search(config(space, tmp_path, dataset="digits"), data=(ROWS, VALUES))


@pytest.mark.slow
def test_a_study_on_given_arrays_is_resumed_with_or_without_them(
    tmp_path: Path, without_report: None
) -> None:
    runs, cache = tmp_path / "runs", tmp_path / "cache"
    run_search(config(model(tmp_path, MSE, "1"), tmp_path, confirm=0), data=(ROWS, VALUES))
    assert resume_search("own", runs, {"max_trials": 2}).num_failed == 0
    with pytest.raises(UserError, match="the data given are not those that study 'own' was begun"):
        resume_search("own", runs, {"max_trials": 3}, data=(ROWS, VALUES + 1))
    shutil.rmtree(cache)
    (tmp_path / "cache" / "datasets").mkdir(parents=True)  # a cache that was emptied
    with pytest.raises(UserError, match=r"not in the cache .* resume_search\(study, data=\.\.\.\)"):
        resume_search("own", runs, {"max_trials": 3})
    assert resume_search("own", runs, {"max_trials": 3}, data=(ROWS, VALUES)).num_failed == 0
