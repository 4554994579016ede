"""Makes study folders as damage, mistakes and malice leave them, by a seed.

`study_folder` copies a sound study and spoils the copy: values of the wrong kind at any depth of
any JSON file, files that are cut, empty, binary, links or pipes, texts that would steer a terminal,
a page or a path, trials twice or not at all. What is asked of every command is a right result or
one line. `benchmarks/hostile.py` runs them all.
"""

import json
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEXTS = (
    "[/raw]", "[bold]x", "\x1b[2J\x1b]0;owned\x07", "<script>alert(1)</script>", "\"onload='x'",
    "a\nb", "a\r\nerror: b", "\u202egnp.", "\ud800", "\x00", "", " ", "x" * 5000, "nan", "-1",
    "1e400",
    "../../up", "../trial_0001", "{elsewhere}", "{elsewhere}/trial_0001", "folder:{elsewhere}",
    "folder:/dev", "ray://127.0.0.1:9", "postgresql://me:s3cret@127.0.0.1/db", "http://127.0.0.1/",
    "sqlite:///{elsewhere}/new.db", "https://[bad", "$(touch {elsewhere}/x)", "%s%n",
    "~", "~nobody/x", "C:\\x", "-rf", "0001", "val_loss", "max", "completed", "hyperband",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 7, 0.5, -0.0, 1e-320, 1e308, -1e308, 2**31, 2**63, -(2**63), 10**30, 10**400,
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, True, False, [], {}, [[]], {"a": {}}, [None], [1, "2"], {"": []}, {"name": None},
    [{"name": "x", "direction": "max"}], [["a", 1]] * 3, [{}] * 40, {"0": {}, "1": []},
)  # fmt: skip
# What the second damage to a file may meet of the first.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)
_LARGEST_WRITTEN = 300_000_000


@dataclass(frozen=True)
class Case:
    """A spoilt study.

    Args:
        folder: Its folder.
        base: The sound study that it was copied from.
        kinds: What was done to it, in order.
        rng: Draws what is left to be drawn.
        elsewhere: A folder that nothing may be written to.
    """

    folder: Path
    base: Path
    kinds: tuple[str, ...]
    elsewhere: Path


class Spoiler:
    """Spoils one study folder.

    Args:
        folder: The folder.
        elsewhere: A folder outside, which texts and links name.
        rng: Draws everything.
    """

    def __init__(self, folder: Path, elsewhere: Path, rng: random.Random) -> None:
        self.folder, self.elsewhere, self.rng = folder, elsewhere, rng

    def value(self, was: Any = None) -> Any:
        """Returns a hostile value; some are what was there in another kind."""
        draw = self.rng.random()
        if draw < 0.15 and was is not None:
            wrapped = {"0": was} if isinstance(was, list) else [was]
            return self.rng.choice([str(was), wrapped, {"value": was}, [was, was]])
        if draw < 0.5:
            return self.text()
        # Copied: it is spoilt further, and another case is a function of its seed alone.
        return deepcopy(self.rng.choice(NUMBERS if draw < 0.75 else OTHERS))

    def text(self) -> str:
        """Returns a hostile text."""
        return self.rng.choice(TEXTS).replace("{elsewhere}", str(self.elsewhere))

    def files(self, pattern: str = "*") -> list[Path]:
        """Returns regular files of the folder, in order."""
        found = sorted(self.folder.rglob(pattern))
        return [p for p in found if p.is_file() and not p.is_symlink() and "report" not in p.parts]

    def json_file(self) -> Path | None:
        """Chooses a JSON file: `study.json` or one of the trials' more often than others."""
        weights = {"study.json": 8, "trial.json": 2, "result.json": 3, "finalists.json": 3}
        files = self.files("*.json") + self.files(".*.json")
        return (
            self.rng.choices(files, [weights.get(p.name, 1) for p in files])[0] if files else None
        )

    def any_path(self) -> Path | None:
        """Chooses any file of the folder, those that say something more often."""
        files = [*self.files("*.json")] * 2 + self.files()
        return self.rng.choice(files) if files else None


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Returns the path of every value in nested JSON."""
    inner = data.items() if isinstance(data, dict) else enumerate(data)
    found = []
    for key, value in inner:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += places(value, (*path, key))
    return found


def _spoil(data: Any, spoiler: Spoiler) -> None:
    """Changes, removes, doubles or renames one value in nested JSON; shallow ones more often."""
    rng = spoiler.rng
    found = places(data) if isinstance(data, dict | list) else []
    depth = rng.randrange(1, 7)
    near = [p for p in found if len(p) <= depth]
    if not near:
        return
    *parents, key = rng.choice(near)
    parent = data
    for step in parents:
        parent = parent[step]
    draw = rng.random()
    if draw < 0.15:
        del parent[key]
    elif draw < 0.22 and isinstance(parent, list):
        parent.insert(key, parent[key])
    elif draw < 0.27 and isinstance(parent, list):
        del parent[key:]
    elif draw < 0.3 and isinstance(parent, dict):
        parent[spoiler.text()] = parent.pop(key)
    else:
        parent[key] = spoiler.value(parent[key])


def _edit(path: Path | None, change: Callable[[Any], Any]) -> None:
    if path is None:
        return
    with suppress(*_DAMAGED):
        if not path.is_file():
            return
        content = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(change(content) or content), encoding="utf-8")


def values(spoiler: Spoiler) -> None:
    """Spoils some values of a JSON file."""

    def change(content: Any) -> None:
        for _ in range(spoiler.rng.choice([1, 1, 2, 4, 12])):
            _spoil(content, spoiler)

    _edit(spoiler.json_file(), change)


def whole(spoiler: Spoiler) -> None:
    """Puts another value in place of a JSON file's whole content."""
    path = spoiler.json_file()
    if path is not None:
        path.write_text(json.dumps(spoiler.value()), encoding="utf-8")


