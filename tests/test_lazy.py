"""Commands that only list or query load no package for training or drawing."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

RECORDED = Path(__file__).parent / "recorded"
TRAINING = ("keras", "keras_tuner", "tensorflow", "optuna", "sklearn", "ray")
DRAWING = ("matplotlib", "seaborn", "scipy", "jinja2", "rich")
COMMAND = """
from experiments.cli.main import main
try:
    main({arguments})
except SystemExit as ended:
    assert not ended.code, ended.code
"""


def loaded(code: str) -> set[str]:
    """Returns the packages that are loaded after a code."""
    shown = "import sys\nprint('loaded:', *{name.partition('.')[0] for name in sys.modules})"
    answer = subprocess.run(
        [sys.executable, "-c", f"{code}\n{shown}"], capture_output=True, text=True, check=True
    )
    return set(answer.stdout.rpartition("loaded:")[2].split())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded studies, one of them of several objectives."""
    folder = tmp_path_factory.mktemp("lazy")
    for path in RECORDED.glob("*.tar.gz"):
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("package", ["reports", "experiments", "experiments.record"])
def test_an_import_loads_nothing_heavy(package: str) -> None:
    heavy = {*TRAINING, *DRAWING, "pandas", "numpy"}
    assert not loaded(f"import {package}") & heavy


@pytest.mark.parametrize("command", [["--help"], ["status", "--help"], ["list", "--help"]])
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    heavy = {*TRAINING, *DRAWING, "pandas", "numpy"}
    assert not loaded(COMMAND.format(arguments=command)) & heavy


def test_status_loads_no_frames(runs: Path) -> None:
    command = ["status", "brackets", "--runs-dir", str(runs)]
    assert not loaded(COMMAND.format(arguments=command)) & {*TRAINING, *DRAWING, "pandas"}


def test_list_loads_frames_for_several_objectives_alone(runs: Path) -> None:
    command = COMMAND.format(arguments=["list", "--runs-dir", str(runs)])
    assert loaded(command) & {*TRAINING, *DRAWING, "pandas"} == {"pandas"}


def test_the_page_of_all_studies_loads_nothing_that_trains_or_draws(runs: Path) -> None:
    command = COMMAND.format(arguments=["report", "--all", "--runs-dir", str(runs)])
    assert not loaded(command) & {*TRAINING, "matplotlib", "seaborn"}
