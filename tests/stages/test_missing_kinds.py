"""Each way in which a missing value used to decide, one after the other."""

import csv
import json
import math
from decimal import Decimal

import pyarrow as pa
import pytest
from tests_given import NAN, given_rows, imported
from tests_support import TEACHER, rows_of, run_stages
from tests_tables import table
from tests_ways import says
from typer.testing import CliRunner

from mashbill import Answer, InputError
from mashbill.cli import app
from mashbill.client.budget import Caps
from mashbill.core.cells import compared, is_missing, number_of, says_nothing
from mashbill.core.errors import CanonicalError
from mashbill.core.stage import WARNINGS
from mashbill.core.use import Operator
from mashbill.files.rows.gold import Gold
from mashbill.publish.publish import Wish, publish
from mashbill.stages.filter import FilterSpec

FILES = {"set.jsonl": [{"text": "a"}]}
FLOAT = {"x": pa.float64()}


def run(folder, monkeypatch, stages, tables, kinds=(), files=(), teachers=TEACHER):
    tables = {
        name: [{"text": f"{name} {i}", **row} for i, row in enumerate(rows)]
        for name, rows in tables.items()
    }
    given_rows(monkeypatch, tables, kinds)
    head = "".join(map(imported, tables))
    return run_stages(folder, head + stages, {**FILES, **dict(files)}, teachers)


@table(
    ("value", "missing", "nothing", "number"),
    [
        (None, True, True, None), (NAN, True, True, None), (Decimal("NaN"), True, True, None),
        (Decimal("sNaN"), True, True, None), ("", False, True, None), (" \t", False, True, None),
        ("NaN", False, True, None), ("-nan", False, True, None), ("none", False, False, None),
        (0, False, False, 0), (-0.0, False, False, 0), ("007", False, False, 7),
        (" 1.50 ", False, False, 1.5), ("1e3", False, False, 1000),
        ("+inf", False, False, math.inf),
        ("-Infinity", False, False, -math.inf), ("1,000", False, False, None),
        (True, False, False, None), ([], False, False, None), ("x", False, False, None),
        (2**70 + 1, False, False, 2**70 + 1), (str(2**70 + 1), False, False, 2**70 + 1),
    ],
)  # fmt: skip
def test_what_is_missing_and_what_is_a_number(value, missing, nothing, number):
    assert is_missing(value) == missing
    assert says_nothing(value) == nothing
    found = number_of(value)
    assert found == number
    assert (found is None) == (number is None)
    assert compared(value, NAN) is None


# -- filter ------------------------------------------------------------------------------------

FILTER = '[stages.out]\nkind = "filter"\ninput = "got"\ncolumn = "x"\nby = "rule"\nshard_rows = 3\n'


