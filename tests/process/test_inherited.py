"""Inherited settings of a process: set, refused in one line, and restored for a caller."""

import multiprocessing
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

import experiments.search.run
from experiments import SearchConfig, UserError, run_search
from experiments.executors import worker
from experiments.executors.processes import ProcessExecutor
from experiments.process.inherited import (
    before_imports,
    follow,
    keras_settings,
    own_keras,
    own_process,
    settled,
)

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = "module://no_such_module.backend_inline"


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("KERAS_BACKEND", "MPLBACKEND", "PYTHONWARNINGS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    yield
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def stopped_at_its_start(monkeypatch: pytest.MonkeyPatch, seen: list[Any]) -> None:
    def stop(config: SearchConfig) -> None:
        keras.backend.clear_session()
        seen.append((keras.config.image_data_format(), keras.config.dtype_policy().name))
        keras.config.set_dtype_policy("mixed_bfloat16")  # as a space may
        raise UserError("enough")

    monkeypatch.setattr(experiments.search.run, "check_new", stop)


def test_a_search_runs_channels_last_and_puts_back_what_the_caller_had_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []
    stopped_at_its_start(monkeypatch, seen)
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float16")  # of keras.json, against which the caller's policy stands
    keras.config.set_dtype_policy("float32")
    with pytest.raises(UserError, match="enough"):
        run_search(SearchConfig("mnist_cnn", dataset="digits"))
    assert seen == [("channels_last", "float32")]
    assert keras.config.image_data_format() == "channels_first"
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float16", "float32")


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
def test_a_callers_dtype_policy_is_refused_and_stays(
    policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    stopped_at_its_start(monkeypatch, seen)
    keras.config.set_dtype_policy(policy)
    with pytest.raises(UserError, match=f"policy is '{policy}'.*float32") as refused:
        run_search(SearchConfig("mnist_cnn", dataset="digits"))
    assert "\n" not in str(refused.value)
    assert (seen, keras.config.dtype_policy().name) == ([], policy)


@pytest.mark.parametrize("name", ["KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP"])
def test_keras_tuners_own_distribution_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "chief")
    with pytest.raises(UserError, match=f"{name} is set.*--workers or --ray"), settled():
        pass


def test_keras_on_another_backend_is_set_aside_or_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(UserError, match=r"imported on torch.*KERAS_BACKEND=tensorflow"):
        before_imports()
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    before_imports()
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    assert capsys.readouterr().err.splitlines() == [
        "KERAS_BACKEND=jax: not followed, TensorFlow trains"
    ]


def test_a_notebooks_figures_are_left_to_it_where_they_can_be_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for given, used in ((NOTEBOOK, "agg"), ("module://json.tool", "module://json.tool")):
        monkeypatch.setenv("MPLBACKEND", given)
        before_imports()
        assert os.environ["MPLBACKEND"] == used


@pytest.mark.parametrize(("given", "used"), [(None, "true"), ("false", "false")])
def test_the_memory_of_a_gpu_is_shared_unless_the_user_says_no(
    given: str | None, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "TF_FORCE_GPU_ALLOW_GROWTH"
    monkeypatch.setenv(name, given or "")
    if given is None:
        monkeypatch.delenv(name)
    monkeypatch.setattr("experiments.executors.processes.gpus", lambda: ["0"])
    assert ProcessExecutor(print, 1)._variables(0)[name] == used
    before_imports()
    assert os.environ[name] == used


def test_warnings_are_no_errors_in_a_process_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "warnoptions", ["error", "ignore::UserWarning"])
    monkeypatch.setenv("PYTHONWARNINGS", "error,ignore::UserWarning")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with settled():
            warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
        with pytest.raises(DeprecationWarning):  # the caller's again
            warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
        own_process()
        warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
    assert sys.warnoptions == ["ignore::UserWarning"]
    assert os.environ["PYTHONWARNINGS"] == "ignore::UserWarning"


def in_worker() -> None:
    """Begins as a worker does whose script has imported Keras."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("interrupts_ignored", "own_process", "_die_with_parent"):
            patched.setattr(worker, name, lambda: None)  # this process is none
        ours, theirs = multiprocessing.Pipe()
        ours.send(None)
        worker.work(theirs, worker.run_trial_quietly, dict(os.environ))


@pytest.mark.parametrize("begin", [own_keras, in_worker])
def test_keras_json_does_not_reach_a_process_of_ours(begin: Callable[[], None]) -> None:
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("float16")
    begin()
    assert keras.config.image_data_format() == "channels_last"
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float32", "float32")


def test_settings_of_keras_are_followed_in_another_process() -> None:
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("mixed_float16")
    sent = pickle.dumps(keras_settings())
    own_keras()
    follow(pickle.loads(sent))
    assert keras.config.image_data_format() == "channels_first"
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float64", "mixed_float16")


def run_in_a_shell(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        ["bash", "-c", line.replace("experiments", f"{sys.executable} -m experiments")],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_command_line_runs_in_a_hostile_shell(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"image_data_format": "channels_first"}')
    hostile = {"KERAS_BACKEND": "jax", "MPLBACKEND": NOTEBOOK, "PYTHONWARNINGS": "error"}
    line = "experiments spaces mnist_cnn <&- 2>&- ; echo $?"
    ran = run_in_a_shell(line, tmp_path, KERAS_HOME=str(tmp_path), **hostile)
    assert ran.stdout.startswith("mnist_cnn")
    assert ran.stdout.splitlines()[-1] == "0"


def test_closed_streams_and_readers_that_leave_are_no_tracebacks(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    line = (
        "experiments list --runs-dir . >&- 2>&- <&- ; echo closed $?; "
        "(experiments datasets; echo left $? >&2) | true"
    )
    ran = run_in_a_shell(line, tmp_path)
    assert ran.stdout.splitlines() == ["closed 0"]
    assert ran.stderr.splitlines() == ["left 1"]
