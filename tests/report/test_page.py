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
    assert not re.search(r"src=|@import|url\(|<script", text)
    places = re.findall(r'href="([^"]*)"', text)
    assert len(places) > 4
    for place in places:  # of the page itself, and it is there
        assert f'id="{place.removeprefix("#")}"' in text
    assert "default-src 'none'" in text
    receipts = text[text.index("<h2>Receipts</h2>") :]
    assert receipts.count("<details") == 10
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
    assert dom.count("<circle") == 3 + 12 + 1  # systems, steps of the loss, a comparison
    order = (
        "<h2>Is my model good?</h2>", "<h3>What it is worth</h3>", "<h3>How it was trained</h3>",
        "<h3>Time and cost of each stage</h3>", "<h2>Where does it come from?</h2>",
        "<h3>The chain</h3>", "<h2>The bill</h2>", "<h2>The verdicts</h2>", "<h2>Terms</h2>",
        "<h2>Receipts</h2>", "<h2>Evidence</h2>",
    )  # fmt: skip
    at = [dom.index(heading) for heading in order]
    assert at == sorted(at)


def test_each_thing_of_a_chain_has_a_box_whatever_it_is_called(tmp_path):
    """A teacher may be called as a dataset is, and two versions of one name may stand in it."""
    from tests_support import run_toy

    from mashbill.report.gather import gather

    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    (tmp_path / "p.txt").write_text("{{ text }}")
    text = """
[recipe]
name = "x"
version = "1"
[teachers.t]
kind = "fake-service"
model = "corpus"
words.a = ["x"]
[stages.corpus]
kind = "corpus"
title = "T"
source = "a.jsonl"
[stages.again]
kind = "split"
input = "corpus"
range = [0.0, 1.0]
[stages.out]
kind = "rewrite"
input = "again"
teacher = "t"
prompt = "p.txt"
"""
    path = tmp_path / "x.toml"
    path.write_text(text)
    store, _ = run_toy(path, tmp_path / "s")
    result = store.find("out")
    item = next(i for i in result.inputs if i.role == "teacher")
    inputs = [i.model_copy(update={"name": "corpus"}) if i == item else i for i in result.inputs]
    boxes = gather(store, result.model_copy(update={"inputs": tuple(inputs)})).chain
    names = [box.name for box in boxes]
    assert sorted(names) == ["again", "corpus", "out", "teacher_corpus"]
    by_name = {box.name: box for box in boxes}
    assert (by_name["corpus"].what, by_name["teacher_corpus"].what) == ("dataset", "teacher")
    assert {name for name, _ in by_name["out"].inputs} == {"again", "teacher_corpus"}
