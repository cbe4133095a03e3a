"""Decisions as CI systems read them: SARIF 2.1.0 (OASIS) and JUnit XML."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.policy.decision import Decision

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {"review": "warning", "deny": "error"}


def to_sarif(decisions: Sequence[Decision], name: str) -> str:
    """Return a SARIF log: a rule for each clause or house rule, a result for each objection.

    What is allowed has no result: GitHub would show it as a problem, whatever its kind. A review is
    of the kind "fail", too, since the standard lets no other have a level; ``outcome`` among its
    properties tells it from a denial.

    A result's place is the line of its house rule, or else ``name``: GitHub refuses a log in which
    one result has none.

    Args:
        decisions: about the artifact.
        name: the artifact's.
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
        if decision.outcome == "allow":
            continue
        where, line = quote(name, errors="replace"), 1
        if decision.engine == "house rule":
            where, line = _uri(decision.pointer["path"]), int(decision.pointer["line"])
        results.append(
            {
                "ruleId": rule,
                "ruleIndex": list(rules).index(rule),
                "kind": "fail",
                "level": _LEVEL[decision.outcome],
                "message": {"text": f"{decision.about}: {decision.because}"},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": where},
                            "region": {"startLine": line},
                        },
                        "logicalLocations": [{"name": decision.about, "kind": "resource"}],
                    }
                ],
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
    return _encodable(json.dumps(log, indent=2, ensure_ascii=False)) + "\n"


def _uri(path: str) -> str:
    """Return a file's address: relative if the path is."""
    file = Path(path)
    return file.as_uri() if file.is_absolute() else quote(os.fsencode(file.as_posix()))


def _encodable(text: str) -> str:
    """Return a text that has a UTF-8 form: paths that are no text have halves of pairs."""
    return text.encode("utf-8", "replace").decode("utf-8")


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
            suite,
            "testcase",
            classname=decision.engine.replace(" ", "-"),
            name=_plain(f"{_rule_id(decision)}: {decision.about}"),
        )
        if decision.outcome != "allow":
            tag = "failure" if decision.outcome == "deny" else "error"
            item = ET.SubElement(case, tag, message=_plain(decision.because), type=decision.outcome)
            item.text = _plain(json.dumps(decision.as_json(), ensure_ascii=False, indent=1))
    ET.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, "unicode") + "\n"


def _plain(text: str) -> str:
    """Return a text without the control characters that XML 1.0 cannot hold."""
    return "".join(
        c
        for c in _encodable(text)
        if c in "\t\n\r" or (ord(c) >= 0x20 and ord(c) not in (0xFFFE, 0xFFFF))
    )
