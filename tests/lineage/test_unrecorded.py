"""What is not known is not clean: coverage, verdicts and decisions where the record ends."""

from datetime import date

import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from tests_laws import law

from mashbill import Source
from mashbill.core.errors import InputError
from mashbill.core.use import Use
from mashbill.lineage.bills.bill import coverage
from mashbill.lineage.bills.definitions import judge_all
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.circuit.unrecorded import ENDS, NOT_SAID
from mashbill.lineage.duties.decisions import decide_circuit
from mashbill.policy.claims import Catalogue, Claim, Entity, load_catalogue
from mashbill.policy.decision import OUTCOMES, strictest
from mashbill.policy.documents import load_registry
from mashbill.policy.expressions import Expression
from mashbill.policy.house import OF_ARTIFACT, OF_SOURCE, HouseRule
from mashbill.policy.relations import RELATIONS
from mashbill.policy.statuses import COUNTED

DAY = date(2026, 11, 28)
CATALOGUE = load_catalogue()
PUBLIC = lineage_of(CATALOGUE)
REGISTRY = load_registry()

NAMES = [*"abcdef", "people", "mine"]
KINDS = {
    "a": ("model", "open-weights"), "b": ("model", "closed-api"), "c": ("model", "unknown"),
    "d": ("dataset", "public-dataset"), "e": ("dataset", "unknown"),
    "f": ("model", "open-weights"), "people": ("dataset", "human"),
    "mine": ("dataset", "own-dataset"),
}  # fmt: skip
ENTITIES = {
    name: Entity(id=name, what=what, kind=kind, provider="P", country="FR", license="MIT")
    for name, (what, kind) in KINDS.items()
}
CLAIMS = st.builds(
    lambda pair, relation, share, of: Claim(
        child=pair[0], parent=pair[1], relation=relation, share=share, of=of, source="test"
    ),
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(NAMES)).filter(lambda p: p[0] != p[1]),
    st.sampled_from(sorted(RELATIONS)),
    st.sampled_from([None, None, 0.25, 0.5, 1.0]),
    st.sampled_from(["", "", "data", "sft"]),
)
OF_SOURCES = [
    'kind == "closed-api"', 'country == "CN"', 'provider == "P"', 'what == "model"',
    'what == "unknown"', "depth == 1", "depth > 1", "share > 0.3", "owed > 0.7",
    '"judgement" in channels', 'license == "MIT"', 'name == "b"', 'route == "weights"',
]  # fmt: skip
OF_ARTIFACTS = [
    "coverage < 0.5", "named < 0.5", 'verdicts.A.conclusion == "yes"', "verdicts.A.depth == 1",
    'verdicts.B.conclusion == "yes"', 'verdicts.B.conclusion != "none recorded"',
    "verdicts.C.share_high > 0.2", "verdicts.C.share_low >= 0.5", "verdicts.C.depth > 1",
    'verdicts.HR8283.conclusion == "yes"', 'licence == "MIT"', "obligations.size() > 0",
    "sources.size() > 1",
]  # fmt: skip


def joined(atoms):
    return st.recursive(
        st.sampled_from(atoms),
        lambda inner: st.one_of(
            st.builds("({} && {})".format, inner, inner),
            st.builds("({} || {})".format, inner, inner),
        ),
        max_leaves=3,
    )


def rule(when, about="source"):
    known = OF_SOURCE if about == "source" else OF_ARTIFACT
    return HouseRule("r", "It is so.", about, Expression(when, "here", known), "deny", "f", 1)


RULES = st.one_of(
    joined(OF_SOURCES).map(rule), joined(OF_ARTIFACTS).map(lambda when: rule(when, "artifact"))
)


def lineage(claims):
    try:
        return lineage_of(Catalogue(ENTITIES, tuple(claims), {n: n for n in NAMES}))
    except InputError:  # shares that add up to more than all
        reject()


def house(circuit, *rules, is_public=True):
    decided = decide_circuit(
        REGISTRY, [circuit], circuit, lambda _: "other", Use(), DAY, is_public=is_public,
        rules=rules,
    )  # fmt: skip
    found = [d for d in decided.decisions if d.engine == "house rule"]
    return strictest(d.outcome for d in found), found, decided


CHAINS = st.lists(CLAIMS, min_size=1, max_size=6)


@law(150)
@given(CHAINS, st.data())
def test_coverage_never_rises_when_a_claim_is_dropped(claims, data):
    claims = list(dict.fromkeys(claims))
    kept = [claim for claim in claims if data.draw(st.booleans())]
    full, less = lineage(claims), lineage(kept)
    assume(not full.left_out)  # a claim that closes a circle keeps others out
    for entity in ENTITIES.values():
        before, after = (coverage(one.of(entity)).recorded for one in (full, less))
        assert after[0] <= before[0] + 1e-9
        assert after[1] <= before[1] + 1e-9
        assert 0 <= after[0] <= after[1] <= 1


