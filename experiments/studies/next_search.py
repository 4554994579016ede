"""Writes the search that the health section advises, as a TOML file."""

import json
import os
import re
from pathlib import Path
from typing import Any

from experiments.record.errors import UserError
from experiments.record.files import atomic
from experiments.record.notes import GOOD
from experiments.record.passwords import HIDDEN
from experiments.record.reading import as_dict, clean, native
from experiments.record.study import picks, refuse_script
from reports.analysis.health import Finding, health
from reports.study.study import Study

_OWN = ("name", "runs_dir")  # options of the recorded study, not of the next
_SQLITE = "sqlite:///"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def write_next(study: Study, path: str | Path) -> Path:
    """Writes the options of the next search to `path`.

    Raises:
        UserError: The study does not record how it was run, or the file can't be written.
    """
    from experiments.config import FIELDS
    from experiments.search.places import base_of, whole

    config = as_dict(study.record.get("config"))
    refuse_script(study.record, study.name)
    if not isinstance(config.get("space"), str):
        raise UserError(
            f"study {study.name!r} does not record how it was run (plain Keras Tuner?): there is "
            "no search to continue from"
        )
    known = FIELDS.difference(_OWN)
    base = base_of(config, study.folder)
    options = {k: v for k, v in (config | whole(config, base)).items() if k in known}
    options = {k: v for k, v in options.items() if v is not None}
    if "patience" in config:
        options.setdefault("patience", 0)  # it is recorded as `None`, which TOML has not
    findings, lost = health(study), list[str]()
    if any("objective" in finding.change for finding in findings):
        options.pop("sources", None)  # trials of another objective can't inform it
    else:
        options |= _informed(study, options, base, lost)
    path = Path(path)
    if path.exists():
        raise UserError(f"{str(path)!r} is there already: name another file, or remove it")
    try:
        text = _toml(study.name, options, findings, lost).encode()
        with atomic(path) as temporary:
            temporary.write_bytes(text)
    except UnicodeEncodeError as error:
        before = error.object[: error.start].rpartition("\n")[2]
        raise UserError(
            f"the next search of study {study.name!r} is not UTF-8 after {clean(before)!r}, as a "
            "TOML file has to be: rename the file or folder that it names there"
        ) from None
    except OSError as error:
        raise UserError(f"{str(path)!r} can't be written: {error.strerror or error}") from None
    return path


def _informed(
    study: Study, options: dict[str, Any], base: Path | None, lost: list[str]
) -> dict[str, Any]:
    """Adds the study as an earlier study of the next search, if its method takes them.

    The starting points of the study are then known, and are not tried again.

    Args:
        study: The study.
        options: Its recorded options.
        base: Base folder of relative paths in them; the current folder if `None`.
        lost: Names earlier trials that can't be had by the record; more is added.
    """
    from experiments.record.methods import METHODS, optuna_methods

    if options.get("method") not in (*optuna_methods(), "auto"):
        return {}
    sources = options.get("sources")
    before = [s for s in sources if isinstance(s, str)] if isinstance(sources, list) else []
    lost += [source for source in before if "://" in source and HIDDEN in source]
    before = [_whole_source(source, study, base) for source in before if source not in lost]
    own = str(study.folder.resolve())
    # Evenly spread points can't be informed, and now there are trials to learn from.
    again = {}
    if picks(study.record) or not METHODS[options["method"]].learns:
        again = {"method": "auto"}
        options.pop("method_settings", None)  # of the method that was
    known = {"tries": [], "try_default": False, "starting_points": False}
    return {"sources": [*before, own], **known, **again}


def _whole_source(source: str, study: Study, base: Path | None) -> str:
    """Returns where earlier trials come from, with an absolute path, as the search found it."""
    from experiments.data.sources.argument import absolute

    scheme, is_file, path = source.partition(_SQLITE)
    if is_file and not scheme and not path.startswith(("/", ":")):
        return f"{_SQLITE}{absolute(path, base)}"
    if "://" in source:
        return source
    whole = absolute(source, base)
    if Path(whole).suffix == ".csv" or os.path.isdir(whole):
        return whole
    runs = as_dict(study.record.get("config")).get("runs_dir")
    named = Path(absolute(runs, base), source) if isinstance(runs, str) else None
    beside = study.folder.resolve().parent / source
    return str(named if named is not None and named.is_dir() else beside)


def _toml(name: str, options: dict[str, Any], findings: list[Finding], lost: list[str]) -> str:
    fix = dict(as_dict(options.pop("fix", {})))
    ranges = dict(as_dict(options.pop("ranges", {})))
    settings = as_dict(options.pop("settings", {}))
    lines = [f"# What the report of {_comment(name)} advises to run next."]
    for finding in findings:
        if finding.level != GOOD or finding.fix:
            lines.append(f"# - {_comment(finding.title)}: {_comment(finding.advice)}")
        options |= finding.change
        if "sources" not in options:
            fix |= {k: v for k, v in finding.fix.items() if k not in fix}
        elif finding.fix:
            lines.append("#   Not done here: earlier trials with other values could not inform it.")
    for source in lost:
        lines.append(f"# Left out of sources, as its password is not recorded: {_comment(source)}")
    lines += ["", *(f"{key} = {_value(value)}" for key, value in sorted(options.items()))]
    wanted = {k: v for finding in findings for k, v in finding.ranges.items()}
    ranges = {k: v for k, v in (ranges | wanted).items() if k not in fix}
    for title, table in (("fix", fix), ("ranges", ranges), ("settings", settings)):
        if table:
            lines += ["", f"[{title}]", *(f"{_key(k)} = {_value(v)}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    return " ".join(text.split())


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    """Returns a text as TOML has it, which knows neither surrogates nor a bare DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    value = native(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # from a column with gaps; a whole number also works for a Float
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())}}}"
    return _text(value) if isinstance(value, str) else json.dumps(value)
