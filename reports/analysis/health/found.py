"""Whether trials were enough, whether the best leads by chance, and what had no effect."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.record.alike import facts_of
from experiments.record.formatting import listed, plural, score, text, words
from experiments.record.notes import DOUBT, GOOD
from experiments.record.reading import as_number, dicts, dig
from reports.analysis.baseline import class_counts
from reports.analysis.draws import UNKNOWN, proposed
from reports.analysis.health.finding import LEVEL, Finding
from reports.analysis.health.recorded import option
from reports.analysis.networks import cut_short, networks, population
from reports.analysis.newest_alike import newest_alike
from reports.analysis.plain_advice import advised
from reports.analysis.shared import axes_in, drawn_scores, draws_of, effects_of, scores_of
from reports.analysis.task import noun_of
from reports.statistics.class_scores import METRICS
from reports.statistics.expected import expected_best
from reports.statistics.noise import Noise, pooled
from reports.statistics.space import Axis
from reports.statistics.trend import blocks, trend_p
from reports.statistics.unimportant import SHARE, explains_little
from reports.study.metrics import base_name, is_share_of_images
from reports.study.study import Study

_A_FEW = 3  # trials per hyperparameter; with fewer, a budget can't be judged
_LUCK = 0.02  # level; the noise of seeds is itself estimated from few trainings
_MANY = 200  # trials, beyond which more are not advised
_MOST_CONFIRMED = 5  # trials that are advised to be confirmed
_MOST_SEEN = 10  # best trials whose executions give the noise of seeds


def too_few(study: Study) -> Iterator[Finding]:
    """Says whether more trials can be expected to find a better network.

    The gain of all trials over half of them is compared with the gain among equal trials, which
    differ only by the noise of seeds and images. On equal trials, more are advised in at most 5 %.
    Where the noise of seeds is not known, the scores must also follow a hyperparameter (trends of
    ranks, corrected for all). Where networks differ ten times as much as the noise of a score, that
    is found in at least 80 % of searches of 15 to 150 trials. It can't be decided below three
    trials per hyperparameter, or where no noise is known.
    """
    if draws_of(study).is_whole_grid:
        tried = plural(len(networks(study)), "network")
        title = f"all combinations of the grid were tried ({tried}): there are no others"
        yield Finding(GOOD, title, "to find better, search wider ranges or more values")
        return
    if drawn_scores(study) is None:  # no sample of the space, so nothing is known of half of it
        yield from _unknown(study)
        return
    drawn = population(study).drawn
    scores, axes = drawn["score"].to_numpy(dtype=float), axes_in(study, drawn, study.searched)
    if len(scores) < 2 or not axes:
        return
    varied = plural(len(axes), "hyperparameter")
    if len(scores) < _A_FEW * len(axes):
        title = (
            f"{plural(len(scores), 'network')} drawn at random can't say whether more would find "
            f"better, of {varied}"
        )
        yield _more(study, title, len(scores), len(axes))
        return
    noise, order = noise_of(study), np.argsort(drawn["number"].to_numpy())
    gain = gain_of_half(scores, study.direction)
    answer = is_enough(gain, scores, axes, order, noise)
    if answer:
        title = f"{len(scores):,} trials are enough: half of them would have found as good a one"
        yield Finding(GOOD, f"{title}, but for luck")
    elif answer is False and len(scores) < _MANY:
        worse = "lower" if study.direction == "max" else "higher"
        title = (
            f"{plural(len(scores), 'completed trial')} are few for {varied}: the best of half of "
            f"them would be expected to be {score(gain)} {worse}, more than luck makes of it"
        )
        yield _more(study, title, len(scores), len(axes))


def _unknown(study: Study) -> Iterator[Finding]:
    """Says why the benefit of more trials is unknown."""
    tried, varied, method = len(networks(study)), len(study.searched), draws_of(study).method
    if not varied or not tried:
        return
    at_random = "" if method == UNKNOWN else ", not drawn at random"
    why = cut_short(study) or f"{proposed('trials', method)}{at_random}"
    if tried < _A_FEW * varied:
        title = f"{plural(tried, 'network')} are few for {plural(varied, 'hyperparameter')}"
        yield _more(study, title, tried, varied)
        return
    yield Finding(GOOD, f"whether more trials would find better can't be said, because {why}")


def gain_of_half(scores: npt.NDArray[np.float64], direction: str) -> float:
    """Returns the expected gain of the best of all trials over the best of half of them."""
    at = np.array([max(len(scores) // 2, 1), len(scores)])
    half, whole = expected_best(scores, at, direction, replacement=True)
    return abs(float(whole - half))


def is_enough(
    gain: float,
    scores: npt.NDArray[np.float64],
    axes: Sequence[Axis],
    order: npt.NDArray[np.int64],
    noise: Noise,
) -> bool | None:
    """Whether a gain is within chance (`True`), beyond it (`False`), or undecided (`None`).

    Args:
        gain: Of all trials over half of them.
        scores: `(num_trials,)`.
        axes: Hyperparameters of these trials.
        order: `(num_trials,)`, positions of the trials in order of their start.
        noise: Of one trial's score.
    """
    if gain == 0:
        return True
    if not math.isfinite(noise.deviation):
        return None
    if gain <= noise.gain(len(scores), _LUCK):
        return True
    return False if math.isfinite(noise.seeds) or follows(axes, scores, order) else None


def _more(study: Study, title: str, num_scores: int, num_axes: int) -> Finding:
    trials = as_number(dig(study.record, "config", "max_trials"))
    ended, failed = int((study.trials["status"] != "running").sum()), len(study.failed)
    wanted = math.ceil(max(2 * num_scores, 5 * num_axes) * ended / max(ended - failed, 1))
    change = {} if math.isnan(trials) else {"max_trials": wanted, "seed": study.seed + 1}
    plain = " (max_trials; Hyperband: hyperband_iterations)"
    advice = f"run more: about {wanted} trials{advised(study, '', plain)}"
    return Finding(DOUBT, title, advice, change)


def follows(
    axes: Sequence[Axis], scores: npt.NDArray[np.float64], order: npt.NDArray[np.int64]
) -> bool:
    """Whether scores follow any number, up or down, or any choice; true for 5 % of noise."""
    p_values = []
    for axis in axes:
        used = order[axis.active[order]]
        columns = [axis.unit[used]]
        if axis.labels:
            columns = [(axis.values[used] == v).astype(float) for v in np.unique(axis.values[used])]
        for column in columns:
            p_value = trend_p(column, scores[used], blocks(len(used)))
            p_values.append(2 * min(p_value, 1 - p_value) * len(columns) * len(axes))
    return any(p <= LEVEL for p in p_values)


def noise_of(study: Study) -> Noise:
    """Returns the noise of the study's scores: from images, and from seeds.

    The noise of seeds is estimated from executions of the best trials, and from finalists and
    confirmed trials that were trained more than once: of each, the newest that were trained alike.
    """
    best = study.completed
    executions = [list(s) for s in best["scores"].head(_MOST_SEEN)]
    repeated = [
        [as_number(run.get("score")) for run in _alike(study, trial)]
        for trial in (*study.finalists, *study.confirmed)
    ]
    seeds, degrees = pooled([*executions, *repeated])
    a_trial = as_number(dig(study.record, "config", "executions_per_trial"))
    repeats = a_trial if a_trial >= 1 else 1.0  # a score is the mean over them
    return Noise(_of_images(study), seeds / math.sqrt(repeats), degrees)


def _alike(study: Study, trial: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the newest runs of a record that were trained alike."""
    runs = (*trial["runs"], *dicts(trial.get("ranking")))
    return newest_alike(study, [(facts_of(trial, run), run) for run in runs])


