"""A byte order mark in front of a file is none of it, and UTF-16 is called by its name.

The table has every kind of file that a person writes as text; tests/fuzz/test_readers.py holds all
readers to it, and those of rows are in tests/stages.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mashbill
from mashbill.core.errors import InputError, MashbillError
from mashbill.core.parsing import as_text, json_value, read_json, read_text
from mashbill.core.plain_toml import read_toml

MARK = "\ufeff"
SHIPPED = Path(mashbill.__file__).parent
RECIPE = """[recipe]
name = "case"
version = "1"
result = "texts"

[stages.texts]
kind = "corpus"
title = "Täxte"
source = "rows.jsonl"
"""
RULES = '[[rule]]\nid = "few"\nsays = "Few."\nwhen = "share > 0.5"\noutcome = "review"\n'
DEFINITION = 'name = "mine"\nversion = "1"\ntitle = "M"\ntext = "Any."\nchannels = ["content"]\n'
ACCOUNTS = (
    'contact = "d@example.org"\n[accounts.main]\nservice = "openai"\nkeys_env = ["A"]\n'
    'organisation = "Ä"\n'
)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOLS = [{"name": "w", "description": "ü", "parameters": SCHEMA}]
RESULTS = (
    '{"name": "w", "arguments": {}, "result": 1}\n{"name": "v", "arguments": {}, "result": 2}\n'
)
MODEL = "from pydantic import BaseModel\n\nclass Answer(BaseModel):\n    a: int\n"
CARD = "---\nlicense: mit\nbase_model: acme/base\ntags: [text]\n---\n# A card\n"
CLAIMS = (
    "child,parent,relation,route,share,tokens,of,of_tokens,source\na/b,c/d,sft-data,api,,,,,x\n"
)


def recipe(path):
    from mashbill import load_recipe

    read = load_recipe(path)
    return read.recipe, [read.literals(name) for name in read.stages]


def rules(path):
    from mashbill.policy.house import load_rules

    return [(rule.id, rule.says, rule.outcome, rule.line) for rule in load_rules([path])]


def terms(path):
    from mashbill.policy.documents import load_registry

    return load_registry([path])


def definition(path):
    from mashbill.lineage.bills.definitions import load_definitions

    return load_definitions([str(path)])


def accounts(path):
    from mashbill.client.accounts import Accounts

    return Accounts.load(path.parent, {"MASHBILL_ACCOUNTS": str(path)})


def prompt(path):
    from mashbill.prompts.prompt import Prompt

    return Prompt(path).render({"text": "x"}, "row 0")


def template(path):
    from mashbill.stages.judging import Template

    read = Template(path, ["text"])
    return read.prefix, read.fill({"text": "x"}, 9), read.ending()


def schema(path):
    from mashbill.prompts.schema import Structure

    return Structure.of(path.parent, path.name).schema


def model(path):
    from mashbill.prompts.schema import _model_of

    return _model_of(path, "Answer").model_json_schema()


def tools(path):
    from mashbill.stages.writing.tool_rollout import declared_tools

    return [(name, tool.told) for name, tool in declared_tools(path).items()]


def results(path):
    from mashbill.stages.tools import ToolsSpec

    return ToolsSpec(input="i", teacher="t", tools="t.json", results=path.name).known(path.parent)


def card(path):
    from mashbill.policy.importers.cards import read

    return read(path, "acme/x")


def claims(path):
    from mashbill.policy.claims import load_catalogue

    return load_catalogue([path], shipped=False)


FILES = {
    "recipe": ("r.toml", RECIPE, recipe),
    "house rules": ("rules.toml", RULES, rules),
    "terms": (
        "terms.toml",
        (SHIPPED / "policy/terms/mistral.toml").read_text("utf-8").replace('id = "', 'id = "own-'),
        terms,
    ),
    "definition": ("d.toml", DEFINITION, definition),
    "accounts": ("accounts.toml", ACCOUNTS, accounts),
    "prompt": ("p.jinja", "{% block user %}Wäs {{ text }}?{% endblock %}", prompt),
    "prompt that is text alone": ("p.txt", "Wäs {{ text }}?\n", prompt),
    "prompt of labels": ("l.txt", "Say {{ text }}\nNow:", template),
    "schema": ("s.json", json.dumps(SCHEMA), schema),
    "model": ("answer.py", MODEL, model),
    "tools": ("t.json", json.dumps(TOOLS, ensure_ascii=False), tools),
    "results": ("r.jsonl", RESULTS, results),
    "card": ("README.md", CARD, card),
    "claims": ("claims.csv", CLAIMS, claims),
}


def outcome(read, path, data):
    """Return what a reader makes of a file; the same path each time, so that it may be named."""
    path.write_bytes(data)
    return repr(read(path))


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", FILES)
def test_a_mark_is_no_part_of_a_file(kind, ends, tmp_path):
    name, text, read = FILES[kind]
    path = tmp_path / name
    (tmp_path / "rows.jsonl").write_text('{"text": "x"}\n')
    data = text.replace("\n", ends).encode()
    plain = outcome(read, path, data)
    assert MARK not in plain
    assert "\\ufeff" not in plain
    assert outcome(read, path, MARK.encode() + data) == plain
    if kind != "model":  # Python itself takes one
        assert outcome(read, path, 2 * MARK.encode() + data) == plain


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("kind", FILES)
def test_what_windows_calls_unicode_is_called_by_its_name(kind, encoding, tmp_path):
    name, text, read = FILES[kind]
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    with pytest.raises(MashbillError, match=rf"{name}.* is UTF-{encoding[4:6]} .*save it as UTF-8"):
        read(path)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")))
def test_any_text_is_the_same_behind_a_mark(text):
    data = text.encode()
    assert as_text(MARK.encode() + data, "x") == as_text(data, "x") == text
    assert json_value(MARK.encode() + json.dumps(text).encode(), "x") == text


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_a_text_of_utf16_is_never_read_as_another(text):
    for encoding in ("utf-16", "utf-32"):
        with pytest.raises(InputError, match=encoding.upper()):
            as_text(text.encode(encoding), "x")


def test_what_is_marked_within_stays(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(f"{MARK}a{MARK}b".encode())
    assert read_text(path) == f"a{MARK}b"
    path.write_bytes(f'{MARK}x = "{MARK}y"'.encode())
    assert read_toml(path)[1] == {"x": f"{MARK}y"}
    path.write_bytes(f'{MARK}["{MARK}"]'.encode())
    assert read_json(path) == [MARK]
