"""Ranges that are changed: `--range` on search and resume, in every method and in the record."""

import json
import re
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from click.testing import CliRunner, Result
from keras_tuner.engine import trial as trial_module

from experiments import SearchConfig, UserError, run_search
from experiments.cli.main import main
from experiments.hyperparameters.ranges import check_buildable, ranged, searched_space, widened
from experiments.hyperparameters.space import check_ranges_used, explore, fixed
from experiments.methods.make import make_oracle
from experiments.search.resuming import resume_search
from experiments.search.run import describe_space
from reports import load_study
from reports.analysis.facts import facts
from reports.analysis.health import health
from reports.page.terminal import study_text
from search_spaces.base import ImageSpace
from search_spaces.mnist_cnn import MnistCnn
from search_spaces.transfer_head import TransferHead
from tests.one_structure import STRUCTURE
from tests.search_spaces.test_bases import own_backbone
from tests.stand_ins import unwritten

RUNNING, COMPLETED = trial_module.TrialStatus.RUNNING, trial_module.TrialStatus.COMPLETED


def hyperparameter(space: keras_tuner.HyperParameters, name: str) -> Any:
    return next(hp for hp in space.space if hp.name == name)


def mnist(**ranges: Any) -> keras_tuner.HyperParameters:
    return ranged(explore(MnistCnn((28, 28, 1), 10)), ranges, MnistCnn.held)


def searched(fix: Any = None, recorded: Any = None, **ranges: Any) -> keras_tuner.HyperParameters:
    config = SearchConfig("mnist_cnn", fix=fix or {}, ranges=ranges)
    return searched_space(MnistCnn((28, 28, 1), 10), config, recorded)


def test_what_the_space_holds_is_opened_by_range_or_fix() -> None:
    assert searched().values["weight_decay"] == 0
    assert type(hyperparameter(searched(), "weight_decay")).__name__ == "Fixed"
    decay = hyperparameter(searched(weight_decay="1e-5:1e-2"), "weight_decay")
    assert (decay.min_value, decay.max_value, decay.sampling) == (1e-5, 1e-2, "log")
    assert hyperparameter(searched(warmup_epochs="0:3"), "warmup_epochs").default == 0
    assert searched({"label_smoothing": "0.1"}).values["label_smoothing"] == 0.1
    assert searched({"weight_decay": "0"}).values["weight_decay"] == 0  # outside its log range
    with pytest.raises(UserError, match="label_smoothing=7: expected number from 0 to"):
        searched({"label_smoothing": 7})


@pytest.mark.parametrize(
    ("name", "wide"),
    [("learning_rate", "1e-5:1e-1"), ("dropout", "0:0.8"), ("filters_0", "8:64"),
     ("pooling", "max,average,stride,median"), ("conv_blocks", "1:4")],
)  # fmt: skip
def test_a_range_that_the_space_has_narrowed_since_stays_as_recorded(name: str, wide: str) -> None:
    recorded = json.loads(json.dumps(describe_space(searched(**{name: wide}))))
    assert describe_space(searched(recorded=recorded)) == recorded
    assert describe_space(searched()) == describe_space(searched(recorded=describe_space(mnist())))


def test_what_the_space_holds_can_be_opened_later_if_its_range_has_the_value() -> None:
    before = describe_space(searched())
    changes = widened(before, describe_space(searched(label_smoothing="0:0.2")))
    assert [(c.name, c.was, c.now) for c in changes] == [("label_smoothing", "0", "0 to 0.2")]
    with pytest.raises(UserError, match="'weight_decay' was Fixed"):
        widened(before, describe_space(searched(weight_decay="1e-5:1e-2")))


def test_what_a_study_has_not_recorded_stays_out_of_it() -> None:
    recorded = [hp for hp in describe_space(searched()) if hp["name"] not in MnistCnn.added]
    assert describe_space(searched(recorded=recorded)) == recorded
    unknown = [hp for hp in recorded if hp["name"] != "dropout"]  # it was always there
    assert "dropout" in searched(recorded=unknown).values


