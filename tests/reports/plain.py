"""Writes projects as plain Keras Tuner leaves them, without training anything."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Metrics = Mapping[str, tuple[str, Any]]  # name -> direction, value (or one a step)


def number(name: str, low: float, high: float, **config: Any) -> dict[str, Any]:
    """A `Float` (or, of whole ends, an `Int`) as Keras Tuner records it."""
    kind = "Int" if isinstance(low, int) else "Float"
    ends = {"min_value": low, "max_value": high, "step": None, "sampling": "linear"}
    return {
        "class_name": kind,
        "config": {"name": name, "default": None, "conditions": [], **ends, **config},
    }


def choice(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """A `Choice`."""
    config = {"name": name, "default": None, "conditions": [], "values": list(values)}
    return {"class_name": "Choice", "config": config | {"ordered": False}}


@dataclass
class PlainTrial:
    """One trial: what is not given is as it is of a trial that was completed."""

    metrics: Metrics = field(default_factory=dict)
    score: float | None = None
    values: dict[str, Any] = field(default_factory=dict)
    status: str = "COMPLETED"
    message: str | None = None
    space: list[dict[str, Any]] = field(default_factory=lambda: [number("rate", 0.0, 1.0)])

    def state(self, trial_id: str) -> dict[str, Any]:
        """The content of `trial.json`."""
        recorded = {
            name: {"direction": direction, "observations": _observations(value)}
            for name, (direction, value) in self.metrics.items()
        }
        return {
            "trial_id": trial_id,
            "hyperparameters": {"space": self.space, "values": self.values},
            "metrics": {"metrics": recorded},
            "score": self.score,
            "best_step": 0,
            "status": self.status,
            "message": self.message,
        }


def _observations(value: Any) -> list[dict[str, Any]]:
    steps = value if isinstance(value, list) else [value]
    return [
        {"value": list(v) if isinstance(v, tuple) else [v], "step": step}
        for step, v in enumerate(steps)
    ]


def by_loss(*scores: float) -> list[PlainTrial]:
    """Trials that were ranked by `val_loss`, beside an accuracy that runs the other way."""
    return [
        PlainTrial(
            {"val_accuracy": ("max", 1 / (1 + score)), "val_loss": ("min", score)},
            score,
            {"rate": index / max(len(scores) - 1, 1)},
        )
        for index, score in enumerate(scores)
    ]


def write_plain(
    folder: Path,
    trials: Sequence[PlainTrial],
    ids: Sequence[str] | None = None,
    oracle: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a project; ids count the trials, unless they are given."""
    names = ids or [str(i).zfill(len(str(len(trials)))) for i in range(len(trials))]
    for name, trial in zip(names, trials, strict=True):
        place = folder / f"trial_{name}"
        place.mkdir(parents=True)
        (place / "trial.json").write_text(json.dumps(trial.state(name)))
    (folder / "oracle.json").write_text(json.dumps({"ongoing_trials": {}, **(oracle or {})}))
    return folder
