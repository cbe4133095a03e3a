"""axe-core in a real browser: what it holds against a page, seen light or dark, wide or narrow."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import subprocess
from pathlib import Path

from tests_support import BROWSER

_POLICY = r'<meta http-equiv="Content-Security-Policy"[^>]*>'
_RUN = """<script>
axe.run(document, { resultTypes: ["violations"] }).then(found => {
  const told = found.violations.map(one => ({
    id: one.id, impact: one.impact,
    where: one.nodes.slice(0, 4).map(node => node.html.slice(0, 160)),
  }));
  parent.document.documentElement.dataset.axe = JSON.stringify(told);
  parent.document.documentElement.dataset.passed = found.passes.length;
  parent.document.documentElement.dataset.wide =
    document.documentElement.scrollWidth + " of " + innerWidth;
});
</script>"""
_SERIOUS = ("serious", "critical")


def axe_source() -> Path | None:
    """Return axe-core's file, out of a package that carries it; None if it is not installed."""
    found = importlib.util.find_spec("axe_playwright_python")
    return Path(found.origin).with_name("axe.min.js") if found and found.origin else None


def found_by_axe(page: str, folder: Path, *, width: int = 1100, dark: bool = False) -> list[dict]:
    """Return what axe-core calls serious or critical; a page that is wider than its window is so.

    Args:
        page: its HTML. Its policy lets no script run, so that it is seen without it.
        folder: a new one, for the browser.
        width: of the window, in pixels; a frame, since no window is that narrow.
        dark: whether the reader prefers dark.
    """
    folder.mkdir(parents=True, exist_ok=True)
    axe = axe_source()
    assert axe is not None
    (folder / "axe.js").write_text(axe.read_text())
    inner = re.sub(_POLICY, "", page) + '<script src="axe.js"></script>' + _RUN
    (folder / "inner.html").write_text(inner)
    path = folder / "page.html"
    path.write_text(
        '<!doctype html><html lang="en"><style>body { margin:0 } iframe { border:0 }</style>'
        f'<iframe width="{width}" height="900" srcdoc="{html.escape(inner)}"></iframe></html>'
    )
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--blink-settings=preferredColorScheme={0 if dark else 1}",
         f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000",
         "--virtual-time-budget=60000", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    told = re.search(r'data-axe="([^"]*)"', done.stdout)
    assert told, done.stderr[-2000:]
    wide, room = map(int, re.search(r'data-wide="(\d+) of (\d+)"', done.stdout).groups())
    found = [one for one in json.loads(html.unescape(told[1])) if one["impact"] in _SERIOUS]
    if wide > room:
        found.append({"id": "wider than its window", "impact": "serious", "where": [str(wide)]})
    return found
