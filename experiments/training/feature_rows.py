"""The rows of an entry that is being computed: which are done, and who computes which.

A file beside the arrays: a line that says by what they are computed, then a byte for each chunk of
rows, 1 if it is done. Whoever computes a chunk has locked its byte. The lock dies with its process,
so what a killed process had claimed is free. Processes so share an entry, each in its own order.
"""

import errno
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

try:
    import fcntl
except ImportError:  # Windows has no such locks: who has the entry computes it alone
    fcntl = None  # type: ignore[assignment]

CAN_SHARE = fcntl is not None
_DONE = b"\x01"
_HELD = (errno.EAGAIN, errno.EACCES)


class Rows:
    """The open file; a context manager.

    Args:
        path: The file.
        facts: By what the rows are computed, JSON; a file that says other facts is not continued.
        num_chunks: Number of chunks.

    Raises:
        OSError: There is no such file.
        ValueError: It says something else.
    """

    def __init__(self, path: Path, facts: dict[str, Any], num_chunks: int) -> None:
        self._path, self._num_chunks = path, num_chunks
        self._claimed: list[int] = []  # not yet on the disk
        self._file = path.open("r+b", buffering=0)
        try:
            head = _head(facts)
            self._begin = len(head)
            content = self._file.read()
            flags = content[self._begin :]
            if not content.startswith(head) or len(flags) != num_chunks or set(flags) - {0, 1}:
                raise ValueError(f"{str(path)!r} is not of these features")
        except BaseException:
            self._file.close()
            raise

    @classmethod
    def begin(cls, path: Path, facts: dict[str, Any], num_chunks: int) -> "Rows":
        """Writes the file, with no chunk done, and opens it."""
        temporary = path.with_name(f".{path.name}")
        temporary.write_bytes(_head(facts) + bytes(num_chunks))
        temporary.replace(path)
        return cls(path, facts, num_chunks)

    def __enter__(self) -> "Rows":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file, and so frees what this process has claimed."""
        self._file.close()

    @property
    def is_current(self) -> bool:
        """Whether the entry has not been begun anew, or finished, since this file was opened."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except OSError:
            return False

    @property
    def left(self) -> list[int]:
        """The chunks that are not done."""
        return [chunk for chunk, flag in enumerate(self._flags()) if not flag]

    @property
    def num_claimed(self) -> int:
        """Number of chunks that this process has claimed and not noted as done."""
        return len(self._claimed)

    @property
    def num_computed(self) -> int:
        """Number of chunks that are done or claimed by this process."""
        return sum(self._flags()) + self.num_claimed

    def claim(self, chunk: int, wait: bool = False) -> bool:
        """Claims a chunk for this process; says whether it is to compute it.

        Args:
            chunk: Its number.
            wait: Whether to wait while another process has it.
        """
        if not self._lock(chunk, wait):
            return False
        if self._flags()[chunk]:  # another process was faster
            self._unlock(chunk)
            return False
        self._claimed.append(chunk)
        return True

    def finish(self) -> None:
        """Notes that the claimed chunks are on the disk."""
        for chunk in self._claimed:
            self._file.seek(self._begin + chunk)
            self._file.write(_DONE)
            self._unlock(chunk)
        self._claimed.clear()

    def _flags(self) -> bytes:
        self._file.seek(self._begin)
        return self._file.read(self._num_chunks)

    def _lock(self, chunk: int, wait: bool) -> bool:
        if fcntl is None:
            return True
        how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
        try:
            fcntl.lockf(self._file, how, 1, self._begin + chunk)
        except OSError as error:
            # A file system without locks: a chunk that two compute is the same twice.
            return error.errno not in _HELD
        return True

    def _unlock(self, chunk: int) -> None:
        if fcntl is not None:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._begin + chunk)
            except OSError:
                return


def num_left(path: Path) -> int | None:
    """Returns the number of chunks that are not done; `None` if there is no such file."""
    try:
        return path.read_bytes().partition(b"\n")[2].count(0)
    except OSError:
        return None


def _head(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True).encode() + b"\n"