@pytest.mark.parametrize(
    ("kind", "values", "share", "kept", "reasons", "measures"),
    [
        (pa.float64(), [0.1, None, 0.3, NAN, 0.2, 0.4], 0.5, [0.3, 0.4],
         ["x 0.1000 below 0.3000", "x is missing", "x is missing", "x 0.2000 below 0.3000"],
         {"threshold": 0.3, "scored": 4, "missing": 2}),
        (pa.float64(), [1.0, 2.0, 3.0], 0.5, [2.0, 3.0], ["x 1.0000 below 2.0000"],
         {"threshold": 2.0}),
        (pa.float32(), [1.0, NAN], 1.0, [1.0], ["x is missing"],
         {"threshold": 1.0, "scored": 1, "missing": 1}),
        (pa.float64(), [math.inf, -math.inf, 0.0], 0.3, [math.inf],
         ["x -inf below inf", "x 0.0000 below inf"], {"threshold": "inf"}),
        (pa.float64(), [-math.inf, 5.0, None], 1.0, [-math.inf, 5.0], ["x is missing"],
         {"threshold": "-inf", "scored": 2, "missing": 1}),
        (pa.int64(), [2**53, 2**53 + 1, 2**53 + 2, None], 0.5, [2**53 + 1, 2**53 + 2],
         [f"x {2**53} below {2**53 + 1}", "x is missing"],
         {"threshold": str(2**53 + 1), "scored": 3, "missing": 1}),
        (pa.string(), ["0.3", "0.30", " 0.2", "3e-1", "", "NaN", "n/a", None, "9" * 40, "0.1"], 0.7,
         ["0.3", "0.30", "3e-1", "9" * 40],
         ["x 0.2000 below 0.3000", "x is missing", "x is missing", "x 'n/a' is no number",
          "x is missing", "x 0.1000 below 0.3000"],
         {"threshold": "0.3", "scored": 6, "missing": 3, "no_number": 1}),
        (pa.large_string(), ["1", "2", None], 0.1, ["2"], ["x 1.0000 below 2.0000", "x is missing"],
         {"threshold": 2.0, "scored": 2, "missing": 1}),
    ],
)  # fmt: skip
def test_the_share_to_keep_is_that_of_the_rows_with_a_score(
    tmp_path, monkeypatch, kind, values, share, kept, reasons, measures
):
    rows = {"got": [{"x": value} for value in values]}
    stages = f"{FILTER}keep_top = {share}\n"
    store = run(tmp_path, monkeypatch, stages, rows, {"x": kind})
    assert [row["x"] for row in rows_of(store, "out")] == kept
    assert [row["_reason"] for row in rows_of(store, "out", "rejected")] == reasons
    assert store.find("out").measures == measures


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (pa.float64(), [None, NAN], "got: no row has a number in column 'x', so there is nothing"),
        (pa.null(), [None], "got: no row has a number in column 'x', so there is nothing"),
        (pa.string(), ["", "high"], r"no row has a number in column 'x' \(it has 'high'\), so"),
        (pa.bool_(), [True], "column 'x' holds bool; filter needs numbers"),
    ],
)
def test_a_column_without_any_number_is_named_with_the_remedy(
    tmp_path, monkeypatch, kind, values, message
):
    rows = {"got": [{"x": value} for value in values]}
    with pytest.raises(InputError, match=message):
        run(tmp_path, monkeypatch, FILTER + "keep_top = 0.5\n", rows, {"x": kind})


# -- keys --------------------------------------------------------------------------------------

JOIN = '[stages.out]\nkind = "join"\nleft = "got"\nright = "other"\non = ["x"]\nsuffix = "_2"\n'


@pytest.mark.parametrize(
    ("kind", "left", "right", "pairs"),
    [
        (pa.float64(), [1.0, NAN, None], [NAN, None, 1.0], [[0, 5]]),
        (pa.string(), ["a", "", None, " "], ["", "a", " ", None], [[0, 5]]),
        (pa.int64(), [1, None], [None, 2, 1], [[0, 4]]),
    ],
)
def test_two_missing_keys_never_match(tmp_path, monkeypatch, kind, left, right, pairs):
    rows = {"got": [{"x": x} for x in left], "other": [{"x": x} for x in right]}
    store = run(tmp_path, monkeypatch, JOIN, rows, {"x": kind})
    assert [row["_from"] for row in rows_of(store, "out")] == pairs
    told = {row["_from"][0]: row["_reason"] for row in rows_of(store, "out", "rejected")}
    for place, value in enumerate([*left, *right]):
        if place not in {p for pair in pairs for p in pair}:
            lacks = str(value).strip() in {"None", "nan", ""}
            assert (told[place] == "x is missing") == lacks


def test_a_key_that_no_row_has_joins_nothing_whatever_its_type(tmp_path, monkeypatch):
    rows = {"got": [{"x": None}, {"x": None}], "other": [{"x": None}]}
    with pytest.raises(InputError, match="3 of 3 were rejected with: x is missing"):
        run(tmp_path, monkeypatch, JOIN, rows, {"x": pa.null()})


