"""Use restrictions: what terms say to whoever used a model, by route, purpose and distribution.

They bind the caller. They do not attach to the data, and they say nothing about a student's own
licence: that is :mod:`mashbill.policy.licences` and the derivative engine over the lineage.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mashbill.policy.by_licence import decide_by_licence
from mashbill.policy.callers import ask_who_called, caller_unknown, route_of, writers
from mashbill.policy.case import Case, Finding, Question
from mashbill.policy.clause_rules import find_all
from mashbill.policy.clauses import USE
from mashbill.policy.decision import Decision, cited
from mashbill.policy.licence_cells import usual
from mashbill.policy.misdeclared import differs_from_known

if TYPE_CHECKING:
    from collections.abc import Callable

    from mashbill.core.source import Source
    from mashbill.core.use import Use
    from mashbill.policy.documents import Document, Registry, Route, Version

STALE_AFTER = timedelta(days=270)
"""terms not looked at for longer than this are not relied on for leave"""


def decide_use(registry: Registry, question: Question) -> list[Decision]:
    """Return what terms and licences say to using a source as asked, one decision a clause.

    Whatever is not known leads to review. The outcome for the source is the strictest of them.
    """
    source = question.source
    unclear = tuple(
        name
        for name in question.use.competes_with or ()
        if registry.provider(name) is None and name.lower() != source.provider.lower()
    )
    use = _by_its_name(registry, question.use)
    question = replace(question, use=use, unclear_rivals=unclear)
    if source.contradicted or not (differs := differs_from_known(registry, source)):
        return _decide_as_declared(registry, question)
    made = _maker(question)(
        "review",
        "differs-from-catalogue",
        differs,
        lacking=("origin",),
        used={"kind": source.kind, "provider": source.provider},
    )
    return [made, *_decide_as_declared(registry, question)]


def _decide_as_declared(registry: Registry, question: Question) -> list[Decision]:
    source = question.source
    simple = _needs_no_terms(question)
    if simple is not None:
        return [simple]
    if source.route.startswith("dataset:"):
        by_licence = decide_by_licence(question, "data", _maker(question))
        return [*by_licence, *_of_the_caller(registry, question)]
    if source.what == "dataset":
        if registry.governing(source.provider, source.name, "data"):
            own = _decide_route(registry, question, source.provider, "data")
        else:
            own = decide_by_licence(question, "data", _maker(question))
        return [*own, *_of_the_caller(registry, question)]
    decisions = []
    for provider, route in reached_by(source):
        found = _decide_route(registry, question, provider, route)
        decisions += caller_unknown(question, route, found) if question.by_others else found
    return decisions


def _by_its_name(registry: Registry, use: Use) -> Use:
    """Return a use with each provider by the name that the registry has for it."""

    def name(text: str) -> str:
        known = registry.provider(text)
        return known.name if known else text

    competes = use.competes_with
    return use.model_copy(
        update={
            "competes_with": competes and tuple(name(text) for text in competes),
            "authorised_by": {name(text): why for text, why in use.authorised_by.items()},
        }
    )


def reached_by(source: Source) -> list[tuple[str, Route]]:
    """Return (provider, route) of all whose terms govern a way of reaching a model.

    Behind a router stand the maker's own API terms too; a host that serves open weights leaves
    their licence in force.
    """
    head, _, who = source.route.partition(":")
    match head:
        case "api":
            return [(source.provider if source.provider != "unknown" else who, "api")]
        case "consumer":
            return [(source.provider, "consumer")]
        case "router":
            return [(who, "router"), (source.provider, "api")]
        case "host":
            return [(who, "host"), (source.provider, "weights")]
        case _ if source.kind == "closed-api":
            return [(source.provider, "api")]
        case _:
            return [(source.provider, "weights")]


def _needs_no_terms(question: Question) -> Decision | None:
    source = question.source
    made = _maker(question)
    if source.contradicted:
        return made(
            "review",
            "origin-contradicted",
            source.contradicted,
            lacking=("origin",),
            used={"contradicted": source.contradicted},
        )
    match source.kind:
        case "test-double":
            return made("allow", "test-double", "stands in for a model; nobody's terms apply")
        case "program":
            return made("allow", "program", "a program that goes by rules; no model's terms apply")
        case "own-dataset" | "human" if not source.route.startswith("dataset:"):
            return made("allow", "own-data", "declared as one's own by the recipe")
        case "unknown" if source.what == "unknown":
            return made("review", "origin-not-recorded", "where it came from is not recorded",
                        lacking=("origin",))  # fmt: skip
    return None


def _maker(question: Question) -> Callable[..., Decision]:
    """Return a function that makes decisions about the question's source."""

    def made(outcome: Any, rule: str, because: str, **more: Any) -> Decision:
        return Decision(
            outcome=outcome,
            engine="use restriction",
            rule=rule,
            about=f"{question.source.title} ({question.source.route})",
            because=because,
            as_of=question.as_of,
            **more,
        )

    return made


