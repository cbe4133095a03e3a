"""A question that was not answered is a rejected row with its reason, and spoils no other."""

from types import SimpleNamespace

import pyarrow as pa
import pytest
from tests_support import TEACHER, rows_of, run_stages
from tests_ways import CORPUS, TEXTS, says

from mashbill import Answer, InputError
from mashbill.stages.label import LabelSpec
from mashbill.teachers.session import Session

REFUSED = "the provider withheld it: content filter"
FILES = {
    "texts.jsonl": TEXTS,
    "p.txt": "Text: {{ text }}\nAnswer:",
    "b.txt": "Ask: {{ prompt }}\nA: {{ first }}\nB: {{ second }}\nBetter:",
}
LABEL = """
[stages.out]
kind = "label"
input = "texts"
teacher = "t"
prompt = "p.txt"
labels = { good = " good", bad = " bad" }
soft = true
shard_rows = 3
"""
VERIFY = """
[stages.out]
kind = "verify"
input = "texts"
teacher = "t"
prompt = "p.txt"
shard_rows = 3
"""
PREFER = """
[stages.one]
kind = "generate"
input = "texts"
teacher = "t"

[stages.other]
kind = "generate"
input = "texts"
teacher = "u"

[stages.out]
kind = "prefer"
one = "one"
other = "other"
teacher = "t"
prompt = "b.txt"
"""
TEACHERS = TEACHER + TEACHER.replace("teachers.t]", "teachers.u]\nname = 'U'")


def refusing(monkeypatch, which="owl"):
    """Let the teacher refuse to choose about one animal; return what it was asked."""
    asked = []

    def answer(question):
        asked.append(question.body)
        if not question.choices:
            return Answer((), 1, question.body + " It does." * len(asked))
        if which in question.body:
            return Answer((), 1, "", failed=REFUSED)
        return Answer((-0.1, -2.5) if "fox" in question.body else (-0.4, -1.1), 1)

    says(monkeypatch, answer)
    return asked


def both(folder, stages):
    """Run, and return rows, rejected rows, measures."""
    store = run_stages(folder, CORPUS + stages, FILES, TEACHERS)
    return rows_of(store, "out"), rows_of(store, "out", "rejected"), store.find("out").measures


def test_a_text_that_is_not_labelled_is_rejected_and_counts_for_no_bias(tmp_path, monkeypatch):
    refusing(monkeypatch)
    kept, (gone,), measures = both(tmp_path, LABEL)
    assert len(kept) == len(TEXTS) - 1
    assert (gone["_rejected_by"], gone["_reason"], gone["_from"]) == ("label", REFUSED, 0)
    assert gone["label"] is gone["confidence"] is gone["p_good"] is None
    assert gone["text"] == TEXTS[0]["text"]
    assert gone["_call"]
    # One of the seven that were answered leans to good: by more than the bias of all of them.
    bias = (2.4 + 6 * 0.7) / 7
    assert measures["bias"]["good"] - measures["bias"]["bad"] == pytest.approx(bias)
    assert [row["label"] for row in kept] == ["good"] + ["bad"] * 6


def test_no_label_is_given_without_a_bias(tmp_path, monkeypatch):
    refusing(monkeypatch, "The ")
    with pytest.raises(InputError, match="8 of 8 were rejected with: the provider withheld"):
        both(tmp_path, LABEL)
    refusing(monkeypatch, "owl")
    with pytest.raises(InputError, match="7 of 8 were rejected with: no row that the bias"):
        both(tmp_path / "one", LABEL + "calibrate_on = 1\n")


def test_a_row_that_is_not_verified_is_rejected(tmp_path, monkeypatch):
    refusing(monkeypatch)
    kept, (gone,), _ = both(tmp_path, VERIFY)
    assert len(kept) == len(TEXTS) - 1
    assert (gone["right"], gone["_rejected_by"], gone["_reason"]) == (None, "verify", REFUSED)


