"""What is told of a column, a rule or a kind that is not there, in stages on corpora."""

from __future__ import annotations

import pytest
from tests_support import run_stages

from mashbill import InputError, MashbillError, RecipeError
from mashbill.core.explaining import check_columns
from mashbill.workspace.space import open_workspace

FIRST = """
[stages.got]
kind = "import"
title = "got"
source = "got.jsonl"
generator = "none"
[stages.out]
input = "got"
"""
ROWS = [{"text": "some words", "Kunde": "a"}, {"text": "others", "Kunde": "b"}]
EVAL = 'kind = "decontaminate"\nagainst.own = { file = "eval.jsonl", question = "q" }'


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('kind = "filter"\nheuristics = ["goopher"]', "did you mean 'gopher'?"),
        ('kind = "filter"\nby = "rule"\nwhere = [{ column = "scor", at_least = 1 }]',
         "where[0].column = 'scor' is no column of got; it has at most text, Kunde, "),
        ('kind = "pii"\nkinds = ["mail"]', "kinds[0] = 'mail'"),
        ('kind = "pii"\nkinds = []', "at least 1 item"),
        ('kind = "pii"\ncolumns = ["Kund"]', "did you mean 'Kunde'?"),
        ('kind = "split"\nrange = [0.0, 0.5]\nby = ["Kund"]', "did you mean 'Kunde'?"),
        (EVAL, "eval.jsonl is empty"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told(tmp_path, keys, told):
    with pytest.raises(MashbillError) as error:
        run_stages(tmp_path, FIRST + keys, {"got.jsonl": ROWS, "eval.jsonl": ""}, teachers="")
    assert told in str(error.value)
    assert "original_" not in str(error.value)
    assert "after validation, not 0" not in str(error.value) or "kinds = []" in keys


def test_overlap_names_its_own_key(tmp_path):
    keys = 'kind = "split"\nrange = [0.0, 1.0]'
    store = run_stages(tmp_path, FIRST + keys, {"got.jsonl": ROWS}, teachers="")
    with pytest.raises(
        InputError, match=r"by = 'Kund' is no column of .*did you mean 'Kunde'"
    ) as e:
        open_workspace(store=store.root).overlap("got", "out", by=["Kund"])
    assert "recipe" not in str(e.value)


def test_a_stage_without_columns_is_told_as_such():
    with pytest.raises(RecipeError, match="no column of x, which has no columns"):
        check_columns([("by", "a")], [], "x")
