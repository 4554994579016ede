"""Real searches struck where they prepare data, compute features, train finalists, report.

    python benchmarks/chaotic/caches.py [--rounds 60] [--seed 0]

Each disturbed search is resumed until it has ended. Then its table and its finalists have to be
those of an undisturbed one to the last bit, every file of its cache the same but for times, and
nothing left over: no temporary file, no half-made entry, no process. Networks and images are tiny;
command line, processes, files and signals are real.
"""

import argparse
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.chaotic.moments import (
    BASES,
    BEGINNING,
    DATA,
    FEATURES,
    FINALISTS,
    INTERRUPT,
    KILL,
    REPORT,
    RESTORING,
    Moment,
)
from benchmarks.chaotic.real_searches import (
    Place,
    add_spaces,
    ended,
    load,
    start,
    write_images,
)
from benchmarks.chaotic.undisturbed import differences, of_cache

_INTERRUPTED = 130
_FULL = 60
_QUICK = 8
_IMAGES = 80  # that are prepared
_FROZEN = ("frozen_convolution", "frozen_convolution", "transfer_head")


class Chaos:
    """Disturbs searches in a folder.

    Args:
        folder: Is filled.
        rng: Draws moments.
        frozen: Search spaces whose networks have frozen parts.
    """

    def __init__(self, folder: Path, rng: random.Random, frozen: Sequence[str] = _FROZEN) -> None:
        self._folder, self._rng, self._frozen = folder, rng, frozen
        self._images = folder / "images"
        self._number = 0
        write_images(self._images, random.Random(0))
        add_spaces()

    def calm(self, space: str) -> Place:
        """Returns an undisturbed search."""
        place = Place(self._folder / f"{space}-calm", space, self._images, reported=True)
        if not place.folder.exists() and place.run() != 0:
            raise SystemExit(f"{space}: an undisturbed search fails:\n{place.said()}")
        return place

    def base(self, space: str, name: str) -> Place:
        """Returns a search that was killed at a moment of `BASES`."""
        place = Place(self._folder / f"{space}-{name}", space, self._images)
        if not place.folder.exists():
            self._expect(place, place.run(BASES[name].arm), -KILL, BASES[name])
        return place

    def _copy(self, base: Place, **changes: bool) -> Place:
        self._number += 1
        return base.copied_to(self._folder / f"{self._number}", **changes)

    def _new(self, space: str) -> Place:
        self._number += 1
        return Place(self._folder / f"{self._number}", space, self._images)

    @staticmethod
    def _expect(place: Place, code: int, expected: int, what: object) -> None:
        if code != expected:
            raise SystemExit(
                f"{place.space}, {what}: exit code {code} instead of {expected}:\n{place.said()}"
            )

    def _strike(self, place: Place, moment: Moment) -> int:
        """Strikes a search once; returns 1 if it got there before its end."""
        code = place.run(moment.arm)
        if code == 0:
            return 0
        expected = _INTERRUPTED if moment.number == INTERRUPT else -moment.number
        self._expect(place, code, expected, moment)
        return 1

    def _finish(self, place: Place, what: object) -> None:
        """Resumes the search until it has ended, and compares it with an undisturbed one."""
        self._expect(place, place.run(), 0, f"gone on with after {what}")
        self.check(place, what)

    def check(self, place: Place, what: object) -> None:
        """Raises if a search that has ended is not as an undisturbed one."""
        calm = self.calm(place.space)
        found = differences(place, calm)
        if found:
            kept = shutil.copytree(
                place.folder, f"/var/tmp/chaos-{os.getpid()}", dirs_exist_ok=True
            )
            raise SystemExit(f"{place.space}, {what}: {', '.join(found)} differ; see {kept}")
        shutil.rmtree(place.folder)

    def in_turn(self, place: Place, moments: Sequence[Moment]) -> int:
        """Strikes a search at each moment, then resumes it until it has ended."""
        done = sum(self._strike(place, moment) for moment in moments)
        self._finish(place, moments)
        return done

    def beginning(self) -> int:
        """Kills and Ctrl-C while a study is started: it is started again, or resumed."""
        place = self._new("frozen_convolution")
        shutil.copytree(self.calm(place.space).cache, place.cache)
        return self.in_turn(place, [self._rng.choice(BEGINNING[:3]), self._rng.choice(BEGINNING)])

    def data_preparation(self) -> int:
        """Kills in data preparation: at an image, and between the files."""
        place = self._copy(self.base("mnist_cnn", "begun"))
        shutil.rmtree(place.cache)
        image = Moment("experiments.data.prepare:fit_image", self._rng.randint(1, _IMAGES))
        return self.in_turn(place, [image, self._rng.choice(DATA)])

    def features(self) -> int:
        """Kills in the computing of features: at a batch, between files, before the rename."""
        place = self._copy(self.base(self._rng.choice(self._frozen), "begun"))
        shutil.rmtree(place.cache / "features")
        batch = Moment("experiments.training.feature_computing:forward", self._rng.randint(1, 9))
        later = Moment(
            "experiments.training.features:FeatureStore._fill", delay=self._rng.uniform(0, 0.2)
        )
        return self.in_turn(place, [self._rng.choice((batch, later)), self._rng.choice(FEATURES)])

    def interrupted_features(self) -> int:
        """Ctrl-C while features are computed."""
        place = self._copy(self.base(self._rng.choice(self._frozen), "begun"))
        shutil.rmtree(place.cache / "features")
        call = self._rng.randint(1, 6)
        moment = Moment("experiments.training.feature_computing:forward", call, number=INTERRUPT)
        return self.in_turn(place, [moment])

    def interrupted_restoring(self) -> int:
        """Ctrl-C while the study is restored."""
        place = self._copy(self.base("mnist_cnn", "begun"))
        return self.in_turn(place, self._rng.sample(RESTORING, 2))

    def finalists(self) -> int:
        """Kills while finalists train, are tested and exported."""
        place = self._copy(self.base("mnist_cnn", "trained"))
        write = Moment("experiments.record.files:sync", self._rng.randint(1, 20))
        return self.in_turn(place, [self._rng.choice((write, *FINALISTS))])

    def writing(self) -> int:
        """Kills between the writing of a file and its rename, anywhere in a search."""
        place = self._copy(self.base("mnist_cnn", "begun"))
        calls = [self._rng.randint(1, 12) for _ in range(2)]
        return self.in_turn(
            place, [Moment("experiments.record.files:sync", call) for call in calls]
        )

    def report(self) -> int:
        """Kills while the report is written."""
        place = self._copy(
            self.calm(self._rng.choice(("mnist_cnn", "frozen_convolution"))), reported=True
        )
        shutil.rmtree(place.study / "report")
        later = Moment("reports.page.report:_write", delay=self._rng.uniform(0.05, 1.5))
        return self.in_turn(place, [later, self._rng.choice(REPORT)])

    def company(self) -> int:
        """Two searches at once on one cache; one may be killed while it computes."""
        one, other = (self._new(self._rng.choice(self._frozen)) for _ in range(2))
        other = replace(other, space=one.space)
        one.folder.mkdir()
        (one.folder / "cache").mkdir()
        other.folder.mkdir()
        (other.folder / "cache").symlink_to(one.cache)
        computed = one.folder / "computed.txt"
        count = partial(_count_computed, computed)
        batch = Moment("experiments.training.feature_computing:forward", 2)
        killed = batch if self._rng.random() < 0.5 else None
        pids = [one.begin(count, *([killed.arm] if killed else ())), other.begin(count)]
        codes = [ended(pid) for pid in pids]
        self._expect(other, codes[1], 0, "beside another search")
        self._expect(one, codes[0], -KILL if killed and codes[0] else 0, "beside another search")
        keys = Counter(computed.read_text("utf-8").split())
        if max(keys.values()) > 1 + (killed is not None):
            raise SystemExit(f"{one.space}: features were computed more than once: {dict(keys)}")
        (other.folder / "cache").unlink()
        shutil.copytree(one.cache, other.cache)
        self._finish(one, "another search beside it")
        self._finish(other, "another search beside it")
        return 1 + (codes[0] != 0)

    def pruned(self) -> int:
        """`experiments cache` lists and prunes all the time beside a search."""
        place = self._new(self._rng.choice(self._frozen))
        place.folder.mkdir()
        search = place.begin()
        done = 0
        while os.waitid(os.P_PID, search, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            options = ("--prune",) if self._rng.random() < 0.5 else ()
            log = place.folder / "cache.txt"
            command = ["cache", "--cache-dir", str(place.cache), *options]
            code = ended(start(command, log))
            if code != 0:
                raise SystemExit(f"{command}: exit code {code}: {log.read_text('utf-8')[-500:]}")
            done += 1
        self._expect(place, ended(search), 0, "beside pruning")
        calm = self.calm(place.space).cache
        if not of_cache(place.cache).items() <= of_cache(calm).items():
            raise SystemExit(f"{place.space}: what pruning has left in the cache is not whole")
        shutil.rmtree(place.cache)
        shutil.copytree(calm, place.cache)
        self.check(place, f"{done} times `experiments cache` beside it")
        return 1

    def read_only(self) -> int:
        """A cache that can be read and not be written."""
        place = self._new(self._rng.choice(self._frozen))
        shutil.copytree(self.calm(place.space).cache, place.cache)
        folders = [place.cache, *(path for path in place.cache.rglob("*") if path.is_dir())]
        for path in folders:
            path.chmod(0o555)
        try:
            self._expect(place, place.run(_without_privileges), 0, "a read-only cache")
        finally:
            for path in folders:
                path.chmod(0o755)
        self.check(place, "a read-only cache")
        return 1

    def worker(self) -> int:
        """Kills of the driver while its worker trains, which has to end with it."""
        place = self._copy(self.base("mnist_cnn", "begun"))
        moment = Moment("experiments.search.driver:Driver.epoch_ended", 1, delay=0.001)
        code = place.run(moment.arm, more=("--workers", "1"))
        self._expect(place, code, -KILL, moment)
        self._finish(place, moment)
        return 1


def _count_computed(path: Path) -> None:
    """Records each entry that this process begins to compute."""
    from experiments.training.features import FeatureStore

    real = FeatureStore._fill

    def noted(store: FeatureStore, entry: object, partial: Path) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{partial.stem}\n")
        real(store, entry, partial)  # type: ignore[arg-type]

    FeatureStore._fill = noted  # type: ignore[method-assign, assignment]


def _without_privileges() -> None:
    """Lets modes of files hold for root too, by giving up its right to pass over them."""
    import ctypes

    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


# In the order of a quick run; weights of a full one.
_KINDS: dict[str, tuple[Callable[[Chaos], int], int]] = {
    "kill in data preparation": (Chaos.data_preparation, 5),
    "kill in features": (Chaos.features, 8),
    "two searches on one cache": (Chaos.company, 3),
    "cache --prune beside a search": (Chaos.pruned, 3),
    "interrupt while restoring": (Chaos.interrupted_restoring, 4),
    "at a study's beginning": (Chaos.beginning, 2),
    "interrupt in features": (Chaos.interrupted_features, 3),
    "kill in a write": (Chaos.writing, 3),
    "kill in finalists": (Chaos.finalists, 8),
    "kill in report": (Chaos.report, 4),
    "read-only cache": (Chaos.read_only, 2),
    "kill of a driver with a worker": (Chaos.worker, 1),
}


def disturbances(
    rounds: int, rng: random.Random, say: Callable[[str], None] | None = None
) -> Counter[str]:
    """Disturbs real searches until that was done so many times.

    Args:
        rounds: How often; a search may be struck twice.
        rng: Draws kinds and moments.
        say: Receives each search that has held.

    Returns:
        How often, by kind.

    Raises:
        SystemExit: Something is not as in an undisturbed search.
    """
    load()
    order = [name for name, (_, weight) in _KINDS.items() for _ in range(weight - 1)]
    rng.shuffle(order)
    order = [*_KINDS, *order]
    done: Counter[str] = Counter()
    with TemporaryDirectory(dir="/var/tmp", prefix="chaos-") as folder:
        chaos = Chaos(Path(folder), rng, _FROZEN if rounds > _QUICK else _FROZEN[:1])
        turn = 0
        while done.total() < rounds:
            kind = order[turn % len(order)]
            done[kind] += _KINDS[kind][0](chaos)
            turn += 1
            if turn > 4 * len(order) + rounds:
                raise SystemExit(f"moments are not reached any more: {dict(done)}")
            if say is not None:
                say(f"{done.total():4} of {rounds}, the last one: {kind}")
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK} disturbances")
    parser.add_argument("--rounds", type=int, help=f"disturbances [default: {_FULL}]")
    parser.add_argument("--seed", type=int, default=0, help="of kinds and moments")
    options = parser.parse_args()
    rounds = options.rounds or (_QUICK if options.quick else _FULL)
    say = partial(print, flush=True)
    done = disturbances(rounds, random.Random(options.seed), say)
    for kind, number in done.items():
        print(f"{number:4}  {kind}: as undisturbed")
    print(f"{done.total()} disturbances, all as undisturbed")


if __name__ == "__main__":
    main()
