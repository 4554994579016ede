"""Describes code of one's own in a network by what determines what it computes.

Keras describes a function by its name, and an object of a class of one's own by the name of the
class and what its `get_config` says. Here it is bytecode, constants, defaults, closure, and what is
used of the module; of a class its methods, of an object its attributes.
"""

import dis
import hashlib
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache, cached_property, partial
from importlib.util import find_spec, resolve_name
from itertools import accumulate, takewhile
from pathlib import Path, PurePath
from types import CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import keras
import numpy as np

from experiments.training.own_code import is_keras, package_of

# What these packages have is what its name says; they have versions of their own.
_NAMED = {"keras", "keras_tuner", "numpy", "tensorflow", *sys.stdlib_module_names}
_INSTALLED = {"site-packages", "dist-packages"}
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...))
_WRITTEN = (re.Pattern, PurePath, np.dtype)  # told by how they are written
_IDLE = (logging.Logger, type(threading.Lock()), type(threading.RLock()))  # change no result
_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME"}
_ATTRIBUTE = {"LOAD_ATTR", "LOAD_METHOD"}
_IMPORTING = {"__import__", "import_module"}  # functions that import what a text names
_WRAPPED = {"build", "quantize"}  # Keras wraps these methods of every layer; the class has them


class UntoldError(ValueError):
    """What code computes can't be told."""


def own_callables(operation: "keras.Operation", topology: Callable[[Any], str]) -> str:
    """Names the code of one's own that an operation runs; `""` if all of it is Keras' own.

    Args:
        operation: A layer or another operation.
        topology: Describes a model.

    Raises:
        UntoldError: What the code computes can't be told.
    """
    try:
        found = _Reader(topology).operation(operation)
    except UntoldError as error:
        raise UntoldError(
            f"what layer {operation.name!r} computes can't be told: {error}"
        ) from None
    return hashlib.sha256(json.dumps(found).encode()).hexdigest() if found else ""


