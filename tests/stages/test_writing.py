"""generate, rewrite, verify and prefer, through the real runner."""

from typing import ClassVar

import pytest
from conftest import CHANNELS
from tests_support import TEACHER, execute, rows_of, run_stages

from mashbill import RecipeError, Signer, Store, TeacherError, load_recipe
from mashbill.calls.journal import Journal
from mashbill.core.teacher import Answer, Question
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.plan import build
from mashbill.teachers.fake import FakeTeacherSpec
from mashbill.teachers.session import Session

ASKED = [{"text": f"write about the {word} river"} for word in ("lovely", "awful", "green", "cold")]

CORPUS = """
[stages.asked]
kind = "corpus"
title = "questions"
source = "asked.jsonl"
"""

DRAFTS = """
[stages.drafts]
kind = "generate"
input = "asked"
teacher = "t"
samples = 3
shard_rows = 2
"""

RIVALS = """
[stages.rivals]
kind = "generate"
input = "asked"
teacher = "u"
samples = 2
"""

OTHER = TEACHER.replace("teachers.t]", "teachers.u]").replace(
    'kind = "fake"', 'kind = "fake"\nname = "Other"\nsource_kind = "closed-api"\ncountry = "US"'
)


def lines(store, name):
    circuit = Circuit.of_artifact(store, store.find(name))
    return {(line.source.name, line.channels): line for line in bill(circuit)}


@pytest.fixture(scope="module")
def written(tmp_path_factory):

    stages = f"""{CORPUS}{DRAFTS}{RIVALS}
[stages.again]
kind = "rewrite"
input = "drafts"
teacher = "u"
prompt = "again.txt"
purpose = "cleaning"
shard_rows = 5

[stages.checked]
kind = "verify"
input = "drafts"
teacher = "t"
prompt = "check.txt"
right = " good"
wrong = " bad"
shard_rows = 5

[stages.pairs]
kind = "prefer"
one = "drafts"
other = "rivals"
teacher = "t"
prompt = "better.txt"
"""
    files = {
        "asked.jsonl": ASKED,
        "again.txt": "Line: {{ text }}\nAgain:",
        "check.txt": "Is it good?\nLine: {{ text }}\nAnswer:",
        "better.txt": "Ask: {{ prompt }}\nA: {{ first }}\nB: {{ second }}\nBetter:",
    }
    return run_stages(tmp_path_factory.mktemp("written"), stages, files, TEACHER + OTHER)


def test_each_sample_of_a_prompt_is_a_row_and_a_call_of_its_own(written):
    asked, drafts = rows_of(written, "asked"), rows_of(written, "drafts")
    assert [row["_from"] for row in drafts] == [i for i in range(4) for _ in range(3)]
    assert [row["sample"] for row in drafts] == [0, 1, 2] * 4
    assert all(row["prompt"] == asked[row["_from"]]["text"] for row in drafts)
    assert len({row["_call"] for row in drafts}) == 12
    journal = Journal(written.root / "calls.sqlite")
    for row in drafts:
        call = journal.call(row["_call"].hex())
        assert call.text == row["text"]
        assert call.choices == call.logprobs == ()
        assert row["prompt"] in call.body


def test_who_wrote_is_content_and_who_asked_is_prompt(written):
    found = lines(written, "drafts")
    assert set(found) == {("fake teacher", ("content",)), ("questions", ("prompt",))}
    assert all(line.share == (1.0, 1.0) for line in found.values())
    other = next(
        line.source for (name, _), line in lines(written, "rivals").items() if name != "questions"
    )
    assert (other.name, other.kind, other.country) == ("Other (stand-in)", "closed-api", "US")


def test_a_text_written_anew_names_the_row_that_it_was(written):
    drafts, again = rows_of(written, "drafts"), rows_of(written, "again")
    assert [row["_from"] for row in again] == list(range(12))
    for row in again:
        old = drafts[row["_from"]]
        assert row["prompt"] == old["prompt"]
        assert row["text"] != old["text"]
        assert set(row["text"].split()) & set(old["text"].split())
    manifest = written.find("again")
    assert [item.channel for item in manifest.inputs] == ["content", "transform/cleaning"]
    assert ("Other (stand-in)", ("transform",)) in lines(written, "again")


def test_what_fails_verification_is_rejected_with_its_probability(written):
    drafts = rows_of(written, "drafts")
    kept, gone = rows_of(written, "checked"), rows_of(written, "checked", "rejected")
    assert kept
    assert gone
    assert sorted(row["_from"] for row in kept + gone) == list(range(12))
    for row in kept + gone:
        assert row["text"] == drafts[row["_from"]]["text"]
        assert (row["right"] >= 0.5) == (row in kept)
    assert all(row["_reason"] == f"right at {row['right']:.4f}, below 0.5" for row in gone)
    assert written.find("checked").inputs[1].channel == "judgement/verifying"


def test_a_pair_names_both_completions_of_one_sample(written):
    drafts, rivals = rows_of(written, "drafts"), rows_of(written, "rivals")
    pairs = rows_of(written, "pairs") + rows_of(written, "pairs", "rejected")
    assert len(pairs) == 8
    for row in pairs:
        one, other = drafts[row["_from"][0]], rivals[row["_from"][1] - len(drafts)]
        assert (one["prompt"], one["sample"]) == (other["prompt"], other["sample"])
        assert {row["chosen"], row["rejected"]} == {one["text"], other["text"]}
        assert row["margin"] >= 0
    assert written.find("pairs").measures["unpaired"] == {"drafts": 4, "rivals": 0}
    found = lines(written, "pairs")
    assert ("fake teacher", ("content",)) in found
    assert ("fake teacher", ("judgement",)) in found


