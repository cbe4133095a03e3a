"""How many are asked for: waves of ``accept``, empty rows, slices side by side."""

import json
import threading
import time
from collections import Counter

import pytest
from tests_support import TEACHER, rows_of, run_stages
from tests_ways import CORPUS, FILES, TEXTS, WAYS, both, made, says

from mashbill import Answer, InputError
from mashbill.prompts.prompt import Prompt
from mashbill.run.slices import add_measures
from mashbill.teachers.fake import FakeTeacher

MANY = [{"text": f"Row {i} is about the animal {i * i}."} for i in range(64)]


def writes_lists(monkeypatch, good=lambda _: True):
    """Let the teacher write as many instructions or pairs as it is asked for."""

    def answer(question):
        properties = question.schema.value["properties"]
        (name,) = properties
        count = properties[name]["maxItems"]
        row = question.body.split("Row ")[1].split()[0]
        made = [f"thing{row} word{n} more{n} other{n}" for n in range(count)]
        if name == "pairs":
            quote = f"Row {row} is about" if good(int(row)) else "nowhere"
            made = [{"question": text, "answer": text, "quote": quote} for text in made]
        return Answer((), 1, json.dumps({name: made}))

    says(monkeypatch, answer)


@pytest.mark.parametrize(("kind", "keys"), [("instruct", "count = 4"), ("qa", "pairs = 4")])
def test_the_first_wave_counts_on_all_that_an_answer_makes(tmp_path, monkeypatch, kind, keys):
    writes_lists(monkeypatch)
    files = {"texts.jsonl": MANY}
    store = made(tmp_path, kind, f"{keys}\naccept = 40\nshown = 1" if kind == "instruct"
                 else f"{keys}\naccept = 40", files, rows=16)  # fmt: skip
    assert store.find("out").measures["asked"] == 10
    assert len(rows_of(store, "out")) == 40
    assert not rows_of(store, "out", "rejected")
    store = made(tmp_path / "odd", kind, f"{keys}\naccept = 38", files, rows=16)
    assert len(rows_of(store, "out")) == 38
    reasons = Counter(row["_reason"] for row in rows_of(store, "out", "rejected"))
    assert reasons == {"beyond the 38 rows that are wanted": 2}


@pytest.mark.parametrize("rows", [4, 64])
def test_waves_follow_the_rate_of_all_slices_so_far(tmp_path, monkeypatch, rows):
    writes_lists(monkeypatch, lambda row: row % 4 == 0)  # a quarter of the documents serves
    keys = "pairs = 2\naccept = 20"
    store = made(tmp_path, "qa", keys, {"texts.jsonl": MANY}, rows=rows)
    assert len(rows_of(store, "out")) == 20
    assert 37 <= store.find("out").measures["asked"] <= 48


def test_few_rejections_at_first_do_not_buy_many(tmp_path, monkeypatch):
    writes_lists(monkeypatch, lambda row: row > 3)
    store = made(tmp_path, "qa", "pairs = 4\naccept = 16", {"texts.jsonl": MANY}, rows=64)
    assert store.find("out").measures["asked"] <= 12


def test_a_stage_that_was_cut_off_asks_on_at_the_rate_that_it_had(tmp_path, monkeypatch):
    keys, files = "pairs = 2\naccept = 20", {"texts.jsonl": MANY}

    def only_some(row):
        return row % 4 == 0

    writes_lists(monkeypatch, only_some)
    whole = made(tmp_path / "whole", "qa", keys, files, rows=4)
    real, batches = FakeTeacher.answer, []

    def dies(self, questions):
        batches.append(1)
        if len(batches) == 7:
            raise InputError("cut off")
        return real(self, questions)

    monkeypatch.setattr(FakeTeacher, "answer", dies)
    with pytest.raises(InputError, match="cut off"):
        made(tmp_path / "cut", "qa", keys, files, rows=4)
    cut = made(tmp_path / "cut", "qa", keys, files, rows=4)
    assert cut.find("out").digest == whole.find("out").digest
    assert cut.find("out").measures == whole.find("out").measures


