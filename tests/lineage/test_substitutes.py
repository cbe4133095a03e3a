"""Who could take a place: by role, capability and terms, and never by what is not recorded."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.source import Channel
from mashbill.core.use import Use
from mashbill.lineage.bills.definitions import load_definitions
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.whatif.capability import (
    CONTEXT_EDGES,
    DATA,
    SIZE_EDGES,
    described,
    fit,
    profiles,
    size_words,
)
from mashbill.lineage.whatif.floor import is_named
from mashbill.lineage.whatif.lead import STEPS, after, every_step, shipped
from mashbill.lineage.whatif.passes import what_if
from mashbill.lineage.whatif.scenarios import forbidding, removing, tell
from mashbill.lineage.whatif.things import Measures, things_of_catalogue
from mashbill.lineage.whatif.use_terms import Asking
from mashbill.policy.claims import MEDIA, Catalogue, Claim, Entity, load_catalogue
from mashbill.policy.decision import OUTCOMES
from mashbill.policy.documents import load_registry
from mashbill.policy.restrictions import reached_by

DEFINITIONS = load_definitions(["A"])
REGISTRY = load_registry()
DAY = date(2026, 11, 28)
MEASURES = st.tuples(
    st.sampled_from([None, 1e9, 2e9, 7e9, 8e9, 32e9, 70e9, 671e9]),
    st.sampled_from([None, 4096, 8192, 32768, 128_000, 131_072, 1_000_000]),
    st.sets(st.sampled_from(MEDIA)),
)


def profile_of(*rows, is_data=False):
    parameters, context, takes = zip(*rows, strict=True)
    measures = Measures(
        np.array([np.nan if n is None else n for n in parameters], float),
        np.array([np.nan if n is None else n for n in context], float),
        np.array([sum(1 << MEDIA.index(m) for m in set(t)) for t in takes], np.uint8),
        np.full(len(rows), np.nan),
    )
    return profiles(measures, np.full(len(rows), is_data))


def band(value, edges):
    return None if value is None else sum(value >= edge for edge in edges)


@law(300)
@given(MEASURES, MEASURES, st.sampled_from([Channel.CONTENT, Channel.WEIGHTS, Channel.JUDGEMENT]))
def test_who_fits_is_what_the_words_say(lost, other, channel):
    mine, theirs = profile_of(lost, other)
    found = fit(np.array([mine]), channel)
    size, their_size = band(lost[0], SIZE_EDGES), band(other[0], SIZE_EDGES)
    context, their_context = band(lost[1], CONTEXT_EDGES), band(other[1], CONTEXT_EDGES)
    known = None not in (size, their_size, context, their_context) and lost[2] and other[2]
    against = [
        None not in (size, their_size)
        and (their_size != size if channel is Channel.WEIGHTS else their_size < size),
        None not in (context, their_context) and their_context < context,
        bool(lost[2] and other[2]) and not lost[2] <= other[2],
    ]
    assert found.might[0, theirs] == (not any(against))
    assert found.fits[0, theirs] == (bool(known) and not any(against))
    assert not found.might[0, DATA]
    assert (found.fits <= found.might).all()


def test_data_stand_in_for_data_and_are_never_known_to_fit():
    data = profile_of((None, None, ()), is_data=True)
    found = fit(data, Channel.CONTENT)
    assert found.might[0].nonzero()[0].tolist() == [DATA]
    assert not found.fits.any()


def test_what_is_not_recorded_is_said():
    assert described(np.nan, np.nan, 0) == [
        "size not recorded",
        "context not recorded",
        "what it takes in is not recorded",
    ]
    assert described(671e9, 128_000, 1) == [
        "671B parameters",
        "context 128,000 tokens",
        "takes text",
    ]
    assert [size_words(n) for n in (0, 1, 2, 7)] == [
        "size not recorded",
        "up to 1.5 billion parameters",
        "1.5 to 4.5 billion parameters",
        "over 500 billion parameters",
    ]


def model(name, size="", context=None, takes=(), **more):
    facts = {"kind": "open-weights", "license": "MIT", **more}
    return Entity(id=name, what="model", parameters=size, context=context, takes=takes, **facts)


def told(entities, claims, remove):
    catalogue = Catalogue({e.id: e for e in entities}, tuple(claims), {})
    things = things_of_catalogue(lineage_of(catalogue))
    scenario = removing(things, remove, DAY)
    return tell(things, scenario, DEFINITIONS, REGISTRY, DAY)


def taught(child, *parents, relation="sft-data"):
    return [Claim(child=child, parent=parent, relation=relation, source="t") for parent in parents]


TEXT = ("text",)
TEACHER = model("o/big", "671B", 128_000, TEXT, country="XX")
OTHERS = {
    "n/like": model("n/like", "675B", 131_072, TEXT),
    "n/more": model("n/more", "1T", 262_144, ("text", "image")),
    "n/small": model("n/small", "2B", 131_072, TEXT),
    "n/short": model("n/short", "675B", 8_192, TEXT),
    "n/blind": model("n/blind", "675B", 131_072, ("image",)),
    "n/unsized": model("n/unsized", "", 131_072, TEXT),
    "n/untold": model("n/untold"),
    "n/open": model("n/open", "675B", None, TEXT),
    "n/Kimi (unspecified)": model("n/Kimi (unspecified)", "675B", 131_072, TEXT),
    "n/unlicensed": model("n/unlicensed", "675B", 131_072, TEXT, license=None),
    "n/barred": model("n/barred", "675B", 131_072, TEXT, license="cc-by-nc-nd-4.0"),
    "n/later": model("n/later", "675B", 131_072, TEXT, released="2027-03"),
    "n/rests": model("n/rests", "675B", 131_072, TEXT),
    "n/idle": model("n/idle", "675B", 131_072, TEXT),
}


def test_a_substitute_has_the_role_the_size_the_context_the_media_and_the_leave():
    teaching = [name for name in OTHERS if name != "n/idle"]
    claims = [
        *taught("o/child", "o/big"),
        *taught("n/else", *teaching),
        *taught("n/rests", "o/big"),
        *taught("n/other", "n/idle", relation="base-weights"),
    ]
    children = [model(name, "7B") for name in ("o/child", "n/else", "n/other")]
    facts = told([TEACHER, *OTHERS.values(), *children], claims, 'country == "XX"').as_json()
    (place,) = facts["lost"]["told"]
    assert (place["name"], place["role"]) == ("o/big", "writes text")
    assert {item["name"] for item in place["fit"]} == {"n/like", "n/more"}
    might = {item["name"]: item["not_known"] for item in place["might_fit"]}
    assert might == {"n/open": ["its context"], "n/barred": ["whether its terms allow it"]}
    # n/unsized, n/untold, n/unlicensed, and the one that nobody named
    assert place["too_little_known_of"] == 4
    assert facts["made_again"]["models"]["with what stays, or what is known to fit"] >= 1


def test_what_only_might_fit_is_never_counted_as_fitting():
    claims = [*taught("o/child", "o/big"), *taught("n/else", "n/open", "n/small")]
    entities = [TEACHER, OTHERS["n/open"], OTHERS["n/small"], model("o/child"), model("n/else")]
    facts = told(entities, claims, 'country == "XX"').as_json()
    assert facts["without_substitute"] == [0, 1]
    (child,) = facts["artifacts"]
    assert child["made_again"] == "only with what might fit"
    assert child["rebuilt_by"] is not None


def test_nobody_is_a_substitute_who_is_known_to_be_too_small():
    claims = [*taught("o/child", "o/big"), *taught("n/else", "n/small")]
    entities = [TEACHER, OTHERS["n/small"], model("o/child"), model("n/else")]
    facts = told(entities, claims, 'country == "XX"').as_json()
    assert facts["without_substitute"] == [1, 1]
    assert facts["artifacts"][0]["rebuilt_by"] is None
    assert facts["roles"][0]["none_that_might"] == 1


@law(60)
@given(st.data())
def test_only_who_stays_whole_is_a_candidate(data):
    names = [f"o/{n}" for n in range(8)]
    claims = []
    for at in range(1, 8):
        for parent in data.draw(st.sets(st.integers(0, at - 1), max_size=2)):
            relation = data.draw(st.sampled_from(["sft-data", "base-weights", "rl-judge"]))
            claims += taught(names[at], names[parent], relation=relation)
    catalogue = Catalogue(
        {name: model(name, "7B", 8192, TEXT) for name in names}, tuple(claims), {}
    )
    things = things_of_catalogue(lineage_of(catalogue))
    removed = np.zeros(things.circuit.size, bool)
    nodes = np.flatnonzero(things.thing)
    removed[nodes[data.draw(st.lists(st.sampled_from(range(len(nodes))), min_size=1))]] = True
    asking = Asking(REGISTRY, Use(), DAY, DAY)
    outcome = what_if(things, removed, DEFINITIONS, asking)
    for place, (candidates, _) in outcome.places.candidates.items():
        assert not outcome.removed[candidates].any()
        assert not outcome.loses[candidates].any()
        assert (outcome.uses[candidates, place] > 0).all()
        bit = 1 << place
        some = len(candidates) > 0
        for node in np.flatnonzero(removed & things.thing):  # all are of one size
            assert bool(outcome.places.no_might[node] & bit) != some


def test_in_the_catalogue_a_small_model_is_no_substitute_for_a_large_one():
    things = things_of_catalogue(lineage_of(load_catalogue()))
    sizes = things.measured.parameters
    by_name = {things.title(n): n for n in np.flatnonzero(things.thing).tolist()}
    for text in ('country == "CN" && kind == "open-weights"', 'kind == "closed-api"'):
        facts = tell(things, removing(things, text, DAY), DEFINITIONS, REGISTRY, DAY).as_json()
        for place in facts["lost"]["told"]:
            own = sizes[by_name[place["name"]]]
            for item in place["fit"] + place["might_fit"]:
                other = sizes[by_name[item["name"]]]
                if not np.isnan(own) and not np.isnan(other):
                    assert band(other, SIZE_EDGES) >= band(own, SIZE_EDGES)
            assert all(item["terms"] == "allow" for item in place["fit"])
            assert all(item["not_known"] for item in place["might_fit"])


def test_every_lead_time_says_what_it_rests_on():
    times = shipped()
    assert set(times.rows) == set(STEPS)
    for rows in times.rows.values():
        months = [row.months for row in rows]
        assert months == sorted(months)
        assert rows[-1].below == float("inf")
        for row in rows:
            assert row.assumption
            assert bool(row.source) == bool(row.states) == bool(row.gpu_hours)
    every = {(step, row.months) for step, rows in times.rows.items() for row in rows}
    assert [step for step, months in every if months >= 6] == ["scratch"]
    assert times.rows["scratch"][-1].months == 6


@pytest.mark.parametrize(
    ("size", "relation", "months"),
    [
        ("3B", "sft-data", (2, 2)),
        ("400B", "sft-data", (6, 6)),
        ("", "sft-data", (2, 6)),
        ("3B", "base-weights", (1, 1)),
        ("400B", "base-weights", (3, 3)),
        ("", "base-weights", (1, 3)),
    ],
)
def test_a_lead_time_follows_from_step_and_size(size, relation, months):
    found = told([TEACHER, model("o/child", size), model("n/else"), OTHERS["n/like"]],
                 [*taught("o/child", "o/big", relation=relation),
                  *taught("n/else", "n/like", relation=relation)], 'country == "XX"')  # fmt: skip
    (child,) = found.as_json()["artifacts"]
    assert child["rebuilt_by"] == [
        after(DAY, months[0]).isoformat(),
        after(DAY, months[1]).isoformat(),
    ]


def test_months_that_somebody_sets_hold_for_every_step():
    things = things_of_catalogue(lineage_of(load_catalogue()))
    scenario = forbidding(things, "OpenAI forbids training from 2027-01-01", REGISTRY)
    facts = tell(things, scenario, DEFINITIONS, REGISTRY, DAY, lead=every_step(4)).as_json()
    for item in facts["artifacts"]:
        if item["rebuilt_by"]:
            day = after(date(2027, 1, 1), 4 * item["rebuild_steps"]).isoformat()
            assert item["rebuilt_by"] == [day, day]


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("deepseek-ai/DeepSeek-R1", True), ("google/Gemma-3 IT teacher (not named)", False),
        ("moonshotai/Kimi (unspecified)", False), ("moonshotai/Kimi domain experts (K2)", True),
        ("allenai/dolma3_dolmino_mix (stem-heavy-crawl)", True), ("x/y (unknown)", False),
        ("lmsys/ShareGPT conversations (not released)", False), ("x/y (N/A)", False),
        ("x/y ( Unnamed )", False), ("x/Nothing", True), ("", False),
    ],
)  # fmt: skip
def test_what_nobody_named_is_no_candidate(name, named):
    assert is_named(name) is named


@pytest.mark.parametrize(
    "text",
    [
        'country == "CN" && kind == "open-weights"',
        'kind == "closed-api"',
        'provider == "Meta"',
        'name == "deepseek-ai/DeepSeek-R1"',
        'what == "dataset" && country == "US"',
        'route == "api:openai"',
    ],
)
def test_in_the_catalogue_each_candidate_has_a_name_a_size_and_terms_and_is_told_once(text):
    things = things_of_catalogue(lineage_of(load_catalogue()))
    found = tell(things, removing(things, text, DAY), DEFINITIONS, REGISTRY, DAY)
    outcome, columns = found.outcome, things.columns
    for place, (nodes, terms) in outcome.places.candidates.items():
        little = outcome.places.little_known[place]
        assert not set(little.tolist()) & set(nodes.tolist())
        for node, word in zip(nodes.tolist(), terms.tolist(), strict=True):
            assert is_named(columns["name"][node])
            assert columns["what"][node] == "dataset" or things.measured.parameters[node] > 0
            source = things.circuit.source(node)
            assert (
                OUTCOMES[word] == "allow"
                or columns["license"][node]
                or any(
                    REGISTRY.governing(who, source.name, route, DAY)
                    for who, route in reached_by(source)
                )
            )
    told_once = found.as_json()["lost"]
    names = [(place["name"], place["role"]) for place in told_once["told"]]
    assert len(set(names)) == len(names)
    for place in told_once["told"]:
        offered = [item["name"] for key in ("fit", "might_fit") for item in place[key]]
        assert len(set(offered)) == len(offered)
        assert len(place["fit"]) == min(place["fit_in_all"], 5)
        assert len(place["might_fit"]) == min(place["might_fit_in_all"], 5)
