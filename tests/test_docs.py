"""The pages are correct: commands run, options exist, files work, links have targets."""

import re
import runpy
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from tests.stand_ins import undrawn, unwritten

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
# Pages whose commands are run, in this order, one after another in one folder.
RUN = [ROOT / "README.md", *(DOCS / "start" / f"{name}.md" for name in (
    "first-search", "my-model", "reading-the-report", "comparing"))]  # fmt: skip

_MOST_LINES = 130  # of README
# What makes a command of the pages small enough for a test; the last of two options counts.
_SMALL = "--dataset digits --sample 100 --max-trials 1 --max-epochs 1 --seeds 1 --workers 0"
_APPENDED = {"search": _SMALL, "resume": "--max-trials 3 --workers 0"}
_FEWER_SEEDS = ["--seeds", "2"]  # of `compare`, where the page gives the option
_DRAWN = "experiments report first"  # the one command whose figures are drawn
_UNTESTED = ("mnist", "mine", "second")  # no page reads tests of these studies
_OF_A_SHELL = {"source .venv/bin/activate"}


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> Iterator[tuple[str, str]]:
    """Yields language and text of each fenced block of a page."""
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL):
        if found[1] in languages:
            yield found[1], found[2]


def lines(block: str) -> list[str]:
    """Returns the commands of a block: continued lines joined, prompts and comments left out."""
    joined = re.sub(r"\\\n\s*", "", block).splitlines()
    commands = [re.sub(r"^\$ |\s+#.*$", "", line).strip() for line in joined]
    return [command for command in commands if command]


def test_readme_is_short() -> None:
    assert len(text(ROOT / "README.md").splitlines()) <= _MOST_LINES


@cache
def generated() -> dict[str, str]:
    pages: dict[str, str] = runpy.run_path(str(DOCS / "generate.py"))["pages"]()
    return pages


@pytest.mark.parametrize("page", ["command-line.md", "configuration.md", "spaces.md", "modules.md"])
def test_generated_reference_is_what_the_code_says(page: str) -> None:
    assert text(DOCS / "reference" / page) == generated()[page], "run `python docs/generate.py`"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    plain = re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", plain):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name(page)}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{name(page)}: {target}"


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_options_exist(page: Path) -> None:
    for _, block in blocks(page, "console", "sh"):
        for line in lines(block):
            words = shlex.split(line)
            if words[0] == "experiments":
                check_options(words[1:])
            elif words[0] == "make":
                assert re.search(rf"^{words[1]}:", text(ROOT / "Makefile"), re.MULTILINE), line


def check_options(words: list[str]) -> None:
    command = main.commands[words[0]]
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    assert {word for word in words if re.match("--[a-z]", word)} <= known, words


@pytest.mark.slow
def test_what_readme_and_the_start_pages_run_works(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(DOCS / "start/files/my_model.py", tmp_path)
    done: set[str] = set()
    for page in RUN:
        for language, block in blocks(page, "sh", "python"):
            todo = [block] if language == "python" else lines(block)
            for each in todo:
                with monkeypatch.context() as patched:
                    if not each.startswith("experiments report"):  # written once, by that command
                        patched.setattr("reports.write_report", unwritten)
                    if each != _DRAWN:
                        patched.setattr("reports.figures._render.render", undrawn)
                    if each not in done:
                        (run_python if language == "python" else run)(each, cache_dir)
                done.add(each)
    assert len(done) > 10
    assert _DRAWN in done


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("page", sorted((DOCS / "guides").glob("*.md")), ids=name)
def test_python_of_the_guides_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _, block in blocks(page, "python"):
        fewer = block.replace("max_trials=4", "max_trials=2")
        exec(compile(fewer, name(page), "exec"), {"__name__": "__main__"})


def run_python(block: str, cache_dir: Path) -> None:
    small = f"max_trials=1, max_epochs=1, confirm=0, sample=100, cache_dir={str(cache_dir)!r}"
    exec(compile(block.replace("max_trials=8", small), "a block of the pages", "exec"), {})


def run(line: str, cache_dir: Path) -> None:
    words = shlex.split(line)
    if words[0] == "make":
        subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    elif words[0] == "experiments":
        said = invoke([*words[1:], *appended(words[1:], cache_dir)], line)
        assert "No verdict" not in said, f"{line}\n{said}"
    else:
        assert line in _OF_A_SHELL, f"{line}: no test knows how to run it"


def appended(words: list[str], cache_dir: Path) -> list[str]:
    command = words[0]
    takes = {option for p in main.commands[command].params for option in p.opts}
    places = ["--cache-dir", str(cache_dir)] if "--cache-dir" in takes else []
    fewer = _FEWER_SEEDS if command == "compare" and "--seeds" in words else []
    untested = command == "search" and words[words.index("--name") + 1] in _UNTESTED
    tests = ["--confirm", "0"] if untested else []
    return [*_APPENDED.get(command, "").split(), *fewer, *tests, *places]


def invoke(arguments: list[str], line: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, f"{line}\n{result.output}"
    return result.output


def test_what_the_pages_add_to_the_suite_works(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, without_report: None
) -> None:
    add_examples(monkeypatch)
    from experiments import SearchConfig, run_search
    from reports import load_study

    config = SearchConfig(
        "perceptron", dataset="shapes", method="local", max_trials=4, max_epochs=1, confirm=0,
        name="added", runs_dir=str(tmp_path), cache_dir=str(cache_dir),
    )  # fmt: skip
    study = load_study(run_search(config).folder)
    assert list(study.trials["status"]) == ["completed"] * 4
    assert study.record["dataset"]["class_names"] == ["square", "disc"]
    changed = study.trials[list(study.hyperparameters)]
    assert len(changed.drop_duplicates()) == 4
    drawn(study)


def drawn(study: Any) -> None:
    """Draws the figure that was added."""
    from matplotlib.figure import Figure

    from reports.figures import figures

    added = figures()["seconds"]
    info = added.info(study)
    assert "Half of the trials" in added.finding(info)
    ax = Figure().subplots()
    assert added.draw(info, ax) is ax
    assert sum(bar.get_height() for bar in ax.patches) == 4


def add_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Follows the pages: one file each, and the rows of dataset and method."""
    import experiments.catalogue
    import experiments.data.sources
    import experiments.methods.oracles
    import experiments.record.methods
    import reports.figures
    import search_spaces

    places = {
        "space": search_spaces,
        "dataset": experiments.data.sources,
        "method": experiments.methods.oracles,
        "figure": reports.figures,
    }
    for kind, package in places.items():
        monkeypatch.setattr(
            package, "__path__", [*package.__path__, str(DOCS / "extend/files" / kind)]
        )
    shapes = experiments.catalogue.Dataset("squares and discs", "shapes")
    monkeypatch.setitem(experiments.catalogue.DATASETS, "shapes", shapes)
    local = experiments.record.methods.Method("changes the best trial", "local:LocalOracle")
    monkeypatch.setitem(experiments.record.methods.METHODS, "local", local)
