"""The verdict and other findings in words."""

import math

from experiments.record.formatting import (
    article,
    between,
    byte_size,
    compact,
    percent,
    plural,
    words,
)
from experiments.record.formatting import score as shown
from experiments.record.plain_objective import is_unusual
from experiments.record.reading import dig
from reports.analysis.baseline import no_better
from reports.analysis.facts import NO, PARTLY, checklist
from reports.analysis.front_words import front_sentence
from reports.analysis.numbers import no_better_than_constant
from reports.analysis.plain_advice import either_way
from reports.analysis.race import contenders, replacement, winner
from reports.analysis.study_front import study_front
from reports.analysis.task import can_compare, noun_of
from reports.analysis.verdict import Verdict, study_argument, why_no_gain, winner_on_test
from reports.statistics.estimates import Estimate
from reports.study.metrics import is_proportion, name_on_test
from reports.study.study import Study


def verdict_sentence(study: Study, answer: Verdict) -> str:
    """The answer of the study in a sentence or two."""
    if answer.trial_id is None:
        yet = " yet" if study.running else ""
        return f"No trial was completed{yet}; {answer.num_failed} failed."
    if study.is_plain and is_unusual(study.objective, study.direction):
        return either_way(study)
    front = study_front(study)
    asides = (
        (answer.num_pruned, "stopped early"),
        (_num_ahead(study, answer), "of fewer epochs scored better"),
    )
    aside = ", ".join(f"{count:,} {what}" for count, what in asides if count)
    aside = f" ({aside})" if aside else ""
    text = (
        front_sentence(front)
        if front is not None
        else (
            f"Train the network of trial {answer.trial_id}, {_chosen(study, answer)} "
            f"{plural(answer.num_completed, 'completed trial')}{aside} with "
            f"{article(words(study.objective))} of {shown(answer.score)}"
        )
    )
    if not answer.tests:
        return (
            f"{text}; it was not confirmed on test, so expect a {_worse(study)} one "
            f"there{_baseline(study)}."
        )
    tested, test = answer.tests[0]
    which = _instead(study, answer, tested)
    again = f"trained again from scratch with {plural(test.count, 'seed')}"
    return (
        f"{text}; {which}{again}, it reaches {article(f'test {words(answer.test_metric)}')} of "
        f"{shown(test.mean)} ({covered(test, answer.test_size, noun_of(study))}){_baseline(study)}."
    )


def _num_ahead(study: Study, answer: Verdict) -> int:
    """Counts trials that had fewer epochs than the recommended one and a better score."""
    scores = study.completed.set_index("trial_id")["score"]
    own = study.handicaps.get(str(answer.trial_id), 0)
    fewer = scores[scores.index.isin([t for t, last in study.handicaps.items() if last > own])]
    gains = (fewer - answer.score) * (1 if study.direction == "max" else -1)
    return int((gains > 0).sum())


def _instead(study: Study, answer: Verdict, tested: str) -> str:
    """Says that another trial was confirmed than the search recommends; empty if none was.

    Trials were added, or measured again; or a race of several objectives replaced the knee.
    """
    front = study_front(study)
    named = answer.trial_id
    if front is not None and front.recommended is not None:
        named = str(front.trials.iloc[front.recommended]["trial_id"])
    if named is None or tested == named:
        return ""
    if front is None or winner(study) != tested:
        return f"trial {tested} was confirmed instead: "
    if replacement(study, named) == tested:
        did = f"in the race of the finalists trial {tested} did better than it at no more cost"
    else:  # its training failed
        did = f"the race of the finalists left trial {tested} instead"
    return f"{did}: train that one; "


def _baseline(study: Study) -> str:
    constant = no_better_than_constant(study)
    if constant is not None:
        claim = "not shown to be better" if constant.is_less else "no better"
        unit = f", {constant.unit}" if constant.unit else ""
        return (
            f"; {claim} than always saying the median by mean absolute error "
            f"({shown(constant.error)} against {shown(constant.constant)}{unit})"
        )
    found = no_better(study)
    if found is None:
        return ""
    claim = "not shown to be better" if found.is_above else "no better"
    # The verdict's metric, such as a loss, may differ from the baseline's.
    which = "" if found.metric == name_on_test(study.objective) else f"{words(found.metric)} "
    return f"; {claim} than {found.rule} ({which}{shown(found.value)})"


def covered(test: Estimate, test_size: int | None, noun: str) -> str:
    """Returns the interval of a test score and what it covers, in words shared by all texts."""
    images = plural(test_size or 0, f"test {noun}")
    if not test.has_interval:
        return f"{test.why_none} on {images}: no interval"
    return f"95 % interval {between(test.low, test.high)} {test.scope(noun)}; from {images}"


def winner_on_test_words(study: Study) -> str:
    """Says how the winner did on test, in the objective's metric if that was evaluated."""
    found = winner_on_test(study)
    if found is None:
        return ""
    metric, test = found
    count = f" of {plural(test.count, 'training')}" if test.count > 1 else ""
    interval = f" (95 % interval {between(test.low, test.high)})" if test.has_interval else ""
    return f", test {words(metric)} {shown(test.mean)}{count}{interval}"


