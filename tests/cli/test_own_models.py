"""`experiments search FILE.py`: a mistake is one line, and nothing is written; what fits runs."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from experiments.cli.main import main
from experiments.record.layout import StudyFolder
from tests.hyperparameters.own_models import FIT, HEAD, LAST, build, pictures, write

CATEGORICAL = 'optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"]'
BINARY = 'optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"]'
SPARSE = 'loss="sparse_categorical_crossentropy"'
EAGER = f'{SPARSE}, metrics=["accuracy"], run_eagerly=True'  # tracing takes longer than training
LOGITS = 'loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]'


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def search(space: str, folder: Path, cache_dir: Path, *more: str) -> Result:
    options = ("--dataset", "digits", "--sample", "100", "--max-trials", "1", "--max-epochs", "1")
    places = ("--runs-dir", str(folder / "runs"), "--cache-dir", str(cache_dir))
    return run("search", space, *options, "--workers", "0", "--name", "own", *places, *more)


def refused(result: Result, folder: Path) -> str:
    """Returns the one line of a refusal; nothing is left behind."""
    assert result.exit_code == 2, result.output
    assert not (folder / "runs").exists()
    lines = [line for line in result.stderr.splitlines() if not line.startswith("preparing")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


MISTAKES = {
    "syntax": ("def build_model(hp:\n    pass\n", r"my_model\.py is not valid Python: line 5: "),
    "import": (
        "import nothing_of_this_name\n",
        r"my_model\.py can't be run: ModuleNotFoundError: No module named 'nothing_of_this_name' "
        r"\(my_model\.py, line 5\)",
    ),
    "exit": ("raise SystemExit(3)\n", r"can't be run: SystemExit: 3 \(my_model\.py, line 5\)"),
    "build": (
        build(last="keras.layers.Dense(units / 0)"),
        r"my_model\.py:build_model fails with the default hyperparameters: ZeroDivisionError: "
        r"division by zero \(my_model\.py, line 12\)",
    ),
    "layers": (
        build(inputs="(8, 8, 1)").replace("keras.layers.Flatten()", "keras.layers.Conv2D(4, 99)"),
        r"fails with the default hyperparameters: ValueError: .* \(my_model\.py, line \d+\)",
    ),
    "nothing": (
        "def make():\n    return 1\n",
        r"my_model\.py holds nothing to search: expected a function `def build_model\(hp\)` .*; "
        "it defines make",
    ),
    "two": (
        build() + "\n\n" + build(name="another"),
        r"holds 2 candidates, build_model and another: name one, for example "
        r"my_model\.py:build_model",
    ),
    "forgets": (build(end="pass"), "build_model returns nothing: end it with `return model`"),
    "no model": (build(end="return [model]"), r"returns a list: it should return a compiled"),
    "uncompiled": (build(compiled=""), r"is not compiled: call model\.compile\(optimizer="),
    "flat": (build(inputs="(64,)"), r"takes inputs of shape \(64,\), images are \(height, width"),
    "channels": (build(inputs="(8, 8, 4)"), r"takes images of 4 channels, \(8, 8, 4\): they have"),
    "size": (
        build(parameters="hp, input_shape", inputs="(28, 28, 1)"),
        "takes images of 28x28x1, it is given 64x64x1: use the parameter input_shape",
    ),
    "outputs": (
        build(last='keras.layers.Dense(5, activation="softmax")'),
        r"has 5 outputs, the dataset 10 classes: make the last layer "
        r'Dense\(10, activation="softmax"\)',
    ),
    "one output": (build(last=LAST["sigmoid"], compiled=BINARY), "has 1 output, the dataset 10"),
    "maps": (
        build().replace("        keras.layers.Flatten(),\n", ""),
        r"gives outputs of shape \(8, 8, 10\): end it with",
    ),
    "one-hot": (
        build(compiled=CATEGORICAL),
        "loss 'categorical_crossentropy' does not fit: labels are class numbers, not one-hot; "
        'compile with loss="sparse_categorical_crossentropy"',
    ),
    "one-hot class": (
        build(compiled='loss=keras.losses.CategoricalCrossentropy(), metrics=["accuracy"]'),
        "loss 'categorical_crossentropy' does not fit: labels are class numbers",
    ),
    "sigmoid logits": (
        build(
            last="keras.layers.Dense(1)",
            compiled="loss=keras.losses.BinaryCrossentropy(from_logits=True), metrics=['accuracy']",
        ),
        'give the last layer activation="sigmoid", and leave from_logits out of the loss',
    ),
    "two inputs": (
        "def build_model(hp):\n"
        "    inputs = [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))]\n"
        "    x = keras.layers.Flatten()(keras.layers.Add()(inputs))\n"
        "    model = keras.Model(inputs, keras.layers.Dense(10, activation='softmax')(x))\n"
        "    model.compile(loss='sparse_categorical_crossentropy')\n"
        "    return model\n",
        "with 2 inputs: a search takes one of each; for more take experiments.Tuner",
    ),
    "subclass": (
        "class Net(keras.Model):\n"
        "    def call(self, x):\n"
        "        return [x, x]\n\n\n"
        "def build_model(hp):\n"
        "    model = Net()\n"
        "    model.compile(loss='sparse_categorical_crossentropy')\n"
        "    return model\n",
        "returns a Net with several outputs: a search takes one of each",
    ),
    "one-hot metric": (
        build(compiled=f'{SPARSE}, metrics=["accuracy", "categorical_accuracy"]'),
        "metric 'categorical_accuracy' is for one-hot labels",
    ),
    "binary loss": (
        build(compiled=BINARY),
        "loss 'binary_crossentropy' does not fit: it is for one sigmoid unit, and the model has 10",
    ),
    "sparse loss": (
        build(last=LAST["sigmoid"]),
        'one output is a probability of the second class; compile with loss="binary_crossentropy"',
    ),
    "regression": (build(compiled='loss="mse"'), "loss 'mse' does not fit: it is for numbers"),
    "logits": (
        build(last="keras.layers.Dense(10)", compiled=LOGITS),
        'gives logits, the report needs probabilities: give the last layer activation="softmax"',
    ),
    "no probabilities": (
        build(last='keras.layers.Dense(10, activation="relu")'),
        r"outputs are no probabilities \(from .*: end it with Dense\(10, activation=\"softmax\"\)",
    ),
    "metric": (
        build(compiled=SPARSE),
        r"objective 'val_accuracy': no model of this space reports it; they report val_loss, "
        r'loss;.*compile the model with metrics=\["accuracy"\]',
    ),
    "batch": (
        build(compiled=f"{SPARSE}, metrics=['accuracy', keras.metrics.F1Score()]"),
        r"can't be trained on images, \(2, 8, 8, 1\), and labels, \(2,\) class numbers: \w+: ",
    ),
    "no hp": (
        "def build_model():\n    pass\n",
        r"it defines build_model\(\), which takes no hyperparameters: give it the parameter hp",
    ),
    "another name for hp": (
        "def build_model(trial):\n    pass\n",
        r"it defines build_model\(trial\), whose first parameter should be called hp",
    ),
    "needs more": (
        "def build_model(hp, x, y):\n    pass\n",
        r"it defines build_model\(hp, x, y\), and nothing gives it x and y: give each a default",
    ),
    "relative": (
        "from .helpers import units\n",
        r"ImportError: attempted relative import .*; import what lies beside the file by its name",
    ),
    "no loss": (
        build(compiled='metrics=["accuracy"]'),
        'is compiled without a loss: compile with loss="sparse_categorical_crossentropy", say',
    ),
    "dict": (
        build(compiled='loss={"out": "sparse_categorical_crossentropy"}'),
        "its loss is a dict, .*one output: compile with loss='sparse_categorical_crossentropy'",
    ),
}


OWN_SPACE = """
from search_spaces.base import ImageSpace
from search_spaces.mnist_cnn import MnistCnn