@pytest.mark.parametrize(
    ("kind", "values", "groups"),
    [
        (pa.float64(), [NAN, 1.0, NAN, None, 1.0, None], [[0], [1, 4], [2], [3], [5]]),
        (pa.string(), ["", "a", "", None, "a", " "], [[0], [1, 4], [2], [3], [5]]),
        (pa.null(), [None, None], [[0], [1]]),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_rows_without_a_value_are_no_duplicates(tmp_path, monkeypatch, kind, values, groups, exact):
    if kind == pa.float64() and not exact:
        pytest.skip("numbers are compared exactly")
    stage = (
        f'[stages.out]\nkind = "dedup"\ninput = "got"\ncolumn = "x"\nexact = {str(exact).lower()}\n'
    )
    store = run(tmp_path, monkeypatch, stage, {"got": [{"x": x} for x in values]}, {"x": kind})
    assert [row["_from"] for row in rows_of(store, "out")] == groups


def test_a_column_without_any_value_has_no_type_that_a_mix_could_mind(tmp_path):
    sets = {
        "one": [{"text": "a", "n": 1}],
        "other": [{"text": "b", "n": None}],
        "blank": [{"text": "c", "n": ""}],
    }
    stages = "".join(
        f'[stages.{name}]\nkind = "import"\ntitle = "{name}"\nsource = "{name}.jsonl"\n'
        'generator = "none"\n'
        for name in sets
    )
    stages += '[stages.out]\nkind = "mix"\ninputs = { other = 1.0, one = 1.0, blank = 1.0 }\n'
    store = run_stages(tmp_path, stages, {f"{name}.jsonl": rows for name, rows in sets.items()})
    assert [row["n"] for row in rows_of(store, "out")] == [None, 1, None]


def test_a_row_without_human_label_is_none_that_has_one(tmp_path, monkeypatch):
    rows = {"got": [{"gold": gold} for gold in ("good", None, "", " ", "bad")]}
    stage = '[stages.out]\nkind = "split"\ninput = "got"\nrange = [0, 1]\ngold = "require"\n'
    store = run(tmp_path, monkeypatch, stage, rows)
    assert [row["gold"] for row in rows_of(store, "out")] == ["good", "bad"]
    store = run(
        tmp_path / "number",
        monkeypatch,
        stage,
        {"got": [{"gold": 1.0}, {"gold": NAN}]},
        {"gold": pa.float64()},
    )
    assert [row["gold"] for row in rows_of(store, "out")] == [1.0]


@pytest.mark.parametrize("value", [None, NAN, "", "nan", "NaN", Decimal("NaN")])
def test_a_rating_that_is_missing_is_no_label(value):
    gold = Gold(column="c", labels={"high": {"at_least": 4}, "low": {"at_most": 3}})
    assert gold.label_of(value) is None


# -- who learns and who is measured ------------------------------------------------------------

PRETRAIN = (
    'kind = "pretrain"\ninputs = ["got"]\nsteps = 2\nwidth = 16\nlayers = 1\nheads = 2\n'
    "vocabulary = 512\nbatch_tokens = 64\n"
)
TRAINERS = {
    "hard": ('kind = "classifier"\ninput = "got"\nbuckets = 64\n', ["text", "label", "confidence"]),
    "soft": (
        'kind = "classifier"\ninput = "got"\nbuckets = 64\nsoft = true\n',
        ["text", "p_bad", "p_good"],
    ),
    "pretrain": (PRETRAIN, ["text", "label"]),
}
LEARNED = {
    "label": pa.string(),
    "confidence": pa.float64(),
    "p_good": pa.float64(),
    "p_bad": pa.float64(),
}


def lesson(i, **lacks):
    label, word = ("good", "lovely") if i % 2 else ("bad", "awful")
    share = 0.9 if i % 2 else 0.2
    return {
        "text": f"{word} day {i}", "label": label, "confidence": 0.8, "p_good": share,
        "p_bad": 1 - share, **lacks,
    }  # fmt: skip


@pytest.mark.parametrize("kind", TRAINERS)
def test_rows_that_cannot_be_learned_from_are_left_out_and_told(tmp_path, monkeypatch, kind):
    keys, needs = TRAINERS[kind]
    stages = f"[stages.out]\n{keys}"
    whole = [lesson(i) for i in range(20)]
    lacks = [lesson(90 + i, **{name: None}) for i, name in enumerate(needs)]
    lacks += [lesson(80, **{needs[-1]: NAN})] if kind != "pretrain" else []
    lacks += [lesson(81, label=" ")] if "label" in needs else []
    rows = [lacks[0], *whole[:7], *lacks[1:], *whole[7:]]
    store = run(tmp_path / "all", monkeypatch, stages, {"got": rows}, LEARNED)
    alone = run(tmp_path / "own", monkeypatch, stages, {"got": whole}, LEARNED)
    found, own = store.find("out"), alone.find("out")
    assert [file.sha256 for file in found.files] == [file.sha256 for file in own.files]
    assert found.tokens == own.tokens
    left_out = found.measures.pop("left_out")["got@1"]
    assert set(left_out) == set(needs)
    assert sum(left_out.values()) == len(lacks)
    (told,) = (text for text in found.measures.pop(WARNINGS) if "not learned from" in text)
    assert f"got@1: {len(lacks)} of {len(rows)} rows were not learned from (" in told
    own.measures.pop(WARNINGS, None)
    assert found.measures == own.measures


@pytest.mark.parametrize(
    ("kind", "lacks", "message"),
    [
        ("hard", {"label": None}, "no row has all of text, label, confidence .20 lack label., so"),
        ("pretrain", {"label": ""}, "no row has all of text, label .20 lack label., so there is"),
        ("soft", {"p_bad": NAN}, "no row has all of text, p_bad, p_good .20 lack p_bad., so"),
    ],
)
def test_where_no_row_can_be_learned_from_the_column_is_named(
    tmp_path, monkeypatch, kind, lacks, message
):
    rows = {"got": [lesson(i, **lacks) for i in range(20)]}
    with pytest.raises(InputError, match=message):
        run(tmp_path, monkeypatch, f"[stages.out]\n{TRAINERS[kind][0]}", rows, LEARNED)


def test_confidences_may_be_texts_that_write_numbers(tmp_path, monkeypatch):
    stage = f"[stages.out]\n{TRAINERS['hard'][0]}"
    kinds = {**LEARNED, "confidence": pa.string()}
    rows = [lesson(i, confidence="0.8") for i in range(20)]
    store = run(tmp_path / "text", monkeypatch, stage, {"got": rows}, kinds)
    own = run(tmp_path, monkeypatch, stage, {"got": [lesson(i) for i in range(20)]}, LEARNED)
    assert store.find("out").files == own.find("out").files
    rows[3]["confidence"] = "sure"
    with pytest.raises(InputError, match="column 'confidence' holds 'sure' in row 3, and a conf"):
        run(tmp_path / "wrong", monkeypatch, stage, {"got": rows}, kinds)


EVALUATE = '[stages.out]\nkind = "evaluate"\ninput = "got"\nsystems = { s = "got" }\n'


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (pa.string(), ["1.0", None, "", "2.0", " "]),
        (pa.float64(), [1.0, NAN, None, 2.0, NAN]),
    ],
)
def test_a_missing_label_is_no_class_of_its_own(tmp_path, monkeypatch, kind, labels):
    golds = ("1.0", "1.0", "2.0", "1.0", "2.0")
    pairs = zip(golds, labels, strict=True)
    rows = {"got": [{"gold": gold, "label": label} for gold, label in pairs]}
    store = run(tmp_path, monkeypatch, EVALUATE, rows, {"label": kind})
    found = store.find("out").measures["systems"]["s"]
    assert found["unanswered"] == 3
    assert found["confusion"]["columns"] == ["1.0", "2.0", None]
    assert [row["s"] for row in rows_of(store, "out")] == ["1.0", "", "", "2.0", ""]


