"""Rejected rows are told with their two commonest reasons: on the line, as JSON and on the page."""

import json
import sys

from tests_support import TEACHER

from mashbill.cli import main

RECIPE = """
[recipe]
name = "some"
version = "1"
seed = 5
{teacher}
[stages.texts]
kind = "corpus"
title = "texts"
license = "CC0-1.0"
source = "texts.jsonl"

[stages.out]
kind = "generate"
input = "texts"
teacher = "t"
min_chars = 40
refuse = "zebra"
"""


def ran(tmp_path, monkeypatch, capsys, *more):
    lines = [{"text": f"tell of the {'zebra ' * (n % 3)}{'very ' * n}old"} for n in range(12)]
    lines += [{"text": "[/foo] \x1b[31m"}] * 3
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "r.toml").write_text(RECIPE.format(teacher=TEACHER))
    line = ["mashbill", "run", str(tmp_path / "r.toml"), "--store", str(tmp_path / "s"), *more]
    monkeypatch.setattr(sys, "argv", line)
    try:
        main()
    except SystemExit as ended:
        assert not ended.code  # noqa: PT017
    return capsys.readouterr().out


def test_lines_json_and_page(tmp_path, monkeypatch, capsys):
    told = ran(tmp_path, monkeypatch, capsys)
    (line,) = [line for line in told.splitlines() if line.startswith("out:")]
    assert " rejected: " in line
    assert "characters, below 40" in line
    assert "\x1b" not in line
    (corpus,) = [line for line in told.splitlines() if line.startswith("texts:")]
    assert "2 rejected: 2 duplicate of texts.jsonl row" in corpus
    page = next((tmp_path / "s" / "reports").glob("*.html")).read_text()
    assert "What was rejected" in page
    assert "characters, below 40" in page
    done = json.loads(ran(tmp_path, monkeypatch, capsys, "--json"))
    stages = {stage["name"]: stage for stage in done["stages"]}
    assert sum(each["rows"] for each in stages["out"]["rejected"]) == stages["out"]["rejected_rows"]
    assert stages["texts"]["rejected"][0]["rows"] == 2
