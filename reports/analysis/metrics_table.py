"""Every metric of the recommended trial at its best epoch, by output where there are several."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from experiments.record.reading import as_dict, dicts
from reports.analysis.recommended import recommended
from reports.analysis.verdict import scores_on_test
from reports.study.study import Study, computed_once

_FIELDS = {"trial_id", "execution", "epoch", "seconds"}


@dataclass(frozen=True)
class MetricRow:
    """One metric.

    Args:
        output: The output of the model; empty for what is of all of it.
        name: The metric, without the output and without "val_".
        training: Its value on training data at the best epoch; NaN where it is not recorded.
        validation: Likewise on validation.
        test: Mean over the tested trainings of the first finalist; likewise.
    """

    output: str
    name: str
    training: float
    validation: float
    test: float


@dataclass(frozen=True)
class Metrics:
    """Metrics of a trial at the best epoch of each training, means where there are several.

    Args:
        trial_id: The trial.
        epochs: Those epochs, in order.
        outputs: Those of the model; none if it has one.
        rows: The metrics.
    """

    trial_id: str
    epochs: tuple[int, ...]
    outputs: tuple[str, ...]
    rows: tuple[MetricRow, ...]


@computed_once
def metrics_of_best(study: Study) -> Metrics | None:
    """Returns the metrics; `None` where no epochs of the recommended trial are recorded."""
    trial = recommended(study)
    epochs = study.epochs
    if trial is None or epochs.empty or study.objective not in epochs:
        return None
    own = epochs[epochs["trial_id"] == trial].dropna(subset=[study.objective])
    if own.empty:
        return None
    ranked = own.sort_values(study.objective, ascending=study.direction == "min", kind="stable")
    best = ranked.groupby("execution").head(1)  # of each training its own best epoch
    tested = next((f for f in study.finalists if f["runs"] and f["trial_id"] == trial), None)
    known = {str(n) for n in own.columns if n not in _FIELDS and own[n].notna().any()}
    names = sorted({name.removeprefix("val_") for name in known})
    layers = dicts(as_dict(study.model).get("layers"))
    outputs = _outputs(names, {str(layer.get("name")) for layer in layers})
    rows = []
    for name in names:
        output, short = _parted(name, outputs)
        test = np.nan if tested is None else float(np.mean(scores_on_test(tested, name)))
        train, val = (
            float(best[n].mean(skipna=False)) if n in known else np.nan
            for n in (name, f"val_{name}")
        )
        rows.append(MetricRow(output, short, train, val, test))
    order = ["", *outputs]
    rows.sort(key=lambda row: (order.index(row.output), row.name != "loss", row.name))
    return Metrics(trial, tuple(map(int, sorted(best["epoch"]))), outputs, tuple(rows))


def _outputs(names: list[str], layers: Collection[str]) -> tuple[str, ...]:
    """Returns the outputs of a model with several: Keras reports a loss of each beside `loss`.

    Parts of one loss are reported alike: an output has the name of a recorded layer, or another
    metric.
    """
    ending = "_loss"
    found = [name.removesuffix(ending) for name in names if name.endswith(ending)]
    have_more = {_parted(name, tuple(found))[0] for name in names if not name.endswith(ending)}
    is_several = len(found) > 1 and "loss" in names and {*found} <= {*layers, *have_more}
    return tuple(found) if is_several else ()


def _parted(name: str, outputs: tuple[str, ...]) -> tuple[str, str]:
    """Parts `kind_accuracy` into output and metric."""
    fitting = [output for output in outputs if name.startswith(f"{output}_")]
    output = max(fitting, key=len, default="")
    return output, name.removeprefix(f"{output}_") if output else name
