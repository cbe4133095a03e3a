"""How licences flow: three reaches, questions kept as questions, paths that lead to the source."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_circuits import circuits
from tests_laws import law

from mashbill import Source
from mashbill.core.use import Use
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.duties.obligations import decide_obligations, output_licence
from mashbill.lineage.duties.standing import DUTY, GOVERNED, NONE, OPEN, standing
from mashbill.policy.claims import Catalogue, Claim, Entity, load_catalogue
from mashbill.policy.documents import load_registry

REGISTRY = load_registry()
CATALOGUE = load_catalogue()
PUBLIC = lineage_of(CATALOGUE)
TODAY = date(2026, 11, 24)
REACHES = ["weights", "outputs", "derivative", "data"]


def model_of(*edges):
    """Return a chain: each edge (channel, is_model) leads up from the source to the root."""
    table = NodeTable()
    node = table.add_source(Source(name="s", what="model", kind="open-weights", route="weights"))
    for number, (channel, is_model) in enumerate(edges):
        if is_model:
            body = {"type": "model", "artifact": f"m{number}@1", "files": str(number)}
            node = table.add({**body, "members": [[channel, node, 5]]})
        else:
            node = table.add_made([(channel, node), ("content", other(table))])
    table.root = node
    return Circuit.of(table)


def other(table):
    return table.add_source(Source(name="x", what="dataset", kind="own-dataset", route="file"))


def at_root(circuit, reach):
    own = np.zeros(circuit.size, np.uint8)
    own[circuit.matching(lambda source: source.name == "s")] = GOVERNED
    return int(standing(circuit, own, reach)[circuit.root])


LABELLED = ("judgement", False)
TRAINED = ("content", True)


@pytest.mark.parametrize(
    ("edges", "weights", "outputs", "derivative"),
    [
        ([("weights", True)], GOVERNED, GOVERNED, GOVERNED),
        ([("weights", True), ("weights", True)], GOVERNED, GOVERNED, GOVERNED),
        ([LABELLED, TRAINED], NONE, DUTY, GOVERNED),
        ([("content", True)], NONE, DUTY, GOVERNED),
        ([("logits", True)], NONE, DUTY, GOVERNED),
        ([("selection", False), TRAINED], NONE, OPEN, OPEN),
        ([LABELLED, TRAINED, LABELLED, TRAINED], NONE, OPEN, GOVERNED),
        ([LABELLED, TRAINED, ("selection", False), TRAINED], NONE, OPEN, OPEN),
        ([LABELLED, TRAINED, ("weights", True)], NONE, DUTY, GOVERNED),
        ([("weights", True), LABELLED, TRAINED], NONE, DUTY, GOVERNED),
    ],
)
def test_each_reach_goes_as_far_as_its_words(edges, weights, outputs, derivative):
    circuit = model_of(*edges)
    found = [at_root(circuit, reach) for reach in ("weights", "outputs", "derivative")]
    assert found == [weights, outputs, derivative]


@law(80)
@given(circuits(), st.data())
def test_more_under_a_licence_never_weakens_a_standing(table, data):
    circuit = Circuit.of(table)
    nodes = circuit.sources().tolist()
    few = data.draw(st.sets(st.sampled_from(nodes)))
    more = few | data.draw(st.sets(st.sampled_from(nodes)))
    for reach in REACHES:
        values = []
        for chosen in (few, more):
            own = np.zeros(circuit.size, np.uint8)
            own[sorted(chosen)] = GOVERNED
            values.append(standing(circuit, own, reach))
        assert (values[0] <= values[1]).all()


@law(80)
@given(circuits(labels=("content", "judgement", "logits", "weights", "transform")))
def test_a_wider_reach_never_gives_less(table):
    circuit = Circuit.of(table)
    own = np.zeros(circuit.size, np.uint8)
    own[circuit.sources()] = GOVERNED
    by_reach = [standing(circuit, own, reach) for reach in ("weights", "outputs", "derivative")]
    assert (by_reach[0] <= by_reach[1]).all()
    assert (by_reach[1] <= by_reach[2]).all()


def licence_of(name):
    entity = CATALOGUE.find(name)
    return output_licence(REGISTRY, PUBLIC.of(entity), TODAY)


def test_a_distilled_llama_carries_its_own_licence_and_that_of_its_base():
    licence = licence_of("DeepSeek-R1-Distill-Llama-8B")
    assert set(licence.licences) == {"MIT", "LicenseRef-Llama-3.1"}
    assert set(licence.expression.split(" AND ")) == {"MIT", "LicenseRef-Llama-3.1"}
    llama = {o.clause.code: o for o in licence.obligations if o.document.id == "llama-3.1"}
    assert {"derivative-naming", "notice", "scale-cap", "licence-passes-on"} <= set(llama)
    assert all(item.state == "owed" for item in llama.values())
    assert llama["notice"].path[0] == "meta-llama/Llama-3.1-8B (weights) by weights"


def test_what_a_licensor_gave_out_under_another_licence_does_not_bring_the_first_one():
    v3 = licence_of("DeepSeek-V3-Base")
    assert v3.licences == ("LicenseRef-DeepSeek-Model",)
    for name in ("DeepSeek-R1", "DeepSeek-R1-Distill-Qwen-7B"):
        assert "LicenseRef-DeepSeek-Model" not in licence_of(name).licences
    # Somebody else's licence on what was made of it lifts nothing.
    v3_base = CATALOGUE.find("DeepSeek-V3-Base")
    for provider, carried in (("DeepSeek", False), ("Somebody", True)):
        made = Entity(
            id="made", what="model", kind="open-weights", provider=provider, license="MIT"
        )
        last = Entity(id="student", what="model", kind="open-weights")
        claims = [
            Claim(child=child, parent=parent, relation="base-weights", source="test")
            for child, parent in (("made", v3_base.id), ("student", "made"))
        ]
        entities = {entity.id: entity for entity in (v3_base, made, last)}
        public = lineage_of(Catalogue(entities, tuple(claims), {}))
        found = output_licence(REGISTRY, public.of(last), TODAY).licences
        assert ("LicenseRef-DeepSeek-Model" in found) == carried


def test_the_naming_question_of_a_llama_labelled_filter_is_review():
    licence = licence_of("SmolLM3-3B-Base")
    [duty] = [o for o in licence.obligations if o.clause.code == "derivative-naming"]
    assert duty.state == "in question"
    assert "finemath-classifier (weights) by selection" in " / ".join(duty.path)
    assert duty.path[0] == "meta-llama/Llama-3.1-70B-Instruct (weights) by judgement"
    decisions = decide_obligations(licence, "SmolLM3-3B-Base", Use(), TODAY, is_public=True)
    [naming] = [d for d in decisions if d.rule == "derivative-naming"]
    assert (naming.outcome, bool(naming.lacking)) == ("review", True)
    # The filter itself was trained on the labels: there the words reach.
    [own] = [
        o
        for o in licence_of("HuggingFaceTB/finemath-classifier").obligations
        if o.clause.code == "derivative-naming"
    ]
    assert own.state == "owed"


def student_of(name, provider, *edges):
    table = NodeTable()
    node = table.add_source(
        Source(name=name, what="model", kind="open-weights", route="weights", provider=provider)
    )
    for number, how in enumerate(edges):
        body = {"type": "model", "artifact": f"m{number}@1", "files": "f"}
        node = table.add({**body, "members": [[how, node, 5]]})
    table.root = node
    return Circuit.of(table)


def test_a_student_of_gemma_3_is_a_derivative_at_any_depth_and_of_gemma_4_is_not():
    old = output_licence(
        REGISTRY, student_of("gemma-3-27b-it", "Google", "content", "content"), TODAY
    )
    assert any(o.clause.code == "licence-passes-on" and o.state == "owed" for o in old.obligations)
    assert old.licences == ("LicenseRef-Gemma-ToU",)
    new = output_licence(REGISTRY, student_of("gemma-4-31B", "Google", "content"), TODAY)
    assert (new.obligations, new.licences) == ((), ())


@pytest.mark.parametrize(
    ("use", "outcome"),
    [
        ({}, "review"),
        ({"distribution": "private"}, "allow"),
        ({"distribution": "public"}, "review"),
        ({"distribution": "public", "published_name": "Otter-1B"}, "deny"),
        ({"distribution": "public", "published_name": "Llama-Otter-1B"}, "allow"),
        ({"distribution": "public", "published_name": "us/llama-otter"}, "allow"),
    ],
)
def test_a_name_is_due_once_a_student_is_given_out(use, outcome):
    licence = output_licence(REGISTRY, student_of("Llama-3.1-8B", "Meta", "content"), TODAY)
    decisions = decide_obligations(licence, "m0@1", Use(**use), TODAY)
    [naming] = [d for d in decisions if d.rule == "derivative-naming"]
    assert naming.outcome == outcome


def built_on(licence):
    """What is owed by a model whose weights began as those of a base under this licence."""
    table = NodeTable()
    base = Source(name="b", what="model", kind="open-weights", route="weights", license=licence)
    members = [["weights", table.add_source(base), 5]]
    table.root = table.add({"type": "model", "artifact": "m@1", "files": "f", "members": members})
    return output_licence(REGISTRY, Circuit.of(table), TODAY)


@pytest.mark.parametrize(
    ("licence", "codes", "licences", "unknown"),
    [
        ("MPL-2.0 AND CC-BY-NC-4.0", {"share-alike", "non-commercial"},
         {"MPL-2.0", "CC-BY-NC-4.0"}, False),
        ("GPL-3.0-only OR isc", {"notice"}, {"ISC"}, False),
        ("(GPL-3.0-only OR ISC) AND CC-BY-NC-4.0", {"notice", "non-commercial"},
         {"ISC", "CC-BY-NC-4.0"}, False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", {"share-alike"},
         {"GPL-2.0-only WITH Classpath-exception-2.0"}, False),
        ("CC-BY-NC-4.0 AND ours", {"non-commercial"}, {"CC-BY-NC-4.0"}, True),
        ("NOASSERTION", set(), set(), True),
    ],
)  # fmt: skip
def test_each_licence_of_an_expression_brings_its_duties(licence, codes, licences, unknown):
    found = built_on(licence)
    assert {item.clause.code for item in found.obligations} == codes
    assert set(found.licences) == licences
    assert bool(found.unknown) == unknown


def test_a_base_whose_licence_is_not_recorded_is_review():
    licence = output_licence(REGISTRY, student_of("mystery", "Nobody", "weights"), TODAY)
    assert licence.unknown == ("mystery (weights)",)
    [decision] = decide_obligations(licence, "m0@1", Use(), TODAY)
    assert (decision.outcome, decision.lacking) == ("review", ("licence of a base",))
