"""Conversations: their text is what journals and digests have; system text goes where it may."""

import ast
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_chat import said

import mashbill
from mashbill import Answer, InputError, Question
from mashbill.calls.paid_call import Requests, request_digest
from mashbill.calls.written import WrittenAnswer, WrittenQuestion
from mashbill.client.prices import Price
from mashbill.core.canonical import canonical
from mashbill.core.chat import (
    ROLES,
    Conversation,
    Opaque,
    Tool,
    ToolCall,
    Turn,
    calls_from_json,
    calls_to_json,
    tools_from_json,
    tools_to_json,
)
from mashbill.core.schema import Schema
from mashbill.files.rows.conversations import OthersTurn
from mashbill.teachers.format import Format
from mashbill.teachers.services import WireName, wire_of

WORDS = st.text("ab \n", min_size=1, max_size=4)
TEXTS = st.text(max_size=6)
SIMPLE = st.lists(
    st.builds(Turn, st.sampled_from(["system", "user", "assistant"]), WORDS), max_size=6
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
OPAQUES = st.builds(Opaque, TEXTS, TEXTS, JSON)
CALLS = st.lists(st.builds(ToolCall, TEXTS, TEXTS, TEXTS), max_size=3).map(tuple)
SAID = st.one_of(
    st.builds(Turn, st.sampled_from(["system", "user"]), TEXTS),
    st.builds(Turn, st.just("assistant"), TEXTS, CALLS, st.none() | OPAQUES),
    st.builds(
        lambda text, call, name: Turn("tool", text, tool_call_id=call, name=name),
        TEXTS, TEXTS, TEXTS,
    ),
)  # fmt: skip
CONVERSATIONS = st.lists(SAID, max_size=5).map(tuple).map(Conversation)
TOOLS = st.lists(
    st.builds(Tool, TEXTS, TEXTS, st.dictionaries(TEXTS, JSON, max_size=3)), max_size=3
).map(tuple)
SCHEMAS = st.builds(Schema, st.dictionaries(TEXTS, JSON, max_size=3))
QUESTIONS = st.builds(
    Question, TEXTS, TEXTS, st.sampled_from([(), (" yes", " no")]), TEXTS, CONVERSATIONS,
    st.none() | SCHEMAS, TOOLS, st.integers(0, 3),
)  # fmt: skip
ANSWERS = st.builds(
    Answer, st.sampled_from([(), (-0.1, -2.5)]), st.integers(0, 99), TEXTS, TEXTS, TEXTS, CALLS,
    TEXTS, st.none() | OPAQUES,
)  # fmt: skip


# ---- the texts that release 0.1.0 wrote, built by its own words ----


def turn_as_it_was(turn):
    """A turn as stages put it together before there were types."""
    if turn.role == "tool":
        return {
            "role": "tool", "tool_call_id": turn.tool_call_id, "name": turn.name,
            "content": turn.content,
        }  # fmt: skip
    found = {"role": turn.role, "content": turn.content}
    if turn.opaque is not None:
        whose = {"model": turn.opaque.model, "account": turn.opaque.account}
        found["opaque"] = json.loads(json.dumps({**whose, "data": turn.opaque.data}))
    if turn.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments}
            for call in turn.tool_calls
        ]
    return found


def schema_as_it_was(schema):
    """A schema as stages put it into a question before it was a value."""
    return "" if schema is None else json.dumps(schema.value, ensure_ascii=False, sort_keys=True)


def digest_as_it_was(teacher, question):
    """A request's digest as it was made of a question that held texts."""
    turns = [turn_as_it_was(turn) for turn in question.turns]
    tools = [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in question.tools
    ]
    texts = {
        "system": question.system,
        "turns": json.dumps(turns, ensure_ascii=False) if turns else "",
        "schema": schema_as_it_was(question.schema),
        "tools": json.dumps(tools, ensure_ascii=False, sort_keys=True) if tools else "",
        "sample": question.sample,
    }
    asked = {
        "teacher": teacher,
        "prefix": hashlib.sha256(question.prefix.encode()).hexdigest(),
        "body": question.body,
        "choices": list(question.choices),
        **{name: text for name, text in texts.items() if text},
    }
    return hashlib.sha256(canonical(asked)).hexdigest()


@given(QUESTIONS)
def test_a_request_has_the_digest_that_it_had_before_there_were_types(question):
    teacher = {"kind": "fake", "words": {"good": ["fine"]}}
    wanted = digest_as_it_was(teacher, question)
    assert request_digest(teacher, question) == wanted
    assert Requests(teacher).digest(question) == wanted
    assert request_digest(teacher, WrittenQuestion.of(question)) == wanted


