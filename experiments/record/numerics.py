"""What affects a training's numbers besides its seed: differences between records."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from experiments.record.formatting import listed
from experiments.record.reading import as_dict, clean

Facts = Mapping[str, Any]
_WORDS = {
    "intra_op_threads": "threads of an operation (TF_NUM_INTRAOP_THREADS)",
    "inter_op_threads": "operations at once (TF_NUM_INTEROP_THREADS)",
    "onednn": "oneDNN (TF_ENABLE_ONEDNN_OPTS)",
    "cpu": "CPU",
    "devices": "devices",
    "precision": "dtype policy",
}


def differences(then: Facts, now: Facts) -> Iterator[str]:
    """Yields what differs between two trainings, one line each; what is not recorded does not."""
    for fact, words in _WORDS.items():
        if then.get(fact) not in (None, now.get(fact)):
            yield f"{words}: {_said(then[fact])} then, {_said(now.get(fact))} now"
    current = as_dict(now.get("versions"))
    for package, version in as_dict(then.get("versions")).items():
        if current.get(package) != version:
            yield f"{package}: {version} then, {current.get(package)} now"


def engine_difference(then: Facts, now: Facts) -> Iterator[str]:
    """Yields a line if kept features were computed by something else; else nothing.

    Args:
        then: The record of a training, or of a trial.
        now: Likewise.
    """
    was, is_now = (_engines(run) for run in (then, now))
    if was and is_now and was != is_now:
        yield f"features of frozen layers by: {was} then, {is_now} now"


def _engines(run: Facts) -> str:
    engines = as_dict(run.get("features")).get("engines")
    return _said(engines) if isinstance(engines, list) and engines else ""


def numerics_sentence(runs: Sequence[Facts]) -> str:
    """Names what differs among trainings beside their seeds; empty where nothing recorded does.

    Args:
        runs: Records of trainings. What one does not record does not tell it apart.
    """
    recorded = [as_dict(run.get("numerics")) for run in runs]
    found = [_among(words, (facts.get(fact) for facts in recorded))
             for fact, words in _WORDS.items()]  # fmt: skip
    versions = [as_dict(facts.get("versions")) for facts in recorded]
    for package in sorted({name for of_run in versions for name in of_run}):
        found.append(_among(clean(str(package), 40), (of.get(package) for of in versions)))
    differing = [line for line in found if line]
    if not differing:
        return ""
    return (
        f"The trainings were not all made under the same {listed(differing, 8)}: this affects "
        "results, as seeds do."
    )


def _among(words: str, values: Iterable[Any]) -> str:
    """`CPU (A, B)` where there are several values; empty where there is one."""
    said = sorted({_said(value) for value in values if value is not None})
    return f"{words.partition(' (')[0]} ({', '.join(said)})" if len(said) > 1 else ""


def _said(fact: object) -> str:
    if isinstance(fact, bool):
        return "on" if fact else "off"
    text = ", ".join(map(str, fact)) if isinstance(fact, list) else str(fact)
    return clean(text, 80)