class Mine(MnistCnn):
{body}
"""
MISTAKES |= {
    "draw": (
        OWN_SPACE.format(body="    def draw(self, hp):\n        return {'units': numbers}"),
        r"my_model\.py fails: NameError: name 'numbers' .* \(my_model\.py, line 12\); mend it",
    ),
    "a space that can't be made": (
        OWN_SPACE.format(body="    def __init__(self, shape, classes):\n        {}[classes]"),
        r"my_model\.py fails: KeyError: 2 \(my_model\.py, line 12\); mend it there",
    ),
    "a space for two classes": (
        OWN_SPACE.format(
            body="    def __init__(self, shape, classes):\n"
            "        super().__init__(shape, classes)\n        {2: 'two'}[classes]"
        ),
        r"my_model\.py fails: KeyError: 10 \(my_model\.py, line 13\); mend it there",
    ),
    "no shape": (
        OWN_SPACE.format(
            body="    def draw(self, hp):\n        pass\n\n    def build(self, hp):\n        pass"
        ).replace("(MnistCnn)", "(ImageSpace)"),
        r"space my_model\.py: it does not say what shape its images have: define required_shape",
    ),
    "a setting of nothing": (
        OWN_SPACE.format(body="    settings = {'size': 'in pixels'}"),
        r"space my_model\.py: its setting size is no parameter of __init__",
    ),
    "points of a space": (
        OWN_SPACE.format(body="    def starting_points(self):\n        return [1 / 0]"),
        r"my_model\.py fails: ZeroDivisionError: .* \(my_model\.py, line 12\); mend it there",
    ),
    "points": (
        build() + "\n\nbuild_model.starting_points = lambda hp: []\n",
        r"starting_points\(\) fails: TypeError: .*<lambda>\(\) missing 1 .*; mend it there",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake: str, tmp_path: Path, cache_dir: Path) -> None:
    text, expected = MISTAKES[mistake]
    (tmp_path / "my_model.py").write_text(HEAD + text)
    line = refused(search(str(tmp_path / "my_model.py"), tmp_path, cache_dir), tmp_path)
    assert re.search(expected, line), line
    assert str(tmp_path) not in line


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ("missing.py", r"missing\.py: there is no such file in .*; name a file"),
        ("binary.py", r"binary\.py is no Python file: it is no text"),
        ("folder.py", r"folder\.py can't be read \(Is a directory\)"),
        ("notes.txt", r"notes\.txt' is no Python file: name a search space, a file FILE\.py"),
        ("my_model.py:nothing", r"my_model\.py has no 'nothing'; it defines build_model"),
        ("my_model.py:7", r"'7' is no name of a function or class; write my_model\.py:NAME"),
        ("my_model.py:LIMIT", r"my_model\.py:LIMIT is of type int: expected a function"),
        ("my_model.py:Plain", r"my_model\.py:Plain is a class that is no keras_tuner\.HyperModel"),
        ("my_model.py:needy", r"my_model\.py:needy needs depth, which nothing gives it"),
        ("my_model", r"unknown search space '.*': did you mean the file .*my_model\.py\?"),
    ],
)
def test_a_wrong_name_is_one_line(
    space: str, expected: str, tmp_path: Path, cache_dir: Path
) -> None:
    write(tmp_path, build(), "LIMIT = 3\n\n\nclass Plain:\n    pass\n\n\ndef needy(hp, depth):\n"
          "    return build_model(hp)\n")  # fmt: skip
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "folder.py").mkdir()
    line = refused(search(str(tmp_path / space), tmp_path, cache_dir), tmp_path)
    assert re.search(expected, line), line


def test_the_ranges_of_a_file_are_shown(tmp_path: Path) -> None:
    result = run("spaces", write(tmp_path, build()))
    assert result.exit_code == 0, result.output
    assert "my_model.py: build_model of my_model.py" in result.stdout
    assert "units = 4: whole number from 4 to 8, steps of 4" in result.stdout
    assert str(tmp_path) not in result.stdout
    refusal = run("spaces", tmp_path / "missing.py")
    assert refusal.exit_code == 2
    assert "there is no such file" in refusal.stderr


def own_study(folder: Path) -> StudyFolder:
    return StudyFolder(folder / "runs" / "own")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "compiled"),
    [
        (LAST["sigmoid"], f"{BINARY}, run_eagerly=True"),
        ('keras.layers.Dense(2, activation="softmax")', EAGER),
    ],
    ids=["sigmoid", "softmax"],
)
def test_two_classes_of_pictures_are_searched(
    last: str, compiled: str, tmp_path: Path, cache_dir: Path, without_report: None
) -> None:
    """A model for grey digits takes colour pictures of another size: they are brought to it."""
    images = pictures(tmp_path / "pictures")
    path = write(tmp_path, build(last=last, compiled=compiled))
    result = search(path, tmp_path, cache_dir, "--dataset", images, "--sample", "40")
    assert result.exit_code == 0, result.output
    assert "my_model.py:build_model takes images of 8x8x1" in result.stderr + result.stdout
    assert own_study(tmp_path).model.is_file()


SEEN = """import pathlib
        count = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: pathlib.Path({log!r}).write_text(str(batch)))
        kwargs["callbacks"] = [*kwargs["callbacks"], count]
        return model.fit({passed}, **kwargs)"""
FITS = {
    "as in the guide": ("*args, **kwargs", "*args, verbose=0"),
    "as in the guide, of its own batches": (
        "*args, **kwargs",
        '*args, batch_size=hp.Choice("size", [16]), shuffle=hp.Boolean("shuffle"), verbose=0',
    ),
    "of arrays": (
        "x, y, validation_data, verbose, **kwargs",
        "x, y, 16, validation_data=validation_data, shuffle=hp.Boolean('shuffle')",
    ),
}


@pytest.mark.parametrize("kind", FITS)
@pytest.mark.usefixtures("without_report")
def test_a_fit_of_keras_tuners_users_is_called_as_they_write_it(
    kind: str, tmp_path: Path, cache_dir: Path
) -> None:
    parameters, passed = FITS[kind]
    log = tmp_path / "log"
    body = SEEN.format(passed=passed, log=str(log))
    path = write(tmp_path, FIT.format(parameters=parameters, body=body))
    result = search(path, tmp_path, cache_dir, "--method", "random", "--confirm", "0")
    assert result.exit_code == 0, result.output
    trained = json.loads(own_study(tmp_path).trial("0000").result.read_text())
    assert trained["status"] == "completed", trained["traceback"]
    assert int(log.read_text()) + 1 == -(-70 // (16 if "16" in passed else 32))


UNFIT = {
    "epochs": (
        "*args, **kwargs",
        'return model.fit(*args, epochs=hp.Int("epochs", 1, 3), **kwargs)',
        "got multiple values for keyword argument 'epochs' .*leave them to",
    ),
    "names": (
        "x_train, y_train, **kwargs",
        "pass",
        "missing 1 required .* 'y_train'; it is called",
    ),
    "a loop over arrays": (
        "x, y, validation_data, callbacks=None, **kwargs",
        "return float(x[0:2].mean())",
        "TypeError: .* not subscriptable .*my_model.py, line 15.; it is called as fit",
    ),
    "their shape": ("x, y, **kwargs", "return x.shape[0]", "AttributeError: .* 'shape'"),
}


@pytest.mark.parametrize("mistake", UNFIT)
def test_a_fit_that_would_fail_in_every_trial_is_refused(
    mistake: str, tmp_path: Path, cache_dir: Path
) -> None:
    parameters, body, expected = UNFIT[mistake]
    path = write(tmp_path, FIT.format(parameters=parameters, body=body))
    line = refused(search(path, tmp_path, cache_dir), tmp_path)
    assert re.search(r"my_model\.py:Mine: its fit fails: TypeError|AttributeError", line), line
    assert re.search(expected, line), line


SETTINGS = """
from search_spaces.base import ImageSpace


