"""The brief for sign-off: what it says of a store, of a public model, and that its forms agree."""

import re
from datetime import date
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from mashbill import Source, Store
from mashbill.calls.journal import Journal
from mashbill.cli import app
from mashbill.lineage.bills.telling import licence_words, looked_words, unrecorded_words
from mashbill.lineage.exports import gather
from mashbill.policy.claims import load_catalogue
from mashbill.policy.decision import Decision
from mashbill.policy.documents import load_registry
from mashbill.report.brief import Document, calls_of, to_html, to_markdown
from mashbill.report.brief.calls import texts_on
from mashbill.report.brief.composing import NOT_ASKED, SIGNERS, _wanted_review
from mashbill.report.brief.document import LONGEST, ROWS, Paragraph, Section, items, table
from mashbill.report.brief.points import FIRST, annex, points, reasons, together
from mashbill.report.brief.standing import _lead

REGISTRY = load_registry()
NAMES = ["<script>alert(1)</script>", "a|b", "`x`", "[t](javascript:alert(1))", "# head", "</td>",
         "\x1b[31m", "\u202egpj", "{{ 7*7 }}", "<!-- x", "- item", "---", "*b*"]  # fmt: skip
TITLES = ["In short", "What it is", "Licence and duties", "What it was made from",
          "Each call's day, against the text of that day", "Coverage, and what is not known",
          "Is it distilled?", "What was not asked", "Who signs", "How to check it"]  # fmt: skip


class Texts(HTMLParser):
    """The texts of a page, without its style; and its tags."""

    def __init__(self):
        super().__init__()
        self.texts, self.tags, self._style = [], [], False

    def handle_starttag(self, tag, _attrs):
        self._style = tag == "style"
        self.tags.append(tag)

    def handle_endtag(self, _tag):
        self._style = False

    def handle_data(self, data):
        if not self._style and data.strip():
            self.texts.append(" ".join(data.split()))


def read(html):
    parser = Texts()
    parser.feed(html)
    return parser


