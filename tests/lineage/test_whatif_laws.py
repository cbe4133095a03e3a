"""Over what an impact is told: laws on random catalogues, not examples."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_wording import held
from tests_laws import law

from mashbill import InputError
from mashbill.lineage.bills.definitions import load_definitions
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.whatif.passes import what_if
from mashbill.lineage.whatif.population import Population, impact_in_all, read_population, score
from mashbill.lineage.whatif.population import shipped as well_known
from mashbill.lineage.whatif.roster import Hit, Roster
from mashbill.lineage.whatif.scenarios import removing, tell
from mashbill.lineage.whatif.series import by_quarter
from mashbill.lineage.whatif.things import things_of_catalogue
from mashbill.lineage.whatif.unknowns import bounds
from mashbill.policy.claims import Catalogue, Claim, Entity
from mashbill.policy.documents import load_registry

LAWS = law(150)
DEFINITIONS = load_definitions(["A", "B", "C"])
RELATIONS = ("sft-data", "base-weights", "logits", "rl-judge", "filter-classifier", "rewrite")
DAYS = ("", "2024", "2024-05", "2025-01-20", "2025-11")


def named(number):
    return f"o/{number}"


@st.composite
def catalogues(draw, first=0, most=9):
    """Entities and claims of a random catalogue; a parent always has the smaller number."""
    size = draw(st.integers(1, most))
    entities, claims = [], []
    for number in range(first, first + size):
        what = draw(st.sampled_from(["model", "model", "dataset"]))
        downloads = draw(st.sampled_from([None, 0, 10, 1000]))
        counted = (
            {"downloads_on": "2026-11-01", "downloads_source": "t"} if downloads is not None else {}
        )
        entities.append(
            Entity(
                id=named(number), what=what, released=draw(st.sampled_from(DAYS)),
                kind="public-dataset" if what == "dataset" else
                draw(st.sampled_from(["open-weights", "closed-api"])),
                provider=f"maker {number % 3}", downloads=downloads, **counted,
            )
        )  # fmt: skip
        for parent in (
            draw(st.sets(st.integers(first, number - 1), max_size=3)) if number > first else ()
        ):
            is_data = entities[parent - first].what == "dataset"
            relation = "trained-on" if is_data else draw(st.sampled_from(RELATIONS))
            route = "unknown" if is_data else draw(st.sampled_from(["unknown", "api"]))
            tokens = draw(st.sampled_from([None, 5.0]))
            claims.append(
                Claim(child=named(number), parent=named(parent), relation=relation, route=route,
                      tokens=tokens, source="t")
            )  # fmt: skip
    return entities, claims


def asked(entities, claims, gone, members, rename=lambda name: name):
    """Return every figure that is told over a population, if entities of these names go."""
    entities = [entity.model_copy(update={"id": rename(entity.id)}) for entity in entities]
    claims = [
        claim.model_copy(update={"child": rename(claim.child), "parent": rename(claim.parent)})
        for claim in claims
    ]
    names = {entity.id.lower(): entity.id for entity in entities}
    catalogue = Catalogue({entity.id: entity for entity in entities}, tuple(claims), names)
    things = things_of_catalogue(lineage_of(catalogue))
    gone = {rename(name) for name in gone}
    column = things.columns["name"]
    removed = things.thing & np.array([value in gone for value in column.values])[column.code]
    outcome = what_if(things, removed, DEFINITIONS)
    roster = Roster.of(things)
    hit = Hit.of(roster, outcome)
    found = {
        "models": impact_in_all(roster, hit, roster.is_model),
        "datasets": impact_in_all(roster, hit, roster.is_data),
    }
    if members:
        listed = Population("x", tuple((rename(n), what) for n, what in members), "0")
        found["list"] = score(listed, roster, hit, names)
    may = bounds(things, removed)
    found["unknown"] = [
        int(roster.each(np.logical_or, mask).sum())
        for mask in (outcome.loses | removed, may.if_nothing_recorded, may.if_anything_missing)
    ]
    found["losers"] = {
        column.values[at] for at in column.code[np.flatnonzero(outcome.loses)].tolist()
    }
    found["under"] = [
        int(roster.each(np.logical_or, told.reached).sum()) for told in outcome.definitions
    ]
    found["series"] = by_quarter(roster, hit, roster.is_model)
    return found


def figures(found):
    """Return what must never fall when more goes: one list of numbers."""
    numbers = [*found["under"], len(found["losers"]), *found["unknown"]]
    for key in ("models", "datasets"):
        part = found[key]
        numbers += [part[name] for name in ("go", "lose_an_ancestor", "hit")]
        numbers += [*part["impact"], *part["downloads"]["impact"]]
        if "list" in found:
            listed = found["list"][key]
            numbers += [*(listed["score"] or ()), *(listed["by_downloads"]["score"] or ())]
            numbers.append(listed["hit"])
    return numbers


def members_of(entities, data):
    chosen = data.draw(st.lists(st.sampled_from(entities), unique_by=lambda e: e.id, max_size=5))
    absent = [("o/absent", "model")] if data.draw(st.booleans()) else []
    return [(entity.id, entity.what) for entity in chosen] + absent


def gone_of(entities, data, least=1):
    names = [entity.id for entity in entities]
    return set(data.draw(st.lists(st.sampled_from(names), min_size=least, unique=True)))


@LAWS
@given(catalogues(), st.data())
def test_no_figure_falls_when_more_goes(made, data):
    entities, claims = made
    less, more = gone_of(entities, data), gone_of(entities, data, 0)
    members = members_of(entities, data)
    one = asked(entities, claims, less, members)
    two = asked(entities, claims, less | more, members)
    assert one["losers"] <= two["losers"]
    assert all(a <= b + 1e-9 for a, b in zip(figures(one), figures(two), strict=True))


@LAWS
@given(catalogues(), catalogues(first=100), st.data())
def test_what_has_nothing_to_do_with_it_moves_no_figure(made, other, data):
    entities, claims = made
    more_entities, more_claims = other
    gone, members = gone_of(entities, data), members_of(entities, data)
    one = asked(entities, claims, gone, members)
    two = asked(entities + more_entities, claims + more_claims, gone, members)
    for found in (one, two):  # unknown things beside may hide one, and all on record are more
        found.pop("unknown")
        for key in ("models", "datasets"):
            found[key].pop("in_all")
            found[key].pop("making_recorded")
    quarters = ("go", "lose_an_ancestor", "hit")
    hits = [
        {
            row["quarter"]: [row[name] for name in quarters]
            for row in found.pop("series")
            if row["hit"]
        }
        for found in (one, two)
    ]
    assert hits[0] == hits[1]
    assert figures({**one, "unknown": []}) == pytest.approx(figures({**two, "unknown": []}))
    assert one["losers"] == two["losers"]


@LAWS
@given(catalogues(), st.data())
def test_other_names_and_another_order_move_no_figure(made, data):
    entities, claims = made
    gone, members = gone_of(entities, data), members_of(entities, data)
    one = asked(entities, claims, gone, members)
    order = data.draw(st.permutations(entities)), data.draw(st.permutations(claims))
    two = asked(*order, gone, members, rename=lambda name: f"p/x{name[2:][::-1]}y")
    assert figures(one) == pytest.approx(figures(two))
    assert one["series"] == two["series"]


@LAWS
@given(catalogues(), st.data())
def test_every_figure_is_in_the_range_that_is_stated(made, data):
    entities, claims = made
    found = asked(entities, claims, gone_of(entities, data), members_of(entities, data))
    recorded, nothing, missing = found["unknown"]
    assert recorded <= nothing <= missing <= len(entities)
    for key, what in (("models", "model"), ("datasets", "dataset")):
        part = found[key]
        low, high = part["impact"]
        assert part["impact_is_from_to"] == [0, part["hit"]]
        assert 0 <= low <= high + 1e-9
        assert high <= part["hit"] + 1e-9
        assert part["hit"] <= part["go"] + part["lose_an_ancestor"]
        assert part["stay_and_lose"] == part["hit"] - part["go"]
        assert part["in_all"] == sum(entity.what == what for entity in entities)
        low, high = part["downloads"]["impact"]
        assert 0 <= low <= high + 1e-9
        assert high <= part["downloads"]["hit"] + 1e-9
        if "list" in found:
            listed = found["list"][key]
            for scored in (listed["score"], listed["by_downloads"]["score"]):
                assert scored is None or 0 <= scored[0] <= scored[1] + 1e-9 <= 100 + 1e-6
    assert sum(row["released"] for row in found["series"]) == found["models"]["in_all"]


@LAWS
@given(catalogues(), st.data())
def test_one_of_whose_making_nothing_is_recorded_counts_from_0_to_100(made, data):
    entities, claims = made
    gone = gone_of(entities, data)
    known = {claim.child for claim in claims}
    bare = [entity for entity in entities if entity.id not in known | gone]
    assume(bare)
    for entity in bare:
        found = asked(entities, claims, gone, [(entity.id, entity.what)])["list"]
        assert found["models" if entity.what == "model" else "datasets"]["score"] == [0, 100]


@LAWS
@given(catalogues(), st.data())
def test_a_way_more_to_reach_a_model_makes_it_no_second_one(made, data):
    entities, claims = made
    gone = gone_of(entities, data)
    one = asked(entities, claims, gone, [])
    by_weights = [claim.model_copy(update={"route": "unknown"}) for claim in claims]
    assert figures(one) == pytest.approx(figures(asked(entities, by_weights, gone, [])))


def test_what_came_out_before_cannot_rest_on_it():
    entities = [
        Entity(id=name, what="model", kind="open-weights", released=day)
        for name, day in (("o/gone", "2025-06"), ("o/before", "2025-05-31"), ("o/after", "2025-06"),
                          ("o/some-day", ""))
    ]  # fmt: skip
    assert asked(entities, [], {"o/gone"}, [])["unknown"] == [1, 3, 3]


def test_the_shipped_list_names_48_and_never_changes():
    listed = well_known()
    assert len(listed.members) == 48
    assert listed.name == "well-known-1"
    assert listed.sha256.startswith("bc7553d1a3ac1dd5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names\nx\n", "the header is name,what"),
        ("name,what\n", "names nothing"),
        ("name,what\no/a,thing\n", "line 2"),
        ("name\n,\n", "line 2"),
        ("name,what\no/a,model,more\n", "line 2"),
    ],
)
def test_a_list_that_is_none_is_told(tmp_path, text, message):
    file = tmp_path / "mine.csv"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        read_population(file)
    assert str(file) in str(error.value)
    assert message in str(error.value)


def test_a_list_of_names_alone_is_of_models(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("name\no/a\n o/b \n")
    assert read_population(file).members == (("o/a", "model"), ("o/b", "model"))


# ---- the same laws in a tangle: rings, claims that contradict, the same edge twice ----

TANGLED = (*RELATIONS, "trained-on", "composed-from", "verifier-filter")
REGISTRY = load_registry()


@st.composite
def tangles(draw, first=0):
    """A catalogue with claims between any two of its entities, whatever was claimed before."""
    entities, claims = draw(catalogues(first=first, most=6))
    numbers = st.integers(first, first + len(entities) - 1)
    for _ in range(draw(st.integers(1, 8))):
        child, parent = draw(st.tuples(numbers, numbers))
        if child == parent:  # a claim is about two
            continue
        for _ in range(draw(st.integers(1, 2))):
            claims.append(
                Claim(
                    child=named(child),
                    parent=named(parent),
                    relation=draw(st.sampled_from(TANGLED)),
                    route=draw(st.sampled_from(["unknown", "api", "weights"])),
                    tokens=draw(st.sampled_from([None, 5.0])),
                    status=draw(st.sampled_from(["stated", "derived", "alleged", "sworn"])),
                    dispute=draw(st.sampled_from(["", "who made it"])),
                    source="t",
                )
            )
    return entities, claims


@law(120)
@given(tangles(), st.data())
def test_no_figure_falls_when_more_goes_in_a_tangle(made, data):
    entities, claims = made
    less, more = gone_of(entities, data), gone_of(entities, data, 0)
    members = members_of(entities, data)
    one = asked(entities, claims, less, members)
    two = asked(entities, claims, less | more, members)
    assert one["losers"] <= two["losers"]
    assert all(a <= b + 1e-9 for a, b in zip(figures(one), figures(two), strict=True))


@law(80)
@given(tangles(), tangles(first=100), st.data())
def test_another_tangle_beside_it_moves_no_figure(made, other, data):
    entities, claims = made
    gone, members = gone_of(entities, data), members_of(entities, data)
    one = asked(entities, claims, gone, members)
    two = asked(entities + other[0], claims + other[1], gone, members)
    assert one["losers"] == two["losers"]
    assert figures({**one, "unknown": []}) == pytest.approx(figures({**two, "unknown": []}))


@law(80)
@given(tangles(), st.data())
def test_the_same_claims_twice_say_no_more(made, data):
    entities, claims = made
    gone, members = gone_of(entities, data), members_of(entities, data)
    one = asked(entities, claims, gone, members)
    two = asked(entities, [*claims, *claims], gone, members)
    assert one["losers"] == two["losers"]
    assert one["series"] == two["series"]
    for key in ("models", "datasets"):
        assert one[key]["hit"] == two[key]["hit"]


@law(60)
@given(tangles(), st.data())
def test_a_tangle_is_told_in_sentences(made, data):
    entities, claims = made
    names = {entity.id.lower(): entity.id for entity in entities}
    catalogue = Catalogue({entity.id: entity for entity in entities}, tuple(claims), names)
    things = things_of_catalogue(lineage_of(catalogue))
    gone = " || ".join(f'name == "{name}"' for name in sorted(gone_of(entities, data)))
    day = data.draw(st.dates())
    scenario = removing(things, gone, day)
    told = tell(things, scenario, load_definitions(["A", "B", "C"]), REGISTRY, day).as_json()
    assert told["hit"] == told["removed"] + told["stay_and_lose"]
    assert held("\n".join(told["first_lines"])) == []