def test_digests_of_conversations_that_are_in_journals():
    """Recorded with the commit before: texts of turns, tools, and the digests of both."""
    turns = '[{"role": "user", "content": "Grüß"}, {"role": "assistant", "content": "", "opaque": {"model": "m", "account": "a", "data": ["é"]}, "tool_calls": [{"id": "c1", "name": "weigh", "arguments": "{\\"of\\": \\"rye\\"}"}]}, {"role": "tool", "tool_call_id": "c1", "name": "weigh", "content": "{\\"kg\\": 3}"}]'  # noqa: E501
    tools = '[{"description": "Weighs ü.", "name": "weigh", "parameters": {"properties": {"of": {"type": "string"}}, "type": "object"}}]'  # noqa: E501
    written = WrittenQuestion("p", "And?", (), "Be brief.", turns, "", tools, 2)
    read = written.read()
    assert WrittenQuestion.of(read) == written
    assert request_digest({"kind": "x"}, read) == RECORDED
    assert [turn.role for turn in read.turns] == ["user", "assistant", "tool"]
    assert read.turns[1].tool_calls == (ToolCall("c1", "weigh", '{"of": "rye"}'),)


RECORDED = "9720dc4a97062b8026e30deaa24ccd5ef31253522c5269d8ff5ca14832efca5b"


# ---- there and back ----


WITH_SCHEMA = '{"properties": {"größe": {"maximum": 5.0, "minimum": 1, "type": "number"}, "ok": {"const": true}}, "type": "object"}'  # noqa: E501


def test_digest_of_a_question_with_a_schema_that_is_in_journals():
    """Recorded with the commit before: a schema was this text in a question."""
    written = WrittenQuestion("p", "And?", (), "Be brief.", schema=WITH_SCHEMA, sample=1)
    read = written.read()
    assert WrittenQuestion.of(read) == written
    assert request_digest({"kind": "x"}, read) == RECORDED_WITH_SCHEMA
    assert read.schema.value["properties"]["größe"]["minimum"] == 1


RECORDED_WITH_SCHEMA = "37397d618feccd71b4228aa5dd562cef02fae814435d8e0fe7637ae742bb8b60"


@given(st.dictionaries(TEXTS, JSON, max_size=3))
def test_a_schema_is_one_value_however_its_keys_come(value):
    turned = dict(reversed(value.items()))
    schema = Schema(value)
    assert schema == Schema(turned) == Schema.from_json(schema.to_json())
    assert hash(schema) == hash(Schema(turned))
    assert list(schema.value) == sorted(value)
    value["another"] = 1  # it is not what somebody else may change
    assert schema.to_json() == Schema(turned).to_json()


def test_schemas_that_are_written_otherwise_are_others():
    one, true, whole = ({"const": value} for value in (1, True, 1.0))
    assert len({Schema(one), Schema(true), Schema(whole)}) == 3
    assert Schema.from_json("") is None
    for text in ("no json", "[]", "1", "[" * 100_000):
        with pytest.raises(InputError, match="a JSON Schema is a JSON object"):
            Schema.from_json(text)


@given(QUESTIONS, ANSWERS)
def test_a_journal_gives_back_what_was_asked_and_answered(question, answer):
    asked, answered = WrittenQuestion.of(question), WrittenAnswer.of(answer)
    assert asked.read() == question
    assert WrittenQuestion.of(asked.read()) == asked
    assert answered.read() == answer
    assert WrittenAnswer.of(answered.read()) == answered


@given(CONVERSATIONS, CALLS, TOOLS, OPAQUES)
def test_text_and_value_are_each_other(conversation, calls, tools, opaque):
    assert Conversation.from_json(conversation.to_json()) == conversation
    assert Conversation.of(json.loads(json.dumps(conversation.value()))) == conversation
    assert calls_from_json(calls_to_json(calls)) == calls
    assert tools_from_json(tools_to_json(tools)) == tools
    assert Opaque.from_json(opaque.to_json()) == opaque
    assert bool(conversation) == bool(conversation.to_json()) == bool(len(conversation))
    hash((conversation, calls, tools, opaque))


@pytest.mark.parametrize("name", sorted(set(get_args(WireName)) - {"openai-completions"}))
@given(CONVERSATIONS)
def test_every_wire_says_what_was_said(name, conversation):
    """Of turns without a provider's own blocks each text is in the body; a body is always JSON."""
    whole = conversation.shown()
    whole = Conversation(
        tuple(
            replace(turn, tool_calls=tuple(replace(c, arguments="{}") for c in turn.tool_calls))
            for turn in whole
        )
    )
    form = Format(
        wire_of(name), "m", "a", Price(known=False, table="", _of=lambda _: 0.0), 64
    )  # fmt: skip
    body = json.loads(form.body(Question("", "Go on.", turns=whole)))
    sent = "\n".join(texts_in(body))
    for turn in whole:
        assert turn.content in sent or turn.role == "tool"
        assert all(call.name in sent for call in turn.tool_calls)


def texts_in(value):
    if isinstance(value, dict):
        return [text for key in value for text in texts_in(value[key])]
    if isinstance(value, list):
        return [text for each in value for text in texts_in(each)]
    return [value] if isinstance(value, str) else []


@given(st.text(max_size=30) | JSON.map(json.dumps))
def test_what_is_none_is_told_and_nothing_else_happens(text):
    for read in (Conversation.from_json, calls_from_json, tools_from_json, Opaque.from_json):
        with suppress(InputError):
            read(text)