@pytest.mark.parametrize("gold", [None, "", " "])
def test_a_missing_human_label_is_no_class_either(tmp_path, monkeypatch, gold):
    rows = {"got": [{"gold": "a", "label": "a"}, {"gold": gold, "label": "a"}]}
    with pytest.raises(InputError, match=r"got: 1 of 2 rows have no human label, .*'require'"):
        run(tmp_path, monkeypatch, EVALUATE, rows, {"label": pa.string()})
    rows["got"][0]["gold"] = None
    with pytest.raises(InputError, match="got: none of its 2 rows has a human label"):
        run(tmp_path / "none", monkeypatch, EVALUATE, rows, {"label": pa.string()})


# -- who is asked ------------------------------------------------------------------------------


def test_a_number_that_is_missing_is_nothing_in_a_prompt(tmp_path, monkeypatch):
    asked = []

    def answer(question):
        asked.append(question.body)
        return Answer((), 1, "Something was written.", finish="stop")

    says(monkeypatch, answer)
    stage = '[stages.out]\nkind = "generate"\ninput = "got"\nteacher = "t"\nprompt = "p.jinja"\n'
    rows = {"got": [{"x": 1.0}, {"x": NAN}, {"x": None}]}
    files = {"p.jinja": "{{ text }} has {{ x }}{{ [x] | join }}."}
    store = run(tmp_path, monkeypatch, stage, rows, FLOAT, files)
    assert sorted(asked) == ["got 0 has 1.01.0.", "got 1 has .", "got 2 has ."]
    asked.clear()
    run(tmp_path / "alone", monkeypatch, stage, rows, FLOAT, {"p.jinja": "Say {{ x }}."})
    assert asked == ["Say 1.0."]
    assert len(rows_of(store, "out")) == 3


