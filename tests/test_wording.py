"""What is printed and written can be read aloud: none, one and many, held to patterns."""

import re

import pytest
from tests_support import run_stages
from typer.testing import CliRunner

from mashbill import Store
from mashbill.cli import app
from mashbill.lineage.bills.bill import Coverage, bill
from mashbill.lineage.bills.telling import (
    amount,
    counted,
    coverage_sentence,
    depth_words,
    listed,
    open_ends,
)
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.exports import FORMATS, gather
from mashbill.policy.claims import load_catalogue
from mashbill.report import write_report

_NOUNS = (
    "rows|records|files|entries|calls|models|sources|claims|facts|things|points|lines|duties|"
    "checkpoints|artifacts|labels|mistakes|parameters|tokens|words|days|steps|hops|runs|events|"
    "teachers|datasets|columns|shards|statements|systems|findings|unknowns|kinds|keys|"
    "requests|limits|prompts|attempts|lines|definitions|signers|nodes|texts"
)
_ONE = (
    "row|record|file|entry|call|model|source|claim|fact|thing|point|line|duty|checkpoint|artifact|"
    "label|mistake|parameter|token|word|day|step|hop|run|event|teacher|statement|finding"
)
BAD = {
    "one thing as many": rf"(?<![\w.,@/-])1 (?:[a-z-]+ )?(?:{_NOUNS})\b",
    "many things as one": (
        rf"(?<![\w.,@/-])(?:[2-9]|[1-9][\d,]*\d) (?:{_ONE})\b(?!-| (?!is|was|has)[a-z]+s\b)"
    ),
    "a count of none as a sentence": rf"(?<![\w.,@/-])0 (?:of the|of|(?:[a-z-]+ )?(?:{_NOUNS}))\b",
    "a plural in brackets": r"\w\((?:s|es)\)",
    "of the things": r"\bof the things\b",
    "or not that not": r"\b(?:not|no|nothing|never)\b[^.;:|\n]*\bor not\b[^.;:|\n]*\b(?:no|not)\b",
    "no more and no more": r"\bthat there is no more\b",
    "one are": rf"\b1 (?:{_ONE}) (?:are|were|have)\b",
    "many is": rf"\b(?:[2-9]|\d\d+) (?:{_NOUNS}) (?:is|was|has)\b",
    "a doubled word": r"\b(is|the|of|not|no|a|to|are) \1\b",
    "not unlike": r"\bnot (?:un|in|dis)(?:known|declared|covered|recorded|complete|settled)\b",
    "a word of Python": r"Traceback|\w+Error\b|[:=,(] ?None\b|\b(?:True|False)\b|\[\]",
}


def held(text):
    """Return what of a text fits one of the patterns, with where it stands."""
    plain = re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]*>", "|", text, flags=re.DOTALL)
    plain = re.sub(r"[ \t\n]+", " ", plain)
    return [
        (name, plain[max(found.start() - 40, 0) : found.end() + 40])
        for name, pattern in BAD.items()
        for found in re.finditer(pattern, plain)
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("for 0 of the things on the way", "a count of none as a sentence"),
        ("that there is more, or not that there is no more", "no more and no more"),
        ("none of the 1 rows", "one thing as many"),
        ("1 claims were there", "one thing as many"),
        ("12 row is there", "many things as one"),
        ("3 key(s)", "a plural in brackets"),
        ("5 records is left", "many is"),
        ("1 record are left", "one are"),
        ("0 rows were taken", "a count of none as a sentence"),
        ("what is is", "a doubled word"),
        ("it is not unknown", "not unlike"),
        ("commercial True, competes_with []", "a word of Python"),
    ],
)
def test_each_pattern_finds_what_it_is_for(text, name):
    assert name in {found for found, _ in held(text)}


@pytest.mark.parametrize(
    "text",
    ["1 row", "21 rows", "no rows", "1.0 rows", "0.5 of the tokens", "40.5% of the", "0% to 100%",
     "a@1 files", "12-row", "0 to 3", "as of 2026-01-01 rows"],
)  # fmt: skip
def test_what_is_right_passes(text):
    assert held(text) == []


# ---- stores of one row of one word, of two, of many ----

STAGES = """
[stages.lines]
kind = "corpus"
title = "Our lines"
origin = "own-dataset"
source = "lines.jsonl"
license = "CC0-1.0"

[stages.labelled]
kind = "label"
input = "lines"
teacher = "t"
prompt = "prompt.txt"
labels = { good = " good", bad = " bad" }
"""
SIZES = {"one": ["good"], "two": ["good", "bad day"], "many": [f"good {n}" for n in range(12)]}


@pytest.fixture(scope="module")
def stores(tmp_path_factory, finished):
    made = {"finished": Store(finished[0])}
    for name, texts in SIZES.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / "prompt.txt").write_text("Text: {{ text }}\nMood:")
        rows = [{"text": text} for text in texts]
        made[name] = run_stages(folder, STAGES, {"lines.jsonl": rows})
    return made


WHICH = ["one", "two", "many", "finished"]
COMMANDS = [
    ("audit",), ("audit", "--deep"), ("signers", "list"), ("bill", "NAME"),
    ("check", "NAME", "--all"),
    ("check", "NAME", "--distribution", "public"), ("trace", "NAME", "--row", "0"),
    ("affected", "--source", "SOURCE"), ("affected", "--license", "CC0-1.0"),
    ("bill", "NAME", "--against", "NAME"), ("bill", "NAME", "--against", "C"),
    ("terms", "diff", "--from", "2026-01-01", "--to", "2026-01-01"), ("journal", "size"),
]  # fmt: skip