def study_field(spoiler: Spoiler) -> None:
    """Spoils a field of the configuration, the objective, the dataset or a session."""

    def change(record: Any) -> None:
        part = spoiler.rng.choice(
            ["config", "config", "config", "objective", "dataset", "sessions"]
        )
        held = record.get(part)
        held = held[-1] if isinstance(held, list) and held else held
        if isinstance(held, dict) and held:
            key = spoiler.rng.choice(sorted(held))
            held[key] = spoiler.value(held[key])

    _edit(spoiler.folder / "study.json", change)


def paths(spoiler: Spoiler) -> None:
    """Names places elsewhere where the study names its own."""
    outside = spoiler.rng.choice([str(spoiler.elsewhere / "made"), "../../elsewhere/made"])
    texts = {
        "cache_dir": outside, "data_dir": outside, "runs_dir": outside, "name": outside,
        "dataset": f"folder:{outside}", "ray": "ray://127.0.0.1:9",
        "sources": ["postgresql://me:s3cret@127.0.0.1/db"], "space": outside, "workers": 10**6,
    }  # fmt: skip
    for name in spoiler.rng.sample(sorted(texts), spoiler.rng.choice([1, 1, 2, 4])):
        _edit(spoiler.folder / "study.json", lambda r, n=name: r["config"].__setitem__(n, texts[n]))
    if spoiler.rng.random() < 0.4:
        _edit(spoiler.folder / "study.json", lambda r: r.__setitem__("name", outside))


def origins(spoiler: Spoiler) -> None:
    """Makes trials continue trials elsewhere, themselves, or none."""
    for path in spoiler.files("trial.json"):
        if spoiler.rng.random() < 0.5:
            origin = spoiler.rng.choice(
                [str(spoiler.elsewhere), "../x", path.parent.name[6:], "9999"]
            )
            asked = {"tuner/trial_id": origin, "tuner/epochs": 2, "tuner/initial_epoch": 1}
            _edit(path, lambda t, a=asked: t["hyperparameters"]["values"].update(a))
            first = spoiler.rng.choice([1, -3, 10**9, 1.5])
            _edit(path.with_name("result.json"), lambda r, f=first: r.update(initial_epoch=f))


def epochs(spoiler: Spoiler) -> None:
    """Makes histories of different lengths, impossible epochs and clocks that go back."""

    def change(result: Any) -> None:
        execution = spoiler.rng.choice(result["executions"])
        name = spoiler.rng.choice(sorted(execution["history"]))
        history = execution["history"]
        kind = spoiler.rng.randrange(7)
        if kind == 0:
            history[name] = history[name] * spoiler.rng.choice([0, 2, 50])
        elif kind == 1:
            execution["best_epoch"] = spoiler.rng.choice([-1, 99, None, 10**20, "0"])
        elif kind == 2:
            execution["epoch_seconds"] = [spoiler.rng.choice([-5, 1e300, None, "s"])] * 2
        elif kind == 3:
            result["started"], result["ended"] = result["ended"] + 1e6, result["started"] - 1e9
        elif kind == 4:
            result["executions"] = spoiler.rng.choice([[], [execution] * 30, {}])
        elif kind == 5:
            history[spoiler.text()] = [spoiler.value() for _ in history[name]]
        else:
            history[name] = [spoiler.value(v) for v in history[name]]

    for path in spoiler.files("result.json")[: spoiler.rng.choice([1, 2, 99])]:
        _edit(path, change)