def _of_images(study: Study) -> float:
    """Returns the standard error of the best score where it is a share of images.

    F1, precision and recall are taken as shares of the images of the rarest class. That of others,
    such as AUC, is not known.
    """
    images = math.nan
    if is_share_of_images(study.objective):
        images = as_number(dig(study.record, "dataset", "counts", "validation"))
    elif base_name(study.objective) in METRICS:
        images = min((n for n in class_counts(study, "validation") if n), default=math.nan)
    scores = scores_of(study)
    best = float(scores[0]) if len(scores) else math.nan
    if not 0 <= best <= 1 or not images >= 1:
        return math.nan
    return max(math.sqrt(best * (1 - best) / images), 1 / images)


def close(study: Study) -> Iterator[Finding]:
    """Counts the trials that can't be told apart from the best by one training each.

    These are within a distance of the best that two equal networks exceed in 5 % of cases, by the
    noise of seeds and images. Two equal best trials are counted as equal in 95 %. Where the best is
    truly ahead of all others by 5.1 standard deviations of that noise, others are counted in at
    most 5 %. Where the noise of seeds is not known, the smaller noise of images alone is used, and
    the finding says so.
    """
    scores, noise = scores_of(study), noise_of(study)
    # With several objectives, the others tell apart those that are equal in the first.
    if len(scores) < 3 or len(study.objectives) > 1 or not math.isfinite(noise.deviation):
        return
    distance = noise.apart()
    equal = num_close(scores, distance)
    wanted, seeds = min(equal, _MOST_CONFIRMED), max(3, option(study, "seeds"))
    confirmed = len([f for f in study.finalists if f["runs"] or f.get("ranking")])
    if wanted > max(confirmed, 1):
        rows = f"{noun_of(study)}s"
        luck = f"seeds and {rows}" if math.isfinite(noise.images) else "seeds"
        luck = luck if math.isfinite(noise.seeds) else f"{rows} alone, that of seeds not counted"
        yield Finding(
            DOUBT,
            f"{equal} trials are as good as the best but for luck (within {score(distance)}, by "
            f"the luck of {luck}): which of them is first says little",
            advised(
                study,
                f"confirm more of them over seeds: --confirm {wanted} --seeds {seeds}",
                f"train the best {wanted} again with three seeds each, and compare the means",
            ),
            {"confirm": max(wanted, option(study, "confirm")), "seeds": seeds},
        )