def test_steps_scales_conditions_and_order_stay() -> None:
    space = mnist(
        filters_1="8:256", learning_rate="1e-5:1", batch_size="128,16", pooling="max,stride"
    )
    filters, own = hyperparameter(space, "filters_1"), hyperparameter(mnist(), "filters_1")
    assert tuple(map(int, filters.values)) == (8, 16, 32, 64, 128, 256)
    assert (filters.conditions, filters.sampling) == (own.conditions, "log")
    rate = hyperparameter(space, "learning_rate")
    assert (rate.min_value, rate.max_value, rate.sampling, rate.default) == (1e-5, 1, "log", 1e-3)
    assert hyperparameter(space, "batch_size").values == [16, 128]
    assert hyperparameter(space, "pooling").values == ["max", "stride"]
    assert [hp.name for hp in space.space] == [hp.name for hp in mnist().space]


def test_a_default_outside_moves_to_the_nearest_value() -> None:
    space = mnist(
        learning_rate="2e-3:1e-2",
        filters_0="64:256",
        pooling="average,stride",
        batch_size="128,256",
    )
    defaults = {hp.name: hp.default for hp in space.space}
    assert (defaults["learning_rate"], defaults["filters_0"]) == (2e-3, 64)
    assert (defaults["pooling"], defaults["batch_size"]) == ("average", 128)


@pytest.mark.parametrize("given", ["0:0.3", "0.1:0.3", "0.2:0.3", "0:0.7", "0.1:0.5"])
def test_the_upper_end_of_a_stepped_range_is_reached(given: str) -> None:
    """Keras Tuner counts steps by a division that rounds down: 0.3 / 0.1 is 2 to it."""
    values = list(hyperparameter(mnist(dropout=given), "dropout").values)
    low, high = map(float, given.split(":"))
    assert values[0] == low
    assert values[-1] == pytest.approx(high)
    assert len(values) == round((high - low) / 0.1) + 1


def test_what_is_held_has_no_range() -> None:
    config = SearchConfig(
        "mnist_cnn", fix={"learning_rate": 0.001}, ranges={"learning_rate": "1e-4:1e-1"}
    )
    with pytest.raises(UserError, match="it is held by --fix learning_rate"):
        searched_space(MnistCnn((28, 28, 1), 10), config)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [({"learning_rate": "2e-3:1e-2"}, {"learning_rate": "1e-4:1e-2"}),
     ({"pooling": "average,stride"}, {"pooling": "max,average,stride"}),
     ({"dropout": "0.1:0.4"}, {"dropout": "0:0.4"})],
)  # fmt: skip
def test_a_range_without_the_default_can_become_wider(
    narrow: dict[str, str], wide: dict[str, str]
) -> None:
    before, after = (describe_space(mnist(**ranges)) for ranges in (narrow, wide))
    assert [change.name for change in widened(before, after)] == list(wide)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("learning_rat", "1:2", "no such hyperparameter; there are kernel_size"),
        ("learning_rate", "0:1", "expected values above 0"),
        ("learning_rate", "1e-2:1e-3", "wrong way round: write learning_rate=1e-3:1e-2"),
        ("learning_rate", "1:0", "expected values above 0"),
        ("learning_rate", "1e-3:1e-3", "the lower one first"),
        ("learning_rate", "1e-3", "expected LO:HI"),
        ("learning_rate", "nan:1", "expected LO:HI"),
        ("learning_rate", "1e-3:inf", "expected LO:HI"),
        ("filters_0", "16:100", "100 is not reached from 16 times 2; 64 or 128 would be"),
        ("filters_0", "16.5:64", "two whole numbers"),
        ("dropout", "0:0.75", "in steps of 0.1; 0.7 or 0.8 would be"),
        ("dropout", "-0.1:0.5", "0 or more"),
        ("dense_units_0", f"32:1{'0' * 400}", "two whole numbers"),
        ("batch_norm", "true,false", "true or false; hold it with --fix"),
        ("pooling", "max", "two or more texts"),
        ("batch_size", "32,many", "two or more whole numbers"),
        ("batch_size", "0,32", "expected values above 0"),
        ("conv_blocks", "1:6", "other hyperparameters depend on it"),
    ],
)
def test_what_is_no_range_is_refused_in_one_line(name: str, given: str, words: str) -> None:
    with pytest.raises(UserError, match=f"^--range {name}.*{words}") as caught:
        mnist(**{name: given})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("pooling", "max,median", "pooling 'median': there are max, average, stride"),
        ("optimizer", ["adam", "lion"], "optimizer 'lion'"),
        ("learning_rate_schedule", "constant,linear", "'linear'"),
        ("dropout", "0:1.6", "can't build a network with dropout 1.6"),
        ("filters_2", "16:256", None),
        ("kernel_size", "3,5,7", None),
    ],
)
def test_the_network_is_built_at_values_the_space_has_not(
    name: str, given: Any, words: str | None
) -> None:
    space = MnistCnn((28, 28, 1), 10)
    wide = ranged(explore(space), {name: given})
    if words is None:
        check_buildable(space, wide, {name: given})
        return
    with pytest.raises(UserError, match=words):
        check_buildable(space, wide, {name: given})


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["stage0", "no_such_layer", "block_8_project"])
def test_a_new_cut_of_the_base_is_tried(cut: str, tmp_path: Path) -> None:
    of_mobilenet = cut.startswith("block")
    own = {"base": own_backbone(tmp_path / "mine.keras")}
    settings: dict[str, Any] = {"alpha": 0.35} if of_mobilenet else own
    space = TransferHead((32, 32, 3), 2, weights="none", **settings)
    ranges = {"unfreeze_from": ["block_16_expand" if of_mobilenet else "stage2", cut]}
    wide = ranged(explore(space), ranges)
    if cut != "no_such_layer":  # the base is cut before the block, where one tensor separates it
        check_buildable(space, wide, ranges)
    else:
        with pytest.raises(UserError, match=f"can't build a network with unfreeze_from {cut}"):
            check_buildable(space, wide, ranges)


