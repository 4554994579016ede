"""The command line. Heavy modules are imported by the command that needs them."""

import sys
from typing import Any

import click

from experiments.config import METHODS, SearchConfig, load_toml
from experiments.errors import UserError
from experiments.quiet import silence


class _Group(click.Group):
    """Shows a `UserError` as one line and exits with 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keras-tuner-experiments")
def main() -> None:
    """Launch hyperparameter searches, read their reports, compare architectures."""


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"{option} {text!r}: expected NAME=VALUE")
        pairs[name] = value
    return pairs


@main.command()
@click.argument("space", required=False)
@click.option("--dataset", help="mnist, cats_vs_dogs, digits, tfds:<name> or folder:<path>")
@click.option("--method", help=f"{', '.join(METHODS)}")
@click.option("--max-trials", type=int)
@click.option("--max-epochs", type=int)
@click.option("--objective", help="metric, and :max or :min", metavar="METRIC[:max|min]")
@click.option("--seed", type=int)
@click.option("--split-seed", type=int, help="seed of the splits; same for studies to compare")
@click.option("--fix", multiple=True, metavar="NAME=VALUE", help="hold a hyperparameter")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="set the space")
@click.option("--name", help="name of the study")
@click.option("--runs-dir", type=click.Path())
@click.option("--data-dir", type=click.Path(), help="folder of tensorflow-datasets")
@click.option("--cache-dir", type=click.Path(), help="folder of prepared arrays")
@click.option("--sample", type=int, help="images of a class-balanced subset")
@click.option("--patience", type=int, help="epochs without improvement before a trial stops")
@click.option("--executions-per-trial", type=int)
@click.option("--confirm", type=int, help="finalists trained again and tested")
@click.option("--seeds", type=int, help="trainings of each finalist")
@click.option("--config", "config_file", type=click.Path(), help="TOML file of these options")
@click.option("--quiet", is_flag=True)
def search(config_file: str | None, quiet: bool, fix: Any, settings: Any, **options: Any) -> None:
    """Search SPACE for its best hyperparameters."""
    chosen = load_toml(config_file) if config_file else {}
    chosen |= {name: value for name, value in options.items() if value is not None}
    for key, option, texts in (("fix", "--fix", fix), ("settings", "--set", settings)):
        chosen[key] = dict(chosen.get(key, {})) | _pairs(option, texts)
    if "space" not in chosen:
        raise UserError("no search space: name one, for example `experiments search mnist_cnn`")
    config = SearchConfig(**chosen)
    silence()
    from experiments.display import PlainDisplay, SilentDisplay
    from experiments.search import run_search

    result = run_search(config, SilentDisplay() if quiet else PlainDisplay())
    if result.best_trial is None:
        click.echo(f"no trial was completed, {result.num_failed} failed: {result.folder}", err=True)
        sys.exit(1)
    tests = ", ".join(f"{score:.4f}" for score in result.test_scores)
    click.echo(f"best trial {result.best_trial}: validation {result.best_score:.4f}, test {tests}")
    click.echo(f"model: {result.folder / 'best_model.keras'}")
