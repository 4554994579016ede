"""What all pages are made of: templates, style and script; files that are written whole."""

import base64
import hashlib
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from experiments.record.files import atomic
from experiments.record.formatting import format_number, percent, words


def write_text(path: Path, content: str) -> None:
    """Writes a text file atomically."""
    with atomic(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def environment() -> jinja2.Environment:
    """Returns the templates with their filters; everything is escaped."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("reports.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters["number"] = format_number
    made.filters["percent"] = percent
    made.filters["words"] = words
    made.filters["code"] = _code
    return made


def _code(text: str) -> Markup:
    """Returns the text as HTML, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def assets(reload: float | None = None) -> dict[str, Any]:
    """Returns what every page has: style, script and the script's hash, and how it is kept current.

    The page's policy admits no other script.

    Args:
        reload: Seconds after which the open page loads itself anew; never if `None`.
    """
    folder = resources.files("reports.page") / "templates"
    script = (folder / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()
    style = (folder / "page.css").read_text(encoding="utf-8")
    return {"style": style, "script": script, "script_hash": digest, "reload": reload}
