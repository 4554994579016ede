"""Fixtures: one small real search on embedded data, shared by the tests that only read it."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.slow import mark_slow

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Real data that developers keep beside the checkout; tests that need it skip without it.
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
if (SHARED / "keras_home").is_dir():
    os.environ["KERAS_HOME"] = str(SHARED / "keras_home")  # Keras reads it once, at its import


# What the extras of pyproject.toml bring; a test that has the mark of one needs all of it.
EXTRAS = {
    "cluster": ("ray",),
    "export": ("tf2onnx", "onnx", "onnxruntime"),
    "gp": ("greenlet", "torch"),
    "mlflow": ("mlflow",),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds an option for where extras are installed in order to be tested."""
    parser.addoption(
        "--strict-extras", action="store_true", help="fail where an extra is missing, don't skip"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks slow tests, which `make quick` leaves out."""
    mark_slow(items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test whose extra is not installed; `scripts/test-extras` installs and runs each."""
    for extra, modules in EXTRAS.items():
        missing = [name for name in modules if find_spec(name) is None]
        if item.get_closest_marker(extra) and missing:
            say = pytest.fail if item.config.getoption("--strict-extras") else pytest.skip
            say(f"the extra [{extra}] is not installed: {', '.join(missing)}")


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared arrays, made once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """A study of three trials on digits, its two finalists confirmed over two seeds."""
    from experiments import SearchConfig, run_search

    config = SearchConfig(
        space="mnist_cnn",
        dataset="digits",
        max_trials=3,
        max_epochs=3,
        name="small",
        confirm=2,
        seeds=2,
        runs_dir=str(tmp_path_factory.mktemp("runs")),
        cache_dir=str(cache_dir),
    )
    return run_search(config).folder


@pytest.fixture(scope="session")
def page(study_folder: Path) -> Path:
    """The report of `study_folder`, written anew."""
    from reports import write_report

    return write_report(study_folder)


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches write no report: it takes seconds, and the test doesn't look at it."""
    monkeypatch.setattr(
        "reports.write_report", lambda folder, *_: Path(folder) / "report/index.html"
    )


@pytest.fixture
def tfds_dir() -> str:
    """Folder of prepared tensorflow-datasets."""
    folder = SHARED / "tfds"
    if not folder.is_dir():
        pytest.skip("real datasets are not beside this checkout")
    return str(folder)


@pytest.fixture
def imagenet() -> None:
    """ImageNet weights without a network."""
    if not (SHARED / "keras_home").is_dir():
        pytest.skip("ImageNet weights are not beside this checkout")
