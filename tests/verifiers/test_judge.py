"""``judge``: teachers as a verifier: what they say, who is on the bill, who is refused."""

from __future__ import annotations

import json
import math
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_students import STAGES, run_chain
from tests_support import execute, rows_of, run_stages

import mashbill as mb
from mashbill import InputError, RecipeError, Store, load_recipe
from mashbill.calls.journal import Journal
from mashbill.core.errors import MashbillError
from mashbill.core.teacher import CUT_OFF, Answer
from mashbill.core.verifier import Around, Case
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.plan import build
from mashbill.prompts.prompt import Prompt
from mashbill.teachers.fake import FakeTeacherSpec
from mashbill.testing import LawError, check_verifier
from mashbill.verifiers.judge.reading import UnreadError, number_value, word_value
from mashbill.verifiers.judge.scoring import Judge
from mashbill.verifiers.judge.spec import JudgeSpec

WORDS = ["lovely", "bright", "kind", "superb", "warm"]
TEACHERS = "".join(
    f'[teachers.{name}]\nkind = "fake"\nname = "Judge {name}"\n'
    f'words.yes = {json.dumps(yes)}\nwords.no = ["is", "awful", "dull"]\n'
    f"{more}\n"
    for name, yes, more in (
        ("a", WORDS, ""), ("b", [*WORDS, "river"], ""), ("kindly", ["q:", "output:"], "noise = 0.0")
    )
)  # fmt: skip
RUBRIC = "Q: {{ prompt }}\nOutput: {{ output }}\nIs it good? answer:"
GOT = """
[stages.got]
kind = "import"
title = "got"
source = "got.jsonl"
generator = "by"
"""
JUDGED = """
[verifiers.good]
kind = "judge"
teachers = {teachers}
prompt = "rubric.txt"
columns = ["prompt"]
{keys}
[stages.out]
kind = "verify"
input = "got"
by = "good"
shard_rows = 4
{stage}
"""
ROWS = [
    {"prompt": f"Say something of {thing}.", "text": text, "by": "x", "gold": gold, "known": known}
    for thing, text, gold, known in (
        ("trains", "a dull awful train", 0, "bright warm trains"),
        ("nights", "an awful night", 0, "warm warm nights"),
        ("rivers", "a lovely warm kind river", 1, "lovely kind rivers"),
        ("days", "a bright superb day", 1, "superb days, kind days"),
        ("films", "a kind kind film", 1, "lovely superb films"),
    )
]


def judged(tmp_path, keys="", teachers='["a"]', stage="", rows=ROWS, more="", rubric=RUBRIC):
    stages = JUDGED.format(keys=keys, teachers=teachers, stage=stage)
    return run_stages(
        tmp_path, GOT + stages, {"got.jsonl": rows, "rubric.txt": rubric}, TEACHERS + more
    )


def told(store):
    return store.find("out").measures


# ---- in a recipe ----


def test_a_judge_scores_rows_and_its_teacher_is_on_the_bill_by_judgement(tmp_path):
    store = judged(tmp_path, stage="threshold = 0.6")
    kept, gone = rows_of(store, "out"), rows_of(store, "out", "rejected")
    assert [row["text"] for row in kept] == [ROWS[n]["text"] for n in (2, 3, 4)]
    assert all(row["score"] > 0.6 and row["_call"] for row in kept)
    assert {row["_rejected_by"] for row in gone} == {"verify"}
    journal = Journal(store.root / "calls.sqlite")
    first = journal.call(kept[0]["_call"].hex())
    assert "Output: a lovely warm kind river" in first.body
    assert first.choices == (" yes", " no")
    found = {
        line.source.name: (line.source.what, line.channels)
        for line in bill(Circuit.of_artifact(store, store.find("out")))
    }
    assert found["Judge a"] == ("model", ("judgement/verifying",)) or found["Judge a"] == (
        "model", ("judgement",),
    )  # fmt: skip
    assert found["verifier judge"][0] == "program"
    inputs = [(item.name, item.role, item.channel) for item in store.find("out").inputs]
    assert ("Judge a", "teacher", "judgement/verifying") in inputs
    # Five rows, and its controls: nothing of that twice.
    assert told(store)["controls"]["good"]["wrong"] == []
    assert told(store)["judging"]["good"]["judges"] == {
        "a": {"answered": 5, "undecided": 0, "failed": 0}
    }
    audit = mb.open(store.root).audit(deep=True)
    assert audit.holds, audit.findings
    assert any("out@1" in str(item.file) or "out" in item.what for item in audit.result.not_derived)


