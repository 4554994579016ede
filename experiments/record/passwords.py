"""Passwords in the addresses of databases: they go into no record, and on no page."""

import re
from collections.abc import Sequence
from typing import Any

HIDDEN = "***"
# To the first `@`, as SQLAlchemy reads it, whatever is before it; and to a later one, unless that
# is of a query or fragment, for a password that has such itself. Better too much than too little.
# Where there is none, the rest of the word is passed over, so that hostile texts take no time.
_OF_USER = re.compile(r"(://[^\s:/]*):(?:([^\s@]*@(?:(?:[^\s/@]*|[^\s?#@]*)@)*)|\S*)")
_OF_QUERY = re.compile(
    r"((?:[?&;]|%3B)(?:password|passwd|pwd|sslpassword)(?:=|%3D))(?:(?!%3B)[^\s&#])*", re.IGNORECASE
)


def hidden(text: str) -> str:
    """Returns `text` with the passwords of addresses in it replaced by `***`."""
    without = _OF_USER.sub(lambda at: f"{at[1]}:{HIDDEN}@" if at[2] else at[0], text)
    return _OF_QUERY.sub(rf"\1{HIDDEN}", without)


def all_hidden(texts: object) -> Any:
    """Returns a list of texts without passwords; what is no list stays what it is."""
    if isinstance(texts, Sequence) and not isinstance(texts, str):
        return [hidden(text) if isinstance(text, str) else text for text in texts]
    return texts
