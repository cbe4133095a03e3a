"""Schemas as they are sent: within what each provider documents, and never against the schema."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validate
from tests_chat import asking

from mashbill.client.wire import WireError
from mashbill.client.wire.anthropic import AnthropicMessages
from mashbill.client.wire.gemini import Gemini
from mashbill.client.wire.openai_chat import OpenAIChat
from mashbill.client.wire.openai_responses import OpenAIResponses
from mashbill.stages.instruct import InstructSpec
from mashbill.stages.qa import QaSpec
from mashbill.teachers.fake_json import Drawer
from mashbill.teachers.format import _one_of

TURNS = [{"role": "user", "content": "Which grain?"}]
WORD = {"type": "string", "minLength": 2, "maxLength": 9, "pattern": "^[a-z]+$"}


def closed(**properties):
    return {
        "type": "object", "additionalProperties": False, "required": list(properties),
        "properties": properties,
    }  # fmt: skip


def chat(schema, own=True):
    wire = OpenAIChat("max_completion_tokens" if own else "max_tokens")
    sent = wire.body(asking("m", TURNS, schema=schema))["response_format"]["json_schema"]
    if own:
        form = OpenAIResponses().body(asking("m", TURNS, schema=schema))["text"]["format"]
        assert (form["schema"], form["strict"]) == (sent["schema"], sent["strict"])
    return sent["schema"], sent["strict"]


def anthropic(schema):
    body = AnthropicMessages().body(asking("m", TURNS, schema=schema))
    return body["output_config"]["format"]["schema"]


def gemini(schema):
    body = Gemini().body(asking("m", TURNS, schema=schema))
    return body["generationConfig"]["responseJsonSchema"]


NODE = closed(next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]})


@pytest.mark.parametrize(
    "schema",
    [
        closed(a={"type": "string", "format": "date"}, b={"type": ["integer", "null"]}),
        closed(a={"type": "array", "items": closed(b={"type": "number", "minimum": 1})}),
        {**closed(a={"$ref": "#/$defs/node"}), "$defs": {"node": NODE}},
        _one_of((" yes", " no")),
    ],
)
def test_what_openai_documents_is_sent_as_it_is_and_strictly(schema):
    assert chat(schema) == chat(schema, own=False) == (schema, True)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {**closed(a=WORD), "required": []},
        {**closed(a=WORD), "additionalProperties": True},
        closed(a={"type": "object"}),
        closed(a={"type": "array"}),
        closed(a={}),
        closed(a=True),
        closed(a={"oneOf": [WORD, {"type": "null"}]}),
        {"anyOf": [closed(a=WORD)]},
        {"type": "array", "items": WORD},
        {**closed(a={"$ref": "#/$defs/a"}), "$defs": {"a": {"type": "object"}}},
        closed(a={"enum": [str(i) for i in range(1001)]}),
    ],
)
def test_what_a_strict_schema_cannot_say_is_sent_as_it_is_and_not_strictly(schema):
    assert chat(schema) == chat(schema, own=False) == (schema, False)


def test_keywords_that_openai_does_not_list_are_left_out_for_openai_alone():
    odd = {"default": "x", "examples": ["y"], "format": "uri", "pattern": "^(?!x)"}
    schema = closed(a={**WORD, "title": "A"}, b={"type": "string", **odd}, c={"enum": [1, "x"]})
    sent, strict = chat(schema)
    assert strict
    assert sent["properties"] == {
        "a": {"type": "string", "pattern": "^[a-z]+$", "title": "A"},
        "b": {"type": "string"},
        "c": {"type": ["integer", "string"], "enum": [1, "x"]},
    }
    assert chat(schema, own=False) == (schema, False)


@pytest.mark.parametrize("spec", [InstructSpec, QaSpec])
def test_our_own_schemas_are_strict(spec, tmp_path):
    schema = spec(input="i", teacher="t").structure(tmp_path).schema
    assert chat(schema)[1]
    assert "minLength" not in json.dumps([anthropic(schema), gemini(schema), *chat(schema)])


def test_anthropic_is_sent_closed_objects_without_bounds():
    schema = {
        "type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {
            "a": {**WORD, "format": "uri"},
            "b": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 3},
            "c": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/d", "description": "d"}]},
            "e": {"type": "string", "pattern": "\\bx", "default": "x"},
        },
        "$defs": {"d": {"type": "object", "properties": {"x": {"const": 1}}}},
    }  # fmt: skip
    assert anthropic(schema) == {
        "type": "object", "additionalProperties": False,
        "properties": {
            "a": {"type": "string", "pattern": "^[a-z]+$", "format": "uri"},
            "b": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            "c": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/d"}]},
            "e": {"type": "string", "default": "x"},
        },
        "$defs": {
            "d": {
                "type": "object", "additionalProperties": False,
                "properties": {"x": {"const": 1}},
            },
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({"type": "object"}, "an object of any properties"),
        (closed(a={"type": "object", "additionalProperties": WORD}), "an object of any properties"),
        ({**closed(a={"$ref": "#/$defs/node"}), "$defs": {"node": NODE}}, "contains itself"),
        (closed(a={"anyOf": [{"$ref": "#"}, {"type": "null"}]}), "contains itself"),
    ],
)
def test_what_anthropic_cannot_be_held_to_says_what_to_do(schema, what):
    with pytest.raises(WireError, match=rf"{what}; set structured = 'prompt'"):
        anthropic(schema)


def test_gemini_is_sent_what_its_reference_lists():
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object", "minProperties": 1, "required": ["a"],
        "properties": {
            "a": {**WORD, "title": "A"},
            "b": {"const": "x"},
            "c": {"enum": [None, "x"], "type": ["string", "null"]},
            "d": {"$ref": "#/definitions/d", "description": "d"},
        },
        "definitions": {"d": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9}},
        "additionalProperties": {"type": "string", "maxLength": 3},
    }  # fmt: skip
    assert gemini(schema) == {
        "type": "object", "required": ["a"],
        "properties": {
            "a": {"type": "string", "title": "A"},
            "b": {"enum": ["x"]},
            "c": {"type": ["string", "null"]},
            "d": {"$ref": "#/$defs/d"},
        },
        "$defs": {"d": {"type": "integer", "maximum": 9}},
        "additionalProperties": {"type": "string"},
    }  # fmt: skip


LEAF = st.sampled_from(
    [
        WORD, {"type": "integer", "minimum": 2, "maximum": 9}, {"type": "boolean"},
        {"enum": ["x", "y"]}, {"const": 3}, {"type": ["string", "null"], "minLength": 1},
        {"type": "number", "exclusiveMinimum": 0},
    ]
)  # fmt: skip
SCHEMAS = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(lambda p: closed(**p)),
        inner.map(lambda i: {"type": "array", "items": i, "minItems": 2, "maxItems": 3}),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"anyOf": some}),
    ),
    max_leaves=8,
).map(lambda inner: closed(a=inner))


@given(schema=SCHEMAS, key=st.text(max_size=5))
def test_what_satisfies_a_closed_schema_may_be_written_under_what_is_sent(schema, key):
    value = Drawer(key, ["word"]).value(schema)
    sent, _ = chat(schema)
    for other in (sent, anthropic(schema), gemini(schema)):
        Draft202012Validator.check_schema(other)
        if Draft202012Validator(schema).is_valid(value):
            validate(value, other)