def holds_named_above_recorded(circuit):
    covered = coverage(circuit)
    assert 0 <= covered.recorded[0] <= covered.named[0] <= 1
    assert covered.recorded[1] <= covered.named[1] <= 1
    assert covered.named[0] <= covered.named[1]
    return covered


@law(150)
@given(CHAINS)
def test_what_is_recorded_all_the_way_back_is_named(claims):
    public = lineage(claims)
    for entity in ENTITIES.values():
        covered = holds_named_above_recorded(public.of(entity))
        if any(source.route == NOT_SAID for source in covered.unknown):
            assert covered.named[1] == 1  # of a rest nobody says that there is any


@law(60)
@given(st.lists(st.sampled_from(sorted(ENDS | {"open-weights", "closed-api", "unknown"})),
                min_size=1, max_size=4))  # fmt: skip
def test_what_is_recorded_all_the_way_back_is_named_in_ones_own_too(kinds):
    leaves = [
        leaf(kind, "unknown" if kind == "unknown" else "model", f"x{at}")
        for at, kind in enumerate(kinds)
    ]
    covered = holds_named_above_recorded(own(*leaves))
    assert covered.named[0] == covered.named[1]  # that rows are there is recorded


@law(200)
@given(CHAINS, RULES, st.data())
def test_dropping_claims_never_makes_a_decision_milder_than_review(claims, asked, data):
    claims = list(dict.fromkeys(claims))
    kept = [claim for claim in claims if data.draw(st.booleans())]
    full, less = lineage(claims), lineage(kept)
    assume(not full.left_out)
    entity = ENTITIES[data.draw(st.sampled_from("abcdef"))]
    before, _, decided = house(full.of(entity), asked)
    after, _, left = house(less.of(entity), asked)
    if before != "allow":
        assert after != "allow"
    if decided.outcome != "allow":
        assert left.outcome != "allow"


@law(100)
@given(CHAINS, st.data())
def test_dropping_claims_never_settles_a_verdict(claims, data):
    kept = [claim for claim in claims if data.draw(st.booleans())]
    full, less = lineage(claims), lineage(kept)
    assume(not full.left_out)
    entity = ENTITIES[data.draw(st.sampled_from("abcdef"))]
    both = zip(judge_all(full.of(entity)), judge_all(less.of(entity)), strict=True)
    for (before, _), (after, _) in both:
        if before.conclusion == "yes":
            assert after.conclusion == "yes" or after.unknown


@law(100)
@given(st.sampled_from(OF_SOURCES + OF_ARTIFACTS), st.sampled_from("abcdef"))
def test_no_rule_passes_on_a_thing_of_which_nothing_is_claimed(when, name):
    about = "artifact" if when in OF_ARTIFACTS else "source"
    circuit = lineage([]).of(ENTITIES[name])
    assert coverage(circuit).recorded == coverage(circuit).named == (0.0, 1.0)
    outcome, found, decided = house(circuit, rule(when, about))
    assert found
    if when in {'licence == "MIT"', "obligations.size() > 0"}:  # what is recorded is enough
        assert outcome == "deny"
        return
    assert outcome == decided.outcome == "review"
    assert any(name in text for d in found for text in (*d.lacking, d.because))


@pytest.mark.parametrize("relation", [r for r in RELATIONS if RELATIONS[r][2] == "base"])
def test_weights_alone_say_nothing_of_the_data(relation):
    claims = [Claim(child="a", parent="f", relation=relation, source="test")]
    circuit = lineage(claims).of(ENTITIES["a"])
    covered = coverage(circuit)
    assert covered.recorded == (0.0, 1.0)
    assert any(source.name.startswith("a: what else") for source in covered.unknown)
    outcome, found, decided = house(circuit, rule('kind == "closed-api"'))
    assert outcome == decided.outcome == "review"
    assert any("a: what else it was made from" in text for d in found for text in d.lacking)
    [(closed, _)] = judge_all(circuit, ["B"])
    assert closed.conclusion == "none recorded"
    assert any("a: what else it was made from" in text for text in closed.unknown)


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_nothing_of_the_shipped_catalogue_is_called_whole(every):
    for name in sorted(CATALOGUE.entities)[::every]:
        circuit = PUBLIC.of(CATALOGUE.entities[name])
        covered = holds_named_above_recorded(circuit)
        assert covered.recorded[0] < 1, name
        assert covered.recorded[1] == covered.named[1] == 1, name
        assert house(circuit, rule("named < 0.5", "artifact"))[0] != "deny", name


