"""`experiments.Tuner` beside plain Keras Tuner: the same scripts, their kills, time and memory.

    python benchmarks/dropin.py scripts   # drop_in_scripts/ with both; then killed and resumed
    python benchmarks/dropin.py within    # one trial, killed in the midst of its training
    python benchmarks/dropin.py overhead  # seconds of the same trials, ours over Keras Tuner's
    python benchmarks/dropin.py memory    # of 200 trials in one process

Overhead: pairs of runs, in turn, each in a process of its own; ratio of medians. Both train the
same models on the same arrays. Trials of ours report and record every epoch.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from quick import Quick

_SCRIPTS = Path(__file__).parent / "drop_in_scripts"
_PLAIN, _OURS = "import keras_tuner\n", "import experiments as keras_tuner\n"
_SAID = """
import json as _json
_trials = _tuner.oracle.trials.values()
print("TABLE", _json.dumps(sorted(
    [t.trial_id, t.status, t.score if t.score is None else float(t.score),
     {k: v for k, v in t.hyperparameters.values.items()}] for t in _trials)))
print("BEST", _json.dumps(_tuner.get_best_hyperparameters(1)[0].values))
"""
_TIMED = """
import json, sys, time, resource
import numpy as np, keras
import keras_tuner
def build_model(hp):
    model = keras.Sequential([keras.Input((32,)),
        keras.layers.Dense(hp.Int("units", 32, {width}, step=32), "relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(hp.Float("rate", 1e-4, 1e-2, sampling="log")), "mse")
    return model
x = np.random.default_rng(0).normal(size=({rows}, 32)).astype("float32")
y = x[:, :1]
tuner = keras_tuner.RandomSearch(build_model, objective="val_loss", max_trials={trials}, seed=1,
    directory=sys.argv[1], project_name="timed")
sizes = []
class Size(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        with open("/proc/self/statm") as file:
            with open(sys.argv[1] + "/sizes", "a") as sizes:
                sizes.write(file.read().split()[1] + "\\n")
began = time.perf_counter()
tuner.search(x, y, validation_data=(x[:1000], y[:1000]), epochs={epochs}, batch_size=64, verbose=0,
    callbacks=[Size()])
print("SECONDS", time.perf_counter() - began)
"""


_LONG = """
import os, sys
import numpy as np, keras
import experiments
class Counted(keras.Sequential):
    def train_step(self, data):
        with open(sys.argv[1] + "/batches", "a") as file:
            file.write(".")
        return super().train_step(data)
def build_model(hp):
    model = Counted([keras.layers.Dense(hp.Int("units", 32, 64), "relu"),
        keras.layers.Dropout(0.3), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-3), "mse", run_eagerly=True)
    return model
x = np.random.default_rng(0).normal(size=(640, 32)).astype("float32")
_tuner = experiments.RandomSearch(build_model, objective="val_loss", max_trials=1, seed=0,
    directory=sys.argv[1], project_name="long")
_tuner.search(x, x[:, :1], validation_data=(x[:100], x[:100, :1]), epochs=60, batch_size=32,
    callbacks=[keras.callbacks.ReduceLROnPlateau(patience=2),
               keras.callbacks.EarlyStopping(patience=50, restore_best_weights=True)])
"""
_LOST = 4.0  # seconds of training, at most, that a kill costs


def _environment() -> dict[str, str]:
    here = str(Path(__file__).resolve().parents[1])
    return os.environ | {"PYTHONPATH": here, "TF_CPP_MIN_LOG_LEVEL": "3",
                         "TF_ENABLE_ONEDNN_OPTS": "0"}  # fmt: skip


def _start(text: str, folder: str, name: str) -> "subprocess.Popen[str]":
    path = Path(folder) / f"script_{name}.py"
    path.write_text(text)
    return subprocess.Popen(
        [sys.executable, str(path), folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=_environment() | {"RUNS": folder}, cwd=folder,
    )  # fmt: skip


def _run(text: str, folder: str, name: str) -> str:
    process = _start(text, folder, name)
    out, err = process.communicate()
    if process.returncode:
        raise SystemExit(f"{name} failed:\n{err[-3000:]}")
    return out


def _told(out: str, what: str) -> Any:
    (line,) = [line for line in out.splitlines() if line.startswith(what + " ")]
    return json.loads(line.removeprefix(what))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-4 * max(abs(one), abs(other))
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def scripts(rng: random.Random, only: list[str], num_kills: int) -> None:
    """Runs each script with both, then with ours under kills; the table has to be the same."""
    wrong = 0
    for path in sorted(_SCRIPTS.glob("*.py")):
        if only and path.stem not in only:
            continue
        text = path.read_text().partition("if __name__")[0]
        text += "if __name__ == '__main__':\n    _tuner = search(os.environ['RUNS'])\n"
        text += "".join(f"    {line}\n" for line in _SAID.strip().splitlines())
        ours = text.replace(_PLAIN, _OURS)
        assert ours != text
        with tempfile.TemporaryDirectory() as folder:
            plain = _run(text, folder, "plain")
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            undisturbed = _told(_run(ours, folder, "ours"), "TABLE")
            seconds = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            kills = 0
            for _ in range(num_kills):
                process = _start(ours, folder, "killed")
                try:
                    process.communicate(timeout=rng.uniform(0.3, 1.0) * seconds)
                    break
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.communicate()
                    kills += 1
            resumed = _told(_run(ours, folder, "killed"), "TABLE")
        is_same = _same(undisturbed, resumed)
        wrong += not is_same
        outcome = "the same table" if is_same else "ANOTHER TABLE"
        print(
            f"{path.stem:16} keras_tuner {len(_told(plain, 'TABLE'))} trials, ours "
            f"{len(undisturbed)}; {kills} kills: {outcome}",
            flush=True,
        )
        if not is_same:
            print(undisturbed, resumed, sep="\n")
    raise SystemExit(wrong > 0)


def within(rng: random.Random, num_kills: int) -> None:
    """Kills a training `num_kills` times; its table has to be the same.

    What a kill has trained again is little: snapshots are two seconds apart.
    """
    text = _LONG + _SAID.strip()
    counts, tables, seconds = [], [], 0.0
    for kills in (0, num_kills):
        with tempfile.TemporaryDirectory() as folder:
            batches = Path(folder) / "batches"
            for _ in range(kills):
                before = batches.stat().st_size if batches.is_file() else 0
                process = _start(text, folder, "long")
                while process.poll() is None and (
                    not batches.is_file() or batches.stat().st_size == before
                ):
                    time.sleep(0.1)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(rng.uniform(3, 8))
                process.send_signal(signal.SIGKILL)
                process.communicate()
            began = time.perf_counter()
            tables.append(_told(_run(text, folder, "long"), "TABLE"))
            seconds = seconds if kills else time.perf_counter() - began
            counts.append(batches.stat().st_size)
    is_same = _same(*tables)
    is_kept = counts[1] <= counts[0] * (1 + num_kills * _LOST / seconds)
    print(
        f"{counts[0]} batches undisturbed, {counts[1]} with {num_kills} kills: "
        f"{'the same table' if is_same else 'ANOTHER TABLE'}"
        f"{'' if is_kept else ', TOO MANY TRAINED AGAIN'}"
    )
    raise SystemExit(not (is_same and is_kept))


def overhead(repeats: int, **facts: int) -> None:
    """Prints the ratio of seconds, ours over plain Keras Tuner's."""
    plain = _TIMED.format(**facts)
    ours = plain.replace(_PLAIN, _OURS)
    seconds: dict[str, list[float]] = {"keras_tuner": [], "experiments": []}
    for _ in range(repeats):
        for name, text in (("keras_tuner", plain), ("experiments", ours)):
            with tempfile.TemporaryDirectory() as folder:
                seconds[name].append(_told(_run(text, folder, name), "SECONDS"))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{facts}: " + ", ".join(
        f"{name} {medians[name]:.1f} s ({', '.join(f'{s:.1f}' for s in values)})"
        for name, values in seconds.items()
    ))  # fmt: skip
    print(f"ours over keras_tuner: {medians['experiments'] / medians['keras_tuner']:.3f}")


def memory(trials: int) -> None:
    """Prints the resident memory after a tenth of the trials and at the end, of both."""
    plain = _TIMED.format(trials=trials, epochs=1, rows=2000, width=64)
    ours = plain.replace(_PLAIN, _OURS)
    page = os.sysconf("SC_PAGE_SIZE") / 2**20
    for name, text in (("keras_tuner", plain), ("experiments", ours)):
        with tempfile.TemporaryDirectory() as folder:
            _run(text, folder, name)
            sizes = [int(line) * page for line in (Path(folder) / "sizes").read_text().split()]
        early, late = statistics.median(sizes[trials // 10 : trials // 10 + 5]), sizes[-1]
        print(f"{name}: {early:.0f} MB after {trials // 10} trials, {late:.0f} MB after {trials}: "
              f"{late / early:.2f}", flush=True)  # fmt: skip


def main() -> None:
    """Runs one part."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("part", choices=["scripts", "within", "overhead", "memory"])
    parser.add_argument("--seed", type=int, default=0, help="of the moments of kills")
    parser.add_argument("--only", nargs="*", default=[], help="names of scripts")
    parser.add_argument("--kills", type=int, default=3, help="a script")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action=Quick, help="fewer and shorter trials")
    options = parser.parse_args()
    if options.part == "scripts":
        scripts(random.Random(options.seed), options.only, options.kills)
    elif options.part == "within":
        within(random.Random(options.seed), options.kills)
    elif options.part == "memory":
        memory(40 if options.quick else 200)
    else:
        print("tiny trials")
        overhead(options.repeats, trials=10 if options.quick else 30, epochs=2, rows=2000, width=64)
        print("trials of some 30 s")
        few, long = (3, 10) if options.quick else (20, 60)
        overhead(1 if options.quick else options.repeats, trials=few, epochs=long, rows=40_000,
                 width=512)  # fmt: skip


if __name__ == "__main__":
    main()
