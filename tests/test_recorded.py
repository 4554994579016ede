"""Studies that an earlier version recorded: they load, report and resume as they did.

`recorded/` holds three studies of the version before the modules were moved into rooms, each as an
archive, and that version's output for them. To record the output anew after an intended change:
`RECORD=1 make test ARGS=tests/test_recorded.py`.
"""

import json
import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from experiments.cli.main import main

RECORDED = Path(__file__).parent / "recorded"
STUDIES = ("random-four", "tpe-asha", "brackets")
RECORD = bool(os.environ.get("RECORD"))
# What depends on where and when it is read.
VARYING = re.compile(r"\d+ (?:second|minute|hour|day|month)s? ago|\d+(?:\.\d+)? ?[kMG]?B\b")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded studies, unpacked."""
    folder = tmp_path_factory.mktemp("recorded") / "runs"
    for name in STUDIES:
        with tarfile.open(RECORDED / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return folder


def agrees(name: str, text: str) -> None:
    """Compares a text with the recorded one."""
    path = RECORDED / name
    if RECORD:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def said(runs: Path, *arguments: str) -> str:
    """Runs a command on the recorded studies."""
    command = [*arguments, "--runs-dir", str(runs)]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return VARYING.sub("...", result.output.replace(str(runs), "runs"))


@pytest.mark.parametrize("study", STUDIES)
def test_it_says_the_same(study: str, runs: Path) -> None:
    texts = [said(runs, "show", study), said(runs, "show", study, "0001")]
    agrees(f"{study}.show.txt", "\n".join(texts))


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("study", STUDIES)
def test_it_reports_the_same(study: str, runs: Path) -> None:
    said(runs, "report", study)
    folder = runs / study / "report"
    tables = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.csv")}
    agrees(f"{study}.tables.json", json.dumps(tables, indent=0, sort_keys=True))
    page = (folder / "index.html").read_text(encoding="utf-8")
    without = re.sub(r"<(svg|style|script)\b.*?</\1>", "", page, flags=re.DOTALL)
    text = re.sub(r"\s*\n\s*", "\n", re.sub(r"<[^>]*>", "\n", without))
    agrees(f"{study}.page.txt", VARYING.sub("...", text.replace(str(runs), "runs")))


@pytest.mark.usefixtures("without_drawing")
def test_comparisons_say_the_same(runs: Path) -> None:
    texts = [said(runs, "list"), said(runs, "compare", *STUDIES)]
    agrees("comparison.txt", "\n".join(texts))


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_it_goes_on_with_the_same_proposals(runs: Path, tmp_path: Path, cache_dir: Path) -> None:
    """Another machine may train to other scores, so the last trial alone is of this session."""
    shutil.copytree(runs / "tpe-asha", tmp_path / "tpe-asha")
    command = ["resume", "tpe-asha", "--max-trials", "7", "--runs-dir", str(tmp_path)]
    options = ["--cache-dir", str(cache_dir), "--workers", "0", "--confirm", "0"]
    result = CliRunner().invoke(main, [*command, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    values = {
        number: json.loads((tmp_path / f"tpe-asha/trial_{number}/result.json").read_text())
        for number in ("0006",)
    }
    proposed = {number: record["hyperparameters"] for number, record in values.items()}
    agrees("proposals.json", json.dumps(proposed, indent=1, sort_keys=True))
