"""What others left: study folders, folders of images and layouts of datasets, by the thousand.

Each is made by a seed (`hostile_studies.py`, `hostile_data.py`) and given to every command that
reads such a thing. Each command ends with a right result or one line on standard error and exit
code 2: no traceback, no hang, no escape sequence, no write outside its folders, no connection.

    python benchmarks/hostile.py --seed 1 --processes 2
"""

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

_SHARES = {"studies": 0.6, "images": 0.25, "layouts": 0.15}
_END = "HOSTILE_END"  # of all processes: seconds since 1970
_MOST_BYTES = 12 << 30  # of address space: a command that wants more is wrong
_STRIDE = 1_000_000  # between the cases of two seeds


def sound_studies(place: Path) -> list[Path]:
    """Makes the sound studies that cases start from, in `place`: searched, written, and plain."""
    from experiments import SearchConfig, run_search
    from tests.reports.synthetic import Synthetic, write_study

    runs, cache = place / "runs", str(place / "home/keras-tuner-experiments")
    config = SearchConfig(
        space="mnist_cnn", dataset="digits", max_trials=4, max_epochs=2, confirm=2, seeds=2,
        name="sound", runs_dir=str(runs), cache_dir=cache, fix={"conv_blocks": 1},
    )  # fmt: skip
    searched = run_search(config).folder
    plain = runs / "plain"
    shutil.copytree(
        searched,
        plain,
        ignore=shutil.ignore_patterns("report", "artifacts", "study.json", "result.json"),
    )
    further = (("params", "min"), ("flops", "min"))
    plans = [
        Synthetic(6, name="written", num_epochs=3), Synthetic(0, name="empty", num_seeds=0),
        Synthetic(4, name="failed", num_failed=4, num_seeds=0),
        Synthetic(22, name="many", num_epochs=2),
        Synthetic(7, name="several", further=further, num_epochs=3),
        Synthetic(5, name="loss", objective=("val_loss", "min"), num_epochs=3),
    ]  # fmt: skip
    return [searched, searched, searched, plain, *(write_study(runs, plan) for plan in plans)]


def studies(bases: Sequence[Path], cache: Path, seeds: Sequence[int], share: float) -> Counter[str]:
    """Runs all commands on hostile studies; counts how each ended."""
    _settle()
    from benchmarks.hostile_commands import WRONG, Ending, run_case
    from benchmarks.hostile_guard import Guard
    from benchmarks.hostile_studies import study_folder

    guard, ends, space = Guard(), Counter[str](), _space()
    for seed in _in_time(seeds):
        with _place() as place:
            runs, elsewhere = place / "runs", place / "elsewhere"
            elsewhere.mkdir()
            (elsewhere / "kept.json").write_text("{}")
            shutil.copytree(bases[0], runs / "sound")
            (place / "cache").symlink_to(cache / "keras-tuner-experiments")
            os.environ["XDG_CACHE_HOME"] = str(cache)
            case = study_folder(runs / "case", seed, list(bases), elsewhere)

            def note(command: str, ending: Ending, seed: int = seed, case: Any = case) -> None:
                ends[f"study {command}: {ending.how}"] += 1
                if ending.how == WRONG:
                    kinds = "+".join(case.kinds)
                    print(
                        f"study {seed} ({case.base.name}: {kinds}) {command}: {ending.why}",
                        flush=True,
                    )
                elif "its record is damaged (" in ending.why:
                    ends["study refused in vague words"] += 1

            try:
                run_case(case, runs, guard, random.Random(seed), note, space, share)
            finally:
                os.chdir("/")
        ends["study"] += 1
    return ends


def _in_time(seeds: Sequence[int]) -> Iterator[int]:
    """Yields `seeds` until the time is over."""
    for seed in seeds:
        if time.time() > float(os.environ.get(_END, "inf")):
            return
        yield seed


