"""Lets a fork server remove the folder of its socket, if the process that started it was killed.

Else that process removes it. A server ends by itself only when nobody is left to ask it.
"""

import atexit
import os
import shutil
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

_starter, _own = os.getppid(), os.getpid()


def _tidy() -> None:
    server: Any = forkserver._forkserver
    address = server._forkserver_address
    if os.getpid() != _own or os.getppid() == _starter or not isinstance(address, str):
        return
    folder = Path(address).parent
    if folder.name.startswith("pymp-"):  # of Python's multiprocessing
        shutil.rmtree(folder, ignore_errors=True)


atexit.register(_tidy)
