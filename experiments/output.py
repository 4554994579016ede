"""Output that may be closed by who reads it: a search goes on without."""

import os
import sys
from contextlib import suppress

import click


def say(line: str) -> None:
    """Prints a line; once nobody reads any more, says so on standard error and prints nothing."""
    try:
        click.echo(line)
    except BrokenPipeError:
        close()
        with suppress(OSError):
            click.echo("the output was closed: the search goes on without it", err=True)


def close() -> None:
    """Lets what is still printed go nowhere, so that Python does not fail at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
