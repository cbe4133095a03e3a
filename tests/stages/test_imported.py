"""import: which origins its rows get, what becomes of its columns, and what it turns down."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests_support import rows_of, run_stages

from mashbill import InputError
from mashbill.core.errors import RecipeError
from mashbill.core.record import BILL
from mashbill.lineage.bills.bill import bill, coverage
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable, source_of
from mashbill.lineage.evidence.audit import Auditor
from mashbill.plan import build

IMPORT = """
[stages.got]
kind = "import"
title = "Set"
source = "got.jsonl"
"""


def turn(role, text):
    return {"role": role, "content": text}


def nemotron(i, generator, version="1", license_="CC-BY-4.0", **more):
    return {
        "uuid": str(i),
        "license": license_,
        "generator": generator,
        "version": version,
        "category": "chat",
        "reasoning": "off",
        "messages": [
            turn("system", "be brief"),
            turn("user", f"ask {i}"),
            turn("assistant", "well"),
            turn("user", f"more {i}"),
            turn("assistant", f"answer {i}"),
        ],
        **more,
    }


def origins(store, name="got"):
    """Return each row's source."""
    table = NodeTable.of(store, store.find(name))
    return [source_of(table.bodies[table.numbered[row[BILL]]]) for row in rows_of(store, name)]


def test_rows_as_nvidia_has_them(tmp_path):
    data = [
        nemotron(0, "big-open"),
        nemotron(1, "big-open", "2"),
        nemotron(2, "shut", license_=""),
        nemotron(3, "human"),
        nemotron(4, ""),
        nemotron(5, None),
        nemotron(6, "big-open", nested={"a": [1, 2]}),
    ]
    stages = (
        IMPORT
        + """
models.big-open = { kind = "open-weights", provider = "P", country = "FR", name = "Big Open" }
models.shut = { kind = "closed-api", provider = "Q", country = "US" }
"""
    )
    store = run_stages(tmp_path, stages, {"got.jsonl": data})
    found = origins(store)
    assert [(s.name, s.version, s.kind, s.country, s.license) for s in found] == [
        ("Big Open", "1", "open-weights", "FR", "CC-BY-4.0"),
        ("Big Open", "2", "open-weights", "FR", "CC-BY-4.0"),
        ("shut", "1", "closed-api", "US", None),
        ("Set: people", "", "human", "unknown", "CC-BY-4.0"),
        ("Set: origin not recorded", "", "unknown", "unknown", None),
        ("Set: origin not recorded", "", "unknown", "unknown", None),
        ("Big Open", "1", "open-weights", "FR", "CC-BY-4.0"),
    ]
    assert {s.route for s in found} == {"dataset:Set"}
    assert [s.what for s in found[2:5]] == ["model", "dataset", "unknown"]
    rows = rows_of(store, "got")
    assert rows[1]["text"] == "answer 1"
    assert rows[1]["prompt"] == "be brief\n\nask 1\n\nmore 1"
    assert json.loads(rows[1]["messages_json"]) == data[1]["messages"]
    assert {"uuid", "license", "generator", "version", "category", "reasoning"} <= set(rows[0])
    assert json.loads(rows[6]["nested"]) == {"a": [1, 2]}
    assert [row["_from"] for row in rows] == list(range(7))
    circuit = Circuit.of_artifact(store, store.find("got"))
    assert coverage(circuit).named[0] == pytest.approx(5 / 7)
    lines = {(line.source.title, line.channels): line for line in bill(circuit)}
    assert lines["Big Open 1", ("content",)].records == 2
    assert Auditor(store.root).run().holds


def test_the_plan_knows_the_models_that_the_recipe_tells_of(tmp_path):
    from mashbill import load_recipe

    stages = IMPORT + 'models.shut = { kind = "closed-api" }\n'
    run_stages(tmp_path, stages, {"got.jsonl": [nemotron(0, "shut")]})
    plan = build(load_recipe(tmp_path / "some.toml"))
    assert [source.name for source, _, _ in plan.stages[0].adds] == ["shut"]
    assert plan.verdicts()[0][0].conclusion == "yes"


@pytest.mark.parametrize("kind", ["test-double", "human", "own-dataset", "public-dataset"])
def test_a_model_of_a_set_is_of_a_kind_that_models_have(tmp_path, kind):
    stages = IMPORT + f'models."gpt-4o" = {{ kind = "{kind}" }}\n'
    with pytest.raises(RecipeError, match=rf"gpt-4o\.kind.*{kind} is no kind of model: write"):
        run_stages(tmp_path, stages, {"got.jsonl": [nemotron(0, "gpt-4o")]})


def test_rows_as_distilabel_has_them(tmp_path):
    data = [
        {"instruction": "i", "generation": f"g {i}", "model_name": name, "score": i}
        for i, name in enumerate(["m1", "m2", None])
    ]
    store = run_stages(tmp_path, IMPORT + 'text = "generation"\n', {"got.jsonl": data})
    assert [source.name for source in origins(store)] == ["m1", "m2", "Set: origin not recorded"]
    assert [row["text"] for row in rows_of(store, "got")] == ["g 0", "g 1", "g 2"]
    assert [row["score"] for row in rows_of(store, "got")] == [0, 1, 2]
    assert all(source.kind == "unknown" for source in origins(store))


