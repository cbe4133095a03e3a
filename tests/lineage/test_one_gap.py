"""How much hangs on one gap, against a run of its own for each."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.lineage.bills.definitions import load_definitions
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.circuit.semirings import REACHABLE, evaluate
from mashbill.lineage.whatif import one_gap as module
from mashbill.lineage.whatif.one_gap import one_gap
from mashbill.lineage.whatif.passes import what_if
from mashbill.lineage.whatif.roster import Hit, Roster
from mashbill.lineage.whatif.scenarios import removing, tell
from mashbill.lineage.whatif.things import things_of_catalogue
from mashbill.lineage.whatif.unknowns import bounds
from mashbill.policy.claims import Catalogue, Claim, Entity, load_catalogue
from mashbill.policy.documents import load_registry

SHIPPED = things_of_catalogue(lineage_of(load_catalogue()))
DAY = date(2026, 11, 28)


def held(things, removed, every=1):
    """Hold what is said of each gap to a run in which it alone hid what goes."""
    roster = Roster.of(things)
    hit = Hit.of(roster, what_if(things, removed, ()))
    kinds = {"models": roster.is_model, "datasets": roster.is_data}
    may = bounds(things, removed)
    found = one_gap(roster, hit, may.gap, kinds)
    names = things.columns["name"]
    whole = np.ones(things.circuit.size, bool)
    expected = {names[n] for n in np.flatnonzero(may.gap).tolist()}
    expected -= {names[n] for n in roster.node[hit.any].tolist()}
    told = [names[int(roster.node[entry])] for entry in found.entry.tolist()]
    assert set(told) <= expected
    assert len(set(told)) == len(told)
    assert found.things == len(expected)
    assert len(told) == len(expected) or len(told) >= module.FOLLOWED
    for at in range(0, len(told), every):
        mine = np.array([text == told[at] for text in names.values], bool)[names.code]
        reached = evaluate(things.circuit, REACHABLE, things.thing & mine, whole) & things.thing
        more = roster.each(np.logical_or, reached) & ~hit.any
        for key, which in kinds.items():
            assert found.more[key][at] == (more & which).sum()
            assert found.more[key][at] <= (which & ~hit.any).sum()
    return found.as_json(roster)


@st.composite
def catalogues(draw):
    size = draw(st.integers(2, 9))
    whats = draw(st.lists(st.sampled_from(["model", "dataset"]), min_size=size, max_size=size))
    entities = {
        f"o/{n}": Entity(
            id=f"o/{n}", what=what, kind="open-weights" if what == "model" else "public-dataset"
        )
        for n, what in enumerate(whats)
    }
    claims = tuple(
        Claim(child=f"o/{n}", parent=f"o/{parent}", source="t",
              relation="sft-data" if whats[parent] == "model" else "trained-on")
        for n in range(1, size)
        for parent in sorted(draw(st.sets(st.integers(0, n - 1), max_size=2)))
    )  # fmt: skip
    return Catalogue(entities, claims, {})


@law(80)
@given(catalogues(), st.data())
def test_each_gap_takes_what_a_run_of_its_own_takes(catalogue, data):
    things = things_of_catalogue(lineage_of(catalogue))
    nodes = np.flatnonzero(things.thing)
    removed = np.zeros(things.circuit.size, bool)
    removed[nodes[data.draw(st.sets(st.integers(0, len(nodes) - 1), min_size=1).map(list))]] = True
    held(things, removed)


@pytest.mark.parametrize("followed", [512, 3])
def test_in_the_catalogue_each_gap_takes_what_a_run_of_its_own_takes(followed, monkeypatch):
    monkeypatch.setattr(module, "FOLLOWED", followed)
    scenario = removing(SHIPPED, 'country == "CN" && kind == "open-weights"', DAY)
    facts = held(SHIPPED, scenario.removed, every=9)
    assert facts["models"]["most"] > facts["models"]["mean"] > 0
    assert facts["looked_at"] <= facts["things"]
    told = tell(SHIPPED, scenario, load_definitions(["A"]), load_registry(), DAY).as_json()
    assert told["one_gap"] == facts
    sentence = next(line for line in told["first_lines"] if "If only one of " in line)
    assert facts["models"]["most_by"] in sentence
    assert ("that are looked at" in sentence) == (facts["looked_at"] < facts["things"])
