"""Names and numbers as a reader writes them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from shlex import quote
from typing import Any

NO_END = 1_000_000  # trials of a search that no number limits: a grid does, or a deadline
_WRITTEN = 6  # digits that somebody may have written; a number that was drawn has more
_MOST = 6  # decimals of a share; one that takes as many is all or none
_SPELLED = {"mse", "mae", "mape", "msle", "rmse", "auc", "iou", "hp"}  # letter by letter
_SHORT_NAMES = {"params": "parameters", "flops": "FLOPs", "latency_ms": "latency in ms"}


def words(name: str) -> str:
    """`val_accuracy` -> `validation accuracy`."""
    if name in _SHORT_NAMES:
        return _SHORT_NAMES[name]
    text = name.removeprefix("val_").replace("_", " ")
    return f"validation {text}" if name.startswith("val_") else text


def is_missing(value: object) -> bool:
    """Whether a value is missing: it was inactive, or was not recorded."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def text(value: object) -> str:
    """A hyperparameter's value; empty where it is missing.

    A number that somebody wrote is shown whole; of one that was drawn three digits are shown.
    """
    if is_missing(value):
        return ""
    if isinstance(value, bool) or type(value).__name__ == "bool":  # NumPy's is no bool
        return "yes" if value else "no"
    if isinstance(value, float):
        whole = plain(value)
        digits = whole.partition("e")[0].replace(".", "").lstrip("-0")
        return whole if value.is_integer() or len(digits) <= _WRITTEN else f"{value:.3g}"
    return str(value)


def apart(values: Iterable[object]) -> Callable[[object], str]:
    """Returns what shows values of one hyperparameter: `text`, or more digits.

    Different ones of `values` are shown by different texts.
    """
    shown = {plain(value): text(value) for value in values if not is_missing(value)}
    return text if len(set(shown.values())) == len(shown) else _whole


def _whole(value: object) -> str:
    return plain(value) if isinstance(value, float) and not is_missing(value) else text(value)


def is_same(first: object, second: object) -> bool:
    """Whether two values of a hyperparameter are the same, however they are stored."""
    if is_missing(first) or is_missing(second):
        return is_missing(first) and is_missing(second)
    return plain(first) == plain(second)


def range_text(hp: Mapping[str, Any]) -> str:
    """The range of a hyperparameter: `0.0001 to 0.01`, its choices, or the value it is held at."""
    if "value" in hp:
        return plain(hp["value"])
    if "min_value" in hp and "max_value" in hp:
        return f"{plain(hp['min_value'])} to {plain(hp['max_value'])}"
    values = hp.get("values")
    return ", ".join(map(plain, values)) if isinstance(values, list | tuple) else "no range"


def plain(value: object) -> str:
    """A value as an option takes it: `0.1`, `1e-05`, `64`."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def short(value: str, limit: int = 22) -> str:
    """Shortens a text for a place where it can't wrap."""
    return value if len(value) <= limit else f"{value[: limit - 1]}…"


def shortened(values: Sequence[str], limit: int = 22) -> list[str]:
    """Shortens texts that stand side by side, and keeps different ones different where it can.

    What is left of a text is its beginning, else both ends, else what the others don't have too.
    """
    ends = (limit - 1) // 2
    ways = (
        [short(value, limit) for value in values],
        [v if len(v) <= limit else f"{v[: limit - 1 - ends]}…{v[-ends:]}" for v in values],
        [short(value, limit) for value in _own_parts(values)],
    )
    return next((way for way in ways if len(set(way)) == len(set(values))), ways[0])


def _own_parts(values: Sequence[str]) -> list[str]:
    start = _num_shared(values)
    end = _num_shared([value[start:][::-1] for value in values])
    before, after = "…" * bool(start), "…" * bool(end)
    return [f"{before}{value[start : len(value) - end]}{after}" for value in values]


def _num_shared(values: Sequence[str]) -> int:
    columns = zip(*values, strict=False)
    return sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, columns))


def format_number(value: Any, digits: int = 0) -> str:
    """Formats a number; empty where it is missing, in powers of ten where it is huge."""
    if value is None or not math.isfinite(float(value)):
        return ""
    if abs(value) >= 1e12:
        return f"{float(value):.3g}"
    return f"{float(value):,.{digits}f}"