def brief(tmp_path, *arguments):
    done = CliRunner().invoke(app, ["brief", *map(str, arguments), "--to", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    [page] = (tmp_path / "out").glob("*.html")
    [text] = (tmp_path / "out").glob("*.md")
    return page.read_text(), text.read_text(), page.name


def section(text, title):
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_a_brief_of_a_store_has_all_that_a_signer_asks(finished, tmp_path):
    root = finished[0]
    html, text, name = brief(tmp_path, "scratch", "--store", root)
    assert name == "scratch@1.brief.html"
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == TITLES
    assert section(text, "In short").strip().startswith("**")
    store = Store(root)
    assert store.find("scratch").digest in section(text, "How to check it")
    checks = section(text, "How to check it")
    assert f"mashbill audit --store {root} --checkpoint CHECKPOINT --signer KEYID" in checks
    assert store.ledger.entries[-1].digest in checks
    assert all(entry.keyid in checks for entry in store.ledger.entries)
    called = section(text, "Each call's day, against the text of that day")
    assert "it stands in for a model" in called
    calls = Journal.of(store).totals()[0]
    numbers = [int(row.split(" | ")[3]) for row in called.splitlines() if row.startswith("| fake")]
    assert 0 < sum(numbers) <= calls
    asked = section(text, "What was not asked")
    assert all(word in asked for word in ("Personal data", "Opt-outs", "Export control"))
    assert asked.count("\n* ") == len(NOT_ASKED)
    signs = section(text, "Who signs")
    assert all(role in signs for role in SIGNERS)
    assert "Learned from the outputs, logits or weights" in section(text, "Is it distilled?")
    assert len(html) < 2_000_000
    assert "https://" not in html.replace("https://huggingface", "")  # it opens offline


def test_rules_and_terms_of_ones_own_stand_in_the_commands_that_check_it(finished, tmp_path):
    rules = tmp_path / "our rules.toml"
    rules.write_text('[[rule]]\nid = "a"\nsays = "No."\nwhen = "share > 2.0"\n')
    _, text, _ = brief(tmp_path, "scratch", "--store", finished[0], "--policy", rules)
    assert f"--policy '{rules}'" in section(text, "How to check it")
    assert REGISTRY.digest in section(text, "How to check it")


def test_a_contradicted_origin_is_told(finished, tmp_path, monkeypatch):
    from types import SimpleNamespace

    from mashbill.lineage.subject import Subject

    told = {"corpus@1": SimpleNamespace(says="declared as own-dataset, but a model wrote it")}
    monkeypatch.setattr(Subject, "contradicted", told)
    _, text, _ = brief(tmp_path, "scratch", "--store", finished[0])
    unknown = section(text, "Coverage, and what is not known")
    assert "* corpus@1 was declared as own-dataset, but a model wrote it." in unknown


def test_page_and_markdown_say_the_same(finished, tmp_path):
    html, text, _ = brief(tmp_path, "confident", "--store", finished[0])
    plain = re.sub(r"\\([\\`*\[\]|~$&<>_])", r"\1", text).replace("&amp;", "&")
    plain = plain.replace("&lt;", "<").replace("&gt;", ">")
    for told in read(html).texts:
        for line in told.split("\n"):
            assert line in " ".join(plain.split()), line


def test_a_brief_of_a_public_model_goes_as_far_as_claims(tmp_path):
    _, text, name = brief(
        tmp_path, "hf:deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "--as-of", "2026-11-24"
    )
    assert name == "deepseek-ai--DeepSeek-R1-Distill-Llama-8B.brief.html"
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == TITLES
    duties = section(text, "Licence and duties")
    assert "LicenseRef-Llama-3.1" in duties
    assert "meta-llama/Llama-3.1-8B (weights) by weights → " in duties
    assert "not known" in section(text, "Each call's day, against the text of that day")
    assert "mashbill audit" not in text
    assert "deepseek-ai/DeepSeek-R1@" in section(text, "How to check it")


OPENAI = Source(
    name="gpt-4o", what="model", kind="closed-api", route="api:openai", provider="OpenAI"
)


def test_the_text_of_a_day_is_the_one_that_held_on_it():
    versions = [
        (document, version)
        for document in REGISTRY.governing("OpenAI", "gpt-4o", "api")
        for version in document.versions
        if version.begins
    ]
    assert versions
    for document, version in versions:
        told, _ = texts_on(REGISTRY, OPENAI, version.begins)
        [line] = [text for text in told if text.startswith(f"{document.title}, ")]
        begins = document.on(version.begins)
        assert str(begins.effective_from or begins.begins) in line
    told, is_known = texts_on(REGISTRY, OPENAI, date(1999, 1, 1))
    assert not is_known
    assert all("not known" in text for text in told)


NOBODY = {"what": "model", "provider": "Nobody", "name": "heron"}


@pytest.mark.parametrize(
    ("fields", "told", "is_known"),
    [
        ({"kind": "closed-api", "route": "api:nobody"}, "has no API terms of Nobody", False),
        ({"kind": "open-weights", "route": "weights"}, "no licence of the weights of heron", False),
        ({"kind": "open-weights", "route": "weights", "license": "MIT"}, "MIT, as recorded", True),
        (
            {"kind": "open-weights", "route": "host:Nowhere", "license": "MIT"},
            "no host terms",
            False,
        ),
        ({"kind": "test-double", "route": "in-process"}, "stands in for a model", True),
    ],
)
def test_where_no_text_is_known_that_is_told(fields, told, is_known):
    texts, known = texts_on(REGISTRY, Source(**NOBODY, **fields), date(2026, 1, 1))
    assert told in "; ".join(texts)
    assert known == is_known


def test_calls_are_grouped_by_text_with_their_days(finished):
    store = Store(finished[0])
    account = gather(store, store.find("labelled"))
    step = account.step
    [double] = [taken.id for taken in step.taken if taken.role == "teacher"]
    account.sources[double] = OPENAI
    days = ["2024-02-01", "2024-02-02", "2026-02-01", "1999-01-01"]
    route = '{"host": "api.openai.com", "account": "main", "organisation": "Otter"}'

    class Told:
        asked = 0

        def when(self, calls):
            for call in calls[:-1]:  # the last one was pruned
                day = days[self.asked % len(days)]
                self.asked += 1
                yield "{}", route, "", f"{day}T10:00:00.000+00:00"
                assert call

    journal = Told()
    called = calls_of(store, account, journal, REGISTRY)
    assert sum(row.calls for row in called.asked) == journal.asked > 4
    assert called.missing >= 1
    assert len({row.texts for row in called.asked}) == len(called.asked) >= 2
    for row in called.asked:
        assert row.way == "api.openai.com, account main of Otter"
        for day in row.days:
            assert texts_on(REGISTRY, OPENAI, day)[0] == row.texts
    assert [row.is_known for row in called.asked if date(1999, 1, 1) in row.days] == [False]
    assert calls_of(store, account, None, REGISTRY).missing == journal.asked + called.missing


def test_names_of_strangers_are_texts_in_both_forms():
    rows = [[name, "x" * 5000] for name in NAMES]
    sections = (Section("T", (*table(("a", "b"), rows, "row"), *items(NAMES, "name"))),)
    document = Document(NAMES[0], "s", sections)
    found = read(to_html(document))
    known = {"html", "meta", "title", "style", "h1", "p", "section", "h2", "table", "tr", "th",
             "td", "ul", "li"}  # fmt: skip
    assert set(found.tags) <= known
    text = to_markdown(document)
    assert "<script>" not in text
    assert max(len(cell) for line in text.splitlines() for cell in line.split(" | ")) < LONGEST * 6


@pytest.mark.parametrize(
    ("count", "note"),
    [
        (ROWS, None),
        (ROWS + 1, "1 further row not"),
        (9999, f"{9999 - ROWS:,} further rows not"),
    ],
)
def test_what_is_long_is_cut_and_told(count, note):
    blocks = table(("n",), [[n] for n in range(count)], "row")
    assert len(blocks[0].rows) == ROWS
    notes = [block.text for block in blocks[1:] if isinstance(block, Paragraph)]
    assert [text[: len(note or "")] for text in notes] == ([note] if note else [])
    assert table(("n",), [], "row") == []


@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_the_headline_and_what_is_listed_as_unknown_are_one_truth(unknown):
    told = _lead(0, 0, unknown)
    assert ("no fact is listed as unknown" in told) == (unknown == 0)
    assert ("not recorded and could change an answer" in told) == (unknown > 0)


def test_each_brief_says_the_same_of_what_is_unknown_at_its_head_and_below(finished, tmp_path):
    for number, ref in enumerate(str(manifest.ref) for manifest in Store(finished[0]).manifests()):
        _, text, _ = brief(tmp_path / str(number), ref, "--store", finished[0])
        lead = section(text, "In short").strip().splitlines()[0]
        if lead.startswith("**No text or rule"):
            listed = "No fact is listed as unknown." in section(
                text, "Coverage, and what is not known"
            )
            assert listed == ("no fact is listed as unknown" in lead)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kind": "closed-api", "route": "api:nobody"}, "none: terms of Nobody in its place"),
        (
            {"kind": "closed-api", "route": "api:x", "provider": "unknown"},
            "none: terms of its maker in its place",
        ),
        ({"kind": "closed-api", "route": "dataset:rows"}, "not recorded"),
        ({"kind": "test-double", "route": "in-process"}, "none needed: a stand-in"),
        ({"kind": "open-weights", "route": "weights"}, "not recorded"),
        ({"kind": "open-weights", "route": "weights", "license": "MIT"}, "MIT"),
    ],
)
def test_terms_stand_in_the_place_of_a_licence(fields, told):
    assert licence_words(Source(**{**NOBODY, **fields})) == told


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ((), "nothing: no point of the plan wanted review"),
        (("allow", "allow"), "nothing: no point of the plan wanted review"),
        (("allow", "review"), "b (rule)"),
        (("review", "review", "deny"), "a (rule) and b (rule)"),
    ],
)
def test_what_was_accepted_is_told(outcomes, told):
    points = [
        {"about": "abc"[n], "rule": "rule", "document": "", "outcome": outcome}
        for n, outcome in enumerate(outcomes)
    ]
    assert _wanted_review({"decisions": points}) == told


