"""The options of a search on the command line, and the fields of `SearchConfig` they come to."""

import re
from collections.abc import Callable
from typing import Any

import click

from experiments.config import METHODS, PRUNERS, load_toml
from experiments.record.errors import UserError

_TABLES = {
    "fix": "--fix",
    "ranges": "--range",
    "settings": "--set",
    "method_settings": "--method-set",
}


def _complete_datasets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from experiments.catalogue import DATASETS

    return [name for name in DATASETS if name.startswith(incomplete)]


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options of a search."""
    options = [
        click.option(
            "--dataset",
            shell_complete=_complete_datasets,
            help="mnist, cats_vs_dogs, digits, tfds:<name> or folder:<path>  [default: mnist]",
        ),
        click.option(
            "--method",
            shell_complete=lambda c, p, text: [m for m in METHODS if m.startswith(text)],
            help=f"{', '.join(METHODS)}  [default: auto]",
        ),
        click.option("--max-trials", type=int, help="trials at most  [default: 10]"),
        click.option("--max-epochs", type=int, help="epochs of a trial at most  [default: 10]"),
        click.option(
            "--objective",
            multiple=True,
            metavar="METRIC[:max|min]",
            help="what ranks trials, and whether more or less of it is better; repeatable: the "
            "others may be metrics too, or params, flops, latency_ms  [default: val_accuracy]",
        ),
        click.option("--seed", type=int, help="seed of everything random  [default: 0]"),
        click.option(
            "--split-seed", type=int, help="seed of the splits; studies to compare share it"
        ),
        click.option("--fix", multiple=True, metavar="NAME=VALUE", help="hold a hyperparameter"),
        click.option(
            "--range",
            "ranges",
            multiple=True,
            metavar="NAME=LO:HI|a,b,c",
            help="search a number from LO to HI, or these choices",
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="NAME=VALUE", help="setting of the space"
        ),
        click.option("--name", help="name of the study  [default: space and time]"),
        click.option("--runs-dir", type=click.Path(), help="folder of studies  [default: runs]"),
        click.option("--data-dir", type=click.Path(), help="folder of tensorflow-datasets"),
        click.option("--cache-dir", type=click.Path(), help="folder of prepared arrays"),
        click.option("--sample", type=int, help="work on a class-balanced subset of N images"),
        click.option(
            "--patience",
            type=int,
            help="epochs without improvement before a trial stops, 0 for never  [default: 3]",
        ),
        click.option("--executions-per-trial", type=int, help="trainings a trial  [default: 1]"),
        click.option(
            "--confirm",
            type=int,
            help="finalists trained again; the best of them is tested  [default: 1]",
        ),
        click.option("--seeds", type=int, help="trainings of each finalist  [default: 1]"),
        click.option(
            "--race/--no-race",
            default=None,
            help="spend --confirm times --seeds trainings on finalists that may yet be the best, "
            "and on the winner's test",
        ),
        click.option(
            "--cache-features/--no-cache-features",
            default=None,
            help="compute what frozen layers make of images once, and keep it  [default: yes]",
        ),
        click.option(
            "--workers", metavar="N|auto", help="worker processes; 0 for none  [default: 1]"
        ),
        click.option("--ray", metavar="ADDRESS|local|none", help="run trials on a Ray cluster"),
        click.option("--ray-cpus", type=float, help="CPUs Ray reserves for a trial  [default: 1]"),
        click.option("--ray-gpus", type=float, help="GPUs Ray reserves for a trial  [default: 0]"),
        click.option(
            "--deadline", metavar="30m|18:00", help="when finalists and report should be done"
        ),
        click.option("--max-failures", type=int, help="failures in a row that end the search"),
        click.option("--keep", type=int, help="best trials whose weights are kept  [default: 3]"),
        click.option(
            "--method-set",
            "method_settings",
            multiple=True,
            metavar="NAME=VALUE",
            help="setting of the method, such as factor or startup_trials",
        ),
        click.option(
            "--pruner",
            shell_complete=lambda c, p, text: [n for n in PRUNERS if n.startswith(text)],
            help=f"what stops hopeless trials: {', '.join(PRUNERS)}  [default: none]",
        ),
        click.option(
            "--try",
            "tries",
            multiple=True,
            metavar="NAME=VALUE,...",
            help="values that a first trial gets; defaults for the rest",
        ),
        click.option(
            "--from",
            "sources",
            multiple=True,
            metavar="STUDY|PROJECT|CSV|URL",
            help="earlier trials that inform the method: a study, a Keras Tuner project, a CSV "
            "file, an Optuna storage",
        ),
        click.option(
            "--try-default/--no-try-default",
            default=None,
            help="begin with the space's default  [default: yes]",
        ),
        click.option("--config", "config_file", type=click.Path(), help="TOML file of options"),
        click.option("--quiet", is_flag=True, help="print nothing but errors"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def parse_options(config_file: str | None, **options: Any) -> dict[str, Any]:
    """Returns fields of `SearchConfig`, from the file first, then from the options."""
    chosen = load_toml(config_file) if config_file else {}
    for name, value in options.items():
        if name == "tries":
            if value:
                points = [_pairs("--try", _parts(text)) for text in value]
                chosen[name] = _behind(chosen.get(name, []), points)
        elif name == "objective":
            if value:
                chosen[name] = list(value)
        elif name == "sources":
            if value:
                chosen[name] = _behind(chosen.get(name, []), value)
        elif name in _TABLES:
            of_file = chosen.get(name, {})
            if value and isinstance(of_file, dict):  # else the config refuses it
                chosen[name] = of_file | _pairs(_TABLES[name], value)
        elif value is not None:
            chosen[name] = value
    return chosen


def _parts(text: str) -> tuple[str, ...]:
    """Divides `NAME=VALUE,NAME=VALUE`; what has no name of its own belongs to the value before."""
    parts: list[str] = []
    for part in text.split(","):
        if parts and not re.match(r"\s*[^\s=,]+=", part):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return tuple(parts)


def _behind(of_file: Any, given: Any) -> Any:
    """Returns a file's list with what was given behind it; what is no list the config refuses."""
    return [*of_file, *given] if isinstance(of_file, list) else of_file


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"{option} {text!r}: expected NAME=VALUE")
        if name in pairs:
            raise UserError(f"{option} {name} is given twice: {pairs[name]} and {value}")
        pairs[name] = value
    return pairs