CHOOSE = {
    "label": 'labels = { good = " good", bad = " bad" }\nprompt = "p.txt"\n',
    "verify": 'prompt = "p.txt"\n',
}


@pytest.mark.parametrize("kind", CHOOSE)
@pytest.mark.parametrize("odd", [NAN, -math.inf, math.inf])
def test_one_answer_without_numbers_spoils_no_other(tmp_path, monkeypatch, kind, odd):
    def answer(question):
        return Answer((odd, -0.1) if "got 1" in question.body else (-0.1, -2.5), 1)

    says(monkeypatch, answer)
    stage = f'[stages.out]\nkind = "{kind}"\ninput = "got"\nteacher = "t"\n{CHOOSE[kind]}'
    files = {"p.txt": "Text: {{ text }}\nAnswer:"}
    store = run(tmp_path, monkeypatch, stage, {"got": [{}] * 4}, files=files)
    (gone,) = rows_of(store, "out", "rejected")
    assert (gone["_from"], "log-probabilities" in gone["_reason"]) == (1, True)
    assert len(rows_of(store, "out")) == 3


@pytest.mark.parametrize(
    ("logprobs", "right"), [((-1e9, 0.0), 0.0), ((0.0, -1e9), 1.0), ((NAN, 0.0), None)]
)
def test_a_judge_may_be_as_sure_as_it_likes(tmp_path, monkeypatch, logprobs, right):
    def answer(question):
        if not question.choices:
            return Answer((), 1, "Something was written.", finish="stop")
        return Answer(logprobs if "got 1" in question.body else (-0.1, -2.5), 1)

    says(monkeypatch, answer)
    stage = '[stages.out]\nkind = "generate"\ninput = "got"\nteacher = "t"\njudge = "t"\n'
    store = run(tmp_path, monkeypatch, stage, {"got": [{}] * 3})
    rows = {row["_from"]: row for p in ("part", "rejected") for row in rows_of(store, "out", p)}
    assert rows[1]["right"] == right
    assert rows[0]["right"] == rows[2]["right"] == pytest.approx(1 / (1 + math.exp(-2.4)))


BRINGS = {
    "label": ({"label", "confidence", "p_good"},
              f'input = "got"\nteacher = "t"\nsoft = true\n{CHOOSE["label"]}'),
    "verify": ({"right"}, f'input = "got"\nteacher = "t"\n{CHOOSE["verify"]}'),
    "chunk": ({"piece"}, 'input = "got"\nwords = 1\n'),
    "rewrite": ({"right", "sample"},
                'input = "got"\nteacher = "t"\njudge = "t"\nsamples = 2\nthreshold = 0\n'),
    "apply": ({"label", "confidence"}, 'input = "got"\nmodel = "model"\n'),
}  # fmt: skip


