"""Sums: what sentences say is what tables say, and parts add up to their whole."""

import re
from datetime import date

import numpy as np
import pytest

from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import load_definitions
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.whatif.beside import side_by_side
from mashbill.lineage.whatif.scenarios import forbidding, removing, tell
from mashbill.lineage.whatif.things import things_of_catalogue
from mashbill.policy.claims import load_catalogue
from mashbill.policy.documents import load_registry

REGISTRY = load_registry()
LINEAGE = lineage_of(load_catalogue())
CATALOGUE = things_of_catalogue(LINEAGE)
TODAY = date(2026, 11, 28)
SCENARIOS = (
    'country == "CN" && kind == "open-weights"', 'country == "CN"', 'what == "dataset"',
    'kind == "closed-api"', 'provider == "Meta"', 'name == "deepseek-ai/DeepSeek-R1"',
    'route == "weights"', 'license == ""', 'license != "MIT" && license != "Apache-2.0"',
    "OpenAI forbids training from 2027-01-01", "Google forbids training from 2027-01-01",
    "DeepSeek forbids training from 2027-01-01",
)  # fmt: skip
_NUMBER = re.compile(r"\d[\d,]*")


@pytest.fixture(scope="module", params=SCENARIOS)
def facts(request):
    text = request.param
    scenario = (
        forbidding(CATALOGUE, text, REGISTRY)
        if "forbids" in text
        else removing(CATALOGUE, text, TODAY)
    )
    definitions = load_definitions(["A", "B", "C"])
    return tell(CATALOGUE, scenario, definitions, REGISTRY, TODAY).as_json(10_000)


def number_before(words, sentence):
    """Return the number that stands before words, 0 if there is none."""
    found = re.search(rf"(\d[\d,]*) {words}", sentence)
    return int(found[1].replace(",", "")) if found else 0


def test_sums_in_words_are_sums_in_tables(facts):
    rows = dict(side_by_side([facts]))
    lines = facts["first_lines"]
    gone = lines[0].removeprefix(facts["title"])
    for noun, words in (("models", "models?"), ("datasets", "datasets?")):
        go, stay, hit = (
            int(_NUMBER.search(rows[row][0])[0].replace(",", ""))
            for row in (
                f"{noun} that go",
                f"{noun} that stay and lose an ancestor",
                f"{noun} hit, of all on record",
            )
        )
        assert number_before(words, gone) == go
        others = next(line for line in lines if re.search("with (?:their|its) help, as far", line))
        assert number_before(f"other {words}", others) == stay
        assert go + stay == hit
    assert f"Together that is {facts['impact']['models']['hit']:,} of" in " ".join(lines)


def test_parts_of_what_stays_add_up_to_it(facts):
    stays, impact = facts["stay_and_lose"], facts["impact"]
    assert sum(impact[key]["stay_and_lose"] for key in ("models", "datasets")) == stays
    for name in ("A", "B", "C"):
        for key in ("models", "datasets"):
            assert facts["under"][name][key] <= impact[key]["stay_and_lose"]
    for rows in facts["groups"].values():
        assert sum(row["stay_and_lose"] for row in rows) == stays
        for name in ("A", "B", "C"):
            assert sum(row[name] for row in rows) == sum(facts["under"][name].values())
    for key in ("models", "datasets"):
        assert sum(facts["made_again"][key].values()) == impact[key]["stay_and_lose"]
        assert sum(facts["stand"][key].values()) == impact[key]["stay_and_lose"]
    _, might, none = (
        sum(facts["made_again"][key][word] for key in ("models", "datasets"))
        for word in facts["made_again"]["models"]
    )
    assert facts["without_substitute"] == [none, might + none]
    for role in facts["roles"]:
        lose = [item for item in facts["artifacts"] if role["role"] in item["loses_directly"]]
        assert len(lose) <= role["lost_by"] <= stays
    assert len(facts["artifacts"]) == stays
    assert facts["barred"] == facts["removed"] + sum(
        impact[key]["go_by_one_way_only"] for key in ("models", "datasets")
    )


@pytest.mark.parametrize("text", ['country == "CN"', 'what == "dataset"', 'country == "US"'])
def test_hops_are_the_depth_of_the_bill(text):
    scenario = removing(CATALOGUE, text, TODAY)
    told = tell(CATALOGUE, scenario, load_definitions(["C"]), REGISTRY, TODAY)
    gone = {CATALOGUE.title(n) for n in np.flatnonzero(scenario.removed).tolist()}
    asked = 0
    for item in told.as_json(10_000)["artifacts"][::6]:
        hops = item["definitions"]["C"]["hops"]
        node = next(n for (name, _), n in LINEAGE.node.items() if name == item["name"])
        lines = bill(CATALOGUE.circuit.under(node))
        depths = [line.depth for line in lines if line.source.name in gone]
        if hops is not None and depths:
            assert hops >= min(depths) >= 1, item["name"]
            asked += hops == min(depths)
    assert asked
