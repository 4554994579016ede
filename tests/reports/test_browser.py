"""The page in a real browser, as wide as a desktop and as narrow as a phone, light and dark."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reports import load_study, write_report
from reports.analysis.comparison.arms import arms_of_studies
from reports.analysis.comparison.decide import compare
from reports.page.comparison import write_comparison
from reports.page.sections import SECTIONS
from tests.reports.synthetic import Synthetic, write_study

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")

HOSTILE = [
    "<script>document.title='broken into'</script>",
    "\"'><img src=x onerror=\"document.title='broken into'\">",
    "\u05e9\u05dc\u05d5\u05dd \u202eolleh " + "very long " * 20,
    "$\\frac{1}{0}$ & {{ 7 * 7 }} </svg></script>",
]

# Runs in the page itself; its policy admits no other script, so that the measuring goes without.
_MEASURE = """
addEventListener("load", async () => {
  const seen = s => getComputedStyle(document.querySelector(s));
  const answer = {
    title: document.title,
    svgs: document.querySelectorAll(".plot svg").length,
    images: [...document.querySelectorAll(".plot image")].length,
    fetched: performance.getEntriesByType("resource").map(e => e.name)
      .filter(name => !name.startsWith("data:")),
    overflow: document.documentElement.scrollWidth - innerWidth,
    sections: [...document.querySelectorAll("section")].map(s => s.id),
    nameless: [...document.querySelectorAll(".plot")].filter(p => !p.ariaLabel).length,
    paper: seen("section").backgroundColor, ink: seen("body").color,
    injected: document.querySelectorAll("img, h1 script, td script").length,
    text: document.body.innerText,
    drawn: [...document.querySelectorAll(".plot text")].map(t => t.textContent).join("|"),
  };
  const table = document.querySelector("#trials-table");
  if (table) {
    const heading = table.tHead.rows[0].cells[3].querySelector("button");
    heading.click();
    answer.up = [...table.tBodies[0].rows].map(r => r.cells[3].innerText);
    heading.click();
    answer.down = [...table.tBodies[0].rows].map(r => r.cells[3].innerText);
    const status = document.getElementById("status");
    status.value = "failed";
    status.dispatchEvent(new Event("input"));
    answer.failed = [...table.tBodies[0].rows].map(r => r.dataset.status);
    dispatchEvent(new Event("beforeprint"));
    answer.printedFailed = table.tBodies[0].rows.length;
    status.value = "";
    status.dispatchEvent(new Event("input"));
    dispatchEvent(new Event("beforeprint"));
    answer.printed = table.tBodies[0].rows.length;
    dispatchEvent(new Event("afterprint"));
    answer.shown = table.tBodies[0].rows.length;
    table.querySelector("tr[data-status=completed] button[data-trial]").click();
    answer.marked = document.querySelectorAll(".mark circle, .mark polyline").length;
    answer.picked = document.querySelector(".picked").innerText;
    dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    answer.cleared = document.querySelectorAll(".mark").length;
  }
  parent.document.body.dataset[name] = JSON.stringify(answer);
});
"""


def browse(page: Path, width: int, tmp_path: Path, *options: str) -> Any:
    (answer,) = browse_all(page, [width], tmp_path, *options)
    return answer


def browse_all(page: Path, widths: list[int], tmp_path: Path, *options: str) -> list[Any]:
    """Returns what a page is in frames of several widths."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    measured = text.replace("</body>\n</html>", f"<script>{_MEASURE}</script></body></html>")
    assert measured != text
    frames = "".join(
        f'<iframe name="w{width}" width="{width}" height="900" srcdoc="{html.escape(measured)}">'
        "</iframe>"
        for width in widths
    )
    wrapper = tmp_path / "frames.html"
    wrapper.write_text(
        f"<!DOCTYPE html><meta charset='utf-8'><body>{frames}</body>", encoding="utf-8"
    )
    answer = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", *options,
            "--dump-dom", wrapper.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    found = [re.search(rf'data-w{width}="([^"]*)"', answer.stdout) for width in widths]
    assert all(found), answer.stderr[-2000:]
    return [json.loads(html.unescape(each[1])) for each in found if each]


def sound(answer: Any, num_figures: int = 3) -> None:
    assert answer["fetched"] == []
    assert answer["overflow"] <= 0
    assert answer["nameless"] == 0
    assert answer["svgs"] >= num_figures


@pytest.fixture(scope="module")
def page(study_folder: Path) -> Path:
    return study_folder / "report/index.html"  # as the search wrote it


def test_page_is_sound(page: Path, tmp_path: Path) -> None:
    for answer in browse_all(page, [1280, 390], tmp_path):
        sound(answer)
        assert answer["images"] >= 8
        assert answer["sections"] == [section.id for section in SECTIONS]


def test_table_sorts_filters_and_marks_and_names_stay_text(tmp_path: Path) -> None:
    plan = Synthetic(400, name="big", num_failed=20, num_classes=4, class_names=HOSTILE)
    plan.num_epochs = 8
    plan.with_model = True  # its card names the classes
    plan.changes = {"name": HOSTILE[0]}
    big = write_report(write_study(tmp_path, plan))
    assert big.stat().st_size < 8e6
    answer = browse(big, 1280, tmp_path)
    sound(answer)
    assert answer["injected"] == 0
    assert "broken into" not in answer["title"].replace(HOSTILE[0], "")
    assert HOSTILE[0] in answer["text"]
    for name in HOSTILE[::2]:  # shortened where they can't wrap
        assert name[:4] in answer["drawn"]
    assert "$\\frac{1}{0}$" in answer["drawn"]
    assert answer["up"] == sorted(answer["up"])
    assert answer["down"] == sorted(answer["down"], reverse=True)
    assert set(answer["failed"]) == {"failed"}
    assert (answer["printedFailed"], answer["printed"], answer["shown"]) == (20, 400, 200)
    assert answer["marked"] >= 5
    assert answer["picked"].startswith("Trial ")
    assert answer["cleared"] == 0


def test_dark_is_dark(page: Path, tmp_path: Path) -> None:
    dark = browse(page, 1280, tmp_path, "--blink-settings=preferredColorScheme=0")
    paper, ink = (
        sum(map(int, re.findall(r"\d+", dark[part])[:3])) for part in ("paper", "ink")
    )  # fmt: skip
    assert paper < 150
    assert ink > 600


def test_comparison_is_sound(tmp_path: Path) -> None:
    plans = [Synthetic(8, name=HOSTILE[1].replace("/", "")[:30], num_seeds=3),
             Synthetic(8, name="other", num_seeds=3, seed=1)]  # fmt: skip
    studies = [load_study(write_study(tmp_path, plan)) for plan in plans]
    page = write_comparison(compare(arms_of_studies(studies)))
    answer = browse(page, 390, tmp_path)
    sound(answer, num_figures=2)  # of so few trials no curve is drawn
    assert answer["injected"] == 0
