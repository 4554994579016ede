"""The command `compare`."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from experiments.cli.options import FiniteRange, complete_studies, data_options, runs_dir_option
from experiments.process.output import echo
from experiments.process.quiet import import_keras_quietly
from experiments.record.errors import UserError
from experiments.space_reference import find_reference


@click.command()
@runs_dir_option
@click.argument("studies", nargs=-1, shell_complete=complete_studies)
@click.option(
    "--arm", "arms", multiple=True, metavar="NAME=STUDY,STUDY,...",
    help="an arm of several searches, each of which counts once; repeatable",
)  # fmt: skip
@click.option("--by", metavar="NAME", help="compare the values of a hyperparameter in one study")
@click.option("--default", "default", is_flag=True, help="compare the best with the default")
@click.option(
    "--seeds", type=click.IntRange(1), help="train each arm's network over so many seeds, and test"
)
@click.option(
    "--difference", type=FiniteRange(0, 1, min_open=True), default=0.005, show_default=True,
    help="smallest difference of interest: what would show it is worked out",
)  # fmt: skip
@click.option(
    "--allow-different-splits", is_flag=True, help="compare although other images were seen"
)
@click.option("--out", type=click.Path(file_okay=False), help="folder of the page")
@data_options
@click.option(
    "--space", "spaces", multiple=True, metavar="[STUDY=]FILE.py[:NAME]",
    help="where a study's own model is that --seeds trains, if not at its recorded place; its code "
    "is run; repeatable",
)  # fmt: skip
@click.option(
    "--accept-changed-source", is_flag=True,
    help="train with files that have changed, of a model, its base or weights: its networks may be "
    "others",
)  # fmt: skip
def compare(runs_dir: str, **options: Any) -> None:
    """Compare STUDIES on test, arms of several searches, or the values of a hyperparameter.

    With --seeds, of a study of your own model, this runs the code of its file.
    """
    from reports.analysis.comparison.decide import compare as decide
    from reports.page.comparison import check_place, comparison_text, write_comparison

    named = _named(options)
    if options["spaces"] and options["seeds"] is None:
        raise UserError("--space says where the code is that --seeds trains with: add --seeds")
    arms = _arms(named, runs_dir, options)
    out = Path(options["out"]) if options["out"] else None
    check_place(arms[0].study, out)
    if options["seeds"] is not None:
        _confirm(arms, options)
        arms = _arms(named, runs_dir, options)
    same_images = _same_images([arm.study for arm in _single(arms)])
    comparison = decide(arms, same_images, _look(arms), options["difference"])
    page = write_comparison(comparison, out)
    echo(comparison_text(comparison))
    echo(f"\ncomparison: {page}")


def _named(options: dict[str, Any]) -> dict[str, list[str]]:
    """Returns the studies of each `--arm`; empty without any.

    Raises:
        UserError: The arms can't be compared.
    """
    studies, by, default = options["studies"], options["by"], options["default"]
    if not options["arms"] and not studies:
        raise UserError("say what to compare: two studies, one study with --by NAME, or --arm")
    if by is not None and default:
        raise UserError("--by and --default ask for different arms: give one of them")
    if (by is not None or default) and len(studies) > 1:
        raise UserError(f"{'--by' if by else '--default'} compares within one study; name one")
    if options["arms"] and (studies or by is not None or default):
        raise UserError("--arm names all that is compared: leave out STUDIES, --by and --default")
    named = dict(map(_named_arm, options["arms"]))
    if len(named) < len(options["arms"]):
        raise UserError("two --arm have the same name: give each its own")
    if len(named) == 1:
        raise UserError("one arm can't be compared with itself: give --arm twice or more")
    return named


def _named_arm(text: str) -> tuple[str, list[str]]:
    name, _, listed = text.partition("=")
    studies = [part.strip() for part in listed.split(",") if part.strip()]
    if not name.strip() or not studies:
        raise UserError(f"--arm {text}: expected NAME=STUDY,STUDY,...")
    return name.strip(), studies


def _arms(named: dict[str, list[str]], runs_dir: str, options: dict[str, Any]) -> list[Any]:
    from reports import load_study
    from reports.analysis.comparison.arms import (
        arms_by,
        arms_of_default,
        arms_of_searches,
        arms_of_studies,
    )

    allow = options["allow_different_splits"]
    if named:
        loaded = {n: [load_study(s, runs_dir) for s in several] for n, several in named.items()}
        return arms_of_searches(loaded, allow)
    studies = [load_study(study, runs_dir) for study in options["studies"]]
    if options["by"] is not None:
        return arms_by(studies[0], options["by"])
    return arms_of_default(studies[0]) if options["default"] else arms_of_studies(studies, allow)


def _single(arms: Sequence[Any]) -> list[Any]:
    """Returns the single-search arms in `arms`, including those inside arms of several searches."""
    return [part for arm in arms for part in (arm.searches or (arm,))]


def _same_images(studies: Sequence[Any]) -> bool:
    from reports.analysis.comparison.arms import fingerprint

    folders = {study.folder for study in studies}
    prints = {fingerprint(study) for study in studies}
    return len(folders) == 1 or (len(prints) == 1 and None not in prints)


def _look(arms: Sequence[Any]) -> int:
    """Records this comparison in each study; returns the number of the look, from 1.

    With fewer than two trainings, or searches, of two arms there is nothing to compare.
    """
    from experiments.record.test_uses import damaged_lists, look_digest, note_look
    from reports.analysis.test_looks import looks_before
    from reports.analysis.test_predictions import tested_runs

    if sum(len(arm.tests) > 1 for arm in arms) < 2:
        return 1
    single = [arm for arm in _single(arms) if arm.tests]
    names = _names([arm.study for arm in single])
    key = [(names[arm.study.folder.resolve()], arm.trial_id) for arm in single]
    runs = {
        f"{name}/{trial_id}": tested_runs(arm.study, trial_id)
        for arm, (name, trial_id) in zip(single, key, strict=True)
    }
    digest, counts = look_digest(runs), {name: len(of) for name, of in runs.items()}
    images = min(arm.test_size for arm in single)
    studies = {arm.study.folder: arm.study for arm in single}.values()
    for study in studies:
        for line in damaged_lists(study.folder):
            echo(f"study {study.name}: {line}")
        note_look(study.folder, key, {"trainings": counts, "images": images, "digest": digest})
    return 1 + max(looks_before(study, key, digest) for study in studies)


def _names(studies: Sequence[Any]) -> dict[Path, str]:
    """Returns a name of each study by its folder: its own, or the folder where others have it."""
    own = {study.folder.resolve(): study.name for study in studies}
    named = list(own.values())
    return {folder: n if named.count(n) == 1 else str(folder) for folder, n in own.items()}


def _confirm(arms: Sequence[Any], options: dict[str, Any]) -> None:
    for arm in _single(arms):
        if arm.trial_id is None and not arm.note:
            raise UserError(
                f"study {arm.study.name!r} has no completed trial to train with --seeds: resume it "
                f"until one completes (experiments resume {arm.study.name} --max-trials N)"
            )
    if sum(arm.trial_id is not None for arm in _single(arms)) < 2:
        raise UserError(
            f"--seeds has no two arms to train: {' '.join(arm.note for arm in arms if arm.note)}"
        )
    from experiments.record.files import check_writable
    from experiments.record.lock import COMPARED, locked
    from experiments.record.study import check_trainable

    for arm in _single(arms):  # before a lock file is created there
        if arm.trial_id is not None:
            check_trainable(arm.study.record, arm.study.name)
    folders = sorted({arm.study.folder.resolve() for arm in _single(arms)})
    for folder in folders:
        check_writable(folder)
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(locked(folder, COMPARED))
        _confirm_each(arms, options)


def _confirm_each(arms: Sequence[Any], options: dict[str, Any]) -> None:
    import_keras_quietly()
    from experiments.studies.retrain import confirm_trial

    opened = _opened(arms, options)
    for arm in _single(arms):
        if arm.note:
            echo(arm.note)
        if arm.trial_id is not None:
            confirm_trial(opened[arm.study.folder], arm.trial_id, options["seeds"], echo)
    for folder, study in opened.items():
        _measure(study, [a.trial_id for a in _single(arms) if a.study.folder == folder])


def _opened(arms: Sequence[Any], options: dict[str, Any]) -> dict[Path, Any]:
    """Opens every study that is trained, by folder, before the first is.

    Raises:
        UserError: One can't be opened, or has no classes to compare by.
    """
    from experiments.studies.reopen import open_study
    from experiments.studies.retrain import check_classes

    places = {name: options[name] for name in ("data_dir", "cache_dir", "dataset")}
    places["accept_changed_source"] = options["accept_changed_source"]
    spaces = _spaces(options["spaces"], [arm.study for arm in _single(arms)])
    opened: dict[Path, Any] = {}
    for arm in _single(arms):
        study = arm.study
        if arm.trial_id is not None and study.folder not in opened:
            opened[study.folder] = open_study(
                study, space=spaces.get(study.folder.resolve()), **places
            )
            check_classes(opened[study.folder])
    return opened


def _measure(opened: Any, trial_ids: Sequence[str | None]) -> None:
    """Measures the arms' networks in one go, if the latency of one is not recorded."""
    from experiments.studies.measure import measure

    trials = opened.study.trials
    of_arms = trials[trials["trial_id"].isin(trial_ids)]
    if of_arms["latency_ms"].isna().any():
        measure(opened, [str(trial_id) for trial_id in of_arms["trial_id"]], echo)


