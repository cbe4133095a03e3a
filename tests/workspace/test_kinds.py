"""Every kind that a recipe can name: told whole, with an example that is read as a recipe is."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from mashbill.cli import app
from mashbill.core.errors import InputError
from mashbill.core.registry import find
from mashbill.workspace.kinds import TABLES, every, example_table, markdown, named

ALL = every()
IDS = [f"{one.group.rpartition('.')[2]}-{one.name}" for one in ALL]
DOCUMENT = Path(__file__).parents[2] / "docs" / "stages.md"


@pytest.mark.parametrize("kind", ALL, ids=IDS)
def test_an_example_is_what_its_spec_takes(kind):
    table = example_table(kind)
    spec = find(kind.name, kind.group).model_validate(table)
    assert isinstance(spec, BaseModel)
    assert len(table) > 1 or not kind.keys or kind.group == "mashbill.verifiers"


@pytest.mark.parametrize("kind", ALL, ids=IDS)
def test_each_key_is_told_with_what_it_takes_and_is(kind):
    fields = find(kind.name, kind.group).model_fields
    told = {one.name: one for one in kind.keys}
    wanted = {field.alias or name for name, field in fields.items()} - {"kind"}
    assert wanted == {name for name in told if "." not in name}
    for name, key in told.items():
        assert key.type, name
        assert key.says, f"{kind.name}: {name} has no docstring"
        python = ("<class", "typing", "NoneType", "Undefined", "FieldInfo", "mashbill.")
        assert not any(one in key.type for one in python), f"{kind.name}: {name} is {key.type}"
    assert not kind.summary[0].islower()
    assert kind.summary.endswith((".", ")"))


def test_tables_within_tables_are_told_by_path():
    (corpus,) = named("corpus")
    told = {one.name: one for one in corpus.keys}
    assert told["gold.column"].required
    assert told["gold.labels.NAME.at_least"].type == "number"
    (filtered,) = named("filter")
    assert "where[].column" in {one.name for one in filtered.keys}


def test_a_stage_and_a_verifier_may_have_one_name():
    assert [one.group for one in named("reasoning-gym")] == [
        "mashbill.stages",
        "mashbill.verifiers",
    ]


def test_a_name_that_is_none_is_told_with_a_near_one():
    with pytest.raises(InputError, match="did you mean 'label'"):
        named("lable")
    with pytest.raises(InputError, match="mashbill stages` lists them"):
        named("zzzzzzzz")


def test_the_document_is_what_the_specs_say():
    assert DOCUMENT.read_text() == markdown(ALL), "make it anew: mashbill stages --markdown"


def test_the_command_prints_lists_and_one_kind():
    run = CliRunner().invoke
    listed = run(app, ["stages"])
    assert listed.exit_code == 0
    for kind in ALL:
        assert f"  {kind.name} " in listed.stdout
    one = run(app, ["stages", "corpus"])
    assert "gold.column" in one.stdout
    assert "\\n" not in one.stdout
    assert 'kind = "corpus"' in one.stdout
    told = json.loads(run(app, ["stages", "judge", "--json"]).stdout)
    assert told[0]["keys"][0].keys() == {"name", "type", "default", "required", "says"}
    assert set(TABLES) == {one.group for one in ALL}
