"""The search that a report advises next is one that begins."""

import json
from pathlib import Path
from typing import Any

from experiments.config import SearchConfig, load_toml
from experiments.studies.next_search import write_next
from reports import load_study
from reports.analysis.health import health
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
    other = study_of(tmp_path, Synthetic(8, name="none", num_seeds=0), {"confirm": 0, "seeds": 1})
    assert "--confirm 1 --seeds 3" in advice(other, "no finalist was tested")
