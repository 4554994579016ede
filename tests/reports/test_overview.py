"""The page of all studies, and pages that are kept current while a search runs."""

import json
import os
import platform
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from reports import load_study
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import verdict_sentence
from reports.page import following, overview
from reports.page.report import write_report
from reports.page.written import read_page
from tests.reports.synthetic import Synthetic, write_study
from tests.reports.test_browser import CHROMIUM, HOSTILE, browse

UNENDED = {"sessions": [{"started": 1.0}]}
browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")


def begin(folder: Path) -> None:
    """Makes a study look as if this process were searching it."""
    me = psutil.Process()
    holder = {"host": platform.node(), "pid": os.getpid(), "created": me.create_time()}
    (folder / ".holder.json").write_text(json.dumps(holder))


def written(runs: Path) -> str:
    result = CliRunner().invoke(main, ["report", "--all", "--runs-dir", str(runs)])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(runs / "index.html")
    return (runs / "index.html").read_text()


def names(page: str) -> list[str]:
    return re.findall(r'<th scope="row">.*?<bdi>(.*?)</bdi>', page.partition("</table>")[0])


def row(page: str, name: str) -> str:
    return next(r for r in page.split("<tr data-status=")[1:] if f"<bdi>{name}</bdi>" in r)


def test_running_studies_come_first_then_the_newest(tmp_path: Path) -> None:
    write_study(tmp_path, Synthetic(4, name="old", changes={"started": 1.5e9}))
    write_study(tmp_path, Synthetic(4, name="new", changes={"started": 1.7e9}))
    write_study(tmp_path, Synthetic(4, name="stopped", changes={"started": 1.6e9} | UNENDED))
    runs = write_study(tmp_path, Synthetic(4, name="runs", changes={"started": 1.4e9} | UNENDED))
    begin(runs)
    (runs / "status.json").write_text('{"phase": "searching"}')
    page = written(tmp_path)
    assert names(page) == ["runs", "new", "stopped", "old"]
    assert "4 studies; 1 is running, 1 was interrupted." in page
    assert "searching" in row(page, "runs")
    assert "experiments resume stopped" in row(page, "stopped")
    assert "none yet" in row(page, "old")
    assert "data-reload" not in page.partition("<body>")[0].partition("<style>")[0]


@pytest.mark.usefixtures("without_drawing")
def test_a_row_says_what_the_report_says_and_links_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study(tmp_path, Synthetic(6, name="one & 100%#1"))
    study = load_study(folder)
    sentence = verdict_sentence(study, verdict(study))
    worked_out = written(tmp_path)
    assert sentence in worked_out
    write_report(folder)
    monkeypatch.setattr(overview, "load_study", lambda folder: pytest.fail("it was loaded"))
    found = row(written(tmp_path), "one &amp; 100%#1")
    assert sentence in found
    assert 'href="one%20%26%20100%25%231/report/index.html"' in found
    best = study.completed.iloc[0]
    assert f"trial <bdi>{best['trial_id']}</bdi>" in found
    for part in ("mnist_cnn", "digits", "5 completed, 1 failed", f"{best['score']:.4f}"):
        assert part in found


@pytest.mark.usefixtures("without_drawing")
def test_a_report_older_than_its_record_is_not_believed(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(6, name="grown"))
    write_report(folder)
    os.utime(folder / "report" / "index.html", (1.5e9, 1.5e9))
    (folder / "artifacts" / "finalists.json").write_text("[]")
    found = row(written(tmp_path), "grown")
    assert "older than its record" in found
    assert "it was not confirmed on test" in found


def test_a_damaged_folder_is_one_row_with_the_reason(tmp_path: Path) -> None:
    write_study(tmp_path, Synthetic(4, name="sound"))
    contents = ["{", "[]", '{"space": 3, "objective": 1}', '{"format": 99}', "", "{}"]
    for index, content in enumerate(contents):
        (tmp_path / f"bad{index}").mkdir()
        (tmp_path / f"bad{index}" / "study.json").write_text(content)
    (tmp_path / "nothing").mkdir()
    hurt = write_study(tmp_path, Synthetic(4, name="hurt"))
    (hurt / "report").mkdir()
    (hurt / "report" / "index.html").write_bytes(b'\xff<section id="verdict" <p class=')
    (hurt / "artifacts" / "finalists.json").write_text('[{"runs": [{"test": {"accuracy": 1}}]}]')
    page = written(tmp_path)
    assert names(page)[:2] == ["hurt", "sound"]
    assert page.count('<tr data-status="unreadable">') == 7
    assert page.count("It can&#39;t be read: ") == 7
    assert "Train the network of trial" in row(page, "hurt")
    assert "is no study: it has neither study.json nor trials" in row(page, "nothing")