class Deep(ImageSpace):
    settings = {"depth": "layers", "rate": "step size", "bias": "whether", "note": "any text"}

    def __init__(self, input_shape, num_classes, depth: int = 2, rate=0.1, bias=True, note="a"):
        super().__init__(input_shape, num_classes)
        self.given = depth, rate, bias, note
        assert [type(one) for one in self.given] == [int, float, bool, str], self.given

    @classmethod
    def required_shape(cls, channels, settings):
        return (8, 8, channels)

    def draw(self, hp):
        return {"units": hp.Int("units", 4, 8)}

    def build(self, hp):
        depth, rate, bias, note = self.given
        model = keras.Sequential([keras.Input(self.input_shape), keras.layers.Flatten()])
        for _ in range(depth):
            model.add(keras.layers.Dense(self.draw(hp)["units"], use_bias=bias))
        model.add(self.output_layer())
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy",
                      metrics=["accuracy"], run_eagerly=True)
        return model
"""


def test_a_setting_of_the_space_that_is_extended_is_known(tmp_path: Path, cache_dir: Path) -> None:
    body = "    def __init__(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)"
    path = write(tmp_path, OWN_SPACE.format(body=body))
    line = refused(search(path, tmp_path, cache_dir, "--set", "image_size=big"), tmp_path)
    assert line.startswith("--set image_size=big: a whole number from 1 to ")
    assert run("spaces", path).output.count("image_size") == 1


def test_the_shape_may_be_said_by_a_static_method(tmp_path: Path) -> None:
    static = SETTINGS.replace("@classmethod", "@staticmethod").replace("cls, ", "")
    assert "units" in run("spaces", write(tmp_path, static)).output
    none = SETTINGS.replace("    @classmethod\n", "")
    assert "does not say what shape" in run("spaces", write(tmp_path, none)).output


@pytest.mark.usefixtures("without_report")
def test_trials_get_the_settings_that_were_checked(tmp_path: Path, cache_dir: Path) -> None:
    path = write(tmp_path, SETTINGS)
    given = ("depth=0", "rate=1e-3", "bias=false", "note=4")
    more = [word for each in given for word in ("--set", each)]
    result = search(path, tmp_path, cache_dir, *more, "--method", "random", "--confirm", "0")
    assert result.exit_code == 0, result.output
    trained = json.loads(own_study(tmp_path).trial("0000").result.read_text())
    assert trained["status"] == "completed", trained["traceback"]
    assert trained["trainable_parameters"] == 64 * 10 + 10


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("depth=two", "a whole number"),
        ("depth=2.5", "a whole number"),
        ("rate=fast", "a number"),
        ("rate=nan", "a number"),
        ("bias=2", "true or false"),
    ],
)
def test_a_setting_of_another_kind_is_refused(
    given: str, expected: str, tmp_path: Path, cache_dir: Path
) -> None:
    path = write(tmp_path, SETTINGS)
    line = refused(search(path, tmp_path, cache_dir, "--set", given), tmp_path)
    assert line == f"--set {given}: {expected} is expected"


WRITTEN = {
    "own training step": """
