"""How a study was run, as pairs of label and text, and the reproducibility checklist."""

import math
import shlex
from collections.abc import Iterator
from typing import Any

from experiments.record.formatting import (
    NO_END,
    duration,
    listed,
    plural,
    text,
    trials_at_most,
    words,
)
from experiments.record.formatting import format_number as shown
from experiments.record.passwords import hidden
from experiments.record.reading import as_dict, as_number, clean, dicts, dig
from experiments.record.study import picks
from experiments.record.test_uses import read_looks
from reports.analysis.sessions import sessions_of
from reports.analysis.task import noun_of
from reports.analysis.test_looks import opened_words
from reports.analysis.verdict import winner_on_test
from reports.study.study import Study

_NO_COMMANDS = ("", "-", "-c", "ipykernel_launcher.py", "colab_kernel_launcher.py")
_MOST_COMMANDS = 20
_MOST_WEIGHTS = 12  # classes whose weights are all shown
YES, PARTLY, NO = "yes", "partly", "no"


def facts(study: Study) -> list[tuple[str, str]]:
    """Returns how a study was run: `(label, text)` of each recorded fact."""
    told = [
        *_facts(study, noun_of(study)),
        ("test split", opened_words(study)),
        ("looks", _looks(study)),
    ]
    return [(label, clean(value, 3000)) for label, value in told if value]


def _looks(study: Study) -> str:
    found = len(read_looks(study.folder))
    return f"{plural(found, 'comparison')} looked at tested trainings" if found else ""


def _facts(study: Study, noun: str) -> Iterator[tuple[str, str]]:
    record = study.record
    config, dataset = as_dict(record.get("config")), as_dict(record.get("dataset"))
    environment = as_dict(record.get("environment"))
    yield "space", f"{config.get('space', '')} on {dataset.get('name', '')}" if config else ""
    yield "method", _method(record)
    stated = dicts(record.get("objectives")) or [as_dict(record.get("objective"))]
    label = "objectives" if len(stated) > 1 else "objective"
    yield label, "; ".join(", ".join(str(v) for v in o.values()) for o in stated)
    yield "budget", _budget(config, "script" in record)
    yield "took", _took(study)
    yield "seed", _said(config.get("seed"))
    yield f"{noun}s", split_sizes(dataset)
    yield "splits", _splits(config, dataset, noun)
    roles = as_dict(dataset.get("roles")).items()
    yield "roles", "; ".join(f"{split} is {source}" for split, source in roles)
    skipped = dataset.get("skipped")
    if isinstance(skipped, list) and skipped:
        named = listed([str(name) for name in skipped])
        yield "skipped", f"{len(skipped)} (unreadable {noun}s, folders without one): {named}"
    yield "class weights", class_weights(record)
    for label, key in (("held", "fix"), ("ranges", "ranges"), ("set", "settings")):
        yield label, ", ".join(f"{k} = {_given(v)}" for k, v in as_dict(config.get(key)).items())
    yield "widened", "; ".join(widenings(record))
    yield "machine", _machine(environment)
    versions = as_dict(environment.get("packages")).items()
    python = [f"Python {environment['python']}"] if "python" in environment else []
    yield "versions", ", ".join([*python, *(f"{name} {version}" for name, version in versions)])
    yield "git", _git(as_dict(environment.get("git")))


def method_words(config: dict[str, Any]) -> str:
    """Names the method of a search, and its pruner."""
    method, pruner = _said(config.get("method")), config.get("pruner")
    return f"{method} with {pruner}" if method and pruner not in (None, "none") else method


def _method(record: dict[str, Any]) -> str:
    method, picked = method_words(as_dict(record.get("config"))), picks(record)
    return f"{method} ({'; then '.join(picked)})" if picked else method


