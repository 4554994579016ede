"""Writes the report: one self-contained HTML file, its figures and tables beside it."""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from experiments.record.errors import UserError
from experiments.record.formatting import without_folder
from experiments.record.reading import as_dict, clean, dig
from reports.analysis.facts import checklist, command_line, facts, method_words
from reports.analysis.finalist_words import finalists_note
from reports.analysis.health import health
from reports.analysis.health import sentence as health_sentence
from reports.analysis.metrics_table import metrics_of_best
from reports.analysis.race import is_of_front, race_sentence, race_table, was_chosen
from reports.analysis.verdict import cost_of_exported, model_path, study_argument, verdict
from reports.analysis.verdict_words import run_sentence, tiles, trials_sentence, verdict_sentence
from reports.figures import figures
from reports.figures._render import Picture, picture
from reports.page import tables
from reports.page.embedded import csv_link, csv_of, in_script, trials_csv, trials_json
from reports.page.model_card import input_words, keep_card, layers_sentence, model_card
from reports.page.sections import SECTIONS, can_have, sections_of
from reports.page.sparkline import sparklines
from reports.page.writing import assets, environment, write_text
from reports.study.load import damage_refused, load_study
from reports.study.study import Study


def write_report(
    study: Study | str | Path, runs_dir: str | Path = "runs", *, reload: float | None = None
) -> Path:
    """Writes `report/index.html` into the study folder.

    Args:
        study: A loaded study, its name, or its folder.
        runs_dir: Folder that holds studies.
        reload: Seconds after which the open page loads itself anew; never if `None`.

    Returns:
        The path of the page.

    Raises:
        UserError: There is no such study, it can't be read, or its folder can't be written.
    """
    if not isinstance(study, Study):
        study = load_study(study, runs_dir)
    folder = study.files.report
    check_writable(study.folder, folder)
    with damage_refused(study.folder, "reported"), threadpool_limits(1):
        return _write(study, folder, reload)


def _write(study: Study, folder: Path, reload: float | None) -> Path:
    drawn = [picture(study, name, module) for name, module in figures().items()]
    # Figures that a study did not ask for, or can't have, are left out.
    pictures = [p for p in drawn if p.finding and (p.svg or can_have(p.name, study))]
    csvs = {"trials": trials_csv(study), "epochs": csv_of(study.epochs)}
    shown = {
        "best": tables.best_trials(study),
        "finalists": tables.finalists(study),
        "race": race_table(study),
        "layers": tables.layers(study),
        **_of_task(study),
        **({"front": tables.front(study)} if len(study.objectives) > 1 else {}),
    }
    page = _render(study, pictures, csvs, shown, reload)
    keep_card(study)
    write_figures(folder, pictures)
    for name, csv in csvs.items():
        write_text(folder / f"{name}.csv", csv)
    for name, frame in shown.items():
        write_text(folder / f"{name}.csv", csv_of(frame))
    write_text(study.files.page, page)
    return study.files.page


def _of_task(study: Study) -> dict[str, pd.DataFrame]:
    """Returns the tables that only some studies have, those that are not empty."""
    found = {
        "worst": tables.worst_predictions(study),
        "targets": tables.target_fits(study),
        "labels": tables.label_table(study),
        "metrics": tables.metrics_table(study),
        "bases": tables.bases(study),
    }
    return {name: frame for name, frame in found.items() if len(frame)}


def check_writable(parent: Path, folder: Path) -> None:
    """Checks that `folder` is, or can be made, a folder of `parent`.

    Raises:
        UserError: It can't be written, or it is a link to elsewhere.
    """
    for path in (folder, folder / "figures"):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise UserError(
                f"{str(path)!r} is no folder of its own: remove it, the report goes there"
            )
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise UserError(
            f"study folder {str(parent)!r} can't be written ({error.strerror}): the report goes "
            "there; copy the study to a folder of yours"
        ) from None


def write_figures(folder: Path, pictures: list[Picture]) -> None:
    """Writes each figure that was drawn as an SVG file."""
    for drawn in pictures:
        if drawn.svg:
            write_text(folder / "figures" / f"{drawn.name}.svg", drawn.svg)


