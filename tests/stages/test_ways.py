"""Ways to generate: what holds of all of them, and what goes wrong in each."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import TEACHER, rows_of, run_stages, run_toy
from tests_ways import CORPUS, FILES, TEXTS, WAYS, both, made, says

from mashbill import Answer, InputError, RecipeError, TeacherError
from mashbill.calls.journal import Journal
from mashbill.client.prompt_lint import lint
from mashbill.core.chat import Opaque
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.prompts.prompt import Prompt, shipped_prompt
from mashbill.stages.rewrite import RewriteSpec
from mashbill.teachers.fake import FakeTeacher

RECIPE = Path(__file__).parents[2] / "recipes" / "generating.toml"


# ---- what holds of all ----


@pytest.fixture(scope="module")
def everything(tmp_path_factory):

    began = time.monotonic()
    store, _ = run_toy(RECIPE, tmp_path_factory.mktemp("ways") / "store")
    return store, time.monotonic() - began


def test_the_recipe_has_every_way_and_holds(everything):
    store, seconds = everything
    assert seconds < 60
    kinds = {manifest.stage["kind"] for manifest in store.manifests()}
    assert kinds >= set(WAYS)
    assert Auditor(store.root).run().holds
    assert len(rows_of(store, "answers")) == 60
    for name in ("instructions", "answers", "pairs"):
        assert all(row["_reason"] for row in rows_of(store, name, "rejected"))


def test_each_source_comes_in_by_its_channel(everything):
    store, _ = everything
    found = {}
    for name in ("instructions", "harder", "clean", "pairs", "problems", "conversations", "traces"):
        circuit = Circuit.of_artifact(store, store.find(name))
        found[name] = {(x.source.name.split()[1], *x.channels) for x in bill(circuit)}
    assert found["instructions"] == {("seed", "prompt"), ("Writer", "content")}
    assert found["harder"] == {("seed", "prompt"), ("Writer", "content")}
    assert found["clean"] == {("notes", "content"), ("Writer", "transform")}
    assert store.find("clean").inputs[1].channel == "transform/cleaning"
    assert found["pairs"] == {("notes", "content"), ("Writer", "content")}
    assert ("User", "prompt") in found["conversations"]
    assert ("User", "content") not in found["conversations"]
    assert ("User", "content") in found["traces"]
    assert store.find("answers").inputs[2].channel == "judgement/verifying"


def test_shipped_prompts_ask_for_nothing_that_is_not_offered(everything):
    for path in shipped_prompt("qa").parent.glob("*.jinja"):
        assert not lint(path.read_text(), path.name)
        Prompt(path)
    store, _ = everything
    journal = Journal(store.root / "calls.sqlite")
    for name in ("instructions", "hardest", "pairs", "conversations", "traces"):
        for row in both(store, name):
            if row["_call"]:
                call = journal.call(row["_call"].hex())
                assert not lint(f"{call.body}", name)


@pytest.mark.parametrize("kind", WAYS)
def test_a_run_that_was_cut_off_ends_as_a_whole_one_does(tmp_path, monkeypatch, kind):
    teachers = TEACHER.replace("noise = 0.5", "noise = 0.5\nbatch = 2\ninvalid = 0.3")
    whole = made(tmp_path / "whole", kind, WAYS[kind], teachers=teachers)
    real, batches = FakeTeacher.answer, []

    def dies(self, questions):
        batches.append(1)
        if len(batches) == 3:
            raise TeacherError("cut off")
        return real(self, questions)

    monkeypatch.setattr(FakeTeacher, "answer", dies)
    with pytest.raises(TeacherError, match="cut off"):
        made(tmp_path / "cut", kind, WAYS[kind], teachers=teachers)
    cut = made(tmp_path / "cut", kind, WAYS[kind], teachers=teachers)
    assert cut.find("out").digest == whole.find("out").digest
    calls = [Journal(store.root / "calls.sqlite").totals()[0] for store in (cut, whole)]
    assert calls[0] == calls[1]


@law(6, suppress_health_check=list(HealthCheck))
@given(order=st.permutations([0, 1, 2, 3]), kind=st.sampled_from(sorted(WAYS)))
def test_the_order_of_slices_changes_no_row(tmp_path_factory, order, kind):
    slices = [TEXTS[2 * i : 2 * i + 2] for i in range(4)]
    shuffled = [row for i in order for row in slices[i]]
    folder = tmp_path_factory.mktemp("order")
    found = [
        {(row["_id"], row.get("_reason")) for row in both(store)}
        for store in (
            made(folder / "a", kind, WAYS[kind], rows=2),
            made(folder / "b", kind, WAYS[kind], {"texts.jsonl": shuffled}, rows=2),
        )
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["generate", "instruct", "qa", "evolve"])
def test_exactly_so_many_are_accepted_and_the_others_are_kept(tmp_path, kind):
    store = made(tmp_path, kind, WAYS[kind] + "\naccept = 5")
    assert len(rows_of(store, "out")) == store.find("out").rows == 5
    asked = store.find("out").measures["asked"]
    assert asked < 2 * len(TEXTS)
    for row in rows_of(store, "out", "rejected"):
        assert row["_reason"]
    with pytest.raises(InputError, match="give it more prompts or samples, or loosen"):
        made(tmp_path / "more", kind, WAYS[kind] + "\naccept = 500")


@pytest.mark.parametrize("kind", ["qa", "instruct", "evolve", "rewrite", "converse", "tools"])
def test_a_schema_that_would_say_nothing_is_refused(tmp_path, kind):
    with pytest.raises(RecipeError, match="schema cannot be set"):
        made(tmp_path, kind, WAYS[kind] + '\nschema = "tools.json"')


# ---- one by one ----


def test_seeds_are_shown_together_only_where_they_rest_on_the_same(tmp_path):
    other = [{"text": f"Sing about the {thing}, number {i}."} for i, thing in enumerate("abcdef")]
    stages = f"""{CORPUS}