def _given(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else text(value)


def widenings(record: dict[str, Any]) -> list[str]:
    """Says which ranges were widened during a study, and from which trial on."""
    return [
        f"{change.get('name')} from trial {session.get('first_trial')} on: {change.get('now')} "
        f"(before: {change.get('was')})"
        for session in dicts(record.get("sessions"))
        for change in dicts(session.get("widened"))
    ]


def _said(value: object) -> str:
    return "" if value is None else str(value)


def _budget(config: dict[str, Any], is_script: bool) -> str:
    if not config:
        return ""
    patience, trainings = config.get("patience"), config.get("executions_per_trial", 1)
    most = as_number(config.get("max_trials"))
    trials = (
        trials_at_most(most, config.get("method"))
        if most >= NO_END
        else _counted(config.get("max_trials"), "trial")
    )
    told = [trials]
    # A script decides what it does not leave to the suite.
    if config.get("max_epochs") != 1 or not is_script:
        told[0] += f" of up to {_counted(config.get('max_epochs'), 'epoch')}"
    if patience is not None or not is_script:
        told.append("no early stopping" if patience is None else f"patience {patience}")
    if trainings != 1 or not is_script:
        told.append(f"{_counted(trainings, 'training')} a trial")
    return ", ".join(told)


def _counted(count: object, noun: str) -> str:
    known = as_number(count)
    return plural(known, noun) if known >= 0 else f"{clean(count)} {noun}s"


def _took(study: Study) -> str:
    """Adds up the sessions; a pause between two does not count, even if the first was killed."""
    record, sessions = study.record, sessions_of(study)
    whole = as_number(record.get("ended")) - as_number(record.get("started"))
    if len(sessions) < 2 or any(math.isnan(session.start) for session in sessions):
        return duration(whole) if whole >= 0 else ""
    if study.running and not study.interrupted:
        return ""
    seconds = sum(session.end - session.start for session in sessions)
    killed = sum(session.was_killed for session in sessions)
    if math.isnan(seconds):
        return f"not known: of {len(sessions)} sessions {killed} had no end"
    counted = ", those that were killed up to the end of their last trial" if killed else ""
    return f"{duration(seconds)} in {len(sessions)} sessions{counted}" if seconds >= 0 else ""


def class_weights(record: dict[str, Any]) -> str:
    """Says what each class weighs in the loss; empty where classes were not weighed."""
    asked = dig(record, "config", "class_weight")
    if not asked:
        return ""
    found, names = record.get("class_weights"), dig(record, "dataset", "class_names")
    weights = [as_number(value) for value in found] if isinstance(found, list) else []
    if not isinstance(names, list) or len(names) != len(weights) or not weights:
        return f"{clean(asked, 40)}: training losses are weighed, scores are not"
    weighed = sorted(zip(weights, (clean(name, 40) for name in names), strict=True))
    few = len(weighed) <= _MOST_WEIGHTS
    shown_ones = [
        f"{name} {weight:.3g}"
        for weight, name in (weighed if few else weighed[:: len(weighed) - 1])
    ]
    return (
        f"{clean(asked, 40)}: {(', ' if few else ' to ').join(shown_ones)}; training losses are "
        "weighed, scores are not"
    )


def split_sizes(dataset: dict[str, Any]) -> str:
    """Returns the number of rows of each split, and their shape."""
    counts = as_dict(dataset.get("counts"))
    if not counts:
        return ""
    shape = dataset.get("shape")
    size = f", each {' x '.join(map(str, shape))}" if isinstance(shape, list) and shape else ""
    size += " numbers" if size and len(shape or ()) == 1 else ""
    return ", ".join(f"{shown(as_number(n))} {split}" for split, n in counts.items()) + size


def _splits(config: dict[str, Any], dataset: dict[str, Any], noun: str) -> str:
    if not dataset.get("fingerprint"):
        return ""
    return (
        f"fingerprint {dataset['fingerprint']}, split seed {config.get('split_seed')}: studies "
        f"with the same fingerprint saw the same {noun}s in the same splits"
    )


def _machine(environment: dict[str, Any]) -> str:
    if not environment:
        return ""
    return (
        f"{environment.get('cores')} cores, {environment.get('memory_gb')} GB, "
        f"{environment.get('platform')}"
    )


def _git(git: dict[str, Any]) -> str:
    if not git:
        return ""
    dirty = ", with uncommitted changes" if git.get("dirty") else ", nothing uncommitted"
    return f"commit {clean(str(git.get('commit')))[:12]}{dirty}"


def command_line(study: Study) -> str:
    """Returns the commands that started and resumed the search, a line each, if recorded."""
    sessions = dicts(study.record.get("sessions"))[1:]
    stated = [dig(study.record, "environment", "command_line")]
    stated += [session.get("command_line") for session in sessions]
    called = [_called([str(part) for part in parts]) for parts in stated if isinstance(parts, list)]
    lines = [hidden(shlex.join(parts)) for parts in called if parts]
    different = list(dict.fromkeys(lines))[:_MOST_COMMANDS]
    return "\n".join(clean(line, 2000) for line in different)


def _called(parts: list[str]) -> list[str]:
    """Returns a command as a shell takes it; earlier commits recorded Python's `sys.argv`.

    Empty where that was of a notebook or a prompt.
    """
    if not parts or parts[0] in _NO_COMMANDS:
        return []
    if parts[0] == "__main__.py" and parts[1:2] in (["search"], ["resume"]):
        return ["python", "-m", "experiments", *parts[1:]]
    return ["python", *parts] if parts[0].endswith(".py") else parts


def _measure(study: Study) -> tuple[str, str]:
    found = winner_on_test(study)
    if found is None:
        return NO, "no test score"
    metric, test = found
    if not test.has_interval:
        return PARTLY, f"test {words(metric)}: {test.why_none}, no interval"
    return YES, f"test {words(metric)}, mean with 95 % interval"


def _runs(study: Study) -> str:
    trained = int(study.completed["scores"].map(len).sum())
    tested = sum(len(f["runs"]) for f in (*study.finalists, *study.confirmed))
    ranked = sum(len(dicts(f.get("ranking"))) for f in study.finalists)
    stopped = int((study.trials["status"] == "pruned").sum())
    parts = [
        f"{plural(len(study.trials), 'trial')} with {plural(trained, 'completed training')}",
        *([f"{plural(stopped, 'trial')} stopped early"] if stopped else []),
        *([f"{plural(ranked, 'training')} that ranked finalists"] if ranked else []),
        f"{plural(tested, 'training')} evaluated on test",
    ]
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def checklist(study: Study) -> list[tuple[str, str, str]]:
    """Answers the items for reported results of the ML reproducibility checklist.

    Source: Pineau et al. 2021, "Improving reproducibility in machine learning research", part on
    experimental results.

    Returns:
        `(item, yes | partly | no, answer)`.
    """
    record, config = study.record, as_dict(study.record.get("config"))
    tested = [f for f in study.finalists if f["runs"]]
    seeds = len(tested[0]["runs"]) if tested else 0
    ranges = [
        hp for hp in study.hyperparameters.values()
        if "min_value" in hp or "values" in hp or hp.get("kind") == "Boolean"
    ]  # fmt: skip
    git = as_dict(dig(record, "environment", "git"))
    return [
        ("Range of hyperparameters considered", YES if study.hyperparameters else NO,
         f"{len(ranges)} of {len(study.hyperparameters)} with their ranges, in `study.json`"),
        ("Method to select the best configuration", YES if config.get("method") else NO,
         f"{clean(method_words(config))}, ranked by {study.objective}"
         if config else "not recorded"),
        ("Specification of all hyperparameters used", YES, "of every trial, under All trials"),
        ("Exact number of training and evaluation runs", PARTLY if study.is_plain else YES,
         _runs(study)),
        ("Measure and statistics used to report results", *_measure(study)),
        ("Central tendency and variation", YES if seeds > 1 else PARTLY if seeds else NO,
         f"over {plural(seeds, 'seed')}" if seeds else "nothing was tested"),
        ("Average runtime of each result", YES if study.trials["seconds"].notna().any() else NO,
         f"{duration(float(study.trials['seconds'].median()))} a trial (median)"),
        ("Computing infrastructure", YES if record.get("environment") else NO,
         clean(_machine(as_dict(record.get("environment")))) or "not recorded"),
        ("Data: source, splits, sizes", YES if dig(record, "dataset", "fingerprint") else NO,
         clean(split_sizes(as_dict(record.get("dataset")))) or "not recorded"),
        ("Excluded data", YES if "skipped" in as_dict(record.get("dataset")) else NO,
         f"{plural(len(dig(record, 'dataset', 'skipped') or []), noun_of(study))} skipped"
         if record else "not recorded"),
        ("Code and its version", (PARTLY if git.get("dirty") else YES) if git else NO,
         _git(git) or "no git commit is recorded"),
        ("Random seeds", YES if "seed" in config else NO,
         clean(f"seed {config['seed']}, split seed {config.get('split_seed')}")
         if "seed" in config else "not recorded"),
    ]  # fmt: skip
