"""The what-if page in a real browser, and the laws of its Sankey."""

import re
import shutil
import subprocess
from collections import Counter
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import BROWSER, dom_of

from mashbill.lineage.bills.definitions import load_definitions
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.whatif.beside import interval
from mashbill.lineage.whatif.scenarios import forbidding, removing, tell
from mashbill.lineage.whatif.summary import ARTIFACTS_TOLD
from mashbill.lineage.whatif.things import things_of_catalogue
from mashbill.policy.claims import Catalogue, Claim, Entity, load_catalogue
from mashbill.policy.documents import load_registry
from mashbill.report.sankey import OTHERS, draw_sankey, grouped, layout
from mashbill.report.whatif import FOLDED, OPEN, write_whatif

DAY = date(2026, 11, 24)
REGISTRY = load_registry()
NAMES = st.text('abcdefghij<&"', min_size=1, max_size=3)
FLOWS = st.lists(st.tuples(NAMES, NAMES, NAMES, st.integers(1, 40)), min_size=1, max_size=30)


def scenarios(things):
    definitions = load_definitions(["A", "B", "C"])
    for scenario in (
        removing(things, 'country == "CN" && kind == "open-weights"', DAY),
        forbidding(things, "OpenAI forbids training from 2027-01-01", REGISTRY),
    ):
        yield tell(things, scenario, definitions, REGISTRY, DAY)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    told = list(scenarios(things_of_catalogue(lineage_of(load_catalogue()))))
    return told, written(told, tmp_path_factory.mktemp("page") / "whatif.html")


def written(told, path):
    facts, flows = [item.as_json() for item in told], [item.flows() for item in told]
    return write_whatif(facts, flows, path, as_of=DAY, counted="Some artifacts.")


def test_the_page_shows_every_scenarios_numbers(page):
    told, path = page
    text = path.read_text()
    for item in told:
        facts = item.as_json()
        for key in ("models", "datasets"):
            impact = facts["impact"][key]
            assert f"{impact['hit']:,} of {impact['in_all']:,}" in text
            assert interval(impact["impact"]) in text
        for line in facts["first_lines"]:
            assert line in text
        for artifact in facts["artifacts"][: OPEN + FOLDED]:
            assert artifact["name"] in text
        for place in facts["lost"]["told"][:10]:
            assert place["name"] in text
    assert not re.search(r"src=|url\(|<script", text)
    assert re.findall(r'href="([^"]*)"', text) == ["#main"]
    assert "clean" not in text


@pytest.mark.skipif(BROWSER is None, reason="needs Debian's chromium; .ci/run installs it")
@pytest.mark.parametrize("width", [1280, 500, 390])
def test_the_page_fits_a_browsers_window(page, width, tmp_path):
    shown = dom_of(page[1], tmp_path / "profile", width)
    assert shown.count('class="scenario"') == 2
    assert shown.count('<svg class="sankey"') == 2
    wide, room = (int(re.search(rf'data-{key}="(\d+)"', shown)[1]) for key in ("wide", "room"))
    assert wide <= room


def test_the_page_stays_small_however_large_the_catalogue(tmp_path):
    name = "maker-of-{0:05}/a-model-with-quite-a-long-name-for-a-model-{0:05}".format
    entities = {
        name(n): Entity(
            id=name(n), what="model", kind="open-weights", country="CN" if n < 400 else "US",
            provider=f"maker of {n % 900}", released=f"{2000 + n % 26}-{n % 12 + 1:02}",
        )
        for n in range(4000)
    }  # fmt: skip
    claims = tuple(
        Claim(child=name(n), parent=name(parent), relation="sft-data", source="t")
        for n in range(400, 4000)
        for parent in {n % 400, n * 7 % 400}
    )
    things = things_of_catalogue(lineage_of(Catalogue(entities, claims, {})))
    definitions = load_definitions(["A", "B", "C"])
    told = [
        tell(things, removing(things, text, DAY), definitions, REGISTRY, DAY)
        for text in ('country == "CN"', f'name == "{name(3)}"', 'provider == "maker of 7"')
    ]
    assert len(told[0].affected()) == 3600
    assert len(told[0].as_json()["artifacts"]) == ARTIFACTS_TOLD
    path = written(told, tmp_path / "p.html")
    assert path.stat().st_size < 2_000_000
    assert "3,600 other models" in path.read_text()


