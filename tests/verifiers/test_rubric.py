"""``rubric``: weights, gates and abstentions, and what a run is told of its parts."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests_support import rows_of, run_stages

from mashbill.core.errors import RecipeError
from mashbill.core.verifier import Case, Score, VerifierSession, VerifierSpec
from mashbill.lineage.evidence.audit import Auditor
from mashbill.run.rederiving import Rederiver
from mashbill.verifiers.rubric import Part, Rubric, RubricSpec

MATHS = {"kind": "maths", "weight": 3.0}
SHORT = {"kind": "form", "max_words": 4}


def scored(parts, output, reference=None, **row):
    spec = RubricSpec(parts=parts)
    session = VerifierSession("v", spec, lambda: spec.load(None, None, 1))
    (score,) = session.score([Case(output, reference, row)])
    return score


def test_parts_count_by_their_weight():
    parts = {"right": MATHS, "short": SHORT}
    both = scored(parts, r"\boxed{7}", "7")
    assert (both.value, both.components) == (1.0, {"right": 1.0, "short": 1.0})
    long = scored(parts, r"I think that it must be \boxed{7}", "7")
    assert (long.value, long.components) == (0.75, {"right": 1.0, "short": 0.0})
    assert long.reason == "right 1.00, short 0.00"
    assert scored(parts, "8", "7").value == 0.25


def test_a_gate_that_is_missed_makes_the_whole_0():
    parts = {"right": MATHS, "short": {**SHORT, "gate": 1.0}}
    missed = scored(parts, r"I think that it must be \boxed{7}", "7")
    assert missed.value == 0
    assert missed.reason == "short is below its gate (right 1.00, short 0.00)"
    assert missed.components == {"right": 1.0, "short": 0.0}


def test_who_may_not_abstain_decides_that_nothing_is_decided():
    parts = {"right": MATHS, "short": SHORT}
    assert scored(parts, "7").outcome == "undecided"
    assert scored(parts, "7").reason == "right: there is no reference to compare with"
    may = {"right": {**MATHS, "abstains": True}, "short": SHORT}
    left = scored(may, "7")
    assert (left.value, left.components) == (1.0, {"short": 1.0})
    alone = {"right": {**MATHS, "abstains": True}}
    assert scored(alone, "7").outcome == "undecided"


class Says:
    def __init__(self, score):
        self._score = score

    def score(self, cases):
        return [self._score] * len(cases)


OUTCOME = st.one_of(
    st.floats(0, 1).map(lambda value: Score(value, "said")),
    st.just(Score.undecided("cannot tell")),
    st.just(Score.failed("away")),
)


WEIGHT = st.just(0.0) | st.floats(1e-6, 9)
DRAWN = st.tuples(OUTCOME, WEIGHT, st.none() | st.floats(0.01, 1), st.booleans())


@given(st.lists(DRAWN, min_size=1, max_size=4))
def test_a_rubric_is_between_its_parts_and_an_outage_is_never_0(drawn):
    parts = {
        f"p{at}": Part(weight=weight, gate=gate, abstains=abstains, **SHORT)
        for at, (_, weight, gate, abstains) in enumerate(drawn)
    }
    sessions = {f"p{at}": Says(score) for at, (score, *_) in enumerate(drawn)}
    (whole,) = Rubric(parts, sessions).score([Case("x")])
    must = [score for score, _, _, abstains in drawn if not abstains and score.value is None]
    told = [(score.value, weight) for score, weight, _, _ in drawn if score.value is not None]
    if any(score.outcome == "failed" for score in must):
        assert whole.outcome == "failed"
    elif must or not sum(weight for _, weight in told):
        assert whole.outcome == "undecided"
    else:
        values = [value for value, weight in told if weight]
        missed = any(
            gate and score.value is not None and score.value < gate for score, _, gate, _ in drawn
        )
        assert (
            whole.value == 0 if missed else min(values) - 1e-9 <= whole.value <= max(values) + 1e-9
        )
        assert len(whole.components) == len(told)


REFUSED = [
    ({}, "at least 1"), ({"a": {"weight": 1}}, "kind"), ({"a": {"kind": "mathz"}}, "mathz"),
    ({"a": {"kind": "exact", "weight": 0}}, "no part has a weight"),
    ({"a": {"kind": "exact", "weight": -1}}, "greater than or equal"),
    ({"a": {"kind": "exact", "gate": 0}}, "greater than 0"), ({"a b": {"kind": "exact"}}, "column"),
    ({"a": {"kind": "rubric", "parts": {}}}, "no rubrics"), ({"a": {"kind": "exact", "x": 1}}, "x"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_makes_no_rubric_is_refused(parts, told):
    with pytest.raises(ValidationError, match=told):
        RubricSpec(parts=parts)


def test_a_run_is_told_of_its_parts_and_its_literals_make_it_again():
    spec = RubricSpec(parts={"right": MATHS, "there": {"kind": "grounding", "within": "page"}})
    assert spec.rules.components == ("right", "there")
    assert spec.rules.needs_reference
    assert spec.rules.repeats
    assert spec.reads() == ("page",)
    assert spec.source.version == spec.rules.release == "1 right:1 there:1"
    assert RubricSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: S301 - our own
    more = RubricSpec(parts={"m": {"kind": "maths", "fallback": "math-verify"}})
    assert more.extras == ("maths",)


RECIPE = """
[stages.rows]
kind = "corpus"
title = "rows"
source = "rows.jsonl"

