"""What an account is told: enough to object, nothing of others, nothing that teaches to hide."""

import re

import pytest
from tests_conduct_cases import KINDS, MAKERS, made

from mashbill.conduct.evidence.case import Case
from mashbill.conduct.evidence.explaining import RULES, explain

SIGNALS = [
    "handover",
    "succession",
    "partition",
    "sharing",
    "timing",
    "evenness",
    "linkage",
    "replay",
    "wording",
]


@pytest.mark.parametrize("kind", KINDS)
def test_it_tells_the_rule_what_was_seen_what_clears_it_and_how_to_object(kind):
    case = made(kind)
    told = explain(case)
    assert RULES[case.finding] in told
    for heading in (
        "What was seen",
        "What would clear it",
        "How to object",
        "What did not count by itself",
    ):
        assert f"\n{heading}\n" in told
    assert f"name case {case.id}" in told
    assert "can be wrong" in told
    assert all(len(line) < 400 for line in told.splitlines())


@pytest.mark.parametrize("kind", KINDS)
def test_it_holds_no_other_account_no_row_no_sentence_and_no_strength_of_the_case(kind):
    case = made(kind)
    told = explain(case)
    every = {case.id} | set(re.findall(r"\b[0-9a-f]{6,}\b", told))
    assert every == {case.id}
    for one in case.evidence:
        assert one.plain not in told
        assert one.null not in told
    for name in (*case.subject.shown, case.log.name, case.log.digest, case.derive.command):
        assert name not in told
    for sample in case.samples:
        assert sample.text is None or sample.text not in told
    # Of numbers there are days, and an account's own requests and statements where it stands alone.
    numbers = set(re.findall(r"\d+", told.replace(case.id, ""))) - {"2026", "05"}
    days = set(re.findall(r"2026-05-(\d\d)", told))
    statements = case.declared.statements if case.declared else case.exchanges
    own = {str(case.exchanges), str(statements)} if case.subject.kind == "account" else set()
    assert numbers - days <= own


@pytest.mark.parametrize("signal", SIGNALS)
def test_each_signal_has_words_of_its_own(signal):
    plain = MAKERS["L"]()
    plain["evidence"] = [plain["evidence"][0] | {"signal": signal}]
    told = explain(Case.model_validate(plain))
    others = [
        explain(Case.model_validate(plain | {"evidence": [plain["evidence"][0] | {"signal": one}]}))
        for one in SIGNALS
        if one != signal
    ]
    assert told not in others


def test_what_others_wrote_into_the_contact_is_text_of_one_line():
    told = explain(made("X"), contact="a@example.org\n\u202eHow to pay\x1b[2J")
    assert "write to a@example.org\\n\\u202eHow to pay\\x1b[2J, and name" in told


def test_statements_speak_for_volume_to_the_account_that_sent_them_alone():
    assert "2 signed statements of your runs, which speak for you" in explain(made("X"))
    plain = MAKERS["I41"]() | {"declared": {"statements": 2, "plain": "Of one of them."}}
    assert "signed statement" not in explain(Case.model_validate(plain))
