"""Fixtures: one small real search on embedded data, shared by the tests that only read it."""

import functools
import gc
import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from filelock import FileLock

from tests.slow import mark_slow

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Two processes of tests share two cores: threads of NumPy would wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

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


# Those that take the longest begin first: the last one to end would be waited for by the others.
LONGEST = {
    "test_what_readme_and_the_start_pages_run_works",
    "test_mnist_for_real",
    "test_cats_and_dogs_for_real",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks slow tests, which `make quick` leaves out, and begins with the longest."""
    mark_slow(items)
    items.sort(key=lambda item: getattr(item, "originalname", "") not in LONGEST)


def pytest_collection_finish() -> None:
    """Lets garbage collections skip what imports made; Keras collects before each network."""
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test whose extra is not installed; `scripts/test-extras` installs and runs each."""
    for extra, modules in EXTRAS.items():
        missing = [name for name in modules if find_spec(name) is None]
        if item.get_closest_marker(extra) and missing:
            say = pytest.fail if item.config.getoption("--strict-extras") else pytest.skip
            say(f"the extra [{extra}] is not installed: {', '.join(missing)}")


@pytest.fixture(scope="session", autouse=True)
def unsynced() -> Iterator[None]:
    """Files are not forced to the disk, for which each of a study's would be waited for twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_commit() -> Iterator[None]:
    """Git is asked for the commit once, not three times a study."""
    from experiments.record import study

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "_git", functools.cache(study._git))
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a run of tests have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def cache_dir(shared: Path) -> Path:
    """Prepared arrays, made once for all tests."""
    return shared / "cache"


@pytest.fixture(scope="session")
def study_folder(shared: Path, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three trials on digits, its two finalists confirmed over two seeds.

    One process makes it; each has a copy, which tests read only.
    """
    folder, done = shared / "made" / "small", shared / "made.done"
    with FileLock(shared / "made.lock"):
        if not done.exists():
            _search_small(folder, cache_dir)
            done.touch()
    return Path(shutil.copytree(folder, tmp_path_factory.mktemp("runs") / folder.name))


def _search_small(folder: Path, cache_dir: Path) -> None:
    from experiments import SearchConfig, run_search

    shutil.rmtree(folder, ignore_errors=True)  # of another process, whose search failed
    config = SearchConfig(
        space="mnist_cnn",
        dataset="digits",
        settings={"image_size": 16},  # the least of four blocks
        sample=400,
        max_trials=3,
        max_epochs=3,
        name=folder.name,
        confirm=2,
        seeds=2,
        runs_dir=str(folder.parent),
        cache_dir=str(cache_dir),
    )
    run_search(config)


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches write no report: it takes seconds, and the test doesn't look at it."""
    from tests.stand_ins import unwritten

    monkeypatch.setattr("reports.write_report", unwritten)


@pytest.fixture
def without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports compute figures and their findings, but draw nothing, which takes most of the time.

    For tests that look at a page's words alone.
    """
    from tests.stand_ins import undrawn

    monkeypatch.setattr("reports.figures._render.render", undrawn)


@pytest.fixture
def own_bases() -> Iterator[None]:
    """Nothing that is shared in this process has other weights because of the test."""
    from search_spaces._backbone import part_before, pooled_part, shared_base

    caches = (shared_base, pooled_part, part_before)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


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
