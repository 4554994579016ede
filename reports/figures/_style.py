"""What all figures share: a colour-blind-safe look, names in words, axes in their scale."""

from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

WIDTH = 8.0  # inches
PALETTE = sns.color_palette("colorblind")
BLUE, ORANGE, FAILED, GREY = PALETTE[0], PALETTE[1], PALETTE[3], "0.55"

sns.set_theme(
    style="whitegrid",
    palette="colorblind",
    rc={
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.labelsize": 9,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "legend.fontsize": 8.5,
        "axes.edgecolor": "0.7",
        "grid.color": "0.92",
        "figure.dpi": 110,
        "svg.hashsalt": "reports",
    },
)


def subplots(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, Any]:
    """Makes a figure of the report's width; axes come as a 2-D array."""
    return plt.subplots(
        rows, columns, figsize=(WIDTH, height), squeeze=False, layout="constrained", **options
    )


def words(name: str) -> str:
    """`val_accuracy` -> `validation accuracy`."""
    text = name.removeprefix("val_").replace("_", " ")
    return f"validation {text}" if name.startswith("val_") else text


def text(value: Any) -> str:
    """A hyperparameter's value as a reader writes it; empty where it was inactive."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}" if value.is_integer() else f"{value:.3g}"
    return str(value)


def is_numeric(hp: dict[str, Any]) -> bool:
    """Whether the hyperparameter is drawn on a number axis."""
    return hp["kind"] in ("Int", "Float")


def is_log(hp: dict[str, Any]) -> bool:
    """Whether the hyperparameter was sampled in log scale."""
    return is_numeric(hp) and hp.get("sampling") == "log"


def scale_x(ax: Axes, hp: dict[str, Any]) -> None:
    """Puts the x axis in the scale that the hyperparameter was sampled in."""
    if is_log(hp):
        ax.set_xscale("log", base=2 if hp["kind"] == "Int" else 10)
        if hp["kind"] == "Int":
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    elif hp["kind"] == "Int":
        whole_numbers(ax)


def whole_numbers(ax: Axes) -> None:
    """Keeps fractions off the x axis."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def count_note(ax: Axes, count: int, what: str = "trials") -> None:
    """Says on the axes how many trials they show."""
    ax.set_title(f"n = {count} {what}", loc="right", fontsize=8.5, fontweight="normal", color="0.4")
