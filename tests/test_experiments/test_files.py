"""Files on systems that lack what Linux with a local disk has."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import UserError, files
from experiments.cache import cache_folder
from experiments.config import load_toml
from experiments.files import preallocate, write_json


def failing(number: int, only_folders: bool = False) -> Any:
    def fail(handle: int, *arguments: Any) -> None:
        if not (only_folders and os.path.isfile(f"/proc/self/fd/{handle}")):
            raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_without_fsync_of_folders(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(number, only_folders=True))
    write_json(tmp_path / "a.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        write_json(tmp_path / "b.json", {})


@pytest.mark.parametrize("number", [None, errno.EINVAL, errno.EOPNOTSUPP])
def test_room_is_taken_without_posix_fallocate(
    number: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if number is None:
        monkeypatch.delattr(os, "posix_fallocate")
    else:
        monkeypatch.setattr(os, "posix_fallocate", failing(number))
    path = tmp_path / "a.npy"
    array = preallocate(path, (300, 1000), np.float64)  # more than a block
    assert path.stat().st_blocks * 512 >= array.nbytes  # no holes
    array[:] = 3
    array.flush()
    assert (np.load(path) == 3).all()
    monkeypatch.setattr(os, "posix_fallocate", failing(errno.ENOSPC), raising=False)
    with pytest.raises(OSError, match="No space"):
        preallocate(tmp_path / "b.npy", (3,), np.float64)


def test_a_user_without_a_home_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def unknown(user: int) -> Any:
        raise KeyError(f"getpwuid(): uid not found: {user}")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(UserError, match=r"no home folder.*--cache-dir"):
        cache_folder(None)
    assert cache_folder("here") == Path("here")


def test_toml_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "search.toml"
    path.write_bytes(b"\xef\xbb\xbfspace = 'mnist_cnn'\n")
    assert load_toml(path) == {"space": "mnist_cnn"}


def test_what_killed_writers_left_is_removed_and_nothing_that_is_being_written(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "artifacts" / "kept.json"
    with files.atomic(kept) as temporary:
        left = [kept.with_name(".tmp-1.json"), tmp_path / ".tmp-2.npz"]
        for path in left:
            path.touch()
        files.remove_left_over(tmp_path)
        assert temporary.exists()
        assert not any(path.exists() for path in left)
        temporary.write_text("whole")
    assert kept.read_text() == "whole"
    assert os.listdir(kept.parent) == ["kept.json"]


def test_a_temporary_file_that_is_taken_for_left_over_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = files.fcntl.flock, []

    def removed_first(handle: int, operation: int) -> None:
        calls.append(handle)
        if len(calls) == 1:
            next(tmp_path.glob(".tmp-*")).unlink()
        real(handle, operation)

    monkeypatch.setattr(files.fcntl, "flock", removed_first)
    files.write_json(tmp_path / "kept.json", {"whole": True})
    assert len(calls) == 2
    assert os.listdir(tmp_path) == ["kept.json"]
