"""Terms as of a date, case by case: tests/policy/cases.csv, each case with the fact it rests on."""

import csv
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mashbill import Channel, Source, load_recipe
from mashbill.core.use import Operator, Use
from mashbill.plan import build, with_teacher
from mashbill.policy.deciding import Student
from mashbill.policy.decision import OUTCOMES, strictest
from mashbill.policy.documents import load_registry
from mashbill.policy.restrictions import Question, decide_use
from mashbill.teachers.api import parse_teacher

RECIPE = load_recipe(Path(__file__).parents[2] / "recipes" / "grey_area.toml")
REGISTRY = load_registry()
with Path(__file__).with_name("cases.csv").open(newline="") as stream:
    CASES = list(csv.DictReader(stream))

STUDENTS = {
    "lm": Student("student", "language-model", 1, frozenset()),
    "lm-far": Student("student", "language-model", 2, frozenset({Channel.JUDGEMENT})),
    "classifier": Student("student", "classifier", 1, frozenset({Channel.JUDGEMENT})),
}


def use_of(case):
    competes = case["competes_with"]
    listed = [] if competes == "none" else competes.split(";")
    flag = {"yes": True, "no": False, "": None}
    return Use(
        distribution=case["distribution"] or None,
        competes_with=listed if competes else None,
        commercial=flag[case["commercial"]],
        authorised_by={case["authorised"]: "a letter"} if case["authorised"] else {},
        operator=Operator(
            monthly_users=float(case["monthly_users"]) if case["monthly_users"] else None,
            country=case["country"] or None,
        ),
    )


def source_of(teacher):
    if not teacher.startswith("consumer:"):
        return parse_teacher(teacher).source
    _, provider, name = teacher.split(":")
    return Source(name=name, what="model", kind="closed-api", route="consumer", provider=provider)


def decisions_of(case):
    day = date.fromisoformat(case["as_of"])
    if case["how"] != "plan":
        students = (STUDENTS[case["how"]],)
        return decide_use(
            REGISTRY, Question(source_of(case["teacher"]), students, use_of(case), day)
        )
    recipe = with_teacher(RECIPE, parse_teacher(case["teacher"]))
    recipe = recipe.model_copy(update={"use": use_of(case)})
    title = source_of(case["teacher"]).title
    made = build(recipe).decide(REGISTRY, day)
    return [
        d for d in made.decisions if d.engine == "use restriction" and d.about.startswith(title)
    ]


def test_there_are_enough_cases_and_each_has_its_source():
    assert len(CASES) >= 60
    assert all(case["source"] for case in CASES)
    assert sum(case["how"] == "plan" for case in CASES) >= 20


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{c['teacher']} {c['as_of']} {c['how']} {n}" for n, c in enumerate(CASES)]
)
def test_a_case_comes_to_what_the_fact_says(case):
    decisions = decisions_of(case)
    assert strictest(d.outcome for d in decisions) == case["outcome"]
    told = {(d.outcome, d.document, d.effective_from, d.rule) for d in decisions}
    assert (case["outcome"], case["document"], case["effective_from"], case["rule"]) in told
    for decision in decisions:
        if decision.outcome == "review":
            assert decision.lacking
        if decision.document and not decision.rule.startswith("no-text"):
            assert decision.pointer or decision.document == decision.title
        if "(second-hand)" in case["source"] and decision.document == case["document"]:
            assert decision.second_hand or decision.rule.startswith("no-text")


DAYS = st.dates(date(2022, 1, 1), date(2027, 6, 1))
TEACHERS = st.sampled_from(sorted({case["teacher"] for case in CASES}))
HOWS = st.sampled_from(sorted(STUDENTS))
PROVIDERS = sorted({d.provider for d in REGISTRY.documents})


@st.composite
def uses(draw):
    maybe = st.sampled_from
    return Use(
        distribution=draw(maybe([None, "private", "service", "public"])),
        commercial=draw(maybe([None, True, False])),
        purpose=draw(maybe([None, "evaluation", "product"])),
        competes_with=draw(maybe([None, (), tuple(PROVIDERS)])),
        operator=Operator(
            monthly_users=draw(maybe([None, 10, 1e10])), country=draw(maybe([None, "DE", "US"])),
            monthly_revenue_usd=draw(maybe([None, 10, 1e12])),
            annual_revenue_usd=draw(maybe([None, 10, 1e12])),
            maas_annual_revenue_usd=draw(maybe([None, 10, 1e12])),
        ),
    )  # fmt: skip


def outcome(teacher, how, use, day):
    question = Question(source_of(teacher), (STUDENTS[how],), use, day)
    return OUTCOMES.index(strictest(d.outcome for d in decide_use(REGISTRY, question)))


LAWS = settings(deadline=None, max_examples=150)


@LAWS
@given(TEACHERS, HOWS, uses(), DAYS)
def test_silence_is_never_milder_than_any_answer_that_denies(teacher, how, use, day):
    silent = outcome(teacher, how, Use(), day)
    if outcome(teacher, how, use, day) == OUTCOMES.index("deny"):
        assert silent >= OUTCOMES.index("review")


@LAWS
@given(TEACHERS, HOWS, uses(), DAYS)
def test_an_authorisation_never_makes_it_stricter(teacher, how, use, day):
    leave = use.changed({"authorised_by": dict.fromkeys(PROVIDERS, "a letter")})
    assert outcome(teacher, how, leave, day) <= outcome(teacher, how, use, day)


@LAWS
@given(TEACHERS, HOWS, uses(), DAYS)
def test_competing_is_never_milder_than_not_competing(teacher, how, use, day):
    rival = use.changed({"competes_with": PROVIDERS})
    other = use.changed({"competes_with": []})
    assert outcome(teacher, how, rival, day) >= outcome(teacher, how, other, day)


@LAWS
@given(TEACHERS, HOWS, uses(), DAYS)
def test_a_review_says_what_is_lacking_and_every_decision_has_its_day(teacher, how, use, day):
    question = Question(source_of(teacher), (STUDENTS[how],), use, day)
    for decision in decide_use(REGISTRY, question):
        assert decision.outcome != "review" or decision.lacking or decision.used
        assert decision.as_of == day


@LAWS
@given(TEACHERS, HOWS, uses())
def test_a_day_before_every_text_is_never_leave(teacher, how, use):
    day = date(2020, 1, 1)
    question = Question(source_of(teacher), (STUDENTS[how],), use, day)
    for decision in decide_use(REGISTRY, question):
        dated = REGISTRY.document(decision.document)
        if dated is not None and dated.kind != "licence":
            assert decision.outcome == "review"
