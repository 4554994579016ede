"""The page in a real browser, as wide as a desktop and as narrow as a phone."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.test_reports.test_reports import SECTIONS

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
_MEASURE = """
<script>
addEventListener("load", () => {
  const images = [...document.images];
  parent.document.body.dataset.answer = JSON.stringify({
    images: images.length,
    broken: images.filter(i => !i.complete || i.naturalWidth === 0).map(i => i.alt),
    fetched: performance.getEntriesByType("resource").map(e => e.name)
      .filter(name => !name.startsWith("data:")),
    overflow: document.documentElement.scrollWidth - innerWidth,
    sections: [...document.querySelectorAll("section")].map(s => s.id),
  });
});
</script></body>
"""


def browse(page: Path, width: int, tmp_path: Path) -> Any:
    measured = page.read_text(encoding="utf-8").replace("</body>", _MEASURE)
    frame = f'<body><iframe width="{width}" height="900" srcdoc="{html.escape(measured)}"></iframe>'
    wrapper = tmp_path / f"{width}.html"
    wrapper.write_text(f"<!DOCTYPE html><meta charset='utf-8'>{frame}</body>", encoding="utf-8")
    answer = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000",
            "--dump-dom", wrapper.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    found = re.search(r'data-answer="([^"]*)"', answer.stdout)
    assert found, answer.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
@pytest.mark.parametrize("width", [1280, 390])
def test_page_is_sound_in_a_browser(width: int, page: Path, tmp_path: Path) -> None:
    answer = browse(page, width, tmp_path)
    assert answer["images"] >= 8
    assert answer["broken"] == []
    assert answer["fetched"] == []
    assert answer["overflow"] <= 0
    assert set(answer["sections"]) == set(SECTIONS)
