"""Runs every command that reads a study on one, in this process, and judges how each ended.

A command that would train or measure is ended at that point, unless it has refused before.
"""

import json
import os
import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.hostile_guard import Guard, limited
from benchmarks.hostile_studies import HARMLESS, Case

DONE, REFUSED, GOES_ON, WRONG = "done", "refused", "goes on", "wrong"
_STEERING = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), *"\u202e\u202d\u2066"} - {
    "\n",
    "\t",
}
_PAINTED = 0.05  # of the commands that draw
_LONGEST = 2000  # of a refusal
_BAD_INPUT = 2
_OF_STUDIES_WITH_DATA = {"resume", "reproduce", "measure"}  # ask for data, which may be fetched
_VAGUE = "its record is damaged ("


class TrainsError(BaseException):
    """A command has reached the point where a network is trained or measured."""


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    Args:
        how: `done`, `refused`, `goes on` or `wrong`.
        why: The refusal, or what is wrong.
    """

    how: str
    why: str = ""


def _trains(*arguments: Any, **options: Any) -> Any:
    raise TrainsError


def _executor(*arguments: Any, **options: Any) -> Any:
    from experiments.executors.inline import InlineExecutor

    return InlineExecutor(_trains)


def _unpainted(*arguments: Any) -> tuple[str, tuple[Any, ...]]:
    return "<svg></svg>", ()


@contextmanager
def without_training(paints: bool = True) -> Iterator[None]:
    """Ends whatever would train a network, or would reach a cluster, where it begins.

    Args:
        paints: Whether figures are drawn, which takes most of a report's time; else they are
            only computed.
    """
    names = {
        "experiments.executors.make_executor": _executor,
        "experiments.finalists.again.make_executor": _executor,
        "experiments.studies.measure.latency": _trains,
        "experiments.studies.retrain.confirm_trial": _trains,
    }
    if not paints:
        names["reports.figures._render.render"] = _unpainted
    with ExitStack() as stack:
        for name, replacement in names.items():
            stack.enter_context(patch(name, replacement))
        yield


def commands(case: Case, runs: Path, out: Path, rng: random.Random) -> dict[str, list[str]]:
    """Returns the command lines that a case is tried with, those that change it last.

    Args:
        case: The study, in the folder of studies `runs`.
        runs: Folder of studies; a sound one of the same data is there too.
        out: Folder for what is written.
        rng: Draws variants.
    """
    name, trial = case.folder.name, rng.choice(["0", "0001", "2", "../x"])
    by = rng.choice(["--by", "--default", ""])
    compared = {"--by": [name, "--by", "pooling"], "--default": [name, "--default"]}
    confirm = rng.choice([[], ["--seeds", "2"]])
    place = ["--cache-dir", str(runs.parent / "cache")] if rng.random() < 0.5 else []
    lines = {
        "list": ["list"],
        "status": ["status", name],
        "show": ["show", name],
        "show trial": ["show", name, trial],
        "compare": [
            "compare",
            *compared.get(by, ["sound", name]),
            *confirm,
            "--out",
            str(out / "compared"),
        ],
        "export csv": ["export", name, "--to", "csv"],
        "export json": ["export", name, "--to", "json", "--out", str(out / "study.json")],
        "export optuna": ["export", name, "--to", "optuna", "--out", str(out / "optuna.db")],
        "export model": ["export", name, "--model", "onnx"],
        "next": ["report", name, "--next", str(out / "next.toml")],
        "report": ["report", name],
        "reproduce": ["reproduce", name, trial, *place],
        "measure": ["measure", name, "--top", "1", *place],
        "resume": [
            "resume",
            name,
            *place,
            *rng.choice([[], ["--max-trials", "6"], ["--ray", "none"]]),
        ],
        "free-disk": ["free-disk", name, "--keep", rng.choice(["0", "1"])],
    }
    return {command: [*line, "--runs-dir", str(runs)] for command, line in lines.items()}


SLOW = ("report", "compare", "export optuna", "resume", "reproduce", "measure")


def run_command(
    command: str, line: Sequence[str], guard: Guard, allowed: Sequence[Path], paints: bool = True
) -> Ending:
    """Runs a command line and judges it."""
    from click.testing import CliRunner

    from experiments.cli.main import main

    with guard.watching(*allowed) as outside:
        try:
            with limited(), without_training(paints):
                result = CliRunner().invoke(main, list(line))
        except TrainsError:
            result = None
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return Ending(WRONG, f"{type(error).__name__}: {error}\n{_where(error)}")
    harm = [w for w in outside if not (command in _OF_STUDIES_WITH_DATA and _fetches(w))]
    if harm:
        return Ending(WRONG, f"outside: {'; '.join(harm[:3])}")
    return Ending(GOES_ON) if result is None else _judged(result)


def _fetches(event: str) -> bool:
    """Whether it may be for the data: the hosts that a spoilt study names are all this machine."""
    return event.startswith("socket.") and "127.0.0.1" not in event and "localhost" not in event


def _judged(result: Any) -> Ending:
    error = result.exception
    if error is not None and not isinstance(error, SystemExit):
        return Ending(WRONG, f"{type(error).__name__}: {str(error)[:300]}\n{_where(error)}")
    raw = sorted(_STEERING & {*result.output})
    if raw:
        return Ending(WRONG, f"steers the terminal: {raw!r}: {result.output[:300]!r}")
    if "Traceback (most" in result.stderr:
        return Ending(WRONG, f"traceback: {result.stderr[-600:]}")
    if result.exit_code == _BAD_INPUT:
        lines = result.stderr.strip().split("\n")
        is_line = lines[-1].startswith("error: ") and len(lines[-1]) < _LONGEST
        alone = sum(line.startswith("error") for line in lines) == 1
        return Ending(REFUSED if is_line and alone else WRONG, result.stderr[-_LONGEST:])
    if result.exit_code not in (0, 1):
        return Ending(WRONG, f"exit code {result.exit_code}: {result.stderr[-500:]}")
    return Ending(DONE)


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    foreign = ("site-packages", "/lib/python")
    own = [f for f in frames if not any(part in f.filename for part in foreign)]
    last = [f"{Path(f.filename).name}:{f.lineno} {f.name}: {f.line}" for f in own[-4:]]
    return "\n".join(
        f"      {text}" for text in [*last, f"in {frames[-1].filename}:{frames[-1].lineno}"]
    )


def run_source(case: Case, runs: Path, guard: Guard, allowed: Sequence[Path], space: Any) -> Ending:
    """Takes a study's trials into another search, as `--from` does; `space` is that search's."""
    from experiments.methods.warm_start import as_record, from_record, warm_start
    from experiments.record.errors import UserError
    from experiments.record.objective import Objective

    with guard.watching(*allowed) as outside:
        try:
            with limited():
                objective = Objective("val_accuracy", "max")
                used, _ = warm_start([str(case.folder)], space, objective, runs)
                from_record({"earlier": json.loads(json.dumps(as_record(used)))})
                ending = Ending(DONE)
        except UserError as error:
            short = len(str(error)) < _LONGEST
            ending = Ending(REFUSED if short else WRONG, str(error)[:_LONGEST])
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            ending = Ending(WRONG, f"{type(error).__name__}: {error}\n{_where(error)}")
    return Ending(WRONG, f"outside: {outside[:3]}") if outside else ending


def check_trials(case: Case) -> str:
    """Compares trials whose files are as they were with those of the sound study.

    Returns:
        What is wrong; empty where nothing is, or where the study is refused.
    """
    from experiments.record.errors import UserError
    from reports import load_study

    sound = load_study(case.base)
    try:
        with limited():
            trials = load_study(case.folder).trials.set_index("trial_id")
    except UserError as error:
        refused = str(error)
        return f"a harmless change is refused: {refused}" if {*case.kinds} <= HARMLESS else ""
    for _, row in sound.trials.iterrows():
        trial_id = str(row["trial_id"])
        if _is_as_it_was(case, trial_id):
            if trial_id not in trials.index:
                return f"trial {trial_id} is as it was, and not shown"
            now = trials.loc[trial_id]
            if _told(now) != _told(row):
                return f"trial {trial_id} is as it was, and shown as {_told(now)}"
    return ""


def _told(row: Any) -> tuple[Any, ...]:
    told = (row["status"], row["score"], row["total_epochs"])
    return tuple(None if value != value else value for value in told)


def _is_as_it_was(case: Case, trial_id: str) -> bool:
    for name in ("trial.json", "result.json"):
        was, now = (root / f"trial_{trial_id}" / name for root in (case.base, case.folder))
        if now.is_file() != was.is_file():
            return False
        if was.is_file() and was.read_bytes() != now.read_bytes():
            return False
    return True


def snapshot(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Returns path -> kind, size and time of change, but for what reading may write."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(place, name)
            with suppress(OSError):
                facts = path.lstat()
                is_folder = path.is_dir() and not path.is_symlink()
                times = (0, 0) if is_folder else (facts.st_size, facts.st_mtime_ns)
                found[str(path.relative_to(folder))] = (facts.st_mode, *times)
    allowed = ("report", ".index.json", "artifacts/looks.json", ".lock", ".holder.json", "export")
    return {p: s for p, s in found.items() if not p.startswith(allowed)}


Outcome = Callable[[str, Ending], None]


def run_case(
    case: Case,
    runs: Path,
    guard: Guard,
    rng: random.Random,
    note: Outcome,
    space: Any,
    share: float,
) -> None:
    """Runs all commands on a study; `note` receives each ending.

    Args:
        case: The study.
        runs: The folder of studies that it is in.
        guard: Watches.
        rng: Draws variants.
        note: Called with the command and how it ended.
        space: Hyperparameters of a search that takes the study's trials.
        share: Of the slow commands, how many are run.
    """
    out = runs.parent / "out"
    out.mkdir(exist_ok=True)
    allowed = (case.folder, out, runs.parent / "tmp", runs.parent / "cache", runs / "sound")
    wrong = check_trials(case)
    note("trials", Ending(WRONG if wrong else DONE, wrong))
    note("--from", run_source(case, runs, guard, allowed, space))
    before, outside = snapshot(case.folder), snapshot(case.elsewhere)
    for command, line in commands(case, runs, out, rng).items():
        if command in SLOW and rng.random() >= share:
            continue
        note(command, run_command(command, line, guard, allowed, rng.random() < _PAINTED))
        if command == "next" and snapshot(case.folder) != before:
            changed = {
                k
                for k in {*before, *snapshot(case.folder)}
                if before.get(k) != snapshot(case.folder).get(k)
            }
            note("reading", Ending(WRONG, f"changed the study: {sorted(changed)[:5]}"))
    if snapshot(case.elsewhere) != outside:
        note("outside", Ending(WRONG, "a folder outside was changed"))
