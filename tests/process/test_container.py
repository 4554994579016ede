"""The limits of a container: how many workers fit, and how many threads they take."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.process import container, hardware
from experiments.process.numerics import INTRA, threads_of

GIB = 2**30
V2 = {
    "a/memory.max": str(8 * GIB),
    "a/cpu.max": "150000 100000",
    "a/b/memory.max": "max",
    "a/b/cpu.max": "max 100000",
    "a/memory.current": str(7 * GIB),
    "a/memory.stat": f"anon 5\ninactive_file {2 * GIB}\nactive_file {GIB}\n",
}
V1 = {
    "memory/a/memory.limit_in_bytes": str(8 * GIB),
    "memory/a/memory.usage_in_bytes": str(7 * GIB),
    "memory/a/memory.stat": f"cache 5\ntotal_inactive_file {2 * GIB}\ntotal_active_file {GIB}\n",
    "memory/a/b/memory.limit_in_bytes": str(2**63 - 4096),
    "memory/a/b/memory.usage_in_bytes": str(GIB),
    "cpu,cpuacct/cpu.cfs_quota_us": "150000",  # mounted as the container's root
    "cpu,cpuacct/cpu.cfs_period_us": "100000",
}
OF_V2, OF_V1 = "0::/a/b\n", "12:cpu,cpuacct:/docker/a\n9:memory:/a/b\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "files", "workers", "threads"),
    [
        (OF_V2, V2, 2, 2),
        (OF_V1, V1, 2, 2),
        (OF_V2, V2 | {"a/cpu.max": "max 100000"}, 2, 8),
        (OF_V2, V2 | {"a/cpu.max": "max 100000", "a/memory.max": "max"}, 8, 8),
        (OF_V2, V2 | {"a/memory.current": str(9 * GIB), "a/memory.stat": ""}, 1, 2),
        (OF_V2, {}, 8, 8),
        (OF_V2, {"a/memory.max": "none", "a/cpu.max": "\n"}, 8, 8),
        (None, V2, 8, 8),
    ],
)
def test_limits_of_a_container_are_kept(
    groups: str | None,
    files: dict[str, str],
    workers: int,
    threads: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    if groups is not None:
        (tmp_path / "groups").write_text(groups)
    monkeypatch.setattr(container, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(container, "_MOUNT", tmp_path)
    monkeypatch.setattr(hardware, "num_cores", lambda: 8)
    monkeypatch.setattr("experiments.process.numerics.num_cores", lambda: 8)
    monkeypatch.setattr(hardware, "gpus", list)
    memory = SimpleNamespace(available=100 * GIB)
    monkeypatch.setattr(hardware.psutil, "virtual_memory", lambda: memory)
    monkeypatch.delenv(INTRA, raising=False)
    assert hardware.suitable_workers() == workers
    assert threads_of(1) == threads
    assert threads_of(0) == 8  # TensorFlow by itself takes as many, whatever the limit