METHODS = ("random", "grid", "hyperband", "bayesian", "tpe", "cmaes", "nsga2", "qmc")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_on_in_a_wider_range(method: str, tmp_path: Path) -> None:
    space = MnistCnn((28, 28, 1), 10)
    held = {"conv_blocks": 1, "dense_layers": 0, "batch_norm": False, "optimizer": "adam",
            "head": "flatten", "augment": "none"}  # fmt: skip
    narrow = SearchConfig(
        "mnist_cnn", dataset="digits", method=method, max_trials=60, max_epochs=9, fix=held,
        ranges={"learning_rate": "1e-3:2e-3", "filters_0": "16:32"},
    )  # fmt: skip
    before = opened(narrow, space, tmp_path)
    run(before, 14)
    wide = SearchConfig(**(narrow.as_dict() | {"ranges": {"filters_0": "8:128"}}))
    after = opened(wide, space, tmp_path)
    after.reload()
    kept = {i: dict(t.hyperparameters.values) for i, t in before.trials.items()}
    assert {i: dict(t.hyperparameters.values) for i, t in after.trials.items()} == kept
    run(after, 30)
    assert {i: dict(after.trials[i].hyperparameters.values) for i in kept} == kept
    new = [t.hyperparameters.values for i, t in after.trials.items() if i not in kept]
    drawn = [v for v in new if not v.get("tuner/round")]
    if method == "grid":  # in its order: what comes first and was not tried yet
        assert any(not 1e-3 <= v["learning_rate"] <= 2e-3 for v in drawn)
    else:
        assert any(v["filters_0"] in (8, 64, 128) for v in drawn)
    assert {v["filters_0"] for v in new} <= {8, 16, 32, 64, 128}
    again = opened(wide, space, tmp_path)
    again.reload()
    number = f"{len(after.trials):04d}"
    for oracle in (after, again):
        oracle._seed_state = oracle.derived_seed(int(number))
    assert again.populate_space(number) == after.populate_space(number)


