"""The model card: what those who use the exported model should know. One text, page and file."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

import numpy as np

from experiments.record.errors import UserError
from experiments.record.files import check_own
from experiments.record.formatting import (
    article,
    between,
    byte_size,
    compact,
    duration,
    listed,
    plural,
    text,
    without_folder,
    words,
)
from experiments.record.formatting import format_number as shown
from experiments.record.notes import GOOD
from experiments.record.predictions import Targets
from experiments.record.reading import as_dict, as_number, clean, dicts, dig
from reports.analysis.baseline import class_counts
from reports.analysis.facts import class_weights, method_words, split_sizes
from reports.analysis.finalist_words import finalists_note
from reports.analysis.health import OF_MODEL
from reports.analysis.label_scores import label_scores
from reports.analysis.numbers import numbers
from reports.analysis.task import has_images, noun_of, output_names, task_of
from reports.analysis.verdict import (
    COSTS,
    cost_of_exported,
    exported_finalist,
    exported_trial,
    model_path,
    verdict,
)
from reports.analysis.verdict_words import trials_sentence, verdict_sentence
from reports.figures import calibration
from reports.page.card_part import MOST_ROWS, Part, Table, few_rows, markdown
from reports.page.card_tests import errors_part, test_lines, test_scores
from reports.page.model_file import ModelFile
from reports.page.writing import write_text
from reports.study.study import Study, computed_once

_TITLE = "Model card"
_BEGINS = f"# {_TITLE}: "  # a file of it


@computed_once
def model_card(study: Study) -> tuple[Part, ...]:
    """Returns the parts of the card of `best_model.keras`; none where no model was exported."""
    return _parts(study, ModelFile(study.files.model, "keras"))


def _parts(study: Study, file: ModelFile) -> tuple[Part, ...]:
    if model_path(study) is None:
        return ()
    parts = (
        Part("The model", tuple(_model(study, file))),
        Part("Data", tuple(_data(study)), _classes(study)),
        Part("How it was chosen", tuple(_choice(study)), _values(study)),
        Part("Test score", tuple(test_lines(study)), test_scores(study)),
        errors_part(study),
        Part("Costs", tuple(_costs(study, file))),
        Part("Limits", tuple(_limits(study))),
        Part("Use", tuple(_use(study, file)), code=file.code, command=_command(study, file)),
    )
    return tuple(part for part in parts if part.lines or part.table)


def card_text(study: Study, file: ModelFile | None = None) -> str:
    """Returns the card of `file` as Markdown; empty where no model was exported.

    Args:
        study: The study.
        file: What its best model was exported to; without it, `best_model.keras`.
    """
    parts = model_card(study) if file is None else _parts(study, file)
    return markdown(f"{_TITLE}: {study.name}", parts) if parts else ""


def write_card(study: Study, path: Path, file: ModelFile | None = None) -> bool:
    """Writes the card that `card_text` returns, unless it is there already, or another file is.

    Returns:
        Whether it is there: there is none without an exported model.
    """
    said = card_text(study, file)
    if path.exists():
        there = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if not said or there == said or not there.startswith(_BEGINS):
            return bool(said) and there == said
    if said:
        write_text(path, said)
    return bool(said)


def keep_card(study: Study) -> None:
    """Writes the card into the study, where that is possible: the report has it anyway."""
    with suppress(OSError, UserError):
        check_own(study.folder)
        write_card(study, study.files.card)


def input_words(study: Study) -> str:
    """Says what the exported model takes."""
    shape = dig(study.record, "dataset", "shape")
    if has_images(study):
        return "raw images of 0..255"
    size = clean(" x ".join(map(str, shape)), 80) if isinstance(shape, list) else ""
    return f"raw rows of shape {size}, as the dataset has them" if size else "raw rows"


def layers_sentence(study: Study) -> str:
    """Says how many layers and parameters the exported model has."""
    outer = [row for row in dicts(as_dict(study.model).get("layers")) if not row.get("depth")]
    if study.model == {}:
        return "The layers of the exported model can't be read."
    if not outer:
        return "No model was exported."
    parameters = as_number(dig(study.model, "trainable_parameters"))
    return f"{plural(len(outer), 'layer')} with {compact(parameters)} trainable parameters."


def _model(study: Study, file: ModelFile) -> Iterator[str]:
    answer, noun = verdict(study), noun_of(study)
    finalist = exported_finalist(study)
    chosen = finalist.get("exported_run") if finalist else None
    is_known = finalist and isinstance(chosen, int) and 0 <= chosen < len(finalist["runs"])
    run = finalist["runs"][chosen] if finalist and is_known else {}
    trial = exported_trial(study) or answer.trial_id
    seed = (
        f", trained with seed {clean(str(run['seed']), 40)}" if run.get("seed") is not None else ""
    )
    yield f"`{file.name}`: the network of trial {trial} of study {study.name}{seed}."
    yield _task_sentence(study, noun)
    ended = as_number(study.record.get("ended"))
    if np.isfinite(ended) and 0 < ended < 1e11:
        yield f"Made on {datetime.fromtimestamp(ended, UTC):%Y-%m-%d}."


def _task_sentence(study: Study, noun: str) -> str:
    task = task_of(study)
    if task is Targets.VALUES:
        found = numbers(study)
        targets = list(found.names) if not isinstance(found, str) else []
        what = f"{len(targets)} numbers ({listed(targets)})" if len(targets) > 1 else "a number"
        return f"It predicts {what} of {article(noun)}."
    if task is Targets.LABELS:
        scores = label_scores(study)
        count = 0 if isinstance(scores, str) else len(scores.labels)
        labels = listed(output_names(study, count), MOST_ROWS)
        return (
            f"It says which of {count} labels {article(noun)} has; it may have several: {labels}."
        )
    classes = listed(study.class_names, MOST_ROWS)
    return f"It says which of {len(study.class_names)} classes {article(noun)} is of: {classes}."


def _data(study: Study) -> Iterator[str]:
    dataset, config = as_dict(study.record.get("dataset")), as_dict(study.record.get("config"))
    noun, sizes = noun_of(study), clean(split_sizes(dataset), 400)
    yield f"Dataset {_dataset(study)}: {sizes}."
    roles = as_dict(dataset.get("roles")).items()
    if roles:
        yield f"Splits: {'; '.join(f'{clean(s, 40)} is {clean(of, 200)}' for s, of in roles)}."
    if dataset.get("fingerprint"):
        yield (
            f"Splits were drawn with seed {clean(config.get('split_seed'), 40)}; their fingerprint "
            f"is {clean(dataset['fingerprint'], 40)}."
        )
    skipped = dataset.get("skipped")
    if isinstance(skipped, list) and skipped:
        yield f"{plural(len(skipped), noun)} could not be used, and were left out."
    notes = dataset.get("notes")
    yield from (clean(note, 400) + "." for note in (notes if isinstance(notes, list) else []))
    if weights := class_weights(study.record):
        yield f"Class weights {weights}."


def _dataset(study: Study) -> str:
    """Returns the dataset's name; of a path its last part, for the rest is of one machine."""
    kind, colon, place = str(dig(study.record, "dataset", "name") or "unknown").partition(":")
    return clean(kind + colon + without_folder(place.rstrip("/")), 200)


