"""House rules: CEL over facts, unknowns as review, never milder by one rule more."""

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mashbill import InputError
from mashbill.core.use import Use
from mashbill.policy.decision import OUTCOMES, strictest
from mashbill.policy.expressions import Expression, LackingError
from mashbill.policy.house import OF_ARTIFACT, OF_SOURCE, HouseRule, apply_rule, load_rules

DAY = date(2026, 11, 24)
SHARES = st.floats(0, 1).map(lambda x: round(x, 3))
INTERVALS = st.tuples(SHARES, SHARES).map(lambda ends: tuple(sorted(ends)))


def rule_of(when, outcome="deny", known=OF_SOURCE):
    return HouseRule("r", "It is so.", "source", Expression(when, "here", known), outcome, "f", 1)


def put(when, facts, outcome="deny", **intervals):
    return apply_rule(rule_of(when, outcome), "x", facts, intervals, DAY)


# ---- shares are intervals ----


@pytest.mark.parametrize(
    ("when", "facts", "share", "outcome"),
    [
        ('kind == "closed-api" && share > 0.05', {"kind": "closed-api"}, (0.5, 0.5), "deny"),
        ('kind == "closed-api" && share > 0.05', {"kind": "closed-api"}, (0.0, 0.04), "allow"),
        ('kind == "closed-api" && share > 0.05', {"kind": "closed-api"}, (0.0, 1.0), "review"),
        ('kind == "closed-api" && share > 0.05', {"kind": "human"}, (0.0, 1.0), "allow"),
        ("share < 0.5", {}, (0.1, 0.2), "deny"),
        ("share < 0.5", {}, (0.5, 1.0), "allow"),
        ("share < 0.5", {}, (0.4, 0.5), "review"),
        # true in the middle, or at both ends, only
        ("share > 0.2 && share < 0.8", {}, (0.0, 1.0), "review"),
        ("share < 0.2 || share > 0.8", {}, (0.0, 1.0), "review"),
        ("share == 0.5", {}, (0.0, 1.0), "review"),
        ("share > .2 && share < 3e-1", {}, (0.0, 1.0), "review"),
    ],
)
def test_a_rule_is_put_to_all_of_an_interval(when, facts, share, outcome):
    decision = put(when, facts, share=share)
    assert decision.outcome == outcome
    assert decision.lacking == (("share",) if outcome == "review" else ())
    assert ("between" in decision.because) == (outcome == "review")


@pytest.mark.parametrize(
    ("when", "outcome"),
    [
        ("share > 0.5 && owed < 0.5", "review"),  # neither at both low ends nor at both high ones
        ("share > owed", "review"),
        ("share > owed && share < 1.0 && owed > 0.5", "review"),
        ("share > owed && share < owed", "allow"),
        ("share >= owed || share <= owed", "deny"),
    ],
)
def test_two_intervals_vary_apart(when, outcome):
    assert put(when, {}, share=(0.0, 1.0), owed=(0.0, 1.0)).outcome == outcome


@given(INTERVALS, SHARES)
def test_allow_needs_both_ends(ends, limit):
    decision = put(f"share > {limit!r}", {}, share=ends)
    both = [end > limit for end in ends]
    assert decision.outcome == ("deny" if all(both) else "review" if any(both) else "allow")


COMPARED = st.recursive(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["share", "owed"]),
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        st.one_of(SHARES.map(repr), st.sampled_from(["share", "owed"])),
    ),
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        inner.map("!({})".format),
    ),
    max_leaves=4,
)


@given(COMPARED, INTERVALS, INTERVALS, st.floats(0, 1), st.floats(0, 1))
@example("share > 0.2 && share < 0.8", (0.0, 1.0), (0.0, 0.0), 0.5, 0.0)
def test_what_an_interval_decides_holds_for_every_value_in_it(when, share, owed, a, b):
    decided = put(when, {}, share=share, owed=owed).outcome
    inside = [low + (high - low) * part for (low, high), part in ((share, a), (owed, b))]
    exact = put(when, {}, share=(inside[0],) * 2, owed=(inside[1],) * 2).outcome
    assert exact in {"allow", "deny"}
    assert decided in {exact, "review"}