def test_every_public_thing_of_which_nothing_is_claimed_is_review():
    made = {claim.child for claim in CATALOGUE.claims if claim.status in COUNTED}
    bare = [e for e in CATALOGUE.entities.values() if e.id not in made]
    assert len(bare) > 50
    asked = [rule('country == "CN"'), rule("coverage < 0.5", "artifact")]
    for entity in bare:
        circuit = PUBLIC.of(entity)
        assert coverage(circuit).recorded == (0.0, 1.0)
        assert house(circuit, *asked)[0] == "review"


# ---- an artifact of a store ----


def own(*leaves, channel="content"):
    """Return the circuit of a model of one's own that learned from each of these."""
    table = NodeTable()
    nodes = [table.add_source(leaf) for leaf in leaves]
    members = [[channel, node, 10] for node in nodes]
    body = {"type": "model", "artifact": "student@1", "files": "f", "members": members}
    table.root = table.add(body)
    return Circuit.of(table)


def leaf(kind, what="model", name="x"):
    return Source(name=name, what=what, kind=kind, route="weights", provider="P", country="FR")


@pytest.mark.parametrize(
    ("source", "recorded", "named"),
    [
        (leaf("open-weights"), (0.0, 1.0), (1.0, 1.0)),
        (leaf("closed-api"), (0.0, 1.0), (1.0, 1.0)),
        (leaf("unknown"), (0.0, 1.0), (1.0, 1.0)),
        (leaf("public-dataset", "dataset"), (0.0, 1.0), (1.0, 1.0)),
        (leaf("unknown", "unknown"), (0.0, 0.0), (0.0, 0.0)),
        (leaf("own-dataset", "dataset"), (1.0, 1.0), (1.0, 1.0)),
        (leaf("human", "dataset"), (1.0, 1.0), (1.0, 1.0)),
        (leaf("test-double"), (1.0, 1.0), (1.0, 1.0)),
    ],
)
def test_an_artifact_is_covered_as_far_as_its_sources_are(source, recorded, named):
    covered = coverage(own(source))
    assert (covered.recorded, covered.named) == (recorded, named)
    half = coverage(own(source, leaf("human", "dataset", "people")))
    assert half.recorded == tuple((end + 1) / 2 for end in recorded)
    assert half.named == tuple((end + 1) / 2 for end in named)


@pytest.mark.parametrize(
    ("when", "outcome"),
    [
        ('country == "CN"', "review"),
        ('depth == 1 && country == "CN"', "allow"),
        ('depth <= 2 && country == "CN"', "review"),
        ('kind == "closed-api" && share > 0.5', "allow"),  # it cannot be more than half
        ('kind == "closed-api" && share > 0.4', "review"),
        ('country == "FR"', "deny"),
        ('artifact.name == "other" && country == "CN"', "allow"),
    ],
)
def test_a_rule_asks_what_a_teacher_was_made_from_unless_it_says_how_far(when, outcome):
    circuit = own(leaf("open-weights"), leaf("human", "dataset", "people"))
    found, decisions, _ = house(circuit, rule(when), is_public=False)
    assert found == outcome
    if outcome == "review":
        [asked] = [d for d in decisions if d.outcome == "review"]
        assert asked.lacking == ("what x was made from",)
        assert "It depends on what is not recorded: what x was made from" in asked.because


@pytest.mark.parametrize(
    ("when", "outcome"),
    [
        ('verdicts.A.conclusion == "yes"', "allow"),  # one hop, and the teacher is recorded
        ('verdicts.B.conclusion == "yes"', "review"),
        ("verdicts.B.share_low >= 0.5", "review"),
        ("coverage < 0.4", "allow"),
        ("coverage < 0.6", "review"),
        ("named < 1.0", "allow"),
        ("sources.size() > 4", "review"),
        ('verdicts.HR8283.conclusion == "yes"', "review"),
    ],
)
def test_a_rule_about_an_artifact_does_not_pass_on_what_may_stand_behind(when, outcome):
    circuit = own(leaf("open-weights"), leaf("human", "dataset", "people"))
    assert house(circuit, rule(when, "artifact"), is_public=False)[0] == outcome


@pytest.mark.parametrize("when", [atom for atom in OF_SOURCES if "what ==" not in atom])
def test_rows_of_unknown_origin_pass_no_rule_about_sources(when):
    circuit = own(leaf("unknown", "unknown", "rows"), leaf("human", "dataset", "people"))
    _, decisions, _ = house(circuit, rule(when), is_public=False)
    [asked] = [d for d in decisions if d.about.startswith("rows")]
    possible = when != "owed > 0.7"  # half is all that these rows can be owed
    assert OUTCOMES.index(asked.outcome) >= possible
