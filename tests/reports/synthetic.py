"""Writes study folders as a search would, without training anything."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SPACE: list[dict[str, Any]] = [
    {"name": "learning_rate", "kind": "Float", "min_value": 1e-4, "max_value": 1e-1,
     "sampling": "log", "default": 1e-3, "conditions": []},
    {"name": "pooling", "kind": "Choice", "values": ["max", "average"], "default": "max",
     "conditions": []},
    {"name": "conv_blocks", "kind": "Int", "min_value": 1, "max_value": 3, "default": 1,
     "conditions": []},
    {"name": "filters_0", "kind": "Int", "min_value": 16, "max_value": 64, "sampling": "log",
     "step": 2, "default": 32, "conditions": []},
    {"name": "filters_1", "kind": "Int", "min_value": 16, "max_value": 64, "sampling": "log",
     "step": 2, "default": 32,
     "conditions": [{"name": "conv_blocks", "values": [2, 3]}]},
    {"name": "dropout", "kind": "Float", "min_value": 0.0, "max_value": 0.5, "default": 0.0,
     "conditions": []},
    {"name": "batch_norm", "kind": "Boolean", "default": False, "conditions": []},
]  # fmt: skip


@dataclass
class Synthetic:
    """What to write: a search of `num_trials` in which the learning rate and `pooling` matter.

    `pooling_effect` is what average pooling adds to every score.
    """

    num_trials: int = 12
    num_epochs: int = 5
    seed: int = 0
    name: str = "synthetic"
    num_failed: int = 1
    num_seeds: int = 3
    num_classes: int = 3
    num_test: int = 200
    pooling_effect: float = 0.0
    fingerprint: str = "f1f1f1f1f1f1f1f1"
    class_names: list[str] | None = None
    test_accuracy: float = 0.93
    seed_spread: float = 0.004
    changes: dict[str, Any] = field(default_factory=dict)  # of study.json, by key
    objective: tuple[str, str] = ("val_accuracy", "max")  # or val_loss, or val_f1_score
    loss_scale: float = 1.0  # of validation losses
    diverged: float = 0.0  # validation loss of the last trial that was completed, if any
    without_accuracy: bool = False  # on test
    further: tuple[tuple[str, str], ...] = ()  # objectives after val_accuracy, with directions
    task: str = "classes"  # or numbers (a regression), or labels (several an example)
    num_outputs: int = 1  # of a task without classes
    shape: tuple[int, ...] = (8, 8, 1)  # of an example
    error: float = 0.3  # standard deviation of a regression's errors; targets have 1
    outputs: tuple[str, ...] = ()  # names of a model's outputs, with a loss of each in histories
    with_model: bool = False  # whether a file is where the exported model is


def write_study(runs: Path, plan: Synthetic) -> Path:
    """Writes the study and returns its folder."""
    rng = np.random.default_rng(plan.seed)
    folder = runs / plan.name
    folder.mkdir(parents=True)
    scores = [_write_trial(folder, index, plan, rng) for index in range(plan.num_trials)]
    _dump(folder / "study.json", _record(plan) | _several(plan) | plan.changes)
    _dump(folder / "oracle.json", {})
    if plan.num_seeds and scores:
        best = max(range(len(scores)), key=lambda i: scores[i])
        _write_artifacts(folder, _trial_id(best, plan), plan, rng)
    return folder


def _several(plan: Synthetic) -> dict[str, Any]:
    named = [plan.objective, *plan.further]
    objectives = [{"name": name, "direction": direction} for name, direction in named]
    return {"objectives": objectives} if plan.further else {}


def _dump(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def _trial_id(index: int, plan: Synthetic) -> str:
    return str(index).zfill(len(str(plan.num_trials)))


def _record(plan: Synthetic) -> dict[str, Any]:
    names = plan.class_names or [f"class {i}" for i in range(plan.num_classes)]
    names = names if plan.task == "classes" else []
    return {
        "format": 1,
        "name": plan.name,
        "space_source": {"search_spaces.mnist_cnn": "0123456789abcdef"},
        "config": {
            "space": "mnist_cnn", "dataset": "digits", "method": "random", "seed": plan.seed,
            "max_trials": plan.num_trials, "max_epochs": plan.num_epochs, "patience": None,
            "objective": ":".join(plan.objective), "fix": {}, "settings": {}, "name": plan.name,
            "runs_dir": "runs", "data_dir": None, "cache_dir": None, "sample": None,
            "executions_per_trial": 1, "confirm": 1, "seeds": plan.num_seeds, "split_seed": 0,
        },
        "objective": {"name": plan.objective[0], "direction": plan.objective[1]},
        "space": SPACE,
        "architecture": ["conv_blocks", "pooling", "batch_norm"],
        "dataset": {
            "name": "digits", "class_names": names, "shape": list(plan.shape), "skipped": [],
            "counts": {"train": 1000, "validation": 250, "test": plan.num_test},
            "fingerprint": plan.fingerprint,
        },
        "environment": {
            "python": "3.11", "platform": "Linux", "cores": 2, "memory_gb": 8.0,
            "packages": {"keras": "3"}, "git": {"commit": "a" * 40, "dirty": False},
            "command_line": ["experiments", "search", "mnist_cnn"],
        },
        "started": 1_700_000_000.0,
        "search_ended": 1_700_000_000.0 + 10 * plan.num_trials,
        "ended": 1_700_000_030.0 + 10 * plan.num_trials,
    }  # fmt: skip


def _draw(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "learning_rate": float(10 ** rng.uniform(-4, -1)),
        "pooling": str(rng.choice(["max", "average"])),
        "conv_blocks": int(rng.integers(1, 4)),
        "filters_0": int(rng.choice([16, 32, 64])),
        "filters_1": int(rng.choice([16, 32, 64])),
        "dropout": float(rng.uniform(0, 0.5)),
        "batch_norm": bool(rng.integers(2)),
    }


MODEL = {
    "trainable_parameters": 1000, "frozen_parameters": 10, "flops": 2e6, "latency_ms": 3.2,
    "layers": [{"name": "conv", "kind": "Conv2D", "depth": 0, "output_shape": [None, 8, 8, 4],
                "trainable_parameters": 40, "frozen_parameters": 0}],
}  # fmt: skip


def _write_outputs(artifacts: Path, best: str, plan: Synthetic, rng: np.random.Generator) -> None:
    """Writes what finalists leave of a regression, or of several labels an example."""
    size = (plan.num_test, plan.num_outputs)
    is_labels, name = plan.task == "labels", "probabilities" if plan.task == "labels" else "outputs"
    targets = rng.normal(size=size)
    targets = (targets > 0.5).astype(np.float64) if is_labels else targets
    predicted = [_predict(targets, plan, rng) for _ in range(plan.num_seeds)]
    runs = [
        {"seed": seed, "score": 0.2, "history": {}, "epoch_seconds": [1.0],
         "test": _losses(targets, output, plan), "test_size": plan.num_test}
        for seed, output in enumerate(predicted)
    ]  # fmt: skip
    _dump(artifacts / "finalists.json", [{"trial_id": best, "runs": runs, "exported_run": 0}])
    _dump(artifacts / "model.json", MODEL)
    np.savez(artifacts / "predictions.npz", targets=targets, **{name: predicted[0]})
    np.savez(
        artifacts / "finalists.npz", targets=targets,
        **{f"seeds_{best}": np.arange(plan.num_seeds), f"outputs_{best}": np.stack(predicted)},
    )  # fmt: skip


def _predict(targets: Any, plan: Synthetic, rng: np.random.Generator) -> Any:
    noise = rng.normal(0, plan.error, targets.shape)
    output = np.clip(0.15 + 0.7 * targets + noise, 0.01, 0.99) if plan.task == "labels" else (
        targets + noise)  # fmt: skip
    return output.astype(np.float32)


def _losses(targets: Any, output: Any, plan: Synthetic) -> dict[str, float]:
    if plan.task == "labels":
        chance = output.astype(np.float64)
        loss = -(targets * np.log(chance) + (1 - targets) * np.log(1 - chance)).mean()
        return {"loss": float(loss), "binary_accuracy": float(((output > 0.5) == targets).mean())}
    errors = output - targets
    return {"loss": float((errors**2).mean()), "mae": float(np.abs(errors).mean())}


def _write_trial(folder: Path, index: int, plan: Synthetic, rng: np.random.Generator) -> float:
    values, trial_id = _draw(rng), _trial_id(index, plan)
    quality = 0.93 - 0.08 * (np.log10(values["learning_rate"]) + 2.5) ** 2
    quality += plan.pooling_effect * (values["pooling"] == "average") + rng.normal() * 0.004
    failed = index >= plan.num_trials - plan.num_failed
    curve = quality - 0.3 * np.exp(-np.arange(1, plan.num_epochs + 1.0))
    history = {
        "val_accuracy": curve.tolist(), "accuracy": (curve + 0.02).tolist(),
        "val_loss": (plan.loss_scale * (1.1 - curve)).tolist(), "loss": (1 - curve).tolist(),
    }  # fmt: skip
    if plan.objective[0] == "val_f1_score":
        history["val_f1_score"] = (curve - 0.05).tolist()
    if plan.task == "numbers":
        history = {n: v for n, v in history.items() if n.endswith("loss")}
        history["mae"], history["val_mae"] = ([v**0.5 for v in history[n]] for n in
                                              ("loss", "val_loss"))  # fmt: skip
    for name in plan.outputs:
        history[f"{name}_loss"], history[f"val_{name}_loss"] = history["loss"], history["val_loss"]
    if plan.diverged and index == plan.num_trials - plan.num_failed - 1:
        history["val_loss"] = [plan.diverged] * plan.num_epochs
    choose = max if plan.objective[1] == "max" else min
    score = None if failed else choose(history[plan.objective[0]])
    start = 1_700_000_000.0 + 10 * index
    result = {
        "trial_id": trial_id, "status": "failed" if failed else "completed", "score": score,
        "cause": "nan" if failed else None, "traceback": "Traceback: it" if failed else None,
        "message": "NotANumberError: loss" if failed else None,
        "started": start, "ended": start + 9, "initial_epoch": 0,
        "trainable_parameters": None if failed else 1000 * values["filters_0"],
        "frozen_parameters": None if failed else 10,
        "flops": None if failed else 20_000 * values["filters_0"] * values["conv_blocks"],
        "executions": [] if failed else [
            {"seed": 1, "history": history, "best_epoch": plan.num_epochs - 1, "score": score,
             "seconds": {"build": 1.0, "fit": 7.0}, "epoch_seconds": [1.4] * plan.num_epochs}
        ],
    }  # fmt: skip
    if plan.further and not failed:
        _add_objectives(result, plan, rng)
    state = {
        "trial_id": trial_id, "status": "FAILED" if failed else "COMPLETED", "score": score,
        "hyperparameters": {"space": [], "values": values}, "metrics": {"metrics": {}},
        "best_step": 0, "message": None,
    }  # fmt: skip
    _dump(folder / f"trial_{trial_id}" / "trial.json", state)
    _dump(folder / f"trial_{trial_id}" / "result.json", result)
    return -math.inf if score is None else score * (1 if plan.objective[1] == "max" else -1)


def _add_objectives(result: dict[str, Any], plan: Synthetic, rng: np.random.Generator) -> None:
    parameters = result["trainable_parameters"] + result["frozen_parameters"]
    result["latency_ms"] = float(0.4 + parameters / 40_000 + rng.uniform(0, 0.2))
    known = {
        "params": parameters, "flops": result["flops"], "latency_ms": result["latency_ms"],
        "val_loss": 1.1 - result["score"],
    }  # fmt: skip
    names = [plan.objective[0], *(name for name, _ in plan.further)]
    result["objectives"] = {name: known.get(name, result["score"]) for name in names}


def _write_artifacts(folder: Path, best: str, plan: Synthetic, rng: np.random.Generator) -> None:
    artifacts = folder / "artifacts"
    if plan.with_model:
        (folder / "best_model.keras").write_bytes(b"a model")
    if plan.task != "classes":
        _write_outputs(artifacts, best, plan, rng)
        return
    labels, chances = predictions(plan.num_test, plan.num_classes, plan.test_accuracy, rng)
    right = float((chances.argmax(axis=1) == labels).mean())
    accuracies = [right, *(right + rng.normal(0, plan.seed_spread, plan.num_seeds - 1))]
    runs = [
        {"seed": index, "score": 0.2 * plan.loss_scale if plan.objective[1] == "min" else 0.9,
         "test": _tested(float(np.clip(a, 0, 1)), plan), "test_size": plan.num_test,
         "history": {}, "epoch_seconds": [1.0]}
        for index, a in enumerate(accuracies)
    ]  # fmt: skip
    _dump(artifacts / "finalists.json", [{"trial_id": best, "runs": runs, "exported_run": 0}])
    _dump(artifacts / "model.json", MODEL)
    np.savez_compressed(artifacts / "predictions.npz", labels=labels, probabilities=chances)
    pictures = {}
    for kind, positions in (
        ("mistake", np.flatnonzero(chances.argmax(axis=1) != labels)[:12]),
        ("test", np.arange(12)),
    ):
        pictures |= {
            f"{kind}_images": rng.integers(0, 256, (len(positions), 8, 8, 1), dtype=np.uint8),
            f"{kind}_labels": labels[positions], f"{kind}_positions": positions,
            f"{kind}_sizes": np.full((len(positions), 2), 8),
        }  # fmt: skip
    np.savez_compressed(artifacts / "pictures.npz", **pictures)
    np.savez_compressed(
        artifacts / "features.npz", image=pictures["test_images"][0],
        filters=rng.normal(size=(3, 3, 1, 4)), convolution=rng.random((8, 8, 4)),
        pooling=rng.random((4, 4, 4)), pooling_kind=np.array("max"),
    )  # fmt: skip


def _tested(accuracy: float, plan: Synthetic) -> dict[str, float]:
    found = {"accuracy": accuracy, "loss": plan.loss_scale * (1.1 - accuracy)}
    if plan.objective[0] == "val_f1_score":
        found["f1_score"] = accuracy - 0.05
    if plan.without_accuracy:
        del found["accuracy"]
    return found


def predictions(
    count: int, num_classes: int, accuracy: float, rng: np.random.Generator
) -> tuple[Any, Any]:
    """Makes labels `(count,)` and probabilities `(count, num_classes)` of about that accuracy."""
    labels = rng.integers(0, num_classes, count)
    wrong = rng.random(count) > accuracy
    said = np.where(wrong, (labels + 1) % num_classes, labels)
    sure = rng.uniform(0.6, 0.99, count)
    chances = np.full((count, num_classes), 0.0)
    chances += ((1 - sure) / (num_classes - 1))[:, None]
    chances[np.arange(count), said] = sure
    return labels, chances.astype(np.float32)
