"""Terms as of a day: case by case, each line of cases.csv with its fact, and laws of them all."""

import csv
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tables import table

from mashbill import Channel, Source, load_recipe
from mashbill.core.use import Operator, Use
from mashbill.plan import build, with_teacher
from mashbill.policy.case import Question, Student
from mashbill.policy.decision import OUTCOMES, strictest
from mashbill.policy.documents import load_registry
from mashbill.policy.restrictions import decide_use, reached_by
from mashbill.teachers.api import parse_teacher

RECIPE = load_recipe(Path(__file__).parents[2] / "recipes" / "grey_area.toml")
REGISTRY = load_registry()
with Path(__file__).with_name("cases.csv").open(newline="") as stream:
    CASES = list(csv.DictReader(stream))

JUDGED = frozenset({Channel.JUDGEMENT})
STUDENTS = {
    "language-model": Student("student", "language-model", 1, frozenset()),
    "far-language-model": Student("student", "language-model", 2, JUDGED),
    "classifier": Student("student", "classifier", 1, JUDGED),
    "embedding": Student("student", "embedding", 1, JUDGED),
    "other": Student("student", "other", 1, frozenset()),
    "named-llama-3": Student("llama-3-scratch@1", "language-model", 1, frozenset()),
    "named-hy": Student("hy-brid@1", "language-model", 1, frozenset()),
    "weights": Student("student", "language-model", 1, frozenset({Channel.WEIGHTS})),
}
CONTROLS = {"shuffled", "first-only", "heldout-shuffled", "heldout-first-only", "evaluation"}


def source_of(teacher):
    """Read --teacher's form, or one of our own for what it does not name."""
    form, *parts = teacher.split(":")
    called = []
    match form:
        case "consumer":
            provider, name = parts
            kind, route, what, licence = "closed-api", "consumer", "model", ""
        case "imported":
            provider, name, licence, *called = parts
            kind, route, what = "closed-api", "dataset:somebody/outputs", "model"
        case "data":
            provider, name, licence = parts
            kind, route, what = "public-dataset", "file", "dataset"
        case "weights":
            name, licence = parts
            provider, kind, route, what = name.split("/")[0], "open-weights", "weights", "model"
        case "double":
            return Source(name="double", what="model", kind="test-double", route="in-process")
        case "own":
            return Source(name="ours", what="dataset", kind="own-dataset", route="file")
        case "unknown":
            return Source(name="it", what="unknown", kind="unknown", route="unknown")
        case _:
            return parse_teacher(teacher).source
    return Source(
        name=name, what=what, kind=kind, route=route, provider=provider, license=licence or None,
        called_by="".join(called),
    )  # fmt: skip


def use_of(case):
    competes, flag = case["competes_with"], {"yes": True, "no": False, "": None}
    return Use(
        distribution=case["distribution"] or None,
        competes_with=([] if competes == "none" else competes.split(";")) if competes else None,
        commercial=flag[case["commercial"]],
        authorised_by={case["authorised"]: "a letter"} if case["authorised"] else {},
        operator=Operator(**dict(fact.split("=") for fact in case["operator"].split(";") if fact)),
    )


class Fixed:
    """A teacher that is nothing but its source."""

    is_remote = False
    made_by = ""
    context = frozenset()

    def __init__(self, source):
        self.source, self.pace, self.price = source, None, None

    def model_dump(self, **_):
        return {"source": self.source.model_dump(mode="json")}


def grey_area(source, use, *, controls=True, result="scratch"):
    """Plan recipes/grey_area.toml with this teacher, or its chain without the controls."""
    recipe = with_teacher(RECIPE, Fixed(source))
    stages = {n: s for n, s in recipe.stages.items() if controls or n not in CONTROLS}
    head = recipe.recipe.model_copy(update={"result": result})
    return build(recipe.model_copy(update={"use": use, "stages": stages, "recipe": head}))


def decisions_of(case):
    source, use, day = source_of(case["teacher"]), use_of(case), date.fromisoformat(case["as_of"])
    if case["student"] in STUDENTS:
        return decide_use(REGISTRY, Question(source, (STUDENTS[case["student"]],), use, day))
    plan = grey_area(source, use, controls=case["student"] == "grey-area")
    about = f"{source.title} ({source.route})"
    decided = plan.decide(REGISTRY, day).decisions
    return [d for d in decided if d.engine == "use restriction" and d.about == about]


