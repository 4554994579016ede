"""Passwords in the addresses of databases: they go into no record, and on no page."""

import re
from collections.abc import Sequence
from typing import Any

HIDDEN = "***"
# To the first `@`, as SQLAlchemy reads it, whatever is before it; and to a later one, unless that
# is of a query or fragment, for a password that has such itself. Better too much than too little.
_OF_USER = re.compile(r"(://[^\s:/]*):[^\s@]*@(?:(?:[^\s/@]*|[^\s?#@]*)@)*")
_OF_QUERY = re.compile(
    r"((?:[?&;]|%3B)(?:password|passwd|pwd|sslpassword)(?:=|%3D))(?:(?!%3B)[^\s&#])*", re.IGNORECASE
)


def hidden(text: str) -> str:
    """Returns `text` with the passwords of addresses in it replaced by `***`."""
    return _OF_QUERY.sub(rf"\1{HIDDEN}", _OF_USER.sub(rf"\1:{HIDDEN}@", text))


def all_hidden(texts: object) -> Any:
    """Returns a list of texts without passwords; what is no list stays what it is."""
    if isinstance(texts, Sequence) and not isinstance(texts, str):
        return [hidden(text) if isinstance(text, str) else text for text in texts]
    return texts
