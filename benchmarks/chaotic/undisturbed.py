"""What has to be the same for a disturbed search and an undisturbed one."""

import json
from pathlib import Path

from benchmarks.chaotic.real_searches import Place

_CARD = "model_card.md"


def differences(place: Place, calm: Place) -> list[str]:
    """Returns the differences of an ended search from an undisturbed one, in words."""
    said = place.log.read_text(encoding="utf-8")
    compared = {
        "the table": place.table() != calm.table(),
        "the finalists": place.finalists() != calm.finalists(),
        "the files of the study": _of_study(place) != _of_study(calm),
        "the report": place.reported and _of_report(place) != _of_report(calm),
        "the cache": of_cache(place.cache) != of_cache(calm.cache),
        "a checksum of the cache": not _is_whole(place.cache),
        "what was said (a traceback)": "Traceback (most" in said,
    }
    return [name for name, differs in compared.items() if differs]


def _of_study(place: Place) -> list[str]:
    """Returns the names of a study's files, but for those that its report is written with."""
    found = (path.relative_to(place.study) for path in place.study.rglob("*") if path.is_file())
    return sorted(str(p) for p in found if p.parts[0] != "report" and p.name != _CARD)


def _of_report(place: Place) -> list[str]:
    """Returns the names of a report's files, the model card among them."""
    written = [*(place.study / "report").rglob("*"), *place.study.rglob(_CARD)]
    return sorted(str(path.relative_to(place.study)) for path in written)


def of_cache(folder: Path) -> dict[str, bytes]:
    """Returns the files of a cache by name; of what holds times the name alone."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.suffix == ".npy" else b""
        for path in folder.rglob("*")
        if not path.is_dir()
    }


def _is_whole(cache: Path) -> bool:
    """Whether every kept array has its checksum."""
    from experiments.training.checksums import is_intact

    for info in (cache / "features").glob("*/info.json"):
        for name, expected in json.loads(info.read_text("utf-8"))["checksums"].items():
            if not is_intact(info.with_name(f"{name}.npy"), expected):
                return False
    return True
