"""The head of a page: how good, in words and before all else; and what is told of rows and cost."""

import json
import re

import pytest
from tests_support import run_stages
from tests_tables import table
from typer.testing import CliRunner

from mashbill import ArtifactRef
from mashbill.cli import app
from mashbill.core.evaluation import evaluation_of
from mashbill.report import write_report
from mashbill.report.costs import Cost, costs_of, duration, money, together
from mashbill.report.gather import gather
from mashbill.report.headline import headline
from mashbill.report.rows_shown import examples_of, readable, sample_rows
from mashbill.report.terms_shown import terms_rows
from mashbill.report.worth import systems_of, worth_of

LABELS = 'labels = { good = " good", bad = " bad" }'
RECIPE = f"""
[teachers.t]
kind = "fake"
words.good = ["lovely", "bright", "kind"]
words.bad = ["awful", "dull", "cruel"]

[stages.lines]
kind = "corpus"
title = "Lines"
source = "lines.jsonl"
gold.column = "mood"
gold.labels.good.equals = "good"
gold.labels.bad.equals = "bad"

[stages.first]
kind = "split"
input = "lines"
range = [0.0, 0.5]

[stages.heldout]
kind = "split"
input = "lines"
range = [0.5, 1.0]
gold = "require"

[stages.labelled]
kind = "label"
input = "first"
teacher = "t"
prompt = "p.txt"
{LABELS}

[stages.student]
kind = "classifier"
input = "labelled"
buckets = 1024

[stages.again]
kind = "apply"
input = "first"
model = "student"

[stages.second]
kind = "classifier"
input = "again"
buckets = 1024

[stages.heldout-student]
kind = "apply"
input = "heldout"
model = "student"

[stages.heldout-second]
kind = "apply"
input = "heldout"
model = "second"

[stages.unmeasured]
kind = "classifier"
input = "again"
buckets = 512

[stages.evaluation]
kind = "evaluate"
input = "heldout"
systems = {{ small = "heldout-student", later = "heldout-second" }}
"""
WORDS = {"good": ["lovely", "bright", "kind"], "bad": ["awful", "dull", "cruel"]}
LINES = [
    # Humans mean the opposite of what the teacher hears, so that whoever learns from it is worse
    # than whoever knows nothing.
    {"text": f"{WORDS[('good', 'bad')[n % 2]][n % 3]} thing, number {n} <b>", "mood": mood}
    for n, mood in enumerate(["bad", "good"] * 100)
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    files = {"lines.jsonl": LINES, "p.txt": "{{ text }}"}
    return run_stages(tmp_path_factory.mktemp("head"), RECIPE, files, teachers="")


def told_of(store, name):
    return gather(store, store.get(ArtifactRef(name, "1")))


def test_a_model_that_is_worse_than_the_commonest_label_is_called_so_before_all_else(
    store, tmp_path
):
    page = write_report(store, store.get(ArtifactRef("student", "1")), tmp_path / "p.html")
    text = page.read_text()
    main = text[text.index("<main") :]
    said = re.sub(r"<[^>]+>", " ", main).split()
    assert " ".join(said).startswith("Is my model good? Worse than always saying “")
    assert '<div class="answer poor">' in main
    head = headline(told_of(store, "student"), [])
    assert head.level == "poor"
    evaluation = evaluation_of(store.find("evaluation").measures)
    result = evaluation.systems["small"]
    for share in (result.value, result.low, result.high, evaluation.majority):
        assert f"{share:.1%}" in head.lead
    assert "student@1 is a classifier of" in head.made
    assert "with 2 labels, made by a stage of kind classifier of labelled@1" in head.made


def test_which_system_is_which_model_follows_from_who_answered(store):
    evaluation = store.find("evaluation")
    for model, systems in (("student", ("small",)), ("second", ("later",)), ("unmeasured", ())):
        assert systems_of(store, evaluation, store.get(ArtifactRef(model, "1"))) == systems
    assert set(systems_of(store, evaluation, evaluation)) == {"small", "later"}
    assert systems_of(store, evaluation, store.find("labelled")) == ()
    assert systems_of(store, evaluation, store.find("heldout-student")) == ()


def test_what_nobody_measured_is_said_with_how_to_measure_it(store, tmp_path):
    head = headline(told_of(store, "unmeasured"), [])
    assert head.level == "unknown"
    assert head.lead == "Nobody measured how good unmeasured@1 is."
    assert "a stage of kind split" in head.how
    assert "kind evaluate" in head.how
    page = write_report(store, store.get(ArtifactRef("unmeasured", "1")), tmp_path / "p.html")
    assert "How to find out:" in page.read_text()


def test_an_evaluation_tells_all_of_its_systems_the_worst_first(store):
    head = headline(told_of(store, "evaluation"), [])
    assert head.question == "Which model is good?"
    lines = [head.lead, *head.lines]
    assert {line.partition(":")[0] for line in lines} == {"small", "later"}


def test_rows_right_and_wrong_are_those_of_the_evaluation(store):
    found = examples_of(store, store.find("evaluation"), "small")
    rows = store.dataset(store.find("evaluation").ref).read(0, 10_000).to_pylist()
    assert found.all_wrong == sum(row["gold"] != row["small"] for row in rows)
    assert found.all_right == sum(row["gold"] == row["small"] for row in rows)
    for each in (*found.wrong, *found.right):
        row = rows[each.row]
        assert (each.text, each.gold, each.said) == (row["text"], row["gold"], row["small"])
        assert (each in found.wrong) == (row["gold"] != row["small"])
    kept_back = examples_of(store, store.find("evaluation"), "small", "not shown: because")
    assert (kept_back.wrong, kept_back.right) == ((), ())
    assert kept_back.all_wrong == found.all_wrong
    assert examples_of(store, store.find("evaluation"), "no such system") is None


def test_a_dataset_is_asked_about_its_rows(store, tmp_path):
    page = write_report(store, store.find("labelled"), tmp_path / "p.html").read_text()
    assert "<h2>Are my data good?</h2>" in page
    assert "labelled@1 has" in page
    assert "&lt;b&gt;" in page
    assert " <b>thing" not in page
    found = sample_rows(store, store.find("labelled"))
    rows = store.dataset(store.find("labelled").ref).read(0, 10_000).to_pylist()
    assert found.head[0] == "text"
    for number, cells in found.rows:
        assert cells[0] == rows[number]["text"]
    assert sample_rows(store, store.find("labelled"), "not shown: because").rows == ()


def test_what_it_took_is_what_the_ledger_says(store):
    facts = told_of(store, "second")
    assert [one.name for one in facts.costs][-1] == "second@1"
    assert {one.name for one in facts.costs} == {
        "lines@1", "first@1", "labelled@1", "student@1", "again@1", "second@1",
    }  # fmt: skip
    entries = {e.told("artifact"): e.predicate for e in store.committed().values()}
    for one in facts.costs:
        assert one.seconds == entries[one.name]["seconds"]
        assert one.calls == entries[one.name]["calls"]
    assert together(facts.costs).calls == store.find("labelled").rows
    assert costs_of(store, []) == ()
    assert together([]).time == "not recorded"
    assert (
        together([Cost("a", "x", None, 0, 0, 0.0), Cost("b", "x", 3.0, 1, 2, 0.5)]).seconds == 3.0
    )


def measures(metric="accuracy", value=0.5, low=0.4, high=0.6, **more):
    facts = {metric: value, "low": low, "high": high}
    return {"metric": metric, "rows": 100, "systems": {"s": facts}, **more}


@table(
    ("told", "level", "first", "says"),
    [
        (measures(value=0.3, low=0.2, high=0.4, majority=0.5, majority_label="a"), "poor",
         "Worse than always saying “a”", "right on 30.0% of 100 held-out rows"),
        (measures(value=0.5, majority=0.5, majority_label="a"), "poor",
         "No better than always saying “a”", "(95% interval 40.0% to 60.0%)"),
        (measures(value=0.55, majority=0.5), "fair",
         "Not clearly better than always saying the commonest label", "right on 55.0%"),
        (measures(value=0.7, low=0.6, high=0.8, majority=0.5), "good", "Better than", "70.0%"),
        (measures("score", 0.2, 0.1, 0.24, chance=0.25, by="exact"), "poor", "Worse than chance",
         "mean score by exact is 0.200"),
        (measures("score", 0.5, by="exact"), "unknown", "", "0.500 on 100 held-out rows"),
        (measures("bits_per_byte", 1.5, 1.4, 1.6), "unknown", "", "1.500 bits for a byte"),
        (measures("score", None, None, None), "unknown", "No row of it was scored", ""),
        (measures("suite", by="lm-eval"), "unknown", "", "Figures of lm-eval"),
        (measures(value=0.7, low=None, high=None, majority=0.5), "fair", "Not clearly better than",
         "(with no interval)"),
    ],
)  # fmt: skip
def test_how_a_system_stands_is_told_in_words(told, level, first, says):
    worth = worth_of(evaluation_of(told), "s")
    assert worth.level == level
    assert worth.first.startswith(first)
    assert bool(worth.first) == bool(first)
    assert says in worth.says


@table(
    ("seconds", "told"),
    [(0.2, "under 1 s"), (1, "1 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"),
     (3725, "1 h 2 min"), (90_000, "1 d 1 h")],
)  # fmt: skip
def test_times_are_told_in_two_units(seconds, told):
    assert duration(seconds) == told


def test_what_was_paid_never_reads_as_nothing():
    assert [money(usd) for usd in (0, 0.001, 0.01, 1234.5)] == [
        "$0.00", "under $0.01", "$0.01", "$1,234.50",
    ]  # fmt: skip


@table(
    ("value", "nested", "told"),
    [
        (None, False, ""), ("x" * 900, False, "x" * 399 + "…"), (0.123456, False, "0.1235"),
        (b"abc", False, "3 bytes"), ([1, {"a": 2}], False, '[1, {"a": 2}]'),
        ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}], False,
         "user: hi\nassistant: ho"),
        (json.dumps([{"from": "human", "value": "hi"}]), True, "human: hi"),
        ('{"a": ', True, '{"a": '), ('{"a": 1}', False, '{"a": 1}'),
        ([{"role": "user", "content": str(n)} for n in range(9)], False,
         "\n".join([*(f"user: {n}" for n in range(6)), "… 3 more"])),
    ],
)  # fmt: skip
def test_a_cell_is_told_so_that_people_can_read_it(value, nested, told):
    assert readable(value, nested=nested) == told