# ---- empty rows ----

IMPORT = CORPUS.replace('"corpus"', '"import"\ngenerator = "none"')
SPARSE = [
    {**TEXTS[0], "question": "Why?", "aside": "x"},
    {**TEXTS[1], "question": None},
    {**TEXTS[2], "question": " ", "aside": "y"},
]


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr("tests_ways.CORPUS", IMPORT)
    bodies = []

    def answer(question):
        bodies.append(question.system + question.body)
        if question.schema:
            made = {"instructions": ["a b c d e"], "pairs": []}
            names = question.schema.value["required"]
            return Answer((), 1, json.dumps({name: made.get(name, "x") for name in names}))
        return Answer((), 1, "Because.")

    says(monkeypatch, answer)
    return bodies


@pytest.mark.parametrize(
    "kind", ["generate", "instruct", "evolve", "personas", "converse", "tools"]
)
def test_a_row_that_is_empty_where_it_is_asked_about_is_not_asked(tmp_path, asked, kind):
    keys = f'{WAYS[kind]}\ncolumn = "question"'
    store = made(tmp_path, kind, keys, {"texts.jsonl": SPARSE})
    gone = [row for row in rows_of(store, "out", "rejected") if row["_from"]]
    assert {row["_from"] for row in gone} == {1, 2}
    assert {row["_reason"] for row in gone} == {"its column question is empty"}
    assert all(row["_call"] is None for row in gone)
    assert not any("None" in body for body in asked)


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("Q: {{ question }}", "its column question is empty"),
        ("Q: {{ question }} {{ aside }}", "its column question and aside is empty"),
        ("Q: {% if question %}{{ question }}{% endif %}", "its column question is empty"),
    ],
)
def test_a_prompt_of_ones_own_says_what_is_asked_about(tmp_path, asked, prompt, reason):
    store = made(
        tmp_path, "generate", 'prompt = "p.jinja"', {"texts.jsonl": SPARSE[:2], "p.jinja": prompt}
    )
    (gone,) = rows_of(store, "out", "rejected")
    assert gone["_reason"] == reason
    assert len(asked) == 1


def test_a_null_beside_what_is_asked_about_is_nothing(tmp_path, asked):
    prompt = "{{ text }} [{{ question }}|{{ question | trim }}|{{ aside ~ '' }}]"
    made(tmp_path, "generate", 'prompt = "p.jinja"', {"texts.jsonl": SPARSE, "p.jinja": prompt})
    assert len(asked) == 3
    assert sum(body.endswith("[||]") for body in asked) == 1
    (tmp_path / "q.jinja").write_text("{{ a }}{{ b.c }}{{ b | tojson }}")
    said = Prompt(tmp_path / "q.jinja").render({"a": None, "b": {"c": None}}, "here")
    assert said.user == '{"c": null}'


def test_seeds_that_are_empty_are_not_shown(tmp_path, asked):
    store = made(tmp_path, "instruct", 'column = "question"', {"texts.jsonl": SPARSE})
    (row,) = rows_of(store, "out")
    assert row["_from"] == 0
    assert "\n2. " not in asked[0]


def test_an_error_says_where_its_slice_begins(tmp_path):
    prompt = "{{ 1 // (text | length - 50) }}"
    rows = [{"text": f"{i}".ljust(50 if i == 5 else 9, "x")} for i in range(9)]
    with pytest.raises(InputError, match=r"for row 2 of texts: .* counted from row 3 of texts\)"):
        made(tmp_path, "generate", 'prompt = "p.jinja"', {"texts.jsonl": rows, "p.jinja": prompt})