def test_the_page_prints_on_paper_with_what_it_says_first(page, tmp_path):
    if BROWSER is None or shutil.which("pdftotext") is None:
        pytest.skip("needs Debian's chromium and poppler-utils; .ci/run installs the first")
    told, path = page
    subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
         f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={tmp_path / 'p.pdf'}",
         path.as_uri()], check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    text = subprocess.run(
        ["pdftotext", str(tmp_path / "p.pdf"), "-"], check=True, capture_output=True, text=True
    ).stdout
    first, *pages = text.split("\f")
    shown = " ".join(first.split())
    for item in told:
        for line in item.as_json()["first_lines"]:
            assert line in shown
    assert 6 <= len(pages) <= 24


def test_a_hostile_name_is_text(tmp_path):
    name = "o/<script>alert(1)</script>"
    entities = {
        "o/base": Entity(
            id="o/base", what="model", kind="open-weights", provider="<b>", country="CN"
        ),
        name: Entity(id=name, what="model", kind="open-weights", provider="</svg>"),
        "openai/x": Entity(id="openai/x", what="model", kind="closed-api", provider="OpenAI"),
    }
    claims = tuple(
        Claim(child=name, parent=parent, relation="sft-data", source="t")
        for parent in ("o/base", "openai/x")
    )
    things = things_of_catalogue(lineage_of(Catalogue(entities, claims, {})))
    text = written(list(scenarios(things)), tmp_path / "p.html").read_text()
    assert "<script>" not in text
    assert text.count("</svg>") == 2
    assert "&lt;script&gt;" in text


@given(FLOWS)
def test_what_flows_into_a_role_flows_out_of_it(flows):
    nodes, bands, _ = layout(grouped(flows))
    total = sum(count for *_, count in flows)
    for column in range(3):
        assert sum(node.count for node in nodes if node.column == column) == total
    for node in nodes:
        into = sum(band.count for band in bands if band.end == node)
        out = sum(band.count for band in bands if band.start == node)
        assert node.column == 0 or into == node.count
        assert node.column == 2 or out == node.count


@given(FLOWS)
def test_bands_stay_inside_their_nodes_and_nodes_apart(flows):
    nodes, bands, height = layout(grouped(flows))
    for band in bands:
        assert band.y1 >= band.start.y - 1e-6
        assert band.y1 + band.h1 <= band.start.y + band.start.height + 1e-6
        assert band.y2 + band.h2 <= band.end.y + band.end.height + 1e-6
        assert min(band.h1, band.h2) > 0
    for column in range(3):
        mine = sorted((node.y, node.height) for node in nodes if node.column == column)
        assert all(y + h < later for (y, h), (later, _) in pairwise(mine))
        assert all(y + h <= height + 1e-6 for y, h in mine)


@given(FLOWS, st.integers(1, 10**7))
def test_a_drawing_is_no_taller_for_more_artifacts(flows, times):
    many = [(*names, count * times) for *names, count in flows]
    assert layout(grouped(many))[2] <= max(layout(grouped(flows))[2], 900)


@given(FLOWS)
def test_grouping_keeps_the_count_and_the_largest(flows):
    made = grouped(flows, most=3)
    assert sum(flow[3] for flow in made) == sum(flow[3] for flow in flows)
    for place in (0, 2):
        counts = Counter()
        for flow in flows:
            counts[flow[place]] += flow[3]
        assert len({flow[place] for flow in made}) <= 3
        if len(counts) > 3:
            assert OTHERS in {flow[place] for flow in made}


def test_no_flow_draws_nothing():
    assert draw_sankey([]) == ""
