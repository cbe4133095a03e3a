"""What breaks if some sources go: against oracles on random circuits, and over the catalogue."""

from collections import Counter
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests_circuits import circuits, source
from tests_laws import law

from mashbill import InputError
from mashbill.lineage.bills.definitions import load_definitions
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.circuit.arrays import CHANNEL_OF, MADE, Circuit
from mashbill.lineage.circuit.nodes import NodeTable, edges
from mashbill.lineage.whatif.flows import BUILT_ON, THROUGH, flows_of
from mashbill.lineage.whatif.impact import WEIGHTS
from mashbill.lineage.whatif.lead import after, shipped
from mashbill.lineage.whatif.passes import what_if
from mashbill.lineage.whatif.roles import CHANNELS, SERVES
from mashbill.lineage.whatif.scenarios import Scenario, forbidding, removing, tell
from mashbill.lineage.whatif.selection import select
from mashbill.lineage.whatif.summary import MADE_AGAIN
from mashbill.lineage.whatif.things import (
    FACTS,
    Column,
    Measures,
    Things,
    expression,
    things_of_catalogue,
)
from mashbill.policy.claims import load_catalogue
from mashbill.policy.documents import load_registry
from mashbill.policy.statuses import COUNTED

DEFINITIONS = load_definitions(["A", "B", "C"])
REGISTRY = load_registry()
LINEAGE = lineage_of(load_catalogue())
CATALOGUE = things_of_catalogue(LINEAGE)
ENTITIES = LINEAGE.catalogue.entities
CLAIMS = [c for c in LINEAGE.catalogue.claims if c.status in COUNTED and c not in LINEAGE.left_out]
TODAY = date(2026, 11, 24)
CHINESE = 'country == "CN" && kind == "open-weights"'
LAWS = law(80)


def things_of(table, draw=None):
    """Return a table's things; sizes and media are drawn if ``draw`` draws, else not recorded."""
    circuit = Circuit.of(table)
    size = circuit.size
    columns = {fact: Column.of([""] * size) for fact in FACTS}
    columns["name"] = Column.of(circuit.title(n) for n in range(size))
    columns["provider"] = Column.of(f"maker {n % 4}" for n in range(size))
    columns["what"] = Column.of(
        "model" if is_model else "dataset" for is_model in circuit.is_model()
    )
    measures = None
    if draw is not None:
        known = st.lists(st.sampled_from([None, 1, 2]), min_size=size, max_size=size)
        sizes, contexts, media = (draw(known) for _ in range(3))
        measures = Measures(
            np.array([np.nan if n is None else n * 7e9 for n in sizes]),
            np.array([np.nan if n is None else n * 8_000 for n in contexts]),
            np.array([n or 0 for n in media], np.uint8),
            np.full(size, np.nan),
        )
    return Things(circuit, circuit.type != MADE, columns, measures)


def chosen(things, numbers):
    nodes = np.flatnonzero(things.thing)
    removed = np.zeros(things.circuit.size, bool)
    removed[[nodes[n % len(nodes)] for n in numbers]] = True
    return removed


@LAWS
@given(circuits(), st.sets(st.integers(0, 20), min_size=1, max_size=3))
def test_what_loses_an_ancestor_is_what_a_walk_finds(table, numbers):
    things = things_of(table)
    circuit = things.circuit
    removed = chosen(things, numbers)
    outcome = what_if(things, removed, DEFINITIONS, lead=shipped())
    name = {circuit.digest(n): n for n in range(circuit.size)}

    def rests(digest, seen=()):
        return any(
            removed[name[part]] or rests(part) for _, part, _, _ in edges(table.bodies[digest])
        )

    for digest, node in name.items():
        assert outcome.loses[node] == (things.made[node] and rests(digest))
        expected = outcome.loses[node] and not removed[node]
        assert outcome.affected[node] == expected
        assert (outcome.months[0][node] > 0) == bool(expected)
        assert (outcome.months[0] <= outcome.months[1]).all()
        assert not outcome.keeps[node] or expected
        assert (outcome.steps[node] > 0) == (expected and circuit.type[node] != MADE)


