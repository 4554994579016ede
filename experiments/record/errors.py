"""Errors, by who can fix them, and their first lines."""


class UserError(ValueError):
    """Input that cannot be used; shown as one line, exit code 2."""


class InterruptedSearchError(KeyboardInterrupt):
    """A search was interrupted and can be resumed; says how. `except Exception` lets it pass."""


def first_line(error: BaseException, limit: int = 200) -> str:
    """Returns the first line of an error's message, or its class if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:limit] if lines else type(error).__name__


def named_line(error: BaseException, limit: int = 300) -> str:
    """Returns an error's class and the first line of its message: `ValueError: no such file`."""
    return f"{type(error).__name__}: {first_line(error, limit) if str(error).strip() else ''}"
