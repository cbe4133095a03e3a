"""Whose calls: terms bind whoever called, which nobody recorded of what made a public thing."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill import Source
from mashbill.core.errors import InputError
from mashbill.core.use import Use
from mashbill.lineage.catalogue.extended import extended
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.duties.calling import calls_of
from mashbill.lineage.duties.decisions import decide_circuit
from mashbill.policy.callers import BARS
from mashbill.policy.claims import Catalogue, Claim, Entity, load_catalogue
from mashbill.policy.documents import load_registry
from mashbill.policy.relations import RELATIONS

DAY = date(2026, 11, 28)
REGISTRY = load_registry()
CATALOGUE = load_catalogue()
PUBLIC = lineage_of(CATALOGUE)
STRICT = Use(
    purpose="product",
    commercial=True,
    distribution="public",
    license="Apache-2.0",
    competes_with=("OpenAI", "Anthropic", "Google", "Meta", "xAI", "Alibaba Cloud"),
    operator={"country": "DE", "monthly_users": 10**10, "annual_revenue_usd": 1e12},
)
USES = [Use(), Use(competes_with=("OpenAI", "Anthropic")), STRICT]


def decided(circuit, use, *, is_public=True):
    return decide_circuit(
        REGISTRY, [circuit], circuit, lambda _: "language-model", use, DAY, is_public=is_public
    ).decisions


def holds_nothing_that_bound_the_caller(circuit, decisions):
    """Of what is denied each is about data, or goes with weights that are in the thing."""
    carried = {f"{source.title} ({source.route})" for source in calls_of(circuit).carried}
    titles = {f"{s.title} ({s.route})": s for s in map(circuit.source, circuit.sources().tolist())}
    for decision in decisions:
        if decision.outcome != "deny" or decision.engine != "use restriction":
            continue
        if titles[decision.about].what == "dataset":
            continue
        assert decision.about in carried, decision
        assert decision.rule not in BARS, decision


@pytest.mark.few(1)
@pytest.mark.parametrize("use", USES)
def test_no_public_thing_of_the_catalogue_is_denied_by_what_bound_a_caller(use):
    for name in sorted({claim.child for claim in CATALOGUE.claims}):
        circuit = PUBLIC.of(CATALOGUE.entities[name])
        holds_nothing_that_bound_the_caller(circuit, decided(circuit, use))


ENTITIES = {
    "student": Entity(id="student", what="model", kind="open-weights", provider="P"),
    "rows": Entity(id="rows", what="dataset", kind="public-dataset", provider="P", license="MIT"),
    "openai/gpt-4": Entity(id="openai/gpt-4", what="model", kind="closed-api", provider="OpenAI"),
    "anthropic/claude-2.1": Entity(
        id="anthropic/claude-2.1", what="model", kind="closed-api", provider="Anthropic"
    ),
    "meta-llama/Llama-3.1-70B": Entity(
        id="meta-llama/Llama-3.1-70B", what="model", kind="open-weights", provider="Meta"
    ),
}
CLAIMS = st.builds(
    lambda pair, relation, route: Claim(
        child=pair[0], parent=pair[1], relation=relation, route=route, source="test"
    ),
    st.sampled_from([(c, p) for c in ("student", "rows") for p in sorted(ENTITIES) if c != p]),
    st.sampled_from(sorted(RELATIONS)),
    st.sampled_from(["", "api"]),
)


@law(120)
@given(st.lists(CLAIMS, min_size=1, max_size=6), st.sampled_from(USES))
def test_no_claims_deny_a_public_thing_by_what_bound_a_caller(claims, use):
    claims = tuple(dict.fromkeys(claims))
    try:
        public = lineage_of(Catalogue(ENTITIES, claims, {name: name for name in ENTITIES}))
    except InputError:
        return
    for name in ("student", "rows"):
        circuit = public.of(ENTITIES[name])
        holds_nothing_that_bound_the_caller(circuit, decided(circuit, use))


def test_the_question_is_told_once_in_a_sentence_with_what_is_lacking():
    circuit = PUBLIC.of(CATALOGUE.find("HuggingFaceTB/SmolLM3-3B"))
    asked = [d for d in decided(circuit, STRICT) if d.about.startswith("anthropic/claude-2.1")]
    [found] = [d for d in asked if d.rule == "caller-not-recorded"]
    assert (found.outcome, found.lacking) == ("review", ("who called", "the day of the call"))
    assert found.because.startswith(
        "who had anthropic/claude-2.1 write for a public thing is not recorded, nor on which day"
    )


def own(*teachers):
    table = NodeTable()
    members = [["content", table.add_source(teacher), 10] for teacher in teachers]
    body = {"type": "model", "artifact": "mine@1", "files": "f", "members": members}
    table.root = table.add(body)
    return Circuit.of(table)


CLAUDE = Source(name="anthropic/claude-2.1", what="model", kind="closed-api",
                route="api:anthropic", provider="Anthropic", country="US")  # fmt: skip
LONG = Source(name="THUDM/LongAlign-10k", what="dataset", kind="public-dataset", route="public",
              license="Apache-2.0")  # fmt: skip


def test_ones_own_calls_stay_what_they_were():
    denied = {d.rule for d in decided(own(CLAUDE), USES[1], is_public=False) if d.outcome == "deny"}
    assert denied >= {"no-training", "no-distillation"}


def test_what_the_catalogue_tells_behind_ones_own_teachers_is_not_ones_own_call():
    alone, _ = extended(own(LONG), PUBLIC)
    assert CLAUDE.name in {s.name for s in map(alone.source, alone.sources().tolist())}
    assert not {d.about for d in decided(alone, USES[1], is_public=False) if d.outcome == "deny"}
    both, _ = extended(own(LONG, CLAUDE), PUBLIC)
    assert {d.about for d in decided(both, USES[1], is_public=False) if d.outcome == "deny"}