@pytest.mark.usefixtures("without_drawing")
def test_comparisons_are_linked_with_their_verdict(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_study(tmp_path, Synthetic(6, name=name, seed=len(name)))
    runs = ["--runs-dir", str(tmp_path)]
    compare = ["compare", "first", "second", *runs]
    assert CliRunner().invoke(main, compare).exit_code == 0
    assert CliRunner().invoke(main, [*compare, "--out", str(tmp_path / "pages")]).exit_code == 0
    page = written(tmp_path)
    assert names(page) == ["first", "second"]
    for place in ("first/report", "pages"):
        assert f'<a href="{place}/compare-first-vs-second.html"><bdi>first against second' in page
    assert "2 comparisons on test data" in page
    assert page.partition('id="comparisons"')[2].count("Not separable") == 2
    said = tmp_path / "pages" / "compare-first-vs-second.html"
    code = "Run <code>experiments &lt;search&gt;</code>: Not separable"
    said.write_text(said.read_text().replace("Not separable", code))
    assert read_page(said).verdict.startswith("Run `experiments <search>`: Not separable")
    assert code in written(tmp_path)


def test_an_empty_folder_says_how_to_begin_and_none_is_refused(tmp_path: Path) -> None:
    assert "experiments search mnist_cnn" in written(tmp_path)
    result = CliRunner().invoke(main, ["report", "--all", "--runs-dir", str(tmp_path / "no")])
    assert (result.exit_code, "no runs folder" in result.stderr) == (2, True)
    (tmp_path / "index.html").unlink()
    (tmp_path / "index.html").mkdir()
    result = CliRunner().invoke(main, ["report", "--all", "--runs-dir", str(tmp_path)])
    assert (result.exit_code, "can't be written" in result.stderr) == (2, True)


@browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_sound_and_names_stay_text(width: int, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for index, text in enumerate(HOSTILE):
        plan = Synthetic(4, name=text.replace("/", "")[:80])
        folder = write_study(runs, plan)
        record = json.loads((folder / "study.json").read_text())
        record["config"] |= {"space": text, "dataset": text}
        record["objective"]["name"] = text
        record["started"] = 1.7e9 + index
        (folder / "study.json").write_text(json.dumps(record))
    written(runs)
    answer = browse(runs / "index.html", width, tmp_path)
    assert answer["fetched"] == []
    assert answer["overflow"] <= 0
    assert answer["injected"] == 0
    assert answer["sections"] == ["studies"]
    assert "broken into" not in answer["title"]
    assert HOSTILE[0] in answer["text"]
    assert "1 to 4 of 4 studies" in answer["text"]


def pauses(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], Any]) -> None:
    """Does a step at each pause of the watching, instead of waiting."""
    left: Iterator[Callable[[], Any]] = iter(steps)
    monkeypatch.setattr(following.time, "sleep", lambda seconds: next(left)())


def reloads(page: Path) -> bool:
    return "data-reload" in page.read_text()[:200]


def watch(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["report", *arguments])


@pytest.mark.usefixtures("without_drawing")
def test_watch_writes_anew_what_has_changed_and_ends_with_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study(tmp_path, Synthetic(4, name="live", changes=UNENDED))
    page, seen = folder / "report" / "index.html", []
    begin(folder)

    def look(step: Callable[[], Any]) -> Callable[[], Any]:
        def at_pause() -> None:
            seen.append((page.stat().st_ino, reloads(page)))
            step()

        return at_pause

    another = folder / "trial_0" / "result.json"
    change = json.loads(another.read_text()) | {"score": 0.9876}
    pauses(
        monkeypatch,
        look(lambda: None),
        look(lambda: another.write_text(json.dumps(change))),
        look(lambda: (folder / ".holder.json").unlink()),
    )
    result = watch("live", "--watch", "2", "--runs-dir", str(tmp_path))
    assert (result.exit_code, result.stdout.strip()) == (0, str(page))
    assert result.stderr == ""
    assert [shown for _, shown in seen] == [True] * 3
    assert seen[0][0] == seen[1][0] != seen[2][0]
    assert not reloads(page)
    assert "0.9876" in page.read_text()


