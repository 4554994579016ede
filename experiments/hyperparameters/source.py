"""What a search space's code is: the files that it is made of, by fingerprint.

A space that was edited in the course of a study gives other networks under the same names, and
nothing else in the record would tell.
"""

import hashlib
import inspect
import linecache
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from experiments.record.alike import SPACE_FILES, SPACE_SOURCE, changed, source_of
from experiments.record.errors import UserError
from experiments.record.files import atomic
from experiments.record.layout import StudyFolder
from experiments.record.reading import as_dict, dig
from experiments.space_reference import find_reference, read_text
from search_spaces import space_class

Fingerprints = dict[str, str]  # module -> fingerprint of its text
_FOLDER = re.compile(r"[\w -]+")  # or module: never a path out of where it is looked for


def own_text(space: str) -> str | None:
    """Returns the text of the file of a user's own model; `None` for every other space.

    Raises:
        UserError: It can't be read.
    """
    reference = find_reference(space)
    is_file = reference is not None and reference.path is not None
    return read_text(reference.path) if is_file else None  # type: ignore[union-attr,arg-type]


def space_source(space: str, text: str | None = None) -> Fingerprints:
    """Returns the modules that a space's code is in, each with the fingerprint of its text.

    They are the space's own, and those of its package and of the suite's spaces that it takes
    something from. Of a user's own file, they are the file and what lies beside it.

    Args:
        space: Its name, or what names a user's own model.
        text: The text of the user's file, if it is not to be read.
    """
    reference = find_reference(space)
    if reference is None:
        module = sys.modules[space_class(space).__module__]
        own = _fingerprint(module)
    else:
        from experiments.hyperparameters.model_file import load  # it imports Keras Tuner

        loaded = load(reference, text)
        module, own = loaded.module, fingerprint_of_text(loaded.text)
    path = None if reference is None else reference.path
    first = module.__name__
    # Whatever its module was called here, a user's file is named after itself.
    found = {first if path is None else path.stem: own}
    packages = {"search_spaces", *([first.partition(".")[0]] if path is None else [])}
    seen, waiting = {first}, [module]
    while waiting:
        for name in _named_in(waiting.pop()):
            other = None if name in seen else sys.modules.get(name)
            seen.add(name)
            is_of_package = name.partition(".")[0] in packages
            key = name if is_of_package else _name_beside(other, path)
            if other is not None and key is not None:
                found[key] = _fingerprint(other)
                waiting.append(other)
    return dict(sorted(found.items()))


def _name_beside(module: object, path: Path | None) -> str | None:
    """Returns the name by which `_fingerprint_beside` finds a module: its place beside a file.

    That is the module's own name, unless a sub-folder is on `sys.path`.
    """
    from experiments.hyperparameters.model_file import own_place

    place = None if path is None else own_place(module, path.parent)
    if place is None:
        return None
    named = place.parent if place.stem == "__init__" else place.with_suffix("")
    return ".".join(named.parts) or "__init__"


def _named_in(module: ModuleType) -> Iterator[str]:
    for value in vars(module).values():
        name = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
        if isinstance(name, str):
            yield name


def _fingerprint(module: ModuleType) -> str:
    try:
        text = inspect.getsource(module)
    except (OSError, TypeError):  # a package without a text, or one that came without its source
        text = ""
    return fingerprint_of_text(text)