def test_a_pair_that_is_not_judged_is_rejected_and_neither_is_chosen(tmp_path, monkeypatch):
    refusing(monkeypatch)
    kept, (gone,), measures = both(tmp_path, PREFER)
    assert len(kept) == len(TEXTS) - 1
    assert gone["chosen"] is gone["rejected"] is gone["margin"] is None
    assert (gone["_reason"], len(gone["_from"])) == (REFUSED, 2)
    assert measures["lean_to_the_first"] == pytest.approx((2.4 + 6 * 0.7) / 7)


@pytest.mark.parametrize("stage", [LABEL, VERIFY])
def test_what_was_turned_down_unasked_has_no_call(tmp_path, monkeypatch, stage):
    refusing(monkeypatch, "no such animal")
    real = Session.ask

    def ask(self, questions):  # as a service's session does with what the linter finds
        turned_down = ("", Answer((), 0, failed="not asked: it is forbidden"))
        answers = zip(questions, real(self, questions), strict=True)
        return [turned_down if "owl" in q.body else answer for q, answer in answers]

    monkeypatch.setattr(Session, "ask", ask)
    store = run_stages(tmp_path, CORPUS + stage, FILES, TEACHERS)
    (gone,) = rows_of(store, "out", "rejected")
    assert (gone["_call"], gone["_reason"]) == (None, "not asked: it is forbidden")


def test_a_row_that_is_null_where_it_is_asked_about_is_not_asked(tmp_path, monkeypatch):
    asked = refusing(monkeypatch, "no such animal")
    corpus = CORPUS.replace('"corpus"', '"import"\ngenerator = "none"')
    rows = [*TEXTS, {"text": "The crow sleeps."}]
    files = {**FILES, "texts.jsonl": rows, "p.txt": "Text: {{ text }} {{ mood }}"}
    stages = corpus + VERIFY + 'columns = ["text", "mood"]\n'
    store = run_stages(tmp_path, stages, files, TEACHERS)
    (gone,) = rows_of(store, "out", "rejected")
    assert (gone["_reason"], gone["_call"]) == ("its column mood is empty", None)
    assert len(asked) == len(TEXTS)


def test_a_label_of_a_null_text_is_not_asked_for(tmp_path):
    (tmp_path / "p.txt").write_text("Text: {{ text }}\nAnswer:")
    table = pa.table({"text": ["a", None, "b"]})
    asked = []

    class Asked:
        def ask(self, questions):
            asked.append([question.body for question in questions])
            return [("00" * 32, Answer((-0.1, -2.5), 1))] * len(questions)

    context = SimpleNamespace(
        recipe_folder=tmp_path,
        teacher=lambda _: Asked(),
        measures={},
        overall={},
        trial=None,
        input=lambda _: SimpleNamespace(sample=lambda *_: table),
    )
    spec = LabelSpec(input="i", teacher="t", prompt="p.txt", labels={"x": " x", "y": " y"})
    (made,) = spec.run(iter(table.to_batches()), context)
    assert made.column("_reason").to_pylist() == [None, "its column text is empty", None]
    assert made.column("label").to_pylist() == ["x", None, "x"]
    assert asked == [[" a\nAnswer:", " b\nAnswer:"]] * 2


def test_a_row_that_was_not_labelled_is_a_row_that_was_got_wrong(tmp_path, monkeypatch):
    texts = [{**row, "mood": "f" if i == 1 else "x"} for i, row in enumerate(TEXTS)]
    corpus = CORPUS + (
        'gold.column = "mood"\ngold.labels.good.equals = "f"\ngold.labels.bad.equals = "x"\n'
    )
    stages = LABEL + (
        '[stages.measured]\nkind = "evaluate"\ninput = "texts"\nsystems = { t = "out" }\n'
    )
    refusing(monkeypatch)
    files = {**FILES, "texts.jsonl": texts}
    store = run_stages(tmp_path, corpus + stages, files, TEACHERS)
    labelled = {row["_from"]: row["label"] for row in rows_of(store, "out")}
    rows = rows_of(store, "measured")
    assert len(rows) == len(TEXTS) > len(labelled)
    assert [row["t"] for row in rows] == [labelled.get(i, "") for i in range(len(TEXTS))]
    gold = [row["gold"] for row in rows]
    right = sum(labelled.get(i) == label for i, label in enumerate(gold)) / len(TEXTS)
    assert store.find("measured").measures["systems"]["t"]["accuracy"] == right