def _settle() -> None:
    """Silences TensorFlow, and keeps this process to where it may write."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", MPLBACKEND="agg", CUDA_VISIBLE_DEVICES="-1")
    from experiments.process.quiet import import_keras_quietly

    import_keras_quietly()
    import matplotlib.figure  # noqa: F401  (it writes a cache of fonts when it is first imported)

    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, resource.RLIM_INFINITY))


class _place:  # noqa: N801
    """A temporary folder that is also where temporary files go."""

    def __enter__(self) -> Path:
        self._folder = Path(tempfile.mkdtemp(prefix="hostile-", dir=_TEMPORARY))
        (self._folder / "tmp").mkdir()
        tempfile.tempdir = str(self._folder / "tmp")
        os.chdir(self._folder / "tmp")
        return self._folder

    def __exit__(self, *arguments: object) -> None:
        os.chdir("/")
        tempfile.tempdir = None
        shutil.rmtree(self._folder, ignore_errors=True)


_TEMPORARY = tempfile.gettempdir()


def _space() -> Any:
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    hp.Choice("pooling", ["max", "average"])
    hp.Float("dropout", 0.0, 0.5)
    return hp


def images(seeds: Sequence[int]) -> Counter[str]:
    """Prepares hostile folders of images; counts how each ended."""
    from benchmarks.hostile_data import image_folder, listing, open_again, outcome_of
    from benchmarks.hostile_guard import Guard

    guard, ends = Guard(), Counter[str]()
    for seed in _in_time(seeds):
        with _place() as place:
            root = image_folder(place / "images", seed)
            before = listing(root)
            with guard.watching(place / "cache", place / "tmp") as outside:
                end = outcome_of(f"folder:{root}", place / "cache")
            if listing(root) != before or outside:
                end = f"wrong: written outside: {outside[:2]}"
            open_again(place)
        ends[f"images {end.partition(':')[0]}"] += 1
        ends["images"] += 1
        if end.startswith("wrong"):
            print(f"images {seed}: {end}", flush=True)
    return ends


def layouts(seeds: Sequence[int]) -> Counter[str]:
    """Prepares hostile layouts of tensorflow-datasets; counts how each ended."""
    _settle()
    import tensorflow_datasets  # noqa: F401

    from benchmarks.hostile_data import FakeBuilder, fake_tfds, outcome_of, tfds_layout
    from benchmarks.hostile_guard import Guard

    guard, ends = Guard(), Counter[str]()
    for seed in _in_time(seeds):
        splits, num_classes = tfds_layout(seed)
        with (
            _place() as place,
            fake_tfds(FakeBuilder(splits, num_classes)),
            guard.watching(place / "cache", place / "tmp") as outside,
        ):
            end = outcome_of("tfds:fake", place / "cache")
        end = f"wrong: outside: {outside[:2]}" if outside else end
        ends[f"layout {end.partition(':')[0]}"] += 1
        ends["layout"] += 1
        if end.startswith("wrong"):
            print(f"layout {seed}: {end}", flush=True)
    return ends


def main() -> None:
    """Runs all cases and counts how each ended."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=2000, help="cases of all kinds together")
    parser.add_argument("--quick", action="store_true", help="100 cases")
    parser.add_argument("--only", choices=[*_SHARES], help="one kind of case")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument(
        "--share", type=float, default=1.0, help="of slow commands, how many are run"
    )
    parser.add_argument("--case", type=int, help="the case of this number alone")
    parser.add_argument("--minutes", type=float, help="begin no case after that time")
    options = parser.parse_args()
    if options.minutes is not None:
        os.environ[_END] = str(time.time() + 60 * options.minutes)
    began, ends = time.monotonic(), Counter[str]()
    count = 100 if options.quick else options.count
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for end in _run(options, count, place):
            ends += end
    for end, number in sorted(ends.items()):
        print(f"{number:7} {end}")
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(any(end.endswith("wrong") for end in ends))


def _run(options: Any, count: int, place: Path) -> list[Counter[str]]:
    jobs: list[tuple[Any, ...]] = []
    wanted = [options.only] if options.only else [*_SHARES]
    first, each = options.seed * _STRIDE, 10
    bases = sound_studies(place) if "studies" in wanted else []
    for kind in wanted:
        number = count if options.only else round(count * _SHARES[kind])
        seeds = [options.case] if options.case is not None else range(first, first + number)
        for start in range(0, len(seeds), each):
            some = list(seeds)[start : start + each]
            if kind == "studies":
                jobs.append((studies, bases, place / "home", some, options.share))
            else:
                jobs.append((images if kind == "images" else layouts, some))
    if options.processes == 1 and options.case is not None:
        return [function(*arguments) for function, *arguments in jobs]
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        futures = [pool.submit(function, *arguments) for function, *arguments in jobs]
        return [future.result() for future in futures]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