def score(value: Any, signed: bool = False) -> str:
    """A score or a difference of scores: four decimals, more where they would say nothing.

    At least three significant digits, powers of ten below 0.0001 and from 10 million on, and never
    a 1 or a 0 that is none: `0.9767`, `0.00123`, `1e-07`, `0.99997`, `179.69`, `1.7969e+14`.
    Empty where it is missing or infinite.
    """
    if value is None or not math.isfinite(float(value)):
        return ""
    number, size = float(value), abs(float(value))
    sign = "+" if signed else ""
    if size == 0:
        return "0"
    if size < 1e-4:
        return f"{number:{sign}.3g}"
    if size >= 1e7:
        return f"{number:{sign}.5g}"
    magnitude = math.floor(math.log10(size))
    decimals = max(4 - magnitude, 0) if size >= 10 else max(4, 2 - magnitude)
    if 0 < abs(1 - size) < 5e-5:
        decimals = min(-math.floor(math.log10(abs(1 - size))), 9)
    return f"{number:{sign},.{decimals}f}"


def percent(share: float, digits: int = 0) -> str:
    """`97%`, with more decimals where it would read as none or all and is neither: `99.96%`."""
    wanted = digits
    while 0 < share < 1 and float(f"{100 * share:.{wanted}f}") in (0, 100) and wanted < _MOST:
        wanted += 1
    return f"{share:.{digits if wanted == _MOST else wanted}%}"


def compact(value: float, digits: int = 3) -> str:
    """Formats a large number with a unit: `1.2 M`; `unknown` where it is missing."""
    if not math.isfinite(value):
        return "unknown"
    value = float(f"{value:.{digits}g}")  # what is rounded to a unit is written in it
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.{digits}g} {unit}"
    return f"{value:.{digits}g}"


def byte_size(num_bytes: float) -> str:
    """Formats a size in the unit that fits: `512 B`, `3.4 MB`, `171 MB`, `1.2 GB`."""
    size, unit = num_bytes, "B"
    for larger in ("kB", "MB", "GB"):
        if not size >= 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:,.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.2g} {unit}"


def duration(seconds: float, digits: int = 1) -> str:
    """Formats seconds in the unit that fits; `unknown` where they are missing.

    Args:
        seconds: May be NaN.
        digits: Decimals of seconds and minutes; hours have one.
    """
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 90:
        return f"{seconds:.{digits}f} s"
    if seconds < 5400:
        return f"{seconds / 60:.{digits}f} min"
    return f"{seconds / 3600:.1f} h"


def named(folder: Path) -> str:
    """Returns what names a study in a command."""
    place = "" if folder.parent == Path("runs") else f" --runs-dir {quote(str(folder.parent))}"
    return f"{quote(folder.name)}{place}"


def plural(count: float, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"


def part_of(count: float, whole: float, noun: str) -> str:
    """`3 trials` where they are all, else `2 of 3 trials`."""
    return plural(whole, noun) if count == whole else f"{count:,.0f} of {plural(whole, noun)}"


def are(count: float) -> str:
    """`is` for one, else `are`."""
    return "is" if count == 1 else "are"


def between(low: float, high: float, signed: bool = False) -> str:
    """Words for an interval of scores, with as many digits as tell its ends apart.

    `unknown` where an end is missing or infinite.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return "unknown"
    sign = "+" if signed else ""
    ends = [score(low, signed), score(high, signed)]
    for digits in range(5, 18):
        if ends[0] != ends[1] or not low < high:
            break
        ends = [f"{end:{sign}#,.{digits}g}" for end in (low, high)]
    return f"{ends[0]} to {ends[1]}"


def article(noun: str) -> str:
    """`a validation accuracy`, `an accuracy`, `an F1 score`: the noun with its article."""
    first = noun.partition(" ")[0].lower()
    is_spelled = any(c.isdigit() for c in first) or first in _SPELLED
    vowels = "aefhilmnorsx" if is_spelled else "aeio"
    return f"{'an' if first[:1] in vowels else 'a'} {noun}"


def listed(items: list[str], most: int = 5) -> str:
    """`a, b and c`, shortened where there are many."""
    if len(items) > most:
        items = [*items[:most], f"{len(items) - most} more"]
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def without_folder(space: object) -> str:
    """Names a search space; of a user's own file, which is recorded whole, its last part."""
    return str(space).rpartition("/")[2]


def ends_by_time(count: float, method: object) -> bool:
    """Whether only a deadline limits the trials of a search: a grid ends by itself."""
    return count >= NO_END and method != "grid"


def deadline_anew(config: Mapping[str, Any]) -> str:
    """Returns the option without which a search that only its deadline limited does not resume.

    Args:
        config: Its recorded options, which may be damaged.
    """
    most, deadline = config.get("max_trials"), config.get("deadline")
    if not isinstance(most, int) or not ends_by_time(most, config.get("method")):
        return ""
    return f" --deadline {quote(deadline) if isinstance(deadline, str) else '30m'}"


def trials_at_most(count: float, method: object) -> str:
    """Describes the number of trials that a search by `method` was limited to."""
    if count < NO_END:
        return f"up to {plural(count, 'trial')}"
    timed = ends_by_time(count, method)
    return "as many trials as there is time for" if timed else "all combinations"