def test_terms_are_one_table_with_each_thing_once_and_what_is_not_allowed_first():
    def run(day, *decisions):
        return {"as_of": day, "decisions": list(decisions)}

    def item(about, outcome="allow", **more):
        return {"about": about, "outcome": outcome, "rule": "r", "document": "d",
                "engine": "e", "effective_from": "", **more}  # fmt: skip

    rows = terms_rows(
        [
            run("2026-01-01", item("b"), item("a")),
            run("2026-01-02", item("b"), item("c", "review", document="", second_hand=True)),
        ]
    )
    assert [(row.source, row.outcome) for row in rows] == [
        ("c", "review"), ("a", "allow"), ("b", "allow"),
    ]  # fmt: skip
    assert rows[2].asked == "2026-01-01, 2026-01-02"
    assert rows[1].unknown == ("since when the text holds",)
    assert rows[0].unknown == (
        "no document is recorded",
        "the text itself: it was read in a third party's words only",
        "what the clause wants to know; `mashbill check` names it",
    )
    assert terms_rows([]) == ()


def test_a_page_speaks_of_curves_only_where_it_has_some(store, tmp_path):
    page = write_report(store, store.find("student"), tmp_path / "p.html").read_text()
    assert "<h3>How it was trained</h3>" in page
    assert "the band around it" not in page


def test_who_learned_from_a_column_of_people_is_told_to_agree_with_that(tmp_path, capsys):
    mine = """
[stages.mine]
kind = "classifier"
input = "lines"
target = "gold"
buckets = 512
"""
    files = {"lines.jsonl": LINES, "p.txt": "{{ text }}"}
    head = RECIPE.partition("[stages.first]")[0]
    there = run_stages(tmp_path, head + mine, files, teachers="")
    page = write_report(there, there.find("mine"), tmp_path / "p.html").read_text()
    shown = CliRunner().invoke(app, ["show", "mine", "--store", str(there.root)]).stdout
    for told in (page, shown):
        assert "agreement with column gold" in told
        assert "labeller" not in told
    assert "labeller" not in capsys.readouterr().out
