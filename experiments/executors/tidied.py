"""Lets a fork server remove the folder of its socket, if the process that started it was killed.

Else that process removes it.
"""

import atexit
import os
import shutil
import time
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

STARTER = "EXPERIMENTS_FORK_SERVER_OF"  # variable of the server: the process that started it
_ENDS_WITHIN = 5.0  # seconds


def _tidy(starter: int, own: int) -> None:
    server: Any = forkserver._forkserver
    address = server._forkserver_address
    if os.getpid() != own or not isinstance(address, str):
        return
    until = time.monotonic() + _ENDS_WITHIN
    while os.getppid() == starter:  # it lives, or its files are closed and it still ends
        if time.monotonic() > until:
            return
        time.sleep(0.01)
    folder = Path(address).parent
    if folder.name.startswith("pymp-"):  # of Python's multiprocessing
        shutil.rmtree(folder, ignore_errors=True)


if STARTER in os.environ:
    atexit.register(_tidy, int(os.environ[STARTER]), os.getpid())