def statuses(spoiler: Spoiler) -> None:
    """Sets statuses and scores of trials: all failed, unfinished, or of an unknown kind."""
    status = spoiler.rng.choice(
        ["FAILED", "RUNNING", "INVALID", "COMPLETED", "PRUNED", "", None, 3]
    )
    score = spoiler.rng.choice([None, float("nan"), float("inf"), "0.9", 1e300, [0.5], True])
    for path in spoiler.files("trial.json")[spoiler.rng.choice([0, 0, 1]) :]:
        _edit(path, lambda t: t.update(status=status, score=score))
        if spoiler.rng.random() < 0.6:
            lowered = status.lower() if isinstance(status, str) else status
            _edit(
                path.with_name("result.json"), lambda r, s=lowered: r.update(status=s, score=score)
            )


def newer(spoiler: Spoiler) -> None:
    """Says that the study is of another format, space, method, or library."""
    rng = spoiler.rng
    changes: dict[str, Any] = {
        "format": rng.choice([2, 99, 10**30, "2", None, 1.5, -1, True]),
        "config": {"method": "quantum", "space": "no_such_space", "later_option": [1]},
    }

    def change(record: Any) -> None:
        if rng.random() < 0.5:
            record["format"] = changes["format"]
        else:
            name = rng.choice(sorted(changes["config"]))
            record["config"][name] = changes["config"][name]

    _edit(spoiler.folder / "study.json", change)


def content(spoiler: Spoiler) -> None:
    """Cuts a file, empties it, or makes it binary, huge, nested, or of another encoding."""
    path = spoiler.any_path()
    if path is None:
        return
    was = path.read_bytes()
    rng = spoiler.rng
    makers: list[Callable[[], bytes]] = [
        lambda: b"", lambda: was[: rng.randrange(len(was) + 1)], lambda: rng.randbytes(300),
        lambda: b"\xef\xbb\xbf" + was, lambda: was.decode("latin-1").encode("utf-16"),
        lambda: b"\xff\xfe" + was, lambda: b"[" * 200_000, lambda: b'{"a":' * 100_000,
        lambda: b"version https://git-lfs.github.com/spec/v1\n", lambda: was + was,
        lambda: b"<<<<<<< HEAD\n" + was + b"\n=======\n", lambda: b"\0" * 4096,
        lambda: b'{"score": ' + b"9" * 5000 + b"}", lambda: was.replace(b"0", b"\xc3\x28"),
        lambda: b"PK\x03\x04" + was[:200], lambda: bytes(b ^ (rng.random() < 0.002) for b in was),
    ]  # fmt: skip
    path.write_bytes(rng.choice(makers)())


def huge(spoiler: Spoiler) -> None:
    """Makes a file huge, by a hole that takes no room."""
    path = spoiler.any_path()
    if path is not None:
        os.truncate(path, _LARGEST_WRITTEN)


def missing(spoiler: Spoiler) -> None:
    """Removes a file, a trial, all trials, or the artifacts."""
    kind = spoiler.rng.randrange(5)
    path = spoiler.any_path()
    if kind <= 1 and path is not None:
        path.unlink()
    elif kind == 2:
        shutil.rmtree(spoiler.folder / "artifacts", ignore_errors=True)
    else:
        trials = sorted(spoiler.folder.glob("trial_*"))
        for trial in trials if kind == 3 else trials[:1]:
            shutil.rmtree(trial, ignore_errors=True)


def swapped(spoiler: Spoiler) -> None:
    """Makes a folder of a file, or a file of a folder."""
    if spoiler.rng.random() < 0.5 and (path := spoiler.any_path()) is not None:
        path.unlink()
        path.mkdir()
        return
    folders = sorted(p for p in spoiler.folder.iterdir() if p.is_dir() and not p.is_symlink())
    names = [*folders, spoiler.folder / "report", spoiler.folder / "export"]
    path = spoiler.rng.choice(names)
    shutil.rmtree(path, ignore_errors=True)
    path.write_bytes(b"{}")


def links(spoiler: Spoiler) -> None:
    """Puts a link in place of a file or a folder: outwards, to itself, to nowhere."""
    rng = spoiler.rng
    names = [
        "report", "artifacts", "export", "trial_0001", "trial_9", "study.json", "status.json",
        ".lock",
        ".index.json", ".holder.json", "artifacts/looks.json", "artifacts/test_uses.json",
        "artifacts/finalists.json", "oracle.json", "artifacts/confirmed", "report/index.html",
        "trial_0000/result.json", "trial_0001/trial.json", "report/figures", "best_model.keras",
        "artifacts/finalists", "trial_0000/checkpoint.weights.h5", "artifacts/latency.json",
    ]  # fmt: skip
    path = spoiler.folder / rng.choice(names)
    target = rng.choice(
        [str(spoiler.elsewhere), f"{spoiler.elsewhere}/kept.json", path.name, "/no/such/place",
         "..", "/dev/zero", "/dev/null", ".", f"{spoiler.elsewhere}/new.json"]
    )  # fmt: skip
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(target)