def told_of(number, **more):
    fields = {
        "outcome": "review",
        "engine": "use restriction",
        "rule": "r",
        "as_of": date(2026, 1, 1),
    }
    return [
        Decision(**fields, about=f"s{n} (public)", because=f"who had m{n} write this",
                 in_general="who had models write this", lacking=(f"license of s{n}", "called_by"),
                 path=(f"s{n}", "root"), **more)
        for n in range(number)
    ]  # fmt: skip


@pytest.mark.parametrize("number", [1, 2, FIRST, FIRST + 1, 200])
def test_points_of_one_reason_are_one_row_with_a_count_and_the_first_names(number):
    found = reasons(told_of(number))
    [reason] = found
    [told, *_] = points(found)
    [row] = told.rows
    assert len(reason.about) == number
    assert (f"{number} things: " in row[0]) == (number > FIRST)
    assert ("and " in row[0]) == (number > 1)
    assert row[1] == ("who had m0 write this" if number == 1 else "who had models write this")
    assert row[2] == ("license of s0, called_by" if number == 1 else "license of each, called_by")
    assert row[4].startswith("the first: ") == (number > 1)
    names = annex([(reason.because, list(reason.about))])
    assert (names is None) == (number <= FIRST)
    if names is not None:
        [(_, count, cell)] = names.blocks[0].rows
        assert count == str(number)
        assert len(cell) <= LONGEST
        assert not cell.endswith("…")