[stages.others]
kind = "corpus"
title = "others"
source = "others.jsonl"

[stages.seeds]
kind = "mix"
inputs = {{ texts = 1.0, others = 1.0 }}

[stages.out]
kind = "instruct"
input = "seeds"
teacher = "t"
shown = 4
"""
    store = run_stages(tmp_path, stages, {**FILES, "others.jsonl": other})
    seeds = rows_of(store, "seeds")
    for row in both(store):
        own = seeds[row["_from"]]["text"]
        assert own in row["prompt"]
        shown = [seed["text"] for seed in seeds if seed["text"] in row["prompt"]]
        assert len(shown) == 4
        assert len({text.startswith("Sing") for text in shown}) == 1
    circuit = Circuit.of_artifact(store, store.find("out"))
    touched = {x.source.name: x.share for x in bill(circuit) if "prompt" in x.channels}
    assert all(high < 1 for _, high in touched.values())


def test_checks_and_the_judge_see_each_row_and_not_the_json_around_it(tmp_path, monkeypatch):
    asked = []

    def answer(question):
        if question.choices:
            asked.append(question.body)
            return Answer((-0.1, -3.0), 1)
        document = question.body.rsplit("\n\n", 1)[-1]
        pairs = [
            {
                "question": f"Does {document[4:8]} sleep, {n}?",
                "answer": text,
                "quote": document[4:20],
            }
            for n, text in enumerate(["It is the animal.", "no"])
        ]
        return Answer((), 1, json.dumps({"pairs": pairs}))

    says(monkeypatch, answer)
    store = made(tmp_path, "qa", "pairs = 2\nmin_chars = 5\nmatch = '\\.$'\njudge = \"t\"")
    assert {row["text"] for row in rows_of(store, "out")} == {"It is the animal."}
    assert all(row["right"] > 0.9 for row in rows_of(store, "out"))
    gone = rows_of(store, "out", "rejected")
    assert {(row["text"], row["_reason"]) for row in gone} == {("no", "2 characters, below 5")}
    assert len(asked) == len(TEXTS)
    assert all("sleep, 0?" in body and "pairs" not in body for body in asked)


def test_a_judge_sees_what_was_asked_and_not_what_was_said_about_a_broken_answer(
    tmp_path, monkeypatch
):
    judged = []

    def answer(question):
        if question.choices:
            judged.append(question.body)
            return Answer((-0.1, -3.0), 1)
        return Answer((), 1, '{"a": 1}' if question.turns else "nothing of the kind")

    says(monkeypatch, answer)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    store = made(
        tmp_path, "generate", 'schema = "s.json"\njudge = "t"', {"s.json": json.dumps(schema)}
    )
    assert len(judged) == len(TEXTS)
    assert not any("That answer" in body for body in judged)
    assert [row["prompt"] for row in rows_of(store, "out")] == [row["text"] for row in TEXTS]


def test_a_rewritten_row_keeps_its_columns_and_says_why_it_was_turned_down(tmp_path, monkeypatch):
    rows = [*TEXTS, {"text": "a " * 50, "mood": "y"}]
    corpus = CORPUS.replace('"corpus"', '"import"\ngenerator = "none"')
    monkeypatch.setattr("tests_ways.CORPUS", corpus)
    store = made(tmp_path, "rewrite", "max_chars = 60", {"texts.jsonl": rows})
    kept, (gone,) = rows_of(store, "out"), rows_of(store, "out", "rejected")
    assert [row["mood"] for row in kept] == [row["mood"] for row in TEXTS]
    assert "prompt" not in kept[0]
    assert (gone["mood"], gone["_call"]) == ("y", None)
    assert gone["_reason"].startswith("longer than 60 characters")
    spec = RewriteSpec(input="texts", teacher="t")
    assert spec.unfit({"text": " "}, "", "all the same") == "its text is empty"
    twice = made(tmp_path / "twice", "rewrite", "samples = 2")
    assert [row["sample"] for row in rows_of(twice, "out")] == [0, 1] * len(TEXTS)


def test_a_rewritten_row_keeps_the_text_as_it_was_where_that_is_asked_for(tmp_path, monkeypatch):
    rows = [*TEXTS, {"text": "a " * 50, "mood": "y"}]
    corpus = CORPUS.replace('"corpus"', '"import"\ngenerator = "none"')
    monkeypatch.setattr("tests_ways.CORPUS", corpus)
    files = {"texts.jsonl": rows}
    store = made(tmp_path, "rewrite", 'max_chars = 60\noriginal = "mood"', files)
    kept, (gone,) = rows_of(store, "out"), rows_of(store, "out", "rejected")
    assert [row["mood"] for row in kept] == [row["text"] for row in TEXTS]
    assert [row["original_mood"] for row in kept] == [row["mood"] for row in TEXTS]
    assert gone["mood"] == rows[-1]["text"]
    assert "original" not in RewriteSpec(input="texts", teacher="t").model_dump()
    for taken in ("text", "sample", "right", "_from"):
        with pytest.raises(ValueError, match="choose another name"):
            RewriteSpec(input="texts", teacher="t", original=taken)


def test_rewriting_without_a_prompt_of_ones_own_says_what_it_is_for(tmp_path):
    for keys, words in (
        ('purpose = "cleaning"', "stays as it is"),
        ('style = "as a dialogue"', "anew: as a dialogue"),
        ("", "clear and well ordered prose"),
    ):
        store = made(tmp_path / words.split()[0], "rewrite", keys)
        journal = Journal(store.root / "calls.sqlite")
        for row, old in zip(rows_of(store, "out"), TEXTS, strict=True):
            asked = journal.call(row["_call"].hex()).body
            assert words in asked
            assert asked.endswith(old["text"])


def test_an_evolution_that_failed_says_how(tmp_path, monkeypatch):
    answers = {
        "owl": "The OWL sleeps  by day and hunts at night, row 0.",
        "fox": "The rewritten instruction: x",
        "cat": "word " * 300,
        "bat": "Count the cats.",
    }

    def answer(question):
        return Answer((), 1, next(answers[name] for name in answers if name in question.body))

    says(monkeypatch, answer)
    store = made(tmp_path, "evolve", "", {"texts.jsonl": TEXTS[:4]}, rows=9)
    reasons = [row["_reason"] for row in rows_of(store, "out", "rejected")]
    assert [reason[:12] for reason in reasons] == ["it is the in", "it speaks of", "1499 charact"]
    assert [row["original"] for row in rows_of(store, "out")] == [TEXTS[3]["text"]]


def test_opaque_reasoning_goes_back_to_who_wrote_it_and_to_nobody_else(tmp_path, monkeypatch):
    seen = []
    opaque = Opaque("m", "a", "sealed")

    def answer(question):
        seen.append(question)
        return Answer((), 1, f"answer {len(question.turns)}", opaque=opaque)

    says(monkeypatch, answer)
    store = made(tmp_path, "converse", "turns = 3")
    going_on = [question for question in seen if question.turns]
    assert len(going_on) == 2 * len(TEXTS)
    for question in going_on:
        for turn in question.turns:
            assert (turn.opaque == opaque) == (turn.role == "assistant")
    assert not any("sealed" in question.body for question in seen)
    assert not any("sealed" in row["messages_json"] for row in rows_of(store, "out"))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (Answer((), 1, "", failed="withheld"), "the user's next turn failed: withheld"),
        (Answer((), 1, " "), "the user's next turn failed: nothing was written"),
        (
            Answer((), 1, "Tell me m", finish="length"),
            "the user's next turn failed: it was cut off",
        ),
    ],
)
def test_a_turn_that_fails_rejects_the_conversation_and_keeps_what_there_was(
    tmp_path, monkeypatch, broken, reason
):
    def answer(question):
        if "The conversation so far" not in question.body:
            return Answer((), 1, "Yes.")
        return (
            broken
            if "owl" in question.body and "Go on." in question.body
            else Answer((), 1, "Go on.")
        )

    says(monkeypatch, answer)
    store = made(tmp_path, "converse", "turns = 3")
    (gone,) = rows_of(store, "out", "rejected")
    assert gone["_reason"].startswith(reason)
    turns = json.loads(gone["messages_json"])
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert gone["turns"] == 2
    assert len(rows_of(store, "out")) == len(TEXTS) - 1


def test_a_system_turn_of_the_prompt_is_part_of_the_conversation(tmp_path):
    prompt = "{% block system %}Be brief.{% endblock %}{% block user %}{{ text }}{% endblock %}"
    store = made(tmp_path, "converse", 'prompt = "p.jinja"', {"p.jinja": prompt})
    for row in rows_of(store, "out"):
        first, second, *_ = json.loads(row["messages_json"])
        assert first == {"role": "system", "content": "Be brief."}
        assert second == {"role": "user", "content": row["prompt"]}