# ---- what is not recorded never allows ----

FACTS = {"kind": "closed-api", "country": "CN", "depth": 2, "records": 7}
TESTS = {
    "kind": 'kind == "human"',
    "country": 'country == "US"',
    "depth": "depth > 3",
    "records": "records > 10",
}


@pytest.mark.parametrize(
    "when",
    ["depth > 1", "1 / depth > 1", 'use.purpose == "x"', 'artifact.owner == "x"',
     "channels[0] == name", 'sources[0].kind == "human"', "obligations.exists(o, o.code == name)"],
)  # fmt: skip
def test_a_fact_that_is_not_there_is_review(when):
    decision = apply_rule(
        rule_of(when, known=OF_SOURCE + OF_ARTIFACT),
        "x",
        {"name": "a", "use": {}, "artifact": {"name": "a"}, "channels": [], "sources": []},
        {},
        DAY,
    )
    assert decision.outcome == "review"
    assert decision.lacking
    assert "It cannot be put" in decision.because


@pytest.mark.parametrize(
    "when",
    ["use.commercial", "use.commercial == true", "!use.commercial", 'use.purpose == "product"',
     "use.operator.monthly_users > 1e6", 'use.competes_with.exists(c, c == "OpenAI")'],
)  # fmt: skip
def test_a_use_that_is_not_declared_is_review(when):
    assert put(when, {"use": Use().model_dump(mode="json")}).outcome == "review"
    assert put(f"has(use.commercial) && {when}", {"use": {"commercial": None}}).outcome == "allow"


ITEMS = [{"name": "Qwen3-8B", "license": "MIT"}, {"name": "Otter"}, {"code": "notice"}, {}]


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ('license == "MIT"', ["license of Heron (weights)"]),
        ('license.matches("(?i)nc")', ["license of Heron (weights)"]),
        ("use.commercial", ["use.commercial"]),
        ('use.operator.country == "US"', ["use.operator.country"]),
        ("verdicts.C.share_low > 0.5", ["verdicts.C of Heron (weights)"]),
        ('verdicts["EU-2.5"].share_low > 0.5', ["verdicts.EU-2.5 of Heron (weights)"]),
        ('sources.exists(s, s.license == "NC")',
         ["license of Otter among sources", "license of notice among sources",
          "license of an element among sources"]),
        ('channels[3] == "content"', ["channels[3] of Heron (weights)"]),
        ('name != "license" && depth > 1', ["depth of Heron (weights)"]),
        ("depth > 1 && records > 2 && use.purpose == license",
         ["depth of Heron (weights)", "records of Heron (weights)", "use.purpose",
          "license of Heron (weights)"]),
        ('has(use.commercial) ? true : license == "x"', ["license of Heron (weights)"]),
        ("sources.exists(s, s.parts.exists(p, p.name == name))",
         ["parts of Qwen3-8B among sources", "parts of Otter among sources",
          "parts of notice among sources", "parts of an element among sources"]),
    ],
)  # fmt: skip
def test_what_is_not_recorded_is_told_once_and_by_whose_it_is(when, told):
    facts = {"name": "Heron", "use": {"commercial": None, "operator": {}}, "verdicts": {},
             "sources": ITEMS, "channels": ["content"]}  # fmt: skip
    rule = rule_of(when, known=OF_SOURCE + OF_ARTIFACT)
    decision = apply_rule(rule, "Heron (weights)", facts, {}, DAY)
    assert decision.outcome == "review"
    assert list(decision.lacking) == told
    are = "is" if len(told) == 1 else "are"
    assert decision.because == f"It is so. It cannot be put: {', '.join(told)} {are} not recorded."
    assert decision.lacks == ""  # said once


ENGINES = ["No such", "Undeclared", "undeclared", "ValueError", "overload", "execution", "Runtime"]


