"""Commands that only list or query load no package for training or drawing."""

import shutil
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


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded studies, one of them of several objectives."""
    folder = tmp_path_factory.mktemp("lazy")
    for path in RECORDED.glob("*.tar.gz"):
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def after(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What is loaded after each of these, which one process does: the later may load more."""
    single = tmp_path_factory.mktemp("single")
    shutil.copytree(runs / "random-four", single / "random-four")
    commands = {
        "help": ["--help"],
        "help of status": ["status", "--help"],
        "help of list": ["list", "--help"],
        "status": ["status", "brackets", "--runs-dir", str(runs)],
        "list of one objective": ["list", "--runs-dir", str(single)],
        "list": ["list", "--runs-dir", str(runs)],
        "page": ["report", "--all", "--runs-dir", str(runs)],
    }
    codes = {"imports": "import reports, experiments, experiments.record"}
    codes |= {name: COMMAND.format(arguments=command) for name, command in commands.items()}
    shown = "import sys\nprint('loaded:', *{name.partition('.')[0] for name in sys.modules})"
    text = "\n".join(f"{code}\n{shown}" for code in codes.values())
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("loaded:")]
    return {name: set(line.split()[1:]) for name, line in zip(codes, lines, strict=True)}


@pytest.mark.parametrize("what", ["imports", "help", "help of status", "help of list"])
def test_imports_and_help_load_nothing_heavy(what: str, after: dict[str, set[str]]) -> None:
    assert not after[what] & {*TRAINING, *DRAWING, "pandas", "numpy"}


def test_status_loads_no_frames(after: dict[str, set[str]]) -> None:
    assert not after["status"] & {*TRAINING, *DRAWING, "pandas"}


def test_list_loads_frames_for_several_objectives_alone(after: dict[str, set[str]]) -> None:
    assert not after["list of one objective"] & {*TRAINING, *DRAWING, "pandas"}
    assert after["list"] & {*TRAINING, *DRAWING, "pandas"} == {"pandas"}


def test_the_page_of_all_studies_loads_nothing_that_trains_or_draws(
    after: dict[str, set[str]],
) -> None:
    assert not after["page"] & {*TRAINING, "matplotlib", "seaborn"}


def test_names_to_write_a_script_with_load_nothing_that_trains_or_draws() -> None:
    code = "import experiments as e; print(e.SearchResult, e.InterruptedSearchError)\n"
    shown = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    line = [sys.executable, "-c", code + shown]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert not {*done.stdout.split()} & {*TRAINING, *DRAWING, "pandas"}
