"""Settings of `transfer_head` that may differ by base: `alpha=MobileNet=0.25,MobileNetV2=0.35`."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from search_spaces._bases import Base, find_base

_SUFFIX = re.compile(r"\.[A-Za-z]\w*\s*$")  # of files; numbers have none
_MOST_ALPHA = 4  # sixteen times the weights of 1; more is a slip of the keyboard

Given = object  # of --set, text; from Python, a number, several, or a mapping by base


def parse_bases(given: str | Sequence[str]) -> tuple[Base, ...]:
    """Parses names and paths of bases, each once.

    Raises:
        ValueError: One is no base, or two have the same name.
    """
    texts = [str(part).strip() for part in _several(given)]
    bases = tuple(find_base(text) for text in dict.fromkeys(texts))
    names = [base.name for base in bases]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"two bases are called {twice[0]!r}: rename one of the files")
    return bases


def parse_alphas(given: Given, bases: Sequence[Base]) -> dict[str, tuple[float, ...]]:
    """Returns the widths by base, smallest first; 1 for bases that have one width.

    Raises:
        ValueError: One is no width, or the base has none.
    """
    common, own = _by_base("alpha", given, bases)
    single = [base.name for base in bases if not base.alphas]
    for name in single:
        if name in own or (len(single) == len(bases) and _widths(common) not in [(), (1.0,)]):
            raise ValueError(f"{name} has one width: leave alpha out for it")
    return {
        base.name: _widths(own.get(base.name) or common) or (1.0,) if base.alphas else (1.0,)
        for base in bases
    }


def _widths(texts: Sequence[object]) -> tuple[float, ...]:
    shown = ",".join(map(str, texts))
    try:
        alphas = tuple(sorted({float(str(text)) for text in texts}))
    except ValueError:
        raise ValueError(f"alpha should be a number such as 0.35, got {shown!r}") from None
    if not all(0 < alpha <= _MOST_ALPHA for alpha in alphas):
        raise ValueError(f"alpha should be above 0 and at most {_MOST_ALPHA}, got {shown!r}")
    return alphas


def parse_weights(
    given: Given, bases: Sequence[Base], alphas: Mapping[str, tuple[float, ...]]
) -> dict[str, str | None]:
    """Returns the weights by base: `imagenet`, a file's path, or `None`.

    Raises:
        ValueError: There are no such weights.
    """
    common, own = _by_base("weights", given, bases)
    shared = ",".join(map(str, common)) or "imagenet"
    if shared not in ("imagenet", "none") and len(bases) > 1:
        _check_file(shared)
        raise ValueError(
            f"a weights file fits one base: say which, as in weights={bases[0].name}={shared}"
        )
    return {base.name: _weights_of(base, own.get(base.name), shared, alphas) for base in bases}


def check_weights_used(given: Given, bases: Sequence[Base]) -> None:
    """Checks that weights which were given are of use: bases from files come with theirs.

    Raises:
        ValueError: They are of none.
    """
    common, _ = _by_base("weights", given, bases)
    if common and all(base.path is not None for base in bases):
        names = ", ".join(base.name for base in bases)
        raise ValueError(f"{names}: a base from a file has the weights of it: leave weights out")


def _weights_of(
    base: Base, own: list[object] | None, shared: str, alphas: Mapping[str, tuple[float, ...]]
) -> str | None:
    if base.path is not None:
        if own is not None:
            raise ValueError(f"{base.name} has the weights of its file: leave weights out for it")
        return None
    text = shared if own is None else ",".join(map(str, own))
    if text == "none":
        return None
    if text == "imagenet":
        unknown = [a for a in alphas[base.name] if base.alphas and a not in base.alphas]
        if unknown:
            raise ValueError(
                f"there are ImageNet weights of {base.name} for alpha {base.alphas}, not for "
                f"{unknown}: choose one of them or weights=none"
            )
        return text
    _check_file(text)
    if len(alphas[base.name]) > 1:
        raise ValueError("a weights file fits one alpha: set one, or weights=imagenet")
    return text


def _check_file(text: str) -> None:
    if not os.path.isfile(text):
        raise ValueError(f"weights should be imagenet, none or a file's path; no file at {text!r}")


def _by_base(
    setting: str, given: Given, bases: Sequence[Base]
) -> tuple[list[object], dict[str, list[object]]]:
    """Parts a setting into what holds for all bases, and what holds for one."""
    common: list[object] = []
    own: dict[str, list[object]] = {}
    names = [base.name for base in bases]
    into = common
    for name, value in _parts(given, names):
        if name is not None:
            if name not in names:
                raise ValueError(
                    f"{setting} of {name!r}: base is {', '.join(names)}; one value alone, without "
                    "a base, holds for all"
                )
            into = own.setdefault(name, [])
        into.append(value)
    return common, own


def _parts(given: Given, names: Sequence[str]) -> Iterator[tuple[str | None, object]]:
    """Yields each value of a setting, and the base that it is the first value of."""
    if isinstance(given, Mapping):
        for name, values in given.items():
            for place, value in enumerate(_several(values)):
                yield str(name) if place == 0 else None, value
        return
    for part in _several(given):
        name, separator, value = str(part).partition("=")
        is_path = name.strip() not in names and ("/" in name or os.path.isfile(str(part)))
        if separator and not is_path:
            yield name.strip(), value.strip()
        else:
            yield None, part


def _several(given: Given) -> list[object]:
    if isinstance(given, str):
        parts = given.split(",")
        _check_commas(parts)
        return [part.strip() for part in parts]
    return list(given) if isinstance(given, list | tuple) else [given]


def _check_commas(parts: Sequence[str]) -> None:
    """Checks that no file's path was parted at its commas."""
    ends = [end for end, part in enumerate(parts, 1) if _SUFFIX.search(part)]
    for start, end in product(range(len(parts)), ends):
        whole = ",".join(parts[start:end])
        for path in (whole.strip(), whole.partition("=")[2].strip()):
            if "," in path and os.path.isfile(path):
                raise ValueError(
                    f"a path with a comma can't be used, {path!r}: commas separate several values; "
                    "rename it"
                )
