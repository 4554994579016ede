"""Keeps what was made of a frozen part as long as the part is there, and no longer."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from search_spaces.frozen import FrozenPart

_Making = TypeVar("_Making", bound=Callable[..., Any])


def kept_by_part(most: int) -> Callable[[_Making], _Making]:
    """Lets a function keep what it makes of a part; keeps no part, which is a whole network.

    Args:
        most: Of how many parts at most: those that were asked for last.
    """

    def keeping(make: _Making) -> _Making:
        kept: WeakKeyDictionary[FrozenPart, dict[object, Any]] = WeakKeyDictionary()

        @wraps(make)
        def found(part: FrozenPart, *further: Any) -> Any:
            of_part = kept.pop(part, {})
            if further not in of_part:
                of_part[further] = make(part, *further)
            kept[part] = of_part
            while len(kept) > most:
                kept.pop(next(iter(kept)))
            return of_part[further]

        return cast(_Making, found)

    return keeping
