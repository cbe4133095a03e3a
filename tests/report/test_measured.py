"""What stages measured is told in sentences, on the page, on the terminal and to programs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import run_stages
from tests_tables import table

from mashbill.report.data.measured import TOLD_KINDS, sentences
from mashbill.report.data.page import facts_of
from mashbill.workspace.space import open_workspace

SETS = {"own": {"questions": 5, "looked_for": 4, "looked_for_with_their_answer": 1}}


LOOKED = "x@1: {} of 9 rows hold items of evaluation sets; of own, 4 of 5 questions were looked for"
PAIRED = ", 1 of them together with their answer"
FOUND = f"{LOOKED.format(2)}{PAIRED}, and found in 2 rows in messages_json (user), 1 row in prompt"


@table(
    ("kind", "measures", "wanted"),
    [
        ("pii", {"found": {"email": 3, "phone": 0}, "rows_with": {"email": 2}, "rows_touched": 2},
         [("personal data",
           "x@1: found in 2 rows: email 3 (in 2 rows); none of kind phone")]),
        ("decontaminate",
         {"rows": 9, "contaminated": 2, "sets": SETS,
          "hits": {"own": {"messages_json (user)": 2, "prompt": 1}}},
         [("contamination", FOUND)]),
        ("decontaminate", {"rows": 9, "contaminated": 0, "sets": SETS},
         [("contamination", f"{LOOKED.format(0)}{PAIRED}, and none found")]),
        ("prefer", {"pairs": 7, "unpaired": {"a": 0, "b": 1, "c": 2}},
         [("preferences", "x@1: 7 pairs; in no pair are 1 row of b, 2 rows of c")]),
        ("prefer", {"pairs": 1, "unpaired": {"a": 0}}, [("preferences", "x@1: 1 pair")]),
        ("filter", {"rules": {}}, []),
    ],
)  # fmt: skip
def test_measures_are_told(kind, measures, wanted):
    assert sentences("x@1", kind, measures) == wanted


KEYS = st.sampled_from(["found", "rows_with", "sets", "hits", "own", "pairs", "unpaired", "rows"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@law()
@given(st.sampled_from([*TOLD_KINDS, "x"]), st.dictionaries(KEYS, ANY, max_size=6))
def test_measures_of_strangers_break_nothing(kind, measures):
    assert all(isinstance(text, str) for pair in sentences("x@1", kind, measures) for text in pair)


def test_a_report_tells_what_pii_found(tmp_path):
    stages = """
[stages.mails]
kind = "corpus"
title = "mails"
origin = "own-dataset"
source = "mails.jsonl"
[stages.clean]
kind = "pii"
input = "mails"
kinds = ["email", "ip"]
[stages.half]
kind = "split"
input = "clean"
range = [0.0, 1.0]
"""
    rows = [{"text": "a@example.com and b@example.com"}, {"text": "nothing"}]
    store = run_stages(tmp_path, stages, {"mails.jsonl": rows}, teachers="")
    (found,) = open_workspace(store=store.root).data("half@1")
    told = "clean@1: found in 1 row: email 2 (in 1 row); none of kind ip"
    assert ("personal data", told) in facts_of(found)
    (measured,) = found.as_json()["measured"]
    assert (measured["artifact"], measured["says"]) == ("clean@1", [told])
    assert measured["measures"]["found"] == {"email": 2, "ip": 0}