class _Reader:
    """Describes things as data that JSON can hold; what it has met before, by its number."""

    def __init__(self, topology: Callable[[Any], str]) -> None:
        self._topology = topology
        self._roots: set[str] = set()  # packages that the operation's own code is in
        self._met: dict[int, tuple[int, Any]] = {}
        self._met_modules: set[tuple[str, frozenset[str]]] = set()

    def operation(self, operation: Any) -> list[Any]:
        """Describes the code of one's own of an operation; nothing if there is none."""
        kind, held = type(operation), vars(operation)
        if not is_keras(kind):
            self._roots.add(package_of(kind))
            is_model = isinstance(operation, keras.Model)
            # The layers of a graph are operations themselves.
            is_graph = hasattr(operation, "operations")
            names = set() if is_graph else held.keys() - _of_keras(is_model)
            own = {name: held[name] for name in sorted(names)}
            return [self.content(kind), self.content(own)]
        if hasattr(operation, "layers"):
            return []
        inner = [self.operation(layer) for layer in held.get("_layers", ())]
        callables = [
            value
            for name, value in sorted(held.items())
            if callable(value) and name not in _WRAPPED and not _is_layer(value)
        ]
        own_ones = [value for value in callables if not is_keras(value)]
        self._roots |= set(map(package_of, own_ones))
        return [inner, self.content(own_ones)] if any(inner) or own_ones else []

    def content(self, value: Any) -> Any:
        """Describes anything."""
        if isinstance(value, _PLAIN):
            return f"{type(value).__name__} {value!r}"
        if isinstance(value, list | tuple):
            return [self.content(each) for each in value]
        if isinstance(value, set | frozenset):
            return [self.content(each) for each in sorted(value, key=repr)]
        if isinstance(value, Mapping):
            return [[self.content(key), self.content(each)] for key, each in value.items()]
        if isinstance(value, ModuleType):
            if self._is_own(value):
                raise UntoldError(f"it holds module {value.__name__}")
            return value.__name__
        if id(value) in self._met:
            return self._met[id(value)][0]
        self._met[id(value)] = len(self._met), value
        return list(self._facts(value))

    def _facts(self, value: Any) -> Iterator[Any]:
        if isinstance(value, CodeType):
            yield value.co_code.hex()
            yield from map(self.content, (value.co_names, value.co_consts))
        elif isinstance(value, partial):
            yield from map(self.content, (value.func, value.args, value.keywords))
        elif isinstance(value, MethodType):
            yield from map(self.content, (value.__func__, value.__self__))
        elif isinstance(value, property):
            yield from map(self.content, (value.fget, value.fset))
        elif isinstance(value, cached_property):
            yield self.content(value.func)
        elif not isinstance(value, FunctionType | type) and hasattr(value, "__wrapped__"):
            yield self.content(value.__wrapped__)
        elif isinstance(value, FunctionType) and self._is_own(value):
            yield from self._function(value)
        elif isinstance(value, type) and self._is_own(value):
            yield from self._class(value)
        elif callable(value) and hasattr(value, "__name__"):
            yield f"{getattr(value, '__module__', None)}.{value.__name__}"
        elif _is_layer(value):
            yield from self._layer(value)
        elif isinstance(value, _WRITTEN):
            yield repr(value)
        elif isinstance(value, _IDLE):
            yield type(value).__name__
        elif hasattr(value, "shape"):
            yield _array(value)
        elif is_keras(type(value)) and hasattr(value, "get_config"):
            yield from (type(value).__name__, _text(config_of(value)))
        elif hasattr(value, "__dict__") and self._is_own(type(value)):
            yield from map(self.content, (type(value), vars(value)))
        elif not isinstance(value, MemberDescriptorType):
            raise UntoldError(f"it uses a {type(value).__name__}")

    def _function(self, function: FunctionType) -> Iterator[Any]:
        code, around = function.__code__, function.__globals__
        yield self.content(code)
        defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]
        closure: list[Any] = []
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # it is empty
                closure.append(cell.cell_contents)
        codes = list(_codes(code))
        names = frozenset(name for each in codes for name in each.co_names)
        globals_ = sorted(set().union(*map(_globals, codes)) & around.keys())
        yield from (
            [self._used(value, names) for value in values] for values in (defaults, closure)
        )
        yield [self._used(around[each], _taken(each, around, codes, names)) for each in globals_]
        imported = [each for one in codes for each in _imported(one, around, self._roots)]
        # A module has the same name before and after something else has loaded it.
        yield [each if isinstance(each, str) else self._used(each, names) for each in imported]

    def _used(self, value: Any, names: frozenset[str]) -> Any:
        """Describes what code uses; of a module of one's own, what the code's `names` are of it."""
        if not isinstance(value, ModuleType) or not self._is_own(value):
            return self.content(value)
        name, held = value.__name__, vars(value)
        if (name, names) in self._met_modules:
            return name
        self._met_modules.add((name, names))
        return [name, {each: self._used(held[each], names) for each in sorted(names & held.keys())}]

    def _class(self, kind: type) -> Iterator[Any]:
        for one in kind.__mro__:
            yield f"{one.__module__}.{one.__qualname__}"
            if self._is_own(one):
                members = vars(one).items()
                yield self.content({n: v for n, v in members if _is_told(n, v)})

    def _layer(self, layer: Any) -> Iterator[Any]:
        """Describes a layer that is no part of the graph, with its weights."""
        yield type(layer).__name__
        if hasattr(layer, "layers"):
            try:
                yield self._topology(layer)
            except (AttributeError, ValueError):
                raise UntoldError(f"it uses model {layer.name!r}") from None
        else:
            yield from (_text(config_of(layer)), self.operation(layer))
        yield from map(_array, layer.weights)

    def _is_own(self, thing: Any) -> bool:
        """Whether a function, a class or a module is described by its code, not by its name."""
        module = str(thing.__name__ if isinstance(thing, ModuleType) else thing.__module__)
        root = module.partition(".")[0]
        if root in _NAMED:
            return False
        file = getattr(sys.modules.get(module), "__file__", None) or ""
        return root in self._roots or not _INSTALLED & set(Path(file).parts)


