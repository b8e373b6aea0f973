"""Pages in Chromium: what it prints, what axe-core says of a page, and whether a page is wider than its screen."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)

NO_AXE = (
    "axe-core is not there: run 'npm install axe-core' in any folder, and put the path of its axe.min.js into the "
    "environment variable COVIDCT_AXE"
)

DARK = "--blink-settings=preferredColorScheme=0"

_POLICY = r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>"

_ASK = """
addEventListener("load", () => axe.run(document).then(found => {
  const root = document.documentElement, said = parent.document.createElement("pre");
  const wide = [...document.querySelectorAll("body *")].filter(
    e => !e.closest(".scroll") && e.getBoundingClientRect().right > root.clientWidth + 1);
  said.className = "said";
  said.textContent = JSON.stringify({
    page: PAGE,
    passes: found.passes.length,
    violations: found.violations.map(v => [v.id, v.help, v.nodes.length, v.nodes[0].html.slice(0, 200)]),
    widths: [root.clientWidth, root.scrollWidth],
    wide: wide.map(e => e.tagName + "." + e.className),
  });
  parent.document.body.append(said);
}));
"""


@dataclass(frozen=True)
class Look:
    """What a browser says of a page: axe-core's findings, the width of the screen and of the page, what sticks out."""

    violations: list[list[str | int]]
    widths: list[int]
    wide: list[str]


def browse(folder: Path, *arguments: str, limit_s: float = 120) -> str:
    """Run the browser once; returns what it prints."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--hide-scrollbars", "--no-first-run", f"--user-data-dir={folder / 'profile'}", *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=True)
    return done.stdout


@lru_cache(maxsize=1)
def axe_script() -> str | None:
    """Text of axe-core, from ``COVIDCT_AXE`` or a folder of npm's; None where it is nowhere."""
    places = [Path(os.environ["COVIDCT_AXE"])] if "COVIDCT_AXE" in os.environ else []
    npm = shutil.which("npm")
    for arguments in (("root",), ("root", "-g")) if npm and not places else ():
        done = subprocess.run([str(npm), *arguments], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            places.append(Path(done.stdout.strip()) / "axe-core" / "axe.min.js")
    return next((place.read_text(encoding="utf-8") for place in places if place.is_file()), None)


def with_scripts(page: str, *scripts: str) -> str:
    """The page without its policy, which forbids scripts, and with scripts in its head."""
    head = "".join(f"<script>{script}</script>" for script in scripts)
    changed, count = re.subn(_POLICY, lambda _: head, page, count=1)
    assert count == 1, "the page has no policy"
    return changed


def look_at(pages: dict[str, str], folder: Path, width: int, *arguments: str) -> dict[str, Look]:
    """Show pages on a screen of some width, all in one run of the browser, and ask axe-core about each."""
    script = axe_script()
    assert script is not None
    frames = [
        _frame(with_scripts(page, script, f"const PAGE = {json.dumps(name)};" + _ASK), width, 800)
        for name, page in pages.items()
    ]
    file = folder / "asked.html"
    file.write_text(_around("".join(frames)), encoding="utf-8")
    dumped = browse(
        folder, "--window-size=1400,1000", "--virtual-time-budget=120000", "--dump-dom", *arguments, file.as_uri(),
        limit_s=300,
    )  # fmt: skip
    looks = {}
    for said in re.findall(r'<pre class="said">(.*?)</pre>', dumped, re.DOTALL):
        found = json.loads(html.unescape(said))
        # A page that could not be read would have few passes, and no violations either.
        assert found["passes"] > 15
        looks[found["page"]] = Look(found["violations"], found["widths"], found["wide"])
    assert looks.keys() == pages.keys()
    return looks


def framed(page: str, probe: str, width: int, height: int) -> str:
    """A page that shows another in a frame of a device's size; windows of a browser have a least width."""
    return _around(_frame(with_scripts(page, probe), width, height))


def _frame(page: str, width: int, height: int) -> str:
    return f'<iframe style="border:0;width:{width}px;height:{height}px" srcdoc="{html.escape(page)}"></iframe>'


def _around(frames: str) -> str:
    return f"<!DOCTYPE html><html><head><title>none</title></head><body>{frames}</body></html>"
