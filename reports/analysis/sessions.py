"""When a study's sessions ran: a pause between two of them is no time of the search."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.record.reading import as_number, dicts
from reports.study.study import Study

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Session:
    """One run of a search, in seconds since 1970; what is not known is NaN.

    Args:
        start: When it began.
        search_end: When its trials had ended.
        end: When all of it had ended; of one that was killed, the end of its last trial.
        was_killed: Whether it recorded no end.
    """

    start: float
    search_end: float
    end: float
    was_killed: bool


def sessions_of(study: Study) -> list[Session]:
    """Returns the sessions that the study records, in order."""
    recorded = dicts(study.record.get("sessions"))
    starts = [as_number(session.get("started")) for session in recorded]
    found = []
    for session, start, following in zip(recorded, starts, [*starts, math.inf][1:], strict=True):
        stated = as_number(session.get("ended", session.get("stopped")))
        was_killed = math.isnan(stated)
        end = _last_end(study, start, following) if was_killed else stated
        search_end = as_number(session.get("search_ended", end))
        found.append(Session(start, search_end, end, was_killed))
    return found


def _last_end(study: Study, start: float, following: float) -> float:
    """Returns when the last trial of a session ended; NaN where none did."""
    ended = study.trials["ended"]
    return float(ended[(ended > start) & (ended < following)].max())


def seconds_searched(study: Study, times: _Array) -> _Array:
    """Returns the seconds from the start of the first trial to points in time, `(n,)`.

    Pauses between sessions do not count; but after a session that was killed, for nobody knows how
    long it ran.
    """
    first = float(study.trials["started"].min())
    sessions = sessions_of(study)
    unknown = any(s.was_killed for s in sessions[:-1]) or any(math.isnan(s.start) for s in sessions)
    if len(sessions) < 2 or unknown:
        return times - first
    passed = np.zeros(len(times))
    for start, end in ((s.start, s.search_end) for s in sessions if s.search_end > s.start):
        passed += np.clip(times, start, end) - np.clip(first, start, end)
    return passed
