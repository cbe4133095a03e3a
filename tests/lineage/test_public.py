"""The catalogue as a circuit: the table of the facts, phases, disputes, circles."""

import math
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill import InputError, Source
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import judge, judge_all, load_definitions
from mashbill.lineage.bills.text import path_text
from mashbill.lineage.catalogue.extended import extended
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.catalogue.unsettled import unsettled
from mashbill.lineage.circuit.arrays import LABELS, MODEL, Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.circuit.reach import owed_at_root, reach
from mashbill.lineage.circuit.semirings import FAR, FEWEST_HOPS, evaluate
from mashbill.policy.claims import Catalogue, Claim, Entity, load_catalogue
from mashbill.policy.relations import RELATIONS
from mashbill.policy.statuses import STATUSES

CATALOGUE = load_catalogue()
PUBLIC = lineage_of(CATALOGUE)
A, B, C = load_definitions(["A", "B", "C"])

# What the facts name, and a model of which nobody says that a closed one stands behind it.
NAMED = [
    "allenai/Olmo-3-1125-32B", "HuggingFaceTB/SmolLM3-3B", "open-thoughts/OpenThinker-7B",
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B", "HuggingFaceTB/SmolLM2-1.7B-Instruct",
    "rl-research/DR-Tulu-8B", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
]  # fmt: skip


def walked(name, channels, most):
    """Closed models and their least depth, by a walk over claims that knows nothing of circuits."""
    above = {}
    for c in CATALOGUE.claims:
        if c.status != "alleged" and RELATIONS[c.relation][0].value in channels:
            above.setdefault(c.child, []).append(c.parent)
    depth, queue = {name: 0}, deque([name])
    while queue:
        at = queue.popleft()
        for parent in above.get(at, ()):
            hop = depth[at] + (CATALOGUE.entities[parent].what == "model")
            if hop < depth.get(parent, most + 1):
                depth[parent] = hop
                queue.append(parent)
    return {n: d for n, d in depth.items() if CATALOGUE.entities[n].kind == "closed-api"}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("definition", [A, B, C], ids="ABC")
def test_the_circuit_finds_what_a_plain_walk_finds(name, definition):
    verdict = judge(definition, PUBLIC.of(CATALOGUE.find(name)))
    expected = walked(name, set(definition.channels), definition.max_hops or 1000)
    assert {source.name for source in verdict.sources} == set(expected)
    assert verdict.depth == min(expected.values(), default=None)


def test_smollm3_is_distilled_from_closed_models_at_one_hop_and_the_path_says_how():
    circuit = PUBLIC.of(CATALOGUE.find("SmolLM3-3B"))
    a, b, c = (pair[0] for pair in judge_all(circuit, ("A", "B", "C")))
    assert (a.conclusion, b.conclusion, c.conclusion) == ("yes", "yes", "yes")
    assert (a.depth, b.depth, c.depth) == (1, 1, 1)
    assert {"openai/gpt-4", "openai/gpt-4o"} <= {source.name for source in a.sources}
    told = path_text(a.path)
    places = [told.index(name) for name in ("smoltalk2", "openai/")]
    assert places == sorted(places)


def test_stated_figures_bound_shares_and_the_rest_stays_unknown():
    lines = bill(PUBLIC.of(CATALOGUE.find("Olmo-3-1125-32B")))
    ocr = next(ln for ln in lines if ln.source.name == "allenai/olmOCR-7B-0225-preview")
    assert ocr.share[0] == 0.0  # training after these phases has no stated size
    assert math.isclose(ocr.share[1], 805e9 / (5.93e12 + 99.95e9), rel_tol=1e-6)
    assert any(ln.source.what == "unknown" for ln in lines)


def test_a_share_of_one_leaves_nothing_over():
    lines = bill(PUBLIC.of(CATALOGUE.find("OpenThoughts-114k")))
    r1 = next(ln for ln in lines if "DeepSeek-R1" in ln.source.name)
    assert (r1.share, r1.source.route) == ((1.0, 1.0), "api:deepseek")
    judge_line = next(ln for ln in lines if ln.source.name == "openai/gpt-4o")
    assert judge_line.share == (0.0, 1.0)


def claim(child, parent, relation="sft-data", **more):
    return Claim(child=child, parent=parent, relation=relation, source="test", **more)


def catalogue(*claims, **kinds):
    names = dict.fromkeys(n for c in claims for n in (c.child, c.parent))
    entities = {
        n: Entity(id=n, what="model", kind=kinds.get(n, "open-weights"), provider="P")
        for n in names
    }
    return Catalogue(entities, claims, {n.lower(): n for n in names})


def test_claims_that_lead_in_a_circle_are_cut_at_the_weakest():
    made = catalogue(
        claim("a", "b"), claim("b", "c"), claim("c", "a", status="alleged"), claim("c", "d")
    )
    lineage = lineage_of(made, STATUSES)
    assert [(c.child, c.parent) for c in lineage.left_out] == [("c", "a")]
    assert judge(B, lineage.of(made.entities["a"]), asked="any").depth == 1