@pytest.mark.parametrize(
    "when", ["license > 5", "1 / 0 == 1", "name.contains(7)", "name.nothing == 1", "[1][3] == 1",
             "use.commercial > 3", "sources.exists(s, s.name > 4)",
             "timestamp(name) == timestamp(name)"],
)  # fmt: skip
def test_no_word_of_the_engine_reaches_anybody(when):
    facts = {"name": "Heron", "use": {}, "sources": ITEMS}
    decision = (
        put(when, facts)
        if "sources" not in when
        else apply_rule(rule_of(when, known=OF_ARTIFACT), "x", facts, {}, DAY)
    )
    told = f"{decision.because} {decision.lacking}"
    assert decision.outcome == "review"
    assert not [word for word in ENGINES if word in told]
    assert when not in told
    if "not recorded" not in told:
        assert "look at here" in told  # where the rule stands


@pytest.mark.parametrize("when", ["1 / 0 == 1", "9223372036854775807 + 1 > 0", "[1][3] == 1"])
def test_an_expression_that_cannot_be_worked_out_is_review(when):
    assert put(when, {}).outcome == "review"


@given(st.data(), st.sampled_from([" && ", " || "]), st.sampled_from(OUTCOMES[1:]))
def test_an_unknown_fact_never_allows_what_knowing_it_might_not(data, joint, outcome):
    names = data.draw(st.lists(st.sampled_from(sorted(TESTS)), min_size=1, unique=True))
    turned = [data.draw(st.sampled_from(["{}", "!({})"])).format(TESTS[name]) for name in names]
    when = joint.join(turned)
    hidden = data.draw(st.sets(st.sampled_from(names)))
    as_none = data.draw(st.booleans())
    known = {name: fact for name, fact in FACTS.items() if name not in hidden}
    if as_none:
        known |= dict.fromkeys(hidden)
    found = put(when, known, outcome).outcome
    full = put(when, FACTS, outcome).outcome
    assert found in {full, "review"}
    if len(hidden) == len(names):
        assert found == "review"


# ---- one rule more ----


@given(
    st.lists(st.tuples(COMPARED, st.sampled_from(OUTCOMES[1:])), min_size=1, max_size=4), INTERVALS
)
def test_one_rule_more_is_never_milder(rules, share):
    outcomes = [put(when, {}, outcome, share=share).outcome for when, outcome in rules]
    heights = [OUTCOMES.index(strictest(outcomes[:n])) for n in range(len(outcomes) + 1)]
    assert heights == sorted(heights)
    assert heights[0] == 0


@given(COMPARED, INTERVALS, INTERVALS)
def test_a_rule_says_its_own_outcome_or_review_or_nothing(when, share, owed):
    for outcome in OUTCOMES[1:]:
        assert put(when, {}, outcome, share=share, owed=owed).outcome in {
            "allow",
            "review",
            outcome,
        }


# ---- files ----


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[rule]]\nid = "a"\nsays = "x"\nwhen = "kind =="\n', "rule a: not a CEL expression"),
        ('[[rule]]\nid = "a"\nsays = "x"\nwhen = ""\n', "rule a: not a CEL expression"),
        ('[[rule]]\nid = "a"\nsays = "x"\nwhen = "kin == 1"\n', "no name kin; there are name"),
        (
            '[[rule]]\nid = "a"\nsays = "x"\nfor = "artifact"\nwhen = "share > 0.1"\n',
            "no name share; there are artifact",
        ),
        ('[[rule]]\nid = "a"\nsays = "x"\nwhen = "true"\nfor = "row"\n', "rule.0.for"),
        ('[[rule]]\nid = "A b"\nsays = "x"\nwhen = "true"\n', "rule.0.id"),
        ('[[rule]]\nid = "a"\nsays = "x"\nwhen = "true"\noutcome = "allow"\n', "rule.0.outcome"),
        ('[[rule]]\nid = "a"\nsays = "x"\nwhen = "true"\nwhne = "true"\n', "rule.0.whne"),
        (2 * '[[rule]]\nid = "a"\nsays = "x"\nwhen = "true"\n', "rule a: there more than once"),
        ("rule = ", "not valid TOML"),
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


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.toml: cannot be read"):
        load_rules([tmp_path / "nowhere.toml"])
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"bytes\.toml: cannot be read"):
        load_rules([tmp_path / "bytes.toml"])