def test_the_plan_counts_its_questions_and_a_second_run_pays_nothing(tmp_path):
    store = judged(tmp_path, teachers='["a", "b"]')
    calls = Journal(store.root / "calls.sqlite").totals()[0]
    path = tmp_path / "some.toml"
    path.write_text(path.read_text().replace('version = "1"', 'version = "2"'))
    recipe = load_recipe(path)
    assert [use.teacher for use in recipe.uses("out") if use.teacher] == ["a", "b"]
    (_, out) = build(recipe).stages
    assert [source.name for source, _, role in out.adds if role == "teacher"] == [
        "Judge a", "Judge b",
    ]  # fmt: skip
    planned = build(recipe, store).stages[1].projected
    assert (planned.least.calls, planned.once) == (10, {"a": 5, "b": 5})
    assert 10 + len(told(store)["controls"]["good"]["wrong"]) <= planned.most.calls
    assert calls <= planned.most.calls
    execute(build(recipe, store), store)
    assert Journal(store.root / "calls.sqlite").totals()[0] == calls


@pytest.mark.parametrize("workers", [1, 2])
def test_who_does_the_slices_changes_nothing(tmp_path, workers):
    from mashbill.run.execution import Execution

    stages = JUDGED.format(keys='gold = "gold"', teachers='["a", "b"]', stage="threshold = 0")
    files = {"got.jsonl": ROWS * 5, "rubric.txt": RUBRIC}
    found = []
    for count in (1, workers):
        folder = tmp_path / f"of{count}"
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            text = data if isinstance(data, str) else "".join(json.dumps(r) + "\n" for r in data)
            (folder / name).write_text(text)
        path = folder / "some.toml"
        path.write_text(f'[recipe]\nname = "some"\nversion = "1"\n{TEACHERS}{GOT}{stages}')
        store = mb.Store(folder / "store", mb.Signer.default())
        how = Execution(tmp_path / "cache", threads=1, workers=count)
        execute(build(load_recipe(path), store), store, how)
        found.append((store.find("out").digest, Journal(store.root / "calls.sqlite").totals()[0]))
    assert found[0] == found[1]


def test_several_judges_are_parts_and_their_agreement_and_gold_are_in_the_report(tmp_path):
    keys = 'gold = "gold"'
    store = judged(tmp_path, keys, '["a", "b"]', "threshold = 0.0")
    for row in rows_of(store, "out"):
        assert row["score"] == pytest.approx((row["score_a"] + row["score_b"]) / 2)
        assert row["reason"] == f"a {row['score_a']:.2f}, b {row['score_b']:.2f}"
    counts = told(store)["judging"]["good"]
    assert counts["agreement"]["judges"] == ["a", "b"]
    assert sum(counts["agreement"]["patterns"].values()) == 5
    assert counts["gold"]["sums"]["rows"] == 5
    page = mb.open(store.root).report("out").read_text()
    assert "Krippendorff" in page
    assert "expected calibration error" in page


def test_the_other_judges_decide_where_one_need_not_answer(tmp_path):
    down = '[teachers.c]\nkind = "fake"\nname = "Judge c"\nwords.no = ["a"]\n'
    keys = 'needs = 1\ntogether = "lowest"'
    store = judged(tmp_path, keys, '["a", "c"]', "threshold = 0.0", more=down)
    for row in rows_of(store, "out"):
        assert row["score"] == pytest.approx(min(row["score_a"], row["score_c"]))


