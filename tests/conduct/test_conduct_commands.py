"""Commands from a log to a decision: scan, cases, case, explain, derive, simulate."""

import contextlib
import io
import json
import sys
from types import SimpleNamespace

import pytest

from mashbill.cli import main


def ran(*args):
    """Run a command as a user does, in this process: its output and errors, and its exit code."""
    before, written = sys.argv, io.StringIO()
    sys.argv = ["mashbill", *map(str, args)]
    try:
        with (
            contextlib.redirect_stdout(written),
            contextlib.redirect_stderr(written),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    finally:
        sys.argv = before
    return SimpleNamespace(exit_code=ended.value.code or 0, output=written.getvalue())


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log in plain words, in which one account presents sealed reasoning of another."""
    path = tmp_path_factory.mktemp("log") / "calls.jsonl"
    rows = []
    for hour in range(8):
        at = f"2026-11-{hour + 1:02}T08:00:00Z"
        rows.append({"id": f"made-{hour}", "time": at, "account": "maker", "text": f"ask {hour}",
                     "model": "m", "status": 200, "blobs_out": [f"sealed-{hour}" * 9]})  # fmt: skip
    for hour in range(4):
        at = f"2026-11-{hour + 10:02}T08:00:00Z"
        rows.append({"id": f"held-{hour}", "time": at, "account": "presenter", "model": "m",
                     "text": f"go on with <b>this</b> {hour}", "status": 200,
                     "blobs_in": [f"sealed-{hour}" * 9]})  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "no row\n")
    return path


@pytest.fixture(scope="module")
def folder(log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scanned") / "conduct"
    found = ran("conduct", "scan", log, "--folder", folder, "--json")
    assert found.exit_code == 3, found.output
    told = json.loads(found.output)
    assert told["rows"] == 12
    assert (told["refused"], told["cases"]) == (1, {"act": 1, "review": 0, "note": 0})
    assert [row["line"] for row in told["refused_rows"]] == [13]
    return folder


def test_a_second_scan_finds_nothing_new(log, folder):
    found = ran("conduct", "scan", log, "--folder", folder, "--json")
    assert json.loads(found.output) | {"seconds": 0} == {
        "rows": 0, "refused": 0, "refused_rows": [], "seconds": 0, "files": [],
        "cases": {"act": 0, "review": 0, "note": 0},
    }  # fmt: skip
    assert found.exit_code == 0


def test_cases_are_listed_and_named_by_their_beginning(folder):
    (case,) = json.loads(ran("conduct", "cases", "--folder", folder, "--json").output)
    assert (case["finding"], case["tier"], case["accounts"]) == ("X", "act", 1)
    assert case["id"] in ran("conduct", "cases", "--folder", folder).output
    wrong = ran("conduct", "case", "zz", "--folder", folder)
    assert wrong.exit_code == 2
    assert "no cases begin with 'zz'" in wrong.output


def test_a_page_has_texts_only_if_it_is_given_the_log(folder, log, tmp_path):
    (case,) = json.loads(ran("conduct", "cases", "--folder", folder, "--json").output)
    plain, told = tmp_path / "plain.html", tmp_path / "told.html"
    assert ran("conduct", "case", case["id"][:6], "--folder", folder, "--to", plain).exit_code == 0
    assert "go on with" not in plain.read_text()
    assert "presenter" not in plain.read_text()
    assert (
        ran("conduct", "case", case["id"], "--folder", folder, "--to", told, "--log", log).exit_code
        == 0
    )
    assert "go on with &lt;b&gt;this&lt;/b&gt;" in told.read_text()


def test_a_log_that_has_no_text_of_the_case_is_told(folder, log, tmp_path):
    (case,) = json.loads(ran("conduct", "cases", "--folder", folder, "--json").output)
    other = tmp_path / "other.jsonl"
    other.write_text(log.read_text().splitlines(keepends=True)[0].replace('"id":', '"was":'))
    asked = ("conduct", "case", case["id"], "--folder", folder, "--to", tmp_path / "p.html")
    found = ran(*asked, "--log", other)
    assert found.exit_code == 2
    assert f"the case is about a log named {log.name}" in " ".join(found.output.split())
    key = tmp_path / "another.key"
    key.write_bytes(b"another key" * 3)
    assert ran(*asked, "--log", log, "--key", key).exit_code == 2
    assert not (tmp_path / "p.html").exists()


def test_a_case_derives_again_and_not_from_another_log(folder, log, tmp_path):
    (case,) = json.loads(ran("conduct", "cases", "--folder", folder, "--json").output)
    found = ran("conduct", "derive", case["id"], "--folder", folder, "--log", log)
    assert found.exit_code == 0, found.output
    assert "byte for byte" in found.output
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / log.name
    lines = log.read_text().splitlines(keepends=True)
    other.write_text("".join(lines[:8] + lines[9:]))
    found = ran("conduct", "derive", case["id"], "--folder", folder, "--log", other)
    assert found.exit_code == 1
    changed = tmp_path / "changed.json"
    body = json.loads((folder / "cases" / f"{case['id']}.{1}.json").read_text())
    body["exchanges"] += 1
    changed.write_text(json.dumps(body))
    found = ran("conduct", "derive", changed, "--folder", folder, "--log", log)
    assert found.exit_code == 1
    assert "it differs in exchanges" in found.output or "does not give" in found.output


def test_an_account_is_told_the_rule_and_nothing_of_others(folder):
    (case,) = json.loads(ran("conduct", "cases", "--folder", folder, "--json").output)
    told = ran("conduct", "explain", case["id"], "--folder", folder, "--contact", "a@example.com")
    assert told.exit_code == 0
    assert "a@example.com" in told.output
    assert "sealed reasoning" in told.output.replace("\n", " ")


def test_ledger_has_an_entry_a_case_and_holds(folder):
    from mashbill.core.ledger import Ledger

    ledger = Ledger(folder / "ledger.jsonl")
    assert ledger.broken is None
    cases = [entry for entry in ledger.accepted if entry.event == "case"]
    assert len(cases) == len(list((folder / "cases").glob("*.json")))


def test_what_cannot_be_scanned_is_said(tmp_path):
    wrong = ran("conduct", "scan", tmp_path / "none.jsonl", "--folder", tmp_path / "conduct")
    assert wrong.exit_code == 2
    assert "none.jsonl" in wrong.output
    wrong = ran("conduct", "derive", "x", "--folder", tmp_path / "new", "--log", tmp_path / "a")
    assert wrong.exit_code == 2
    wrong = ran("conduct", "serve", "--folder", tmp_path / "conduct")
    assert wrong.exit_code == 2
    assert "--upstream" in wrong.output


def test_traffic_is_simulated_and_told_by_kind(tmp_path):
    made = ran("conduct", "simulate", tmp_path / "world", "--scale", "0.0005", "--days", "1",
               "--kind", "family", "--kind", "replay", "--json")  # fmt: skip
    assert made.exit_code == 0, made.output
    told = json.loads(made.output)
    assert set(told["accounts"]) == {"family", "replay"}
    assert told["rows"] == sum(1 for _ in (tmp_path / "world" / "events.jsonl").open())
