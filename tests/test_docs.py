"""What there is, is documented; what is documented, is there."""

from pathlib import Path

import pytest

from experiments.catalogue import DATASETS
from experiments.cli.main import main
from search_spaces import names

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"experiments {command}" in README


@pytest.mark.parametrize("name", [*names(), *DATASETS])
def test_every_space_and_dataset_is_in_the_readme(name: str) -> None:
    assert name in README


@pytest.mark.parametrize(
    "option", [o for p in main.commands["search"].params for o in p.opts if o.startswith("--")]
)
def test_every_option_of_search_is_in_the_readme(option: str) -> None:
    assert option in README
