"""Traces of tool use, and what a prompt may hold."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import validate
from tests_chat import as_values, asking
from tests_chat import calls as typed
from tests_service import Service, chat
from tests_support import TEACHER, rows_of
from tests_ways import TEXTS, WAYS, WEATHER, made, says

from mashbill import Answer, InputError, RecipeError
from mashbill.core.chat import Opaque, ToolCall
from mashbill.prompts.prompt import Prompt
from mashbill.stages.writing.tool_calls import whole_calls
from mashbill.teachers.services import WireName, wire_of

# ---- tools ----


def calling(*names, arguments='{"town": "Ulm"}'):
    calls = [{"id": f"c{i}", "name": name, "arguments": arguments} for i, name in enumerate(names)]
    return Answer((), 1, "", finish="tool_calls", tool_calls=typed(calls))


def test_simulated_results_satisfy_what_the_tool_returns(tmp_path):
    teachers = TEACHER.replace("noise = 0.5", "invalid = 0.4")
    store = made(tmp_path, "tools", WAYS["tools"] + "\nsamples = 3", teachers=teachers)
    assert store.find("out").measures["invalid_calls"] > 0
    results = []
    for row in rows_of(store, "out"):
        turns = json.loads(row["messages_json"])
        assert turns[-1] == {"role": "assistant", "content": row["text"]}
        results += [json.loads(turn["content"]) for turn in turns if turn["role"] == "tool"]
        (tool,) = json.loads(row["tools_json"])
        assert set(tool) == {"name", "description", "parameters"}
    errors = [result for result in results if "error" in result]
    assert errors
    assert all("the arguments do not fit" in error["error"] for error in errors)
    for result in results:
        if result not in errors:
            validate(result, WEATHER["returns"])


def test_known_results_are_looked_up_and_what_is_not_known_is_told(tmp_path, monkeypatch):
    def answer(question):
        if question.turns:
            return Answer((), 1, question.turns[-1].content)
        town = "Ulm" if "owl" in question.body else "Bonn"
        return calling("weather", arguments=json.dumps({"town": town}))

    says(monkeypatch, answer)
    known = [{"name": "weather", "arguments": {"town": "Ulm"}, "result": {"degrees": 7}}]
    keys = 'tools = "tools.json"\nresults = "known.jsonl"\n'
    store = made(tmp_path, "tools", keys, {"known.jsonl": known})
    texts = [row["text"] for row in rows_of(store, "out")]
    assert json.loads(texts[0]) == {"degrees": 7}
    assert {*texts[1:]} == {'{"error": "no result is known for these arguments"}'}
    assert store.find("out").measures["invalid_calls"] == len(TEXTS) - 1
    with pytest.raises(RecipeError, match=r"bad.jsonl, line 1: name, arguments and result"):
        made(tmp_path / "bad", "tools", keys.replace("known", "bad"), {"bad.jsonl": [{"name": 1}]})


@pytest.mark.parametrize(
    ("keys", "answer", "reason"),
    [
        ("", calling("weather", "sun"), "it calls 'sun', which is no declared tool"),
        ("max_steps = 3", calling("weather"), "it still calls tools after 3 steps"),
        (
            "max_invalid = 1",
            calling("weather", arguments='{"town": "Rome"}'),
            "2 calls had wrong arguments or no known result",
        ),
    ],
)
def test_a_trace_that_goes_wrong_is_rejected_and_kept(tmp_path, monkeypatch, keys, answer, reason):
    def answered(question):
        if question.schema:
            return Answer((), 1, '{"degrees": 3}')
        return (
            answer
            if "owl" in question.body + question.turns.to_json()
            else Answer((), 1, "None needed.")
        )

    says(monkeypatch, answered)
    store = made(tmp_path, "tools", f"{WAYS['tools']}\n{keys}")
    (gone,) = rows_of(store, "out", "rejected")
    assert gone["_reason"] == reason
    assert json.loads(gone["messages_json"])[1]["tool_calls"]
    assert gone["calls"] >= 1
    kept = rows_of(store, "out")
    assert {(row["text"], row["calls"]) for row in kept} == {("None needed.", 0)}


LONE = '{"town": "\\ud83d"}'


def test_half_a_character_in_arguments_goes_back_and_one_in_a_result_rejects(tmp_path, monkeypatch):
    loose = {**WEATHER, "parameters": {"type": "object"}, "returns": {"type": "object"}}

    def answered(question):
        if question.schema:
            fits = "owl" not in question.turns.to_json() + question.body
            return Answer((), 1, "{}" if fits else LONE)
        if question.turns:
            return Answer((), 1, question.turns[-1].content)
        if "fox" in question.body:
            return calling("weather", arguments=LONE)
        return calling("weather", arguments='{"town": "owl"}' if "owl" in question.body else "{}")

    says(monkeypatch, answered)
    files = {"tools.json": json.dumps([loose])}
    store = made(tmp_path, "tools", WAYS["tools"], files)
    assert "not valid Unicode" in rows_of(store, "out")[0]["text"]
    (gone,) = rows_of(store, "out", "rejected")
    assert gone["_reason"].startswith("the result of weather does not fit its schema: not valid")
    known = json.dumps({"name": "weather", "arguments": {}, "result": "\ud83d"})
    with pytest.raises(RecipeError, match=r"known.jsonl, line 1: .*not valid Unicode"):
        made(tmp_path / "known", "tools", 'tools = "tools.json"\nresults = "known.jsonl"',
             {**files, "known.jsonl": known})  # fmt: skip


def test_a_judge_of_a_trace_sees_calls_and_results(tmp_path, monkeypatch):
    judged = []

    def answered(question):
        if question.choices:
            judged.append(question.body)
            return Answer((-0.1, -3.0), 1)
        if question.schema:
            return Answer((), 1, '{"degrees": 3}')
        return Answer((), 1, "Cold.") if question.turns else calling("weather")

    says(monkeypatch, answered)
    made(tmp_path, "tools", WAYS["tools"] + '\njudge = "t"')
    assert len(judged) == len(TEXTS)
    for body in judged:
        assert 'Assistant calls weather: {"town": "Ulm"}' in body
        assert 'Result of weather: {"degrees": 3}' in body
        assert body.count("Cold.") == 1


def test_a_result_that_cannot_be_had_rejects_the_trace(tmp_path, monkeypatch):
    def answered(question):
        if question.schema:
            return Answer((), 1, "rather warm")
        return calling("weather") if "owl" in question.body else Answer((), 1, "None needed.")

    says(monkeypatch, answered)
    store = made(tmp_path, "tools", WAYS["tools"])
    (gone,) = rows_of(store, "out", "rejected")
    assert gone["_reason"].startswith("the result of weather does not fit its schema: not JSON")


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([WEATHER, WEATHER], "tool 'weather': each has a name of its own"),
        ([{**WEATHER, "strict": True}], "tool 'weather': each has a name of its own"),
        ([{**WEATHER, "parameters": []}], "tool 'weather': parameters is"),
        ([{**WEATHER, "returns": {"type": "obect"}}], "returns: not a JSON Schema, at type"),
        ([], "a list of tools is needed"),
    ],
)
def test_tools_are_checked_before_anything_runs(tmp_path, tools, message):
    with pytest.raises(RecipeError, match=message):
        made(tmp_path, "tools", WAYS["tools"], {"tools.json": json.dumps(tools)})


def test_arguments_that_only_mending_makes_json_go_back_to_the_teacher(tmp_path, monkeypatch):
    def answered(question):
        if question.turns:
            return Answer((), 1, question.turns[-1].content)
        return calling("weather", arguments='{"town": "Ulm"')

    says(monkeypatch, answered)
    store = made(tmp_path, "tools", WAYS["tools"])
    for row in rows_of(store, "out"):
        assert "the arguments do not fit: not JSON" in row["text"]


CLOCK = {
    "name": "clock",
    "description": "Tells the time.",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
}
KNOWN = [{"name": "clock", "arguments": {}, "result": "12:00"}]
OF_NOTHING = ["", " \n", "null", "{}", None, {}]


def with_calls(calls, **message):
    """A chat's answer that makes calls."""
    said = chat(None)
    said["choices"][0]["message"] |= {"tool_calls": calls, **message}
    said["choices"][0]["finish_reason"] = "tool_calls"
    return said