def test_points_to_begin_with_are_those_of_the_range() -> None:
    def tried(**ranges: str) -> Any:
        config = SearchConfig(
            "mnist_cnn",
            method="tpe",
            tries=[{"learning_rate": "0.5"}],
            try_default=False,
            ranges=ranges,
        )
        return make_oracle(config, searched_space(MnistCnn((28, 28, 1), 10), config))

    assert tried(learning_rate="1e-4:1").populate_space("0000")["values"]["learning_rate"] == 0.5
    with pytest.raises(UserError, match=r"--try learning_rate=0.5: expected number from 0.0001"):
        tried()


def opened(config: SearchConfig, space: ImageSpace, folder: Path) -> Any:
    oracle = make_oracle(config, searched_space(space, config))
    oracle._set_project_dir(str(folder), "project")
    return oracle


def run(oracle: Any, num_trials: int) -> None:
    while len(oracle.end_order) < num_trials:
        trial = oracle.create_trial("slot0")
        if trial.status != RUNNING:
            return
        values = trial.hyperparameters.values
        score = values.get("filters_0", 0) / 100 - abs(values["learning_rate"] - 0.005)
        oracle.update_trial(trial.trial_id, {"val_accuracy": score})
        trial.status = COMPLETED
        oracle.end_trial(trial)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """A study of two trials in a range of its own."""
    config = SearchConfig(
        "mnist_cnn", dataset="digits", sample=100, max_trials=2, max_epochs=1, name="narrow",
        confirm=0, fix={n: v for n, v in STRUCTURE.items() if n not in ("filters_0", "pooling")},
        ranges={"learning_rate": "1e-3:2e-3", "pooling": ["max", "stride"]},
        runs_dir=str(tmp_path_factory.mktemp("narrow")), cache_dir=str(cache_dir),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("reports.write_report", unwritten)
        return run_search(config).folder


def call(command: str, study: Path, *options: str) -> Result:
    arguments = [command, study.name, "--runs-dir", str(study.parent), *options]
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("learning_rate=1e-3:1.5e-3", "'learning_rate' was .*max_value 0.002.*max_value 0.0015"),
        ("learning_rate=1.5e-3:1", "not by wider ranges alone"),
        ("pooling=max,average", "'pooling' was .*'stride'"),
        ("filters_0=12:96", "'filters_0'"),  # 16 and 32 would not be in it
        ("dropout=0:2.5", "can't build"),
    ],
)
def test_a_range_is_not_narrowed_on_resume(option: str, words: str, narrow: Path) -> None:
    before = (narrow / "study.json").read_bytes()
    result = call("resume", narrow, "--range", option, "--workers", "0")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert re.search(words, result.stderr), result.stderr
    assert (narrow / "study.json").read_bytes() == before


@pytest.mark.usefixtures("without_report")
def test_points_of_before_are_not_tried_again_when_a_default_has_moved(
    tmp_path: Path, cache_dir: Path
) -> None:
    config = SearchConfig(
        "mnist_cnn", dataset="digits", method="tpe", sample=100, max_trials=2, max_epochs=1,
        name="points", confirm=0, fix={n: v for n, v in STRUCTURE.items() if n != "filters_0"},
        ranges={"learning_rate": "1e-4:5e-4"}, tries=[{"filters_0": "16"}],
        runs_dir=str(tmp_path), cache_dir=str(cache_dir),
    )  # fmt: skip
    run_search(config)
    wider = {"ranges": {"learning_rate": "1e-4:1e-2"}, "tries": [{"filters_0": "64"}]}
    resume_search(tmp_path / "points", changes=wider | {"max_trials": 3})
    trials = load_study(tmp_path / "points").trials
    assert list(trials["filters_0"]) == [32, 16, 64]
    assert list(trials["learning_rate"]) == [5e-4, 5e-4, 1e-3]


