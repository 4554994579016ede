"""Whether the reports' claims hold: every claim is simulated, on seeds of your choice.

    python benchmarks/believe.py [--seed 1000] [--quick] [--only comparisons|search|health]

Prints a row a case and, last, the worst of each figure. The table of `docs/measured.md` is
of `--seed 1000`, which nothing was tuned on.
"""

import argparse
import importlib
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from quick import Quick

from benchmarks.believing.rows import Row

KINDS = ("comparisons", "search", "health")


def main() -> int:
    """Runs the simulations; the exit code is 1 where a figure does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--quick", action=Quick, help="within a minute, and noisier")
    parser.add_argument("--only", choices=KINDS)
    options = parser.parse_args()
    rows: list[Row] = []
    for kind in KINDS if options.only is None else (options.only,):
        began = time.monotonic()
        for row in importlib.import_module(f"benchmarks.believing.{kind}").rows(
            options.seed, options.quick
        ):
            rows.append(row)
            print(_line(row), flush=True)
        print(f"  ({kind}: {time.monotonic() - began:.0f} s)", flush=True)
    print("\nThe worst of each figure:")
    for row in worst(rows):
        print(_line(row))
    return 0 if all(row.holds for row in rows) else 1


def worst(rows: list[Row]) -> list[Row]:
    """Returns the worst row of each figure, in order."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        sign = 1 if row.asked.startswith("<") else -1
        key = (row.figure, row.asked)
        if key not in found or sign * row.value > sign * found[key].value:
            found[key] = row
    return list(found.values())


def _line(row: Row) -> str:
    missed = "" if row.holds else "MISSED "
    return f"{row.figure:42} {row.value:7.1%}  asked {row.asked:8} {missed}({row.case})"


if __name__ == "__main__":
    sys.exit(main())