def called(own, **function):
    return {"id": own, "type": "function", "function": {"name": "clock", **function}}


def traced(folder, calls, stream=False):
    """Return the store of traces in which a service makes these calls, and what it was sent."""

    def answer(handler, path, data):
        body = json.loads(data)
        if any(turn["role"] == "tool" for turn in body["messages"]):
            said = chat("Noon.")
        else:
            said = with_calls(calls)
        if stream:
            choice = said["choices"][0]
            choice["delta"] = choice.pop("message")
            for place, call in enumerate(choice["delta"].get("tool_calls") or ()):
                call["index"] = place
            handler.reply(200, f"data: {json.dumps(said)}\n\ndata: [DONE]\n\n".encode(),
                          "text/event-stream")  # fmt: skip
        else:
            handler.reply(200, said)

    with Service(answer) as service:
        teachers = (
            f'[teachers.t]\nkind = "server"\nmodel = "m-1"\nbase_url = "{service.url}/v1"\n'
            f'license = "MIT"\nstream = {str(stream).lower()}\n'
        )
        files = {"tools.json": json.dumps([CLOCK]), "known.jsonl": KNOWN}
        keys = 'tools = "tools.json"\nresults = "known.jsonl"'
        store = made(folder, "tools", keys, files, teachers)
    return store, [json.loads(data) for _, _, data in service.asked]


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("arguments", [*OF_NOTHING, "absent"])
def test_a_call_without_arguments_is_one_with_none(tmp_path, arguments, stream):
    own = {} if arguments == "absent" else {"arguments": arguments}
    store, sent = traced(tmp_path, [called("a", **own)], stream)
    rows = rows_of(store, "out")
    assert len(rows) == len(TEXTS)
    for row in rows:
        (call,) = json.loads(row["messages_json"])[1]["tool_calls"]
        assert call == {"id": "a", "name": "clock", "arguments": "{}"}
    further = [body for body in sent if len(body["messages"]) > 1]
    assert len(further) == len(TEXTS)
    for body in further:
        (call,) = body["messages"][1]["tool_calls"]
        assert call["function"] == {"name": "clock", "arguments": "{}"}
    measures = store.find("out").measures
    assert measures["invalid_calls"] == 0
    is_mended = isinstance(arguments, str) and arguments not in {"{}", "absent"}
    assert measures.get("mended_calls", 0) <= len(TEXTS)
    assert ("mended_calls" in measures) >= (is_mended and not stream)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (["a", "a"], ["a", "a_1"]),
        (["a", "a", "a_1", "a"], ["a", "a_2", "a_1", "a_3"]),
        (["abcdefghi", "abcdefghi"], ["abcdefghi", "abcdefgh1"]),
        (["", None, "call_0"], None),
    ],
)
def test_calls_of_one_turn_have_ids_of_their_own_and_results_name_them(tmp_path, ids, told):
    store, sent = traced(tmp_path, [called(own, arguments="{}") for own in ids])
    for row in rows_of(store, "out"):
        turns = json.loads(row["messages_json"])
        found = [call["id"] for call in turns[1]["tool_calls"]]
        assert len(set(found)) == len(ids)
        assert told is None or found == told
        assert [turn["tool_call_id"] for turn in turns if turn["role"] == "tool"] == found
    for body in sent:
        for turn in body["messages"]:
            named = [call["id"] for call in turn.get("tool_calls", ())]
            assert len(set(named)) == len(named)
    assert store.find("out").measures["mended_calls"] >= len(TEXTS)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("arguments", ["{", "no", '{"a": 1', "[1]", '"x"', {"a": 1}, [1]])
