"""How the best trials trained: whether they were still improving, and whether they overfit."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from experiments.record.formatting import plural, score, words
from experiments.record.notes import DOUBT, GOOD
from experiments.record.reading import as_number, dig
from reports.analysis.health.finding import LEVEL, Finding
from reports.analysis.networks import finished
from reports.analysis.task import has_images, noun_of
from reports.statistics.estimates import t_quantile
from reports.statistics.trend import mean_above_zero_p, slopes
from reports.study.metrics import is_share_of_images
from reports.study.study import Study

_Array = npt.NDArray[np.float64]
NUM_BEST, _LEAST = 8, 3  # trials examined
_SHOWS = 6  # trials, to find a trend of one deviation per epoch in 80 %
GAP = 0.05  # of training accuracy over validation accuracy: more is overfitting


def last_epoch(study: Study) -> Iterator[Finding]:
    """Says whether the best trials were still improving at their last epoch.

    It applies Student's t test to the slopes of their last quarter of epochs (three at least). On
    curves that are flat at the end it reports in at most 5 %. Six trials that gain as much per
    epoch as epochs scatter are found in at least 80 %. Below three trials or epochs nothing is
    reported. That trials had stopped improving is reported of six or more, if six or more were
    tested, or if patience ended half of them.
    """
    limit = _limit(study)
    sign = 1.0 if study.direction == "max" else -1.0
    curves = [sign * c for c in curves_of(study, study.objective)]
    found = still_improving(curves, limit)
    if found is None:
        return
    is_rising, gain, window = found
    tested, what = len(_to_limit(curves, limit)), plural(len(curves), "trial")
    ended = len(curves) - tested
    of = f"{tested} of the best {what}" if ended else f"the best {what}"
    if not is_rising:
        flat = f"the last {window} epochs of {of} show no gain above the noise"
        seen = [flat] if tested >= _SHOWS else []
        has_patience = as_number(dig(study.record, "config", "patience")) > 0
        if has_patience and ended and (seen or 2 * ended >= len(curves)):
            seen.append(f"patience ended {ended} of the best {what}")
        if seen and len(curves) >= _SHOWS:
            yield Finding(GOOD, f"{', and '.join(seen)}: they had stopped improving")
        return
    change = {} if math.isnan(limit) else {"max_epochs": int(limit * 2)}
    option = f": --max-epochs {int(limit * 2)}" if change and study.takes_options else ""
    yield Finding(
        DOUBT,
        f"{of} were still improving at their last epoch, by {score(gain)} an epoch over "
        f"the last {window} on average",
        f"train longer{option}",
        change,
    )


def _limit(study: Study) -> float:
    """Returns the most epochs that the networks were to have; NaN where unknown.

    The option may have been raised since. It counts where trials do not record what they were for.
    """
    is_whole = study.trials["trial_id"].isin(finished(study)["trial_id"])
    planned = float(study.trials.loc[is_whole, "planned_epochs"].max())
    return as_number(dig(study.record, "config", "max_epochs")) if math.isnan(planned) else planned


def curves_of(study: Study, metric: str) -> list[_Array]:
    """Returns the curves of a metric of the best networks that have one, from all their epochs.

    The trials of a promoted network are joined.
    """
    epochs = study.epochs
    if metric not in epochs:
        return []
    first = epochs[epochs["execution"] == 0]
    curves = []
    for chain in finished(study)["trial_ids"].head(NUM_BEST):
        rows = first[first["trial_id"].isin(chain)]
        # A restarted trial overwrites the epochs that it repeats.
        joined = rows.drop_duplicates("epoch", keep="last").sort_values("epoch")
        curves.append(joined[metric].to_numpy(dtype=float))
    return [c for c in curves if len(c) and np.isfinite(c).all()]


def still_improving(curves: Sequence[_Array], limit: float) -> tuple[bool, float, int] | None:
    """Returns whether curves rise at their end, by how much per epoch, and over which epochs.

    Args:
        curves: Of the best trials, larger is better.
        limit: Most epochs of a trial; NaN where unknown. Trials that patience ended before it are
            not tested: they had stopped improving.

    Returns:
        `None` where it can't be said.
    """
    if len(curves) < _LEAST:
        return None
    full = _to_limit(curves, limit)
    window = max(3, math.ceil(min(map(len, full or curves)) / 4))
    if len(full) < _LEAST or min(map(len, full)) < 3:
        return (False, 0.0, window) if 2 * len(full) <= len(curves) else None
    gains = slopes([c[-window:] for c in full])
    return mean_above_zero_p(gains) <= LEVEL, float(gains.mean()), window


def _to_limit(curves: Sequence[_Array], limit: float) -> list[_Array]:
    """Returns the curves of the trials that patience did not end."""
    return [c for c in curves if math.isnan(limit) or len(c) >= limit]


def overfitting(study: Study) -> Iterator[Finding]:
    """Says whether the best trials overfit, by their losses and by their accuracies.

    By losses: Student's t test of slopes in the later half of the epochs (after the best epoch,
    where patience ends a trial), with validation rising while training falls. On flat losses it
    reports in at most 5 %. A rise by as much per epoch as epochs scatter is found in at least 80 %
    with six trials of six epochs. By accuracies: training accuracy is more than five points above
    validation accuracy, beyond chance for that many validation images (5 %). A gap of 15 points is
    found in at least 80 % from 100 images on.

    The absence of overfitting is reported only where both could have been detected.
    """
    turned = _losses(study)
    gap = _gap(study)
    if turned is True or (gap is not None and gap[0] > GAP):
        yield _overfits(turned is True, gap, has_images(study))
    elif turned is False and gap is not None and gap[1] < GAP:
        better = "no" if gap[1] <= 0 else f"at most {100 * gap[1]:.1f} points"
        yield Finding(
            GOOD,
            "the validation losses of the best trials did not turn up, and the best of them is "
            f"{better} better on training {noun_of(study)}s than on validation: no overfitting",
        )
    elif turned is False and gap is None:
        yield Finding(GOOD, "the validation losses of the best trials did not turn up")


def _overfits(turned: bool, gap: tuple[float, float, str] | None, of_images: bool) -> Finding:
    said = ["their validation loss rose while their training loss fell"] if turned else []
    if gap is not None and gap[0] > GAP:
        said.append(gap[2])
    who = "the best trials overfit" if turned else "the best trial overfits"
    return Finding(
        DOUBT,
        f"{who}: {'; '.join(said)}",
        f"more dropout, {'augmentation or images' if of_images else 'regularisation or data'}; the "
        "exported weights are of its best epoch",
    )


def _losses(study: Study) -> bool | None:
    """Whether validation losses turned up; `None` where it can't be decided."""
    parts = [curves_of(study, name) for name in ("loss", "val_loss", study.objective)]
    if len({len(part) for part in parts}) != 1:
        return None
    sign = 1.0 if study.direction == "max" else -1.0
    patience = as_number(dig(study.record, "config", "patience"))
    behind = None if math.isnan(patience) else [int(np.argmax(sign * c)) + 1 for c in parts[2]]
    return turned_up(parts[0], parts[1], behind)


