"""Laws of texts over time, of the shipped registry and of registries made at random."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests_laws import law
from tests_tables import table

from mashbill import Source
from mashbill.core.use import Use
from mashbill.policy.case import Question, Student
from mashbill.policy.documents import Document, load_registry
from mashbill.policy.restrictions import decide_use

REGISTRY = load_registry()
LAWS = law(300)
DAYS = st.dates(date(2020, 1, 1), date(2027, 12, 31))
DOCUMENTS = st.sampled_from(REGISTRY.documents)
DATED = st.sampled_from([d for d in REGISTRY.documents if d.versions[0].begins])
ONE = timedelta(days=1)
STUDENT = Student("student", "language-model", 1, frozenset())


def holding(document, day):
    """Return the versions that hold on a day, by their first and last days alone."""
    return [
        version
        for version in document.versions
        for first, end in [(document.starts(version), document.ends(version))]
        if first and first <= day and (end is None or day < end)
    ]


@LAWS
@given(DATED, DAYS)
def test_one_version_holds_from_the_first_day_to_the_last_and_none_outside(document, day):
    found, on = holding(document, day), document.on(day)
    assert found == ([on] if on else [])
    last = document.versions[-1]
    first, end = document.starts(document.versions[0]), document.ends(last)
    if first <= day and (end is None or day < end):
        assert on is not None, f"{document.id} has a gap on {day}"


@table("document", REGISTRY.documents, ids=lambda d: d.id)
def test_each_text_begins_on_its_day_and_the_one_before_ends_there(document):
    for version in document.versions:
        first = document.starts(version)
        if first is None:
            assert (len(document.versions), document.kind) == (1, "licence")
            continue
        end = document.ends(version)
        if end is not None and end <= first:
            continue  # ended before its models came under the document
        before = document.on(first - ONE)
        assert document.on(first) == version != before
        place = document.versions.index(version)
        assert before is None or before == document.versions[place - 1]


def source_under(document):
    """Return some model that a document governs."""
    route, who = document.routes[0], document.provider
    name = document.models[0].replace("[- ]", "-").replace("[0-9]", "1").replace("*", "x")
    if route == "weights":
        return Source(name=name, what="model", kind="open-weights", route=route, provider=who)
    way = route if route == "consumer" else f"{route}:{who}"
    return Source(name=name, what="model", kind="closed-api", route=way, provider=who)


SERVED = [d for d in REGISTRY.documents if d.routes[0] != "data" and d.versions[0].begins]


@table("document", SERVED, ids=lambda d: d.id)
def test_the_day_before_the_first_text_is_not_known_and_never_free(document):
    day = min(v.begins for v in document.versions) - ONE
    source = source_under(document)
    assert document.governs(source.name, document.routes[0])
    decisions = decide_use(REGISTRY, Question(source, (STUDENT,), Use(competes_with=()), day))
    assert document.on(day) is None
    for decision in decisions:
        if decision.document == document.id:
            assert (decision.outcome, decision.rule) == ("review", "no-text-of-that-day")
            assert decision.lacking


@LAWS
@given(DOCUMENTS, st.integers(0, 20), DAYS)
def test_a_change_of_one_document_changes_no_other(changed, place, day):
    versions = changed.versions
    kept = tuple(v for i, v in enumerate(versions) if i != place % len(versions)) or versions[:1]
    other = changed.model_copy(update={"versions": kept, "title": "Changed"})
    registry = replace(
        REGISTRY,
        documents=tuple(other if d.id == changed.id else d for d in REGISTRY.documents),
    )
    for mine, theirs in zip(REGISTRY.documents, registry.documents, strict=True):
        assert mine.id == changed.id or mine.on(day) == theirs.on(day)
    question = Question(source_under(changed), (STUDENT,), Use(), day)
    untouched = [
        [d for d in decide_use(known, question) if d.document != changed.id]
        for known in (REGISTRY, registry)
    ]
    assert untouched[0] == untouched[1]


@LAWS
@given(DAYS, DAYS)
def test_a_diff_lists_the_texts_that_begin_there_and_no_others(one, two):
    one, two = sorted((one, two))
    listed = [(c.document.id, c.day) for c in REGISTRY.changes(one, two) if c.after]
    begin = [
        (document.id, first)
        for document in REGISTRY.documents
        for version in document.versions
        for first in [document.starts(version)]
        if first and one < first <= two and document.on(first) == version
    ]
    assert sorted(listed) == sorted(begin)
    for change in REGISTRY.changes(one, two):
        before = change.document.on(change.day - ONE)
        assert change.document.on(change.day) == change.after
        assert before == change.before or before is None


@LAWS
@given(DAYS, DAYS, DAYS)
def test_two_diffs_in_a_row_are_one(one, two, three):
    one, two, three = sorted((one, two, three))
    parts = [*REGISTRY.changes(one, two), *REGISTRY.changes(two, three)]
    assert parts == REGISTRY.changes(one, three)


MADE = st.lists(
    st.dates(date(2020, 1, 1), date(2030, 1, 1)), min_size=1, max_size=6, unique=True
).map(sorted)


def made(days, *, end=None, **more):
    clause = {"code": "no-clause-found", "says": "nothing is said here"}
    versions = [{"effective_from": day, "pointer": {}, "clause": [clause]} for day in days]
    versions[-1]["superseded_by"] = end
    return Document.model_validate(
        {"id": "x", "title": "x", "kind": "terms", "routes": ["api"], "version": versions, **more}
    )


@LAWS
@given(MADE, st.integers(0, 400), DAYS)
def test_of_any_versions_one_holds_on_any_day_from_the_first_on(days, length, day):
    end = days[-1] + timedelta(days=length + 1)
    document = made(days, end=end)
    on = document.on(day)
    assert (on is not None) == (days[0] <= day < end)
    if on is not None:
        assert on.begins == max(first for first in days if first <= day)
        assert holding(document, day) == [on]


@LAWS
@given(MADE, DAYS, DAYS, DAYS)
def test_models_that_came_and_went_are_under_it_while_they_were(days, came, went, day):
    came, went = sorted((came, went))
    document = made(days, models_from=came, models_until=went)
    if document.on(day) is not None:
        assert came <= day < went
    assert holding(document, day) == ([document.on(day)] if document.on(day) else [])


@LAWS
@given(MADE.filter(lambda days: len(days) > 1), st.integers(1, 50))
def test_a_version_that_ends_before_the_next_begins_is_refused(days, earlier):
    clause = {"code": "no-clause-found", "says": "nothing is said here"}
    versions = [{"effective_from": day, "pointer": {}, "clause": [clause]} for day in days]
    versions[0]["superseded_by"] = max(days[0], days[1] - timedelta(days=earlier))
    document = {"id": "x", "title": "x", "kind": "terms", "routes": ["api"], "version": versions}
    with pytest.raises(ValidationError, match="the next one begins"):
        Document.model_validate(document)


def test_a_text_that_is_unchanged_repeats_the_clauses_before_it():
    clause = {"code": "no-clause-found", "says": "nothing is said here"}
    first = {"effective_from": "2024-01-01", "pointer": {}, "clause": [clause]}
    later = {"effective_from": "2024-02-01", "pointer": {}, "unchanged": True}
    shape = {"id": "x", "title": "x", "kind": "terms", "routes": ["api"]}
    document = Document.model_validate({**shape, "version": [first, later]})
    assert document.versions[1].clauses == document.versions[0].clauses
    for wrong in ([later], [first, {**later, "clause": [clause]}]):
        with pytest.raises(ValidationError, match="repeats the one before"):
            Document.model_validate({**shape, "version": wrong})


GATHERED = [
    pytest.param(document, version, id=f"{document.id} {version.begins}")
    for document in SERVED
    for version in document.versions
    if any(c.code == "no-systematic-collection" for c in version.clauses)
]


@table(("document", "version"), GATHERED)
def test_gathering_by_machine_is_a_condition_where_outputs_may_train_and_else_a_question(
    document, version
):
    day = document.starts(version)
    question = Question(source_under(document), (STUDENT,), Use(competes_with=()), day)
    leaves = {"outputs-may-train", "distillation-allowed"}
    leave = any(c.code in leaves and c.outputs in ("all", "text") for c in version.clauses)
    clause = next(c for c in version.clauses if c.code == "no-systematic-collection")
    free = leave or clause.scope == "competing-models"
    wanted = "deny" if clause.means == "any" and not free else "allow" if free else "review"
    told = [
        d
        for d in decide_use(REGISTRY, question)
        if d.document == document.id and d.rule == "no-systematic-collection"
    ]
    assert [d.outcome for d in told] == [wanted]
    assert bool(told[0].lacking) == (wanted == "review")