def _worse(study: Study) -> str:
    return "lower" if study.direction == "max" else "higher"


def _chosen(study: Study, answer: Verdict) -> str:
    if winner(study) != answer.trial_id:
        return "the best of"
    raced, finalists = len(contenders(study)), len(study.finalists)
    if raced:
        return f"ahead in a race of {raced} finalists of"
    return f"the best of {finalists} finalists when trained again, of"


def tiles(study: Study, answer: Verdict) -> list[tuple[str, str, str]]:
    """Returns `(label, figure, detail)` of each deciding number."""
    if answer.trial_id is None:
        return []
    parameters = answer.trainable_parameters + answer.frozen_parameters
    size = answer.model_bytes
    if study.is_plain and is_unusual(study.objective, study.direction):
        return []
    if study.is_plain:  # it records neither parameters nor latency
        return [_test_tile(study, answer), *([_gain_tile(study, answer)] if answer.gain else [])]
    tiles = [
        _test_tile(study, answer),
        _gain_tile(study, answer),
        (
            "parameters",
            compact(parameters),
            f"{compact(answer.trainable_parameters)} trainable"
            + (f"; file {byte_size(size)}" if math.isfinite(size) else ""),
        ),
        (
            f"latency of one {noun_of(study)}",
            f"{answer.latency_ms:.1f} ms" if math.isfinite(answer.latency_ms) else "not measured",
            f"{compact(answer.flops)} FLOPs; on {_machine(study)}"
            if math.isfinite(answer.flops) else f"on {_machine(study)}",
        ),
    ]  # fmt: skip
    return tiles if study.takes_options else tiles[:-1]  # a script's model can't be measured


def _test_tile(study: Study, answer: Verdict) -> tuple[str, str, str]:
    """Returns the tile of the test score: a proportion as per cent, any other as a score."""
    if not answer.tests:
        return (words(study.objective), shown(answer.score), "not confirmed on test")
    (tested, test), metric = answer.tests[0], answer.test_metric
    other = "" if tested == answer.trial_id else f", of trial {tested}"
    seeds = plural(test.count, "seed") + other
    is_share = is_proportion(metric) and 0 <= test.mean <= 1
    low, mean, high = (percent(value, 2) for value in (test.low, test.mean, test.high))
    interval = f"{low} to {high}" if is_share else between(test.low, test.high)
    return (
        f"test {words(metric)}",
        mean if is_share else shown(test.mean),
        f"{interval}, {seeds}" if test.has_interval else f"{seeds}: no interval",
    )


def _gain_tile(study: Study, answer: Verdict) -> tuple[str, str, str]:
    label = "gain over the space's default"
    if answer.gain is None:
        how = f": experiments compare {study_argument(study)} --default --seeds 5"
        why = why_no_gain(study, answer.trial_id)
        return label, "unknown", f"{why}{how if can_compare(study) else ''}"
    gap, split = answer.gain.estimate, answer.gain.split
    # On test the two are compared by accuracy, whatever ranked the trials.
    metric = "accuracy" if split == "test" else name_on_test(study.objective)
    on = f"{words(metric)} on {split}"
    if not gap.has_interval:
        gained = shown(gap.mean, signed=True)
        if study.direction == "min" and split != "test":  # a gain is a fall there
            gained = f"{shown(abs(gap.mean))} {'lower' if gap.mean >= 0 else 'higher'}"
        each = "one training" if gap.count == 1 else f"{plural(gap.count, 'training')} each"
        is_picked = split == "validation" and answer.num_completed > 1 and gap.mean > 0
        is_first = is_picked and answer.trial_id == study.ranked.iloc[0]["trial_id"]
        chosen = "the best of" if is_first else "chosen from"
        picked = f", {chosen} {answer.num_completed:,} trials, so too large" if is_picked else ""
        return label, gained, f"{on}{picked}; no interval from {each}"
    interval = between(gap.low, gap.high, signed=True)
    return label, shown(gap.mean, signed=True), f"{interval} {on}"


def _machine(study: Study) -> str:
    cores = dig(study.record, "environment", "cores")
    return f"{cores} cores" if isinstance(cores, int) else "an unknown machine"


def trials_sentence(study: Study, answer: Verdict) -> str:
    """Counts the trials."""
    counts = {
        "completed": answer.num_completed,
        "stopped early": answer.num_pruned,
        "failed": answer.num_failed,
        "not ended": answer.num_running,
    }
    counts["without a score to rank by"] = len(study.trials) - sum(counts.values())
    parts = [f"{n:,} {what}" for what, n in counts.items() if n or what == "completed"]
    return f"{plural(len(study.trials), 'trial')}: {', '.join(parts)}."


def run_sentence(study: Study) -> str:
    """Says how much of the reproducibility checklist is answered."""
    answers = [answer for _, answer, _ in checklist(study)]
    if not study.record:
        return "Plain Keras Tuner does not record how it was run."
    missing = answers.count(NO) + answers.count(PARTLY)
    return (
        f"{len(answers) - missing} of {len(answers)} items of the reproducibility checklist are "
        "answered in full."
    )