def hidden_behind_data():
    """Return the table, found by the law, in which a dataset that went hid roles behind it."""
    table = NodeTable()
    teacher, other, third = (table.add_source(source(number)) for number in range(3))
    table.add_made([("content", teacher), ("content", other)])  # so that others serve by content
    taught = table.add_made([("logits", teacher)])
    data = {"type": "dataset", "artifact": "d3", "members": [[teacher, 1, 1], [taught, 1, 1]]}
    members = [[table.add(data), 2, 5], [teacher, 2, 3]]
    table.root = table.add({"type": "dataset", "artifact": "r", "members": members})
    return table, [teacher], [table.root, members[0][0]], third


def rebuilt_from_what_goes():
    """Return a table in which what goes cannot be made again itself, for want of a role."""
    table = NodeTable()
    teacher, writer = table.add_source(source(0)), table.add_source(source(1))
    table.add_made([("content", teacher), ("content", writer)])
    middle = {"type": "model", "artifact": "m", "files": "1", "members": [["logits", teacher, 3]]}
    middle = table.add(middle)
    members = [["content", middle, 5]]
    top = {"type": "model", "artifact": "r", "files": "2", "members": members}
    table.root = table.add(top)
    return table, [teacher], [middle], writer


def marked(things, digests):
    circuit = things.circuit
    removed = np.zeros(circuit.size, bool)
    for node in range(circuit.size):
        removed[node] = circuit.digest(node) in digests
    return removed


def check_more_goes(things, less, more):
    """Hold what_if to everything that its module says of more going."""
    assert (less <= more).all()
    one = what_if(things, less, DEFINITIONS)
    two = what_if(things, more, DEFINITIONS)
    hit = one.affected & ~more
    for end in ("low", "high"):
        assert (getattr(one.impact, end) <= getattr(two.impact, end) + 1e-9).all()
    for part in ("channel", "share_low", "share_high", "nearness"):
        before, after = one.impact.whole(part), two.impact.whole(part)
        assert (before <= after + 1e-9).all(), part
    assert (one.loses <= two.loses).all()
    assert (one.used == two.used).all()
    for part in ("lost", "unfitted", "unserved"):
        assert not (getattr(one, part) & ~getattr(two, part)).any(), part
    for part in ("without", "without_any"):
        assert (getattr(one, part) <= getattr(two, part)).all(), part
    assert (two.keeps[hit] <= one.keeps[hit]).all()
    for before, after in zip(one.definitions, two.definitions, strict=True):
        assert (before.reached <= after.reached).all()
        assert (before.hops >= after.hops).all()
        assert (before.low <= after.low + 1e-9).all()
        assert (before.high <= after.high + 1e-9).all()
    for place in one.places.candidates.keys() & two.places.candidates.keys():
        assert set(two.places.candidates[place][0]) <= set(one.places.candidates[place][0])
    for item in (one, two):
        assert not (item.lost & ~item.used).any()
        assert not (item.unfitted & ~item.lost).any()
        assert not (item.unserved & ~item.unfitted).any()
        assert (item.without_any <= item.without).all()
        assert (item.impact.low >= 0).all()
        assert (item.impact.low <= item.impact.high + 1e-9).all()
        assert (item.impact.high <= 1 + 1e-9).all()
    for node in np.flatnonzero(hit & things.thing).tolist():
        before, after = (walked(things, item.removed, node) for item in (one, two))
        assert before <= after
        roles = {SERVES[c] for at, c in enumerate(CHANNELS) if two.lost[node] >> at & 1}
        assert {role for _, role in after} == roles


def walked(things, removed, node):
    """Return (provider, role) of what goes and serves a thing without a model between: an oracle.

    With a dataset that goes, it is its provider that takes away what others serve through it.
    """
    circuit, providers, found = things.circuit, things.columns["provider"], set()
    is_model = circuit.is_model()
    waiting, seen = [(node, None, None)], set()
    while waiting:
        at, through, taken_by = waiting.pop()
        for edge in range(int(circuit.start[at]), int(circuit.start[at + 1])):
            to = int(circuit.to[edge])
            channel = through or CHANNELS[int(CHANNEL_OF[circuit.label[edge]])]
            who = {taken_by, (providers[to] or "not recorded") if removed[to] else None} - {None}
            if is_model[to] or circuit.start[to] == circuit.start[to + 1]:
                found |= {(name, SERVES[channel]) for name in who}
                continue
            kept = None if channel.value == "content" else channel
            for name in who or {None}:
                if (to, kept, name) not in seen:
                    seen.add((to, kept, name))
                    waiting.append((to, kept, name))
    return found


