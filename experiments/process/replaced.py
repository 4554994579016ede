"""Puts values in the place of others for a while."""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

_NONE = object()


@contextmanager
def replaced(mapping: MutableMapping[str, Any], values: Mapping[str, Any]) -> Iterator[None]:
    """Sets entries of a mapping inside the block: environment variables, or what an object has.

    Args:
        mapping: The mapping. Afterwards it has what it had of these names.
        values: name -> value.
    """
    before = {name: mapping.get(name, _NONE) for name in values}
    mapping.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is _NONE:
                del mapping[name]
            else:
                mapping[name] = value
