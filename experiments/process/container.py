"""The limits of the control groups that this process is in, as containers set them (Linux)."""

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GROUPS, _MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_CACHES = ("inactive_file", "active_file")  # of files: what the kernel frees when it is wanted


def within_quota(cores: int) -> int:
    """Returns as many of `cores` as there is CPU time for, rounded up; at least one."""
    quotas = [math.ceil(quota) for folder in _folders("cpu") if (quota := _quota(folder))]
    return max(1, min([cores, *quotas]))


def memory_left() -> float:
    """Returns the bytes that may still be taken; infinite without a limit that can be read."""
    return min((_left(folder) for folder in _folders("memory")), default=math.inf)


def _folders(controller: str) -> Iterator[Path]:
    """Yields the folder of each group that limits this process, the root's last.

    A container's own group may be mounted as the root, so that the folder of its path is missing.
    """
    try:
        lines = _GROUPS.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names and controller not in names.split(","):
            continue
        mounts = [_MOUNT / names, _MOUNT / controller] if names else [_MOUNT]
        mount = next((mount for mount in mounts if mount.is_dir()), _MOUNT)
        folder = mount / path.strip("/")
        yield from (place for place in (folder, *folder.parents) if place.is_relative_to(mount))


def _quota(folder: Path) -> float | None:
    """Returns the cores that a group has time for; `None` without a limit."""
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        return float(quota) / float(period) if quota != "max" else None
    quota_us, period_us = (_number(folder / f"cpu.cfs_{n}_us") for n in ("quota", "period"))
    return quota_us / period_us if 0 < quota_us < math.inf and 0 < period_us < math.inf else None


def _left(folder: Path) -> float:
    limit = min(_number(folder / name) for name in ("memory.max", "memory.limit_in_bytes"))
    used = min(_number(folder / name) for name in ("memory.current", "memory.usage_in_bytes"))
    return limit - used + _cached(folder) if math.inf not in (limit, used) else math.inf


def _cached(folder: Path) -> float:
    try:
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        found = {name: float(value) for name, value in map(str.split, lines)}
    except (OSError, ValueError):
        return 0.0
    return sum(found.get(f"total_{name}", found.get(name, 0.0)) for name in _CACHES)


def _number(path: Path) -> float:
    try:
        return float(int(path.read_text(encoding="ascii")))
    except (OSError, ValueError):  # `max`, or no such group
        return math.inf
