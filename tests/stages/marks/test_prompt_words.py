"""Words of teachers in prompts, examples, rubrics and the recipe itself; and honest prompts."""

from __future__ import annotations

import json
from datetime import date

import pytest
from tests_support import TEACHER, execute, rows_of, run_stages

from mashbill import load_recipe
from mashbill.lineage.bills.bill import bill, coverage
from mashbill.lineage.bills.prompted import prompt_coverage
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.contradicted import told_of
from mashbill.plan import build
from mashbill.policy.documents import load_registry
from mashbill.run.executor import Execution

WORDS = (
    "the valve of pump number seven leaks when pressure rises above nine bar and nobody hears it"
)
THEIRS = [f"Case {i}: {WORDS}, so we closed line {i * 7} for {i + 2} hours." for i in range(12)]
OWN = [
    {"text": f"ticket {i} says that part {i % 9} of machine {i % 5} is broken"} for i in range(30)
]
FIRST = """
[stages.told]
kind = "import"
title = "Their rows"
source = "told.jsonl"
called_by = "us"

[stages.tickets]
kind = "corpus"
title = "Tickets"
origin = "own-dataset"
source = "rows.jsonl"

[stages.first]
kind = "generate"
input = "tickets"
teacher = "t"
prompt = "plain.txt"
"""
ASKED = """
[stages.tickets]
kind = "corpus"
title = "Tickets"
origin = "own-dataset"
source = "rows.jsonl"

[stages.second]
kind = "generate"
input = "tickets"
teacher = "t"
prompt = "ask.txt"
"""
PEOPLE = '[origins]\n"ask.txt" = { by = "people" }\n'
GPT = (
    '[origins]\n"ask.txt" = [{ by = "people" }, { by = "model", name = "gpt-4o", '
    'provider = "OpenAI", kind = "closed-api", called_by = "us" }]\n'
)
ASK = "Answer the ticket. Be short and polite, and name the machine.\n"


@pytest.fixture
def told(tmp_path):
    rows = [{"text": text, "generator": "gpt-4o"} for text in THEIRS]
    files = {"told.jsonl": rows, "rows.jsonl": OWN, "plain.txt": f"{ASK}{{{{ text }}}}"}
    return run_stages(tmp_path, FIRST, files, TEACHER), tmp_path


def asked(told, ask, origins=PEOPLE, stages=ASKED, files=()):
    store, folder = told
    (folder / "ask.txt").write_text(ask)
    for name, text in files:
        (folder / name).write_text(text)
    path = folder / "second.toml"
    path.write_text(f'[recipe]\nname = "l"\nversion = "1"\nseed = 5\n{TEACHER}{origins}{stages}')
    plan = build(load_recipe(path), store, cache=folder / "cache")
    seen = next(stage.told for stage in plan.stages if stage.name == "second")
    execute(plan, store, Execution(folder / "cache", threads=1))
    return plan, seen, store


# a prompt with words of theirs
HOLDING = [
    f"{ASK}Example: {THEIRS[3]}\n{{{{ text }}}}",
    f"{ASK}{THEIRS[3].upper()}\n{THEIRS[5]}\n{{{{ text }}}}",
    f"{ASK}- {THEIRS[0][8:-20]}\n{{{{ text }}}}",
    f"{ASK}{json.dumps({'examples': [{'q': 'x', 'a': THEIRS[4]}]})}\n{{{{ text }}}}",
    f"{ASK}" + "\n".join(THEIRS[6].split(", ")) + "\n{{ text }}",
]


@pytest.mark.parametrize("ask", HOLDING)
@pytest.mark.parametrize("origins", [PEOPLE, ""])
def test_words_of_a_teacher_in_a_prompt_contradict_what_is_declared(told, ask, origins):
    plan, seen, store = asked(told, ask, origins)
    found = told_of(store, "second@1")
    assert [mark.kind for mark in found.marks] == ["words"]
    assert found.marks[0].where == "ask.txt"
    assert [mark.says for mark in seen.marks] == [mark.says for mark in found.marks]
    second = store.find("second")
    circuit = Circuit.of_artifact(store, second)
    assert prompt_coverage(store, second).undeclared or coverage(circuit).recorded[0] == 0.0
    if origins:
        assert found.declared == ("human",)
        lines = {line.source.title: line for line in bill(circuit)}
        assert lines["ask.txt: people (contradicted)"].source.kind == "unknown"
        assert any("gpt-4o" in title for title in lines)
        decided = plan.decide(load_registry(), date(2026, 11, 20))
        assert "origin-contradicted" in {one.rule for one in decided.decisions}


