"""A circuit by column is the circuit of the claims one by one, and answers the same."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.errors import InputError
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import judge_all, load_definitions
from mashbill.lineage.catalogue import hub
from mashbill.lineage.catalogue.hub import hub_of
from mashbill.lineage.catalogue.public import kind_of_public, lineage_of
from mashbill.lineage.catalogue.unsettled import unsettled
from mashbill.lineage.whatif.hub_facts import things_of_index
from mashbill.lineage.whatif.passes import what_if
from mashbill.lineage.whatif.things import FACTS, things_of_catalogue
from mashbill.policy.claims import Catalogue, Claim, Entity, load_catalogue
from mashbill.policy.columns import table_of
from mashbill.policy.index import Index
from mashbill.policy.keeping import open_index
from mashbill.policy.merging import merge
from mashbill.policy.relations import RELATIONS
from mashbill.policy.statuses import STATUSES

NAMES = ["a/one-7B", "b/Two-8x7B", "c/three-7B-8B", "d/four-7B-7B", "E/x.1B", "f/m-1.5B.gguf", "g"]


def index_of(entities, claims):
    return Index.of(merge([table_of(entities, Entity)], [table_of(claims, Claim)]))


@st.composite
def catalogues(draw):
    entities = [
        Entity(
            id=name,
            what=draw(st.sampled_from(["model", "model", "dataset"])),
            kind=draw(st.sampled_from(["open-weights", "closed-api", "unknown"])),
            provider=draw(st.sampled_from(["P", "Q", "unknown"])),
            country=draw(st.sampled_from(["CN", "US", "unknown"])),
            parameters=draw(st.sampled_from(["", "70B", "30B-A3B", "4B/12B/31B"])),
            context=draw(st.none() | st.just(8192)),
            takes=draw(st.sampled_from([(), ("text",), ("text", "image")])),
            released=draw(st.sampled_from(["", "2025", "2024-05-06"])),
        )
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True))
    ]
    figures = st.none() | st.sampled_from([0.0, 1.0, 2.0])
    claims = []
    for _ in range(draw(st.integers(0, 9))):
        child, parent = draw(
            st.lists(st.sampled_from([*NAMES, "new"]), min_size=2, max_size=2, unique=True)
        )
        claims.append(
            Claim(
                child=child,
                parent=parent,
                relation=draw(st.sampled_from(sorted(RELATIONS))),
                route=draw(st.sampled_from(["api", "weights", "unknown"])),
                tokens=draw(figures),
                share=draw(st.none() | st.sampled_from([0.25, 0.5])),
                rows=draw(figures),
                of=draw(st.sampled_from(["", "sft", "mid"])),
                of_tokens=draw(st.none() | st.just(6.0)),
                status=draw(st.sampled_from(STATUSES)),
                dispute=draw(st.sampled_from(["", "who"])),
                source=draw(st.sampled_from(["s", "t"])),
            )
        )
    return entities, claims


def told(things):
    """Return nodes and edges by what they say, whatever their numbers."""
    circuit = things.circuit

    def key(node):
        facts = tuple(things.columns[name][node] for name in FACTS)
        own = json.dumps(circuit.facts(node), sort_keys=True)
        measured = things.measured
        numbers = tuple(
            str(part[node])
            for part in (measured.parameters, measured.context, measured.takes, measured.downloads)
        )
        marks = (circuit.type, circuit.described, things.thing, circuit.is_model())
        return (circuit.digest(node), own, *(int(mark[node]) for mark in marks), facts, numbers)

    keys = [key(node) for node in range(circuit.size)]
    parent = np.repeat(np.arange(circuit.size), np.diff(circuit.start))
    edges = Counter(
        (keys[a], keys[b], int(label), str(tokens), int(records))
        for a, b, label, tokens, records in zip(
            parent, circuit.to, circuit.label, circuit.tokens, circuit.records, strict=True
        )
    )
    return Counter(keys), edges


def outcome(call):
    try:
        return call()
    except InputError as error:
        return str(error)


@law(120)
@given(catalogues(), st.sampled_from([STATUSES, STATUSES[:3], STATUSES[:1]]))
@example(([], []), STATUSES)
def test_the_circuit_by_column_is_that_of_the_claims(made, statuses):
    index = index_of(*made)
    whole = index.whole()
    plain = outcome(lambda: things_of_catalogue(lineage_of(whole, statuses)))
    by_column = outcome(lambda: things_of_index(index, statuses))
    if isinstance(plain, str):
        assert isinstance(by_column, str)
        return
    assert told(by_column) == told(plain)
    assert by_column.circuit.levels.tolist() == plain.circuit.levels.tolist()
    results = []
    for things in (by_column, plain):
        country = things.columns["country"]
        is_cn = np.array([value == "CN" for value in country.values], bool)
        removed = things.thing & is_cn[country.code]
        out = what_if(things, removed, load_definitions(("A", "C")))
        results.append(
            Counter(
                (
                    *(things.columns[name][n] for name in ("name", "route")),
                    *(part[n] for part in (out.loses, out.lost, out.used, out.steps)),
                    *(round(float(part[n]), 9) for part in (out.impact.low, out.impact.high)),
                    *(bool(d.reached[n]) for d in out.definitions),
                )
                for n in np.flatnonzero(things.thing).tolist()
            )
        )
    assert results[0] == results[1]


@law(60)
@given(catalogues(), st.sampled_from([STATUSES, STATUSES[:3]]))
def test_a_part_answers_as_the_whole_does(made, statuses):
    index = index_of(*made)
    whole = index.whole()
    lineage = outcome(lambda: lineage_of(whole, statuses))
    if isinstance(lineage, str):
        return
    for name, entity in whole.entities.items():
        part = index.part([name])
        assert part.entities.items() <= whole.entities.items()
        mine = lineage_of(part, statuses)
        assert sorted(map(str, bill(mine.of(entity)))) == sorted(map(str, bill(lineage.of(entity))))
        pairs = zip(judge_all(mine.of(entity)), judge_all(lineage.of(entity)), strict=True)
        for a, b in pairs:
            for one, two in zip(a, b, strict=True):
                assert (one.conclusion, one.depth, set(one.sources), one.share, one.unknown) == (
                    two.conclusion, two.depth, set(two.sources), two.share, two.unknown
                )  # fmt: skip
        doubts = [unsettled(c, entity, ["A", "C"], statuses) for c in (part, whole)]
        assert doubts[0] == doubts[1]
        for each in part.entities:
            assert kind_of_public(part, each) == kind_of_public(whole, each)


def test_the_shipped_catalogue_makes_the_same_circuit():
    catalogue = load_catalogue()
    index = index_of(catalogue.entities.values(), catalogue.claims)
    assert told(things_of_index(index)) == told(things_of_catalogue(lineage_of(catalogue)))


def test_a_circle_is_cut_where_the_weakest_claim_is():
    claims = [
        Claim(child="a", parent="b", relation="sft-data", source="s"),
        Claim(child="b", parent="a", relation="sft-data", source="s", status="derived"),
        Claim(child="c", parent="a", relation="sft-data", source="s"),
    ]
    made = hub_of(index_of([], claims))
    assert [made.circuit.digest(n) for n in made.circuit.to.tolist()].count("a") == 1


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_read_from_names_as_one_by_one(name):
    entity = Entity(id=name, what="model")
    plain = things_of_catalogue(lineage_of(Catalogue({name: entity}, (), {name.lower(): name})))
    by_column = things_of_index(index_of([entity], []))
    assert str(by_column.measured.parameters) == str(plain.measured.parameters)


def test_a_circuit_is_kept_beside_the_index_and_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("MASHBILL_KEY_FILE", str(tmp_path / "key.pem"))
    plain = told(things_of_index(open_index()))
    for _ in range(2):
        index = open_index(folder=tmp_path / "cache", kept_from=0)
        assert told(things_of_index(index)) == plain
        monkeypatch.setattr(hub, "_tables", lambda *_: pytest.fail("it was made anew"))
    monkeypatch.undo()
    monkeypatch.setenv("MASHBILL_KEY_FILE", str(tmp_path / "key.pem"))
    for file in (tmp_path / "cache").glob("*-circuit*.arrow"):
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    index = open_index(folder=tmp_path / "cache", kept_from=0)
    assert told(things_of_index(index, STATUSES)) != plain
    assert told(things_of_index(index)) == plain