def test_a_judge_is_a_part_of_a_rubric_and_its_gate_holds(tmp_path):
    stages = """
[verifiers.good]
kind = "rubric"
[verifiers.good.parts.short]
kind = "form"
max_words = 4
gate = 1.0
[verifiers.good.parts.fine]
kind = "judge"
teachers = ["a", "b"]
prompt = "rubric.txt"
columns = ["prompt"]
weight = 3
[stages.out]
kind = "verify"
input = "got"
by = "good"
threshold = 0.0
shard_rows = 2
"""
    files = {"got.jsonl": ROWS, "rubric.txt": RUBRIC}
    store = run_stages(tmp_path, GOT + stages, files, TEACHERS)
    rows = rows_of(store, "out")
    assert [row["score"] for row in rows if len(row["text"].split()) > 4] == [0.0]
    for row in rows:
        mean = (row["score_short"] + 3 * row["score_fine"]) / 4
        assert row["score"] in (0.0, pytest.approx(mean))
    assert all(row["_call"] for row in rows)
    assert told(store)["controls"]["good.fine"]["wrong"] == []
    assert told(store)["judging"]["good"]["fine"]["judges"]["a"]["answered"] == 5
    assert mb.open(store.root).audit(deep=True).holds


def test_the_best_of_a_group_may_be_chosen_by_a_judge(tmp_path):
    rows = [{**row, "prompt": "the same"} for row in ROWS]
    store = judged(tmp_path, stage='group = ["prompt"]\nbest = 1', rows=rows)
    (kept,) = rows_of(store, "out")
    assert kept["rank"] == 1
    channels = [item.channel for item in store.find("out").inputs if item.role == "teacher"]
    assert channels == ["judgement/verifying", "selection/verifying"]
    audit = mb.open(store.root).audit(deep=True)
    assert audit.holds, audit.findings


def test_a_rebuild_asks_another_judge_and_drops_what_nobody_asks(tmp_path):
    store = judged(tmp_path, teachers='["a", "b"]')
    made = mb.open(store.root).rebuild(
        tmp_path / "some.toml", source="Judge a", teacher={"a": "kindly"},
        to=tmp_path / "again.toml",
    )  # fmt: skip
    assert made is not None
    again = load_recipe(tmp_path / "again.toml")
    assert again.verifiers["good"].teachers == ("kindly", "b")
    assert set(again.teachers) == {"kindly", "b"}
    assert [use.name for use in again.uses("out")] == ["got", "good", "kindly", "b"]


def test_a_model_of_the_recipe_may_judge_and_is_asked_again_by_an_audit(tmp_path):
    again = """
[verifiers.good]
kind = "judge"
teachers = ["student"]
prompt = "rubric.txt"
columns = ["prompt"]
accepts = "it was trained for six steps"
[stages.out]
kind = "verify"
input = "first"
by = "good"
threshold = 0.0
"""
    chain = STAGES[: STAGES.index("[stages.written]")] + again
    store = run_chain(tmp_path, chain, **{"rubric.txt": RUBRIC})
    assert rows_of(store, "out")
    asked = [item for item in store.find("out").inputs if item.asks is not None]
    assert [item.name for item in asked] == ["scratch@1"]
    audit = mb.open(store.root).audit(deep=True)
    assert audit.holds, audit.findings