[verifiers.reward]
kind = "rubric"

[verifiers.reward.parts.right]
kind = "maths"
weight = 3

[verifiers.reward.parts.short]
kind = "form"
max_words = 6
abstains = true
gate = 0.5

[stages.kept]
kind = "verify"
input = "rows"
by = "reward"
reference = "known"
threshold = 0.9
shard_rows = 2
"""
ROWS = [
    {"text": r"\boxed{1/2}", "known": "0.5"},
    {"text": "it is one half or so I say, 1/2 \n#### 1/2", "known": "0.5"},
    {"text": "3", "known": "4"},
    {"text": "4", "known": "4"},
    {"text": "1 2 3 4", "known": "4"},
]


def test_a_recipe_rewards_by_a_rubric_and_an_audit_scores_again(tmp_path):
    store = run_stages(tmp_path, RECIPE, {"rows.jsonl": ROWS}, teachers="")
    kept = rows_of(store, "kept")
    assert [(row["score"], row["score_right"], row["score_short"]) for row in kept] == [
        (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)
    ]  # fmt: skip
    gone = {row["text"]: row["_reason"] for row in rows_of(store, "kept", "rejected")}
    assert "gate" in gone[ROWS[1]["text"]]
    assert gone["1 2 3 4"].startswith("undecided: right: ")
    assert store.find("kept").measures["scores"] == {
        "scored": 4,
        "passed": 2,
        "undecided": 1,
        "failed": 0,
    }
    result = Auditor(store.root, rederive=Rederiver(store)).run()
    assert result.holds
    assert not [text for text in map(str, result.not_derived) if "kept@1" in text]


def test_an_audit_scores_again_in_whatever_order_a_recipe_has_its_parts(tmp_path):
    own = "[verifiers.reward.parts.{}]\n"
    turned = RECIPE.replace(own.format("short"), own.format("a_short"))
    assert turned != RECIPE
    store = run_stages(tmp_path, turned, {"rows.jsonl": ROWS}, teachers="")
    assert rows_of(store, "kept")[0]["reason"].startswith("a_short 1.00, right 1.00")
    assert Auditor(store.root, rederive=Rederiver(store)).run().findings == []


@given(st.dictionaries(st.sampled_from("abcd"), DRAWN, min_size=1), st.randoms())
def test_no_order_of_parts_changes_a_score(drawn, chance):
    def score(names):
        parts = {name: Part(by=Runs(), weight=drawn[name][1], gate=drawn[name][2],
                            abstains=drawn[name][3]) for name in names}  # fmt: skip
        sessions = {
            name: VerifierSession(name, Runs(), lambda one=drawn[name][0]: Says(one))
            for name in names
        }
        return Rubric(parts, sessions).score([Case("x")])[0]

    turned = list(drawn)
    chance.shuffle(turned)
    assert score(turned) == score(sorted(drawn))


def test_a_part_that_pays_for_junk_is_refused_by_name(tmp_path):
    bad = RECIPE.replace('kind = "maths"', 'kind = "numeric"\nabsolute = 1e9')
    with pytest.raises(RecipeError, match=r"verifiers\.reward\.right: kind 'numeric' pays 1\.00"):
        run_stages(tmp_path, bad, {"rows.jsonl": ROWS}, teachers="")


@pytest.mark.parametrize(
    ("one", "two", "under"),
    [
        ("", "", ""),
        ("bwrap", "", "bwrap"),
        ("a", "b", "a; b"),
        ("b", "b", "b"),
        ("x" * 200, "y", "x" * 200),
    ],
)
def test_a_rubric_says_under_which_isolations_its_parts_ran_an_output(one, two, under):
    parts = {"first": Part(by=Runs()), "second": Part(by=Runs())}
    says = {"first": Score(1.0, isolation=one), "second": Score.failed("too slow", two)}
    sessions = {
        name: VerifierSession(name, Runs(), lambda score=score: Says(score))
        for name, score in says.items()
    }
    (score,) = Rubric(parts, sessions).score([Case("x")])
    assert score.outcome == "failed"
    assert score.isolation == under


class Runs(VerifierSpec):
    kind: str = "runs"
    isolates = True
