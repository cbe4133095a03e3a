"""Decisions as CI systems read them: SARIF 2.1.0 (OASIS) and JUnit XML."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.policy.decision import Decision

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {"allow": "none", "review": "warning", "deny": "error"}
_KIND = {"allow": "pass", "review": "review", "deny": "fail"}


def to_sarif(decisions: Sequence[Decision]) -> str:
    """Return a SARIF log: a rule for each clause or house rule, a result for each decision.

    A decision's place is what it is about, a logical location; a house rule's is its line, too.
    """
    rules: dict[str, dict[str, Any]] = {}
    results = []
    for decision in decisions:
        rule = _rule_id(decision)
        rules.setdefault(
            rule,
            {
                "id": rule,
                "name": decision.rule,
                "shortDescription": {"text": decision.clause or decision.rule},
                "properties": {"engine": decision.engine},
            },
        )
        location: dict[str, Any] = {
            "logicalLocations": [{"name": decision.about, "kind": "resource"}]
        }
        if decision.engine == "house rule":
            location["physicalLocation"] = {
                "artifactLocation": {"uri": decision.pointer["path"]},
                "region": {"startLine": int(decision.pointer["line"])},
            }
        results.append(
            {
                "ruleId": rule,
                "ruleIndex": list(rules).index(rule),
                "kind": _KIND[decision.outcome],
                "level": _LEVEL[decision.outcome],
                "message": {"text": f"{decision.about}: {decision.because}"},
                "locations": [location],
                "properties": decision.as_json(),
            }
        )
    driver = {
        "name": "mashbill",
        "version": version("mashbill"),
        "rules": list(rules.values()),
    }
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule_id(decision: Decision) -> str:
    where = decision.document if decision.engine != "house rule" else "house"
    return f"{where}/{decision.rule}" if where else decision.rule


def to_junit(decisions: Sequence[Decision], name: str) -> str:
    """Return JUnit XML: a case for each decision; deny is a failure, review an error.

    A review is an error, and not a pass, since what is not known must not let a build through.
    """
    suite = ET.Element(
        "testsuite",
        name=_plain(f"mashbill check {name}"),
        tests=str(len(decisions)),
        failures=str(sum(d.outcome == "deny" for d in decisions)),
        errors=str(sum(d.outcome == "review" for d in decisions)),
    )
    for decision in decisions:
        case = ET.SubElement(
            suite, "testcase", classname=decision.engine.replace(" ", "-"),
            name=_plain(f"{_rule_id(decision)}: {decision.about}"),
        )  # fmt: skip
        if decision.outcome != "allow":
            tag = "failure" if decision.outcome == "deny" else "error"
            item = ET.SubElement(case, tag, message=_plain(decision.because), type=decision.outcome)
            item.text = _plain(json.dumps(decision.as_json(), ensure_ascii=False, indent=1))
    ET.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, "unicode") + "\n"


def _plain(text: str) -> str:
    """Return a text without the control characters that XML 1.0 cannot hold."""
    return "".join(
        c for c in text if c in "\t\n\r" or (ord(c) >= 0x20 and ord(c) not in (0xFFFE, 0xFFFF))
    )
