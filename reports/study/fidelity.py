"""Which completed trials had fewer epochs than others, and so are ranked after them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from experiments.record.fidelity import epochs_asked, is_of_early_round
from experiments.record.reading import as_dict, as_number, dig
from experiments.record.trial_index import Trial, status_of

FEWER, EARLY = 1, 2  # was to have fewer epochs than others; is of an early round of Hyperband


def handicaps(trials: Iterable[Trial], record: Mapping[str, Any]) -> dict[str, int]:
    """Returns `FEWER` or `EARLY` of the completed trials that are ranked after the others.

    Finalists are chosen so, too. Where all are of early rounds, none comes after another. A script
    and plain Keras Tuner have no finalists: they take their best models by score alone.

    Args:
        trials: All there are.
        record: The content of `study.json`; empty for a project of plain Keras Tuner.
    """
    if not record or "script" in record:
        return {}
    done = [t for t in trials if status_of(t) == "completed" and not math.isnan(score_of(t))]
    early = {
        t[0] for t in done if is_of_early_round(as_dict(dig(t[1], "hyperparameters", "values")))
    }
    whole = {t[0]: epochs_asked(t[2]) for t in done if t[0] not in early}
    if not whole:
        return {}
    most = max(epochs or 0 for epochs in whole.values())
    fewer = [trial_id for trial_id, epochs in whole.items() if (epochs or most) < most]
    return dict.fromkeys(early, EARLY) | dict.fromkeys(fewer, FEWER)


def score_of(trial: Trial) -> float:
    """Returns the score that is recorded of a trial; NaN without one."""
    _, state, result = trial
    return as_number(result.get("score", state.get("score")))
