"""Keeps what was made of a frozen part as long as the part is there, and no longer."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from search_spaces.frozen import FrozenPart

_More = ParamSpec("_More")
_Made = TypeVar("_Made")
_Making = Callable[Concatenate[FrozenPart, _More], _Made]


def kept_by_part(most: int) -> Callable[[_Making[_More, _Made]], _Making[_More, _Made]]:
    """Lets a function keep what it makes of a part; keeps no part, which is a whole network.

    Args:
        most: Of how many parts at most: those that were asked for last.
    """

    def keeping(make: _Making[_More, _Made]) -> _Making[_More, _Made]:
        kept: WeakKeyDictionary[FrozenPart, dict[object, _Made]] = WeakKeyDictionary()

        @wraps(make)
        def found(part: FrozenPart, *args: _More.args, **kwargs: _More.kwargs) -> _Made:
            asked = (args, *kwargs.items())
            of_part = kept.pop(part, {})
            if asked not in of_part:
                of_part[asked] = make(part, *args, **kwargs)
            kept[part] = of_part
            while len(kept) > most:
                kept.pop(next(iter(kept)))
            return of_part[asked]

        return found

    return keeping
