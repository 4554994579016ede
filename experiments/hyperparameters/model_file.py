"""A user's own model: runs the file or module that holds it, and finds what can be searched."""

import importlib
import inspect
import linecache
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import keras_tuner

from experiments.record.errors import UserError
from experiments.record.formatting import listed, plural
from experiments.space_reference import SpaceReference, compiled, read_text
from search_spaces.base import ImageSpace

FACTS = ("input_shape", "num_classes")  # what a model may take of the dataset
_EXPECTED = (
    "a function `def build_model(hp)` that returns a compiled Keras model, or a "
    "keras_tuner.HyperModel"
)
_HP = ("hp", "hps", "hyperparameters")  # what a first parameter is called
_BY_NAME = "import what lies beside the file by its name alone, as `from helpers import ...`"
_LONGEST = 300  # characters of an error
_PYTHONS = Path(inspect.__file__).parent  # modules
_NOT_OWN = ("experiments", "reports", "search_spaces")  # packages of the suite
_modules: dict[tuple[str, str], ModuleType] = {}  # (path, text) -> its module
_aside: dict[Path, dict[str, ModuleType]] = {}  # folder -> modules that gave way to another's


@dataclass(frozen=True)
class Loaded:
    """A module that was run.

    Args:
        reference: What named it.
        module: The module.
        text: Its text; empty for a module that came without.
    """

    reference: SpaceReference
    module: ModuleType
    text: str


def load(reference: SpaceReference, text: str | None = None) -> Loaded:
    """Runs the file or module of `reference`, once for each text.

    What it imports by name, then and later, is what lies beside it, though a file of another folder
    was run that has a neighbour of the same name. This holds until a file of another folder is
    loaded; so a file is loaded each time that it is used.

    Args:
        reference: What names it.
        text: The text of the file, if it is not to be read.

    Raises:
        UserError: It can't be read or run.
    """
    if reference.path is None:
        module = _imported(reference)
        return Loaded(reference, module, _text_of(module))
    text = read_text(reference.path) if text is None else text
    key = str(reference.path), text
    _make_way(reference.path.parent)
    if key not in _modules:
        _modules[key] = _run(reference.path, text)
    _search_first(reference.path.parent)
    return Loaded(reference, _modules[key], text)


def source_file(reference: SpaceReference) -> Path | None:
    """Returns the file of a user's own model that is loaded; `None` if it has none."""
    if reference.path is not None:
        return reference.path
    file = _file_of(sys.modules.get(str(reference.module)))
    return Path(file) if file else None


def own_place(module: object, folder: Path) -> Path | None:
    """Returns where a user's own module lies in a folder, as a relative path.

    Returns:
        `None` if it lies elsewhere, or is an installed one or one of the suite.
    """
    path = Path(_file_of(module))
    if path.suffix != ".py" or not path.is_relative_to(folder):
        return None
    is_installed = {"site-packages", "dist-packages"} & set(path.parts)
    is_suites = str(vars(module).get("__name__")).partition(".")[0] in _NOT_OWN
    is_pythons = path.is_relative_to(_PYTHONS)
    return None if is_installed or is_suites or is_pythons else path.relative_to(folder)


def _file_of(module: object) -> str:
    """Returns the file of a module, without loading one that waits; empty if it has none."""
    file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
    return file if isinstance(file, str) else ""


def _make_way(folder: Path) -> None:
    """Lets names stand for what lies in `folder`, not for what lies beside other loaded files."""
    others = _other_folders(folder)
    places = tuple(map(str, others))
    for name, module in list(sys.modules.items()):
        if name.startswith("__") or not _file_of(module).startswith(places):
            continue
        for other in others:
            is_theirs = name in sys.modules and own_place(module, other) is not None
            if is_theirs and own_place(module, folder) is None and _may_hold(folder, name):
                _aside.setdefault(other, {})[name] = sys.modules.pop(name)
    sys.modules.update(_aside.pop(folder, {}))


def _other_folders(folder: Path) -> set[Path]:
    return {Path(path).parent for path, _ in _modules} - {folder}


def _may_hold(folder: Path, name: str) -> bool:
    """Whether a module of that name may be meant for one in a folder, or in one that it holds."""
    top = name.partition(".")[0]
    return any(
        found
        for place in (top, f"{top}.py", f"*/{top}", f"*/{top}.py")
        for found in folder.glob(place)
    )


def _search_first(folder: Path) -> None:
    """Lets later imports look into a loaded file's folder before they do so in others'."""
    here, others = str(folder), {*map(str, _other_folders(folder))}
    first = next((place for place in sys.path if place == here or place in others), here)
    if first != here:
        sys.path.remove(here)
        sys.path.insert(sys.path.index(first), here)