def fingerprint_of_text(text: str) -> str:
    """Returns the fingerprint of a source text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def new_source(
    study: Mapping[str, Any], now: Fingerprints, of: str = SPACE_SOURCE
) -> tuple[dict[str, Any], list[str]]:
    """Returns what a session records of its source if it is new, and the names that have changed.

    Args:
        study: The content of `study.json`.
        now: The source of this session.
        of: `SPACE_SOURCE`, or `SPACE_FILES` for the files that settings name.
    """
    then = source_of(study, of=of)
    return ({}, []) if then == now else ({of: now}, changed(then, now))


def is_unchanged(study: Mapping[str, Any]) -> bool:
    """Whether a space's code is what the last session recorded, by its files alone.

    Nothing is imported, for spaces import Keras. What can't be told counts as changed.

    Args:
        study: The content of `study.json`.
    """
    then, space = source_of(study), str(dig(study, "config", "space"))
    return bool(then) and all(_fingerprint_of_file(n, space) == k for n, k in then.items())


def check_source(study: Mapping[str, Any], space: str, folder: Path) -> None:
    """Checks that a user's own model is what the last session recorded.

    The suite's own spaces may change: the session says so.

    Args:
        study: The content of `study.json`.
        space: What names the model now.
        folder: The study folder.

    Raises:
        UserError: It has changed, or is not there.
    """
    reference = find_reference(space)
    then = source_of(study)
    if reference is None or not then:
        return
    own = [name for name in then if name.partition(".")[0] != "search_spaces"]
    if reference.path is None:
        now = space_source(space)
        changes = [name for name in changed(then, now) if not name.startswith("search_spaces.")]
    else:
        read_text(reference.path)  # says so if it is not there
        first = _first_module(study)
        changes = [n for n in own if _fingerprint_beside(n, reference.path, first) != then[n]]
    if not changes:
        return
    kept = StudyFolder(folder).source
    where = f" (the study keeps its text: {kept})" if kept.is_file() else ""
    raise UserError(
        f"the code of {reference} has changed since study {folder.name!r} was begun or resumed "
        f"({', '.join(changes)}): restore it{where}, or take it as it is now with "
        "--accept-changed-source; trials before and after may be other networks then"
    )


def _first_module(study: Mapping[str, Any]) -> str | None:
    """Returns what the recorded file of a user's own model is called as a module."""
    was = find_reference(str(dig(study, "config", "space")))
    return was.path.stem if was is not None and was.path is not None else None


def keep_text(folder: Path, space: str, text: str | None) -> None:
    """Keeps the text of a user's own model in the study; an earlier one gets another name.

    Args:
        folder: The study folder.
        space: What names the model; of a space of the suite, nothing is kept.
        text: The text of its file; `None` for an installed module, which has its own.
    """
    reference = find_reference(space)
    if reference is None:
        return
    if text is None:
        from experiments.hyperparameters.model_file import load  # it imports Keras Tuner

        text = load(reference).text
    place = StudyFolder(folder).source
    before = place.read_text(encoding="utf-8") if place.is_file() else None
    if before == text:
        return
    if before is not None:
        place.rename(place.with_name(f"space-{fingerprint_of_text(before)}.py"))
    with atomic(place) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _fingerprint_of_file(module: str, space: str) -> str | None:
    reference = find_reference(space)
    if reference is not None and reference.path is not None:
        return _fingerprint_beside(module, reference.path)
    package, _, rest = module.partition(".")
    if package != "search_spaces" or not rest.isidentifier():  # else finding it may run code
        return None
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return None
    return fingerprint_of_text("".join(linecache.getlines(spec.origin)))


def _fingerprint_beside(module: str, path: Path, recorded: str | None = None) -> str | None:
    """Returns the fingerprint of a user's file, or of a module in its folder.

    Args:
        module: Its name.
        path: The user's file.
        recorded: What the file was called as a module, if it has another name now.
    """
    is_first = module == (recorded or path.stem)
    first, *rest = module.split(".")
    if first == "search_spaces":
        return _fingerprint_of_file(module, first)
    if not all(_FOLDER.fullmatch(part) for part in (first, *rest)) and not is_first:
        return None
    place = path if is_first else path.parent.joinpath(first, *rest).with_suffix(".py")
    package = path.parent.joinpath(first, *rest, "__init__.py")
    try:
        return fingerprint_of_text(read_text(place if place.is_file() else package))
    except UserError:
        return None


def changed_source(study: Mapping[str, Any]) -> str | None:
    """Returns the fingerprint of the last session's own code and files; `None` if as in the first.

    The suite's spaces are left out: theirs gives the same networks in every version.

    Args:
        study: The content of `study.json`.
    """
    first, now = (
        {name: text for name, text in source.items() if name.partition(".")[0] != "search_spaces"}
        for source in (as_dict(study.get(SPACE_SOURCE)), source_of(study))
    )
    files = source_of(study, of=SPACE_FILES)
    if changed(as_dict(study.get(SPACE_FILES)), files):
        first, now = {}, now | files
    elif not changed(first, now):
        return None
    return fingerprint_of_text("\n".join(sorted(now.values())))