def test_a_column_of_ones_own_names_the_generator(tmp_path):
    data = [{"text": "a", "made_by": "m", "generator": "not this"}, {"text": "b", "made_by": "us"}]
    keys = 'generator = "made_by"\nhuman = "us"\nlicense = "MIT"\n'
    store = run_stages(tmp_path, IMPORT + keys, {"got.jsonl": data})
    assert [(s.name, s.kind, s.license) for s in origins(store)] == [
        ("m", "unknown", "MIT"),
        ("Set: people", "human", "MIT"),
    ]


def test_a_set_that_names_none_has_no_recorded_origin(tmp_path):
    data = [{"text": "a"}, {"text": "b", "text_2": None}]
    store = run_stages(tmp_path, IMPORT + 'generator = "none"\n', {"got.jsonl": data})
    assert coverage(Circuit.of_artifact(store, store.find("got"))).recorded == (0.0, 0.0)


def test_turns_may_be_written_in_other_ways_and_a_parquet_file_read(tmp_path):
    data = [
        {
            "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}],
            "model_name": "m",
            "prompt": "kept",
        },
        {"conversations": [{"from": "human", "value": "hi"}], "model_name": "m", "prompt": None},
    ]
    tmp_path.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(data), tmp_path / "got.parquet")
    store = run_stages(tmp_path, IMPORT.replace(".jsonl", ".parquet"), {})
    (row,) = rows_of(store, "got")
    assert (row["prompt"], row["text"], row["original_prompt"]) == ("hi", "hello", "kept")
    (gone,) = rows_of(store, "got", "rejected")
    assert gone["_reason"] == "row 1 no turn of its chat is an answer"


def test_what_cannot_serve_is_rejected_with_line_and_reason(tmp_path):
    lines = [
        json.dumps({"text": "fine", "generator": "m"}),
        "{torn",
        "[1]",
        json.dumps({"text": "  ", "generator": "m"}),
        json.dumps({"generator": "m"}),
        json.dumps({"text": 5, "generator": "m"}),
        json.dumps({"text": "half \ud83d", "generator": "m"}),
        json.dumps({"text": "line\u2028break", "generator": "m", "_id": 7}, ensure_ascii=False),
    ]
    store = run_stages(tmp_path, IMPORT, {"got.jsonl": "\n".join(lines) + "\n\n"})
    kept = rows_of(store, "got")
    assert [row["text"] for row in kept] == ["fine", "line\u2028break"]
    assert kept[1]["original__id"] == 7
    gone = rows_of(store, "got", "rejected")
    assert [row["_from"] for row in gone] == [1, 2, 3, 4, 5, 6]
    reasons = [row["_reason"] for row in gone]
    assert reasons[0].startswith("line 2 is not JSON")
    assert gone[0]["text"] == "{torn"
    assert reasons[1:] == [
        "line 3 is no object, as each line must be",
        "line 4 column 'text' is empty",
        "line 5 column 'text' is missing",
        "line 6 column 'text' holds a number, and no text",
        "line 7 column 'text' is not valid Unicode: it holds half of a surrogate pair",
    ]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("", r"got.jsonl: there is no column 'generator' or 'model_name'; it has 'text', "),
        ("", r"or to \"none\" to import it with an origin that is not recorded"),
        ('generator = "made_by"', r"there is no column 'made_by'; it has 'text', 'by'"),
        ('generator = "by"\ntext = "body"', r"there is no column 'body'; it has 'text', 'by'; set"),
        ('generator = "by"\nsha256 = "00"', r"its SHA-256 is"),
        ('generator = "by"\nformat = "parquet"', r"is not a Parquet file"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_a_remedy(tmp_path, keys, message):
    data = [{"text": "a", "by": "m"}]
    with pytest.raises(InputError, match=message):
        run_stages(tmp_path, IMPORT + keys + "\n", {"got.jsonl": data})


def test_columns_keep_their_types_where_all_rows_agree(tmp_path):
    data = [
        {"text": "a", "by": "m", "n": 1, "f": 1, "b": True, "big": 2**70, "mixed": 1},
        {"text": "b", "by": "m", "n": 2, "f": 0.5, "b": False, "big": 1, "mixed": "x", "new": "y"},
    ]
    store = run_stages(tmp_path, IMPORT + 'generator = "by"\n', {"got.jsonl": data})
    rows = [{k: v for k, v in row.items() if k[0] != "_"} for row in rows_of(store, "got")]
    assert rows == [
        {"text": "a", "by": "m", "n": 1, "f": 1.0, "b": True, "big": str(2**70), "mixed": "1",
         "new": None},
        {"text": "b", "by": "m", "n": 2, "f": 0.5, "b": False, "big": "1", "mixed": "x",
         "new": "y"},
    ]  # fmt: skip
