"""A page about redacted data says nothing of what was redacted, wherever it stood before."""

import json

import pytest
from tests_support import run_stages
from tests_tables import table

from mashbill import ArtifactRef
from mashbill.core.errors import PluginError
from mashbill.core.reasons import Reasons
from mashbill.core.registry import STAGES, find, kinds
from mashbill.report import write_report
from mashbill.workspace.space import open_workspace

PLANTED = ["anna.ruiz@example.com", "bo.lindqvist@example.org", "202-555-0143", "lone@example.net"]

RECIPE = """
[stages.mails]
kind = "corpus"
title = "Mails"
origin = "own-dataset"
source = "mails.jsonl"
text = "text"

[stages.plain]
kind = "corpus"
title = "Plain"
origin = "own-dataset"
source = "plain.jsonl"
text = "text"

[stages.good]
kind = "filter"
input = "mails"
by = "rule"
where = [{ column = "text", none_of = ["only lone@example.net"] },
         { column = "who", one_of = ["a", "b"] }]

[stages.redacted]
kind = "pii"
input = "good"

[stages.mixed]
kind = "mix"
inputs = { redacted = 1, plain = 1 }
"""
MAILS = [
    {"text": f"Row {i}: write to {PLANTED[i % 3]}, please", "who": "ab"[i % 2]} for i in range(12)
] + [{"text": "only lone@example.net", "who": "a"}, {"text": "x", "who": "lone@example.net"}]
PLAIN = [{"text": f"Nothing in {i}", "who": "a"} for i in range(5)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    files = {"mails.jsonl": MAILS, "plain.jsonl": PLAIN}
    return run_stages(tmp_path_factory.mktemp("redacted"), RECIPE, files)


@pytest.mark.parametrize("name", ["mixed", "redacted"])
def test_no_page_shows_what_was_redacted(store, tmp_path, name):
    result = store.get(ArtifactRef(name, "1"))
    page = write_report(store, result, tmp_path / "page.html").read_text()
    assert "not shown: redacted@1 is what was redacted of it" in page
    assert "good@1 row" in page
    for value in PLANTED:
        assert value not in page
    assert ("Nothing in" in page) == (name == "mixed")


def test_nor_does_anything_else_that_is_written_of_it(store, tmp_path):
    space = open_workspace(store=store.root)
    told = json.dumps([one.as_json() for one in space.data("mixed@1")])
    space["mixed@1"].publish(str(tmp_path / "out"))
    space.brief("mixed@1", tmp_path / "brief")
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 1
    for value in PLANTED:
        assert value not in told
        assert not any(value.encode() in data for data in written)


def test_whoever_asks_for_the_way_back_still_walks_it(store):
    """The store has what was looked at; a trace of a named row is asked of it by its owner."""
    hop = open_workspace(store=store.root).trace("redacted@1", 0)
    assert any(PLANTED[0] in str(other.facts) for _, other in hop.walk())


def test_other_rows_made_of_them_are_not_shown_either(tmp_path):
    more = RECIPE.replace(
        'kind = "mix"\ninputs = { redacted = 1', 'kind = "mix"\ninputs = { good = 1, redacted = 1'
    )
    files = {"mails.jsonl": MAILS, "plain.jsonl": PLAIN}
    made = run_stages(tmp_path, more, files)
    result = made.get(ArtifactRef("mixed", "1"))
    page = write_report(made, result, tmp_path / "page.html").read_text()
    assert not any(value in page for value in PLANTED)


def test_a_stage_that_cannot_be_loaded_may_redact(store, tmp_path, monkeypatch):
    def broken(kind, *groups):
        raise PluginError(kind)

    monkeypatch.setattr("mashbill.lineage.evidence.withheld.find", broken)
    result = store.get(ArtifactRef("redacted", "1"))
    page = write_report(store, result, tmp_path / "page.html").read_text()
    assert "kind pii of redacted@1 cannot be loaded, and may redact" in page
    assert not any(value in page for value in PLANTED)


def test_which_stages_redact():
    assert [kind for kind in kinds(STAGES) if find(kind, STAGES).redacts] == ["pii"]


@table(
    ("reasons", "told"),
    [
        (["who 'a@b.de' is no number"] * 2, ["who … is no number"]),
        (['who "a@b.de" is 3'] * 2, ["who … is 3"]),
        (["who 'a@b.de, and so on is cut"] * 2, ["who …"]),
        (["the judge says a@b.de is rude", "it's short: 3", "it's short: 4"],
         ["it's short: …", "other reasons"]),
    ],
)  # fmt: skip
def test_reasons_quote_nothing_of_rows_that_are_withheld(reasons, told):
    assert [each.reason for each in Reasons(reasons, elided=True).commonest(None)] == told
