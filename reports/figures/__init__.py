"""Figures of the report: one file each, found by the registry.

A figure is a file of this folder with

- `ORDER`: its place in the report;
- `TITLE` and `QUESTION`: its heading, and the question it answers;
- `RASTER`: whether it is made of pictures (PNG in the page) or of lines (SVG);
- `info(study)`: a frozen dataclass of what is to be drawn, or a string that says why there is
  nothing to draw;
- `draw(info)`: the matplotlib figure; it never saves.
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
    return dict(sorted(found.items(), key=lambda item: item[1].ORDER))
