"""What a search space's code is: the files that it is made of, by fingerprint.

A space that was edited in the course of a study gives other networks under the same names, and
nothing else in the record would tell.
"""

import hashlib
import inspect
import linecache
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from experiments.record.reading import as_dict, as_number, dicts
from search_spaces import space_class

Fingerprints = dict[str, str]  # module -> fingerprint of its text


def space_source(space: str) -> Fingerprints:
    """Returns the modules that a space's code is in, each with the fingerprint of its text.

    They are the space's own, and those of its package and of the suite's spaces that it takes
    something from.
    """
    first = space_class(space).__module__
    packages = {first.partition(".")[0], "search_spaces"}
    found: Fingerprints = {}
    waiting = [first]
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        if name in found or module is None or name.partition(".")[0] not in packages:
            continue
        found[name] = _fingerprint(module)
        waiting += _named_in(module)
    return dict(sorted(found.items()))


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
    return _of_text(text)


def _of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_unchanged(study: Mapping[str, Any]) -> bool:
    """Whether a space's code is what the last session recorded, by its files alone.

    Nothing is imported, for spaces import Keras. What can't be told counts as changed.

    Args:
        study: The content of `study.json`.
    """
    then = source_of(study)
    return bool(then) and all(_fingerprint_of_file(n) == known for n, known in then.items())


def _fingerprint_of_file(module: str) -> str | None:
    package, _, rest = module.partition(".")
    if package != "search_spaces" or not rest.isidentifier():  # else finding it may run code
        return None
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return None
    return _of_text("".join(linecache.getlines(spec.origin)))


def source_of(study: Mapping[str, Any], trial: int | None = None) -> Fingerprints:
    """Returns the recorded source at a trial; empty where it was not recorded.

    Args:
        study: The content of `study.json`.
        trial: Number of the trial; the last session's if `None`.
    """
    found = as_dict(study.get("space_source"))
    for session in dicts(study.get("sessions")):
        if trial is None or as_number(session.get("first_trial")) <= trial:
            found = as_dict(session.get("space_source")) or found
    return found


def changed(then: Fingerprints, now: Fingerprints) -> list[str]:
    """Names the modules that differ; none where the source of then was not recorded."""
    if not then:
        return []
    return sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