def test_rows_that_lack_cells_and_other_scripts_are_judged_by_what_is_there(tmp_path):
    rows = [
        {"prompt": None, "text": "a lovely kind \u0646\u0647\u0631", "by": "x", "gold": None},
        {"prompt": "q", "text": None, "by": "x", "gold": 1},
        {"prompt": "\u4f60\u597d", "text": "kind warm e\u0301 \U0001f642", "by": "x", "gold": "1"},
        *ROWS,
    ]
    rows = [*ROWS[:2], *rows]
    rows = [{**row, "gold": None if row["gold"] is None else str(row["gold"])} for row in rows]
    store = judged(tmp_path, 'gold = "gold"', '["a", "b"]', "threshold = 0.0", rows=rows)
    kept = {row["text"]: row for row in rows_of(store, "out")}
    assert len(rows_of(store, "out")) == len(rows) - 1
    assert kept["kind warm e\u0301 \U0001f642"]["score"] > 0.5
    assert told(store)["judging"]["good"]["gold"]["sums"]["rows"] == len(rows) - 2


# ---- negative controls ----


@pytest.mark.parametrize(
    ("keys", "rubric", "said"),
    [
        # It likes the word that its rubric has, so everything.
        ('teachers = ["kindly"]', RUBRIC, r"verifiers.good: kind 'judge' pays 0\.\d+ for an empty"),
        # The scale is upside down: what is right is worth nothing.
        ('teachers = ["a"]\nscale = { " yes" = 0.0, " no" = 1.0 }', RUBRIC, "pays .* for"),
    ],
)
def test_a_judge_that_pays_for_junk_is_refused_by_name_unless_it_is_said_why(
    tmp_path, keys, rubric, said
):
    stages = JUDGED.format(keys="KEYS", teachers='["a"]', stage='reference = "known"')
    stages = stages.replace('teachers = ["a"]\n', "").replace("KEYS", keys)
    files = {"got.jsonl": ROWS, "rubric.txt": rubric}
    with pytest.raises(MashbillError, match=said) as caught:
        run_stages(tmp_path / "no", GOT + stages, files, TEACHERS)
    assert "accepts" in str(caught.value)
    asked = Journal(tmp_path / "no" / "store" / "calls.sqlite").totals()[0]
    assert 0 < asked <= 14  # nothing but the controls
    why = "a small model is measured here, and its yield is what is asked for"
    stages = stages.replace("prompt = ", f'accepts = "{why}"\nprompt = ') + "threshold = 0.0\n"
    store = run_stages(tmp_path / "yes", GOT + stages, files, TEACHERS)
    controls = told(store)["controls"]["good"]
    assert controls["accepted"] == why
    assert controls["wrong"]
    assert any(why in text for text in told(store)["warnings"])
    assert store.find("out").stage["verifiers"]["good"]["accepts"] == why


def test_a_judge_that_pays_for_junk_ends_its_own_branch_alone(tmp_path):
    stages = JUDGED.format(keys="", teachers='["kindly"]', stage='reference = "known"')
    stages += '[stages.behind]\nkind = "split"\ninput = "out"\nrange = [0.0, 1.0]\n'
    stages += '[stages.apart]\nkind = "split"\ninput = "got"\nrange = [0.0, 1.0]\n'
    files = {"got.jsonl": ROWS, "rubric.txt": RUBRIC}
    with pytest.raises(RecipeError, match=r"(?s)^stages\.out: .*Not made for that: behind"):
        run_stages(tmp_path, GOT + stages, files, TEACHERS)
    assert {m.name for m in Store(tmp_path / "store").manifests()} == {"got", "apart"}


def test_a_judge_that_pays_for_nothing_that_people_call_right_is_refused(tmp_path):
    keys = 'gold = "gold"'
    more = '[teachers.never]\nkind = "fake"\nname = "N"\nwords.no = ["output:", "q:"]\n'
    with pytest.raises(MashbillError, match="for 3 outputs that people call right"):
        judged(tmp_path, keys, '["never"]', more=more)


