"""Lists and objects of a row in a prompt: gone into as values, written as their JSON."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import run_stages
from tests_ways import CORPUS, FILES, says, stage

from mashbill import Answer, InputError, RecipeError, load_recipe
from mashbill.core.json_fields import json_columns
from mashbill.plan import build
from mashbill.prompts.nested import read_cells, value_of
from mashbill.prompts.prompt import Prompt
from mashbill.stages.judging import Template
from mashbill.teachers.fake import FakeTeacher

OBJECT = {
    "topic": "bees", "a b": 2, "items": [1, {"x": None, "ok": True}], "none": None, "é": "ü",
    "deep": {"er": {"still": ["here"]}},
}  # fmt: skip
ROW = {
    "text": "plain",
    "tags": json.dumps(["a", "b"]),
    "meta": json.dumps(OBJECT, ensure_ascii=False),
    "turns": json.dumps(
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    ),
    "gone": None,
    "bare": "[]",
    "my col": "space",
    "original-text": "hyphen",
    "a.b": json.dumps({"k": "dot"}),
    "1st": "digit",
    "class": "word",
    "क्या-है": "Hindi",
    "none": "Jinja's",
}
MARKED = {"tags", "meta", "turns", "gone", "bare", "a.b"}


@pytest.fixture
def fill(tmp_path):
    def filled(template, row=ROW, marked=MARKED):
        path = tmp_path / "p.jinja"
        path.write_text(template, "utf-8")
        prompt = Prompt(path)
        there = read_cells(row, marked, prompt.reads(row))
        return prompt.render(there, "row 0 of src", there).user

    return filled


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ tags }}", '["a", "b"]'),
        ("{% for t in tags %}{{ t }},{% endfor %}", "a,b,"),
        ("{{ tags[0] }}{{ tags[-1] }}{{ tags|length }}{{ tags|first }}", "ab2a"),
        ('{{ tags|join(", ") }}', "a, b"),
        ("{{ tags[:1] }} {{ tags + ['c'] }}", '["a"] ["a", "b", "c"]'),
        ("{{ tags ~ '!' }} {{ tags|string|length }} {{ tags|upper }}", '["a", "b"]! 10 ["A", "B"]'),
        ("{{ tags|map('upper')|list }}", '["A", "B"]'),
        ("{% if 'a' in tags %}yes{% endif %}{% if bare %}no{% endif %}", "yes"),
        ("{{ meta.topic }} {{ meta['a b'] + 1 }} {{ meta.é }}", "bees 3 ü"),
        ("{{ meta }}", ROW["meta"]),
        ("{{ meta.items }}", '[1, {"x": null, "ok": true}]'),
        ("{{ meta.items[1] }} {{ meta['items'][1].ok }}", '{"x": null, "ok": true} True'),
        ("{{ meta.deep.er.still[0] }} {{ meta.deep }}", 'here {"er": {"still": ["here"]}}'),
        ("[{{ meta.none }}]", "[]"),
        ("{% for k, v in {'x': tags}|items %}{{ k }}={{ v }}{% endfor %}", 'x=["a", "b"]'),
        ("{% for k in meta %}{{ k }},{% endfor %}", "topic,a b,items,none,é,deep,"),
        ("{{ meta.nothing|default('d') }}{{ meta.nothing is defined }}", "dFalse"),
        (
            "{% for t in turns %}{{ t.role }}: {{ t.content }}\n{% endfor %}",
            "user: Hi\nassistant: Ho",
        ),
        ("{{ turns|map(attribute='role')|join('/') }}", "user/assistant"),
        ("{{ turns|selectattr('role', 'eq', 'user')|list|length }}", "1"),
        ("[{{ gone }}{% for g in gone %}x{% endfor %}{% if gone %}y{% endif %}]", "[]"),
        ("{{ gone.topic|default('z') }}", "z"),
        ('{{ row["my col"] }} {{ row["original-text"] }} {{ row["1st"] }}', "space hyphen digit"),
        ('{{ row["a.b"].k }} {{ row.class }} {{ row["none"] }}', "dot word Jinja's"),
        ("{{ row['क्या-है'] }}", "Hindi"),
        ('{{ row["meta"].topic }} {{ row.tags[1] }} [{{ row["gone"] }}]', "bees b []"),
        ("{% for name in row %}{{ row[name]|length }} {% endfor %}", "5 2 6 2 0 0 5 6 1 5 4 5 7"),
        ("{{ row['nope']|default('none') }}{{ row['nope'] is defined }}", "noneFalse"),
        ("{% for c in text|list %}{{ c }}-{% endfor %}", "p-l-a-i-n-"),
    ],
)
def test_a_prompt_goes_into_lists_and_objects(fill, template, text):
    assert fill(template) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ meta.nothing }}", "meta has no key 'nothing'; it has a b, deep, items"),
        ("{{ meta['nothing'] }}", "meta has no key 'nothing'"),
        ("{{ meta.deep.nothing }}", "no key 'nothing'; it has er"),
        ("{{ meta.keys }}", "meta has no key 'keys'"),
        ("{{ meta.items() }}", "nothing can be called"),
        ("{{ tags[7] }}", "tags has 2 items, and so no 7"),
        ("{{ tags.append }}", "tags is a list of 2 items, and has no 'append'"),
        ("{{ gone.topic }}", "gone is missing in this row, and so is its topic"),
        ("{{ gone.place }}{{ gone.text }}", "gone is missing in this row"),
        ("{{ text.topic }}", "has no attribute 'topic'"),
        ("{{ text.title }}", "'title' could only be called"),
        ("{{ text['upper'] }}", "'upper' could only be called"),
        ("{{ tags|map('upper') }}", "a filter has yet to make"),
        ("{% for t in text %}{{ t }}{% endfor %}", "a loop goes over a list .* 'plain' is text"),
        ("{{ text|join(',') }}", "join goes over a list .* 'plain' is text"),
        ("{{ text|map('upper')|join }}", "map goes over a list"),
        ("{{ row['nope'] }}", "row has no column 'nope'; it has 1st, a.b"),
        ("{{ row.nope }}", "row has no column 'nope'"),
        ("{{ original-text }}", r"'original' is undefined.* is written row\[\"original-text\"\]"),
        ("{{ क्या-है }}", r"'क्या' is undefined .the column 'क्या-है' is written row"),
        ("{{ a.b }}", r"'a' is undefined .the column 'a.b' is written row\[\"a.b\"\]"),
    ],
)
def test_what_is_not_there_is_an_error_that_names_it(fill, template, message):
    with pytest.raises(InputError, match=message):
        fill(template)


@pytest.mark.parametrize("template", ["{{ my col }}", "{{ 1st }}"])
def test_a_name_that_jinja_cannot_read_is_told_how_to_be_written(fill, template):
    with pytest.raises(RecipeError, match=r'is \{\{ row\["my column"\] \}\}'):
        fill(template)


def test_a_column_called_row_goes_before_all_of_them(fill):
    rows = {"row": json.dumps({"x": "own"}), "my col": "other"}
    assert fill("{{ row.x }}", rows, {"row"}) == "own"
    with pytest.raises(InputError, match="row is a column here: rename it"):
        fill('{{ row["my col"] }}', rows, {"row"})


def test_bytes_are_no_text(fill):
    with pytest.raises(InputError, match="bytes, which is no text"):
        fill("{{ blob }}", {"blob": b"\xff"}, set())


def test_a_cell_that_cannot_be_read_rejects_its_row_and_plain_text_stays():
    with pytest.raises(InputError, match="column 'meta'"):
        value_of('{"a": "\\ud800"}', "meta")
    with pytest.raises(InputError, match="column 'meta'"):
        value_of("[" * 200 + "]" * 200, "meta")
    assert value_of("an answer", "meta") == "an answer"
    assert value_of('"an answer"', "meta") == "an answer"
    # What is not looked at is not read.
    assert read_cells({"meta": "[}"}, {"meta"}, set()) == {"meta": "[}"}


PARTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
WHOLE = st.lists(PARTS, max_size=4) | st.dictionaries(st.text(max_size=6), PARTS, max_size=4)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@given(name=NAMES, value=WHOLE)
def test_every_value_of_a_row_can_be_had_by_its_path(tmp_path_factory, name, value):
    """The law: whatever the names, each part prints as JSON, and each text as itself."""
    path = tmp_path_factory.mktemp("p") / "p.jinja"
    left = [((name,), value)]
    while left:
        steps, part = left.pop()
        if isinstance(part, dict | list):
            keys = part if isinstance(part, dict) else range(len(part))
            left += [((*steps, key), part[key]) for key in keys]
        # A value is written behind a mark, since space at the ends of a prompt is taken off.
        looked = "row" + "".join(f"[steps[{i}]]" for i in range(len(steps)))
        path.write_text(f"|{{{{ {looked} }}}}|", "utf-8")
        row = read_cells({name: json.dumps(value)}, {name}, {name})
        text = Prompt(path).render({"steps": list(steps)}, "row 0", row).user
        if isinstance(part, dict | list):
            assert json.loads(text[1:-1]) == part
        else:
            assert text[1:-1] == ("" if part is None else str(part))


MADE = """
[stages.listed]
kind = "generate"
input = "texts"
teacher = "t"
schema = "s.json"
shard_rows = 3

