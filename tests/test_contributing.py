"""CONTRIBUTING's plugin, built and used by somebody who has nothing but that page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests_environments import interpreter, make_environment

import mashbill
from mashbill.core.ledger import Ledger

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
_FILE = re.compile(r"`([\w/]+\.(?:py|toml))`:\n\n```(?:python|toml)\n(.*?)```", re.DOTALL)
RECIPE = """
[recipe]
name = "r"
version = "1"

[teachers.echo]
kind = "echo"

[verifiers.short]
kind = "at-most"

[stages.rows]
kind = "corpus"
title = "rows"
origin = "own-dataset"
source = "rows.jsonl"
keep = ["right"]

[stages.loud]
kind = "shout"
input = "rows"

[stages.labelled]
kind = "label"
input = "rows"
teacher = "echo"
prompt = "ask.txt"
labels = { odd = " odd", even = " even" }

[stages.scored]
kind = "verify"
input = "labelled"
by = "short"
column = "label"
reference = "right"

[stages.model]
kind = "shares"
input = "scored"
"""


def files_of_the_page() -> dict[str, str]:
    return dict(_FILE.findall(PAGE.read_text("utf-8")))


def test_the_page_has_a_whole_plugin():
    assert sorted(files_of_the_page()) == [
        "mashbill_echo/stage.py", "mashbill_echo/teacher.py", "mashbill_echo/trainer.py",
        "mashbill_echo/verifier.py", "pyproject.toml", "test_echo.py",
    ]  # fmt: skip


def _pip(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """Return (its folder, an environment of the base with it installed from its wheel)."""
    folder = tmp_path_factory.mktemp("echo")
    for name, text in files_of_the_page().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / "mashbill_echo" / "__init__.py").touch()
    site = make_environment(folder.parent / "echo-site", "")
    quiet = ["--disable-pip-version-check", "--quiet", "--no-index", "--no-deps"]
    _pip(folder, "wheel", *quiet, "--no-build-isolation", "--wheel-dir", "dist", ".")
    (wheel,) = (folder / "dist").glob("*.whl")
    _pip(folder, "install", *quiet, "--target", str(site), str(wheel))
    return folder, site


def run(site: Path, code: str, *arguments: str, cwd: Path):
    environ = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200",
               "MASHBILL_KEY_FILE": str(cwd / "key.pem"),
               "MASHBILL_CHECKPOINTS": str(cwd / "kept")}  # fmt: skip
    *head, path = interpreter(site)
    return subprocess.run(
        [*head, path + code, *arguments], cwd=cwd, env=environ, capture_output=True, text=True
    )


@pytest.mark.slow
def test_it_keeps_all_laws_in_an_environment_of_its_own(plugin):
    folder, site = plugin
    code = f"sys.path.append({str(folder)!r})\nimport test_echo\ntest_echo.test_all_laws_hold()\n"
    done = run(site, code, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_recipe_runs_it_and_the_ledger_names_all_four(plugin):
    folder, site = plugin
    (folder / "r.toml").write_text(RECIPE)
    (folder / "ask.txt").write_text("Is this odd or even? {{ text }} ->")
    right = ("even", "odd")
    rows = ({"text": f"text number {at}", "right": right[at % 2]} for at in range(12))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code = "sys.argv[0] = 'mashbill'\nfrom mashbill.cli import main\nmain()\n"
    done = run(site, code, "run", "r.toml", "--store", "store", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    named = {
        (item["group"], item["kind"], item["distribution"], item["version"], len(item["sha256"]))
        for entry in Ledger(folder / "store" / "ledger.jsonl").accepted
        if entry.event == "commit"
        for item in entry.predicate.get("plugins", [])
    }
    assert named == {
        ("mashbill.teachers", "echo", "mashbill-echo", "0.1", 64),
        ("mashbill.stages", "shout", "mashbill-echo", "0.1", 64),
        ("mashbill.verifiers", "at-most", "mashbill-echo", "0.1", 64),
        ("mashbill.trainers", "shares", "mashbill-echo", "0.1", 64),
    }


@pytest.mark.slow
def test_strict_mypy_passes_with_the_pages_own_settings(plugin):
    folder, _ = plugin
    path = Path(mashbill.__file__).parents[1]
    found = {} if path.name == "site-packages" else {"MYPYPATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "mashbill_echo", "test_echo.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **found},
    )
    assert done.returncode == 0, done.stdout + done.stderr
