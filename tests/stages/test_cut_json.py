"""JSON that is cut off is not mended into a whole: a half would pass for the whole."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.prompts.schema import Structure

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {"type": "string"}}},
    "required": ["a"],
}
STRUCTURE = Structure(SCHEMA, "s.json")


@law(200)
@given(st.text(min_size=1), st.lists(st.text(min_size=1), min_size=1, max_size=3), st.data())
def test_what_ends_within_a_text_is_never_mended(a, b, data):
    whole = json.dumps({"a": a, "b": b}, ensure_ascii=data.draw(st.booleans()))
    inside, quoted, escaped = [], False, False
    for place, character in enumerate(whole):
        if quoted and not escaped and character == '"':
            quoted = False
        elif not quoted and character == '"':
            quoted = True
        escaped = quoted and not escaped and character == "\\"
        if quoted:
            inside.append(place + 1)
    cut = whole[: data.draw(st.sampled_from(inside))]
    if cut.rstrip().endswith(("}", "]", "`")):
        return  # may be a quotation mark too many
    assert STRUCTURE.read(cut).problem
    assert not STRUCTURE.read(whole).problem


@pytest.mark.parametrize(
    "text",
    ['{"a": "x", }', '```json\n{"a": "x"}\n```', "{'a': 'x'}", '{"a": "x"', 'Here: {"a": "x"} ok',
     '{"a": "x", "b": ["y"]'],
)  # fmt: skip
def test_what_lacks_no_more_than_a_bracket_or_a_fence_is_mended_where_its_end_was_said(text):
    read = STRUCTURE.read(text)
    assert (read.value["a"], read.repaired) == ("x", True)
    assert STRUCTURE.read(text, may_mend=False).problem
    assert STRUCTURE.read('{"a": "x"}', may_mend=False).value == {"a": "x"}