[stages.pieces]
kind = "chunk"
input = "listed"
words = 500

[stages.mixed]
kind = "mix"
inputs = { pieces = 1.0, listed = 1.0 }

[stages.got]
kind = "generate"
input = "mixed"
teacher = "t"
prompt = "p.jinja"
"""
LISTED = {
    "type": "object", "additionalProperties": False, "required": ["tags", "meta", "level"],
    "properties": {
        "tags": {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2, "maxItems": 2},
        "meta": {
            "type": "object", "required": ["topic"], "properties": {"topic": {"const": "bees"}},
        },
        "level": {"enum": ["low", "high"]},
        "score": {"type": "integer"},
    },
}  # fmt: skip


def marks(store, name):
    folder = store.folder("dataset", store.find(name).ref)
    found = [set(json_columns(pq.read_schema(path))) for path in folder.glob("part-*.parquet")]
    assert all(each == found[0] for each in found)
    return found[0]


@pytest.fixture
def asked(monkeypatch):
    """Return the list of what the fake teacher will have been asked to write."""
    bodies, write = [], FakeTeacher._write

    def writing(self, question):
        bodies.append(question.body)
        return write(self, question)

    monkeypatch.setattr(FakeTeacher, "_write", writing)
    return bodies


def test_columns_of_a_schema_are_values_for_the_prompts_behind_them(tmp_path, asked):
    template = "{% for t in tags %}<{{ t }}>{% endfor %} {{ meta.topic }} {{ row['level'] }}"
    files = {**FILES, "s.json": json.dumps(LISTED), "p.jinja": template}
    store = run_stages(tmp_path, CORPUS + MADE, files)
    for name in ("listed", "pieces", "mixed"):
        assert marks(store, name) == {"tags", "meta", "level"}
    assert marks(store, "got") == set()
    got = [body for body in asked if body.startswith("<")]
    assert got
    assert {body.split(" ", 1)[1] for body in got} <= {"bees low", "bees high"}


@pytest.mark.parametrize(
    ("kind", "keys", "roles"),
    [
        ("converse", "turns = 2", "user assistant user assistant"),
        ("tools", 'tools = "tools.json"\nsimulator = "t"', "user assistant tool assistant"),
    ],
)
def test_conversations_and_traces_are_lists_of_turns(tmp_path, asked, kind, keys, roles):
    template = "Turns:{% for turn in messages_json %} {{ turn.role }}{% endfor %}"
    behind = ASKS.replace('"texts"', '"out"')
    store = run_stages(tmp_path, stage(kind, keys) + behind, {**FILES, "p.jinja": template})
    assert "messages_json" in marks(store, "out")
    assert {body for body in asked if body.startswith("Turns:")} == {f"Turns: {roles}"}


def test_a_join_keeps_the_marks_of_both_sides(tmp_path):
    joined = (
        MADE.split("[stages.pieces]", maxsplit=1)[0]
        + """
