"""Who called: terms bind whoever had a model write, whatever licence its outputs were given later.

Rows that came as data say little of that. Where they name a model, or are a dataset of which the
catalogue knows what wrote it, what bound the caller is looked up; whether it binds us depends on
who called, which a recipe declares (``called_by``), and which is asked where it does not.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.core.plain import listed
from mashbill.core.source import Channel, Source
from mashbill.policy.claims import load_catalogue
from mashbill.policy.decision import strictest
from mashbill.policy.relations import RELATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.policy.case import Question
    from mashbill.policy.claims import Catalogue, Claim, Entity
    from mashbill.policy.decision import Decision
    from mashbill.policy.documents import Registry, Route

_WROTE = frozenset({Channel.CONTENT, Channel.TRANSFORM, Channel.LOGITS})
"""channels through which a model's outputs are the text"""
BARS = frozenset(
    {"no-competing-model", "no-training", "no-distillation", "no-systematic-collection"}
)
"""clauses on outputs, whoever has the weights"""


def writers(source: Source) -> tuple[Source, ...]:
    """Return the models that wrote a source that came as data, as whoever called them saw them.

    What licence the data were given is no licence of theirs, so they have none here.
    """
    if source.called_by == "others":
        return ()
    if source.what == "model" and source.route.startswith("dataset:"):
        return (source.model_copy(update={"license": None}),)
    if source.what == "dataset" and source.kind == "public-dataset":
        return tuple(
            Source(
                name=entity.id,
                what="model",
                kind=entity.kind,
                route=source.route,
                provider=entity.provider,
                country=entity.country,
            )
            for entity in writers_of(source.name)
        )
    return ()


def route_of(registry: Registry, writer: Source, question: Question) -> Route:
    """Return the route by which a model was called, as far as its kind says: an API, or weights."""
    if writer.kind == "closed-api":
        return "api"
    served = registry.governing(writer.provider, writer.name, "api", question.as_of)
    return "api" if writer.kind == "unknown" and served else "weights"


def ask_who_called(
    question: Question, models: Sequence[Source], decisions: Sequence[Decision]
) -> list[Decision]:
    """Return the question who called, if what bound the caller is more than nothing.

    Args:
        question: the data, or the model that wrote them.
        models: those that wrote them.
        decisions: what it would come to if we had called.
    """
    strict = strictest(decision.outcome for decision in decisions)
    if strict == "allow":
        return []
    worst = next(decision for decision in decisions if decision.outcome == strict)
    names = listed(list(dict.fromkeys(model.title for model in models)))

    def because(had: str) -> str:
        return (
            f"who had {had} write this is not declared, and a licence on the rows does not lift "
            f"what bound whoever called. If that was you: {worst.because}"
        )

    return [
        replace(
            worst, outcome="review", rule="caller-not-declared", because=because(names),
            about=f"{question.source.title} ({question.source.route})", lacking=("called_by",),
            in_general=because("models"),
        )
    ]  # fmt: skip


def caller_unknown(
    question: Question, route: Route, decisions: Sequence[Decision]
) -> list[Decision]:
    """Return decisions in which no text denies that bound the maker of a public thing.

    Which text that was depends on the day of the call, and whether it binds whoever asks, on who
    called. A licence whose weights are in what is asked about goes with them, except for what it
    says of outputs.

    Args:
        question: a model that only the making of public things reached.
        route: by which it was reached.
        decisions: what it would come to if it had been called by us on the day asked about.
    """
    goes_on = route == "weights" and question.carried
    bound = [d for d in decisions if d.outcome == "deny" and not (goes_on and d.rule not in BARS)]
    if not bound:
        return list(decisions)
    worst = bound[0]

    def because(had: str) -> str:
        return (
            f"who had {had} write for a public thing is not recorded, nor on which day, and these "
            f"terms bind whoever called. If that was you, on {question.as_of}: {worst.because}"
        )

    asked = replace(
        worst,
        outcome="review",
        rule="caller-not-recorded",
        because=because(question.source.title),
        lacking=("who called", "the day of the call"),
        in_general=because("a model"),
    )
    return [asked, *(decision for decision in decisions if decision not in bound)]


def may_be_known(name: str) -> bool:
    """Return whether the shipped catalogue may know who wrote a dataset; True does not say so."""
    return name.rsplit("/", 1)[-1].lower() in _bare_names()


@cache
def _bare_names() -> frozenset[str]:
    return frozenset(name.rsplit("/", 1)[-1] for name in _shipped()[0].names)


@cache
def writers_of(name: str) -> tuple[Entity, ...]:
    """Return the models that wrote a dataset of the shipped catalogue, or a part of it."""
    catalogue, about = _shipped()
    try:
        entity = catalogue.find(name)
    except InputError:
        return ()
    found: dict[str, Entity] = {}
    waiting, met = [entity.id], {entity.id}
    while entity.what == "dataset" and waiting:
        for claim in about.get(waiting.pop(), ()):
            parent = catalogue.entities[claim.parent]
            if claim.status == "alleged" or RELATIONS[claim.relation][0] not in _WROTE:
                continue
            if parent.what == "model":
                found[parent.id] = parent
            elif parent.id not in met:
                met.add(parent.id)
                waiting.append(parent.id)
    return tuple(found[name] for name in sorted(found))


@cache
def _shipped() -> tuple[Catalogue, dict[str, list[Claim]]]:
    catalogue = load_catalogue()
    about: dict[str, list[Claim]] = {}
    for claim in catalogue.claims:
        about.setdefault(claim.child, []).append(claim)
    return catalogue, about