HONEST = [
    (f"{ASK}{{{{ text }}}}", PEOPLE),
    (f"{ASK}Ticket: {OWN[3]['text']}\n{{{{ text }}}}", PEOPLE),
    (f"{ASK}We close the valve when pressure rises.\n{{{{ text }}}}", PEOPLE),
    (f"{ASK}Example: {THEIRS[3]}\n{{{{ text }}}}", GPT),
    (f"{ASK}Say why, in one sentence.\n{{{{ text }}}}", ""),
]


@pytest.mark.parametrize(("ask", "origins"), HONEST)
def test_an_honest_prompt_is_not_contradicted(told, ask, origins):
    _, seen, store = asked(told, ask, origins)
    assert told_of(store, "second@1") is None
    assert seen is None


def test_what_a_teacher_said_again_of_a_prompt_is_not_the_teachers(told):
    """The stand-in begins answers with words of its prompt; a new version of it says them, too."""
    store, _ = told
    assert any(row["text"].startswith("Answer the ticket") for row in rows_of(store, "first"))
    _, _, store = asked(told, f"{ASK}In English.\n{{{{ text }}}}")
    assert told_of(store, "second@1") is None


OVER = {
    "split": 'kind = "split"\ninput = "first"\nrange = [0.0, 1.0]\n',
    "mix": 'kind = "mix"\nweights = { first = 1, tickets = 1 }\n',
    "verify": 'kind = "verify"\ninput = "first"\nby = "long"\nthreshold = 0.0\n'
    '[verifiers.long]\nkind = "form"\nmin_chars = 1\n',
}
"""stages that take over what a teacher wrote, and name no teacher of their own"""


@pytest.mark.parametrize("kind", OVER)
def test_nor_where_a_stage_took_its_answers_over(told, kind):
    store, folder = told
    recipe = '[recipe]\nname = "l"\nversion = "1"\nseed = 5\n'
    (folder / "over.toml").write_text(f"{recipe}{TEACHER}{FIRST}\n[stages.over]\n{OVER[kind]}")
    plan = build(load_recipe(folder / "over.toml"), store, cache=folder / "cache")
    execute(plan, store, Execution(folder / "cache", threads=1))
    assert any("Answer the ticket" in row["text"] for row in rows_of(store, "over"))
    _, _, store = asked(told, f"{ASK}In English.\n{{{{ text }}}}")
    assert told_of(store, "second@1") is None


def test_what_a_teacher_answered_before_is_the_teachers_whatever_asks_it_later(told):
    store, _ = told
    texts = [row["text"] for row in rows_of(store, "first")]
    own = max((text for text in texts if "Answer the" not in text), key=len)
    examples = [text for text in texts if text != own][:4]
    ask = ASK + "".join(f"{text} and then {own}\n" for text in examples) + "{{ text }}"
    for version in (1, 2):
        stages = ASKED.replace('prompt = "ask.txt"', f'prompt = "ask.txt"\nversion = "{version}"')
        _, _, store = asked(told, f"{ask} {version}", stages=stages)
        found = told_of(store, f"second@{version}")
        assert found is not None, version
        assert found.marks[0].names[0].startswith("fake")


def test_words_in_the_recipe_itself_leave_coverage_open(told):
    stages = ASKED.replace(
        'kind = "generate"',
        f'kind = "label"\ncalibrate_on = 8\nlabels = {{ good = "{THEIRS[7]}", bad = " bad" }}',
    )
    _, _, store = asked(told, "Text: {{ text }} ->", stages=stages)
    found = told_of(store, "second@1")
    assert found.marks[0].where == "stages.second.labels of the recipe"
    covered = prompt_coverage(store, store.find("second"))
    assert covered.recorded == (0.0, 0.0)
    assert "stages.second.labels of the recipe" in covered.named