class Trained(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


def build_model(hp):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Dense(hp.Int("units", 4, 8))(keras.layers.Flatten()(inputs))
    model = Trained(inputs, keras.layers.Dense(10, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
""",
    "a subclass": """
class Net(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.scale = keras.layers.Rescaling(1 / 255)
        self.flat = keras.layers.Flatten()
        self.dense = keras.layers.Dense(units, activation="relu")
        self.last = keras.layers.Dense(10, activation="softmax")

    def call(self, x, training=False):
        return self.last(self.dense(self.flat(self.scale(x))))


def build_model(hp):
    model = Net(hp.Int("units", 4, 8))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model
""",
    "convolutions within models": """
class Block(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(8)

    def call(self, x):
        return self.dense(x)


def build_model(hp):
    model = keras.Sequential([keras.Input((8, 8, 1))])
    model.add(keras.Sequential([keras.layers.Conv2D(4, 3, activation="relu")]))
    model.add(keras.layers.MaxPooling2D())
    model.add(keras.layers.Flatten())
    model.add(Block())
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"],
                  run_eagerly=True)
    return model
""",
    "own layer and loss": """
@keras.saving.register_keras_serializable()
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def soft(y_true, y_pred):
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


def build_model(hp):
    model = keras.Sequential([keras.layers.Flatten(), Twice()])
    model.add(keras.layers.Dense(10, activation="softmax", use_bias=hp.Boolean("bias")))
    model.compile(optimizer="sgd", loss=soft, metrics=["accuracy"])
    return model
""",
    "own fit": """
class Mine(keras_tuner.HyperModel):
    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes

    def build(self, hp):
        model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(self.num_classes, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"],
                      run_eagerly=True)
        return model

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)
""",
    "an operation last": build(last="keras.layers.Dense(10)").replace(
        "return model",
        "model = keras.Model(model.inputs, keras.ops.softmax(model.outputs[0]))\n"
        f"    model.compile(optimizer='adam', {SPARSE}, metrics=['accuracy'])\n    return model",
    ),
    "eager": build(compiled=EAGER),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITTEN)  # "a subclass" is exported and predicts, too
def test_what_users_write_is_searched_to_the_end(
    kind: str, tmp_path: Path, cache_dir: Path, without_report: None
) -> None:
    path = write(tmp_path, WRITTEN[kind])
    result = search(path, tmp_path, cache_dir, "--set", "image_size=8")
    if "takes images of 8x8" in result.stderr and result.exit_code == 2:
        result = search(path, tmp_path, cache_dir)
    assert result.exit_code == 0, result.output
    assert own_study(tmp_path).model.is_file()
    trained = json.loads(own_study(tmp_path).trial("0000").result.read_text())
    assert trained["status"] == "completed", trained["traceback"]
    if kind == "a subclass":
        assert trained["flops"] is None
        assert trained["trainable_parameters"] > 0
        _use(tmp_path, Path(path))
    has_picture = own_study(tmp_path).arrays("features").is_file()
    assert has_picture == (kind == "convolutions within models")


def _use(folder: Path, source: Path) -> None:
    """Predicts with a model that Keras can't load by itself, exports it, and measures it."""
    picture, runs = folder / "0.png", ("--runs-dir", folder / "runs")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(picture)
    predicted = run("predict", "own", picture, *runs)
    assert predicted.exit_code == 0, predicted.output
    assert "0.png" in predicted.stdout
    moved = source.rename(source.with_name("moved.py"))
    refusal = run("predict", "own", picture, *runs)
    assert (refusal.exit_code, "with --space FILE.py" in refusal.stderr) == (2, True)
    again = run("predict", "own", picture, *runs, "--space", moved)
    assert (again.exit_code, again.stdout) == (0, predicted.stdout), again.output
    exported = run("export", "own", "--model", "saved_model", *runs, "--space", moved)
    assert exported.exit_code == 0, exported.output
    moved.rename(source)
    measured = run("measure", "own", *runs, "--top", "1")
    assert measured.exit_code == 0, measured.output
    assert " ms (" in measured.stdout
    assert "FLOPs" not in measured.stdout


COUNTED = "from pathlib import Path\nwith open({log!r}, 'a') as log:\n    log.write('run ')\n\n\n"


@pytest.mark.slow
def test_a_search_of_a_file_in_a_worker_is_recorded_read_and_resumed(
    tmp_path: Path, cache_dir: Path, without_report: None, without_drawing: None
) -> None:
    log = tmp_path / "log"
    text = COUNTED.format(log=str(log)) + build()
    path = write(tmp_path, text)
    result = search(path, tmp_path, cache_dir, "--workers", "1", "--confirm", "0")
    assert result.exit_code == 0, result.output
    study = own_study(tmp_path)
    assert study.source.read_text() == HEAD + text
    record = json.loads(study.record.read_text())
    assert record["config"]["space"] == path
    assert list(record["space_source"]) == ["my_model"]
    runs, times = ("--runs-dir", tmp_path / "runs"), log.read_text()
    for command in (["list"], ["show", "own"], ["status", "own"], ["export", "own", "--to", "csv"]):
        assert run(*command, *runs).exit_code == 0
    from reports.page.report import write_report

    write_report(study.path)
    assert log.read_text() == times, "a study was read, and code was run"
    _resume(tmp_path, path, text)
    assert log.read_text() != times


def _resume(folder: Path, path: str, text: str) -> None:
    study, runs = own_study(folder), ("--runs-dir", folder / "runs")
    more = ("--max-trials", "2", "--workers", "0")
    Path(path).rename(folder / "moved.py")
    gone = run("resume", "own", *runs, *more)
    assert gone.exit_code == 2
    assert "is not there any more: restore it, or say where it is with --space" in gone.stderr
    agrees = run("reproduce", "own", "0000", *runs, "--space", study.source, "--tolerance", "1")
    assert agrees.exit_code == 0, agrees.output
    elsewhere = run("measure", "own", *runs, "--top", "1", "--space", folder / "moved.py")
    assert elsewhere.exit_code == 0, elsewhere.output
    (folder / "moved.py").write_text("# edited\n" + HEAD + text)
    edited = run("measure", "own", *runs, "--top", "1", "--space", folder / "moved.py")
    assert "--accept-changed-source" in edited.stderr
    (folder / "moved.py").unlink()
    write(folder, text.replace("Flatten(),", "Flatten(),\n        keras.layers.Dropout(0.1),"))
    changed = run("resume", "own", *runs, *more)
    assert changed.exit_code == 2
    assert re.search(r"the code of my_model\.py has changed since .*\(my_model\): restore it \(the "
                     r"study keeps its text: .*space\.py\), or .*--accept-changed-source",
                     changed.stderr)  # fmt: skip
    other = text.replace('"units", 4', '"width", 4')
    write(folder, other)
    unfit = run("resume", "own", *runs, *more, "--accept-changed-source")
    assert unfit.exit_code == 2
    assert "hyperparameter 'units' was" in unfit.stderr
    write(folder, text + "\n# edited\n")
    taken = run("resume", "own", *runs, *more, "--accept-changed-source")
    assert taken.exit_code == 0, taken.output
    assert study.source.read_text() == HEAD + text + "\n# edited\n"
    (before,) = study.artifacts.glob("space-*.py")
    assert before.read_text() == HEAD + text
    again = run("resume", "own", *runs, "--max-trials", "3", "--workers", "0", "--confirm", "0")
    assert again.exit_code == 0, again.output


@pytest.mark.slow
def test_code_of_a_study_folder_is_not_run_unless_named(
    tmp_path: Path, cache_dir: Path, without_report: None
) -> None:
    log = tmp_path / "log"
    path = write(tmp_path, COUNTED.format(log=str(log)) + build())
    assert search(path, tmp_path, cache_dir, "--confirm", "0").exit_code == 0
    study = own_study(tmp_path)
    record = json.loads(study.record.read_text())
    record["config"]["space"] = str(study.source)
    study.record.write_text(json.dumps(record))
    times = log.read_text()
    for command in (["resume", "own", "--max-trials", "2"], ["reproduce", "own", "0000"]):
        result = run(*command, "--runs-dir", tmp_path / "runs")
        assert result.exit_code == 2
        assert "which is not run unless it is named" in result.stderr
    assert log.read_text() == times


MIXED = """\
import keras


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.layer = keras.layers.Dense(10, activation="softmax")

    def call(self, images):
        return self.layer(keras.ops.reshape(images, (-1, 64)))


def build_model(hp):
    kind = hp.Choice("kind", ["graph", "own", "plain"])
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(inputs))
    model = Own() if kind == "own" else keras.Model(inputs, outputs)
    top = keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")
    metrics = ["accuracy"] if kind == "plain" else ["accuracy", top]
    model.compile("adam", "sparse_categorical_crossentropy", metrics=metrics, run_eagerly=True)
    return model
"""


@pytest.mark.parametrize(
    ("objective", "kind", "words"),
    [
        ("flops", "own", "ValueError: flops of this network can't be counted"),
        ("val_top:max", "plain", "ValueError: val_top was not reported: compile the model "
         "with that metric; there are accuracy, loss, val_accuracy and val_loss"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("without_report")
def test_a_network_that_lacks_a_further_objective_fails_alone(
    objective: str, kind: str, words: str, tmp_path: Path, cache_dir: Path
) -> None:
    (tmp_path / "mixed.py").write_text(MIXED)
    more = ["--objective", "val_accuracy", "--objective", objective, "--method", "tpe"]
    more += ["--max-trials", "3", "--try", f"kind={kind}", "--confirm", "0"]
    result = search(str(tmp_path / "mixed.py"), tmp_path, cache_dir, *more)
    assert result.exit_code == 0, result.output
    records = [
        json.loads(p.read_text()) for p in (tmp_path / "runs/own").glob("trial_*/result.json")
    ]
    assert len(records) == 3
    failed = [r for r in records if r["status"] == "failed"]
    assert {r["hyperparameters"]["kind"] for r in failed} == {kind}
    assert {r["message"] for r in failed} == {words}
    places = ("--runs-dir", str(tmp_path / "runs"))
    again = run("resume", "own", "--max-trials", "4", "--workers", "0", *places)
    assert again.exit_code == 0, again.output


FITTED = """
class Mine(keras_tuner.HyperModel):
    def build(self, hp):
        model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(10, activation="softmax", use_bias=hp.Boolean("bias")))
        self.compile(model)
        return model

    def compile(self, model, *more):
        loss, metrics = "sparse_categorical_crossentropy", ["accuracy", *more]
        model.compile(keras.optimizers.SGD(1e-4), loss, metrics=metrics, run_eagerly=True)

    def fit(self, hp, model, *args, **kwargs):
        {body}
"""
STAGES = """\
kwargs["epochs"] = 1
        model.fit(*args, **kwargs)
        self.compile(model, keras.metrics.SparseTopKCategoricalAccuracy(2, name="top"))
        return model.fit(*args, **kwargs)"""
UNVALIDATED = 'kwargs.pop("validation_data", None)\n        return model.fit(*args, **kwargs)'


def fitted(body: str, folder: Path, cache_dir: Path, *more: str) -> dict[str, Any]:
    """Returns the record of a trial of two epochs that is trained by a `fit` of the model's own."""
    path = write(folder, FITTED.format(body=body))
    more = ("--max-epochs", "2", "--confirm", "0", "--pruner", "none", *more)
    search(path, folder, cache_dir, "--method", "random", *more)
    record: dict[str, Any] = json.loads(own_study(folder).trial("0000").result.read_text())
    return record


@pytest.mark.parametrize(
    ("body", "objective", "missing"),
    [
        (STAGES, "val_accuracy", {"top": [0], "val_top": [0]}),
        ("return model.fit(*args, validation_freq=2, **kwargs)", "val_accuracy",
         {"val_accuracy": [0], "val_loss": [0]}),
        (UNVALIDATED, "accuracy", {}),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("without_report")
def test_what_an_epoch_does_not_measure_is_missing_in_it_alone(
    body: str, objective: str, missing: dict[str, list[int]], tmp_path: Path, cache_dir: Path
) -> None:
    record = fitted(body, tmp_path, cache_dir, "--objective", objective)
    assert record["status"] == "completed", record["traceback"]
    (execution,) = record["executions"]
    assert {len(values) for values in execution["history"].values()} == {2}
    found = {n: [i for i, v in enumerate(h) if v == "nan"] for n, h in execution["history"].items()}
    assert {name: epochs for name, epochs in found.items() if epochs} == missing
    again = run("resume", "own", "--max-trials", "2", "--workers", "0", "--runs-dir",
                tmp_path / "runs")  # fmt: skip
    assert (again.exit_code, "set aside" in again.output) == (0, False), again.output


@pytest.mark.usefixtures("without_report")
def test_a_fit_that_never_reports_the_objective_is_told_so(tmp_path: Path, cache_dir: Path) -> None:
    record = fitted(UNVALIDATED, tmp_path, cache_dir)
    assert (record["status"], record["cause"]) == ("failed", "error")
    assert record["message"].startswith("ValueError: val_accuracy was not reported")


UNKNOWN = """
class Own(keras.layers.Layer):
    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 10))

    def call(self, rows):
        return keras.ops.softmax(rows @ self.matrix)


"""


def test_operations_that_can_not_be_counted_are_no_objective(
    tmp_path: Path, cache_dir: Path
) -> None:
    path = write(tmp_path, UNKNOWN + build(last="Own()"))
    more = ("--objective", "val_accuracy", "--objective", "flops", "--method", "tpe")
    message = refused(search(path, tmp_path, cache_dir, *more), tmp_path)
    assert message.startswith("objective flops: operations of a subclass of keras.Model or Layer")