@pytest.mark.parametrize("table", [hidden_behind_data, rebuilt_from_what_goes])
def test_what_goes_hides_nothing_behind_it(table):
    table, first, further, _ = table()
    things = things_of(table)
    for size in range(len(further) + 1):
        check_more_goes(things, marked(things, first), marked(things, first + further[:size]))
        check_more_goes(things, marked(things, first), marked(things, first + further[size:]))


def test_a_dataset_that_goes_takes_with_it_what_served_through_it():
    table, (teacher,), (_, data), _ = hidden_behind_data()
    things = things_of(table)
    blank = things.measured
    sized = replace(blank, parameters=np.full(things.circuit.size, 7e9))
    things = replace(things, measures=sized)
    root = things.circuit.root
    outcome = what_if(things, marked(things, [data]), DEFINITIONS)
    roles = {c.value for at, c in enumerate(CHANNELS) if outcome.lost[root] >> at & 1}
    assert roles == {"content", "logits"}
    assert not outcome.without_any[root]  # the teacher is still there
    both = what_if(things, marked(things, [data, teacher]), DEFINITIONS)
    unserved = {c.value for at, c in enumerate(CHANNELS) if both.unserved[root] >> at & 1}
    assert unserved == {"logits"}  # another one writes text elsewhere


@LAWS
@given(circuits(), st.sets(st.integers(0, 20), min_size=1), st.sets(st.integers(0, 20)), st.data())
def test_nothing_is_less_hit_when_more_goes(table, numbers, further, data):
    things = things_of(table, data.draw)
    check_more_goes(things, chosen(things, numbers), chosen(things, numbers | further))


@LAWS
@given(circuits(), st.data())
def test_nothing_is_less_hit_when_a_dataset_goes_too(table, data):
    things = things_of(table, data.draw)
    circuit = things.circuit
    datasets = np.flatnonzero(things.thing & ~circuit.is_model()).tolist()
    models = np.flatnonzero(things.thing & circuit.is_model()).tolist()
    assume(datasets and models)
    less, more = np.zeros(circuit.size, bool), np.zeros(circuit.size, bool)
    less[data.draw(st.lists(st.sampled_from(models), min_size=1, max_size=3))] = True
    more[data.draw(st.lists(st.sampled_from(datasets), min_size=1, max_size=3))] = True
    check_more_goes(things, less, less | more)
    check_more_goes(things, more, less | more)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_in_the_catalogue_is_less_hit_when_more_goes(seed):
    draw = np.random.default_rng(seed)
    nodes = draw.permutation(np.flatnonzero(CATALOGUE.thing))
    removed = np.zeros(CATALOGUE.circuit.size, bool)
    for share in (0.02, 0.1, 0.4):
        more = removed.copy()
        more[nodes[: int(len(nodes) * share)]] = True
        check_more_goes(CATALOGUE, removed, more)
        removed = more


@LAWS
@given(circuits(), st.sets(st.integers(0, 20), min_size=1, max_size=3))
def test_steps_are_the_longest_line_of_rebuilds(table, numbers):
    things = things_of(table)
    circuit = things.circuit
    outcome = what_if(things, chosen(things, numbers), DEFINITIONS)

    def longest(node):
        below = circuit.to[circuit.start[node] : circuit.start[node + 1]].tolist()
        own = bool(outcome.affected[node] and things.thing[node])
        return own + max((longest(part) for part in below), default=0)

    for node in np.flatnonzero(outcome.affected).tolist():
        assert outcome.steps[node] == longest(node)