def _render(
    study: Study,
    pictures: list[Picture],
    csvs: dict[str, str],
    shown: dict[str, pd.DataFrame],
    reload: float | None,
) -> str:
    failures = tables.failures(study)
    by_section = {s.id: [p for p in pictures if _section_of(p) == s.id] for s in SECTIONS}
    filled = frozenset(name for name, drawn in by_section.items() if any(p.svg for p in drawn))
    card = model_card(study)
    filled |= {"model-card"} if card else set()
    layers, found = shown["layers"], health(study)
    return environment().get_template("report.html.jinja").render(
        **assets(reload),
        **_verdict(study),
        study=study,
        sections=sections_of(study, filled),
        pictures=by_section,
        findings=_findings(study, by_section),
        card=card,
        takes=input_words(study),
        metrics_of=metrics_of_best(study),
        health=found,
        next=study.takes_options and any(f.change or f.ranges or f.fix for f in found),
        tables={name: frame.to_dict("split") for name, frame in shown.items()},
        race=race_sentence(study),
        of_front=is_of_front(study),
        chosen=was_chosen(study),
        finalists_note=finalists_note(study),
        exported={
            name: cost_of_exported(study, name)
            for name in ("trainable_parameters", "frozen_parameters")
        },
        outer_layers=[row for row in layers.to_numpy().tolist() if row[-1] == 0],
        all=tables.all_trials(study).to_dict("split"),
        numbers=dict(zip(study.trials["trial_id"], study.trials["number"], strict=True)),
        statuses=sorted(study.trials["status"].unique()),
        sparks=sparklines(study),
        failures=failures,
        causes={f["trial"]: _cause(f) for f in failures},
        csv=csv_link(csvs["trials"]),
        epochs_csv=csv_link(csvs["epochs"]) if len(study.epochs) else "",
        trials_json=trials_json(study),
        marks=in_script({p.name: p.marks for p in pictures if p.marks}),
    )  # fmt: skip


def _cause(failure: dict[str, str]) -> str:
    return ": ".join(filter(None, (failure["cause"], failure["message"])))[:300]


def _section_of(drawn: Picture) -> str:
    section: str = figures()[drawn.name].SECTION
    return section


def _verdict(study: Study) -> dict[str, Any]:
    answer = verdict(study)
    space, dataset = dig(study.record, "config", "space"), dig(study.record, "dataset", "name")
    method = method_words(as_dict(study.record.get("config")))
    place = study_argument(study)
    again = answer.trial_id is not None and study.takes_options
    return {
        "verdict": answer,
        "what": clean(f"{without_folder(space)} on {dataset}, method {method}") if space else "",
        "tiles": tiles(study, answer),
        "model_path": model_path(study),
        "own_code": _own_code(study),
        "study_argument": place,
        "command": command_line(study),
        "again": f"experiments reproduce {place} {answer.trial_id}" if again else "",
        "facts": facts(study),
        "checklist": checklist(study),
    }


def _findings(study: Study, pictures: dict[str, list[Picture]]) -> dict[str, str]:
    """Returns one sentence for each section: its own, or the finding of its first drawn figure."""
    found = {
        "verdict": verdict_sentence(study, verdict(study)),
        "health": health_sentence(health(study)),
        "all-trials": trials_sentence(study, verdict(study)),
        "how-it-was-run": run_sentence(study),
        "model-card": f"The same text is in `{study.files.card.relative_to(study.folder)}`, for "
        "those who get the model without this report.",
    }
    if not pictures.get("what-it-sees"):
        found["what-it-sees"] = layers_sentence(study)
    for section, drawn in pictures.items():
        if section not in found:
            lead = next((p for p in drawn if p.svg), None)
            if lead is not None:  # the sentence stands above it
                drawn.sort(key=lambda p: p is not lead)
            elif drawn:  # the reason of the first is the section's
                lead = drawn.pop(0)
            found[section] = lead.finding if lead else "Nothing could be found of it."
    return found


def _own_code(study: Study) -> list[str]:
    """Returns recorded code that the exported file needs besides Keras to be loaded."""
    found = dig(study.model, "own_code")
    return [clean(str(line), 200) for line in found] if isinstance(found, list) else []
