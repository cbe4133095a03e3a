"""House rules: CEL over facts, unknowns as review, never milder by one rule more."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashbill import InputError
from mashbill.policy.decision import OUTCOMES, Decision, strictest
from mashbill.policy.expressions import Expression, LackingError
from mashbill.policy.formats import to_junit, to_sarif
from mashbill.policy.house import OF_SOURCE, HouseRule, apply_rule, load_rules

DAY = date(2026, 11, 24)
ENDS = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


def rule_of(when, outcome="deny", known=OF_SOURCE):
    return HouseRule("r", "It is so.", "source", Expression(when, "here", known), outcome, "f", 1)


def put(when, facts, outcome="deny", **intervals):
    return apply_rule(rule_of(when, outcome), "x", facts, intervals, DAY)


@pytest.mark.parametrize(
    ("when", "facts", "share", "outcome"),
    [
        ('kind == "closed-api" && share > 0.05', {"kind": "closed-api"}, (0.5, 0.5), "deny"),
        ('kind == "closed-api" && share > 0.05', {"kind": "closed-api"}, (0.0, 0.04), "allow"),
        ('kind == "closed-api" && share > 0.05', {"kind": "closed-api"}, (0.0, 1.0), "review"),
        ('kind == "closed-api" && share > 0.05', {"kind": "human"}, (0.0, 1.0), "allow"),
        ("share < 0.5", {}, (0.1, 0.2), "deny"),
    ],
)
def test_a_rule_is_put_to_both_ends_of_a_share(when, facts, share, outcome):
    decision = put(when, facts, share=share)
    assert decision.outcome == outcome
    assert bool(decision.lacking) == (outcome == "review")


@given(ENDS, st.floats(0, 1))
def test_allow_needs_both_ends(ends, limit):
    decision = put(f"share > {limit!r}" if limit else "share > 0.0", {}, share=tuple(ends))
    both = [end > limit for end in ends]
    assert decision.outcome == ("deny" if all(both) else "review" if any(both) else "allow")


@pytest.mark.parametrize("when", ["depth > 1", 'use.purpose == "x"', 'artifact.owner == "x"'])
def test_a_fact_that_is_not_there_is_review_and_never_allow(when):
    decision = put(when, {"use": {}, "artifact": {"name": "a"}})
    assert decision.outcome == "review"
    assert decision.lacking


@given(st.lists(st.sampled_from(OUTCOMES)), st.sampled_from(OUTCOMES))
def test_one_rule_more_is_never_milder(outcomes, another):
    before, after = strictest(outcomes), strictest([*outcomes, another])
    assert OUTCOMES.index(after) >= OUTCOMES.index(before)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[rule]]\nid = "a"\nsays = "x"\nwhen = "kind =="\n', "rule a: not a CEL expression"),
        ('[[rule]]\nid = "a"\nsays = "x"\nwhen = "kin == 1"\n', "no name kin; there are name"),
        ('[[rule]]\nid = "a"\nsays = "x"\nwhen = "true"\nfor = "row"\n', "rule.0.for"),
        ('[[rule]]\nid = "A b"\nsays = "x"\nwhen = "true"\n', "rule.0.id"),
        ("rule = ", "cannot be read as TOML"),
        ("", "rule: Field required"),
    ],
)
def test_a_wrong_rule_is_told_with_file_and_key(tmp_path, text, message):
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_rules([path])
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_a_rule_that_is_neither_true_nor_false_is_an_error():
    with pytest.raises(InputError, match="not true or false"):
        put("kind", {"kind": "human"})
    with pytest.raises(LackingError):
        Expression("name.startswith(kind)", "x", OF_SOURCE).holds({"name": "a", "kind": "b"})


def test_a_bound_variable_is_no_unknown_name():
    when = 'channels.exists(c, c == "judgement") && !channels.all(d, d == "content")'
    assert put(when, {"channels": ["judgement"]}).outcome == "deny"


def test_lines_are_those_of_the_file(tmp_path):
    path = tmp_path / "rules.toml"
    rule = '[[rule]]\nid = "ID"\nsays = "x"\nwhen = "true"\n\n'
    path.write_text("# a head\n\n" + rule.replace("ID", "a") + rule.replace("ID", "b"))
    assert [(r.id, r.line) for r in load_rules([path])] == [("a", 3), ("b", 8)]


@given(st.text(min_size=1), st.text(), st.sampled_from(OUTCOMES))
def test_ci_formats_survive_any_name(about, because, outcome):
    import json
    from xml.etree import ElementTree as ET

    decision = Decision(outcome, "use restriction", "rule", about, because, DAY)
    suite = ET.fromstring(  # noqa: S314 - our own
        to_junit([decision], about).split("\n", 1)[1]
    )
    assert len(suite) == 1
    assert suite.get("failures") == str(int(outcome == "deny"))
    result = json.loads(to_sarif([decision]))["runs"][0]["results"][0]
    assert result["properties"]["about"] == about
