"""Turns with tools: learned as the template writes calls or not at all, and no text is a mark."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tiny_base import CHATML, make_base

from mashbill.core.chat import Conversation, Tool, ToolCall, Turn
from mashbill.core.errors import TeacherError
from mashbill.core.teacher import Question
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.hidden_marks import HiddenMarks, shown
from mashbill.models.reading import Reading

# The ways of public templates, in small: Qwen's and Hermes's write JSON of an object, with its
# reasoning; Llama's takes one call and says nothing beside it; DeepSeek's wants the arguments as a
# text and a content of none; Mistral's wants identities of nine letters, and tells a list; GLM's
# and Qwen3-Coder's write keys and values one by one.
_OTHERS = (
    "{%- if tools %}{{ '<|im_start|>system\n' }}{% for t in tools %}{{ t | tojson }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endif %}"
    "{%- for m in messages %}{%- if m.role == 'assistant' %}{{ '<|im_start|>assistant\n' }}ANSWER"
    "{{ '<|im_end|>\n' }}"
    "{%- else %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{%- if m.role == 'tool' %}{{ m.name + ' ' + m.tool_call_id + ':' }}{% endif %}"
    "{{ m.content + '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}"
)
_CALLS = "{%- for c in m.tool_calls or [] %}CALL{%- endfor %}"


def written(answer, call=""):
    return _OTHERS.replace("ANSWER", answer.replace("CALLS", _CALLS.replace("CALL", call)))


TEMPLATES = {
    "chatml": CHATML,
    "qwen": written(
        "{% if m.reasoning_content %}{{ '<think>\n' + m.reasoning_content + '\n</think>\n\n' }}"
        "{% endif %}{{ m.content }}CALLS",
        '{{ \'{"name": "\' + c.function.name + \'", "arguments": \' }}'
        "{{ c.function.arguments | tojson }}{{ '}' }}",
    ),
    "hermes": written(
        "{{ m.content }}CALLS",
        "{{ '{\"arguments\": ' }}{{ c.function.arguments | tojson }}"
        "{{ ', \"name\": ' + c.function.name | tojson + '}' }}",
    ),
    "llama": written(
        "{% if m.tool_calls %}{% if m.tool_calls | length > 1 %}{{ raise_exception('one call') }}"
        "{% endif %}{% set c = m.tool_calls[0].function %}"
        "{{ '{\"name\": \"' + c.name + '\", \"parameters\": ' }}{{ c.arguments | tojson }}{{ '}' }}"
        "{% else %}{{ m.content | trim }}{% endif %}"
    ),
    "first": written(
        "{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls[0].function | tojson }}{% endif %}"
    ),
    "deepseek": written(
        "{% if m.content is none %}CALLS{% else %}{{ m.content }}{% endif %}",
        "{{ c.function.name + '\n```json\n' + c.function.arguments + '\n```' }}",
    ),
    "mistral": written(
        "{% if m.tool_calls is defined and m.tool_calls is not none %}{{ '[' }}CALLS{{ ']' }}"
        "{% else %}{{ m.content }}{% endif %}",
        "{% if c.id | length != 9 %}{{ raise_exception('nine letters') }}{% endif %}"
        "{{ (c.function | tojson)[:-1] + ', \"id\": \"' + c.id + '\"}' }}",
    ),
    "glm": written(
        "{{ m.content }}CALLS",
        "{{ c.function.name }}{% for k, v in c.function.arguments.items() %}"
        "{{ '<k>' + k + '</k>' }}{{ v if v is string else v | tojson }}{% endfor %}",
    ),
    "coder": written(
        "{{ m.content }}CALLS",
        "{{ '<' ~ c.function.name ~ '>' }}{% for k, v in c.function.arguments | items %}"
        "{{ '<' ~ k ~ '>' ~ (v if v is string else v | tojson) }}{% endfor %}",
    ),
    "r1": written("{{ m.content.split('</think>')[-1] }}CALLS", "{{ c.function | tojson }}"),
    "no name": written("{{ m.content }}CALLS", "{{ c.function.arguments | tojson }}"),
    "no arguments": written("{{ m.content }}CALLS", "{{ c.function.name }}"),
    "repr": written("{{ m.content }}CALLS", "{{ c.function.name ~ c.function.arguments }}"),
    "no results": written("{{ m.content }}CALLS", "{{ c.function | tojson }}").replace(
        "{{ m.content + '<|im_end|>\n' }}",
        "{{ (m.content if m.role != 'tool' else '') + '<|im_end|>\n' }}",
    ),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("bases")
    return {name: make_base(root / name, template=each) for name, each in TEMPLATES.items()}


@pytest.fixture(scope="module")
def tokens(folders):
    return {name: ConversationTokens(folder) for name, folder in folders.items()}


def call(arguments='{"a": "b c", "n": 2}', name="look", own="call00001"):
    return ToolCall(own, name, arguments)


def asked(*calls, content="", reasoning=""):
    return Conversation(
        (Turn("user", "what"), Turn("assistant", content, tuple(calls), reasoning=reasoning))
    )


def learned(own, said, **how):
    """What is learned of each sequence, as texts."""
    found = own.conversation(said, **how)
    return [
        own.tokenizer.decode(
            [i for i, is_it in zip(one.ids, one.learned, strict=True) if is_it],
            skip_special_tokens=False,
        )
        for one in found
    ]


OBJECT = '{"a": "b c", "n": 2}'
SECOND = '{"name": "find", "arguments": {"a": "d"}}'
ONE, TWO = call(), call('{"a": "d"}', "find", "call00002")


@pytest.mark.parametrize(
    ("template", "said", "expected"),
    [
        ("qwen", asked(ONE), f'{{"name": "look", "arguments": {OBJECT}}}'),
        ("qwen", asked(ONE, TWO, content="yes"),
         f'yes{{"name": "look", "arguments": {OBJECT}}}{SECOND}'),
        ("qwen", asked(ONE, reasoning="a name"),
         f'<think>\na name\n</think>\n\n{{"name": "look", "arguments": {OBJECT}}}'),
        ("qwen", asked(call("{}")), '{"name": "look", "arguments": {}}'),
        ("hermes", asked(ONE), f'{{"arguments": {OBJECT}, "name": "look"}}'),
        ("llama", asked(ONE), f'{{"name": "look", "parameters": {OBJECT}}}'),
        ("first", asked(ONE), f'{{"name": "look", "arguments": {OBJECT}}}'),
        ("deepseek", asked(ONE), f"look\n```json\n{OBJECT}\n```"),
        ("mistral", asked(ONE), f'[{{"name": "look", "arguments": {OBJECT}, "id": "call00001"}}]'),
        ("glm", asked(ONE), "look<k>a</k>b c<k>n</k>2"),
        ("coder", asked(ONE), "<look><a>b c<n>2"),
        ("r1", asked(ONE, content="yes"), f'yes{{"name": "look", "arguments": {OBJECT}}}'),
        ("repr", asked(ONE), f"look{OBJECT}"),
    ],
)  # fmt: skip
def test_a_call_is_learned_as_the_template_writes_it(tokens, template, said, expected):
    assert learned(tokens[template], said) == [f"{expected}<|im_end|>"]


@pytest.mark.parametrize(
    ("template", "said", "says"),
    [
        ("chatml", asked(ONE), "no place for a call of a tool"),
        ("chatml", asked(ONE, content="yes"), "no place for a call of a tool"),
        ("chatml", asked(ONE, reasoning="a name"), "no place for a call of a tool"),
        ("chatml", asked(call("{}")), "no place for a call of a tool"),
        ("llama", asked(ONE, content="yes"), "no place for what it says beside a call"),
        ("llama", asked(ONE, TWO), "refuses these turns: one call"),
        ("first", asked(ONE, TWO), "no place for all calls of a turn"),
        ("first", asked(ONE, ONE), "no place for all calls of a turn"),
        ("deepseek", asked(ONE, content="yes"), "no place for a call of a tool"),
        ("mistral", asked(call(own="x")), "refuses these turns: nine letters"),
        ("r1", asked(ONE, reasoning="a name"), r"its reasoning beside a call.*leave reasoning out"),
        ("no name", asked(ONE), "no place for a call of a tool"),
        ("no arguments", asked(ONE), "no place for a call of a tool"),
    ],
)
def test_what_a_template_leaves_out_of_a_call_is_no_lesson(tokens, template, said, says):
    with pytest.raises(TeacherError, match=says):
        tokens[template].conversation(said)


def after(result="a place", content="good"):
    return Conversation(
        (*asked(ONE), Turn("tool", result, tool_call_id=ONE.id, name=ONE.name),
         Turn("assistant", content))
    )  # fmt: skip


def test_calls_and_the_answer_to_their_results_are_learned(tokens):
    assert learned(tokens["qwen"], after()) == [
        f'{{"name": "look", "arguments": {OBJECT}}}<|im_end|>good<|im_end|>'
    ]
    marked = [Tool("look <|im_end|>", "a <|im_end|>", {"type": "object"})]
    assert len(tokens["qwen"].conversation(after("<|im_end|>", "<|im_start|>"), marked)) == 1
    with pytest.raises(TeacherError, match="no place for results of tools"):
        tokens["no results"].conversation(after())


TEXTS = st.sampled_from(
    ["say <|im_end|> to it", "<|im_start|>", "<|im_", "end|>", "|im_end|>", "<", "im_end", "b",
     "<<|im_end|>", "\ue0000\ue001", "<|im_end|", '"<|im_end|>\\', "日本 <|endoftext|>\n", "<|im_ "]
) | st.text(max_size=6).filter(str.strip)  # fmt: skip
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)
CALLS = st.builds(call, OBJECTS.map(json.dumps), TEXTS, st.just("call00001") | TEXTS)
ONES = ["qwen", "hermes", "llama", "deepseek", "mistral", "glm", "coder"]


@law(60)
@given(st.sampled_from(ONES), st.data())
def test_no_text_in_any_place_of_a_conversation_is_a_special_token(folders, tokens, name, data):
    """The special tokens are those of the same conversation with texts that spell no mark."""
    own = tokens[name]
    special = set(own.chat._special.values())
    draw = data.draw
    made = draw(CALLS)
    turns = (
        Turn("system", draw(TEXTS)),
        Turn("user", draw(TEXTS)),
        Turn("assistant", "", (made,), reasoning=draw(TEXTS)),
        Turn("tool", draw(TEXTS), tool_call_id=draw(TEXTS), name=draw(TEXTS)),
        Turn("assistant", draw(TEXTS)),
    )
    tools = [Tool(draw(TEXTS), draw(TEXTS), draw(OBJECTS))]
    plain = (
        Turn("system", "b"), Turn("user", "b"), Turn("assistant", "", (ONE,)),
        Turn("tool", "b", tool_call_id="call00001", name="look"), Turn("assistant", "b"),
    )  # fmt: skip

    def marks(ids):
        return [token for token in ids if token in special]

    if name == "mistral" and len(made.id) != 9:
        with pytest.raises(TeacherError, match="nine letters"):
            own.conversation(Conversation(turns), tools, only_last=True)
        return
    found = own.conversation(Conversation(turns), tools, only_last=True)
    expected = own.conversation(Conversation(plain), [Tool("look")], only_last=True)
    assert [marks(one.ids) for one in found] == [marks(one.ids) for one in expected]
    begun = own.chat.ids(Question("", "", turns=Conversation(turns[:-1])))
    wanted = own.chat.ids(Question("", "", turns=Conversation(plain[:-1])))
    assert marks(begun) == marks(wanted)
    asking = Question("", "", turns=Conversation(turns[:-1]))
    assert Reading(folders[name]).asked(asking, 1).ids == begun
    without = own.conversation(Conversation(turns), only_last=True)
    assert without[0].ids[: len(begun)] == begun


@law(60)
@given(st.sampled_from(["qwen", "hermes"]), st.lists(CALLS, min_size=1, max_size=2), TEXTS)
def test_calls_are_learned_to_the_letter(tokens, name, calls, content):
    """JSON of what was called stands in what is learned, whatever marks it spells out."""
    (text,) = learned(tokens[name], asked(*calls, content=content))
    assert text.endswith("<|im_end|>")
    at = 0
    for each in calls:
        shown = json.dumps(json.loads(each.arguments), ensure_ascii=False)
        assert shown in text[at:]
        at = text.index(shown, at) + len(shown)


def test_a_mark_that_json_escapes_is_escaped_in_json():
    """Gemma's tokens have one with a quotation mark in it."""
    marks = HiddenMarks(['<|"|>', "<|im_end|>"], "")
    kept: list[str] = []
    text = 'a <|"|> b <|im_end|>'
    hidden = marks.hide(text, kept)
    assert '<|"|>' not in hidden
    assert "<|im_end|>" not in hidden
    assert shown(hidden, kept) == text
    assert json.loads(shown(json.dumps(hidden, ensure_ascii=False), kept)) == text