def test_the_store_holds_and_an_altered_writing_is_found(written, tmp_path):
    import shutil
    import sqlite3

    assert Auditor(written.root).run().holds
    shutil.copytree(written.root, tmp_path / "copy")
    with sqlite3.connect(tmp_path / "copy" / "calls.sqlite") as db:
        db.execute("UPDATE calls SET text = '' WHERE text != ''")
    found = Auditor(tmp_path / "copy").run().findings
    assert any("drafts@1" in str(finding) for finding in found)


@pytest.mark.parametrize(("kind", "calls"), [("fake-service", 12), ("fake", 16)])
def test_more_samples_buy_only_what_is_new(tmp_path, kind, calls):
    """A service is asked what is new; what is asked at once of a model here is asked as one."""
    files = {"asked.jsonl": ASKED}
    teacher = TEACHER.replace('"fake"', f'"{kind}"')
    if kind == "fake-service":
        teacher = teacher.replace("noise = 0.5\n", "")
    stages = CORPUS + DRAFTS.replace("samples = 3", "samples = 1")
    store = run_stages(tmp_path, stages, files, teacher)
    assert Journal(store.root / "calls.sqlite").totals()[0] == 4
    stages = CORPUS + DRAFTS.replace("samples = 3", 'samples = 3\nversion = "2"')
    run_stages(tmp_path, stages, files, teacher)
    assert Journal(store.root / "calls.sqlite").totals()[0] == calls


def test_the_judge_follows_the_words_and_equal_completions_are_no_preference(tmp_path):
    rows = [
        {"prompt": f"p{i}", "sample": 0, "text": text, "by": "x"}
        for i, text in enumerate(["a lovely bright river", "a dull river", "the same"] * 8)
    ]
    others = [
        {**row, "text": {"a ": "a green river", "th": "the same"}[row["text"][:2]]} for row in rows
    ]
    stages = """
[stages.one]
kind = "import"
title = "one"
source = "one.jsonl"
generator = "by"

[stages.other]
kind = "import"
title = "other"
source = "other.jsonl"
generator = "by"

[stages.pairs]
kind = "prefer"
one = "one"
other = "other"
teacher = "t"
prompt = "better.txt"
"""
    better = "Ask: {{ prompt }}\nA: {{ first }}\nB: {{ second }}\nBetter:"
    files = {"one.jsonl": rows, "other.jsonl": others, "better.txt": better}
    store = run_stages(tmp_path, stages, files)
    gone = rows_of(store, "pairs", "rejected")
    assert [row["_from"] for row in gone] == [[i, i + 24] for i in range(2, 24, 3)]
    assert {row["_reason"] for row in gone} == {"both completions are the same"}
    for row in rows_of(store, "pairs"):
        if "lovely" in row["chosen"] + row["rejected"]:
            assert row["chosen"] == "a lovely bright river"
            assert row["margin"] > 1


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("Line:", r"again.txt has \{\{ text \}\} 0 times; once is needed"),
        ("{{ text }} {{ text }}", r"again.txt has \{\{ text \}\} 2 times"),
        ("{{ text }} {{ mood }}", r"again.txt has \{\{ mood \}\}; there are only text"),
    ],
)
def test_a_prompt_without_its_slots_is_told_before_anything_runs(tmp_path, prompt, message):
    stages = f"""{CORPUS}
[stages.again]
kind = "rewrite"
input = "asked"
teacher = "t"
prompt = "again.txt"
"""
    with pytest.raises(RecipeError, match=message):
        run_stages(tmp_path, stages, {"asked.jsonl": ASKED, "again.txt": prompt})


def test_a_column_that_is_not_there_is_named(tmp_path):
    from mashbill import InputError

    stages = CORPUS + DRAFTS.replace("samples = 3", 'column = "question"')
    with pytest.raises(InputError, match=r"asked has no column 'question'; it has text, gold"):
        run_stages(tmp_path, stages, {"asked.jsonl": ASKED})


def test_a_teacher_that_cannot_write_is_not_asked_to(tmp_path):
    class Chooser:
        identity, batch = {"kind": "chooser"}, 4

        def sizes(self, questions):
            return [1] * len(questions)

        def answer(self, questions):
            return [Answer((-0.7,) * len(q.choices), 1) for q in questions]

    from mashbill import Source

    source = Source(name="chooser", what="model", kind="test-double", route="in-process")
    journal = Journal(tmp_path / "calls.sqlite", writable=True)
    session = Session(source, Chooser, Chooser.identity, journal.here)
    assert session.ask([Question("a", "b", ("c", "d"))])[0][1].logprobs == (-0.7, -0.7)
    with pytest.raises(TeacherError, match="chooser is asked to write and can only choose"):
        session.ask([Question("a", "b")])
    assert journal.totals()[0] == 1
    journal.close()


def test_a_teacher_that_cannot_write_is_refused_before_anything_runs(tmp_path):
    class ChooserSpec(FakeTeacherSpec):
        can_write: ClassVar[bool] = False

    recipe = load_recipe(CHANNELS)
    chooser = ChooserSpec(words={"good": ("sun",), "bad": ("rain",)})
    recipe = recipe.model_copy(update={"teachers": {**recipe.teachers, "closed": chooser}})
    store = Store(tmp_path / "store", Signer.default())
    with pytest.raises(TeacherError, match=r"stages.prompts asks teacher 'closed' to write"):
        execute(build(recipe, store), store)
    assert not store.manifests()