def _is_layer(value: Any) -> bool:
    return hasattr(value, "_inbound_nodes")


@cache
def _of_keras(is_model: bool) -> frozenset[str]:
    """Returns the attributes that every layer or every model has of Keras."""
    bare = (keras.Model if is_model else keras.layers.Layer)(name="any")
    return frozenset(vars(bare)) | _WRAPPED


def _is_told(name: str, member: object) -> bool:
    """Whether a member of a class is part of what it computes."""
    return name != "_abc_impl" and (name[:2] != "__" or callable(member))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yields code and what is defined within it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


def _globals(code: CodeType) -> set[str]:
    """Returns the global names that code uses."""
    return {i.argval for i in dis.get_instructions(code) if i.opname in _GLOBAL}


def _taken(
    name: str, around: Mapping[str, Any], codes: list[CodeType], names: frozenset[str]
) -> frozenset[str]:
    """Returns what code may take of a global module: `names` unless all it takes is seen.

    Attributes of other things may be called as something in the module is.
    """
    seen: set[str] = set()
    for code in codes:
        steps = [i for i in dis.get_instructions(code) if i.opname != "EXTENDED_ARG"]
        for place, step in enumerate(steps):
            if step.opname not in _GLOBAL or step.argval != name:
                continue
            value, chain = around[name], takewhile(_is_attribute, steps[place + 1 :])
            while isinstance(value, ModuleType) and (each := next(chain, None)) is not None:
                seen.add(each.argval)
                value = vars(value).get(each.argval)
            if isinstance(value, ModuleType):  # it is handed on
                return names
    return frozenset(seen)


def _is_attribute(step: dis.Instruction) -> bool:
    return step.opname in _ATTRIBUTE


def _is_installed(module: str) -> bool:
    """Whether a module that is not loaded is of a package that is installed; imports nothing."""
    try:
        spec = find_spec(module.partition(".")[0])
    except ValueError:  # of a module that was made by code
        return False
    places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or ())]
    return any(_INSTALLED & set(Path(place).parts) for place in places)


def _imported(
    code: CodeType, around: Mapping[str, Any], roots: set[str]
) -> Iterator[ModuleType | str]:
    """Yields the modules that code imports when it runs, each after its packages.

    Those that are described by their names alone need not be loaded.

    Args:
        code: The code.
        around: Its globals.
        roots: Packages that are described by their code.

    Raises:
        UntoldError: One of them can't be known.
    """
    if _IMPORTING & set(code.co_names):
        raise UntoldError("it imports what a text names")
    steps = [i for i in dis.get_instructions(code) if i.opname != "EXTENDED_ARG"]
    for place, step in enumerate(steps):
        if step.opname != "IMPORT_NAME":
            continue
        level = steps[place - 2].argval
        try:
            name = resolve_name("." * level + step.argval, around.get("__package__") or "")
        except ImportError:
            raise UntoldError(f"it imports {'.' * level}{step.argval}, which is nowhere") from None
        for module in accumulate(name.split("."), "{}.{}".format):
            root = module.partition(".")[0]
            is_named = root in _NAMED or (root not in roots and _is_installed(root))
            if module not in sys.modules and not is_named:
                raise UntoldError(f"it imports module {module}, which is not there yet")
            yield sys.modules.get(module, module)


def config_of(described: Any) -> dict[str, Any]:
    """Returns what Keras says of a thing, without its name; nothing where it can't say anything."""
    try:
        return {key: value for key, value in described.get_config().items() if key != "name"}
    except NotImplementedError:  # a class of one's own, whose attributes are described
        return {}


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps(config, sort_keys=True, default=repr)


def _array(value: Any) -> list[Any]:
    try:
        array = np.ascontiguousarray(value)
    except Exception:  # a tensor without a value
        raise UntoldError(f"it uses a {type(value).__name__}") from None
    if array.dtype.hasobject:
        raise UntoldError("it uses an array of objects")
    return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
