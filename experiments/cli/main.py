"""The command line. Heavy modules are imported by the command that needs them."""

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from experiments.cli.compare_command import compare
from experiments.cli.options import (
    DEFAULTS,
    parse_options,
    runs_dir_option,
    search_options,
    space_option,
    study_argument,
    study_command,
)
from experiments.cli.predict_command import predict
from experiments.cli.report_commands import export, measure, report, reproduce
from experiments.cli.study_commands import free_disk, status
from experiments.config import OPTIONS, SearchConfig
from experiments.process.inherited import own_process
from experiments.process.interrupt import interruptible
from experiments.process.output import close, complain, echo, say
from experiments.process.quiet import import_keras_quietly
from experiments.record.errors import UserError
from experiments.record.formatting import NO_END
from experiments.space_reference import check_file, check_space, space_names

if TYPE_CHECKING:
    from experiments.search.search_result import SearchResult

_BAD_INPUT = 2
_NO_TRIAL_COMPLETED = 1
_OUTPUT_CLOSED = 1
_INTERRUPTED = 130
_OWN = {"experiments", "reports", "search_spaces"}
_LONGEST_WORD, _LONGEST_LINE = 400, 1800  # characters of an error message


class _Refusing(click.Command):
    """Shows unusable input as one line and exits with 2."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        own_process()
        with interruptible():
            self._run(*args, **kwargs)

    def _run(self, *args: Any, **kwargs: Any) -> None:
        try:
            sys.exit(super().main(*args, **kwargs) or 0)
        except click.exceptions.NoArgsIsHelpError as error:
            complain(error.format_message())
            sys.exit(_BAD_INPUT)
        except click.ClickException as error:
            self._refuse(error.format_message())
        except UserError as error:
            self._refuse(str(error))
        except (click.Abort, KeyboardInterrupt) as error:
            # click has turned it into an Abort
            self._interrupted(error.__cause__ or "")
        except ImportError as error:
            if _package(error) in _OWN:
                raise
            self._refuse(_not_imported(error))
        except OSError as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # click could not print it
                self._interrupted(error.__context__)
            self._fail(error)

    @staticmethod
    def _interrupted(message: object) -> None:
        complain(str(message) or "interrupted")
        sys.exit(_INTERRUPTED)

    def _fail(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has ended
            close()
            sys.exit(_OUTPUT_CLOSED)
        named = f"{error.filename!r}: " if error.filename else ""
        self._refuse(f"{named}{error.strerror or error}")

    @staticmethod
    def _refuse(message: str) -> None:
        complain(f"error: {_brief(message)}")
        sys.exit(_BAD_INPUT)


def _package(error: ImportError) -> str:
    """Returns the package that can't be imported: the one that is named, or the one that fails."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    failing = place.tb_frame.f_globals.get("__name__", "") if place else ""
    return str(error.name or failing).partition(".")[0]


def _not_imported(error: ImportError) -> str:
    from experiments.record.errors import named_line

    cause = error
    while isinstance(before := cause.__cause__ or cause.__context__, ImportError):
        cause = before  # TensorFlow's own message begins with a traceback
    return (
        f"{_package(error)} can't be imported ({named_line(cause)}): install the suite anew, in an "
        "environment of its own"
    )


def _brief(message: str) -> str:
    """Returns a message as one line of limited length, even if it quotes a long record."""
    from experiments.record.reading import clean

    return clean(" ".join(clean(word, _LONGEST_WORD) for word in message.split()), _LONGEST_LINE)


