"""The search that a report advises next is one that begins."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from experiments.config import SearchConfig, load_toml
from experiments.methods.make import parse_method_settings
from experiments.record.formatting import NO_END
from experiments.studies import next_search
from experiments.studies.next_search import write_next
from experiments.studies.status import status_text
from reports import load_study
from reports.analysis.health import Finding, health
from reports.study.study import Study
from tests.reports.synthetic import Synthetic, write_study


def study_of(runs: Path, plan: Synthetic, config: dict[str, Any], **changes: Any) -> Study:
    """Writes a study, with options other than usual, and loads it."""
    folder = write_study(runs, plan)
    record = json.loads((folder / "study.json").read_text())
    record["config"] |= config
    (folder / "study.json").write_text(json.dumps(record | changes))
    return load_study(folder)


def next_of(study: Study) -> SearchConfig:
    """Returns the next search, which `experiments search --config` checks as this does."""
    return SearchConfig(**load_toml(write_next(study, study.folder / "next.toml")))


def advice(study: Study, title: str) -> str:
    return next(finding.advice for finding in health(study) if title in finding.title)


def test_a_race_that_the_deadline_left_out_stays_a_race(tmp_path: Path) -> None:
    sessions = [{"started": 1.0, "ended": 2.0, "ended_by": "deadline"}]
    options = {"race": True, "confirm": 6, "seeds": 5}
    study = study_of(tmp_path, Synthetic(8, num_seeds=0), options, sessions=sessions)
    config = next_of(study)
    assert (config.race, config.confirm, config.seeds) == (True, 6, 5)
    assert "`experiments resume synthetic`" in advice(study, "no finalist was tested")
    options |= {"max_trials": NO_END, "method": "tpe", "deadline": "30m"}
    timed = study_of(tmp_path / "t", Synthetic(8, num_seeds=0), options, sessions=sessions)
    again = advice(timed, "no finalist was tested")
    change = json.loads((timed.folder / "study.json").read_text())
    (timed.folder / "study.json").write_text(json.dumps(change | {"sessions": [{"started": 1.0}]}))
    assert " --deadline 30m`" in status_text(timed.folder)
    assert "`experiments resume synthetic --deadline 30m`" in again
    other = study_of(tmp_path, Synthetic(8, name="none", num_seeds=0), {"confirm": 0, "seeds": 1})
    assert "--confirm 1 --seeds 3" in advice(other, "no finalist was tested")


def test_what_is_held_has_no_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = {"dropout": "0.1:0.4", "filters_0": "16:64"}
    study = study_of(tmp_path, Synthetic(6), {"ranges": ranges})
    idle = Finding("good", "dropout made no difference", fix={"dropout": 0.2})
    monkeypatch.setattr(next_search, "health", lambda study: [idle])
    config = next_of(study)
    assert (config.fix, config.ranges) == ({"dropout": 0.2}, {"filters_0": "16:64"})


def test_f1_is_advised_where_it_would_be_reported(tmp_path: Path) -> None:
    rare = {"per_class": {"train": [950, 30, 20]}}
    own, title = {"space": "/code/model.py:build"}, "are of class"
    found = []
    for name, config, objective in (
        ("shipped", {}, "val_accuracy"), ("own", own, "val_accuracy"), ("has", own, "val_f1_score")
    ):  # fmt: skip
        plan = Synthetic(6, name=name, objective=(objective, "max"), num_seeds=0)
        study = study_of(tmp_path, plan, config)
        study.record["dataset"] |= rare
        study = replace(study, objective="val_accuracy")
        found.append([f.change for f in health(study) if title in f.title])
        if name == "own":
            assert "compile the model with" in advice(study, title)
    asked = {"objective": "val_f1_score"}
    assert found == [[asked], [{}], [asked]]


def test_a_grid_that_was_tried_to_its_end_has_no_more_trials(tmp_path: Path) -> None:
    grid = {"method": "grid", "max_trials": 99}
    study = study_of(tmp_path, Synthetic(4, num_failed=0), grid)
    seen = [f for f in health(study) if "all combinations of the grid were tried" in f.title]
    assert [f.title for f in seen] == [
        "all combinations of the grid were tried (4 networks): there are no others"
    ]
    assert not any("drawn at random" in f.title for f in health(study))
    assert not any("max_trials" in f.change for f in health(study))


def test_more_trials_are_advised_than_gave_as_few_scores(tmp_path: Path) -> None:
    study = study_of(tmp_path, Synthetic(40, num_failed=30, num_seeds=0), {})
    assert "run more: about 140 trials" in advice(study, "can't say whether more would find better")
    assert next_of(study).max_trials == 140  # 35 scores: five for each of seven hyperparameters


@pytest.mark.parametrize("recorded", [None, 4])
def test_training_to_the_end_stays_as_it_was(recorded: int | None, tmp_path: Path) -> None:
    assert next_of(study_of(tmp_path, Synthetic(6), {"patience": recorded})).patience == recorded


def test_a_method_that_is_picked_anew_gets_no_settings_of_the_old(tmp_path: Path) -> None:
    config = {"method": "qmc", "pruner": "asha", "method_settings": {"factor": "4"}}
    found = next_of(study_of(tmp_path, Synthetic(6), config))
    parse_method_settings(found)
    assert (found.method, found.pruner) == ("auto", "asha")
    kept = {"method": "tpe", "method_settings": {"startup_trials": "5"}}
    found = next_of(study_of(tmp_path, Synthetic(6, name="kept"), kept))
    assert (found.method, found.method_settings) == ("tpe", {"startup_trials": "5"})


def test_earlier_studies_are_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "base"
    secret = "postgresql://me:***@host/trials"
    sources = ["first", "projects/plain", "rows.csv", "sqlite:///old.db#s", "sqlite:////o.db"]
    given = {"method": "tpe", "sources": [*sources, secret], "dataset": "npz:rows.npz"}
    write_study(base / "runs", Synthetic(4, name="first"))
    (base / "projects/plain").mkdir(parents=True)
    study = study_of(base / "runs", Synthetic(6), given)
    monkeypatch.chdir(tmp_path)
    path = write_next(study, study.folder / "next.toml")
    config = SearchConfig(**load_toml(path))
    assert config.sources == (
        *(str(base / name) for name in ("runs/first", "projects/plain", "rows.csv")),
        f"sqlite:///{base}/old.db#s", "sqlite:////o.db", str(study.folder),
    )  # fmt: skip
    assert config.dataset == f"npz:{base}/rows.npz"
    said = [line for line in path.read_text().splitlines() if secret in line]
    assert len(said) == 1
    assert said[0].startswith("#")


def test_a_path_that_no_toml_file_holds_is_one_line(tmp_path: Path) -> None:
    study = study_of(tmp_path / os.fsdecode(b"caf\xe9"), Synthetic(6), {"method": "tpe"})
    answer = CliRunner().invoke(
        main, ["report", str(study.folder), "--next", str(tmp_path / "new" / "next.toml")]
    )
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1), answer.output
    assert "not UTF-8" in answer.stderr
    assert not (tmp_path / "new").exists()


def test_nothing_is_held_that_would_leave_earlier_trials_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path, Synthetic(6), {"method": "tpe"})
    idle = Finding("good", "dropout made no difference", "hold it", fix={"dropout": 0.2})
    monkeypatch.setattr(next_search, "health", lambda study: [idle])
    config = next_of(study)
    assert config.sources == (str(study.folder),)
    assert config.fix == {}
