"""SARIF and JUnit: any name survives, readers of the standards take them, GitHub too."""

import json
import os
from datetime import date
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from junitparser import JUnitXml
from sarif_pydantic import Sarif

from mashbill.policy.decision import OUTCOMES, Decision
from mashbill.policy.formats import to_junit, to_sarif

DAY = date(2026, 11, 24)
HOSTILE = "\x00\x1b[31m<b>&amp;]]>\"'\r\n\t\ufffe\ud800\x85\u2028\U0001f943 é"
ANY = st.text(st.characters(), min_size=1)  # halves of pairs, too


def decision(outcome="deny", about="x", because="y", path=None, line=3, **fields):
    if path is not None:
        fields |= {"engine": "house rule", "pointer": {"path": path, "line": str(line)}}
    fields = {"engine": "use restriction", "rule": "r", **fields}
    return Decision(outcome=outcome, about=about, because=because, as_of=DAY, **fields)


def sarif_of(decisions, name="student@1"):
    text = to_sarif(decisions, name)
    Sarif.model_validate_json(text.encode())
    [run] = json.loads(text)["runs"]
    return run


def suite_of(decisions, name="student@1"):
    [suite] = JUnitXml.fromstring(to_junit(decisions, name).encode())
    assert len(suite) == suite.tests == len(decisions)
    return suite


def kept(text):
    """What XML 1.0 can hold of a text, and UTF-8."""
    text = text.encode("utf-8", "replace").decode()
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))


@given(ANY, ANY, ANY, st.sampled_from(OUTCOMES))
@example(HOSTILE, HOSTILE, HOSTILE, "deny")
@example(HOSTILE, HOSTILE, HOSTILE, "review")
def test_any_name_survives(name, about, because, outcome):
    one = decision(outcome, about, because, title=about, lacking=(because,))
    suite = suite_of([one], name)
    assert (suite.failures, suite.errors) == (outcome == "deny", outcome == "review")
    [case] = suite
    assert case.name == f"r: {kept(about)}"
    assert case.is_passed == (outcome == "allow")
    run = sarif_of([one], name)
    if outcome == "allow":
        assert run["results"] == []
        return
    assert case.result[0].message == kept(because)
    [result] = run["results"]
    readable = about.encode("utf-8", "replace").decode()
    assert result["properties"]["about"] == readable
    assert result["message"]["text"].startswith(f"{readable}: ")


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("rules.toml", "rules.toml"),
        ("my rules/50% é#1?.toml", "my%20rules/50%25%20%C3%A9%231%3F.toml"),
        ("c:rules.toml", "c%3Arules.toml"),
        ("/a b/rules.toml", "file:///a%20b/rules.toml"),
        (os.fsdecode(b"odd\xff.toml"), "odd%FF.toml"),
    ],
)
def test_a_house_rule_stands_at_its_line_of_its_file(path, uri):
    [result] = sarif_of([decision(path=path, line=7)])["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": uri}, "region": {"startLine": 7}}
    assert result["ruleId"] == "house/r"
    [case] = suite_of([decision(path=path, line=7)])
    told = json.loads(case.result[0].text)
    assert told["pointer"]["line"] == "7"


@given(ANY)
def test_a_terms_decision_stands_at_its_artifact(name):
    # GitHub refuses a log in which one result has no file, or an address other than file's.
    [result] = sarif_of([decision(document="openai-terms")], name)["results"]
    place = result["locations"][0]["physicalLocation"]
    uri = place["artifactLocation"]["uri"]
    assert urlsplit(uri).scheme == ""
    assert unquote(uri) == name.encode("utf-8", "replace").decode()
    assert result["locations"][0]["logicalLocations"][0]["name"] == "x"
    assert result["ruleId"] == "openai-terms/r"


def test_levels_are_as_the_standard_lets_them_be():
    # SARIF 2.1.0, 3.27.10: a kind other than "fail" has the level "none".
    run = sarif_of([decision(outcome, path="rules.toml", rule=outcome) for outcome in OUTCOMES])
    found = {
        r["ruleId"]: (r["kind"], r["level"], r["properties"]["outcome"]) for r in run["results"]
    }
    assert found == {
        "house/review": ("fail", "warning", "review"),
        "house/deny": ("fail", "error", "deny"),
    }


def test_what_is_allowed_is_among_the_rules_and_no_result():
    decisions = [
        decision("allow", rule="a"),
        decision("deny", rule="b"),
        decision("review", rule="a"),
        decision("deny", "z", rule="b"),
        decision("allow", rule="c", document="d"),
    ]
    run = sarif_of(decisions)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["a", "b", "d/c"]
    assert [r["ruleId"] for r in run["results"]] == ["b", "a", "b"]
    assert all(rules[r["ruleIndex"]] == r["ruleId"] for r in run["results"])
    suite = suite_of(decisions)
    assert (suite.tests, suite.failures, suite.errors) == (5, 2, 1)


def test_nothing_to_say_is_well_formed():
    assert sarif_of([])["results"] == []
    assert len(suite_of([])) == 0
