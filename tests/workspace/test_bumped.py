"""--bump: a changed recipe gets new versions where it needs them, and its text is kept."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from typer.testing import CliRunner

import mashbill as mb
from mashbill.cli import app
from mashbill.core.errors import DriftError, RecipeError
from mashbill.workspace.bumped import with_versions

RECIPE = """# mine
[recipe]
name = "mine"
version = "1"   # of all

[stages.rows]   # what I have
kind = "corpus"
title = "rows"
origin = "own-dataset"
source = "rows.jsonl"

[stages.some]
kind = "split"
input = "rows"
range = [0.0, 0.9]

[ stages . "other" ]
kind = "split"
version = "7"
input = "some"
range = [0.0, 0.5]
"""


@pytest.fixture(name="made")
def _made(tmp_path):
    rows = [{"text": f"row {n}"} for n in range(60)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE)
    ws = mb.open(tmp_path / "store")
    ws.run(ws.plan(path))
    return ws, path


def test_what_changed_and_what_is_made_of_it_get_new_versions(made):
    ws, path = made
    changed = RECIPE.replace("0.9", "0.8")
    path.write_text(changed)
    with pytest.raises(DriftError, match="--bump") as told:
        ws.plan(path)
    assert told.value.stages == ("some", "other")
    assert "another --store" in str(told.value)
    assert ws.bump(path) == {"some": "2", "other": "8"}
    text = path.read_text()
    assert text == changed.replace("[stages.some]\n", '[stages.some]\nversion = "2"\n').replace(
        'version = "7"', 'version = "8"'
    )
    ws.run(ws.plan(path))
    assert {one.name for one in ws} == {"rows@1", "some@1", "other@7", "some@2", "other@8"}
    assert ws.bump(path) == {}
    assert path.read_text() == text


ARMS = """
[arms]
seeds = [1, 2]
seeded = ["some"]

[arms.a]

[arms.b.some]
kind = "split"
input = "rows"
range = [0.0, 0.5]

[arms.c]
some.range = [0.0, 0.4]
"""


def test_arms_and_seeds_of_a_stage_get_one_version(made):
    """One that writes the stage anew has it in its own table, too."""
    ws, path = made
    path.write_text(RECIPE + ARMS)
    ws.run(ws.plan(path))
    changed = RECIPE.replace("0.9", "0.8") + ARMS.replace("0.5]", "0.45]")
    path.write_text(changed)
    assert ws.bump(path) == {"some": "2", "other": "8"}
    text = path.read_text()
    assert text.count('version = "2"') == 2
    ws.run(ws.plan(path))
    there = {one.name for one in ws}
    for name in ("s1", "s2", "b.s1", "c.s2"):
        assert {f"some.{name}@1", f"some.{name}@2", f"other.{name}@8"} <= there
    assert ws.bump(path) == {}
    assert path.read_text() == text


def test_an_arm_of_its_own_is_not_made_again_for_another_s_sake(made):
    ws, path = made
    path.write_text(RECIPE + ARMS)
    ws.run(ws.plan(path))
    path.write_text(RECIPE.replace("0.9", "0.8") + ARMS)
    assert ws.bump(path) == {"some": "2", "other": "8"}
    ws.run(ws.plan(path))
    there = {one.name for one in ws}
    assert "some.c.s1@2" in there  # it shares the table
    assert "some.b.s1@2" not in there
    text = path.read_text()
    at = text.index("[arms.b.some]")
    path.write_text(text[:at] + text[at:].replace("0.5]", "0.55]", 1))
    assert ws.bump(path) == {"some": "3", "other": "9"}
    ws.run(ws.plan(path))
    there = {one.name for one in ws}
    assert "some.b.s1@3" in there
    assert "some.c.s1@3" not in there


def test_an_arm_that_is_written_on_one_line_is_left_to_its_owner(made):
    ws, path = made
    arms = ARMS.replace(
        '[arms.b.some]\nkind = "split"\ninput = "rows"\nrange = [0.0, 0.5]\n',
        '[arms.b]\nsome = { kind = "split", input = "rows", range = [0.0, 0.5] }\n',
    )
    path.write_text(RECIPE + arms)
    ws.run(ws.plan(path))
    changed = RECIPE.replace("0.9", "0.8") + arms.replace("0.5]", "0.45]")
    path.write_text(changed)
    with pytest.raises(RecipeError, match=r"\[arms.b.some\] by a program"):
        ws.bump(path)
    assert path.read_text() == changed


def test_going_back_makes_no_version_twice(made):
    ws, path = made
    for share in ("0.8", "0.7", "0.6"):
        path.write_text(RECIPE.replace("0.9", share))
        ws.bump(path)
        ws.run(ws.plan(path))
    assert {"some@2", "some@3", "some@4", "other@8", "other@9", "other@10"} <= {
        one.name for one in ws
    }


def test_the_command_says_what_it_set_and_goes_on(made):
    ws, path = made
    path.write_text(RECIPE.replace("0.9", "0.8"))
    for command in ("plan", "run"):
        done = CliRunner().invoke(app, [command, str(path), "--store", str(ws.root), "--bump"])
        assert done.exit_code == 0, done.output
        said = 'some has version = "2" now' in done.stderr
        assert said == (command == "plan")
    assert "some@2" in {one.name for one in ws}


def test_stages_that_are_no_tables_of_their_own_are_left_to_hands():
    text = 'stages.a = { kind = "split" }\n'
    with pytest.raises(RecipeError, match="by hand"):
        with_versions(text, {"a": "2"}, Path("x.toml"))


@law(200)
@given(
    st.lists(st.sampled_from(["a", "b-c", "d_e", "f1"]), min_size=1, max_size=4, unique=True),
    st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans(), st.data(),
)  # fmt: skip
def test_versions_are_set_and_nothing_else_is(names, end, has_version, is_ended, data):
    lines = ["# a comment with [stages.a]", "[recipe]", 'version = "1"']
    for name in names:
        lines += [f"[stages.{name}]  # its own", 'kind = "x"', 'text = "version = 3"']
        lines += ['version = "5"  # old'] if has_version else []
        lines += [f"[stages.{name}.labels]", 'version = "a label"']
    text = end.join(lines) + (end if is_ended else "")
    some = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    made = with_versions(text, dict.fromkeys(some, "9"), Path("x"))
    wanted = tomllib.loads(text)
    for name in some:
        wanted["stages"][name]["version"] = "9"
    assert tomllib.loads(made) == wanted
    assert made.count("# its own") == len(names)


def test_what_is_made_of_another_input_now_is_told_at_once(made):
    """A second recipe in the store calls its stages as the first did, and joins them otherwise."""
    ws, path = made
    other = path.with_name("other.toml")
    changed = RECIPE.replace('title = "rows"', 'title = "ours"')
    other.write_text(changed.replace('input = "some"', 'input = "rows"'))
    assert set(ws.bump(other)) == {"rows", "some", "other"}
    assert ws.bump(other) == {}
    assert {stage.status for stage in ws.plan(other).stages} == {"to do"}
