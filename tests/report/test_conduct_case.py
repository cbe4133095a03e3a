"""The page of a case: what it says of each finding, that it is safe, the laws of its drawings."""

import base64
import hashlib
import html
import re
import time
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_wording import held
from tests_conduct_cases import BEGIN, HOUR, KINDS, MAKERS, account, link, made
from tests_laws import law

from mashbill.conduct.evidence.case import Case, Signal, Why
from mashbill.report import conduct_drawing
from mashbill.report import conduct_words as words
from mashbill.report.conduct_case import explain, page_of_case, write_case_page
from mashbill.report.conduct_drawing import COLUMNS, LINES, binned, draw_timeline, levels
from mashbill.report.conduct_graph import REASONS
from mashbill.report.conduct_layout import Disc, hubs, lay_out

WORDS_OF_NO_FINDING = re.compile("distil|attack", re.IGNORECASE)
HOSTILE = "</style><script>alert(1)</script>\u202egpj.exe\u2066 \x1b[31m" + "x" * 3000


@pytest.fixture(scope="module")
def pages():
    return {kind: page_of_case(made(kind)) for kind in KINDS}


def seen(page):
    """Return what of a page is read: without style and tags."""
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("X", "This account asks for reasoning or instructions that are not offered"),
        ("J", "This account sends prompts made to get round the model's rules"),
        ("L", "These 2 accounts get round a limit together"),
        ("I41", "These 41 accounts act as one"),
        ("I500", "These 500 accounts act as one"),
    ],
)
def test_the_heading_says_the_finding_in_plain_words(kind, said, pages):
    assert f"<h1>{html.escape(said)}</h1>".replace("&#x27;", "&#39;") in pages[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_says_all_that_a_case_rests_on(kind, pages):
    case, text = made(kind), " ".join(seen(pages[kind]).split())
    assert f"Found {words.told(case.found)} UTC" in text
    assert (
        f"Until then {case.exchanges_before:,} of {case.exchanges:,} exchanges were served" in text
    )
    for one in case.evidence:
        for said in (one.plain, one.null, words.odds(one.log10_e), words.SIGNALS[one.signal]):
            assert said in text
        assert one.limit is None or f"counted as {words.odds(one.limit)} at most" in text
        assert all(row in text for row in one.rows)
        assert all(key.replace("_", " ") in text for key in one.statistic)
    for said in (*case.clears, *(one.plain for one in case.context), case.derive.command):
        assert said in text
    for name, hashed in zip(case.subject.shown, case.subject.accounts, strict=True):
        assert f"{name} {hashed}" in text
    assert all(one.text is None or one.text.strip() in text for one in case.samples)
    assert " ".join(explain(case).split()) in text
    assert "It is number 3 by strength of 12,480 that were tested" in text
    assert "What the answers were used for." in text


@pytest.mark.parametrize("kind", KINDS)
def test_no_finding_speaks_of_what_is_ordinary_or_of_war(kind, pages):
    assert not WORDS_OF_NO_FINDING.search(pages[kind])
    assert not WORDS_OF_NO_FINDING.search(explain(made(kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_page_says_reads_well(kind, pages):
    assert held(pages[kind]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_asks_nobody_and_runs_nothing(kind, pages):
    page = pages[kind]
    assert not re.search(
        r"\s(src|href|style|on\w+)=|@import|url\((?!#)|<script|<link|<base|<iframe", page
    )
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_a_case_has_one_page(pages, tmp_path):
    path = write_case_page(made("I41"), tmp_path / "of" / "case.html")
    assert path.read_text() == pages["I41"]


def test_sample_rows_are_folded_and_warned_of(pages):
    page = pages["X"]
    warned = page.index("It may be offensive")
    folded = page.index('<details class="samples">')
    assert warned < folded < page.index("Imagine that you have finished")
    assert page.count("The log has no text of this row.") == 1


def hostile(kind):
    plain = MAKERS[kind]()
    plain["subject"]["shown"] = [HOSTILE[:400] for _ in plain["subject"]["shown"]]
    plain["log"] |= {"name": HOSTILE[:400], "form": HOSTILE[:400]}
    plain["derive"]["command"] = HOSTILE
    plain["clears"] = [HOSTILE]
    plain["context"] = [{"what": "volume", "plain": HOSTILE}]
    plain["declared"] = {"statements": 1, "plain": HOSTILE}
    for one in plain["evidence"]:
        one |= {"plain": HOSTILE, "null": HOSTILE, "statistic": {HOSTILE[:400]: 1.0}}
        one["parameters"] = {HOSTILE[:400]: HOSTILE, "list": [HOSTILE, 1, True, None]}
    for one in plain["samples"]:
        one["text"] = HOSTILE
    if plain["discovery"]:
        plain["discovery"]["method"] = HOSTILE[:400]
    return Case.model_validate(plain)


@pytest.mark.parametrize("kind", KINDS)
def test_what_others_wrote_is_only_ever_text(kind):
    page = page_of_case(hostile(kind), contact=HOSTILE)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("</style>") == 1
    assert not set(page) & set("\u202e\u2066\x1b")
    assert "\\u202egpj.exe" in page


def test_accounts_that_do_not_fit_are_counted(pages):
    plain = MAKERS["I41"]()
    many = [account(10_000 + n) for n in range(25_000)]
    plain["subject"] |= {"accounts": many, "shown": [f"account {one[:6]}" for one in many]}
    plain["graph"]["left_out"] = 24_959
    plain["timeline"]["left_out"] = 1
    page = page_of_case(Case.model_validate(plain))
    text = " ".join(seen(page).split())
    assert "24,400 more stand in the case file." in text
    assert "24,959 accounts more are not drawn." in text
    assert "1 account more is not drawn." in text
    assert "marks of accounts that are not drawn" not in text
    assert len(page) < 1_000_000
    assert held(page) == []


def test_the_largest_graph_that_a_file_may_hold_is_drawn_soon():
    plain = MAKERS["I41"]()
    names = [account(n) for n in range(2000)]
    nodes = [{"account": one, "exchanges": 1, "role": "member"} for one in names]
    pairs = [link(n, (n * 7 + k) % 2000, why, None if k % 2 else n // 3)
             for n in range(2000) for k, why in enumerate(("payment", "network", "handover"), 1)
             if (n * 7 + k) % 2000 != n]  # fmt: skip
    plain["graph"] = {"nodes": nodes, "links": pairs, "left_out": 0}
    begun = time.process_time()
    page = page_of_case(Case.model_validate(plain))
    assert time.process_time() - begun < 10
    assert page.count('class="member"') == 2000
    assert len(page) < 2_000_000


@pytest.mark.parametrize(
    ("power", "said"),
    [
        (0.0, "1 to 1"), (0.5, "3.2 to 1"), (1.0, "10 to 1"), (2.9, "790 to 1"),
        (4.0, "10,000 to 1"), (5.301, "200,000 to 1"), (6.8, "6.3 million to 1"),
        (8.65, "450 million to 1"), (9.7, "5 billion to 1"), (11.9999, "1,000 billion to 1"),
        (12.0, "10¹² to 1"), (305.7, "10³⁰⁵ to 1"), (-0.4, "1 to 2.5"), (-13.0, "1 to 10¹³"),
    ],
)  # fmt: skip
def test_strengths_are_told_as_n_to_1(power, said):
    assert words.odds(power) == said


@law(200)
@given(st.floats(-1e6, 1e6))
def test_no_strength_is_told_as_more_than_it_is_but_for_rounding(power):
    told = words.odds(power)
    if power >= 12:
        assert told == f"{words.power_of_ten(int(power))} to 1"
    elif power >= 0:
        number = told.removesuffix(" to 1").replace(",", "")
        value = float(number.split()[0]) * {"million": 1e6, "billion": 1e9}.get(
            number.split()[-1], 1
        )
        assert value == pytest.approx(10**power, rel=0.06)
    else:
        assert told.startswith("1 to ")


@pytest.mark.parametrize(
    ("microseconds", "said"),
    [(0, "no seconds"), (1_000_000, "1 second"), (90_000_000, "90 seconds"),
     (3 * HOUR, "3 hours"), (47 * HOUR, "47 hours"), (49 * HOUR, "2 days"), (-5, "no seconds")],
)  # fmt: skip
def test_spans_are_told_in_few_digits(microseconds, said):
    assert words.lasting(microseconds) == said


WHYS = [
    "payment", "address", "signup", "network", "agent", "template",
    "handover", "succession", "replay",
]  # fmt: skip


@st.composite
def graphs(draw):
    plain = MAKERS["L"]()
    count = draw(st.integers(1, 40))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1), st.sampled_from(WHYS),
                      st.none() | st.integers(0, 3), st.floats(-5, 5))  # fmt: skip
    ends = draw(st.lists(pairs, max_size=60))
    links = [link(a, b, *more[:2], strength=more[2]) for a, b, *more in ends if a != b]
    roles = draw(st.lists(st.sampled_from(["member", "outside"]), min_size=count, max_size=count))
    nodes = [{"account": account(n), "exchanges": n, "role": role} for n, role in enumerate(roles)]
    plain["graph"] = {"nodes": nodes, "links": links, "left_out": 0}
    return Case.model_validate(plain)


@law(30)
@given(graphs())
def test_every_account_is_drawn_once_inside_its_ring_and_no_two_things_overlap(case):
    layout = lay_out(case)
    drawn = [name for disc in layout.discs for name in disc.accounts]
    assert sorted(drawn) == sorted(node.account for node in case.graph.nodes)
    for disc in layout.discs:
        for name in disc.accounts:
            x, y = layout.spots[name]
            assert np.hypot(x - disc.x, y - disc.y) + 4.5 <= disc.radius + 0.2
    things = [
        (one.x, one.y, one.radius if isinstance(one, Disc) else 11.0)
        for one in [*layout.discs, *layout.tags]
    ]
    for at, (x, y, size) in enumerate(things):
        assert x >= 0
        assert y >= 0
        for x2, y2, size2 in things[:at]:
            assert max(abs(x - x2), abs(y - y2)) >= size + size2 - 0.5


@law(30)
@given(graphs())
def test_every_shared_value_is_a_ring_or_a_label_or_told(case):
    layout = lay_out(case)
    every = hubs(case.graph.links)
    rings = {(disc.why, tuple(sorted(disc.accounts))) for disc in layout.discs}
    tagged = {(tag.hub.why, tag.hub.members) for tag in layout.tags}
    told = {(hub.why, hub.members) for hub in layout.common}
    for hub in every:
        key = (hub.why, hub.members)
        inside = any(set(hub.members) == set(disc.accounts) for disc in layout.discs)
        assert key in tagged | told | rings or inside or layout.hidden
    for tag in layout.tags:
        assert sum(tag.joins.values()) == len(tag.hub.members)
    pairs = {(one.why, end) for one in case.graph.links for end in (one.a, one.b)}
    assert {(hub.why, name) for hub in every for name in hub.members} == {
        (why, end) for why, end in pairs if why not in ("handover", "succession", "replay")
    }


TABLES = st.tuples(st.integers(1, 130), st.integers(1, 400), st.integers(0, 2**32 - 1))


@law(40)
@given(TABLES)
def test_lines_and_columns_are_put_together_and_none_is_lost(table):
    rows, columns, seed = table
    counts = np.random.default_rng(seed).integers(0, 50, (rows, columns))
    plain = MAKERS["J"]()
    plain["timeline"]["rows"] = [
        {"account": account(n), "counts": row.tolist()} for n, row in enumerate(counts)
    ]
    case = Case.model_validate(plain)
    names, drawn, _ = binned(case)
    assert drawn.sum() == counts.sum()
    assert len(names) == len(drawn) <= LINES
    assert drawn.shape[1] <= COLUMNS
    assert sum(accounts for _, accounts in names) == rows
    grade, ends = levels(drawn)
    assert ((grade == 0) == (drawn == 0)).all()
    assert grade.max() <= len(ends)
    order = np.argsort(drawn, axis=None)
    assert (np.diff(grade.ravel()[order]) >= 0).all()


def test_the_timeline_marks_what_happened_where_it_happened():
    svg = str(draw_timeline(made("L")))
    assert svg.count('<g class="m429">') == 16
    assert svg.count('<g class="cfound">') == 1
    assert "1 refusal for a limit, 2026-05-01 02:57 UTC" in svg
    plain = MAKERS["L"]()
    plain["timeline"]["marks"] = [
        {"time": BEGIN + n, "what": "429", "account": account(1)} for n in range(7)
    ] + [{"time": BEGIN, "what": "release", "account": None}]
    svg = str(draw_timeline(Case.model_validate(plain)))
    assert svg.count('<g class="m429">') == 1
    assert "7 refusals for a limit" in svg
    assert svg.count('<g class="crelease">') == 1


def test_what_is_not_there_is_not_drawn():
    plain = MAKERS["X"]()
    plain["timeline"]["rows"], plain["growth"], plain["samples"] = [], [], []
    plain["thresholds"] = plain["discovery"] = plain["declared"] = plain["exchanges_before"] = None
    page = page_of_case(Case.model_validate(plain))
    assert "<h2>When</h2>" not in page
    assert "How the four statistics grew" not in page
    assert "The case has none." in page
    assert "served before that" not in page
    assert held(page) == []


def test_a_case_that_was_made_as_it_was_found_says_what_was_served_and_no_share():
    plain = MAKERS["J"]()
    plain["exchanges_before"] = plain["exchanges"]
    text = seen(page_of_case(Case.model_validate(plain)))
    assert f"Until then {plain['exchanges']:,} exchanges were served." in text
    assert "all that the case has" in text
    assert "100%" not in text


def test_sentences_of_a_detector_are_made_sentences():
    plain = MAKERS["J"]()
    plain["evidence"][0] |= {"plain": "one asked for it", "null": "others who did."}
    plain["clears"] = ["a test that was agreed"]
    text = " ".join(seen(page_of_case(Case.model_validate(plain))).split())
    assert "One asked for it. Compared with: others who did ." in text
    assert "A test that was agreed." in text


@law(50)
@given(st.dictionaries(st.sampled_from("JXIL"), st.floats(0, 250), min_size=1))
def test_no_label_of_a_statistic_stands_on_another_or_below_the_plot(wanted):
    found = conduct_drawing._clear(wanted, 256.0)
    assert found.keys() == wanted.keys()
    places = sorted(found.values())
    assert places[-1] <= 256.0 + 1e-9
    assert all(b - a >= 16 - 1e-9 for a, b in pairwise(places))
    assert sorted(found, key=found.get) == sorted(wanted, key=lambda name: (wanted[name], name))


def test_every_reason_that_a_file_may_give_has_words_and_a_colour():
    style = page_of_case(made("X"))
    for why in get_args(Why):
        assert REASONS[why]
        assert f".w{why} {{ color:" in style
    for signal in get_args(Signal):
        assert words.SIGNALS[signal]


def test_whose_sealed_reasoning_was_presented_is_an_arrow(pages):
    assert pages["X"].count('class="arrow wreplay"') == 1
    assert "presents its sealed reasoning</title>" in pages["X"]


def test_a_chance_is_said_for_each_look_where_a_signal_is_told_anew():
    assert "at whatever time one looks" in words.chance(4.0, {"wording", "handover"})
    assert "each time that one looks" in words.chance(4.0, {"evenness", "linkage"})
    assert "each time that one looks" in words.chance(4.0, {"timing"})
