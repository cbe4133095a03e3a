"""Who wrote a row, however a file writes it: no closed model is hidden by a spelling."""

import json

import pytest
from tests_support import rows_of, run_stages

from mashbill.core.record import BILL
from mashbill.lineage.bills.bill import bill, coverage
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable

IMPORT = """
[stages.got]
kind = "import"
title = "Set"
source = "got.{ending}"
license = "CC0-1.0"
models."gpt-4" = {{ kind = "closed-api" }}
"""


def made(folder, rows, ending="jsonl", keys=""):
    stage = IMPORT.format(ending=ending).replace("[stages.got]\n", f"[stages.got]\n{keys}")
    return run_stages(folder, stage, {f"got.{ending}": rows})


def names(store):
    """Return the names on the bill, with kinds, and the part of which all are named."""
    circuit = Circuit.of(NodeTable.of(store, store.find("got")))
    return {line.source.name: line.source.kind for line in bill(circuit)}, coverage(circuit).named


SPELLINGS = [
    '["gpt-4", "z"]', "['gpt-4', 'z']", "['gpt-4' 'z']", "['gpt-4'\n 'z']", "('gpt-4', 'z')",
    "['gpt-4', nan, 'z']", "array(['gpt-4', 'z'], dtype=object)", "{'gpt-4', 'z'}",
    "['gpt-4', None, 'z']",
]  # fmt: skip


@pytest.mark.parametrize("cell", SPELLINGS)
def test_a_list_that_csv_holds_as_text_names_its_members(tmp_path, cell):
    text = f'text,generator\na b,"{cell.replace(chr(34), chr(34) * 2)}"\n'
    found, covered = names(made(tmp_path, text, "csv"))
    assert found == {"gpt-4": "closed-api", "z": "unknown"}
    assert covered == (1.0, 1.0)


@pytest.mark.parametrize(
    "cell", [{"name": "gpt-4"}, "{'name': 'gpt-4'}", '{"name": "gpt-4"}', True, 7, [["gpt-4"]]]
)
def test_what_names_nobody_is_a_rejected_row_that_says_so(tmp_path, cell):
    rows = [{"text": "a b", "generator": cell}, {"text": "c d", "generator": "z"}]
    store = made(tmp_path, rows)
    (rejected,) = rows_of(store, "got", "rejected")
    assert "column 'generator' holds " in rejected["_reason"]
    assert "and no name of a model" in rejected["_reason"]
    assert names(store)[0].keys() >= {"z"}


@pytest.mark.parametrize("cell", ["\u200bgpt-4", "gpt-4\ufeff", "gpt\u20114", " gpt-4 ", "gpt-4\0"])
def test_what_nobody_sees_in_a_name_makes_no_other_model(tmp_path, cell):
    found, _ = names(made(tmp_path, [{"text": "a b", "generator": cell}]))
    assert found == {"gpt-4": "closed-api"}


def test_where_one_column_names_nobody_the_next_one_may(tmp_path):
    rows = [
        {"text": "a b", "generator": None, "model_name": "gpt-4"},
        {"text": "c d", "generator": "z", "model_name": "gpt-4"},
        {"text": "e f", "generator": "N/A", "model_name": None},
    ]
    store = made(tmp_path, rows)
    found, covered = names(store)
    assert found == {"gpt-4": "closed-api", "z": "unknown", "Set: origin not recorded": "unknown"}
    assert covered[0] == pytest.approx(2 / 3)
    assert len({row[BILL] for row in rows_of(store, "got")}) == 3


def test_who_wrote_the_other_text_of_a_pair_is_on_the_bill_with_it(tmp_path):
    row = {"prompt": "q", "chosen": "c c", "rejected": "r r", "chosen_model": "z",
           "rejected_model": "gpt-4"}  # fmt: skip
    found, _ = names(made(tmp_path, [row]))
    assert found == {"z": "unknown", "gpt-4": "closed-api"}


@pytest.mark.parametrize("order", [["mit", "cc-by-4.0"], ["CC-BY-4.0", "MIT"]])
def test_licences_that_hold_together_are_one_in_any_order(tmp_path, order):
    rows = [
        {"text": "a b", "generator": "m", "license": ["mit", "cc-by-4.0"]},
        {"text": "c d", "generator": "m", "license": order},
        {"text": "e f", "generator": "m", "license": str(order)},
    ]
    store = made(tmp_path, rows)
    circuit = Circuit.of(NodeTable.of(store, store.find("got")))
    assert [line.source.license for line in bill(circuit)] == ["MIT AND CC-BY-4.0"]


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_partitions_and_splits_stand_in_the_rows(tmp_path, ending):
    (tmp_path / "ds/model=gpt-4/year=2024").mkdir(parents=True)
    row = {"text": "a b", "year": 1999}
    (tmp_path / f"ds/model=gpt-4/year=2024/p.{ending}").write_text(json.dumps(row))
    for number, source in enumerate(
        ("ds", "ds/model=gpt-4", f"ds/model=gpt-4/year=2024/p.{ending}")
    ):
        stage = IMPORT.format(ending="x").replace('"got.x"', f'"{source}"\ngenerator = "model"')
        store = run_stages(tmp_path, stage + f'version = "{number}"\n', {})
        (found,) = rows_of(store, f"got@{number}")
        assert (found["model"], found["year"], found["year_of_folder"]) == ("gpt-4", 1999, "2024")
