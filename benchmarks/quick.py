"""The option `--quick` of benchmarks that end with a figure."""

import argparse
import atexit
from typing import Any


class Quick(argparse.Action):
    """Is `True` where it is given, and says on the last line that its figure tells nothing.

    Small cases are to see that a script works: what starts processes and traces networks is most of
    their time.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, nargs=0, default=False, **kwargs)

    def __call__(self, parser: Any, namespace: Any, *args: Any) -> None:
        """Notes the option."""
        setattr(namespace, self.dest, True)
        atexit.register(print, "--quick: too small to tell, run it without", flush=True)