@law(60)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"),
                          st.sampled_from(STATUSES)), max_size=14))  # fmt: skip
def test_any_claims_make_a_circuit_and_only_circles_lose_some(pairs):
    claims = [claim(a, b, status=status) for a, b, status in pairs if a != b]
    made = catalogue(*dict.fromkeys(claims))
    lineage = lineage_of(made, STATUSES)
    for dropped in lineage.left_out:  # its parent already rests on its child
        circuit = lineage.of(made.entities[dropped.parent])
        names = {circuit.source(n).name for n in circuit.sources().tolist()}
        assert dropped.child in names


def test_figures_that_add_up_to_more_than_the_whole_are_refused():
    made = catalogue(
        claim("a", "b", of="sft", of_tokens=10, tokens=8), claim("a", "c", of="sft", tokens=8)
    )
    with pytest.raises(InputError, match=r"a: the claims about its sft add up to 16 of 10"):
        lineage_of(made)


def test_an_allegation_decides_nothing_unless_it_is_asked_to():
    made = catalogue(claim("a", "b", status="alleged"), b="closed-api")
    entity = made.entities["a"]
    assert judge(A, lineage_of(made).of(entity)).conclusion == "none recorded"
    assert judge(A, lineage_of(made, STATUSES).of(entity)).conclusion == "yes"
    doubts = unsettled(made, entity, ["A"])
    assert any("if alleged claims counted" in str(doubt) for doubt in doubts)


def test_a_verdict_that_rests_on_a_disputed_claim_alone_is_told_as_such():
    made = catalogue(claim("a", "b", dispute="who"), claim("a", "c", dispute="who"), b="closed-api")
    doubts = unsettled(made, made.entities["a"], ["A"], STATUSES)
    assert any(d.asked == "closed" and d.otherwise == "none recorded" for d in doubts)


@pytest.mark.parametrize("name", NAMED)
def test_a_circuit_under_a_node_answers_as_the_whole_does(name):
    entity = CATALOGUE.find(name)
    node = PUBLIC.entity_nodes()[entity.id]
    whole, part = PUBLIC.circuit, PUBLIC.of(entity)
    for circuit in (whole, part):
        matched = circuit.matching(lambda s: s.kind == "closed-api")
        hop = circuit.is_model().astype(np.int32)
        hops = evaluate(circuit, FEWEST_HOPS, np.where(matched, np.int32(0), FAR), hop)
        at = node if circuit is whole else circuit.root
        found = int(hops[at])
        assert found == int(hops[at])
        if circuit is whole:
            expected = found
    assert found == expected


def test_an_inner_model_is_a_source_and_so_is_what_it_was_made_from():
    circuit = PUBLIC.of(CATALOGUE.find("NVIDIA-Nemotron-3-Super-120B-A12B"))
    inner = [n for n in circuit.sources().tolist() if circuit.type[n] == MODEL]
    assert len(inner) > 3
    rests = reach(circuit)
    own = {int(k) for k in rests.key[rests.start[circuit.root] : rests.start[circuit.root + 1]]}
    assert len(own) > len(inner)
    owed = owed_at_root(circuit, np.ones(len(LABELS), bool))
    names = {circuit.source(int(circuit.sources()[place])).name for place in owed}
    assert "Goedel-LM/Goedel-Prover-V2-32B" in names
    assert "anthropic/claude-sonnet-4" in names


def test_building_twice_gives_the_same():
    again = lineage_of(load_catalogue())
    assert np.array_equal(again.circuit.to, PUBLIC.circuit.to)
    assert again.node == PUBLIC.node


def test_ones_own_lineage_goes_on_by_the_claims_about_its_teacher(tmp_path):
    table = NodeTable()
    teacher = table.add_source(
        Source(name="SmolLM3-3B", what="model", kind="open-weights", route="weights")
    )
    text = table.add_source(Source(name="t", what="dataset", kind="own-dataset", route="file"))
    made = table.add_made([("content", text), ("judgement", teacher)])
    body = {"type": "model", "artifact": "student@1", "files": "f"}
    table.root = table.add({**body, "members": [["content", made, 7]]})
    own = Circuit.of(table)
    whole, told = extended(own, PUBLIC)
    assert told == ["SmolLM3-3B is HuggingFaceTB/SmolLM3-3B"]
    assert judge(C, own).conclusion == "none recorded"
    verdict = judge(C, whole)  # by judgement to the teacher, and one hop on to what it is of
    assert (verdict.conclusion, verdict.depth) == ("yes", 2)
    assert {v.conclusion for v in (judge(A, whole), judge(B, whole))} == {"none recorded"}
    mine = {(ln.source.name, ln.channels, ln.share) for ln in bill(own)}
    assert mine <= {(ln.source.name, ln.channels, ln.share) for ln in bill(whole)}
    assert extended(own, lineage_of(catalogue()))[0] is own