@pytest.mark.usefixtures("without_report")
def test_a_range_is_widened_on_resume_and_recorded(narrow: Path) -> None:
    first = load_study(narrow)
    assert first.trials["learning_rate"].between(1e-3, 2e-3).all()
    assert ("ranges", "learning_rate = 1e-3:2e-3, pooling = max, stride") in facts(first)
    trials = [(narrow / f"trial_{i}" / "trial.json").read_bytes() for i in ("0000", "0001")]
    changes = {"ranges": {"learning_rate": "1e-3:1e-1"}, "max_trials": 5}
    resume_search(narrow, changes=changes)
    study = load_study(narrow)
    assert study.trials["learning_rate"].max() > 2e-3
    assert set(study.trials["pooling"]) <= {"max", "stride"}  # the other range holds on
    assert study.hyperparameters["learning_rate"]["max_value"] == 0.1
    assert [(narrow / f"trial_{i}" / "trial.json").read_bytes() for i in ("0000", "0001")] == trials
    sessions = json.loads((narrow / "study.json").read_text())["sessions"]
    change = {"name": "learning_rate", "was": "0.001 to 0.002", "now": "0.001 to 0.1"}
    assert [s.get("widened") for s in sessions] == [None, [change]]
    said = "learning_rate from trial 2 on: 0.001 to 0.1 (before: 0.001 to 0.002)"
    assert ("widened", said) in facts(study)
    assert f"widened: {said}" in study_text(study)
    assert any(said in finding.title for finding in health(study))
    # The study can be opened by plain Keras Tuner as before, and resumed without saying it again.
    resume_search(narrow, changes={"max_trials": 6})
    assert len(load_study(narrow).trials) == 6


@pytest.mark.parametrize("method", METHODS)
def test_every_method_draws_of_several_bases_what_the_drawn_one_has(
    method: str, tmp_path: Path
) -> None:
    space = TransferHead((32, 32, 3), 2, base="MobileNet,VGG16", weights="none")
    config = SearchConfig(
        "transfer_head", dataset="digits", method=method, max_trials=30, max_epochs=9,
        settings={"base": "MobileNet,VGG16"},
    )  # fmt: skip
    oracle = opened(config, space, tmp_path)
    run(oracle, 12)
    drawn = [dict(trial.hyperparameters.values) for trial in oracle.trials.values()]
    for values in drawn:
        own = {name for name in values if name.startswith("unfreeze_from")}
        assert own == ({f"unfreeze_from_{values['base']}"} if values["unfreeze"] else set())
        assert ("fine_tune_schedule" in values) == values["unfreeze"]


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ("0", "--range dense_units_0: it is used only where dense_layers is 1 or 2, but "
         "dense_layers is fixed at 0"),
        ("1", ""),
    ],
)  # fmt: skip
def test_a_range_of_what_is_switched_off_is_refused(
    held: str, words: str, tmp_path: Path, cache_dir: Path
) -> None:
    given = ("--fix", f"dense_layers={held}", "--range", "dense_units_0=32:64")
    folder = tmp_path / "runs"
    arguments = ["search", "mnist_cnn", "--dataset", "digits", *given, "--runs-dir", str(folder)]
    arguments += ["--cache-dir", str(cache_dir), "--sample", "100", "--workers", "0"]
    arguments += ["--max-trials", "2", "--max-epochs", "1", "--confirm", "0"]
    if not words:  # it goes on, to what is refused later
        arguments += ["--try", "units=3", "--method", "tpe"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert not folder.exists()
    assert (words or "--try units: no such hyperparameter") in result.stderr


def test_what_is_declared_twice_is_in_use_if_one_of_them_is() -> None:
    hp = keras_tuner.HyperParameters()
    kind = hp.Choice("kind", ["a", "b", "c"])
    for name in ("a", "b"):
        with hp.conditional_scope("kind", [name]):
            hp.Int("units", 1, 8)
    assert kind == "a"
    for name in ("a", "b"):
        check_ranges_used(fixed(hp, {"kind": name, "units": 3}), ["units"])
    with pytest.raises(UserError, match="--fix units: it is used only where kind is a, but kind"):
        fixed(hp, {"kind": "c", "units": 3})