def _classes(study: Study) -> Table:
    splits = ("train", "validation", "test")
    counts = {split: class_counts(study, split) for split in splits}
    counts = {split: of for split, of in counts.items() if of}
    if task_of(study) is not Targets.CLASSES or not counts:
        return ()
    rows = [
        (name, *(shown(of[index]) for of in counts.values()))
        for index, name in enumerate(study.class_names)
    ]
    return (("class", *counts), *few_rows(rows))


def _choice(study: Study) -> Iterator[str]:
    answer, config = verdict(study), as_dict(study.record.get("config"))
    yield verdict_sentence(study, answer)
    yield trials_sentence(study, answer)
    if method := method_words(config):
        space = clean(without_folder(config.get("space")), 80)
        yield f"Search space {space}, method {clean(method, 80)}."
    if any(f["runs"] for f in study.finalists):
        yield finalists_note(study)


def _values(study: Study) -> Table:
    finalist = next((f["trial_id"] for f in study.finalists if f["runs"]), None)
    rows = study.trials[study.trials["trial_id"] == finalist]
    if rows.empty:
        return ()
    row = rows.iloc[0]
    used = [(words(n), text(row[n])) for n in study.hyperparameters if text(row[n])]
    return (("hyperparameter", "value"), *few_rows(used)) if used else ()


