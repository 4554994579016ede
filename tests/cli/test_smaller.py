"""Smaller input errors that were once accepted silently, or ended in a traceback."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
import pytest
from click.testing import CliRunner

from experiments import SearchConfig, UserError
from experiments.cli.main import main
from experiments.cli.options import parse_options
from experiments.config import SearchConfig as Config
from experiments.data.cache import Pruned
from experiments.display.live import LiveDisplay
from experiments.finalists.plan import notices
from experiments.hyperparameters.space import (
    check_on_steps,
    class_of,
    describe_each,
    explore,
    fixed,
)
from experiments.methods.guidance import parse_tries
from experiments.methods.make import parse_method_settings
from experiments.record.formatting import are, score
from experiments.record.objective import check_reported, parse_objective
from experiments.search.resume import changed_config
from experiments.studies.export_study import export_study
from experiments.training.network import Network
from experiments.training.run import classify
from experiments.training.task import BuildError
from reports import load_study
from reports.analysis.facts import _budget
from reports.analysis.verdict import winner_on_test
from reports.analysis.verdict_words import winner_on_test_words
from search_spaces.mnist_cnn import MnistCnn
from tests.reports.synthetic import Synthetic, write_study


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("val_accuracy:min", "val_accuracy:max"),
        ("val_loss:max", "val_loss:min"),
        ("f1_score:min", "f1_score:max"),
        ("val_auc:min", "val_auc:max"),
    ],
)
def test_a_known_metric_has_one_direction(text: str, right: str) -> None:
    with pytest.raises(UserError, match=f"write {right}"):
        parse_objective(text)
    assert str(parse_objective(right)) == right
    assert str(parse_objective("val_other:min")) == "val_other:min"


def stepped(low: float, high: float, step: float) -> list[float]:
    class Space(MnistCnn):
        def draw(self, hp: Any) -> dict[str, Any]:
            return {"rate": hp.Float("rate", low, high, step=step)}

    (hp,) = explore(Space((28, 28, 1), 10)).space
    return [float(value) for value in hp.values]


@pytest.mark.parametrize(
    ("low", "high", "step", "count"),
    [(0.0, 0.6, 0.1, 7), (0.0, 0.3, 0.1, 4), (0.1, 0.7, 0.2, 4), (0.0, 0.5, 0.2, 3)],
)
def test_a_range_of_steps_reaches_its_end(low: float, high: float, step: float, count: int) -> None:
    values = stepped(low, high, step)
    assert values == pytest.approx([low + n * step for n in range(count)])


def test_the_end_of_a_range_of_steps_can_be_tried() -> None:
    space = explore(MnistCnn((28, 28, 1), 10))
    config = Config("mnist_cnn", method="tpe", tries=[{"dropout": "0.6"}], try_default=False)
    (point,) = parse_tries(config, space)
    assert point["dropout"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("fix", "is_right"),
    [("dropout=0.6", True), ("dropout=0.3", True), ("dropout=0.55", False), ("filters_0=32", True)],
)
def test_a_value_to_be_held_is_one_that_can_be_drawn(fix: str, is_right: bool) -> None:
    name, _, value = fix.partition("=")
    space = explore(MnistCnn((28, 28, 1), 10))
    if is_right:
        check_on_steps(space, {name: value})
        return
    with pytest.raises(UserError, match=f"--fix {fix}: expected number .*steps of 0.1"):
        check_on_steps(space, {name: value})


@pytest.mark.parametrize("low", [0.0003, 0.0])  # the other end's logarithm does not lead back to it
def test_trials_at_the_ends_of_ranges_are_exported_to_optuna(low: float, tmp_path: Path) -> None:
    ends = [low, 0.03]
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 0.0003, 0.03, sampling="log")
    folder = write_study(tmp_path, Synthetic(num_trials=2))
    study = load_study(folder)
    description = {"name": "rate", "kind": "Float", "sampling": "log"}
    description |= {"min_value": ends[0], "max_value": ends[1]}
    study.hyperparameters.clear()
    study.hyperparameters["rate"] = description
    study.trials["rate"] = ends
    place = export_study(study, "optuna", tmp_path / "optuna.db")
    exported = optuna.load_study(study_name=None, storage=f"sqlite:///{place}")
    assert [trial.params["rate"] for trial in exported.trials] == ends


def test_a_name_that_is_declared_twice_has_the_range_of_where_it_is_active() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["deep", "plain"])
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("layers", 1, 3)
    with hp.conditional_scope("kind", ["plain"]):
        hp.Int("layers", 4, 8, step=2)
    plain = {"kind": "plain", "layers": "6"}
    config = Config("mnist_cnn", method="tpe", tries=[plain, {"layers": 2}], try_default=False)
    points = parse_tries(config, hp)
    assert points == [{"kind": "plain", "layers": 6}, {"kind": "deep", "layers": 2}]
    for wrong, expected in (
        ({"layers": 6}, "from 1 to 3"),
        ({"kind": "plain", "layers": 2}, "from 4 to 8"),
        ({"kind": "plain", "layers": 5}, "from 4 to 8, steps of 2"),
    ):
        with pytest.raises(UserError, match=f"--try layers=.: expected .* {expected}"):
            parse_tries(replace(config, tries=[wrong]), hp)
        with pytest.raises(UserError, match=f"--fix layers=.: expected .* {expected}"):
            check_on_steps(hp, wrong)
    check_on_steps(hp, plain)
    held = fixed(hp, plain)
    assert {each.name: each.value for each in held.space} == {"kind": "plain", "layers": 6}


def test_a_choice_with_commas_can_be_tried() -> None:
    chosen = parse_options(None, tries=("kernel=3,3,units=64,name=a,b",))
    assert chosen["tries"] == [{"kernel": "3,3", "units": "64", "name": "a,b"}]
    with pytest.raises(UserError, match="expected NAME=VALUE"):
        parse_options(None, tries=("3,kernel=3",))


def test_one_broken_file_costs_its_space_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        if name == "mine":
            raise ValueError("search_spaces/mine.py can't be imported: SyntaxError: never closed")
        return MnistCnn

    monkeypatch.setattr("experiments.hyperparameters.space.space_class", broken)
    text = describe_each(["mine", "mnist_cnn"])
    assert text.startswith("mine: can't be used: search_spaces/mine.py can't be imported")
    assert "\n\nmnist_cnn: " in text
    with pytest.raises(UserError, match="never closed"):
        class_of("mine")


def test_a_file_that_can_not_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import search_spaces

    (tmp_path / "unfinished.py").write_text("def build(:\n")
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    with pytest.raises(ValueError, match=r"unfinished\.py can't be imported: SyntaxError"):
        search_spaces.space_class("unfinished")


def test_a_build_that_exits_is_a_build_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Exiting(MnistCnn):
        def build(self, hp: Any) -> Any:
            raise SystemExit(3)

    monkeypatch.setattr("experiments.hyperparameters.space.space_class", lambda name: Exiting)

    class Data:
        shape, class_names, num_outputs = (28, 28, 1), ("a", "b"), 2

    class Task:
        space, settings, further, data, source = "mine", {}, (), Data, None
        objective = parse_objective("val_accuracy")
        hyperparameters = explore(MnistCnn((28, 28, 1), 10)).get_config()

    task: Any = Task
    with pytest.raises(BuildError, match="SystemExit: 3") as error:
        Network(task)
    assert classify(error.value) == "build"


@pytest.mark.parametrize("command", ["measure", "compare"])
def test_what_is_kept_in_a_study_asks_first_whether_it_can_be(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study(tmp_path, Synthetic(num_trials=4))

    def read_only(*arguments: Any, **options: Any) -> Any:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("experiments.record.files.tempfile.mkstemp", read_only)
    monkeypatch.setattr(
        "experiments.studies.reopen.open_study", lambda *a: pytest.fail("it works first")
    )
    more = ["--default", "--seeds", "2"] if command == "compare" else []
    result = CliRunner().invoke(main, [command, str(folder), *more])
    assert result.exit_code == 2
    assert "can't be written to (Read-only file system)" in result.stderr


def test_no_time_is_left_when_all_is_done(cache_dir: Path) -> None:
    display = LiveDisplay()
    display._config = SearchConfig("mnist_cnn", max_trials=1, confirm=0)
    display._rows = [("0000", "completed", 0.5, 3.0, {})]
    assert display._remaining() == ""
    display._config = SearchConfig("mnist_cnn", max_trials=2, confirm=0)
    assert display._remaining() == "about 3 s left"


@pytest.mark.parametrize(
    ("text", "meant"),
    [("val_acuracy", "val_accuracy"), ("f1score", "f1_score"), ("val_los", "val_loss"),
     ("latency", "latency_ms")],
)  # fmt: skip
def test_a_misspelt_metric_is_told_what_may_be_meant(text: str, meant: str) -> None:
    with pytest.raises(UserError) as error:
        parse_objective(text)
    assert f"(did you mean {meant}?)" in str(error.value)
    assert "known are val_accuracy, accuracy, val_f1_score" in str(error.value)
    assert "(did you mean val_accuracy?)" in _refused_by_space("val_acuracy:max")
    assert "did you mean" not in _refused_by_space("val_zzz:max")


def _refused_by_space(text: str) -> str:
    with pytest.raises(UserError) as error:
        check_reported(parse_objective(text), ("accuracy", "loss"))
    return str(error.value)


def test_more_finalists_than_trials_are_said() -> None:
    assert notices(SearchConfig("mnist_cnn", max_trials=3, confirm=3)) == []
    (line,) = notices(SearchConfig("mnist_cnn", max_trials=1, confirm=3))
    assert line == "--confirm 3 is above --max-trials 1: there can be no more than 1 finalist"


def test_a_setting_of_the_pruner_is_called_so() -> None:
    def refused(**options: Any) -> str:
        config = SearchConfig("mnist_cnn", method_settings={"factor": "abc"}, **options)
        with pytest.raises(UserError) as error:
            parse_method_settings(config)
        return str(error.value)

    whole = "expected a whole number, 2 or more"
    assert refused(method="tpe", pruner="asha") == (
        f"--method-set factor=abc of --pruner asha: {whole}"
    )
    assert refused(method="hyperband") == f"--method-set factor=abc: {whole}"


def test_what_can_not_change_is_named_as_it_is_written(study_folder: Path) -> None:
    record = json.loads((study_folder / "study.json").read_text())
    with pytest.raises(UserError) as error:
        changed_config(record, study_folder, {"fix": {"dropout": "0.1", "pooling": "max"}})
    assert "was begun with --fix nothing, which can't become dropout=0.1, pooling=max" in str(
        error.value
    )
    with pytest.raises(UserError, match="with --sample 400, which can't become 50 when"):
        changed_config(record, study_folder, {"sample": 50})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serch"], "No such command 'serch'"),
        (["search", "mnist_cnn", "--max-trials", "abc"], "'abc' is not a valid integer"),
        (["search", "mnist_cnn", "--max-tirals", "3"], "--max-trials"),
        (["search", "mnist_cnn", "--max-trials"], "requires an argument"),
        (["show"], "Missing argument 'STUDY'"),
        (["search", "a", "b"], "unexpected extra argument"),
        (["compare", "a", "b", "--difference", "2"], "2.0 is not in the range"),
    ],
)
def test_what_can_not_be_parsed_is_one_line(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert words in line


def test_nothing_is_counted_with_a_plural_in_brackets() -> None:
    """One helper makes plurals (`experiments.record.formatting.plural`)."""
    root = Path(__file__).parents[2]
    files = [p for room in ("experiments", "reports") for p in (root / room).rglob("*.py")]
    found = [
        f"{path.name}: {line.strip()}"
        for path in files
        for line in path.read_text().splitlines()
        if re.search(r"\} [a-z]+\(s\)", line)
    ]
    assert found == []


def test_one_is_and_several_are() -> None:
    assert [are(count) for count in (0, 1, 2)] == ["are", "is", "are"]
    assert str(Pruned(removed=[None])) == "removed 1 entry"  # type: ignore[list-item]
    assert _budget({"max_trials": 1, "max_epochs": 1}, is_script=False) == (
        "1 trial of up to 1 epoch, no early stopping, 1 training a trial"
    )


def test_the_terminal_gives_the_test_score_with_its_interval(study_folder: Path) -> None:
    study = load_study(study_folder)
    found = winner_on_test(study)
    assert found is not None
    shown = f"(95 % interval {score(found[1].low)} to {score(found[1].high)})"
    assert (
        winner_on_test_words(study)
        == f", test accuracy {score(found[1].mean)} of 2 trainings {shown}"
    )