def test_arguments_that_are_none_of_the_tool_s_stay_the_fault_of_their_call(tmp_path, arguments):
    store, _ = traced(tmp_path, [called("a", arguments=arguments)])
    for row in rows_of(store, "out"):
        turns = json.loads(row["messages_json"])
        said = arguments if isinstance(arguments, str) else json.dumps(arguments)
        (call,) = turns[1]["tool_calls"]
        assert call["arguments"].replace(" ", "") == said.replace(" ", "")
        assert "the arguments do not fit" in json.loads(turns[2]["content"])["error"]
    assert store.find("out").measures["invalid_calls"] == len(TEXTS)


ARGUMENTS = st.one_of(
    st.sampled_from(OF_NOTHING), st.text(max_size=5),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip
CALLS = st.lists(
    st.fixed_dictionaries(
        {"name": st.just("clock")},
        optional={"id": st.one_of(st.none(), st.sampled_from(["", "a", "a_1", "abcdefghi"])),
                  "arguments": ARGUMENTS},
    ), min_size=1, max_size=12,
)  # fmt: skip


@given(CALLS)
def test_whatever_a_server_wrote_calls_are_whole_and_stay_so(calls):
    whole = as_values(whole_calls(Answer((), 1, tool_calls=typed(calls))))
    assert [call["name"] for call in whole] == ["clock"] * len(calls)
    assert len({call["id"] for call in whole}) == len(calls)
    assert all(call["id"] for call in whole)
    for said, call in zip(calls, whole, strict=True):
        given_ = said.get("arguments")
        assert isinstance(call["arguments"], str)
        assert call["arguments"].strip()
        if isinstance(given_, str) and given_.strip() not in {"", "null"}:
            assert call["arguments"] == given_
        elif given_ and not isinstance(given_, str):
            assert json.loads(call["arguments"]) == given_
        else:
            assert call["arguments"] == "{}"
    assert whole_calls(Answer((), 1, tool_calls=typed(whole))) == typed(whole)


@pytest.mark.parametrize("wire", get_args(WireName))
def test_every_format_can_send_whole_calls_back(wire):
    if wire == "openai-completions":
        return  # a raw prompt has no tools
    said = [{"id": "a", "name": "clock", "arguments": said} for said in ("", " ", None, "{}", {})]
    calls = whole_calls(Answer((), 1, tool_calls=typed(said)))
    turns = [
        {"role": "user", "content": "When?"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        *({"role": "tool", "tool_call_id": call.id, "name": "clock", "content": "1"}
          for call in calls),
    ]  # fmt: skip
    whole = json.dumps(wire_of(wire).body(asking("m", turns, max_tokens=9)))
    assert whole.count('"{}"') + whole.count(": {}") == len(calls)
    for call in calls:
        assert whole.count(json.dumps(call.id)) == 2


def test_ids_stay_where_a_provider_wants_its_own_blocks_back():
    calls = (ToolCall("a", "clock", ""),) * 2
    opaque = Opaque("m", "x", [{"type": "thinking"}])
    whole = whole_calls(Answer((), 1, tool_calls=calls, opaque=opaque))
    assert [call.id for call in whole] == ["a"] * 2


# ---- prompts ----


def doubled(start, step):
    lines = [f"{{% set x{i + 1} = {step.replace('x', f'x{i}')} %}}" for i in range(40)]
    return f"{{% set x0 = {start} %}}" + "".join(lines)


EACH = "{% for i in range(99999) %}"
MOST = "works through more than 4,000,000"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ text.upper() }}", "nothing can be called in a prompt but range"),
        ("{% macro f() %}x{% endmacro %}{{ f() }}", "nothing can be called"),
        ("{{ lipsum() }}", "'lipsum' is undefined|nothing can be called"),
        ("{{ '%999999999d' % 1 }}", "would make too much"),
        ("{{ text | replace('e', 'x' * 900000) }}", "replace would come to more than"),
        ("{{ ['a', 'a', 'a'] | join('x' * 900000) }}", "join would come to more than"),
        ("{% for i in range(99999) %}{{ text }}{% endfor %}", "comes to more than 1,000,000"),
        ("{{ ''|attr('__class__') }}", "unsafe"),
        ("{% include 'other' %}", "no loader"),
        (doubled("text", "x ~ x") + "{{ x40 | length }}", MOST),
        (doubled("text", "x + x") + "{{ x40 | length }}", MOST),
        (doubled("[text]", "[x, x]") + "{{ x40 }}", MOST),
        (doubled("[text]", "[x, x]") + "{{ x40 | tojson | length }}", MOST),
        (doubled("[text]", "[x, x] | sum(start=[])") + "{{ x40 | length }}", "sum adds numbers"),
        ("{{ ([[0]] * 90000) | sum(start=[]) | length }}", "sum adds numbers"),
        (EACH + "{% set y = ('x' * 99999)[1:] %}{% endfor %}", MOST),
        (EACH + "{% set y = 'y' in 'x' * 99999 %}{% endfor %}", MOST),
        (EACH + "{% set y = 'y' not in ['x'] * 99999 %}{% endfor %}", MOST),
        (EACH + "{% set y = ['x'] * 99999 == ['x'] * 99999 %}{% endfor %}", MOST),
        (EACH + "{% set y = ('x' * 99999) is lower %}{% endfor %}", MOST),
        (doubled("1", "(x, x)") + "{% set d = {x40: 1} %}", MOST),
        (doubled("1", "(x, x)") + "{{ {}[x40] }}", MOST),
        ("{{ ('f' * 9999) | int(0, 16) % 3 }}", "would make too much"),
        ("{{ (('f' * 9999) | int(0, 16)) is divisibleby 3 }}", "more than 4,096 bits"),
        (doubled("10", "x * x") + "{{ x40 > 3 }}", "would make too much"),
        ("{% for a in text | list %}" * 6 + "{% endfor %}" * 6, MOST),
        ("{{ text | truncate(3, true, text) }}", "expected length"),
    ],
)
def test_a_template_is_bounded_and_the_error_names_file_and_row(tmp_path, template, message):
    with pytest.raises(
        InputError, match=rf"p.jinja cannot be filled for row 0 of texts: .*({message})"
    ):
        made(tmp_path, "generate", 'prompt = "p.jinja"', {"p.jinja": template})


