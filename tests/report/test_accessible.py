"""Pages in a real browser, held to axe-core: light and dark, wide and narrow."""

import shutil
import subprocess
from itertools import pairwise, product

import pytest
from tests_axe import axe_source, found_by_axe
from tests_support import BROWSER

from mashbill import Store
from mashbill.report import write_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Debian's chromium; .ci/run installs it"),
    pytest.mark.skipif(axe_source() is None, reason="needs axe-core; `make test` installs it"),
]
SEEN = list(product((1100, 360), (False, True)))


@pytest.fixture(scope="module")
def pages(channels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    store = Store(channels)
    return {
        name: write_report(store, store.find(name), folder / f"{name}.html").read_text()
        for name in ("scratch", "confident")
    }


@pytest.mark.parametrize(("width", "dark"), SEEN)
@pytest.mark.parametrize("name", ["scratch", "confident"])
def test_axe_finds_nothing_serious_and_nothing_is_cut(pages, name, width, dark, tmp_path):
    page = pages[name].replace("<details", "<details open")
    assert found_by_axe(page, tmp_path / "axe", width=width, dark=dark) == []


BAD = """<!doctype html><html lang="en"><head><title>x</title><style>
body { color:#000; background:#fff }
@media (prefers-color-scheme: dark) { body { color:#333; background:#222 } }</style></head>
<body><main><h1>Words that are hard to read in the dark</h1>MORE</main></body></html>"""


def test_it_would_find_what_is_wrong(tmp_path):
    assert found_by_axe(BAD.replace("MORE", ""), tmp_path / "light") == []
    dark = found_by_axe(BAD.replace("MORE", ""), tmp_path / "dark", dark=True)
    assert [one["id"] for one in dark] == ["color-contrast"]
    wide = '<p style="width:900px">wide</p><div style="overflow:auto; height:20px">' + (
        "<p>a</p>" * 9 + "</div>"
    )
    found = found_by_axe(BAD.replace("MORE", wide), tmp_path / "wide", width=360)
    assert {one["id"] for one in found} == {"scrollable-region-focusable", "wider than its window"}


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs poppler-utils")
def test_paper_has_what_is_folded_away_on_a_screen(pages, tmp_path):
    (tmp_path / "p.html").write_text(pages["scratch"])
    subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
         f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={tmp_path / 'p.pdf'}",
         (tmp_path / "p.html").as_uri()], check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    text = subprocess.run(
        ["pdftotext", "-layout", str(tmp_path / "p.pdf"), "-"], check=True, capture_output=True,
        text=True,
    ).stdout  # fmt: skip
    folded = pages["scratch"].partition("The chain as a table")[2]
    assert "<details><summary>The chain as a table" in pages["scratch"]
    assert "made of" in text.partition("The chain as a table")[2].partition("The bill")[0]
    assert folded
    assert "To the content" not in text


def test_a_page_is_small_and_has_its_parts_in_order(pages):
    for page in pages.values():
        assert len(page.encode()) < 1_000_000
        levels = [int(part[0]) for part in page.split("<h")[1:] if part[0].isdigit()]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert page.count("<main") == page.count("<header>") == page.count("<nav") == 1
