"""The report in a real browser: it renders offline, and asks nobody for anything."""

import re

import pytest
from tests_support import BROWSER, dom_of

from mashbill import ArtifactRef, Store
from mashbill.report import write_report


@pytest.fixture
def page(finished, tmp_path):
    store = Store(finished[0])
    return write_report(store, store.get(ArtifactRef("scratch", "1")), tmp_path / "page.html")


def test_a_page_names_no_address_but_its_own(page):
    text = page.read_text()
    assert not re.search(r"(src|href)=|@import|url\(", text)
    assert text.count("<details") == 10 + text.count('<details class="note"')
    assert "from a closed model" in text
    assert "Had a closed API stood in the place of fake teacher" in text


def test_text_of_a_record_is_escaped(tmp_path):
    import json

    from tests_support import run_toy, write_recipe

    recipe = write_recipe(tmp_path / "recipe", rows=300)
    corpus = tmp_path / "recipe" / "toy.jsonl"
    rows = [json.loads(line) for line in corpus.read_text().splitlines()]
    for i, row in enumerate(rows):
        row["text"] += f" <script>alert({i})</script>"
    corpus.write_text("\n".join(map(json.dumps, rows)))
    store, _ = run_toy(recipe, tmp_path / "store")
    page = write_report(store, store.get(ArtifactRef("scratch", "1")), tmp_path / "page.html")
    assert "<script" not in page.read_text()
    assert "&lt;script" in page.read_text()


@pytest.mark.skipif(BROWSER is None, reason="needs Debian's chromium; .ci/run installs it")
def test_a_browser_draws_every_part(page, tmp_path):
    dom = dom_of(page, tmp_path / "profile")
    assert dom.count("<rect") >= 9
    assert dom.count("<circle") == 3
    for heading in ("The chain", "What it is worth", "The bill", "The verdicts", "Receipts"):
        assert f"<h2>{heading}</h2>" in dom