def test_there_are_enough_cases_no_two_alike_and_each_has_its_fact():
    asked = ("teacher", "as_of", "student", "distribution", "competes_with", "commercial",
             "authorised", "operator")  # fmt: skip
    assert len(CASES) >= 200
    assert len({tuple(case[column] for column in asked) for case in CASES}) == len(CASES)
    assert all(case["source"] and case["why"] for case in CASES)
    assert sum(case["student"].startswith("grey-area") for case in CASES) >= 50


@table("case", CASES, ids=[f"{c['teacher']} {c['as_of']} {c['student']} {c['why']}" for c in CASES])
def test_a_case_comes_to_what_the_fact_says(case):
    decisions = decisions_of(case)
    outcome = strictest(d.outcome for d in decisions)
    told = [(d.outcome, d.document, d.effective_from, d.rule) for d in decisions]
    wanted = (case["outcome"], case["document"], case["effective_from"], case["rule"])
    assert outcome == case["outcome"], told
    assert wanted in told
    for decision in decisions:
        if "(second-hand)" in case["source"] and decision.document == case["document"]:
            assert decision.second_hand


LLAMA_31 = "hf:meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.parametrize(
    ("teacher", "result", "distribution", "name", "outcomes"),
    [
        (LLAMA_31, "classifier", "private", None, ["allow"]),
        (LLAMA_31, "classifier", None, None, ["review"]),
        (LLAMA_31, "classifier", "public", None, ["review"]),
        (LLAMA_31, "classifier", "public", "Mood-1", ["deny"]),
        (LLAMA_31, "classifier", "public", "Llama-Mood-1", ["allow"]),
        (LLAMA_31, "scratch", "public", "Mood-1", ["review"]),
        ("hf:meta-llama/Meta-Llama-3-70B-Instruct", "classifier", "public", "Mood-1", []),
        ("hf:meta-llama/Llama-2-7b-chat-hf", "classifier", "public", "Mood-1", []),
    ],
)
def test_outputs_bring_the_name_from_llama_3_1_on_and_not_before(
    teacher, result, distribution, name, outcomes
):
    use = Use(distribution=distribution, published_name=name, operator=Operator(monthly_users=10))
    plan = grey_area(parse_teacher(teacher).source, use, result=result)
    decided = plan.decide(REGISTRY, date(2026, 11, 20)).decisions
    assert [d.outcome for d in decided if d.rule == "derivative-naming"] == outcomes


# ---- laws: what no facts, texts or days may do ----

SOURCES = {case["teacher"]: source_of(case["teacher"]) for case in CASES}
PROVIDERS = sorted({d.provider for d in REGISTRY.documents})
TERMS = {"terms", "usage-policy"}
LAWS = law(300)

DAYS = st.dates(date(2022, 1, 1), date(2027, 12, 31))
TEACHERS = st.sampled_from(sorted(SOURCES))
KINDS = st.lists(st.sampled_from(sorted(STUDENTS)), max_size=3, unique=True)
SOME = st.lists(st.sampled_from(PROVIDERS), max_size=4, unique=True)
AMOUNTS = st.none() | st.sampled_from([0.0, 1e4, 3e7, 9e8, 1e12])
USES = st.builds(
    Use,
    purpose=st.sampled_from([None, "product", "research", "evaluation"]),
    commercial=st.none() | st.booleans(),
    distribution=st.sampled_from([None, "private", "service", "public"]),
    competes_with=st.none() | SOME,
    authorised_by=SOME.map(lambda names: dict.fromkeys(names, "a letter")),
    operator=st.builds(
        Operator,
        country=st.sampled_from([None, "US", "DE", "KR"]),
        monthly_users=AMOUNTS,
        monthly_revenue_usd=AMOUNTS,
        annual_revenue_usd=AMOUNTS,
        maas_annual_revenue_usd=AMOUNTS,
    ),
)
ASKED = (TEACHERS, KINDS, USES, DAYS)