def pipes(spoiler: Spoiler) -> None:
    """Puts a named pipe in place of a file."""
    names = ["status.json", ".holder.json", ".index.json", "tuner0.json", "oracle.json", ".lock"]
    chosen = spoiler.any_path()
    path = spoiler.folder / spoiler.rng.choice(names) if chosen is None else chosen
    if spoiler.rng.random() < 0.3:
        path = spoiler.folder / spoiler.rng.choice([*names, "artifacts/confirmed/0000.json"])
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.mkfifo(path)


def copies(spoiler: Spoiler) -> None:
    """Doubles a trial under another name, or puts trials there that no list has."""
    trials = [
        p for p in sorted(spoiler.folder.glob("trial_*")) if p.is_dir() and not p.is_symlink()
    ]
    names = [
        "trial_0", "trial_00001", "trial_", "trial_x", "trial_9999", "trial_0001 (copy)",
        "trial_\x1b[31m", "trial_[bold]", "trial_-1", "trial_1e3", "trial_caf\udce9", "trial_²",
    ]  # fmt: skip
    for name in spoiler.rng.sample(names, spoiler.rng.choice([1, 2])):
        if trials:
            with suppress(OSError, UnicodeEncodeError):
                shutil.copytree(spoiler.rng.choice(trials), spoiler.folder / name, symlinks=True)


def strangers(spoiler: Spoiler) -> None:
    """Adds what says nothing: keys that nobody knows, files of other programs, another layout."""
    rng = spoiler.rng
    name = rng.choice(["notes.txt", ".DS_Store", "trial_notes", "study.json~"])
    if not os.path.lexists(spoiler.folder / name):
        (spoiler.folder / name).write_text("x")
    (spoiler.folder / "events").mkdir(exist_ok=True)
    for path in rng.sample(spoiler.files("trial.json"), min(2, len(spoiler.files("trial.json")))):
        _edit(path, lambda t: t.update(x_later={"a": [1]}))
    _edit(spoiler.folder / "study.json", lambda record: record | {"later": [1]})


def held(spoiler: Spoiler) -> None:
    """Leaves what a running or killed search would leave, with nonsense in it."""
    kind = spoiler.rng.choice(
        ["status.json", ".holder.json", ".index.json", "artifacts/looks.json"]
    )
    stated = {
        "status.json": {"phase": spoiler.text(), "running": {spoiler.text(): spoiler.value()}},
        ".holder.json": {
            "host": os.uname().nodename, "pid": spoiler.value(1), "since": spoiler.value(),
        },
        ".index.json": {"format": 1, "trials": {"trial_0000": [[None, None], {}, {}]}},
        "artifacts/looks.json": spoiler.value(),
    }  # fmt: skip
    path = spoiler.folder / kind
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        if not os.path.lexists(path) or path.is_file():  # not into a pipe of another damage
            path.write_text(json.dumps(stated[kind]), encoding="utf-8")


KINDS: dict[str, tuple[Callable[[Spoiler], None], int]] = {  # with how often each is drawn
    "values": (values, 8), "whole": (whole, 2), "study_field": (study_field, 5),
    "paths": (paths, 3),
    "origins": (origins, 2), "epochs": (epochs, 3), "statuses": (statuses, 2), "newer": (newer, 1),
    "content": (content, 4), "huge": (huge, 1), "missing": (missing, 2), "swapped": (swapped, 2),
    "links": (links, 4), "pipes": (pipes, 2), "copies": (copies, 2), "strangers": (strangers, 1),
    "held": (held, 2),
}  # fmt: skip
HARMLESS = {"strangers"}


def study_folder(root: Path, seed: int, bases: list[Path], elsewhere: Path) -> Case:
    """Makes the hostile study number `seed` as `root`.

    Args:
        root: Its folder, which is not there yet.
        seed: Draws everything.
        bases: Sound studies to copy; one is drawn.
        elsewhere: A folder that texts and links name.
    """
    rng = random.Random(seed)
    base = rng.choice(bases)
    shutil.copytree(base, root, ignore=shutil.ignore_patterns("report", ".lock"))
    spoiler = Spoiler(root, elsewhere, rng)
    weights = [weight for _, weight in KINDS.values()]
    kinds = rng.choices(list(KINDS), weights, k=rng.choice([1, 1, 1, 2, 3, 5]))
    for kind in kinds:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            KINDS[kind][0](spoiler)
    return Case(root, base, tuple(kinds), elsewhere)
