"""What breaks if some sources go: against oracles on random circuits, and over the catalogue."""

from datetime import date

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests_circuits import circuits, source
from tests_laws import law

from mashbill import InputError
from mashbill.lineage.circuit import MADE, Circuit
from mashbill.lineage.definitions import load_definitions
from mashbill.lineage.nodes import NodeTable, edges
from mashbill.lineage.public import lineage_of
from mashbill.lineage.scenarios import Scenario, Told, forbidding, removing, tell
from mashbill.lineage.things import FACTS, Column, Things, expression, things_of_catalogue
from mashbill.lineage.whatif import CHANNELS, SERVES, WEIGHTS, rebuilt_by, what_if
from mashbill.policy.claims import load_catalogue
from mashbill.policy.documents import load_registry

DEFINITIONS = load_definitions(["A", "B", "C"])
REGISTRY = load_registry()
CATALOGUE = things_of_catalogue(lineage_of(load_catalogue()))
TODAY = date(2026, 11, 24)
CHINESE = 'country == "CN" && kind == "open-weights"'
LAWS = law(80)


def things_of(table):
    circuit = Circuit.of(table)
    names = [circuit.title(n) for n in range(circuit.size)]
    columns = {fact: Column.of([""] * circuit.size) for fact in FACTS}
    return Things(circuit, circuit.type != MADE, {**columns, "name": Column.of(names)})


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
    outcome = what_if(things, removed, DEFINITIONS)
    name = {circuit.digest(n): n for n in range(circuit.size)}

    def rests(digest, seen=()):
        return any(
            removed[name[part]] or rests(part) for _, part, _, _ in edges(table.bodies[digest])
        )

    for digest, node in name.items():
        expected = things.made[node] and not removed[node] and rests(digest)
        assert outcome.affected[node] == expected
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


def check_more_goes(things, less, more, may=None):
    """Hold what_if to everything that its module says of more going."""
    assert (less <= more).all()
    one = what_if(things, less, DEFINITIONS, may)
    two = what_if(things, more, DEFINITIONS, may)
    stays, hit = ~more, one.affected & ~more
    for end in ("low", "high"):
        assert (getattr(one.impact, end) <= getattr(two.impact, end) + 1e-9).all()
    for part in ("channel", "share_low", "share_high", "nearness", "without"):
        before, after = getattr(one.impact, part), getattr(two.impact, part)
        assert (before[stays] <= after[stays] + 1e-9).all(), part
    assert one.score[0] <= two.score[0] + 1e-9
    assert one.score[1] <= two.score[1] + 1e-9
    assert (one.affected | less <= two.affected | more).all()
    assert (hit <= two.affected).all()
    assert (one.used == two.used).all()
    assert not (one.lost & ~two.lost)[stays].any()
    assert (one.blocked[stays] <= two.blocked[stays]).all()
    assert (two.keeps[hit] <= one.keeps[hit]).all()
    for before, after in zip(one.definitions, two.definitions, strict=True):
        assert (before.reached[stays] <= after.reached[stays]).all()
        assert (before.hops >= after.hops).all()
        assert (before.low <= after.low + 1e-9).all()
        assert (before.high <= after.high + 1e-9).all()
    for channel in one.substitutes.keys() & two.substitutes.keys():
        assert set(two.substitutes[channel]) <= set(one.substitutes[channel])
    told = [Told(Scenario("", out.removed, TODAY), things, out, 6) for out in (one, two)]
    for item in (one, two):
        assert not (item.lost & ~item.used).any()
        assert (item.impact.low >= 0).all()
        assert (item.impact.low <= item.impact.high + 1e-9).all()
        assert (item.impact.high <= 100 + 1e-9).all()
        assert (item.impact.without <= 1).all()
    for node in np.flatnonzero(hit & things.thing).tolist():
        before, after = (item._direct(node) for item in told)
        assert before <= after
        roles = {SERVES[c] for at, c in enumerate(CHANNELS) if two.lost[node] >> at & 1}
        assert {role for _, role in after} == roles


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
    root = things.circuit.root
    outcome = what_if(things, marked(things, [data]), DEFINITIONS)
    roles = {c.value for at, c in enumerate(CHANNELS) if outcome.lost[root] >> at & 1}
    assert roles == {"content", "logits"}
    assert outcome.impact.without[root] == 0  # the teacher is still there
    both = what_if(things, marked(things, [data, teacher]), DEFINITIONS)
    assert both.impact.without[root] == 0.5


@LAWS
@given(
    circuits(), st.sets(st.integers(0, 20), min_size=1), st.sets(st.integers(0, 20)),
    st.sets(st.integers(0, 20)),
)  # fmt: skip
def test_nothing_is_less_hit_when_more_goes(table, numbers, further, denied):
    things = things_of(table)
    may = ~chosen(things, denied) if denied else None
    check_more_goes(things, chosen(things, numbers), chosen(things, numbers | further), may)


@LAWS
@given(circuits(), st.data())
def test_nothing_is_less_hit_when_a_dataset_goes_too(table, data):
    things = things_of(table)
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