@pytest.mark.parametrize(
    ("read", "text", "told"),
    [
        (Conversation.from_json, "[", "is not a conversation in JSON"),
        (Conversation.from_json, "{}", "a conversation: {} is no list"),
        (Conversation.from_json, '["a"]', "a turn is 'a'; an object is meant"),
        (Conversation.from_json, '[{"role": "gpt"}]', "a turn is of 'gpt'; one of system, user"),
        (Conversation.from_json, "[" * 100_000, "is not a conversation in JSON"),
        (calls_from_json, '[{"id": "a"}]', "a call of a tool has name = None"),
        (tools_from_json, '[{"name": 3}]', "a tool has name = 3; text is meant"),
        (Opaque.from_json, "[1]", "what a provider wants back is [1]; an object is meant"),
    ],
)
def test_messages(read, text, told):
    with pytest.raises(InputError) as caught:
        read(text)
    assert told in str(caught.value)


# ---- walks ----


@given(CONVERSATIONS)
def test_walks(conversation):
    assert sum(len(conversation.said_by(role)) for role in ROLES) == len(conversation)
    answers = conversation.said_by("assistant")
    assert conversation.last_answer == (answers[-1].content if answers else "")
    assert all(turn.opaque is None for turn in conversation.shown())
    assert conversation.shown().shown() == conversation.shown()
    assert conversation.then(Turn("user", "x"))[-1] == Turn("user", "x")
    assert list(conversation.then()) == list(conversation)


def test_a_transcript_is_what_a_judge_reads():
    call = ToolCall("c", "weigh", '{"of": "rye"}')
    whole = said(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How heavy?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "name": "weigh", "content": "3"},
            {"role": "assistant", "content": "Three."},
        ]
    )
    assert whole.transcript() == (
        'User: How heavy?\n\nAssistant calls weigh: {"of": "rye"}\n\nResult of weigh: 3'
    )
    assert Conversation((whole[0], whole[1], whole[4])).transcript() == "How heavy?"


# ---- system text ----


def by(turns, role):
    return [turn.content for turn in turns if turn.role == role]


@given(SIMPLE)
def test_one_system_turn_at_most_and_it_is_the_first(turns):
    whole = Conversation(tuple(turns)).one_system()
    assert len(whole.said_by("system")) <= 1
    assert "system" not in [turn.role for turn in list(whole)[1:]]
    assert [t for t in whole if t.role != "system"] == [t for t in turns if t.role != "system"]
    if by(turns, "system"):
        assert by(whole, "system") == ["\n\n".join(by(turns, "system"))]
    assert whole.one_system() == whole


@given(SIMPLE)
def test_in_the_user_s_turn_no_system_turn_is_left_and_all_is_said(turns):
    made = Conversation(tuple(turns)).system_in_user()
    assert not by(made, "system")
    assert by(made, "assistant") == by(turns, "assistant")
    system, users = by(turns, "system"), by(turns, "user")
    first = ["\n\n".join([*system, *users[:1]])] if system or users else []
    assert by(made, "user") == [*first, *users[1:]]


ASKED = st.builds(
    Question,
    st.just(""),
    WORDS,
    choices=st.sampled_from([(), (" yes", " no")]),
    system=st.sampled_from(["", "Be brief."]),
    turns=st.sampled_from(
        [Conversation(), Conversation((Turn("user", "U"), Turn("assistant", "A")))]
    ),
    schema=st.sampled_from([None, Schema({"type": "object"})]),
)


@given(ASKED, st.booleans(), st.sampled_from([0, 20]), st.sampled_from(["turn", "user"]))
def test_a_request_has_one_system_turn_at_most_whatever_is_asked(question, native, top, system):
    form = Format(
        wire_of("openai-chat"), "m", "a", Price(known=False, table="", _of=lambda _: 0.0), 64,
        logprobs=top, native_schema=native, system=system,
    )  # fmt: skip
    roles = [turn["role"] for turn in json.loads(form.body(question))["messages"]]
    wants = question.system or question.choices or (question.schema and not native)
    assert roles.count("system") == (bool(wants) and system == "turn")
    others = [role for role in roles if role != "system"]
    assert others == (["user", "assistant", "user"] if question.turns else ["user"])
    whole = form.body(question).decode()
    assert "Be brief." in whole or not question.system
    assert "exactly as it stands here" in whole or not question.choices
    if roles != others:
        assert Conversation.of(json.loads(whole)["messages"]).only_system_is_odd


def test_there_is_one_turn_and_one_call_of_a_tool():
    """What files of others have beside a turn is more of that turn, and no other kind of it."""
    assert issubclass(OthersTurn, Turn)
    source = Path(mashbill.__file__).parent
    named = {
        f"{path.relative_to(source).as_posix()} {node.name}"
        for path in sorted(source.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and re.search(r"Turn$|ToolCall$", node.name)
    }
    assert named == {
        "core/chat.py Turn", "core/chat.py ToolCall", "files/rows/conversations.py OthersTurn",
    }  # fmt: skip