def _of_the_caller(registry: Registry, question: Question) -> list[Decision]:
    """Return what bound whoever had a model write what came as data: us, or it is asked who did."""
    models = writers(question.source)
    decisions = []
    for model in models:
        called = replace(question, source=model)
        route = route_of(registry, model, question)
        decisions += _decide_route(registry, called, model.provider, route)
    if question.source.called_by == "us":
        return decisions
    return ask_who_called(question, models, decisions)


def _decide_route(
    registry: Registry, question: Question, provider: str, route: Route
) -> list[Decision]:
    made = _maker(question)
    source, at = question.source, question.as_of
    documents = registry.governing(provider, source.name, route, at)
    if not documents:
        if route == "weights" and source.license:
            return decide_by_licence(question, "weights", made)
        by_api = "API" if route == "api" else route
        what = "licence of these weights" if route == "weights" else f"{by_api} terms of {provider}"
        return [
            made(
                "review",
                "no-document",
                f"the registry has no {what}",
                lacking=(what,),
                provider=provider,
            )
        ]
    decisions: list[Decision] = []
    for document in documents:
        version = document.on(at)
        if version is None:
            decisions.append(_not_in_force(question, document))
            continue
        if document.kind == "licence" and _differs(registry, source, document):
            decisions.append(
                made(
                    "review",
                    "licences-differ",
                    f"recorded as {source.license}, the registry has {document.license}",
                    used={"license": source.license},
                    **cited(document, version),
                )
            )
        decisions += _decide_version(question, document, version)
    return decisions


def _differs(registry: Registry, source: Source, document: Document) -> bool:
    """Return whether a recorded licence contradicts the registry's for every day.

    A model may have changed its licence: what is recorded may be that of another day.
    """
    ever = [
        item
        for route in document.routes
        for item in registry.governing(document.provider, source.name, route)
    ]
    known = {_spelt(item.license) for item in ever if item.license}
    stated = _spelt(source.license or "")
    return bool(stated and document.license) and stated not in known


def _spelt(licence: str) -> str:
    """Return a licence so that two ways of writing one are the same."""
    return usual(licence).text.lower()


def _not_in_force(question: Question, document: Document) -> Decision:
    known = [v.begins.isoformat() for v in document.versions if v.begins]
    return _maker(question)(
        "review",
        "no-text-of-that-day",
        f"no text of {document.title} is recorded for {question.as_of}; the first is of "
        f"{known[0] if known else 'an unknown day'}",
        lacking=(f"{document.id} on {question.as_of}",),
        **cited(document, None),
    )


def _decide_version(question: Question, document: Document, version: Version) -> list[Decision]:
    made = _maker(question)
    citation = cited(document, version)
    findings: list[tuple[Any, Finding]] = []
    leave = any(c.code in _LEAVES and c.outputs in ("all", "text") for c in version.clauses)
    for clause in version.clauses:
        if clause.code in USE and clause.code != "permitted-exception":
            exceptions = [c for c in version.clauses if c.lifts == clause.code]
            case = Case(clause, exceptions, question, document.provider, leave)
            findings += [(clause, finding) for finding in find_all(case)]
    if not any(clause.code not in _CONDITIONS for clause, _ in findings):
        findings.append((None, _nothing_decides(question)))
    findings = [(finding.by or clause, finding) for clause, finding in findings]
    decisions = [
        made(
            finding.outcome,
            clause.code if clause else "no-clause-decides",
            finding.because,
            section=clause.section if clause else "",
            fragment=clause.fragment if clause else "",
            path=finding.path,
            used=finding.used,
            lacking=finding.lacking,
            **citation,
        )
        for clause, finding in findings
    ]
    stale = _stale(question, document, version)
    return decisions if stale is None else [*decisions, stale]


_LEAVES = {"outputs-may-train", "distillation-allowed"}
"""clauses that give leave to train on outputs"""
_CONDITIONS = {"non-commercial", "scale-cap", "field-of-use", "territory"}
"""clauses that limit a leave and give none"""


def _nothing_decides(question: Question) -> Finding:
    if question.students and all(s.by_weights for s in question.students):
        return Finding("allow", "only its weights are used; the clauses on outputs are not touched")
    return Finding(
        "review",
        "no clause that is recorded allows or bars training on outputs",
        lacking=("clause on outputs",),
    )


def _stale(question: Question, document: Document, version: Version) -> Decision | None:
    """Return a review where terms may have changed since somebody last looked."""
    seen = version.observed_on  # terms of one's own need not say when somebody last looked
    if document.kind == "licence" or version.superseded_by is not None or seen is None:
        return None
    if question.as_of - seen <= STALE_AFTER:
        return None
    return _maker(question)(
        "review",
        "text-not-looked-at-since",
        f"{document.title} was last seen on {seen}; look whether it still reads so",
        lacking=(f"{document.id} after {seen}",),
        **cited(document, version),
    )
