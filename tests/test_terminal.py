"""What a terminal of 80 columns shows of a plan, and of a run that has ended."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from typer.testing import CliRunner

from mashbill.cli import app, beginning, main
from mashbill.cli.show_ran import _lines

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))
WIDTH = 80


def invoke(*arguments):
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.few(6)
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_plan_fits_80_columns(recipe, tmp_path):
    said = invoke("plan", recipe, "--store", tmp_path / "store")
    assert "Outcome: " in said
    assert [line for line in said.splitlines() if len(line) > WIDTH] == []


ROWS = "".join(
    f'{{"text": "{word} {number}", "gold": "{label}"}}\n'
    for number in range(40)
    for word, label in (("it broke", "angry"), ("it works", "calm"))
)
LONG = "a-stage-of-a-long-name-that-nobody-would-give-but-a-program-did"
RECIPE = f"""
[recipe]
name = "long"
version = "1"
result = "{LONG}"

[teachers.t]
kind = "fake"
name = "a teacher"
source_kind = "open-weights"
provider = "somebody"
license = "Apache-2.0"
words.angry = ["broke"]
words.calm = ["works"]

[stages.rows]
kind = "corpus"
title = "rows"
origin = "own-dataset"
source = "rows.jsonl"

[stages.rows.gold]
column = "gold"
labels.angry = {{ equals = "angry" }}
labels.calm = {{ equals = "calm" }}

[stages.labelled]
kind = "label"
input = "rows"
teacher = "t"
prompt = "ask.txt"
labels = {{ angry = " angry", calm = " calm" }}

[stages.{LONG}]
kind = "classifier"
input = "labelled"

[stages.said]
kind = "apply"
input = "rows"
model = "{LONG}"

[stages.evaluation]
kind = "evaluate"
input = "rows"
systems = {{ {LONG} = "said", labelled = "labelled" }}
"""


def test_a_run_ends_in_ten_lines_that_say_how_good_it_is(tmp_path):
    (tmp_path / "rows.jsonl").write_text(ROWS)
    (tmp_path / "ask.txt").write_text("Text: {{ text }}\nMood:")
    (tmp_path / "long.toml").write_text(RECIPE)
    at = ("run", tmp_path / "long.toml", "--store", tmp_path / "s")
    planned = invoke("plan", *at[1:])
    assert [line for line in planned.splitlines() if len(line) > WIDTH] == []
    for again in (False, True):
        said = invoke(*at)
        ending = said[said.index("\n\n") + 2 :].splitlines()
        assert len(ending) <= 10
        assert [line for line in ending[:-1] if len(line) > WIDTH] == []
        assert ending[-1].startswith("look at    ")
        assert Path(ending[-1].split(maxsplit=2)[2]).is_file()
        text = " ".join(" ".join(ending).split())
        assert ("made nothing: all was there before" in text) is again
        assert "accuracy" in text
        assert "always 'angry': 0.500" in text
        assert "cost nothing" in text or "80 calls" in text
        assert "yes by C and EU-2.5: a teacher (stand-in)" in text
    full = invoke(*at, "--full")
    assert "Is it distilled? " in full
    assert "majority label" in full
    assert "Unknown: " in full


@law(200)
@given(
    st.lists(st.text(max_size=300), max_size=6),
    st.integers(1, 4),
)
def test_a_part_has_no_more_lines_than_it_may(texts, most):
    lines = _lines(texts, most)
    assert len(lines) <= most
    assert all(len(line) <= WIDTH - 11 for line in lines)
    if len(" ".join(texts)) > most * WIDTH * 8:
        assert lines[-1].endswith("…")


def test_an_interrupt_of_any_command_is_told(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(beginning, "look", interrupted)
    monkeypatch.setattr("sys.argv", ["mashbill", "init", "a.csv", "--labels", "a,b"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert "Stopped." in capsys.readouterr().err


def _commands(group, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        if hasattr(one, "list_commands"):
            yield from _commands(one, (*path, name))
        else:
            yield (*path, name), one


def test_no_help_takes_a_table_of_a_recipe_for_markup():
    found = dict(_commands(typer.main.get_command(app)))
    assert len(found) > 40
    for path, command in found.items():
        for text in (command.help, *(getattr(one, "help", None) for one in command.params)):
            eaten = re.findall(r"(?<!\\)\[[a-z/][^\]]*\]", text or "")
            assert eaten == [], (path, text)
