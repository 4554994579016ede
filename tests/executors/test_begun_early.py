"""A worker that is started while this process still imports."""

import os
import sys

import psutil
import pytest

from experiments import SearchConfig
from experiments.executors import begun_early, opened
from experiments.executors.processes import ProcessExecutor

CONFIG = SearchConfig("mnist_cnn", dataset="digits", workers=1)


def begun_processes() -> list[psutil.Process]:
    """What workers are copies of, or a worker."""
    known = ("multiprocessing.forkserver", "multiprocessing.spawn")
    children = psutil.Process().children()
    return [one for one in children if any(k in " ".join(one.cmdline()) for k in known)]


def test_a_worker_imports_beside_this_process_and_runs_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    begun = []

    def import_keras() -> None:
        begun.append("imported")

    with begun_early(CONFIG, import_keras) as executor:
        assert isinstance(executor, ProcessExecutor)
        assert (begun, executor.free()) == (["imported"], 1)
        assert len(begun_processes()) == 1
        with opened(CONFIG, executor) as used:
            assert used is executor
    assert not begun_processes()


def test_none_is_left_where_an_import_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    started = []

    def fail() -> None:
        started.extend(begun_processes())
        raise ImportError("no keras")

    with pytest.raises(ImportError), begun_early(CONFIG, fail):
        pass
    assert len(started) == 1
    assert not begun_processes()


def test_the_worker_inherits_what_is_set_before_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    inherited = []

    def noted(executor: ProcessExecutor) -> None:
        inherited.append(os.environ["KERAS_BACKEND"])

    monkeypatch.setattr(ProcessExecutor, "begin", noted)
    with begun_early(CONFIG, lambda: None):
        pass
    assert inherited == ["tensorflow"]


@pytest.mark.parametrize("options", [{"workers": 0}, {"ray": "local"}])
def test_nothing_is_begun_where_trials_run_elsewhere(options: dict[str, object]) -> None:
    done = []
    config = SearchConfig("mnist_cnn", dataset="digits", **options)  # type: ignore[arg-type]
    with begun_early(config, lambda: done.append(1)) as executor:
        assert (executor, done) == (None, [1])