def test_points_of_other_reasons_stay_apart():
    texts = [told_of(1)[0], *told_of(1, title="Terms"), *told_of(1, section="2")]
    assert len(reasons(texts)) == 3


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], []),
        (["a: x"], [("a: x", [])]),
        (["a: x", "b: x", "c: y"], [("x", ["a", "b"]), ("c: y", [])]),
        (["a: p: x", "b: x"], [("x", ["a: p", "b"])]),
        (["a: x: y", "b: x: y", "c: y"], [("x: y", ["a", "b"]), ("y", ["c"])]),
        (["no colon", "a: x", "a, b: x"], [("no colon", []), ("x", ["a", "a, b"])]),
    ],
)
def test_gaps_of_one_kind_are_told_together(texts, found):
    assert together(texts) == found


def test_a_brief_of_a_public_model_with_many_gaps_is_a_page_or_few(tmp_path):
    _, text, _ = brief(tmp_path, "hf:HuggingFaceTB/SmolLM3-3B", "--as-of", "2026-11-28")
    short = section(text, "In short").splitlines()
    assert len(short) < 50
    assert len(text.splitlines()) < 260
    rows = [line for line in short if line.startswith("| ")]
    assert max(len(line.split(" | ")[0]) for line in rows) < 400
    assert "the recipe" not in section(text, "In short")
    assert section(text, "Annex: the names behind each count")


def test_what_is_not_recorded_is_a_list_with_each_once():
    rest = [Source(name=f"{n}: what else it was made from, not recorded", what="unknown",
                   kind="unknown", route="not recorded") for n in ("A, b", "C", "C")]  # fmt: skip
    made = [Source(name=n, what="model", kind="open-weights", route="weights") for n in "XYX"]
    assert unrecorded_words(rest) == "what else it was made from (A, b; and C)"
    assert unrecorded_words(made) == "what X and Y were made from"
    assert unrecorded_words(made[:1]) == "what X was made from"
    assert unrecorded_words([]) == ""


@pytest.mark.parametrize(
    ("because", "lacking", "told"),
    [
        ("It bars. Whether it means use for selection alone, the clause does not say",
         ("Whether it means use for selection alone, the clause does not say",), ""),
        ("It bars.", ("use.commercial",), "use.commercial"),
        ("it is not recorded what A was made from; what B was made from; and 8 more",
         ("what A was made from", "what B was made from"), ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("engine", ["use restriction", "derivative", "house rule"])
def test_what_is_lacking_is_said_once(because, lacking, told, engine):
    decision = Decision("review", engine, "r", "a", because, date(2026, 1, 1), lacking=lacking)
    assert decision.lacks == told


def test_a_fact_that_a_sentence_names_in_passing_is_told_as_lacking():
    terms = Decision("review", "use restriction", "r", "a", "no api terms of X in the registry",
                     date(2026, 1, 1), lacking=("api terms of X",))  # fmt: skip
    assert terms.lacks == "api terms of X"


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("", "not recorded"),
        ("its card", "not found (looked for in its card)"),
        ("the repositories that a list has; none names it",
         "not found (looked for in the repositories that a list has)"),
        ("https://example.org/d/tree/main shows none",
         "not found (looked for in https://example.org/d/tree/main)"),
        ("x" * 500, f"not found (looked for in {'x' * 79}…)"),
    ],
)  # fmt: skip
def test_where_a_fact_was_looked_for_is_told(where, told):
    bare = Source(name="d", what="dataset", kind="public-dataset", route="public")
    assert looked_words(where) == told
    assert licence_words(bare, where) == told
    assert licence_words(bare.model_copy(update={"license": "MIT"}), where) == "MIT"


def test_a_brief_tells_where_the_licences_of_its_sources_were_looked_for(tmp_path):
    _, text, _ = brief(tmp_path, "hf:HuggingFaceTB/SmolLM3-3B", "--as-of", "2026-11-28")
    rows = section(text, "What it was made from").splitlines()
    catalogue = load_catalogue()
    told = 0
    for row in rows:
        name = row.removeprefix("| ").split(" (")[0]
        entity = catalogue.entities.get(name)
        if entity is not None and entity.license_looked:
            assert "looked for in " in row
            told += 1
    assert told
