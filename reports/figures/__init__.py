"""Figures of the report: one file each, found by the registry.

A figure is a file of this folder with

- `SECTION`: the section of the page it belongs to (`page/sections.py`), and `ORDER` within it;
- `TITLE`: its heading;
- `info(study)`: a frozen dataclass of the data to draw, or a string that says why there is nothing
  to draw;
- `finding(info)`: one sentence of what it shows, with its numbers;
- `height(info)`: inches it needs at the width of the page;
- `draw(info, ax)`: draws on matplotlib axes and returns them; never saves. A figure with several
  panels divides the place of `ax`.
"""

import importlib
import pkgutil
from types import ModuleType


def figures() -> dict[str, ModuleType]:
    """Returns every figure by its name, in the order of the report."""
    found = {
        module.name: importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
        if not module.name.startswith("_")
    }
    return dict(sorted(found.items(), key=lambda item: (item[1].ORDER, item[0])))
