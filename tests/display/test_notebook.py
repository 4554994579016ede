"""Progress in a notebook: one output of the cell, which shows the terminal's table."""

import builtins
import sys
import threading
import types
from dataclasses import replace
from typing import Any

import pytest

from experiments.config import SearchConfig
from experiments.data.prepare import PreparedData
from experiments.data.sources.base import Inputs
from experiments.display import make_display
from experiments.display.plain import PlainDisplay

_DATA = PreparedData("", "", (), (0, 0, 0), {}, "")


class _Handle:
    """An output of a cell; keeps what it has shown."""

    def __init__(self, shown: dict[str, str]) -> None:
        self.shown = [shown]

    def update(self, shown: dict[str, str], raw: bool) -> None:
        assert raw
        self.shown.append(shown)


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> list[_Handle]:
    """The outputs of the cell of a notebook, whose kernel this process is."""
    made: list[_Handle] = []

    def display(shown: dict[str, str], raw: bool, display_id: bool) -> _Handle:
        assert raw
        assert display_id
        made.append(_Handle(shown))
        return made[-1]

    shell = type("ZMQInteractiveShell", (), {})()
    module: Any = types.ModuleType("IPython")
    module.display = types.ModuleType("IPython.display")
    module.display.display = display
    module.__spec__ = types.SimpleNamespace(name="IPython")
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    monkeypatch.setattr(builtins, "get_ipython", lambda: shell, raising=False)
    return made


def test_frames_are_not_kept(outputs: list[_Handle]) -> None:
    display = make_display(False)
    _search(display)
    assert display._console.file.getvalue() == ""


def _search(display: Any) -> None:
    with display:
        display.search_started("mine", SearchConfig("mnist_cnn", max_trials=2), _DATA)
        display.recalled(0, None)
        display.notice("a <notice>")
        display.trial_started("0000", {"units": 3}, 2)
        display.epoch_ended(0, 0, {"val_accuracy": 0.5}, "0000")
        display.trial_ended("0000", "completed", 0.75, None)


@pytest.mark.parametrize(
    ("status", "values"),
    [("pruned", {}), ("completed", {"tuner/round": 0, "tuner/bracket": 2})],
)
def test_only_a_trial_that_was_trained_whole_is_the_best(
    status: str, values: dict[str, int], outputs: list[_Handle]
) -> None:
    display: Any = make_display(False)
    with display:
        display.search_started("mine", SearchConfig("mnist_cnn", max_trials=2), _DATA)
        for trial, of, score in (("0000", {}, 0.75), ("0001", values, 0.95)):
            display.trial_started(trial, of, 2)
            display.trial_ended(trial, status if of is values else "completed", score, None)
    assert display._best == (0.75, "0000")
    assert "0.7500 *" in outputs[0].shown[-1]["text/plain"]


def test_a_hyperparameter_of_later_trials_has_a_column(outputs: list[_Handle]) -> None:
    display: Any = make_display(False)
    with display:
        display.search_started("mine", SearchConfig("mnist_cnn", max_trials=2), _DATA)
        for trial, values in (("0000", {}), ("0001", {"units_1": 24})):
            display.trial_started(trial, values, 2)
            display.trial_ended(trial, "completed", 0.5, None)
    assert "units_1" in outputs[0].shown[-1]["text/plain"]


@pytest.mark.parametrize(("inputs", "noun"), [(Inputs.IMAGES, "images"), (Inputs.ARRAYS, "rows")])
def test_features_are_counted_in_what_the_data_have(
    inputs: Inputs, noun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    display = PlainDisplay()
    display.search_started("mine", SearchConfig("mnist_cnn"), replace(_DATA, inputs=inputs))
    display.computing("features", 0, 8)
    display.computing("features", 8, 8)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"features: 8 {noun} in")
    assert last.endswith(f" {noun}/s)")


def test_a_notebook_shows_the_table_in_one_output(
    outputs: list[_Handle], capsys: pytest.CaptureFixture[str]
) -> None:
    num_threads = threading.active_count()
    _search(make_display(quiet=False))
    assert threading.active_count() == num_threads
    (output,) = outputs
    assert len(output.shown) >= 2
    last = output.shown[-1]
    for words in ("study mine", "0.75", "1/2"):
        assert words in last["text/plain"]
        assert words in last["text/html"]
    assert last["text/plain"].count("study mine") == 1
    assert "a &lt;notice&gt;" in last["text/html"]
    assert "\x1b" not in last["text/plain"]
    assert capsys.readouterr().out == ""


def test_a_notebook_shows_an_epoch_while_it_runs(
    outputs: list[_Handle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.display.notebook._SECONDS", 0.01)
    seen = threading.Event()
    monkeypatch.setattr(
        _Handle, "update",
        lambda self, shown, raw: seen.set() if "0.5" in shown["text/plain"] else None,
    )  # fmt: skip
    with make_display(quiet=False) as display:
        display.search_started("mine", SearchConfig("mnist_cnn", max_trials=2), _DATA)
        display.trial_started("0000", {}, 2)
        display.epoch_ended(0, 0, {"val_accuracy": 0.5}, "0000")
        assert seen.wait(10)


def test_plain_lines_elsewhere(outputs: list[_Handle], monkeypatch: pytest.MonkeyPatch) -> None:
    class TerminalInteractiveShell: ...

    monkeypatch.setattr(builtins, "get_ipython", TerminalInteractiveShell, raising=False)
    assert type(make_display(quiet=False)) is PlainDisplay
    monkeypatch.delattr(builtins, "get_ipython")
    assert type(make_display(quiet=False)) is PlainDisplay
    assert not outputs