class _Group(_Refusing, click.Group):
    """The commands."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] == "prune":
            raise UserError("`experiments prune` is called `experiments free-disk` now")
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keras-tuner-experiments")
def main() -> None:
    """Launch hyperparameter searches, read their reports, compare architectures."""


def _complete_spaces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in space_names() if name.startswith(incomplete)]


@main.command()
@click.argument("space", required=False, shell_complete=_complete_spaces)
@search_options
def search(quiet: bool, **options: Any) -> int:
    """Search SPACE for its best hyperparameters, and write the report.

    SPACE is a search space's name, or your own model: FILE.py[:NAME] or package.module:NAME, a
    function build_model(hp) that returns a compiled Keras model, or a keras_tuner.HyperModel.
    """
    chosen = parse_options(**options)
    if "space" not in chosen:
        raise UserError("no search space: name one, for example `experiments search mnist_cnn`")
    if chosen.get("deadline") is not None:  # a budget by itself
        chosen.setdefault("max_trials", NO_END)
    config = SearchConfig(**(DEFAULTS | chosen))
    check_file(config.space)
    from experiments.executors import begun_early  # it loads NumPy

    with begun_early(config, import_keras_quietly) as executor:
        if quiet:
            import keras

            keras.config.disable_interactive_logging()  # of downloads
        from experiments.display import make_display
        from experiments.search.run import run_search

        with make_display(quiet) as display:
            result = run_search(config, display, executor)
    return _show_result(result, quiet)


@main.command()
@study_argument
@partial(search_options, resumes=True)
@space_option
@click.option(
    "--accept-changed-source", is_flag=True,
    help="take files that have changed, of a model, its base or weights, if its hyperparameters "
    "still fit",
)  # fmt: skip
def resume(study: str, quiet: bool, accept_changed_source: bool, **options: Any) -> int:
    """Resume STUDY after an interruption, or extend it, for example with more --max-trials.

    What is not given stays as it was recorded; a deadline is given anew. What would change space,
    data, objective or method is refused.
    Of a study of your own model, this runs the code of its file.
    """
    from experiments.record.study import find_study

    changes = parse_options(**options)
    changes.pop("name", None)
    runs = changes.pop("runs_dir", "runs")
    OPTIONS["runs_dir"].check("runs_dir", runs)
    find_study(study, runs)
    from experiments.display import make_display
    from experiments.search.resuming import resume_search

    with make_display(quiet) as display:
        result = resume_search(
            study, runs, changes, display, import_keras_quietly, accept_changed_source
        )
    return _show_result(result, quiet)


def _show_result(result: "SearchResult", quiet: bool) -> int:
    if result.best_trial is None:
        complain(f"no trial was completed, {result.num_failed} failed; report: {result.report}")
        return _NO_TRIAL_COMPLETED
    if not quiet:
        from experiments.record.formatting import score as shown
        from experiments.record.layout import StudyFolder

        for line in result.front_lines:
            say(line)
        label = "recommended trial" if result.front_lines else "best trial"
        score = f"{result.objective} {shown(result.best_score)}{result.tested}"
        say(f"{label}: {result.best_trial}, {score}")
        if result.tested:
            say(f"model:  {StudyFolder(result.folder).model}")
        say(f"report: {result.report}")
    return 0


@main.command("list")
@runs_dir_option
def list_studies(runs_dir: str) -> None:
    """List the studies, newest first."""
    from reports.page.listing import studies_table

    echo(studies_table(runs_dir))


@study_command
@click.argument("trial", required=False)
def show(study: str, trial: str | None, runs_dir: str) -> None:
    """Show STUDY, or one TRIAL of it."""
    from reports import load_study
    from reports.page.terminal import study_text, trial_text

    loaded = load_study(study, runs_dir)
    echo(trial_text(loaded, trial) if trial else study_text(loaded))


@main.command()
@click.argument("space", required=False, shell_complete=_complete_spaces)
def spaces(space: str | None) -> None:
    """List search spaces (or one SPACE): hyperparameters, ranges, meanings, settings.

    SPACE is a name, or your own model: FILE.py[:NAME] or package.module:NAME. Its code is run.
    """
    if space is not None:
        check_space(space)
        check_file(space)
    import_keras_quietly()
    from experiments.hyperparameters.space import describe_each, describe_space

    echo(describe_space(space) if space else describe_each(space_names()))


@main.command()
@click.option("--cache-dir", type=click.Path(), help="the cache folder  [default: the user's]")
@click.option("--prune", is_flag=True, help="remove entries: all, or as the next two say")
@click.option("--older-than", metavar="AGE", help="only what was not used for 12h, 30d, 8w")
@click.option("--max-size", metavar="SIZE", help="the longest unused, until 500MB or 20GB are left")
def cache(cache_dir: str | None, prune: bool, older_than: str | None, max_size: str | None) -> None:
    """List prepared datasets and kept features with size and age, or remove them."""
    from experiments.data import cache as module

    age = None if older_than is None else module.parse_age(older_than)
    size = None if max_size is None else module.parse_size(max_size)
    folder = module.cache_folder(cache_dir)
    if not prune:
        if age is not None or size is not None:
            raise UserError("--older-than and --max-size say what --prune removes; add --prune")
        echo(module.describe(folder, module.entries(folder)))
        return
    echo(str(module.prune(folder, age, size)))
    echo(module.describe(folder, module.entries(folder)))


@main.command()
def datasets() -> None:
    """List datasets."""
    from experiments.catalogue import DATASETS

    shown = {name + dataset.argument: dataset.what for name, dataset in DATASETS.items()}
    for name, what in shown.items():
        echo(f"{name:{max(map(len, shown))}} {what}")


for _command in (show, report, compare, predict, reproduce, export, measure, status, free_disk):
    main.add_command(_command)