def test_the_right_answer_of_a_row_has_to_be_paid(tmp_path):
    keys, rows = "", [{**row, "known": "awful dull awful"} for row in ROWS]
    with pytest.raises(MashbillError, match=r"pays 0\.\d+ for the right answer, 'awful dull"):
        judged(tmp_path, keys, stage='reference = "known"', rows=rows)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("keys", "teachers", "rubric", "message"),
    [
        ("", '["nobody"]', RUBRIC, r"verifiers.good asks 'nobody', which is no \[teachers"),
        ("", '["a", "a"]', RUBRIC, "each of teachers is named once"),
        ("", "[]", RUBRIC, "teachers"),
        ("", '["a"]', "{{ prompt }}", r"has no \{\{ output \}\}, so a judge would not see"),
        ("", '["a"]', "{{ output }} {{ nope }}", r"\{\{ nope \}\} is not there"),
        ("compares = true", '["a"]', RUBRIC, "output|reference"),
        ("low = 3\nhigh = 3", '["a"]', RUBRIC, "low = 3 must be below high = 3"),
        ("scale = { ' yes' = 1.0 }", '["a"]', RUBRIC, "scale has two words at least"),
        ("scale = { ' yes' = 1.0, 'YES' = 0.0 }", '["a"]', RUBRIC, "differ in more than space"),
        ("needs = 2", '["a"]', RUBRIC, "needs = 2 judges, and there are 1"),
        ("question = 'x'", '["a"]', RUBRIC, "none of columns"),
        ("gold = 'prompt'", '["a"]', RUBRIC, "no judge may see it"),
        ("gold = 'nope'", '["a"]', RUBRIC, "gold = 'nope' is no column of got"),
    ],
)
def test_what_cannot_be_is_told_by_its_key(tmp_path, keys, teachers, rubric, message):
    with pytest.raises((RecipeError, InputError), match=message):
        judged(tmp_path, keys, teachers, rubric=rubric)


def test_a_teacher_that_only_chooses_is_not_asked_to_write(tmp_path):
    stages = JUDGED.format(keys='answer = "number"', teachers='["e"]', stage="")
    embedded = '[teachers.e]\nkind = "embedded"\nfile = "none.gguf"\n'
    with pytest.raises(MashbillError, match="e"):
        run_stages(
            tmp_path, GOT + stages, {"got.jsonl": ROWS, "rubric.txt": RUBRIC}, TEACHERS + embedded
        )


# ---- reading what judges write ----


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 0.7), ("7/10", 0.7), ("Score: 7", 0.7), ("**Score: 7/10**", 0.7), ("7.", 0.7),
        ("It is fine.\nscore:  10 ", 1.0), ("Score: 0", 0.0), ("Score: 7\n\nScore: 7", 0.7),
        ("Score: 3.5", 0.35),
        # what says nothing
        ("", None), ("Score:", None), ("7 or 8", None), ("Score: 7\nScore: 8", None),
        ("11", None), ("-1", None), ("7/5", None), ("seven", None), ("I give it 7", None),
        ("Score: 7 out of 10, or so", None), ("NaN", None), ("1e1", None), ("inf", None),
        ("\u0667", None), ("7" * 400, None), ("Score: 7" + " " * (1 << 18), None), ("0x7", None),
    ],
)  # fmt: skip
def test_a_number_is_read_strictly_or_not_at_all(text, value):
    if value is None:
        with pytest.raises(UnreadError):
            number_value(text, "Score:", 0, 10)
    else:
        assert number_value(text, "Score:", 0, 10) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Good", 1), ("good.", 1), ("Verdict: BAD", 0), ("I think.\nVerdict: `good`", 1),
        ("not good", None), ("goodish", None), ("Verdict: good\nVerdict: bad", None),
        ("", None), ("Good or bad", None),
    ],
)  # fmt: skip
def test_a_word_is_read_strictly_or_not_at_all(text, value):
    scale = {" good": 1.0, " bad": 0.0}
    if value is None:
        with pytest.raises(UnreadError):
            word_value(text, "Verdict:", scale)
    else:
        assert word_value(text, "Verdict:", scale) == value


@given(st.text(max_size=200))
def test_no_text_is_too_odd_to_be_read_or_refused(text):
    for read in (
        lambda: number_value(text, "Score:", -5, 5),
        lambda: word_value(text, "Score:", {" yes": 1.0, " no": 0.25}),
    ):
        with suppress(UnreadError):
            assert 0 <= read() <= 1