@LAWS
@given(circuits(), st.sets(st.integers(0, 20), min_size=1, max_size=3))
def test_a_role_is_lost_where_what_goes_serves_without_a_model_between(table, numbers):
    things = things_of(table)
    circuit = things.circuit
    removed = chosen(things, numbers)
    outcome = what_if(things, removed, DEFINITIONS)
    is_model = circuit.is_model()
    for node in np.flatnonzero(outcome.affected).tolist():
        found, waiting = False, [node]
        while waiting and not found:
            at = waiting.pop()
            for part in circuit.to[circuit.start[at] : circuit.start[at + 1]].tolist():
                found |= bool(removed[part])
                if not removed[part] and not is_model[part]:
                    waiting.append(part)
        assert (outcome.lost[node] > 0) == found
        assert outcome.lost[node] & ~outcome.used[node] == 0 or removed.any()


def test_without_chinese_open_weights_the_catalogue_loses_what_a_walk_finds():
    told = asked(CHINESE)
    facts, above = told.as_json(), {}
    for claim in CLAIMS:
        above.setdefault(claim.child, set()).add(claim.parent)

    def rests(name):
        seen, waiting = set(), list(above.get(name, ()))
        while waiting:
            parent = waiting.pop()
            if parent not in seen:
                seen.add(parent)
                waiting += above.get(parent, ())
        return any(goes(ENTITIES[parent]) for parent in seen)

    def goes(entity):
        return entity.country == "CN" and entity.kind == "open-weights"

    lose = {name for name in above if rests(name)}
    gone = {name for name, entity in ENTITIES.items() if goes(entity)}
    assert facts["lose_an_ancestor"] == len(lose)
    assert facts["removed"] == len(gone)
    assert facts["hit"] == len(lose | gone)
    assert facts["stay_and_lose"] == len(lose - gone)
    for key, what in (("models", "model"), ("datasets", "dataset")):
        mine = {name for name in lose | gone if ENTITIES[name].what == what}
        assert facts["impact"][key]["hit"] == len(mine)
        assert sum(row["hit"] for row in facts["by_quarter"][key]) == len(mine)
        assert sum(facts["stand"][key].values()) == len(mine - gone)
        assert sum(facts["made_again"][key].values()) == len(mine - gone)
    assert sum(row["lose"] for row in facts["groups"]["provider"]) == len(lose)
    smollm = next(i for i in facts["artifacts"] if i["name"] == "HuggingFaceTB/SmolLM3-3B")
    assert smollm["stands"] == "as weights"
    assert smollm["rebuild_steps"] >= 2


def asked(text, **more):
    how = forbidding(CATALOGUE, text, REGISTRY) if "forbids" in text else None
    scenario = how or removing(CATALOGUE, text, TODAY)
    return tell(CATALOGUE, scenario, DEFINITIONS, REGISTRY, TODAY, **more)


def test_parts_of_the_impact_add_up_to_it():
    for item in asked(CHINESE).as_json()["artifacts"]:
        parts = item["impact"]
        for end in (0, 1):
            total = 100 * (
                WEIGHTS["channel"] * parts["channel"]
                + WEIGHTS["share"] * parts["share"][end]
                + WEIGHTS["nearness"] * parts["nearness"]
            )
            assert parts["score"][end] == pytest.approx(total, abs=0.051)


def test_flows_count_each_affected_artifact_by_provider_and_role():
    told = asked(CHINESE)
    flows = told.flows()
    assert ("Alibaba", "writes text", "NVIDIA") in {flow[:3] for flow in flows}
    assert all(count > 0 for *_, count in flows)


@LAWS
@given(circuits(), st.sets(st.integers(0, 20), min_size=1, max_size=3))
def test_flows_are_what_a_walk_finds(table, numbers):
    things = things_of(table)
    removed = chosen(things, numbers)
    outcome = what_if(things, removed, DEFINITIONS)
    expected = Counter()
    for node in np.flatnonzero(outcome.affected & things.thing).tolist():
        group = things.columns["provider"][node]
        for who, role in walked(things, removed, node) or {(BUILT_ON, THROUGH)}:
            expected[who, role, group] += 1
    assert {flow[:3]: flow[3] for flow in flows_of(things, outcome)} == expected