def decide(teacher, kinds, use, day):
    students = tuple(STUDENTS[kind] for kind in kinds)
    return decide_use(REGISTRY, Question(SOURCES[teacher], students, use, day))


def outcome(*asked):
    return strictest(d.outcome for d in decide(*asked))


def rank(*asked):
    return OUTCOMES.index(outcome(*asked))


def makers(teacher):
    """Whoever's terms a teacher is under: in a router's case the router's and the maker's."""
    return [provider for provider, _ in reached_by(SOURCES[teacher])]


@LAWS
@given(*ASKED)
def test_with_no_fact_declared_nothing_is_allowed_that_some_use_is_denied(teacher, kinds, use, day):
    if outcome(teacher, kinds, use, day) == "deny":
        assert outcome(teacher, kinds, Use(), day) != "allow"


@LAWS
@given(*ASKED, st.sampled_from(sorted(Use.model_fields)))
def test_leaving_one_fact_out_never_turns_a_denial_into_leave(teacher, kinds, use, day, fact):
    left = use.model_copy(
        update={fact: Use.model_fields[fact].get_default(call_default_factory=True)}
    )
    if outcome(teacher, kinds, use, day) == "deny":
        assert outcome(teacher, kinds, left, day) != "allow"


@LAWS
@given(*ASKED)
def test_a_further_authorisation_never_makes_it_stricter(teacher, kinds, use, day):
    leave = {**use.authorised_by, **dict.fromkeys(makers(teacher), "a letter")}
    given_leave = use.model_copy(update={"authorised_by": leave})
    assert rank(teacher, kinds, given_leave, day) <= rank(teacher, kinds, use, day)


@LAWS
@given(*ASKED)
def test_competing_is_never_milder_than_not_competing(teacher, kinds, use, day):
    rival = use.model_copy(update={"competes_with": tuple(makers(teacher))})
    none = use.model_copy(update={"competes_with": ()})
    assert rank(teacher, kinds, rival, day) >= rank(teacher, kinds, none, day)


@LAWS
@given(*ASKED)
def test_not_telling_whether_it_competes_lies_between_the_answers(teacher, kinds, use, day):
    answers = [tuple(makers(teacher)), None, ()]
    rival, silent, none = (
        rank(teacher, kinds, use.model_copy(update={"competes_with": answer}), day)
        for answer in answers
    )
    assert none <= silent <= rival


@LAWS
@given(*ASKED)
def test_giving_it_out_is_never_milder_than_keeping_it(teacher, kinds, use, day):
    private, service, public = (
        rank(teacher, kinds, use.model_copy(update={"distribution": way}), day)
        for way in ("private", "service", "public")
    )
    assert private <= service <= public


@LAWS
@given(*ASKED)
def test_every_review_names_what_is_lacking(teacher, kinds, use, day):
    for decision in decide(teacher, kinds, use, day):
        assert decision.outcome != "review" or decision.lacking, decision


@LAWS
@given(*ASKED)
def test_another_student_never_makes_it_milder(teacher, kinds, use, day):
    if len(kinds) > 1:
        assert rank(teacher, kinds, use, day) >= rank(teacher, kinds[1:], use, day)


@LAWS
@given(TEACHERS, KINDS, USES, st.integers(1, 4000))
def test_before_every_recorded_text_terms_are_never_leave(teacher, kinds, use, earlier):
    source = SOURCES[teacher]
    ways = [] if source.route.startswith("dataset:") else reached_by(source)
    documents = [
        document
        for provider, route in ways
        for document in REGISTRY.governing(provider, source.name, route)
        if document.kind in TERMS
    ]
    if source.what == "model" and documents:
        first = min(v.begins for document in documents for v in document.versions if v.begins)
        day = first - timedelta(days=earlier)
        assert outcome(teacher, kinds, use, day) != "allow"


@LAWS
@given(*ASKED)
def test_no_decision_cites_a_text_that_began_later_or_had_ended(teacher, kinds, use, day):
    for decision in decide(teacher, kinds, use, day):
        document = REGISTRY.document(decision.document)
        if document is not None and decision.effective_from:
            version = document.on(day)
            assert version is not None
            assert decision.effective_from == version.begins.isoformat() <= day.isoformat()
