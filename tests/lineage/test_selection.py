"""What goes by an expression, and of what it is not known: a fact not recorded answers nothing."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tables import table

from mashbill import InputError
from mashbill.lineage.bills.definitions import load_definitions
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.whatif.scenarios import removing, tell
from mashbill.lineage.whatif.selection import BLANKS, blank_of, readings, select
from mashbill.lineage.whatif.things import FACTS, Column, Things, expression, things_of_catalogue
from mashbill.policy.claims import load_catalogue
from mashbill.policy.documents import load_registry

CATALOGUE = things_of_catalogue(lineage_of(load_catalogue()))
NODES = np.flatnonzero(CATALOGUE.thing)
TODAY = date(2026, 11, 24)

COMPARISONS = st.builds(
    lambda fact, how, text: f"{fact}{how.format(repr(text))}",
    st.sampled_from([fact for fact in FACTS if fact != "route"]),
    st.sampled_from(["== {}", " != {}", ".startsWith({})", ".endsWith({})", ".contains({})"]),
    st.sampled_from(["CN", "US", "model", "open-weights", "", "unknown", "Qwen", "2025", "MIT"]),
)
ORDERED = st.builds(
    lambda how, text: f"released {how} {text!r}",
    st.sampled_from(["<", ">=", ">"]),
    st.sampled_from(["2020-01-01", "2025-03-15", "2025"]),
)
NESTED = st.recursive(
    COMPARISONS | ORDERED,
    lambda some: (
        st.builds("({} {} {})".format, some, st.sampled_from(["&&", "||"]), some)
        | st.builds("!({})".format, some)
    ),
    max_leaves=4,
)


@law(60)
@given(st.lists(COMPARISONS, min_size=1, max_size=3), st.sampled_from([" && ", "||"]))
def test_the_common_form_says_what_cel_says(parts, joint):
    text = joint.join(parts)
    one, two = (select(CATALOGUE, expression(form, "x")) for form in (text, f"!(!({text}))"))
    assert (one.holds == two.holds).all(), text
    assert (one.open == two.open).all(), text


@law(60)
@given(NESTED, st.data())
def test_what_is_decided_stays_whatever_the_blanks_are(text, data):
    if any(f"{sign} '{blank}'" in text for sign in ("==", "!=") for blank in BLANKS):
        return  # who asks for the blank itself gets an answer that filling it changes
    asked = expression(text, "x")
    found = select(CATALOGUE, asked)
    assert not (found.holds & found.open).any()
    blank = {fact: blank_of(CATALOGUE, fact) for fact in FACTS}
    fills = {
        fact: data.draw(st.sampled_from(["CN", "US", "MIT", "2019-05-01", "2026-01-01"]))
        for fact in FACTS
    }
    for node in NODES[::9].tolist():
        facts = {name: CATALOGUE.columns[name][node] for name in FACTS}
        facts["released"] = readings(facts["released"])[-1]
        filled = {
            name: fills[name] if blank[name][node] else value for name, value in facts.items()
        }
        if readings(CATALOGUE.columns["released"][node])[0] != facts["released"]:
            continue  # a year or a month: which texts it begins with depends on what is left out
        if not found.open[node]:
            assert found.holds[node] == asked.holds(filled), (text, facts)
        else:
            assert any(found.lacking[name][node] for name in found.lacking)


def things(**facts):
    """Return a model with these facts, as the only thing."""
    size = CATALOGUE.circuit.size
    node = int(NODES[0])
    known = {"name": "a/b", "what": "model", "kind": "open-weights", **facts}
    columns = {name: Column.of([known.get(name, "")] * size) for name in FACTS}
    thing = np.zeros(size, bool)
    thing[node] = True
    return Things(CATALOGUE.circuit, thing, columns), node


@table(
    ("facts", "text", "goes"),
    [
        ({}, 'what == "model" && released < "2020-01-01"', None),
        ({}, 'what == "dataset" && released < "2020-01-01"', False),
        ({}, 'what == "model" || released < "2020-01-01"', True),
        ({}, 'license != "MIT" && license != "Apache-2.0"', None),
        ({"license": "MIT"}, 'license != "MIT"', False),
        ({"license": "CC0-1.0"}, 'license != "MIT"', True),
        ({"license": "unknown"}, 'license != "MIT"', None),
        ({"kind": "closed-api"}, 'license != "MIT"', True),
        ({"country": "unknown"}, 'country != "US"', None),
        ({"country": "unknown"}, '!(country == "US")', None),
        ({"country": "unknown"}, 'country == "unknown"', True),
        ({"provider": "unknown"}, 'provider.startsWith("u")', None),
        ({}, 'license == ""', True),
        ({}, '(license == "" && what == "model") || license == "MIT"', True),
        ({}, 'license == "" ? true : false', True),
        ({"license": "MIT"}, 'license != ""', True),
        ({"released": "2024"}, 'released < "2024-06-01"', None),
        ({"released": "2024"}, 'released < "2025-01-01"', True),
        ({"released": "2024-05"}, 'released >= "2024-06-01"', False),
        ({"released": "2024-06"}, 'released < "2024-06-15"', None),
        ({"released": "2024"}, 'released.startsWith("2024")', True),
        ({"released": "2024"}, 'released == "2024"', True),
    ],
)
def test_what_lacks_a_fact_that_decides_is_left_open(facts, text, goes):
    every, node = things(**facts)
    found = select(every, expression(text, "--remove"))
    assert (None if found.open[node] else bool(found.holds[node])) is goes
    assert bool(found.lacking) is (goes is None)


def test_what_is_left_open_is_counted_and_told():
    text = 'license != "MIT" && license != "Apache-2.0"'
    told = tell(
        CATALOGUE, removing(CATALOGUE, text, TODAY), load_definitions(["A"]), load_registry(), TODAY
    ).as_json()
    goes = {
        CATALOGUE.title(n)
        for n in NODES.tolist()
        if CATALOGUE.columns["kind"][n] != "closed-api" and not CATALOGUE.columns["license"][n]
    }
    number = told["not_known_whether_they_go"]["things"]
    assert number == len(goes) == told["not_known_whether_they_go"]["not_recorded"]["license"]
    assert (
        f"For {number:,} things it is not known whether they go: licence is not recorded."
        in told["first_lines"]
    )


def test_a_scenario_of_which_nothing_is_recorded_says_for_want_of_what():
    with pytest.raises(InputError, match="it is not known, since released is not recorded"):
        removing(CATALOGUE, 'what == "model" && released < "1999"', TODAY)
