"""The verdict and other findings in words."""

import math

from reports.facts import NO, PARTLY, checklist
from reports.front import study_front
from reports.front_words import front_sentence
from reports.plain_advice import either_way
from reports.plain_objective import is_unusual
from reports.race import contenders, winner
from reports.reading import dig
from reports.study import Study
from reports.summary import Verdict
from reports.words import between, compact, number, plural, words


def verdict_sentence(study: Study, answer: Verdict) -> str:
    """The answer of the study in a sentence or two."""
    if answer.trial_id is None:
        return f"No trial was completed; {answer.num_failed} failed."
    if study.is_plain and is_unusual(study.objective, study.direction):
        return either_way(study)
    front = study_front(study)
    stopped = f" ({answer.num_pruned:,} stopped early)" if answer.num_pruned else ""
    text = (
        front_sentence(front)
        if front is not None
        else (
            f"Train the network of trial {answer.trial_id}, {_chosen(study, answer)} "
            f"{plural(answer.num_completed, 'completed trial')}{stopped} with a "
            f"{words(study.objective)} of {number(answer.score, 4)}"
        )
    )
    if not answer.tests:
        return text + "; it was not confirmed on test, so expect less of it."
    test = answer.tests[0][1]
    over = "over seeds" if test.kind == "seeds" else "over images, one training only"
    # Of several objectives the knee can be another one since: trials were added, or measured again.
    tested = answer.tests[0][0]
    which = "" if tested == answer.trial_id else f"trial {tested} was confirmed instead: "
    return (
        f"{text}; {which}trained again from scratch with {plural(test.count, 'seed')}, it reaches "
        f"a test "
        f"accuracy of {test.mean:.4f} (95 % interval {between(test.low, test.high)}, {over}, "
        f"{plural(answer.test_size or 0, 'test image')})."
    )


def _chosen(study: Study, answer: Verdict) -> str:
    if winner(study) != answer.trial_id:
        return "the best of"
    raced, finalists = len(contenders(study)), len(study.finalists)
    if raced:
        return f"ahead in a race of {raced} finalists of"
    return f"the best of {finalists} finalists when trained again, of"


def tiles(study: Study, answer: Verdict) -> list[tuple[str, str, str]]:
    """Returns `(label, figure, detail)` of what decides."""
    if answer.trial_id is None:
        return []
    parameters = answer.trainable_parameters + answer.frozen_parameters
    size = answer.model_bytes / 1e6
    if study.is_plain and is_unusual(study.objective, study.direction):
        return []
    if study.is_plain:  # it records neither parameters nor latency
        return [_test_tile(study, answer), *([_gain_tile(answer)] if answer.gain else [])]
    return [
        _test_tile(study, answer),
        _gain_tile(answer),
        (
            "parameters",
            compact(parameters),
            f"{compact(answer.trainable_parameters)} trainable"
            + (f"; file {size:.2g} MB" if math.isfinite(size) else ""),
        ),
        (
            "latency of one image",
            f"{answer.latency_ms:.1f} ms" if math.isfinite(answer.latency_ms) else "not measured",
            f"{compact(answer.flops)} FLOPs; on {_machine(study)}"
            if math.isfinite(answer.flops) else f"on {_machine(study)}",
        ),
    ]  # fmt: skip


def _test_tile(study: Study, answer: Verdict) -> tuple[str, str, str]:
    if not answer.tests:
        return (words(study.objective), number(answer.score, 4), "not confirmed on test")
    test = answer.tests[0][1]
    return (
        "test accuracy",
        f"{test.mean:.2%}",
        f"{test.low:.2%} to {test.high:.2%}, {plural(test.count, 'seed')}",
    )


def _gain_tile(answer: Verdict) -> tuple[str, str, str]:
    label = "gain over the space's default"
    if answer.gain is None:
        return label, "unknown", "the default was not trained: experiments compare STUDY --default"
    gap = answer.gain.estimate
    interval = (
        f"{gap.low:+.4f} to {gap.high:+.4f} on {answer.gain.split}"
        if gap.has_interval
        else f"on {answer.gain.split}, one training each: no interval"
    )
    return label, f"{gap.mean:+.4f}", interval


def _machine(study: Study) -> str:
    cores = dig(study.record, "environment", "cores")
    return f"{cores} cores" if isinstance(cores, int) else "an unknown machine"


def trials_sentence(study: Study, answer: Verdict) -> str:
    """Counts the trials."""
    parts = [f"{answer.num_completed:,} completed"]
    for count, what in (
        (answer.num_pruned, "stopped early"),
        (answer.num_failed, "failed"),
        (answer.num_running, "not ended"),
        (len(study.trials) - _told(answer), "without a score to rank by"),
    ):
        parts += [f"{count:,} {what}"] if count else []
    return f"{plural(len(study.trials), 'trial')}: {', '.join(parts)}."


def _told(answer: Verdict) -> int:
    counted = (answer.num_completed, answer.num_pruned, answer.num_failed, answer.num_running)
    return sum(counted)


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