@pytest.mark.usefixtures("without_drawing")
def test_an_interrupted_watch_leaves_a_page_that_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study(tmp_path, Synthetic(3, name="live", num_seeds=0, changes=UNENDED))
    begin(folder)
    page, shown = folder / "report" / "index.html", []

    def interrupt() -> None:
        shown.append(page.read_text())
        raise KeyboardInterrupt

    pauses(monkeypatch, interrupt)
    result = watch("live", "--watch", "--runs-dir", str(tmp_path))
    assert (result.exit_code, result.stderr.split()) == (130, ["interrupted"])
    assert ' data-reload="10.0"' in shown[0]
    assert page.read_text() == shown[0].replace(' data-reload="10.0"', "")


@pytest.mark.usefixtures("without_drawing")
def test_watch_of_what_does_not_run_writes_once_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study(tmp_path, Synthetic(3, name="done"))
    pauses(monkeypatch)
    for page, arguments in ((folder / "report", ["done"]), (tmp_path, ["--all"])):
        result = watch(*arguments, "--watch", "--runs-dir", str(tmp_path))
        assert (result.exit_code, result.stdout.strip()) == (0, str(page / "index.html"))
        assert "written once" in result.stderr
        assert not reloads(page / "index.html")


@pytest.mark.usefixtures("without_drawing")
def test_the_page_of_all_studies_is_kept_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study(tmp_path, Synthetic(3, name="live", changes=UNENDED))
    begin(folder)
    page, shown = tmp_path / "index.html", []

    def end() -> None:
        shown.append(page.read_text())
        (folder / ".holder.json").unlink()

    pauses(monkeypatch, lambda: write_study(tmp_path, Synthetic(3, name="more")), end)
    assert watch("--all", "--watch", "--runs-dir", str(tmp_path)).exit_code == 0
    assert names(shown[0]) == ["live", "more"]
    assert "data-reload" in shown[0][:200]
    assert "1 was interrupted" in page.read_text()
    assert not reloads(page)


@pytest.mark.usefixtures("without_drawing")
def test_a_study_that_vanishes_ends_its_watch_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study(tmp_path, Synthetic(3, name="live", changes=UNENDED))
    begin(folder)
    pauses(monkeypatch, lambda: folder.rename(tmp_path / "elsewhere"))
    result = watch("live", "--watch", "--runs-dir", str(tmp_path))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "which study?"),
        (["first", "--all"], "leave out STUDY"),
        (["--all", "--png"], "leave out STUDY"),
        (["first", "--watch", "--png"], "without it"),
        (["first", "--watch", "0"], "expected seconds from 1 on; got '0'"),
        (["--watch", "first"], "name the study before it"),
        (["first", "--watch"], "first"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = watch(*arguments, "--runs-dir", str(tmp_path))
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


_TELL = """
addEventListener("load", () => setTimeout(() => {
  const search = document.getElementById("search");
  const marked = document.querySelectorAll("tr.marked").length;
  const theme = document.documentElement.dataset.theme;
  document.body.dataset.answer = [Math.round(scrollY), search.value, theme, marked].join();
}, 300));
"""
_USE = """
addEventListener("load", () => {
  document.querySelector(".theme").click();
  const search = document.getElementById("search");
  search.value = "completed";
  search.dispatchEvent(new Event("input"));
  document.querySelector("button[data-trial]").click();
  scrollTo({ top: 700, behavior: "instant" });
});
"""


@browser
@pytest.mark.usefixtures("without_drawing")
def test_the_open_page_follows_and_stays_where_its_reader_was(tmp_path: Path) -> None:
    import subprocess

    folder = write_study(tmp_path, Synthetic(8, name="live"))
    served, asked = [], []
    for reload, script in ((0.5, _USE), (None, _TELL)):
        text = write_report(folder, reload=reload).read_text()
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
        served.append(text.replace("</body>\n</html>", f"<script>{script}</script></body></html>"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(served[min(len(asked), 1)].encode())
            asked.append(self.path)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        dom = subprocess.run(
            [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--window-size=1280,900",
             f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=6000", "--dump-dom",
             f"http://127.0.0.1:{server.server_port}/page"],
            capture_output=True, text=True, timeout=120, check=False,
        ).stdout  # fmt: skip
        server.shutdown()
    assert asked == ["/page"] * 2  # the last page does not load itself anew
    found = re.search(r'data-answer="([^"]*)"', dom)
    assert found, dom[-2000:]
    assert found[1].split(",") == ["700", "completed", "dark", "1"]