def test_a_judge_of_a_conversation_sees_all_of_it(tmp_path, monkeypatch):
    judged = []

    def answer(question):
        if question.choices:
            judged.append(question.body)
            return Answer((-0.1, -3.0), 1)
        if "The conversation so far" in question.body:
            return Answer((), 1, "And then?")
        return Answer((), 1, "The last." if question.turns else "The first.")

    says(monkeypatch, answer)
    store = made(tmp_path, "converse", 'turns = 2\njudge = "t"')
    for row in rows_of(store, "out"):
        (body,) = (body for body in judged if row["prompt"] in body)
        shown = [row["prompt"], "The first.", "And then?", "The last."]
        assert sorted(shown, key=body.index) == shown
        assert all(body.count(text) == 1 for text in shown)


def test_what_a_judge_cannot_be_asked_is_kept(tmp_path, monkeypatch):
    says(monkeypatch, lambda q: Answer((-0.1, -3.0), 1) if q.choices else Answer((), 1, "x" * 9))
    prompt = "{{ prompt }}{% if 'owl' in prompt %}{{ 1 // 0 }}{% endif %}{{ text }}"
    keys = 'judge = "t"\njudge_prompt = "j.jinja"'
    store = made(tmp_path, "generate", keys, {"j.jinja": prompt})
    (gone,) = rows_of(store, "out", "rejected")
    assert gone["_reason"].startswith("the judge cannot be asked: ")
    assert gone["text"] == "x" * 9


# ---- slices side by side ----

SERVICE = """
[teachers.s]
kind = "fake-service"
words.good = ["lovely"]
words.yes = ["lovely"]
words.no = ["awful"]
"""


def test_slices_side_by_side_count_as_one_behind_the_other(tmp_path):
    stage = '[stages.out]\nkind = "generate"\ninput = "texts"\nteacher = "s"\nshard_rows = 16\n'
    store = run_stages(tmp_path, CORPUS + stage, {**FILES, "texts.jsonl": MANY}, TEACHER + SERVICE)
    measures = store.find("out").measures
    assert (measures["asked"], measures["accepted"]) == (64, 64)


def test_counts_sum_and_what_else_is_measured_is_replaced():
    whole = {"asked": 3, "bias": {"a": 0.5}, "done": True, "kinds": {"x": 1}}
    add_measures(
        whole, {"asked": 4, "bias": {"a": 0.5}, "done": True, "kinds": {"x": 2, "y": 1}, "new": 1}
    )
    assert whole == {
        "asked": 7, "bias": {"a": 0.5}, "done": True, "kinds": {"x": 3, "y": 1}, "new": 1
    }  # fmt: skip


def test_a_model_in_this_process_is_loaded_once_and_asked_by_one_slice_at_a_time(
    tmp_path, monkeypatch
):
    loads, inside, most = [], [], []
    real, answered = FakeTeacher.__init__, FakeTeacher.answer

    def load(self, spec):
        loads.append(threading.get_ident())
        time.sleep(0.05)
        real(self, spec)

    def answer(self, questions):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return answered(self, questions)

    monkeypatch.setattr(FakeTeacher, "__init__", load)
    stage = '[stages.out]\nkind = "generate"\ninput = "texts"\nteacher = "s"\njudge = "t"\n'
    stage += "threshold = 0.0\nshard_rows = 8\n"
    monkeypatch.setattr(FakeTeacher, "answer", answer)
    monkeypatch.setattr("mashbill.teachers.fake_service.FakeTeacher", None, raising=True)
    twin = type("Twin", (), {"answer": lambda _, qs: [Answer((), 3, "lovely day") for _ in qs]})
    monkeypatch.setattr("mashbill.teachers.fake_service.FakeTeacher", lambda *_: twin())
    store = run_stages(tmp_path, CORPUS + stage, {**FILES, "texts.jsonl": MANY}, TEACHER + SERVICE)
    assert len(loads) == 1
    assert max(most) == 1
    assert len(both(store)) == 64