@pytest.mark.parametrize(
    "template",
    [
        "{{ text | random }}",
        "{{ [1] | slice(999999999) | list }}",
        "{% for i in [1] %}" * 30 + "{% endfor %}" * 30,
        "{% for i in [1] recursive %}{% endfor %}",
        "{% set x %}{% for i in range(99999) %}{{ text }}{% endfor %}{% endset %}",
        "{% filter upper %}{{ text }}{% endfilter %}",
    ],
)
def test_a_template_that_cannot_serve_is_told_before_anything_runs(tmp_path, template):
    with pytest.raises(RecipeError, match=r"p.jinja"):
        made(tmp_path, "generate", 'prompt = "p.jinja"', {"p.jinja": template})


def test_both_blocks_share_what_a_prompt_may_work_through(tmp_path):
    work = "{% for i in range(99999) %}{% for j in range(25) %}{% endfor %}{% endfor %}"
    path = tmp_path / "p.jinja"
    path.write_text(f"{{% block user %}}{work}{{% endblock %}}")
    assert not Prompt(path).render({}, "here").user
    path.write_text(f"{path.read_text()}{{% block system %}}{work}{{% endblock %}}")
    with pytest.raises(InputError, match=MOST):
        Prompt(path).render({}, "here")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ x[1:3] }}{{ x[::-1] }}{{ y[:1][0] }}", "bcdcba1"),
        ("{{ 'b' in x }}{{ 2 not in y }}{{ 1 < 2 <= 2 }}{{ y[-1] == 2 }}", "TrueFalseTrueTrue"),
        ("{{ y | sum }}{{ z | sum(attribute='n', start=1.5) }}{{ {'a': 4}['a'] }}", "35.54"),
        ("[{{ none }}{{ none | upper }}{{ none ~ 'a' }}{{ [none, 'b'] | join('-') }}]", "[a-b]"),
        ("{{ x is in ['abcd'] }}{{ y | select('odd') | list }}", "True[1]"),
    ],
)
def test_what_is_counted_comes_to_the_same(tmp_path, template, said):
    path = tmp_path / "p.jinja"
    path.write_text(template)
    assert Prompt(path).render({"x": "abcd", "y": [1, 2], "z": [{"n": 4}]}, "here").user == said


def test_a_range_and_filters_may_be_used(tmp_path):
    path = tmp_path / "p.jinja"
    path.write_text(
        "{% for i in range(2) %}{{ i }}{{ x | upper | replace('A', 'b') }}{% endfor %}"
        "{{ [x, 'é'] | tojson }} {{ y | join(', ', attribute='n') }} {{ x ~ loop_of ~ 1 }}"
        "{% for n in y if n.n > 1 %} {{ loop.index }}/{{ loop.length }}{% endfor %}"
        " {{ 1.25 | round(1) }} {{ [3, 1] | sort | first }} {{ 2 * 3 + 1 }}"
    )
    said = Prompt(path).render({"x": "a", "y": [{"n": 1}, {"n": 2}], "loop_of": "-"}, "here")
    assert said.user == '0b1b["a", "é"] 1, 2 a-1 1/1 1.2 1 7'
