"""The release gate of examples/: it fails a build on a house rule, offline."""

import json
import os
import re
import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml
from junitparser import JUnitXml
from sarif_pydantic import Sarif

from mashbill.cli import main
from mashbill.policy.house import apply_rule, load_rules

ROOT = Path(__file__).parents[1]
GATE = ROOT / "examples" / "release-gate"
RULES = {rule.id: rule for rule in load_rules([GATE / "rules.toml"])}
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
KEPT = {"MASHBILL_KEY_FILE", "MASHBILL_CHECKPOINTS"}


def gate(work, teacher):
    """Run the gate over a teacher; return what was printed, the exit code and the folder."""
    # It has its own key and its own checkpoints, as on a machine that has none yet.
    outside = {name: value for name, value in os.environ.items() if name not in KEPT}
    done = subprocess.run(
        [GATE / "gate.sh", work], env={**outside, "PATH": PATH, "TEACHER": teacher},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return done.stdout, done.returncode, work


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    return gate(tmp_path_factory.mktemp("closed"), "closed")


def test_a_closed_teacher_beyond_its_share_fails_the_build(closed):
    text, code, work = closed
    assert code == 1, text
    assert "holds: " in text
    assert "No closed teacher beyond 5% of tokens" in text
    log = json.loads((work / "gate.sarif").read_text())
    [result] = Sarif.model_validate(log).runs[0].results
    assert (result.rule_id, result.level.value) == ("house/closed-share", "error")
    [denied] = log["runs"][0]["results"]
    place = denied["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == (work / "rules.toml").as_uri()
    line = place["region"]["startLine"]
    lines = (work / "rules.toml").read_text().splitlines()
    assert lines[line - 1 : line + 1] == ["[[rule]]", 'id = "closed-share"']
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert rules[denied["ruleIndex"]]["id"] == denied["ruleId"]
    [suite] = JUnitXml.fromfile(str(work / "gate.junit"))
    assert (suite.failures, suite.errors) == (1, 0)
    [failed] = [case for case in suite if not case.is_passed]
    assert "house/closed-share" in failed.name
    told = json.loads(failed.result[0].text)
    assert told["pointer"] == {"path": str(work / "rules.toml"), "line": str(line)}


@pytest.mark.slow
def test_the_same_recipe_without_it_passes(tmp_path):
    text, code, work = gate(tmp_path, "open")
    assert code == 0, text
    every_rule_was_put(work)
    log = Sarif.model_validate_json((work / "gate.sarif").read_text())
    assert log.runs[0].results == []
    [suite] = JUnitXml.fromfile(str(work / "gate.junit"))
    assert len(suite) > 0
    assert all(case.is_passed for case in suite)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["SIGNER", "CHECKPOINT"])
def test_a_store_of_another_is_stopped_before_it_is_checked(tmp_path, given):
    """The gate asks for the key and the checkpoint that it was told of, not those of the store."""
    other = tmp_path / "other.note"
    other.write_text("mashbill/0000000000000000\n1\n" + "A" * 43 + "=\n\n— x AAAA\n")
    wanted = {"SIGNER": "0" * 64, "CHECKPOINT": str(other)}[given]
    done = subprocess.run(
        [GATE / "gate.sh", tmp_path],
        text=True,
        capture_output=True,
        env={**os.environ, "PATH": PATH, "TEACHER": "open", given: wanted},
    )
    assert done.returncode not in {0, 3}, done.stdout
    assert "holds: " not in done.stdout
    assert not (tmp_path / "gate.sarif").exists()


@pytest.mark.parametrize(("limit", "code"), [("1.0", 0), ("0.47", 0), ("0.46", 1)])
def test_the_rule_decides(closed, tmp_path, monkeypatch, limit, code):
    work = closed[2]
    rules = tmp_path / "rules.toml"
    text = (GATE / "rules.toml").read_text()
    assert text.count("share > 0.05") == 1
    rules.write_text(text.replace("share > 0.05", f"share > {limit}"))
    log = tmp_path / "new" / "gate.sarif"
    arguments = ["check", "student", "--store", work / "store", "--policy", rules]
    arguments += ["--terms-file", work / "terms.toml", "--sarif", log]
    monkeypatch.setattr("sys.argv", ["mashbill", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code or 0) == code
    assert len(Sarif.model_validate_json(log.read_text()).runs[0].results) == code


def test_every_rule_of_the_example_was_put(closed):
    every_rule_was_put(closed[2])


def every_rule_was_put(work):
    log = json.loads((work / "gate.sarif").read_text())
    put = {rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert {f"house/{name}" for name in RULES} <= put
    [suite] = JUnitXml.fromfile(str(work / "gate.junit"))
    names = " ".join(case.name for case in suite)
    assert all(f"house/{name}: " in names for name in RULES)


SOURCE = {
    "depth": 1,
    "kind": "open-weights",
    "what": "model",
    "route": "weights",
    "license": "Apache-2.0",
}
ARTIFACT = {"verdicts": {"A": {"share_low": 0.1, "share_high": 0.2}}, "obligations": []}


def a_between(low, high):
    return {"verdicts": {"A": {"share_low": low, "share_high": high}}}


CASES = [
    ("closed-share", {"kind": "closed-api"}, (0.06, 0.2), "deny"),
    ("closed-share", {"kind": "closed-api"}, (0.0, 0.2), "review"),
    ("closed-share", {"kind": "closed-api"}, (0.0, 0.05), "allow"),
    ("closed-share", {"kind": "closed-api", "depth": 2}, (0.06, 0.2), "allow"),
    ("no-router", {"route": "router:OpenRouter"}, (0.0, 0.0), "deny"),
    ("known-origins", {"kind": "unknown"}, (0.0, 0.0), "deny"),
    ("known-origins", {"what": "unknown"}, (0.0, 0.0), "deny"),
    ("named-origins", {}, (0.5, 0.9), "deny"),
    ("named-origins", {}, (0.9, 1.0), "review"),
    ("named-origins", {}, (0.95, 1.0), "allow"),
    ("no-open-duty", {"obligations": [{"state": "in question"}]}, (1.0, 1.0), "review"),
    ("no-open-duty", {"obligations": [{"state": "owed"}]}, (1.0, 1.0), "allow"),
    ("non-commercial-source", {"license": "CC-BY-NC-SA-4.0"}, (0.0, 0.0), "deny"),
    ("non-commercial-source", {"license": "cc-by-nc-4.0"}, (0.0, 0.0), "deny"),
    ("non-commercial-source", {"license": "LicenseRef-Acme-NonCommercial"}, (0.0, 0.0), "deny"),
    ("non-commercial-source", {"license": "NCSA"}, (0.0, 0.0), "allow"),
    ("non-commercial-duty", {"obligations": [{"code": "non-commercial"}]}, (1.0, 1.0), "deny"),
    ("non-commercial-duty", {"obligations": [{"code": "notice"}]}, (1.0, 1.0), "allow"),
    ("definition-a", a_between(0.5, 0.6), (1.0, 1.0), "deny"),
    ("definition-a", a_between(0.4, 0.6), (1.0, 1.0), "allow"),
    ("definition-a-unsure", a_between(0.4, 0.6), (1.0, 1.0), "review"),
    ("definition-a-unsure", a_between(0.5, 0.6), (1.0, 1.0), "allow"),
    ("definition-a-unsure", {"verdicts": {}}, (1.0, 1.0), "review"),
]


@pytest.mark.parametrize(("name", "facts", "interval", "outcome"), CASES)
def test_each_rule_does_what_it_says(name, facts, interval, outcome):
    rule = RULES[name]
    usual, unsure = (SOURCE, "share") if rule.about == "source" else (ARTIFACT, "named")
    day = date(2026, 11, 24)
    decision = apply_rule(rule, "x", {**usual, **facts}, {unsure: interval}, day)
    assert decision.outcome == outcome
    assert apply_rule(rule, "x", usual, {unsure: (0.97, 0.97)}, day).outcome == "allow"


def test_each_rule_is_tried_and_says_what_it_is_for():
    assert {case[0] for case in CASES} == set(RULES)
    lines = (GATE / "rules.toml").read_text().splitlines()
    explained = {rule.id for rule in RULES.values() if lines[rule.line - 2].startswith("# ")}
    assert set(RULES) - explained <= {"definition-a-unsure"}  # one comment is for both


def test_the_action_and_the_workflow_name_what_there_is():
    text = (GATE / "action.yml").read_text()
    action = yaml.safe_load(text)
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == set(action["inputs"])
    for step in action["runs"]["steps"]:
        assert ("shell" in step) == ("run" in step)
        assert set(step.get("env", {})) <= set(re.findall(r"\$\{?([A-Z_]+)", step.get("run", "")))
    [upload] = [step for step in action["runs"]["steps"] if "uses" in step]
    assert "always()" in upload["if"]
    workflow = yaml.safe_load((GATE / "workflow.yml").read_text())
    assert workflow["jobs"]["gate"]["permissions"]["security-events"] == "write"
    [used] = [step["with"] for step in workflow["jobs"]["gate"]["steps"] if "with" in step]
    asked = {name for name, item in action["inputs"].items() if item.get("required")}
    assert asked <= set(used) <= set(action["inputs"])


def stub(folder, code):
    """Write a mashbill that notes its arguments and ends with a code."""
    (folder / "bin").mkdir(parents=True)
    path = folder / "bin" / "mashbill"
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/asked"\nexit {code}\n')
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("code", "fail_on", "ends"),
    [(0, "review", 0), (1, "review", 1), (2, "review", 2), (3, "review", 3),
     (0, "deny", 0), (1, "deny", 1), (2, "deny", 2), (3, "deny", 0), (0, "nothing", 2)],
)  # fmt: skip
def test_the_actions_shell_does_what_its_inputs_say(tmp_path, code, fail_on, ends):
    steps = yaml.safe_load((GATE / "action.yml").read_text())["runs"]["steps"]
    [script] = [step["run"] for step in steps if step.get("name") == "check"]
    stub(tmp_path / "mashbill", code)
    facts = {"ARTIFACT": "a b@1", "STORE": "my store", "POLICY": "r.toml", "FAIL_ON": fail_on,
             "AS_OF": "2026-01-01" if code else "", "RUNNER_TEMP": str(tmp_path)}  # fmt: skip
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        env={**os.environ, **facts},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == ends
    assert ("::warning::" in done.stdout) == ((code, fail_on) == (3, "deny"))
    if fail_on == "nothing":
        assert "::error::" in done.stdout
        return
    asked = (tmp_path / "mashbill" / "asked").read_text().splitlines()
    assert asked[:6] == ["check", "a b@1", "--store", "my store", "--policy", "r.toml"]
    assert asked[6:10] == ["--sarif", "mashbill.sarif", "--junit", "mashbill.junit"]
    assert asked[10:] == (["--as-of", "2026-01-01"] if code else [])


def test_pre_commit_takes_the_hook_and_its_example():
    pytest.importorskip("pre_commit", reason="checked by hand: it brings eight packages")
    for kind, path in (
        ("manifest", ROOT / ".pre-commit-hooks.yaml"),
        ("config", GATE / "pre-commit-config.yaml"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "pre_commit", f"validate-{kind}", path],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert (hook["id"], hook["language"]) == ("mashbill-check", "python")
    assert hook["entry"] == "mashbill check"
    [repo] = yaml.safe_load((GATE / "pre-commit-config.yaml").read_text())["repos"]
    assert {item["id"] for item in repo["hooks"]} == {hook["id"]}


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (2, 1), (3, 0)])
def test_a_hook_may_let_a_review_pass(tmp_path, code, ends):
    [repo] = yaml.safe_load((GATE / "pre-commit-config.yaml").read_text())["repos"]
    [hook] = [item for item in repo["hooks"] if "entry" in item]
    stub(tmp_path, code)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*shlex.split(hook["entry"]), *hook["args"]], env={**os.environ, "PATH": path}
    )
    assert done.returncode == ends
    assert (tmp_path / "asked").read_text().splitlines() == ["check", *hook["args"]]