def test_without_chinese_open_weights_the_catalogue_loses_what_the_facts_say():
    scenario = removing(CATALOGUE, CHINESE, TODAY)
    told = tell(CATALOGUE, scenario, DEFINITIONS, REGISTRY, TODAY)
    country = CATALOGUE.columns["country"]
    others = np.array([country[n] != "CN" for n in range(CATALOGUE.circuit.size)])
    made = CATALOGUE.made & others
    lose = told.outcome.affected & others & CATALOGUE.thing
    # A walk over the claims that shares nothing with the circuit; what is alleged does not count.
    above = {}
    for claim in load_catalogue().claims:
        if claim.status != "alleged":
            above.setdefault(claim.child, set()).add(claim.parent)
    entities = load_catalogue().entities
    walked = [name for name in above if entities[name].country != "CN"]

    def loses(name):
        found, todo = set(), [name]
        while todo:
            new = above.get(todo.pop(), set()) - found
            found |= new
            todo += new
        return any(
            entities[n].country == "CN" and entities[n].kind == "open-weights" for n in found
        )

    assert (int(made.sum()), int(lose.sum())) == (len(walked), sum(map(loses, walked)))
    facts = told.as_json()
    smollm = next(i for i in facts["artifacts"] if i["name"] == "HuggingFaceTB/SmolLM3-3B")
    assert smollm["rebuild_steps"] >= 2  # its data first, then itself
    assert sum(row["lose"] for row in facts["groups"]["provider"]) == facts["lose_an_ancestor"]
    assert {role["channel"] for role in facts["roles"]} >= {"content", "weights"}
    for role in facts["roles"]:
        for other in role["substitutes"]:
            assert other["country"] != "CN"
            assert other["terms"] != "deny"


def test_parts_of_the_score_add_up_to_it():
    told = tell(CATALOGUE, removing(CATALOGUE, CHINESE, TODAY), DEFINITIONS, REGISTRY, TODAY)
    for item in told.as_json()["artifacts"]:
        parts = item["impact"]
        for end in (0, 1):
            total = 100 * (
                WEIGHTS["channel"] * parts["channel"] + WEIGHTS["share"] * parts["share"][end]
                + WEIGHTS["nearness"] * parts["nearness"]
                + WEIGHTS["without substitute"] * parts["without substitute"]
            )  # fmt: skip
            assert parts["score"][end] == pytest.approx(total, abs=0.051)


def test_flows_count_each_affected_artifact_by_provider_and_role():
    told = tell(CATALOGUE, removing(CATALOGUE, CHINESE, TODAY), DEFINITIONS, REGISTRY, TODAY)
    flows = told.flows()
    assert ("Alibaba", "writes text", "NVIDIA") in {flow[:3] for flow in flows}
    assert all(count > 0 for *_, count in flows)


def test_terms_close_off_an_api_from_a_day_and_what_was_made_before_stands():
    scenario = forbidding(CATALOGUE, "OpenAI forbids training from 2027-01-01", REGISTRY)
    gone = {CATALOGUE.title(n) for n in np.flatnonzero(scenario.removed).tolist()}
    assert "openai/gpt-4o" in gone
    assert "openai/gpt-oss-120b" not in gone
    facts = tell(CATALOGUE, scenario, DEFINITIONS, REGISTRY, TODAY).as_json()
    olmo = next(i for i in facts["artifacts"] if i["name"] == "allenai/Olmo-3-1125-32B")
    assert olmo["stands_as_made"]
    assert facts["from"] == "2027-01-01"


def test_no_substitute_means_no_date():
    serving = np.flatnonzero(CATALOGUE.circuit.is_model())
    removed = np.zeros(CATALOGUE.circuit.size, bool)
    removed[serving] = CATALOGUE.thing[serving] & ~CATALOGUE.made[serving]
    outcome = what_if(CATALOGUE, removed, DEFINITIONS)
    assert outcome.affected.any()
    assert (outcome.blocked[outcome.affected & (outcome.lost > 0)]).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: removing(CATALOGUE, "country ==", TODAY), "--remove: not a CEL expression"),
        (lambda: removing(CATALOGUE, "land == 'CN'", TODAY), "no name land; there are name, what"),
        (lambda: removing(CATALOGUE, "country", TODAY), "not true or false"),
        (lambda: removing(CATALOGUE, "country == 'ZZ'", TODAY), "fits nothing"),
        (lambda: removing(CATALOGUE, "name.startswith('a')", TODAY), "startswith"),
        (lambda: forbidding(CATALOGUE, "OpenAI is cross", REGISTRY), "write 'PROVIDER forbids"),
        (lambda: forbidding(CATALOGUE, "Nobody forbids training from 2027-01-01", REGISTRY),
         "serves nothing by an API"),
        (lambda: forbidding(CATALOGUE, "OpenAI forbids training from soon", REGISTRY), "YYYY-MM"),
    ],
)  # fmt: skip
def test_a_scenario_that_cannot_be_is_told(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert message in str(error.value)


def test_an_expression_is_put_to_each_combination_once():
    asked = expression('country == "FR" && what == "model"', "x")
    found = CATALOGUE.matching(asked)
    for node in np.flatnonzero(CATALOGUE.thing).tolist():
        facts = (CATALOGUE.columns["country"][node], CATALOGUE.columns["what"][node])
        assert found[node] == (facts == ("FR", "model"))


@pytest.mark.parametrize(
    ("start", "steps", "months", "expected"),
    [
        (date(2026, 11, 24), 1, 6, date(2027, 5, 24)),
        (date(2026, 8, 31), 1, 6, date(2027, 2, 28)),
        (date(2026, 12, 31), 2, 0, date(2026, 12, 31)),
        (date(2026, 1, 1), 3, 12, date(2029, 1, 1)),
    ],
)
def test_a_rebuild_stands_after_its_steps(start, steps, months, expected):
    assert rebuilt_by(start, steps, months) == expected