# ---- what is said of one output ----


class Says:
    """A teacher that answers what a function says of a question."""

    source = None

    def __init__(self, answer):
        self._answer = answer
        self.asked = []

    def ask(self, questions):
        self.asked += questions
        return [(f"{n:064x}", self._answer(question)) for n, question in enumerate(questions)]


def scores(tmp_path, says, cases, rubric="{{ output }}", **keys):
    (tmp_path / "r.txt").write_text(rubric)
    spec = JudgeSpec(teachers=["t"], prompt="r.txt", **keys)
    teacher = says if isinstance(says, Says) else Says(says)
    return Judge(spec, Prompt(tmp_path / "r.txt")).score_by(cases, Around(lambda _: teacher))


def test_the_score_of_a_scale_is_its_mean_by_probability(tmp_path):
    scale = {" good": 1.0, " fair": 0.5, " bad": 0.0}
    (score,) = scores(
        tmp_path, lambda _: Answer(tuple(map(math.log, (0.2, 0.5, 0.1))), 1), [Case("x")],
        scale=scale,
    )  # fmt: skip
    assert score.value == pytest.approx((0.2 + 0.25) / 0.8)


@pytest.mark.parametrize(
    ("answer", "keys", "outcome", "why"),
    [
        (Answer((), 0, failed="the service is down"), {}, "failed", "service is down"),
        (Answer((0.0, math.inf), 1), {}, "failed", "not all numbers"),
        (Answer((), 0, failed="the teacher wrote 'maybe', which is none of [' yes', ' no']"), {},
         "undecided", "maybe"),
        (Answer((), 0, failed="no answer came in 60 s"), {"answer": "number"}, "failed", "60 s"),
        (Answer((), 5, "Score: 7", finish="length"), {"answer": "number"}, "undecided", CUT_OFF),
        (Answer((), 5, "Score: 7", finish="content_filter"), {"answer": "number"}, "failed",
         "content_filter"),
        (Answer((), 5, "I like it", finish="stop"), {"answer": "number"}, "undecided", "I like it"),
        (Answer((), 5, "Score: 70", finish="stop"), {"answer": "number"}, "undecided", "70"),
        (Answer((), 5, "perhaps", finish="stop"), {"answer": "word"}, "undecided", "none of yes"),
    ],
)  # fmt: skip
def test_what_says_nothing_is_undecided_or_failed_and_never_0(tmp_path, answer, keys, outcome, why):
    (score,) = scores(tmp_path, lambda _: answer, [Case("x")], **keys)
    assert (score.outcome, score.value) == (outcome, None)
    assert why in score.reason


PAIR = "{{ first }}|{{ second }}"


def longer(lean):
    def answer(question):
        first, second = question.body.split("|")
        return Answer((len(first) - len(second) + lean, 0.0), 1)

    return answer


@given(st.text("ab", min_size=1, max_size=5), st.text("ab", min_size=1, max_size=5),
       st.floats(-3, 3))  # fmt: skip
def test_comparing_is_asked_both_ways_and_mirrors(tmp_path_factory, one, two, lean):
    folder = tmp_path_factory.mktemp("pair")
    keys = {"compares": True, "scale": {" A": 1.0, " B": 0.0}, "rubric": PAIR}
    teacher = Says(longer(lean))
    (there,) = scores(folder, teacher, [Case(one, two)], **keys)
    assert [q.body for q in teacher.asked] == [f"{one}|{two}", f"{two}|{one}"]
    (back,) = scores(folder, longer(lean), [Case(two, one)], **keys)
    assert there.outcome == back.outcome
    if one == two:
        assert there.value == 0.5
    elif there.value is not None:
        assert there.value == pytest.approx(1 - back.value)
        assert (there.value > 0.5) == (len(one) > len(two)) or there.value == pytest.approx(0.5)
    (nothing,) = scores(folder, longer(lean), [Case(one, None)], **keys)
    assert nothing.outcome == "undecided"


