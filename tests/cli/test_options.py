"""An option of a search is stated once: command line, docstring, TOML and resume agree with it."""

import re
from dataclasses import fields
from typing import Any

import pytest
from click import Context
from click.testing import CliRunner

from experiments.catalogue import COSTS, METHODS, PRUNERS, shown_names
from experiments.cli.main import main
from experiments.cli.options import parse_options
from experiments.config import OPTIONS, SearchConfig
from experiments.option import Kind
from experiments.record.errors import UserError
from experiments.search.resume import CHANGEABLE


def said() -> dict[str, str]:
    """The arguments of `SearchConfig` by its docstring."""
    text = (SearchConfig.__doc__ or "").partition("Args:\n")[2]
    entries = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", text, re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in entries}


def test_the_docstring_names_every_field_in_order() -> None:
    assert list(said()) == [field.name for field in fields(SearchConfig)]


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("method", METHODS),
        ("pruner", PRUNERS),
        ("dataset", shown_names()),
        ("objective", COSTS),
    ],
)
def test_the_docstring_names_every_choice(name: str, choices: Any) -> None:
    assert set(choices) <= set(re.findall(r"`([^`]+)`", said()[name]))


@pytest.mark.parametrize("name", OPTIONS)
def test_bounds_of_the_docstring_hold(name: str) -> None:
    stated = re.search(r"at least (\d+)|(\d+) or more", said()[name])
    if stated:
        assert int(stated[1] or stated[2]) == OPTIONS[name].least


@pytest.mark.parametrize("command", ["search", "resume"])
def test_every_option_is_on_the_command_line(command: str) -> None:
    params = {param.name: param for param in main.commands[command].params}
    for name, known in OPTIONS.items():
        assert known.flag in params[name].opts
        if (command, name) != ("resume", "dataset"):
            assert getattr(params[name], "help", "").startswith(known.help)


@pytest.mark.parametrize("command", ["resume", "measure"])
def test_data_of_a_study_are_named_where_they_have_moved(command: str) -> None:
    (now,) = [p for p in main.commands[command].params if p.name == "dataset"]
    (of_reproduce,) = [p for p in main.commands["reproduce"].params if p.name == "dataset"]
    record = now.get_help_record(Context(main.commands[command]))
    assert record == of_reproduce.get_help_record(Context(main.commands["reproduce"]))
    assert "moved" in str(record)


def test_help_of_resume_shows_what_it_may_change_and_no_default_but_the_record() -> None:
    params = {param.name: param for param in main.commands["resume"].params}
    shown = {name for name in OPTIONS if not getattr(params[name], "hidden", False)}
    assert shown == {*CHANGEABLE, "dataset", "runs_dir"}
    assert not any("[default" in str(getattr(params[name], "help", "")) for name in shown)


@pytest.mark.parametrize(
    "name", [n for n, known in OPTIONS.items() if known.kind in (Kind.WHOLE, Kind.NUMBER)]
)
def test_bounds_are_checked(name: str) -> None:
    known = OPTIONS[name]
    SearchConfig("mnist_cnn", **{name: known.least})
    for wrong in (known.least - 1, True, "3"):
        with pytest.raises(UserError, match=f"{known.flag} should be .*{known.least} or more"):
            SearchConfig("mnist_cnn", **{name: wrong})


def test_what_may_change_on_resume_is_a_property_of_the_option() -> None:
    assert "max_trials" in CHANGEABLE
    assert not {"space", "dataset", "method", "objective", "seed", "pruner"} & {*CHANGEABLE}


def test_lists_of_the_command_line_follow_those_of_a_file(tmp_path: Any) -> None:
    path = tmp_path / "options.toml"
    path.write_text(
        'sources = ["a"]\ntries = [{units = 1}]\nobjective = ["x:max"]\n[fix]\nunits = 2\n'
    )
    chosen = parse_options(
        str(path),
        sources=("b",),
        tries=("rate=1,2,units=3",),
        objective=("val_loss",),
        fix=("rate=4",),
        seed=None,
        keep=0,
    )
    assert chosen == {
        "sources": ["a", "b"],
        "tries": [{"units": 1}, {"rate": "1,2", "units": "3"}],
        "objective": ["val_loss"],
        "fix": {"units": 2, "rate": "4"},
        "keep": 0,
    }


@pytest.mark.parametrize("command", ["cache", "datasets", "spaces"])
def test_what_reads_no_study_takes_no_folder_of_studies(command: str) -> None:
    assert "runs_dir" not in {param.name for param in main.commands[command].params}


@pytest.mark.parametrize("name", ["runs_dir", "data_dir", "cache_dir"])
def test_a_folder_with_a_null_byte_is_refused_in_one_line(name: str, tmp_path: Any) -> None:
    path = tmp_path / "options.toml"
    path.write_text(f'space = "mnist_cnn"\ndataset = "digits"\n{name} = "a\\u0000b"\n')
    result = CliRunner().invoke(main, ["search", "--config", str(path), "--max-trials", "1"])
    assert result.exit_code == 2
    flag = f"--{name.replace('_', '-')}"
    assert result.stderr == f"error: {flag}: a folder's name has no null byte; got 'a\\x00b'\n"
