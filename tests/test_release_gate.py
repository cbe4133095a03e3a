"""The release gate of examples/: it fails a build on a house rule, offline."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from junitparser import JUnitXml
from sarif_pydantic import Sarif

ROOT = Path(__file__).parents[1]
GATE = ROOT / "examples" / "release-gate"


def gate(work, teacher="closed"):
    work.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [GATE / "gate.sh", work], env={**os.environ, "PATH": path, "TEACHER": teacher},
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    work = tmp_path_factory.mktemp("gate") / "work"
    return gate(work), work


def test_a_closed_teacher_beyond_its_share_fails_the_build(failed):
    done, work = failed
    assert done.returncode == 1, done.stderr
    assert "No closed teacher beyond 5% of tokens" in done.stdout
    log = json.loads((work / "gate.sarif").read_text())
    results = Sarif.model_validate(log).runs[0].results
    assert {str(result.level.value) for result in results} == {"none", "error"}
    [denied] = [r for r in log["runs"][0]["results"] if r["level"] == "error"]
    assert denied["ruleId"] == "house/closed-share"
    place = denied["locations"][0]["physicalLocation"]
    line = place["region"]["startLine"]
    lines = (work / "rules.toml").read_text().splitlines()
    assert lines[line - 1] == "[[rule]]"
    assert lines[line] == 'id = "closed-share"'
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert rules[denied["ruleIndex"]]["id"] == denied["ruleId"]
    suite = JUnitXml.fromfile(str(work / "gate.junit"))
    assert (suite.failures, suite.errors) == (1, 0)


def test_the_same_recipe_without_it_passes(tmp_path):
    done = gate(tmp_path / "work", "open")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_of_the_example_was_put(failed):
    log = json.loads((failed[1] / "gate.sarif").read_text())
    put = {r["ruleId"] for r in log["runs"][0]["results"] if r["ruleId"].startswith("house/")}
    written = [
        line.split('"')[1] for line in (GATE / "rules.toml").read_text().splitlines()
        if line.startswith("id = ")
    ]  # fmt: skip
    assert put == {f"house/{name}" for name in written}


def test_the_action_and_the_hook_say_what_there_is():
    action = yaml.safe_load((GATE / "action.yml").read_text())
    text = (GATE / "action.yml").read_text()
    for name in action["inputs"]:
        assert f"inputs.{name} }}}}" in text
    workflow = yaml.safe_load((GATE / "workflow.yml").read_text())
    [used] = [
        s["with"] for s in workflow["jobs"]["gate"]["steps"] if "release-gate" in s.get("uses", "")
    ]
    assert set(used) <= set(action["inputs"])
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert {"id", "name", "entry", "language"} <= set(hook)
    config = yaml.safe_load((GATE / "pre-commit-config.yaml").read_text())
    assert config["repos"][0]["hooks"][0]["id"] == hook["id"]


def test_the_actions_shell_does_what_its_inputs_say(failed, tmp_path):
    steps = yaml.safe_load((GATE / "action.yml").read_text())["runs"]["steps"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    facts = {
        "ARTIFACT": "student", "STORE": failed[1] / "store", "AS_OF": "2020-01-01",
        "PATH": path,
    }  # fmt: skip
    (tmp_path / "asks.toml").write_text(
        '[[rule]]\nid = "ask"\nsays = "Somebody reads it."\nwhen = "true"\noutcome = "review"\n'
    )
    codes = {}
    for name, mode in (("student", "deny"), ("second", "deny"), ("second", "review")):
        policy = GATE / "rules.toml" if name == "student" else tmp_path / "asks.toml"
        facts |= {"ARTIFACT": name, "FAIL_ON": mode, "POLICY": policy}
        env = {**os.environ, **{key: str(value) for key, value in facts.items()}}
        done = subprocess.run(["bash", "-e", "-c", steps[1]["run"]], env=env, cwd=tmp_path,
                              capture_output=True, text=True)  # fmt: skip
        codes[name, mode] = done.returncode
        assert (tmp_path / "mashbill.sarif").exists()
    assert codes == {("student", "deny"): 1, ("second", "deny"): 0, ("second", "review"): 3}