def _spaces(given: Sequence[str], studies: Sequence[Any]) -> dict[Path, str]:
    """Returns where the own model of each study is, by the study's folder, as `--space` says.

    Raises:
        UserError: It is not said of which study, or there is none with a model of its own.
    """
    from experiments.record.layout import expanded

    own = {s.folder.resolve(): _own_file(s) for s in studies if _own_file(s)}
    names = {f: name for f, name in _names(studies).items() if f in own}
    found: dict[Path, str] = {}
    for text in given:
        name, equals, place = text.partition("=")
        named = [f for f, known in names.items() if name == known or expanded(name).resolve() == f]
        if equals and named:
            found |= dict.fromkeys(named, place)
        elif len(set(own.values())) == 1:
            found |= dict.fromkeys(own, text)
        elif own:
            raise UserError(
                f"--space {text}: {', '.join(names.values())} have different models: say of which "
                f"study, as --space {next(iter(names.values()))}=FILE.py"
            )
        else:
            raise UserError(f"--space {text}: none of these studies has a model of its own")
    return found


def _own_file(study: Any) -> str:
    """Returns the recorded file of a study's own model; empty if it has none."""
    from experiments.record.reading import dig

    reference = find_reference(str(dig(study.record, "config", "space")))
    return reference.file if reference is not None and reference.path is not None else ""
