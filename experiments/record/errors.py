"""Errors, by who can fix them."""


class UserError(ValueError):
    """Input that cannot be used; shown as one line, exit code 2."""


class InterruptedSearchError(KeyboardInterrupt):
    """A search was interrupted and can be resumed; says how."""
