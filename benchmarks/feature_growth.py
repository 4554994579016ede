"""What happens to a frozen trial when the images double: time of features, overhead, memory.

Each size runs in a process of its own. Memory is what the process holds for itself (`RssAnon`);
pages of memory-mapped files belong to the system, which takes them back when it needs them.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import (
    outside_fit,
    parser,
    phase_seconds,
    prepared,
    proposals_of,
    run_plain,
    run_suite,
    search_config,
    workplace,
)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000])
    arguments.add_argument("--plot", default="feature_growth.png")
    arguments.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.data_dir)))
        return
    sizes = [200, 400] if given.quick else given.sizes
    rows = [_in_a_process(size, given.data_dir) for size in sizes]
    print("images   features  outside fit     memory   plain trial   suite trial")
    for row in rows:
        print(
            f"{row['images']:6,}  {row['features']:7.1f} s  {row['overhead']:9.2f} s  "
            f"{row['memory_mb']:6.0f} MB  {row['plain']:9.1f} s  {row['suite']:9.2f} s"
        )
    plot(rows, given.plot)
    print(f"plot: {given.plot}")
    print(f"ratio: {rows[-1]['plain'] / rows[-1]['suite']:.1f}")


def _in_a_process(size: int, folder: str | None) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(size)]
    if folder:
        command += ["--data-dir", folder]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return row


def measure(size: int, given_dir: str | None) -> dict[str, Any]:
    """Runs two frozen trials of the suite, then one of plain Keras Tuner, on `size` images."""
    with workplace() as folder:
        config = search_config(
            folder,
            given_dir,
            space="transfer_head",
            dataset="cats_vs_dogs",
            sample=size,
            settings={"alpha": 0.35, "weights": "none"},
            fix={"unfreeze": False, "flip": False, "dense_layers": 0, "batch_size": 32},
            max_trials=3,
            max_epochs=2,
        )
        data = prepared(config)
        study, _ = run_suite(config)
        phases = phase_seconds(study)
        memory = own_memory()
        plain = run_plain(config, data, proposals_of(study, 1), folder / "plain")
    return {
        "images": size,
        "features": phases["features"] * len(study.trials),
        "overhead": outside_fit(phases),
        "memory_mb": memory / 1e6,
        "plain": plain[0],
        # The first computed the features.
        "suite": float(study.trials["seconds"].iloc[1:].mean()),
    }


def own_memory() -> int:
    """Returns the bytes of memory that are this process' own."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not say what a process holds for itself")


def plot(rows: list[dict[str, Any]], path: str) -> None:
    """Draws the three measures against the number of images."""
    from matplotlib.figure import Figure

    panels = (
        ("features", "seconds to compute features"),
        ("overhead", "seconds of a trial outside fit"),
        ("memory_mb", "own memory of the worker, MB"),
    )
    figure = Figure((8.0, 2.8), layout="constrained")
    for ax, (name, label) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        ax.plot([r["images"] for r in rows], [r[name] for r in rows], "o-")
        ax.set_ylim(bottom=0)
        ax.set_xlim(left=0)
        ax.set_xlabel("images")
        ax.set_title(label, fontsize=9)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