[stages.other]
kind = "chunk"
input = "listed"
words = 500

[stages.both]
kind = "join"
left = "listed"
right = "other"
on = ["prompt", "sample"]
suffix = "_2"
"""
    )
    store = run_stages(tmp_path, CORPUS + joined, {**FILES, "s.json": json.dumps(LISTED)})
    assert marks(store, "both") == {"tags", "meta", "level", "tags_2", "meta_2", "level_2"}


def test_the_column_that_is_asked_about_is_a_value_by_its_other_name_too(tmp_path, monkeypatch):
    asked = []

    def answer(question):
        asked.append(question.body)
        return Answer((), 1, json.dumps({"tags": ["x", "y"], "meta": {"topic": "bees"},
                                         "level": "low"}), finish="stop")  # fmt: skip

    says(monkeypatch, answer)
    stages = (
        CORPUS
        + MADE.split("[stages.pieces]", maxsplit=1)[0]
        + """
[stages.got]
kind = "generate"
input = "listed"
teacher = "t"
column = "tags"
prompt = "p.jinja"
"""
    )
    template = "{% for t in prompt %}<{{ t }}>{% endfor %}"
    files = {**FILES, "s.json": json.dumps(LISTED), "p.jinja": template}
    run_stages(tmp_path, stages, files)
    assert asked[-1] == "<x><y>"


ASKS = '\n[stages.got]\nkind = "generate"\ninput = "texts"\nteacher = "t"\nprompt = "p.jinja"\n'


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize(
    ("template", "lacking"),
    [
        ('{{ row["my col"] }} {{ row.text }}', ""),
        ('{{ row["my kol"] }}', "my kol"),
        ("{{ row.moood }}", "moood"),
        ("{% for x in [1] %}{{ row['nope'] }}{% endfor %}", "nope"),
        ("{{ row['nope']|default('x') }}{% if row.no is defined %}{% endif %}", ""),
        ("{{ row[text] }}", ""),  # known when the row is
        ("{% for row in [{'x': 1}] %}{{ row.x }}{% endfor %}", ""),
    ],
)
def test_a_plan_refuses_a_column_that_is_not_there(tmp_path, made, template, lacking):
    rows = [{"text": "one", "my col": "x"}, {"text": "two", "my col": "y"}]
    store = run_stages(tmp_path, CORPUS, {"texts.jsonl": rows}) if made else None
    recipe = tmp_path / "some.toml"
    recipe.parent.mkdir(exist_ok=True)
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "p.jinja").write_text(template)
    teacher = '[teachers.t]\nkind = "fake"\nwords.good = ["lovely"]\n'
    recipe.write_text(f'[recipe]\nname = "some"\nversion = "1"\nseed = 5\n{teacher}{CORPUS}{ASKS}')
    if not lacking:
        build(load_recipe(recipe), store)
        return
    with pytest.raises(RecipeError, match=rf"stages.got: .*'{lacking}'.* is not there; texts has"):
        build(load_recipe(recipe), store)


def test_a_prompt_for_which_there_is_no_row_says_so(tmp_path):
    files = {**FILES, "j.jinja": "{{ prompt }} {{ text }} {{ row.mood }}"}
    with pytest.raises(RecipeError, match=r"\{\{ row \}\} is not there"):
        run_stages(tmp_path, stage("generate", 'judge = "t"\njudge_prompt = "j.jinja"'), files)


def test_a_row_whose_one_column_is_empty_is_not_asked_about(tmp_path):
    stages = CORPUS + ASKS
    rows = [{"text": "one", "my col": "x"}, {"text": "two", "my col": ""}, {"text": "3"}]
    template = 'Write about {{ row["my col"] }}.'
    store = run_stages(tmp_path, stages, {"texts.jsonl": rows, "p.jinja": template})
    folder = store.folder("dataset", store.find("got").ref)
    read = [pq.read_table(path) for path in sorted(folder.glob("rejected-*.parquet"))]
    assert (
        pa.concat_tables(read).column("_reason").to_pylist() == ["its column my col is empty"] * 2
    )


@pytest.mark.parametrize("slot", ["{{ my col }}", '{{ row["my col"] }}'])
def test_slots_may_have_any_name_that_a_recipe_gives(tmp_path, slot):
    path = Path(tmp_path / "v.txt")
    path.write_text(f"Text: {{{{ text }}}} and {slot}, right? Answer:")
    template = Template(path, ("text", "my col"))
    assert template.prefix + template.fill({"text": "A", "my col": "B"}, 9) == (
        "Text: A and B, right? Answer:"
    )
