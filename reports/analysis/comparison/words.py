"""The verdict of a comparison in words."""

from collections.abc import Sequence

from experiments.record.alike import SPACE_FILES, SPACE_SOURCE, differing, source_of
from experiments.record.formatting import between, is_same, listed, plural, score
from experiments.record.reading import as_dict
from reports.analysis.comparison.arms import Arm, without_classes
from reports.analysis.comparison.decide import Comparison, Pair
from reports.analysis.comparison.further import further_sentence
from reports.statistics.crossed import MOST_UNITS


def verdict(comparison: Comparison) -> str:
    """Says which network is ahead, or why this can't be decided and what would decide it.

    For several objectives, each network's values of the others are given, too. What stands for an
    arm without a whole trial is said, and which arm is left out.
    """
    further = further_sentence(comparison.arms, comparison.winner)
    notes = [arm.note for arm in comparison.arms]
    return " ".join(part for part in (_on_test(comparison), further, *notes) if part)


def _on_test(comparison: Comparison) -> str:
    missing = _missing(comparison)
    if missing:
        return missing
    arms, ranking = comparison.arms, comparison.ranking
    pair = comparison.pair(ranking[0], ranking[1])
    assert pair is not None
    ahead = _ahead(comparison, pair)
    data = f"test {comparison.noun}s"
    beside = "" if comparison.same_images else f" The {data} differ: take it with care."
    if comparison.winner is not None:
        name = arms[ranking[0]].network
        others = "" if len(ranking) == 2 else ", and ahead of the other arms too"
        it_is = ahead.replace(name, "it", 1)
        return f"{_capital(name)} wins: {it_is}{others}.{beside}"
    if len(comparison.groups) > 1:
        return f"{_grouped(comparison)} {_what_it_takes(comparison, pair)}{beside}"
    return (
        f"Not separable with {_counts([arms[i] for i in ranking])} and "
        f"{arms[ranking[0]].test_size:,} {data}: {ahead}. "
        f"{_what_it_takes(comparison, pair)}{beside}"
    )


def _missing(comparison: Comparison) -> str:
    if why := without_classes(comparison.arms):
        return f"No verdict: {why}."
    arms = [arm for arm in comparison.arms if not arm.is_left_out]
    if len(arms) < 2:
        return "No verdict: fewer than two arms have a trial with a score."
    untested = [arm.name for arm in arms if not arm.tests]
    if untested:
        plain = any(not arm.study.takes_options for arm in arms)
        advice = (
            "The search of a script keeps no test scores: run it with `experiments search`."
            if plain
            else "Add --seeds 5 to train the network of each arm on fresh seeds and test it."
        )
        return (
            f"No verdict: {listed(untested)} {'was' if len(untested) == 1 else 'were'} not tested. "
            f"{advice}"
        )
    few = [arm.name for arm in arms if len(arm.tests) < 2]
    if not few:
        return ""
    if any(arm.unit == "search" for arm in arms):
        return (
            f"No verdict: {listed(few)} {_one_each(few, 'search')}, which "
            "says nothing of what another search would find. Name two or more for each arm."
        )
    return (
        f"No verdict: {listed(few)} {_one_each(few, 'training')}, which "
        "says nothing of what another seed would give. Add --seeds 5."
    )


def _one_each(few: Sequence[str], what: str) -> str:
    return f"has one {what}" if len(few) == 1 else f"have one {what} each"


def _ahead(comparison: Comparison, pair: Pair) -> str:
    """`A is 0.0098 ahead of B on test (95 % interval ...)`, the better one first."""
    first, second = comparison.ranking[0], comparison.ranking[1]
    sign = 1 if pair.first == first else -1
    gap = pair.difference
    low, high = sorted((sign * gap.low, sign * gap.high))
    arms = comparison.arms
    names = arms[first].network, arms[second].network
    look = "" if comparison.look == 1 else f"at look {comparison.look} "
    if _same_network(arms[first], arms[second]):
        names = (f"{names[0]} (the same as {names[1]}, trained with other seeds)", names[1])
    told = f"p {pair.p:.3g}; {look}a winner needs less than {pair.level:.3g}"
    ends = between(low, high, signed=True)
    interval = f"95 % interval {ends}, of other {arms[0].units} and other {comparison.noun}s"
    if sign * gap.mean == 0:
        return f"{names[0]} and {names[1]} are level on test ({interval}; {told})"
    return (
        f"{names[0]} is {score(sign * gap.mean)} ahead of {names[1]} on test ({interval}; {told})"
    )