@pytest.mark.few(16)
@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_commands_print_of_none_one_and_many_reads_well(stores, which, command):
    store = stores[which]
    name = "scratch" if which == "finished" else "labelled"
    source = "toy texts" if which == "finished" else "Our lines"
    words = [{"NAME": name, "SOURCE": source}.get(word, word) for word in command]
    done = CliRunner().invoke(app, [*words, "--store", str(store.root)], env={"COLUMNS": "400"})
    assert done.exit_code in (0, 1, 3), done.output
    assert done.output.strip()
    assert held(done.output) == []


@pytest.mark.parametrize("which", WHICH)
def test_documents_of_none_one_and_many_read_well(stores, which, tmp_path):
    store = stores[which]
    for manifest in store.manifests():
        account = gather(store, manifest)
        for kind in ("card", "eu-2.5"):
            text = FORMATS[kind].write(account)
            assert held(text.partition("\n---\n")[2] or text) == [], kind
    result = store.find("scratch" if which == "finished" else "labelled")
    page = write_report(store, result, tmp_path / "page.html")
    html = page.read_text()
    # What receipts show is the toy's random words, which nobody wrote to be read.
    receipts = html[html.index("<h2>Receipts</h2>") : html.index("<h2>Evidence</h2>")]
    assert held(html.replace(receipts[receipts.index("<details") :], "")) == []
    done = CliRunner().invoke(
        app, ["brief", str(result.ref), "--store", str(store.root), "--to", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    for path in tmp_path.glob("*.brief.*"):
        assert held(path.read_text()) == [], path
    for _ in range(2):  # written, then unchanged
        done = CliRunner().invoke(
            app,
            ["publish", str(result.ref), "--to", str(tmp_path / "out"), "--store", str(store.root)],
        )
        assert done.exit_code == 0, done.output
        assert held(done.output) == []


PUBLIC = ["HuggingFaceTB/SmolLM3-3B", "deepseek-ai/DeepSeek-R1", "allenai/Olmo-3-1125-32B"]


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_said_of_public_models_reads_well(name, tmp_path):
    for command in (("bill",), ("check", "--all"), ("brief", "--to", str(tmp_path))):
        verb, *more = command
        done = CliRunner().invoke(app, [verb, f"hf:{name}", *more], env={"COLUMNS": "400"})
        assert done.exit_code in (0, 1, 3), done.output
        assert held(done.output) == []
    for path in tmp_path.iterdir():
        assert held(path.read_text()) == [], path


CATALOGUE = [
    ("list", "--limit", "3"),
    ("show", "hf:HuggingFaceTB/SmolLM3-3B"),
    ("sources",),
    ("show", "hf:openai/gpt-4o"),
    ("import", "--help"),
]


@pytest.mark.parametrize("command", CATALOGUE, ids=" ".join)
def test_what_the_catalogue_prints_reads_well(command):
    done = CliRunner().invoke(app, ["catalogue", *command], env={"COLUMNS": "400"})
    assert done.exit_code == 0, done.output
    assert held(done.output) == []


@pytest.mark.parametrize("which", SIZES)
def test_a_plan_reads_well(which, stores):
    recipe = stores[which].root.parent / "some.toml"
    done = CliRunner().invoke(app, ["plan", str(recipe)], env={"COLUMNS": "400"})
    assert done.exit_code in (0, 1, 3), done.output
    assert held(done.output) == []


def test_a_claimed_bill_says_what_the_claims_leave_open():
    catalogue = load_catalogue()
    lineage = lineage_of(catalogue)
    for name in PUBLIC:
        lines = bill(lineage.of(catalogue.find(name)))
        told = open_ends(lines)
        unknown = [line for line in lines if line.source.what == "unknown"]
        assert told.startswith("Claims are never complete")
        assert ("is not recorded" in told) == bool(unknown)
        assert held(told) == []
        if unknown:
            assert unknown[0].source.name.split(":")[0] in told or "more" in told
    assert held(open_ends([])) == []
    nothing = open_ends([], "o/r@abc1234:README.md; its card")
    assert "made from (looked for in o/r@abc1234:README.md, not found), so" in nothing
    assert held(nothing) == []


COUNTS = [0, 1, 2, 1234]


@pytest.mark.parametrize("count", COUNTS)
def test_numbers_and_their_nouns_agree(count):
    told = [counted(count, "row"), counted(count, "entry", "entries"), amount(count, "words"),
            f"{counted(count, 'source')} stand behind it"]  # fmt: skip
    assert all(held(text) == [] for text in told)
    assert counted(count, "row").startswith("no " if not count else f"{count:,} ")
    names = [f"n{i}" for i in range(count)]
    assert listed(names).count(" and ") == (count > 1)
    assert held(depth_words(count)) == []


@pytest.mark.parametrize("covered", [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.5, 0.5), (0.2, 0.7)])
def test_coverage_is_one_plain_sentence(covered, stores):
    unknown = Circuit.of_artifact(stores["one"], stores["one"].find("labelled"))
    source = unknown.source(int(unknown.sources()[0]))
    for sources in ((), (source,), (source,) * 2):
        told = coverage_sentence(Coverage(covered, sources))
        assert held(told) == []
        assert told.count(".") - told.count("0.") >= 1