def num_close(scores: npt.NDArray[np.float64], distance: float) -> int:
    """Returns how many scores, best first, are within a distance of the best, the best included."""
    return int((np.abs(scores - scores[0]) <= distance).sum())


def unimportant(study: Study) -> Iterator[Finding]:
    """Names hyperparameters that alone explain next to nothing, by networks drawn at random.

    None that is shown to matter, however little: a report would say both. A test of equivalence:
    one that explains a tenth of the differences in score is named in at most 5 %. One without
    effect is named in at least 80 %. This takes 95 trials for a choice of two, 115 for a number;
    with fewer, none is named. Where networks are compared before their end, it is not advised to
    hold any.
    """
    if study.completed.empty:
        return
    best, found = study.ranked.iloc[0], population(study)
    drawn = found.drawn
    scores = drawn["score"].to_numpy(dtype=float)
    axes = axes_in(study, drawn, study.searched) if len(drawn) else []
    shown = {effect.name for effect in effects_of(study) if effect.is_real} if axes else set()
    idle = [a.name for a in axes if a.name not in shown and explains_little(a, scores)]
    held = {n: best[n] for n in idle if text(best[n])}
    if not held:
        return
    title = (
        f"{plural(len(held), 'hyperparameter')} made next to no difference{found.after} (alone "
        f"each explains less than {SHARE:.0%}): {listed([words(n) for n in held])}"
    )
    if found.epoch is not None:  # what matters in the end may not matter yet
        yield Finding(GOOD, title)
        return
    yield Finding(
        GOOD,
        title,
        "hold them at the best trial's values, so that trials go to what matters",
        fix={study.hyperparameters[n]["name"]: v for n, v in held.items()},
    )