@pytest.mark.parametrize("kind", BRINGS)
def test_what_a_stage_gives_is_written_over_nothing(tmp_path, monkeypatch, kind):
    names, keys = BRINGS[kind]
    own = {name: f"own {name}" for name in names}
    rows = [{**own, "original_label": "older"}] * 3
    kinds = dict.fromkeys((*own, "original_label"), pa.string())
    tables = {"got": rows}
    stages = f'[stages.out]\nkind = "{kind}"\n{keys}'
    if kind == "apply":
        tables = {"clean": [lesson(i) for i in range(20)], "got": rows}
        stages = f"[stages.model]\n{TRAINERS['hard'][0].replace('got', 'clean')}{stages}"
        kinds["confidence"] = pa.string()
        for row in tables["clean"]:
            row["confidence"] = "0.8"
    files = {"p.txt": "Text: {{ text }}\nAnswer:"}
    store = run(tmp_path, monkeypatch, stages, tables, kinds, files)
    for row in rows_of(store, "out"):
        for name in names:
            assert row[name] != own[name]
            kept = "original_2_label" if name == "label" else f"original_{name}"
            assert row[kept] == own[name]
        assert row["original_label"] == "older"


# -- measures, the ledger, what is given away --------------------------------------------------


def measuring(monkeypatch, value):
    real = FilterSpec.run

    def run_it(self, records, ctx):
        ctx.measures["own"] = {"deep": [value]}
        yield from real(self, records, ctx)

    monkeypatch.setattr(FilterSpec, "run", run_it)


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
def test_a_measure_that_is_no_number_is_null_and_told(tmp_path, monkeypatch, value):
    measuring(monkeypatch, value)
    rows = {"got": [{"x": float(i)} for i in range(7)]}
    store = run(tmp_path, monkeypatch, FILTER + "keep_top = 0.5\n", rows, FLOAT)
    measures = store.find("out").measures
    assert measures["own"] == {"deep": [None]}
    assert measures[WARNINGS] == [
        f"its measure own.deep[0] came out as {value}, which is no number; it is kept as null"
    ]


def test_a_measure_that_cannot_be_kept_is_named_before_rows_are_committed(tmp_path, monkeypatch):
    measuring(monkeypatch, 2**60)
    rows = {"got": [{"x": float(i)} for i in range(7)]}
    with pytest.raises(CanonicalError, match=r"stages\.out: its measure 'own' cannot be kept: "):
        run(tmp_path, monkeypatch, FILTER + "keep_top = 0.5\n", rows, FLOAT)
    assert not list((tmp_path / "store" / "datasets" / "out@1").glob("*.parquet"))


def test_published_rows_hold_no_nan(tmp_path, monkeypatch):
    kinds = {"x": pa.float64(), "y": pa.float32(), "z": pa.list_(pa.float64())}
    rows = {"got": [{"x": NAN, "y": 1.5, "z": [NAN, 1.0]}, {"x": 2.0, "y": NAN, "z": None}]}
    store = run(tmp_path, monkeypatch, "", rows, kinds)
    manifest = store.find("got")
    publish(store, manifest, str(tmp_path / "j"), Wish("jsonl"))
    lines = (tmp_path / "j" / "data" / "part-00000.jsonl").read_text().splitlines()
    found = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [(row["x"], row["y"], row["z"]) for row in found] == [
        (None, 1.5, [None, 1.0]),
        (2.0, None, None),
    ]
    publish(store, manifest, str(tmp_path / "c"), Wish("csv"))
    with (tmp_path / "c" / "data" / "part-00000.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert [(row["x"], row["y"], row["z"]) for row in found] == [
        ("", "1.5", "[null, 1.0]"),
        ("2", "", ""),
    ]


def test_a_cap_that_nothing_goes_over_is_none(recipe_file):
    told = CliRunner().invoke(app, ["run", str(recipe_file), "--max-usd", "nan"])
    assert "--max-usd" in told.output
    assert told.exit_code == 2
    with pytest.raises(InputError, match="the cap in US dollars is NaN"):
        Caps(usd=NAN)


@pytest.mark.parametrize("value", [NAN, math.inf])
def test_no_fact_of_a_policy_is_nan(value):
    for name in ("monthly_users", "annual_revenue_usd"):
        with pytest.raises(ValueError, match="finite number"):
            Operator(**{name: value})
