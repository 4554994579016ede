"""Texts to the terminal: names of studies and folders can't control it."""

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from experiments.cli.main import main
from experiments.config import SearchConfig
from experiments.data.prepare import PreparedData
from experiments.display.live import LiveDisplay
from experiments.process.output import echo, printable
from tests.reports.synthetic import Synthetic, write_study

HOSTILE = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202ertl\r[bold]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ü, 漢, 👍\ttab\nline", "plain, ü, 漢, 👍\ttab\nline"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m\x7f\x00", "\\x9b31m\\x7f\\x00"),
        ("a\rb", "a\\rb"),
        ("\u202ertl\u2066", "\\u202ertl\\u2066"),
        ("caf\udce9 \ud800", "caf\\xe9 \\ud800"),
        ("[/raw]", "[/raw]"),
    ],
)
def test_what_would_steer_a_terminal_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_texts_of_one_line_stay_on_it() -> None:
    assert printable("a\nb\tc", one_line=True) == "a\\nb\\tc"


def test_an_output_of_few_characters_gets_what_it_can_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    echo("ü \udce9")
    assert raw.getvalue() == b"\\xfc \\xe9\n"


def data(name: str) -> PreparedData:
    classes = (f"{name} a", "[/raw]")
    counts = {"train": 1, "validation": 1, "test": 1}
    return PreparedData("", name, classes, (8, 8, 1), counts, "0", (f"{name} (x)",), notes=(name,))


@pytest.mark.parametrize("name", ["set [old]", "[/raw]", HOSTILE])
def test_the_live_display_shows_texts_as_they_are(name: str) -> None:
    written = io.StringIO()
    console = Console(file=written, width=150, height=60)  # no terminal, so no escapes of its own
    display = LiveDisplay(console)
    config = SearchConfig(space="mnist_cnn", dataset=f"folder:{Path('x') / 'y'}")
    object.__setattr__(config, "dataset", f"folder:{name}")
    display.preparing(1, 2, name)
    display.search_started(name, config, data(name))
    display.notice(name)
    for trial_id, value in (("0", name), ("1", "another")):
        display.trial_started(trial_id, {name: value}, 2)
        console.print(display)
        display.trial_ended(trial_id, "failed", None, name)
    display.computing(name, 1, 2)
    console.print(display)
    found = written.getvalue()
    assert f"on folder:{printable(name)}" in found
    assert f"2 classes: {printable(name)} a, [/raw]" in found
    assert f"trial 0 failed: {printable(name)}" in found
    assert not set(found) & set("\x1b\x07\x9b\u202e\r")


def hostile_study(runs: Path) -> None:
    """A study with hostile texts, names of its hyperparameters and its folder's among them."""
    folder = write_study(runs, Synthetic(6, name="study", num_failed=1))
    record = json.loads((folder / "study.json").read_text())
    record["config"]["space"] = record["config"]["dataset"] = record["config"]["method"] = HOSTILE
    (folder / "study.json").write_text(json.dumps(record))
    hostile = json.dumps(HOSTILE)[1:-1]
    for path in (folder / "study.json", *folder.glob("trial_*/*.json")):
        text = path.read_text()
        for word in ("dropout", "average", "val_accuracy"):
            text = text.replace(f'"{word}"', f'"{hostile}{word}"')
        path.write_text(text)
    folder.rename(runs / "\x1b[31mstudy")


@pytest.mark.parametrize("command", [["list"], ["show", "*"], ["show", "*", "0"], ["status", "*"]])
def test_commands_print_no_escape_of_a_study(tmp_path: Path, command: list[str]) -> None:
    hostile_study(tmp_path)
    command = [str(tmp_path / "\x1b[31mstudy") if part == "*" else part for part in command]
    where = ["--runs-dir", str(tmp_path)]
    answer = CliRunner().invoke(main, [*command, *where], color=True)
    assert answer.exit_code == 0, answer.output
    assert not set(answer.output) & set("\x1b\x07\x9b\u202e\r")
    assert "[31mred" in answer.output or "[31mstudy" in answer.output


def test_an_error_prints_no_escape(tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["show", "\x1b[31mred"], color=True)
    assert answer.exit_code == 2
    assert "\\x1b[31mred" in answer.stderr
    assert "\x1b" not in answer.output + answer.stderr
