"""Seconds and size of a report, of 30 and of 5,000 trials, and how long its table takes to sort.

Studies are written as files, nothing is trained. Plain Keras Tuner has no report. The table is
sorted in headless Chromium, if there is one: click to laid out. The figure is the seconds that the
report of the larger study takes.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from quick import Quick

_SORT = """
const heading = document.querySelector("#trials-table").tHead.rows[0].cells[3];
const spans = [];
for (let i = 0; i < 4; i++) {
  const begun = performance.now();
  heading.querySelector("button").click();
  document.body.offsetHeight;
  spans.push(performance.now() - begun);
}
document.body.dataset.spans = spans.join(" ");
"""


def sort_ms(page: Path, folder: Path) -> float | None:
    """Returns milliseconds of the slowest of four sorts; `None` without Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    if browser is None:
        return None
    # The page's policy admits no script but its own.
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    measured = folder / "measured.html"
    measured.write_text(text.replace("</body>", f"<script>{_SORT}</script></body>"), "utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom")
    profile = f"--user-data-dir={folder / 'profile'}"
    said = subprocess.run(
        [browser, *options, profile, measured.as_uri()], capture_output=True, text=True, check=True
    ).stdout
    spans = re.search(r'data-spans="([^"]*)"', said)
    return max(map(float, spans[1].split())) if spans else None


def main() -> None:
    """Writes the studies and their reports, and prints what they took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action=Quick, help="500 trials instead of 5,000")
    sizes = (30, 500 if parser.parse_args().quick else 5000)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.reports.synthetic import Synthetic, write_study

    seconds = 0.0
    with TemporaryDirectory(dir="/var/tmp") as name:
        for size in sizes:
            study = write_study(Path(name), Synthetic(size, name=f"of-{size}", num_failed=2))
            begun = time.perf_counter()
            # As a user runs it: a process of its own, imports and all.
            subprocess.run([sys.executable, "-m", "reports", study], check=True, text=True,
                           capture_output=True)  # fmt: skip
            seconds = time.perf_counter() - begun
            page = study / "report" / "index.html"
            sorting = sort_ms(page, Path(name))
            shown = "no Chromium" if sorting is None else f"sorts in {sorting:.0f} ms"
            print(f"{size:5} trials: {seconds:.1f} s, {page.stat().st_size / 1e6:.1f} MB, {shown}")
    print(f"seconds: {seconds:.1f}")


if __name__ == "__main__":
    main()
