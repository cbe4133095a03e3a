"""Which module a command is in: the table that says so, and what is loaded for one question."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from mashbill.cli import app
from mashbill.cli.commands import HELP, HOME

LOADED = """
import sys
sys.argv = ["mashbill", *{command}]
from mashbill.cli import main
try:
    main()
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""


AFTER_ANOTHER = """
import json, os
import numpy, pyarrow.compute, pyarrow.parquet, pydantic  # once, and not in each child
from importlib import import_module
from mashbill.cli import app
from mashbill.cli.commands import HOME
import typer
found = {}
for first in [*dict.fromkeys(HOME.values())][::EVERY]:
    read, write = os.pipe()
    if not (child := os.fork()):
        import_module(f"mashbill.cli.{first}")
        whole = typer.main.get_command(app)
        # One that is of the first module, so that what it registered is taken in before the rest.
        whole.get_command(None, next(name for name in HOME if HOME[name] == first))
        members = {}
        for name in HOME:
            command = whole.get_command(None, name)
            members[name] = sorted(getattr(command, "commands", {}))
        os.write(write, json.dumps(members).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        found[first] = json.load(told)
    os.waitpid(child, 0)
print(json.dumps(found))
"""


def modules_of(command: list[str]) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", LOADED.format(command=command)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stderr.split())


def test_the_table_names_every_command_and_the_module_that_registers_it() -> None:
    group = typer.main.get_command(app)
    assert group.list_commands(None) == list(HOME) == list(HELP)
    found = {}
    for name, command in typer.main.get_group(app).commands.items():
        members = getattr(command, "commands", {"": command})
        modules = {member.callback.__module__.rpartition(".")[2] for member in members.values()}
        # A group may be of two files, of which one is named and loads the other.
        assert HOME[name] in modules, name
        assert len(modules) == (2 if name == "conduct" else 1), name
        found[name] = HOME[name]
    assert found == HOME


def test_the_table_says_of_each_command_what_its_own_help_says() -> None:
    commands = typer.main.get_command(app).commands
    told = {name: command.help.strip().split("\n\n")[0] for name, command in commands.items()}
    assert {name: " ".join(line.split()) for name, line in told.items()} == HELP


def test_a_list_of_commands_is_complete_and_loads_none_of_them() -> None:
    found = modules_of(["--help"])
    assert not {f"mashbill.cli.{module}" for module in HOME.values()} & found
    assert not {name.partition(".")[0] for name in found} & {"numpy", "pyarrow", "pydantic"}
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert all(name in shown and line in shown for name, line in HELP.items())


@pytest.mark.parametrize("name", HOME)
def test_each_command_is_found_by_itself(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert name in result.output


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_a_group_is_whole_whichever_command_was_loaded_before_it(every: int) -> None:
    program = AFTER_ANOTHER.replace("EVERY", str(every))
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    found = json.loads(ran.stdout)
    whole = {
        name: sorted(getattr(command, "commands", {}))
        for name, command in typer.main.get_group(app).commands.items()
    }
    assert list(found) == [*dict.fromkeys(HOME.values())][::every]
    assert {"scan", "runs"} <= set(whole["conduct"])
    for first, members in found.items():
        assert members == whole, first


def test_a_name_that_is_none_is_told_with_what_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["bil"])
    assert ended.value.code == 2
    assert "No such command 'bil'. Did you mean 'bill'" in capsys.readouterr().err


def test_a_question_loads_neither_what_runs_nor_what_others_ask() -> None:
    found = modules_of(["bill", "hf:HuggingFaceTB/SmolLM3-3B"])
    assert "mashbill.cli.lineage" in found
    wrong = {
        name
        for name in found
        if name.partition(".")[0] in {"torch", "aiohttp", "duckdb", "jinja2"}
        or name.startswith(("mashbill.stages", "mashbill.run", "mashbill.stages.marks"))
        or name in {"mashbill.cli.running", "mashbill.plan", "mashbill.publish"}
    }
    assert not wrong


def test_asking_a_workspace_loads_what_the_question_needs_and_no_more() -> None:
    found = modules_of(["bill", "hf:HuggingFaceTB/SmolLM3-3B"])
    wrong = {name for name in found if name.startswith(("mashbill.calls.", "mashbill.client."))}
    assert wrong <= {"mashbill.client.prices"}
    assert not {"mashbill.lineage.evidence.trace", "mashbill.core.recipe"} & found
    assert {name for name in found if name.startswith("mashbill.workspace.")} == {
        f"mashbill.workspace.{name}"
        for name in ("billed", "clearing", "opened", "questions", "space", "tables")
    }
