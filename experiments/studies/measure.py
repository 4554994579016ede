"""Measures the cost of the best trials' networks."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from experiments.hyperparameters.space import class_of
from experiments.process.numerics import cpu_model
from experiments.record.measured import keep_measured
from experiments.studies.reopen import Opened
from experiments.training.costs import flops, latency


def measure(
    opened: Opened, trial_ids: Sequence[str], say: Callable[[str], object] | None = None
) -> dict[str, Any]:
    """Builds trials' networks and measures FLOPs and latency of one image.

    Weights are fresh: they affect neither. Each result is added to `artifacts/latency.json` at
    once. The report draws its trade-offs from it.

    Args:
        opened: The study.
        trial_ids: The trials.
        say: Called with a line of progress.

    Returns:
        The content of that file: `machine`, and `trials` by id.
    """
    image = np.asarray(opened.data.open("test").images[0])
    fresh = {"weights": "none"} if "weights" in class_of(opened.config.space).settings else {}
    content: dict[str, Any] = {}
    for trial_id in trial_ids:
        model = opened.build(opened.hyperparameters(trial_id), **fresh)
        measured = latency(model, image)
        counted = flops(model)
        known = {} if counted is None else {"flops": counted}
        # Kept at once: a later one may fail, or take too long for who waits.
        costs = {trial_id: {**known, **measured.as_dict()}}
        content = keep_measured(opened.study.files, costs, cpu_model())
        if say is not None:
            operations = "" if counted is None else f", {counted:,} FLOPs"
            say(
                f"trial {trial_id}: {measured.median:.2f} ms ({measured.low:.2f} to "
                f"{measured.high:.2f}){operations}"
            )
    return content
