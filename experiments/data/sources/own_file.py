"""A user's own Python file with a function that returns arrays of images and labels."""

import hashlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from experiments.data.sources.argument import split_function
from experiments.data.sources.arrays import dataset_of_arrays
from experiments.data.sources.base import Access, RawDataset
from experiments.record.errors import UserError
from experiments.record.formatting import listed
from experiments.record.layout import expanded

_DEFAULT = "load"
_MODULE = "experiments_own_data"  # the name that the file is imported by
_SUITE = ("experiments", "reports", "search_spaces")
_PYTHONS = tuple(Path(sysconfig.get_path(n)).resolve() for n in ("stdlib", "platstdlib"))


def load(name: str, argument: str, access: Access) -> RawDataset:
    """Runs a function of the file and takes the arrays that it returns.

    Args:
        name: The dataset's name.
        argument: `my_data.py`, or `my_data.py:NAME`. Without a name it is `load`, or else the only
            public function of the file.
        access: Says what the space takes.

    Raises:
        UserError: The file or function can't be found, fails, or returns nothing that the space
            takes.
    """
    place, wanted = split_function(argument)
    path = expanded(place)
    source = _source(name, path)
    with _running(name, path, source) as module:
        function = _function(name, path, module, wanted)
        said = f"{getattr(function, '__name__', wanted or _DEFAULT)}()"
        given = _called(name, path, function, said)
    called = f"{said} of {path.name}"
    if not isinstance(given, Mapping):
        raise UserError(
            f"dataset {name!r}: {called} returned {type(given).__name__}: expected a dict of "
            "arrays, such as {'x_train': ..., 'y_train': ...}"
        )
    text = hashlib.sha256(source).hexdigest()[:16]
    notes = [f"arrays made by {called}, source {text}"]
    return dataset_of_arrays(name, given, notes, access.wanted)


def _source(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"dataset {name!r}: {str(path)!r} can't be read ({reason})") from None


@contextmanager
def _running(name: str, path: Path, source: bytes) -> Iterator[ModuleType]:
    """Runs the file as a module, which can import its neighbours; leaves no byte code behind."""
    module, folder = ModuleType(_MODULE), str(path.parent)
    module.__file__ = str(path)
    aside = {n: sys.modules.pop(n) for n in _of_other_folders(path.parent.resolve())}
    before = set(sys.modules)
    sys.modules[_MODULE] = module
    sys.path.insert(0, folder)
    try:
        with _errors(name, path):
            exec(compile(source, str(path), "exec"), module.__dict__)
        yield module
    finally:
        sys.modules.pop(_MODULE, None)
        if folder in sys.path:
            sys.path.remove(folder)
        for loaded in set(sys.modules) - before:  # they may be edited, or another file's come next
            if _is_own_module(sys.modules[loaded], path.parent.resolve()):
                del sys.modules[loaded]
        sys.modules.update(aside)


def _of_other_folders(folder: Path) -> list[str]:
    """Names loaded modules of other folders that would stand for neighbours in `folder`."""
    with suppress(OSError):
        neighbours = {path.stem for path in folder.iterdir() if path.suffix == ".py"}
        neighbours |= {path.parent.name for path in folder.glob("*/__init__.py")}
        return [
            name
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] in neighbours
            and _is_own_module(module)
            and not _is_own_module(module, folder)
        ]
    return []


def _is_own_module(module: object, folder: Path | None = None) -> bool:
    """Whether a module is somebody's own: not installed, nor Python's, and of `folder` if given."""
    facts = vars(module) if isinstance(module, ModuleType) else {}  # loads none that waits
    file, name = facts.get("__file__"), str(facts.get("__name__"))
    if not isinstance(file, str) or name.partition(".")[0] in _SUITE:
        return False
    place = Path(file).resolve()
    is_installed = bool({"site-packages", "dist-packages"} & set(place.parts))
    is_pythons = any(map(place.is_relative_to, _PYTHONS))
    return not (is_installed or is_pythons) and (folder is None or place.is_relative_to(folder))


def _function(name: str, path: Path, module: ModuleType, wanted: str) -> Callable[..., object]:
    """Chooses the function that is called."""
    public = {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_") and _is_own(value)
    }
    found: object = getattr(module, wanted or _DEFAULT, None)
    # A `load` that was imported, and takes arguments, as json's does, is not what is meant.
    if not wanted and len(public) == 1 and (not callable(found) or _needed(found)):
        (found,) = public.values()
    if callable(found):
        return found
    there = f"its functions are {listed(sorted(public))}" if public else "it has no function"
    what = repr(wanted) if wanted else f"{_DEFAULT!r}, nor a single other one"
    raise UserError(
        f"dataset {name!r}: {str(path)!r} has no function {what} ({there}): name one as "
        f"file:{path.name}:NAME"
    )


def _is_own(value: object) -> bool:
    """Whether a value is a function of the file, decorated or not; classes are helpers."""
    if not callable(value) or getattr(value, "__module__", None) != _MODULE:
        return False
    return inspect.isfunction(inspect.unwrap(value))


def _needed(function: Callable[..., object]) -> list[str]:
    """Returns the parameters that have no default; none of what does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return []
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in several]


def _called(name: str, path: Path, function: Callable[..., object], said: str) -> object:
    if needed := _needed(function):
        raise UserError(
            f"dataset {name!r}: {said} of {str(path)!r} needs the argument {needed[0]!r}: expected "
            "a function that is called without any"
        )
    with _errors(name, path):
        return function()


@contextmanager
def _errors(name: str, path: Path) -> Iterator[None]:
    """Turns whatever the file raises into one line with the number of the file's line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        lines = text.strip().splitlines()
        message = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
        number = _line(error, str(path))
        where = f"line {number} of {str(path)!r}" if number else repr(str(path))
        raise UserError(f"dataset {name!r}: {where} fails: {message}") from error


def _line(error: BaseException, path: str) -> int | None:
    """Returns the last line of the file that an error came through."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    numbers = [frame.lineno for frame in frames if frame.filename == path]
    return numbers[-1] if numbers else None