def test_a_judge_of_places_has_not_decided(tmp_path):
    keys = {"compares": True, "scale": {" A": 1.0, " B": 0.0}, "rubric": PAIR}
    (score,) = scores(tmp_path, lambda _: Answer((3.0, 0.0), 1), [Case("x", "y")], **keys)
    assert score.outcome == "undecided"
    assert "the other way round" in score.reason


@given(st.text(max_size=20), st.text(max_size=20))
def test_all_questions_of_a_choice_begin_alike_and_say_all_that_the_rubric_does(
    tmp_path_factory, one, two
):
    rubric = (
        "{% block system %}Judge.{% endblock %}{% block user %}Question: {{ prompt }}\n"
        "Answer: {{ output }}\nGood?{% endblock %}"
    )
    teacher = Says(lambda _: Answer((0.0, -1.0), 1))
    folder = tmp_path_factory.mktemp("head")
    cases = [Case(one, None, {"prompt": two}), Case(two, None, {"prompt": one})]
    scores(folder, teacher, cases, rubric=rubric, columns=("prompt",))
    assert {question.prefix for question in teacher.asked} == {"Judge.\n\nQuestion:"}
    for question, (output, asked) in zip(teacher.asked, ((one, two), (two, one)), strict=True):
        whole = f"Judge.\n\nQuestion: {asked}\nAnswer: {output}\nGood?"
        assert question.prefix + question.body == whole
        assert not question.system


def test_the_kit_holds_a_verifier_that_asks_to_all_laws():
    spec = JudgeSpec(teachers=["t"], prompt="r.txt")
    teacher = FakeTeacherSpec(words={"yes": ["kind", "lovely"], "no": ["is"]})
    right, wrong = [Case("a kind lovely day")], [Case("a day")]
    files = {"r.txt": "Output: {{ output }}\nIs it good?"}
    held = check_verifier(spec, right, wrong, files=files, teachers={"t": teacher})
    assert "whom it asks is named" in held
    with pytest.raises(LawError, match="asks\\(\\) names t"):
        check_verifier(spec, right, wrong, files=files)
    kind = FakeTeacherSpec(words={"yes": ["is"], "no": []})
    with pytest.raises(LawError, match="junk is not paid"):
        check_verifier(spec, right, wrong, files=files, teachers={"t": kind})


@pytest.mark.parametrize("keys", ["", 'answer = "number"\nundecided = "keep"'])
def test_an_audit_holds_scores_of_one_judge_against_the_answers(tmp_path, keys):
    keys, _, stage = keys.partition("\n")
    keys += '\naccepts = "it is a trial"'
    store = judged(tmp_path, keys, stage=f"threshold = 0.0\n{stage}")
    audit = mb.open(store.root).audit(deep=True)
    assert audit.holds, audit.findings
    said = [item.what for item in audit.result.not_derived if "out@1" in str(item)]
    assert any("held against the answers in the journal" in text for text in said), said
    # A score that somebody wrote, and the answer does not give.
    journal = Journal(store.root / "calls.sqlite")
    (shard, *_) = sorted(store.folder("dataset", store.find("out").ref).glob("part-*.parquet"))
    table = pq.read_table(shard)
    calls = [call.hex() for call in table.column("_call").to_pylist()]
    have = journal.answers(calls)
    spec = load_recipe(tmp_path / "some.toml").stages["out"]
    choices = journal.call(calls[0]).choices
    answers = [have[call] for call in calls]
    assert not spec.denied(table, answers, choices, {}).any()
    at = table.schema.get_field_index("score")
    forged = pa.array([0.987, *table.column("score").to_pylist()[1:]], pa.float64())
    wrong = spec.denied(table.set_column(at, "score", forged), answers, choices, {})
    assert wrong.tolist() == [True] + [False] * (table.num_rows - 1)