def _same_network(first: Arm, second: Arm) -> bool:
    """Whether two searches of one model found the same values of all hyperparameters.

    Models whose source was not recorded may be any.
    """
    names = list(first.study.hyperparameters)
    if not names or names != list(second.study.hyperparameters):
        return False
    models = [_model_of(arm) for arm in (first, second)]
    if not all(model[SPACE_SOURCE] for model in models) or differing(*models):
        return False
    rows = [a.study.trials[a.study.trials["trial_id"] == a.trial_id] for a in (first, second)]
    if first.searches or second.searches or any(len(row) != 1 for row in rows):
        return False
    return all(is_same(rows[0].iloc[0][n], rows[1].iloc[0][n]) for n in names)


def _model_of(arm: Arm) -> dict[str, object]:
    """Returns what is recorded of the model that an arm searched, besides its hyperparameters."""
    record = arm.study.record
    config = as_dict(record.get("config"))
    return {
        "space": str(config.get("space")),
        SPACE_SOURCE: source_of(record),
        SPACE_FILES: source_of(record, of=SPACE_FILES),
        "settings": as_dict(config.get("settings")),
    }


def _grouped(comparison: Comparison) -> str:
    """Says which arms can't be told apart, and which arm is behind which."""
    names = [arm.name for arm in comparison.arms]
    parts = [" and ".join(names[i] for i in group) for group in comparison.groups]
    alike = [
        f"{listed([names[i] for i in group], 8)} can't be told apart"
        for group in comparison.groups
        if len(group) > 1
    ]
    behind = [line for i in comparison.ranking if (line := _behind(comparison, i))]
    return f"In groups, best first: {'; '.join(parts)}. {_capital('; '.join([*alike, *behind]))}."


def _behind(comparison: Comparison, arm: int) -> str:
    names, place = [a.name for a in comparison.arms], comparison.ranking.index(arm)
    ahead = [
        names[other]
        for other in comparison.ranking[:place]
        if (pair := comparison.pair(arm, other)) is not None and pair.separable
    ]
    return f"{names[arm]} is behind {listed(ahead, 8)}" if ahead else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if text.startswith("the ") else text


def _counts(arms: Sequence[Arm]) -> str:
    counts = sorted({len(arm.tests) for arm in arms})
    unit = arms[0].unit
    if len(counts) == 1:
        return plural(counts[0], unit) if unit == "seed" else f"{counts[0]} searches an arm"
    return f"{counts[0]} to {counts[-1]} {'seeds' if unit == 'seed' else 'searches'}"


def _what_it_takes(comparison: Comparison, pair: Pair) -> str:
    """Says whether trainings or images are too few, and how many more are needed."""
    if pair.separable:  # the leading pair is; some further down are not
        hard = [p for p in comparison.pairs if not p.separable]
        pair = min(hard, key=lambda p: abs(p.difference.mean))
    arms = comparison.arms[pair.first], comparison.arms[pair.second]
    what = "seed" if arms[0].unit == "seed" else "search"
    unit = f"{what}{'es' if what == 'search' else 's'}"
    data = f"test {comparison.noun}s"
    have, size = min(len(arm.tests) for arm in arms), min(arm.test_size for arm in arms)
    if pair.needed is None:
        return (
            f"{unit.capitalize()} vary too much: not even {MOST_UNITS} {unit} an arm and any "
            f"number of {data} would show a difference of {comparison.difference:.4g}."
        )
    gap = f"a difference of {pair.needed.gap:.2g}"
    if pair.needed.images <= size:
        more = pair.needed.units - have
        return (
            f"{unit.capitalize()} are short: about {more} more an arm would show {gap} in four "
            "of five cases, if there is one."
        )
    return (
        f"{data.capitalize()} are short: with {size:,} not even {MOST_UNITS} {unit} will do. About "
        f"{_rounded(pair.needed.images):,} {data} and {pair.needed.units} {unit} an arm would "
        f"show {gap} in four of five cases, if there is one."
    )


def _rounded(count: int) -> int:
    """Rounds up to two digits: the number is no better known."""
    step = int(10 ** max(len(str(count)) - 2, 0))
    return -(-count // step) * step