def turned_up(
    training: Sequence[_Array], validation: Sequence[_Array], behind: Sequence[int] | None = None
) -> bool | None:
    """Whether validation losses rise in the later half of training while training losses fall.

    Args:
        training: Loss by epoch, one a trial.
        validation: Likewise.
        behind: First epoch to examine, one a trial; by default, the later half is examined. Where
            patience ends a trial, the epochs before its best one are worse by selection.

    Returns:
        `None` below three trials, or three epochs each.
    """
    starts = [len(c) // 2 for c in validation] if behind is None else behind
    pairs = [
        (t[s:], v[s:])
        for t, v, s in zip(training, validation, starts, strict=True)
        if len(v) - s >= 3 and len(t) == len(v)
    ]
    if len(pairs) < _LEAST:
        return None
    falls, rises = slopes([t for t, _ in pairs]), slopes([v for _, v in pairs])
    if mean_above_zero_p(rises) <= LEVEL and falls.mean() < 0:
        return True
    return False if len(pairs) >= _SHOWS else None


def _gap(study: Study) -> tuple[float, float, str] | None:
    """Returns both ends of the best trial's gap of training over validation, and its text."""
    counts = [as_number(dig(study.record, "dataset", "counts", s)) for s in ("train", "validation")]
    if study.completed.empty or not min(counts) >= 1:
        return None
    trial = study.ranked["trial_id"].iloc[0]
    first = study.epochs[(study.epochs["execution"] == 0) & (study.epochs["trial_id"] == trial)]
    names = [study.objective.removeprefix("val_"), "accuracy"]
    for name in names:
        if is_share_of_images(name) and {name, f"val_{name}"} <= set(first.columns) and len(first):
            values = first[f"val_{name}"].to_numpy(dtype=float)
            if not np.isfinite(values).any():
                continue
            at = int(np.nanargmax(values))
            shares = float(first[name].iloc[at]), float(values[at])
            if all(0 <= share <= 1 for share in shares):
                low, high = share_gap(*shares, *counts)
                rows = f"{noun_of(study)}s"
                said = f"{words(name)} {score(shares[0])} on training {rows}, "
                return low, high, f"{said}{score(shares[1])} on validation {rows}"
    return None


def share_gap(
    first: float, second: float, num_first: float, num_second: float
) -> tuple[float, ...]:
    """Returns both ends of the interval of a difference of two shares, each at `LEVEL`.

    Source: Agresti and Caffo 2000, "Simple and effective confidence intervals for proportions and
    differences of proportions result from adding two successes and two failures".
    """
    p, n = (first * num_first + 1) / (num_first + 2), num_first + 2
    q, m = (second * num_second + 1) / (num_second + 2), num_second + 2
    half = t_quantile(1e6, 1 - 2 * LEVEL) * math.sqrt(p * (1 - p) / n + q * (1 - q) / m)
    return p - q - half, p - q + half