def _costs(study: Study, file: ModelFile) -> Iterator[str]:
    trainable, frozen, flops, latency = (cost_of_exported(study, name) for name in COSTS)
    if np.isfinite(trainable + frozen):
        of_them = shown(trainable) if frozen else "all"
        yield f"{shown(trainable + frozen)} parameters, {of_them} of them trainable."
    yield f"The file has {byte_size(file.size)}."
    noun, cores = noun_of(study), dig(study.record, "environment", "cores")
    if np.isfinite(flops):
        yield f"{compact(flops)} floating-point operations of one {noun}."
    if np.isfinite(latency):
        where = f" on {cores} cores" if isinstance(cores, int) else ""
        by = "" if file.kind == "keras" else " in Keras"
        yield f"{latency:.2f} ms of one {noun}{by}, alone{where} (median)."
    row = study.trials[study.trials["trial_id"] == exported_trial(study)]
    if len(row) and np.isfinite(as_number(row.iloc[0]["seconds"])):
        seconds = float(row.iloc[0]["seconds"])
        together = duration(float(study.trials["seconds"].sum()))
        yield f"Its trial took {duration(seconds)}, all trials together {together}."


def _limits(study: Study) -> Iterator[str]:
    noun = noun_of(study)
    yield (
        f"Its scores are of {noun}s like those of {_dataset(study)}: of others, such as from "
        "another source or a later time, nothing is known."
    )
    one = "patient, scene or video" if noun == "image" else "person, place or day"
    several = f"of several {noun}s of one {one} they are too short"
    yield f"Intervals take {noun}s as independent: {several}."
    if task_of(study) is Targets.CLASSES:
        yield f"It names one of its classes of any {noun}, also of one that is of no class."
        said = calibration.info(study)
        if not isinstance(said, str):
            yield calibration.finding(said)
    found = numbers(study)
    if not isinstance(found, str):
        low, high = found.targets.min(axis=0), found.targets.max(axis=0)
        named = [f"{name} " if len(found.names) > 1 else "" for name in found.names]
        ends = [f"{n}{between(a, b)}" for n, a, b in zip(named, low, high, strict=True)]
        yield f"It was tested on true values of {listed(ends, MOST_ROWS)}."
    seen = (finding for check in OF_MODEL for finding in check(study))
    yield from (f"{finding.level}: {finding.title}." for finding in seen if finding.level != GOOD)


def _use(study: Study, file: ModelFile) -> Iterator[str]:
    versions = as_dict(dig(study.record, "environment", "packages"))
    keras = versions.get("keras")
    made = f" (made with Keras {clean(keras, 40)})" if keras else ""
    needs = dig(study.model, "own_code")
    needs = needs if isinstance(needs, list) and file.kind == "keras" else []
    own = [clean(str(line), 200) for line in needs]
    also = f", and {listed(own)}" if own else " and nothing of this suite"
    yield f"It needs {file.needs}{made}{also}."
    shape = dig(study.record, "dataset", "shape")
    is_for_predict = _is_for_predict(study, file)
    if has_images(study) and isinstance(shape, list) and len(shape) == 3:
        colour = "grey" if shape[-1] == 1 else "RGB"
        brings = "; `experiments predict` brings any image to that, bilinearly"
        yield (
            f"It takes raw {colour} images of {shape[0]} x {shape[1]} pixels (height, width), "
            f"values 0 to 255{brings if is_for_predict else ''}."
        )
    else:
        yield f"It takes {input_words(study)}."
    if is_for_predict:
        yield "Its class names travel in its file; `experiments predict` reads them there."


def _is_for_predict(study: Study, file: ModelFile) -> bool:
    known = file.kind == "saved_model" or file.path.suffix.lower() == f".{file.kind}"
    return known and has_images(study) and task_of(study) is Targets.CLASSES


def _command(study: Study, file: ModelFile) -> str:
    return (
        f"experiments predict {quote(file.name)} IMAGE|FOLDER ..."
        if _is_for_predict(study, file)
        else ""
    )
