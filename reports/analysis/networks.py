"""One row a network, with scores at equal fidelity: the basis for statistics of a space.

A promoted trial continues the network of another, so a network may have several trials. Where
trials were stopped early, the remaining ones are not a sample of all that were tried. So networks
are compared after the last epoch that all of them reached.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.record.formatting import plural
from reports.analysis.draws import Draws, independent
from reports.study.fidelity import FEWER
from reports.study.study import Study, computed_once

_Array = npt.NDArray[np.float64]
SHORT = ("stopped", "fewer")  # statuses of networks whose scores are not those of a whole training
_COLUMNS = ("trial_id", "number", "trial_ids", "status", "score", "total_epochs", "drawn")


@dataclass(frozen=True)
class Population:
    """Networks whose scores can be compared.

    Args:
        frame: One row a network that has a score, best first: `trial_id` (of its last trial),
            `number`, `status`, `drawn`, `score` (at `epoch`), `total_epochs`, and one column a
            hyperparameter.
        epoch: The epoch of the scores; `None` where every network ended by itself and has its final
            score.
        problem: Why scores can't be compared; empty where they can.
    """

    frame: pd.DataFrame
    epoch: int | None
    problem: str = ""

    @property
    def drawn(self) -> pd.DataFrame:
        """The networks that were drawn independently of results."""
        return self.frame[self.frame["drawn"]]

    @property
    def after(self) -> str:
        """The epoch of the scores as a suffix: ` after epoch 3`; mostly empty."""
        return "" if self.epoch is None else f" after epoch {self.epoch}"

    @property
    def scores(self) -> _Array:
        """`(num_networks,)`, best first."""
        return self.frame["score"].to_numpy(dtype=float)


@computed_once
def networks(study: Study) -> pd.DataFrame:
    """Returns one row a network, in order of the start of its first trial.

    Columns: `trial_id` and `number` of its last trial, `trial_ids` (all, in order), `status`
    (`completed`: it ended by itself; `stopped`; `fewer`: it ended by itself, but was to have fewer
    epochs than others; `failed`; `running`), `score` (the best of its trials'), `total_epochs`,
    `drawn` (independently of results), and one a hyperparameter.
    """
    trials = study.trials.set_index("trial_id", drop=False)
    if not trials.index.is_unique:
        trials = trials[~trials.index.duplicated()]
    draws, most = independent(study), trials["planned_epochs"].max()
    records = trials.to_dict("index")
    rows = []
    for chain in _chains(trials):
        links = [records[trial_id] for trial_id in chain]
        known = [link["score"] for link in links if not math.isnan(link["score"])]
        best = min if study.direction == "min" else max
        rows.append(
            links[-1]
            | {
                "trial_ids": tuple(chain),
                "status": _status(study, draws, links[-1], most),
                "score": best(known, default=math.nan),
                "total_epochs": max(link["total_epochs"] for link in links),
                "drawn": chain[0] in draws.trial_ids,
            }
        )
    found = pd.DataFrame(rows, columns=[*_COLUMNS, *study.hyperparameters])
    for name in study.hyperparameters:  # a column keeps its kind, even if one is left
        found[name] = found[name].astype(trials[name].dtype)
    return found.astype({"drawn": bool, "score": float})


@computed_once
def population(study: Study) -> Population:
    """Returns the networks of a study with scores that can be compared, best first."""
    found = networks(study)
    if not found["status"].isin(SHORT).any():
        return Population(finished(study), None)
    scored = _after_common_epoch(study, found) or _of_first_rounds(study, found)
    if scored is None:
        problem = (
            "Some networks had fewer epochs than others, and their scores by epoch are not "
            "recorded: those that are left are no sample of what was tried."
        )
        return Population(finished(study)[:0], None, problem)
    frame, epoch = scored
    return Population(_best_first(study, frame[frame["score"].notna()]), epoch)


def cut_short(study: Study) -> str:
    """Counts the networks that had fewer epochs than others, as a clause; empty without any."""
    counts = networks(study)["status"].value_counts()
    stopped, fewer = (int(counts.get(status, 0)) for status in SHORT)
    were = "was" if stopped == 1 else "were"
    said = [f"{plural(stopped, 'network')} {were} stopped early"] if stopped else []
    said += [f"{plural(fewer, 'network')} had fewer epochs"] if fewer else []
    return " and ".join(said)


def finished(study: Study) -> pd.DataFrame:
    """Returns the networks that ended by themselves, best first: `networks` with a score."""
    found = networks(study)
    done = found[(found["status"] == "completed") & found["score"].notna()]
    return _best_first(study, done)


def place_of_best(study: Study) -> int:
    """Returns the place in `population` of the best network that ended by itself; else the first.

    Another network may be ahead of it after equal epochs.
    """
    done, known = finished(study), list(population(study).frame["trial_id"])
    best = str(done.iloc[0]["trial_id"]) if len(done) else None
    return known.index(best) if best in known else 0


def _best_first(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("score", ascending=study.direction == "min", kind="stable")


def _chains(trials: pd.DataFrame) -> list[list[str]]:
    """Returns the trials of each network, in order; of two that continue one, the later one."""
    parents = {t: o for t, o in trials["origin"].items() if o in trials.index and o != t}
    children = {parent: child for child, parent in parents.items()}
    chains = []
    for trial_id in trials.index:
        if trial_id in parents:
            continue
        chain = [str(trial_id)]
        while chain[-1] in children:
            chain.append(str(children[chain[-1]]))
        chains.append(chain)
    return chains


def _status(study: Study, draws: Draws, last: Mapping[Hashable, Any], most: float) -> str:
    if last["status"] == "completed" and last["planned_epochs"] < most:
        # Of Hyperband, it was not promoted; else the limit was raised since.
        is_earlier = draws.method != "hyperband" or study.handicaps.get(last["trial_id"]) == FEWER
        return "fewer" if is_earlier else "stopped"
    return "stopped" if last["status"] == "pruned" else str(last["status"])


def _after_common_epoch(study: Study, found: pd.DataFrame) -> tuple[pd.DataFrame, int] | None:
    """Scores networks at the last epoch that all of them reached, or at their end before it.

    A network that ended by itself before, as by patience, keeps the score it had by then.
    """
    curves = best_so_far(study, list(found["trial_ids"]))
    known = np.array([bool(np.isfinite(curve).any()) for curve in curves])
    stopped = found["status"].isin(SHORT).to_numpy()
    if not known[stopped].all():
        return None
    lengths = np.array([len(curve) for curve in curves])
    epoch = int(lengths[stopped].min())
    counts = known & ((lengths >= epoch) | (found["status"] == "completed").to_numpy())
    scores = [curve[min(epoch, len(curve)) - 1] if len(curve) else math.nan for curve in curves]
    return found.assign(score=scores)[counts], epoch


def best_so_far(study: Study, chains: Sequence[Sequence[str]]) -> list[_Array]:
    """Returns each network's best objective up to each epoch, `(num_epochs,)`.

    Its trials are joined; several executions are averaged. Empty where nothing is recorded.

    Args:
        study: The study.
        chains: The trials of each network, in order.
    """
    epochs = study.epochs
    if epochs.empty or study.objective not in epochs:
        return [np.array([]) for _ in chains]
    by_trial = dict(tuple(epochs.groupby("trial_id")))
    better = np.fmax if study.direction == "max" else np.fmin
    curves = []
    for chain in chains:
        parts = [by_trial[t] for t in chain if t in by_trial]
        if not parts:
            curves.append(np.array([]))
            continue
        # A restarted trial overwrites the epochs that it repeats.
        rows = pd.concat(parts).drop_duplicates(["execution", "epoch"], keep="last")
        table = rows.pivot(index="execution", columns="epoch", values=study.objective)
        # A damaged record may claim any number of epochs: at most those recorded are believed.
        last = min(int(rows["epoch"].max()), len(epochs))
        whole = table.reindex(columns=range(1, last + 1))
        best = better.accumulate(whole.to_numpy(dtype=float), axis=1)
        curves.append(best.mean(axis=0))
    return curves


def _of_first_rounds(study: Study, found: pd.DataFrame) -> tuple[pd.DataFrame, int] | None:
    """Scores networks by their first trial, where most began with equally many planned epochs.

    The round in which a network begins does not depend on its score. So networks that began in the
    same round are a sample of all.
    """
    firsts = study.trials[study.trials["origin"].isna() & study.trials["score"].notna()]
    firsts = firsts[firsts["status"] == "completed"].drop_duplicates("trial_id")
    counts = firsts["planned_epochs"].value_counts().sort_index()
    if counts.empty:
        return None
    epoch = counts.index[::-1][int(np.argmax(counts.to_numpy()[::-1]))]
    scores = firsts[firsts["planned_epochs"] == epoch].set_index("trial_id")["score"]
    own = found.assign(score=[scores.get(chain[0], math.nan) for chain in found["trial_ids"]])
    return own, int(epoch)