def test_terms_close_off_an_api_from_a_day_and_weights_stay():
    told = asked("OpenAI forbids training from 2027-01-01")
    gone = {CATALOGUE.title(n) for n in np.flatnonzero(told.scenario.removed).tolist()}
    assert "openai/gpt-4o" in gone
    assert "openai/gpt-oss-120b" not in gone
    facts = told.as_json()
    olmo = next(i for i in facts["artifacts"] if i["name"] == "allenai/Olmo-3-1125-32B")
    assert olmo["stands"] == "as weights"
    assert facts["from"] == "2027-01-01"
    assert facts["barred"] >= facts["removed"] > 0
    assert facts["first_lines"][0].endswith(
        f"from 1 January 2027 on, {facts['removed']} models could no longer be learned from "
        "in any way."
    )


def test_no_substitute_means_no_date():
    serving = np.flatnonzero(CATALOGUE.circuit.is_model())
    removed = np.zeros(CATALOGUE.circuit.size, bool)
    removed[serving] = CATALOGUE.thing[serving] & ~CATALOGUE.made[serving]
    told = tell(CATALOGUE, Scenario("x", "x", removed, TODAY), DEFINITIONS, REGISTRY, TODAY)
    outcome = told.outcome
    assert outcome.affected.any()
    assert (outcome.without_any[outcome.affected & (outcome.lost > 0)]).any()
    for item in told.as_json()["artifacts"]:
        assert (item["rebuilt_by"] is None) == (item["made_again"] == MADE_AGAIN[2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: removing(CATALOGUE, "country ==", TODAY), "--remove: not a CEL expression"),
        (lambda: removing(CATALOGUE, "land == 'CN'", TODAY), "no name land; there are name, what"),
        (lambda: removing(CATALOGUE, "country", TODAY), "not true or false"),
        (lambda: removing(CATALOGUE, "country == 'ZZ'", TODAY), "fits nothing"),
        (lambda: removing(CATALOGUE, "country == 'cn'", TODAY), "did you mean 'CN'?"),
        (lambda: removing(CATALOGUE, 'provider == "openai"', TODAY), "did you mean 'OpenAI'?"),
        (lambda: removing(CATALOGUE, 'country = "CN"', TODAY), "CEL writes =="),
        (lambda: removing(CATALOGUE, 'country == "a = b" and true', TODAY), "CEL writes &&\n"),
        (lambda: removing(CATALOGUE, "country == CN", TODAY), 'write it in quotes: "CN"'),
        (lambda: removing(CATALOGUE, "countri == 'CN'", TODAY), "did you mean 'country'?"),
        (lambda: removing(CATALOGUE, " ", TODAY), "it is empty"),
        (lambda: removing(CATALOGUE, "released < 2024", TODAY), 'released < "2024-01-31"'),
        (lambda: removing(CATALOGUE, "name.startswith('a')", TODAY), "startswith"),
        (lambda: forbidding(CATALOGUE, "OpenAI is cross", REGISTRY), "write 'PROVIDER forbids"),
        (
            lambda: forbidding(CATALOGUE, "Nobody forbids training from 2027-01-01", REGISTRY),
            "serves nothing by an API",
        ),
        (lambda: forbidding(CATALOGUE, "OpenAI forbids training from soon", REGISTRY), "YYYY-MM"),
    ],
)
def test_a_scenario_that_cannot_be_is_told(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert message in str(error.value)


def test_an_expression_is_put_to_each_combination_once():
    asked = expression('country == "FR" && what == "model"', "x")
    found = select(CATALOGUE, asked).holds
    for node in np.flatnonzero(CATALOGUE.thing).tolist():
        facts = (CATALOGUE.columns["country"][node], CATALOGUE.columns["what"][node])
        assert found[node] == (facts == ("FR", "model"))


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [
        (date(2026, 11, 24), 6, date(2027, 5, 24)),
        (date(2026, 8, 31), 6, date(2027, 2, 28)),
        (date(2026, 12, 31), 0, date(2026, 12, 31)),
        (date(2026, 1, 1), 36, date(2029, 1, 1)),
        (date(9999, 12, 1), 1, None),
    ],
)
def test_a_rebuild_stands_after_its_months(start, months, expected):
    assert after(start, months) == expected
