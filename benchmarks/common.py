"""What the benchmarks share: the same trials, run by plain Keras Tuner and by the suite."""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from environment import AS_GIVEN
from quick import Quick

from experiments import SearchConfig, run_search
from experiments.data.prepare import PreparedData
from experiments.hyperparameters.settings import parse_settings
from experiments.process.hardware import num_cores
from experiments.process.numerics import cpu_model, numerics
from experiments.record.formatting import plural
from experiments.search.run import prepare_data
from reports.study.load import Study, load_study

# Real datasets that developers keep beside the checkout; elsewhere they are downloaded.
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "tfds"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Makes a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    made.add_argument("--quick", action=Quick, help="a smaller case, within a minute")
    made.add_argument("--data-dir", default=os.environ.get("TFDS_DATA_DIR"))
    return made


def data_dir(given: str | None) -> str | None:
    """Returns the folder of tensorflow-datasets: the one given, or the one beside the checkout."""
    return given or (str(_BESIDE) if _BESIDE.is_dir() else None)


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder that is gone afterwards, on a disk and not in memory; says what the machine is."""
    print(f"machine: {cpu_model()}, {plural(num_cores(), 'core')}")
    print(f"the suite: oneDNN {'on' if numerics()['onednn'] else 'off'}")
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir="/var/tmp") as folder:
        yield Path(folder)


def search_config(folder: Path, given_dir: str | None, **options: Any) -> SearchConfig:
    """Returns a search that stops no trial, if no pruner is named, and confirms no finalist.

    Args:
        folder: Where its studies and its cache go.
        given_dir: Folder of tensorflow-datasets, if one was given.
        **options: The other fields of `SearchConfig`.
    """
    fields: dict[str, Any] = {
        "data_dir": data_dir(given_dir),
        "pruner": "none",  # else `auto` takes `asha` for many trials
        "patience": 0,
        "confirm": 0,
        "name": "suite",
        "runs_dir": str(folder / "runs"),
        "cache_dir": str(folder / "cache"),
    }
    return SearchConfig(**(fields | options))


def prepared(config: SearchConfig) -> PreparedData:
    """Prepares the dataset, so that neither side is charged for it."""
    from experiments.display.base import Display

    return prepare_data(config, parse_settings(config), Display())


def run_suite(config: SearchConfig) -> tuple[Study, float]:
    """Runs a search of the suite.

    Returns:
        The study, and the seconds from its start until its last trial had ended: all that plain
        Keras Tuner does too, and the features, but no confirmation on test and no report.
    """
    study = load_study(run_search(config).folder)
    return study, float(study.record["search_ended"] - study.record["started"])


def run_plain(
    config: SearchConfig, data: PreparedData, proposals: Sequence[dict[str, Any]], folder: Path
) -> list[float]:
    """Runs the same trials by plain Keras Tuner, see plain.py.

    It has a process of its own, where TensorFlow is as its users have it: the suite sets variables
    that TensorFlow reads.

    Returns:
        Seconds of each trial.
    """
    folder.mkdir()
    given = pickle.dumps((config, data, list(proposals)))
    script = Path(__file__).with_name("plain.py")
    subprocess.run([sys.executable, script, folder], input=given, env=AS_GIVEN, check=True)
    seconds: list[float] = json.loads((folder / "seconds.json").read_text())
    return seconds


def proposals_of(study: Study, limit: int | None = None) -> list[dict[str, Any]]:
    """Returns the hyperparameters of a study's trials, in order of start."""
    paths = sorted(study.folder.glob("trial_*/trial.json"))[:limit]
    values = [json.loads(p.read_text())["hyperparameters"]["values"] for p in paths]
    assert not len(study.failed), study.failed["message"].to_list()
    return values


def phase_seconds(study: Study) -> dict[str, float]:
    """Returns the mean seconds of a study's trials by phase."""
    records = [json.loads(p.read_text()) for p in sorted(study.folder.glob("trial_*/result.json"))]
    phases = [execution["seconds"] for r in records for execution in r["executions"]]
    names = sorted({name for seconds in phases for name in seconds})
    return {name: float(np.mean([s.get(name, 0.0) for s in phases])) for name in names}


def outside_fit(seconds: dict[str, float]) -> float:
    """Returns what a trial costs besides training, computing features apart."""
    return sum(seconds.get(name, 0.0) for name in ("clear", "build", "trace", "save"))