@pytest.mark.parametrize(
    ("when", "facts"), [("kind", {"kind": "human"}), ("1 + 1", {}), ("[]", {})]
)
def test_a_rule_that_is_neither_true_nor_false_is_told_with_its_name(tmp_path, when, facts):
    path = tmp_path / "rules.toml"
    path.write_text(f'[[rule]]\nid = "a"\nsays = "x"\nwhen = "{when}"\n')
    [rule] = load_rules([path])
    with pytest.raises(InputError, match="not true or false") as error:
        apply_rule(rule, "x", facts, {}, DAY)
    assert f"{path}: rule a" in str(error.value)
    assert not isinstance(error.value, LackingError)


def test_an_unknown_function_is_review():
    with pytest.raises(LackingError):
        Expression("name.startswith(kind)", "x", OF_SOURCE).holds({"name": "a", "kind": "b"})


def test_a_bound_variable_is_no_unknown_name():
    when = 'channels.exists(c, c == "judgement") && !channels.all(d, d == "content")'
    assert put(when, {"channels": ["judgement"]}).outcome == "deny"


RULE = 'id = "ID"\nsays = "x"\nwhen = "true"\n\n'


@pytest.mark.parametrize(
    ("head", "lines"),
    [
        ("[[rule]]", [3, 8]),
        ("  [[rule]]   # why", [3, 8]),
        ("[[ rule ]]", [3, 8]),
        ('[["rule"]]', [3, 8]),
        ('# [[rule]]\nwhy = """\n[[rule]]\n"""\n[[rule]]', None),
    ],
)
def test_lines_are_those_of_the_file(tmp_path, head, lines):
    path = tmp_path / "rules.toml"
    path.write_text("# a head\n\n" + "".join(f"{head}\n{RULE.replace('ID', i)}" for i in "ab"))
    if lines is None:  # an unknown key, which is what the text within quotes hangs on
        with pytest.raises(InputError, match="why"):
            load_rules([path])
        return
    rules = load_rules([path])
    assert [(rule.id, rule.line) for rule in rules] == list(zip("ab", lines, strict=True))


def test_lines_within_a_text_or_at_odd_breaks_do_not_count(tmp_path):
    path = tmp_path / "rules.toml"
    text = (
        '# odd\u2028breaks\x85here\r\n[[rule]]\r\nid = "a"\r\nsays = """\r\n[[rule]]\r\n"""\r\n'
        'when = "true"\r\n[[rule]]\r\nid = "b"\r\nsays = "x"\r\nwhen = "true"\r\n'
    )
    path.write_bytes(text.encode())
    assert [(rule.id, rule.line) for rule in load_rules([path])] == [("a", 2), ("b", 8)]


def test_rules_within_a_list_are_at_the_first_line(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text('\nrule = [{ id = "a", says = "x", when = "true" }]\n')
    assert [rule.line for rule in load_rules([path])] == [1]


def test_files_go_one_after_another(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.toml").write_text("[[rule]]\n" + RULE.replace("ID", "same"))
    rules = load_rules([tmp_path / "b.toml", tmp_path / "a.toml"])
    assert [rule.file[-6:] for rule in rules] == ["b.toml", "a.toml"]


def test_a_decision_says_where_its_rule_stands_and_what_it_used(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nid = "a"\nsays = "No."\nwhen = \'kind == "human" && share > 0.1\'\n')
    [rule] = load_rules([path])
    decision = apply_rule(rule, "me", {"kind": "human", "name": "x"}, {"share": (0.2, 0.4)}, DAY)
    assert decision.pointer == {"path": str(path), "line": "1"}
    assert decision.used == {"kind": "human", "share": [0.2, 0.4]}
    assert decision.because == "No. Found: kind human, share 0.2 to 0.4"
    assert (decision.engine, decision.rule, decision.about) == ("house rule", "a", "me")


def test_a_number_that_is_nan_is_one_that_nobody_recorded():
    for value in (float("nan"), None):
        assert put("use.users > 5.0", {"use": {"users": value}}).outcome == "review"