def _run(path: Path, text: str) -> ModuleType:
    code: Any = compiled(text, path)
    module = ModuleType(_module_name(path))
    module.__file__ = str(path)
    module.__package__ = ""  # of none, as a script
    # Source for tracebacks and `inspect`: the text that was run, whatever becomes of the file.
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        with _folder_first(path.parent):
            exec(code, vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        if before is not None:
            sys.modules[module.__name__] = before
        mend = _BY_NAME if "relative import" in str(error) else "mend it there"
        raise UserError(f"{path.name} can't be run: {said(error, path)}; {mend}") from error
    return module


def _module_name(path: Path) -> str:
    """Returns the file's stem, as `import` would name it, unless another module is called so."""
    stem = re.sub(r"\W", "_", path.stem)
    other = sys.modules.get(stem)
    is_other = other is not None and all(other is not own for own in _modules.values())
    return f"space_{stem}" if is_other or not path.stem.isidentifier() else stem


@contextmanager
def _folder_first(folder: Path) -> Iterator[None]:
    """Lets a file import what lies beside it, as `python FILE.py` does; later imports too."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _imported(reference: SpaceReference) -> ModuleType:
    name = str(reference.module)
    here = str(Path.cwd())
    if here not in sys.path:  # a console script does not have it
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UserError(
                f"{reference}: there is no module {error.name!r}: install it, run from the folder "
                "that holds it, or name its file: FILE.py:NAME"
            ) from None
        raise UserError(f"{name} can't be imported: {said(error)}; mend it there") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{name} can't be imported: {said(error)}; mend it there") from error


def _text_of(module: ModuleType) -> str:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):
        return ""


def said(error: BaseException, path: Path | None = None) -> str:
    """Returns an error as type, message and place in one line.

    Args:
        error: What was raised.
        path: The user's file; the place is the last line of it that was run. Without one, the last
            line that is no part of an installed package.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", " ".join(str(error).split()))[:_LONGEST]
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if (f.filename == str(path) if path else _is_users(f.filename))]
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{where}"


def _is_users(filename: str) -> bool:
    parts = Path(filename).parts
    inside = {"site-packages", "dist-packages", "experiments", "importlib"} & set(parts)
    return not inside and not filename.startswith("<")


def candidate(loaded: Loaded) -> tuple[str, Any]:
    """Returns what is to be searched, with its name.

    Raises:
        UserError: There is none, there are several and none was named, or it is something else.
    """
    file, name = loaded.reference.file, loaded.reference.name
    found = _candidates(loaded.module)
    if name is None:
        if not found:
            raise UserError(f"{file} holds nothing to search: expected {_EXPECTED}{_there(loaded)}")
        if len(found) > 1:
            raise UserError(
                f"{file} holds {plural(len(found), 'candidate')}, {listed(list(found), 10)}: name "
                f"one, for example {file}:{next(iter(found))}"
            )
        return next(iter(found.items()))
    if not hasattr(loaded.module, name):
        raise UserError(f"{file} has no {name!r}{_there(loaded)}")
    value = getattr(loaded.module, name)
    if not (isinstance(value, keras_tuner.HyperModel) or callable(value)):
        raise UserError(f"{file}:{name} is of type {type(value).__name__}: expected {_EXPECTED}")
    if inspect.isclass(value) and not issubclass(value, keras_tuner.HyperModel):
        raise UserError(
            f"{file}:{name} is a class that is no keras_tuner.HyperModel: expected {_EXPECTED}"
        )
    return name, value


def _there(loaded: Loaded) -> str:
    """Says what a module defines; of a single function, why it is no candidate."""
    own = loaded.module.__name__
    names = [
        name
        for name, value in vars(loaded.module).items()
        if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == own
    ]
    alone = getattr(loaded.module, names[0]) if len(names) == 1 else None
    if loaded.reference.name is None and inspect.isfunction(alone):
        return f"; it defines {names[0]}{inspect.signature(alone)}, {_lacking(alone)}"
    return f"; it defines {listed(names, 6)}" if names else ""


def _lacking(function: Any) -> str:
    """Says why a function is not taken for one that builds a model."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        return "which takes no hyperparameters: give it the parameter hp"
    if parameters[0].name not in _HP:
        return "whose first parameter should be called hp"
    needed = [p.name for p in parameters[1:] if p.default is p.empty and p.name not in FACTS]
    return f"and nothing gives it {' and '.join(needed)}: give each a default"


def _candidates(module: ModuleType) -> dict[str, Any]:
    """Returns what can be searched in a module by name; helpers of another one are left out."""
    found: dict[str, Any] = {}
    for name, value in vars(module).items():
        is_new = not any(value is other for other in found.values())
        if is_new and not name.startswith("_") and _can_be_searched(module, value):
            found[name] = value
    instances = [v for v in found.values() if isinstance(v, keras_tuner.HyperModel)]
    used = {n for name, v in found.items() for n in _used_by(v) if n != name}
    return {
        name: value
        for name, value in found.items()
        if name not in used
        and not (inspect.isclass(value) and any(isinstance(one, value) for one in instances))
    } or found


def _can_be_searched(module: ModuleType, value: Any) -> bool:
    if isinstance(value, keras_tuner.HyperModel):
        return True
    if getattr(value, "__module__", None) != module.__name__:
        return False
    if inspect.isclass(value):
        bare = (keras_tuner.HyperModel.build, ImageSpace.build)
        return issubclass(value, keras_tuner.HyperModel) and value.build not in bare  # type: ignore[attr-defined]
    return inspect.isfunction(value) and _takes_hp(value)


def _takes_hp(function: Any) -> bool:
    first, *others = [*inspect.signature(function).parameters.values(), None]
    return (
        first is not None
        and first.name in _HP
        and all(
            p is None or p.name in FACTS or p.default is not p.empty or p.kind in _STARRED
            for p in others
        )
    )


_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _used_by(value: Any) -> Iterator[str]:
    """Yields the names that the code of a function, class or instance uses."""
    owner = type(value) if isinstance(value, keras_tuner.HyperModel) else value
    members = list(vars(owner).values()) if inspect.isclass(owner) else [owner]
    waiting = [m.__code__ for m in members if inspect.isfunction(m)]
    while waiting:
        code = waiting.pop()
        yield from code.co_names
        waiting += [c for c in code.co_consts if isinstance(c, CodeType)]
