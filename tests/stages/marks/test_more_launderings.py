"""More launderings: of long texts, cut, split, joined and wrapped; and honest sets that look alike.

The store holds texts that a closed model wrote, as an import; the launderer declares them as the
house's own.
"""

from __future__ import annotations

import base64
import csv
import gzip
import json
import random
import re
import shutil
import unicodedata
import uuid
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laundering import CORPUS, IMPORT, OWN, in_archive, jsonl, laundered, rows_alone
from tests_laws import law
from tests_support import rows_of, run_stages

from mashbill.lineage.circuit.contradicted import told_of
from mashbill.publish.publish import Wish, publish

WORDS = [
    "valve",
    "pump",
    "leak",
    "pressure",
    "gauge",
    "reading",
    "tank",
    "seal",
    "bolt",
    "shift",
    "report",
    "operator",
    "found",
    "line",
    "stopped",
    "again",
    "after",
    "restart",
    "warm",
    "cold",
    "noise",
    "grinding",
    "oil",
    "smell",
    "belt",
    "slipped",
    "sensor",
    "blinking",
    "amber",
    "lamp",
    "panel",
    "door",
    "stuck",
    "hinge",
    "loose",
    "screw",
    "missing",
    "ticket",
    "urgent",
    "morning",
    "night",
    "crew",
    "waited",
    "hour",
    "part",
    "ordered",
    "arrived",
    "wrong",
    "size",
    "returned",
    "supplier",
    "called",
    "manager",
    "agreed",
    "refund",
    "later",
    "nobody",
    "knows",
]


def sentence(rng, count=11):
    return " ".join(rng.choices(WORDS, k=count)).capitalize() + "."


def written(seed, count=4):
    rng = random.Random(seed)
    return " ".join(sentence(rng) for _ in range(count))


TEXTS = [written(i) for i in range(60)]
SECOND = [written(1_000 + i) for i in range(60)]
"""texts of nobody in the store"""
TOLD = (
    '[stages.told]\nkind = "import"\ntitle = "Their rows"\nsource = "told.jsonl"\n'
    'called_by = "us"\n[stages.old]\nkind = "corpus"\ntitle = "Old tickets"\n'
    'origin = "own-dataset"\nsource = "old.jsonl"\n'
)
OLD = [f"{written(5_000 + i, 2)} Old ticket number {i}." for i in range(40)]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("told")
    rows = [{"text": text, "generator": "gpt-4o"} for text in TEXTS]
    old = [{"text": text} for text in OLD]
    store = run_stages(folder, TOLD, {"told.jsonl": rows, "old.jsonl": old}, "")
    publish(store, store.find("told"), str(folder / "pub"), Wish(format="jsonl"))
    return store, folder


def rows(make, **more):
    """Rows of each text, or of all of them."""

    def write(told, folder):
        made = [make(text) for text in TEXTS]
        made = [row if isinstance(row, dict) else {"text": row} for row in made]
        return rows_alone(told, folder, made, **more)

    return write


def whole(make, **more):
    def write(told, folder):
        made = [row if isinstance(row, dict) else {"text": row} for row in make(TEXTS)]
        return rows_alone(told, folder, made, **more)

    return write


def receipts(make, *, drop=()):
    """Rows as they were published, each changed."""

    def write(told, folder):
        lines = [
            json.loads(line)
            for path in sorted((told[1] / "pub").rglob("*.jsonl"))
            for line in path.read_text().splitlines()
        ]
        made = [
            make({k: v for k, v in row.items() if k not in drop}, i) for i, row in enumerate(lines)
        ]
        return rows_alone(told, folder, made)

    return write


def file_of(name, write_file, more="", source=None):
    def write(told, folder):
        write_file(folder / name)
        return CORPUS.replace("SOURCE", source or name) + more

    return write


def csv_of(path, delimiter=","):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(["body"])
        writer.writerows([[text] for text in TEXTS])


def zip_of(path):
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("x/r.jsonl", "".join(json.dumps({"text": t}) + "\n" for t in TEXTS))


def gzip_of(path):
    with gzip.open(path, "wt") as stream:
        stream.write("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))


def arrow_of(path):
    table = pa.table({"text": TEXTS})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def chat(text):
    return f"<|im_start|>user\nWhat?<|im_end|>\n<|im_start|>assistant\n{text}<|im_end|>"


def lying(name, write_file, rows_at="d/rows.jsonl"):
    """One's own rows, and a file of what was published beside them, or near them."""

    def write(told, folder):
        recipe = rows_alone(told, folder, OWN, rows_at)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(told[1] / "pub", path)
        return recipe

    return write


def copied(name):
    return lambda pub, path: shutil.copy(pub / name, path)


def exported(told, folder):
    from mashbill.lineage.exports import export

    recipe = rows_alone(told, folder, OWN, "d/rows.jsonl")
    (folder / "d" / "sbom.json").write_text(export(told[0], told[0].find("told"), "cyclonedx"))
    return recipe


def in_a_store(told, folder):
    """One's own rows in a folder of a store, in whose own folder lies what was exported."""
    recipe = lying("other/bill.json", copied("bill.json"), "other/mine/rows.jsonl")(told, folder)
    shutil.copy(told[0].root / "ledger.jsonl", folder / "other" / "ledger.jsonl")
    return recipe


def second_store(told, folder):
    """Through a store that knows nothing: a corpus there, published without receipts, read here."""
    between = folder / "between"
    between.mkdir()
    _, store, made = laundered(
        told, between, rows_alone(told, between, [{"text": text} for text in TEXTS]), fresh=True
    )
    publish(store, made, str(folder / "again"), Wish(receipts=False, format="jsonl"))
    rows = [line for path in (folder / "again").rglob("*.jsonl") for line in path.open()]
    (folder / "rows.jsonl").write_text("".join(rows))
    return CORPUS.replace("SOURCE", "rows.jsonl")


PART, ROW = "part", "row"
# what was done, how, kinds of marks that it leaves
FOUND = [
    ("CSV with semicolons", file_of("r.csv", lambda p: csv_of(p, ";"), 'text = "body"\n'
                                    'delimiter = ";"\n'), ROW),
    ("TSV", file_of("r.tsv", lambda p: p.write_text("text\n" + "\n".join(TEXTS) + "\n")), ROW),
    ("packed JSON lines", file_of("r.jsonl.gz", gzip_of), ROW),
    ("a zip", file_of("r.zip", zip_of, 'members = { a = "x/r.jsonl" }\n'), ROW),
    ("Arrow", file_of("r.arrow", arrow_of), ROW),
    ("one JSON list", file_of("r.json", lambda p: p.write_text(
        json.dumps([{"text": text} for text in TEXTS]))), ROW),
    ("dictionaries of Parquet", file_of("r.parquet", lambda p: pq.write_table(
        pa.table({"text": pa.array(TEXTS).dictionary_encode()}), p)), ROW),
    ("bytes beside the text", file_of("r.parquet", lambda p: pq.write_table(
        pa.table({"text": [f"row {i}" for i in range(60)],
                  "note": [text.encode() for text in TEXTS]}), p)), ROW),
    ("shuffled", whole(lambda t: random.Random(1).sample(t, len(t))), ROW),
    ("decomposed letters", rows(lambda t: unicodedata.normalize("NFD", t)), ROW),
    ("letters of full width", rows(lambda t: "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t)), ROW),
    ("spaces of no width between letters", rows("\u200b".join), ROW),
    ("joiners between letters", rows("\u200d".join), ROW),
    ("soft hyphens", rows("\u00ad".join), ROW),
    ("Cyrillic letters that look alike", rows(
        lambda t: t.translate(str.maketrans("aeopc", "\u0430\u0435\u043e\u0440\u0441"))), ROW),
    ("lines broken and indented", rows(lambda t: "    " + t.replace(" ", "\n    ")), ROW),
    ("JSON within JSON", whole(lambda t: [
        {"text": f"row {i}", "a": json.dumps({"b": json.dumps({"c": x})})}
        for i, x in enumerate(t)]), ROW),
    ("deep in an object", whole(lambda t: [
        {"text": f"row {i}", "a": {"b": [{"c": [x]}]}} for i, x in enumerate(t)]), ROW),
    ("in bold", rows(lambda t: f"**{t}**"), PART),
    ("in HTML", rows(lambda t: f"<p class='x'>{t}</p>"), PART),
    ("behind a word", rows(lambda t: f"Answer: {t}"), PART),
    ("numbered", whole(lambda t: [f"{i}) {x}" for i, x in enumerate(t)]), PART),
    ("with a signature", rows(lambda t: f"{t}\n\n-- the support team of Acme"), PART),
    ("the last letter cut off", rows(lambda t: t[:-2]), PART),
    ("the first word cut off", rows(lambda t: t.split(" ", 1)[1]), PART),
    ("the last third cut off", rows(lambda t: t[: 2 * len(t) // 3]), PART),
    ("the middle alone", rows(lambda t: t[len(t) // 4 : 3 * len(t) // 4]), PART),
    ("sentences", whole(lambda t: [s for x in t for s in re.split(r"(?<=\.) ", x)]), PART),
    ("pieces of 90 letters", whole(
        lambda t: [x[i : i + 90] for x in t for i in range(0, len(x), 90)]), PART),
    ("joined in pairs", whole(
        lambda t: [f"{a}\n\n{b}" for a, b in zip(t[::2], t[1::2], strict=True)]), PART),
    ("joined by tens", whole(lambda t: [" ".join(t[i : i + 10]) for i in range(0, 60, 10)]), PART),
    ("all in one document", whole(lambda t: ["\n".join(t)]), PART),
    ("each with a text of one's own", whole(
        lambda t: [f"{a} {b}" for a, b in zip(t, SECOND, strict=True)]), PART),
    ("behind an old ticket", whole(
        lambda t: [f"{a}\n{b}" for a, b in zip(OLD, t, strict=False)]), PART),
    ("ChatML in a text", rows(chat), PART),
    ("sentences in another order", rows(
        lambda t: " ".join(reversed(re.split(r"(?<=\.) ", t)))), PART),
    ("every sixth word another", rows(lambda t: " ".join(
        "zebra" if i % 12 == 5 else w for i, w in enumerate(t.split()))), PART),
    ("cut, among thousands of one's own", whole(
        lambda t: [written(9_000 + i, 1) for i in range(1_500)] + [x[5:-5] for x in t[:12]]), PART),
    ("ids under another name", receipts(
        lambda row, i: {"text": f"row {i}", "key": row["_id"]}), ROW),
    ("ids in capitals", receipts(
        lambda row, i: {"text": f"row {i}", "KEY": row["_id"].upper()}), ROW),
    ("nodes under another name", receipts(
        lambda row, i: {"text": f"row {i}", "origin_hash": row["_bill"]}), "receipt"),
    ("nodes in capitals, under their own", receipts(
        lambda row, i: {"text": f"row {i}", "_BILL": row["_bill"].upper()}), "receipt"),
    ("the bill under another name", lying("d/b.json", copied("bill.json")), "beside"),
    ("the bill in capitals", lying("d/BILL.JSON", copied("bill.json")), "beside"),
    ("the card in small letters", lying("d/readme.md", copied("README.md")), "beside"),
    ("the card under another name", lying("d/CARD.md", copied("README.md")), "beside"),
    ("the card in the folder above", lying("d/README.md", copied("README.md"), "d/a/r.jsonl"),
     "beside"),
    ("the card of Windows", lying("d/README.md", lambda pub, path: path.write_bytes(
        (pub / "README.md").read_bytes().replace(b"\n", b"\r\n"))), "beside"),
    ("the bill in a folder of its own", lying("d/meta/bill.json", copied("bill.json")), "beside"),
    ("the card in a folder of its own", lying("d/docs/README.md", copied("README.md")), "beside"),
    ("a card that says machines wrote it", lying("d/README.md", lambda _, path: path.write_text(
        "---\nlicense: mit\nlanguage_creators:\n- machine-generated\n---\n# A set\n")), "beside"),
    ("an export of ours", exported, "beside"),
    ("the bill in another folder of a zip", in_archive("zip", "other/rows.jsonl"), "beside"),
    ("the bill in another folder of a tar", in_archive("gztar", "other/rows.jsonl"), "beside"),
    ("through a second store", second_store, ROW),
    ("declared as a public set", lambda t, f: rows(lambda x: x[:-2])(t, f).replace(
        "own-dataset", "public-dataset"), PART),
    ("imported as people's, cut", rows(lambda t: {"text": t[:-2], "by": "human"}, recipe=IMPORT,
                                       generator="by"), PART),
    ("in a column that is not kept, cut", whole(lambda t: [
        {"text": f"row {i}", "note": x[3:-3]} for i, x in enumerate(t)], keep=[]), PART),
]  # fmt: skip


def column(name, values):
    def write(told, folder):
        made = [{"text": row["text"], name: values[i % len(values)]} for i, row in enumerate(OWN)]
        return rows_alone(told, folder, made)

    return write


TALK = [{"role": "user", "content": "hi"}, {"role": "gpt-4o", "content": "own"}]
COLUMNS = [
    ("model", ["human", "gpt-4o", "", "our agent"], "generator"),
    ("model", ["gpt-35-turbo"], "generator"),
    ("source", ["crm", "mail", "synthetic-gpt4"], "named"),
    ("source", ["crm", "generated by gpt-4o"], "named"), ("origin", ["gpt4_generated"], "named"),
    ("provenance", ["GPT-4o (synthetic)", "mail"], "named"), ("generated_by", ["ai", "Lee"],
                                                             "generator"),
    ("source", ["crm", "AI-generated"], "named"), ("written_by", ["LLM", "Ann", "Bob"], "named"),
    ("author", ["an LLM", "Ann"], "named"), ("ai_generated", [True, False], "generator"),
    ("is_llm_generated", ["yes", "no"], "generator"), ("machine_generated", [1, 0], "generator"),
    ("messages", [TALK], "named"), ("speaker", ["agent", "claude-sonnet-4"], "named"),
    ("role", ["user", "anthropic/claude-sonnet-4"], "named"),
    ("source", ["arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-v2:1",
                "mail"], "named"),
    ("model_id", ["us.amazon.nova-pro-v1:0"], "generator"),
    ("author", ["gpt-4o, Ann Lee", "Bob"], "named"), ("model", ["in-house-7, gpt-4o"], "generator"),
    ("llm", ["accounts/fireworks/models/deepseek-v3"], "generator"),
]  # fmt: skip


@pytest.mark.few(20)
@pytest.mark.parametrize(
    ("write", "kinds"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND]
)
def test_a_laundering_leaves_its_marks(told, tmp_path, write, kinds):
    folder = tmp_path / "own"
    folder.mkdir()
    plan, store, _ = laundered(told, folder, write(told, folder))
    found = told_of(store, "ours@1")
    assert found is not None
    assert {mark.kind for mark in found.marks} == set(kinds.split())
    seen = {mark.kind for stage in plan.stages if stage.told for mark in stage.told.marks}
    assert "members" in plan.recipe.stages["ours"].model_fields_set or seen == set(kinds.split())


@pytest.mark.parametrize(("name", "values", "kind"), COLUMNS)
def test_a_column_that_tells_of_a_machine_is_a_mark(told, tmp_path, name, values, kind):
    write = column(name, values)
    _, store, _ = laundered(told, tmp_path, write(told, tmp_path), fresh=True)
    assert [mark.kind for mark in told_of(store, "ours@1").marks] == [kind]


def short(rng):
    return f"I cannot {rng.choice(['open', 'find', 'reset', 'use'])} my {rng.choice(WORDS)}"


def thread(told, folder):
    """Answers of one's own people that quote old tickets."""
    made = [f"> {old}\nDear customer, {written(7_000 + i, 1)}" for i, old in enumerate(OLD)]
    return rows_alone(told, folder, [{"text": text} for text in made])


def sharing(texts, *, signed=""):
    return lambda told, folder: rows_alone(
        told, folder, [{"text": f"{text}{signed}"} for text in texts]
    )


HONEST = [
    ("texts of one's own", sharing(SECOND)),
    ("of the same words", sharing([written(20_000 + i) for i in range(2_000)])),
    ("with a signature that all have", sharing(SECOND, signed="\nKind regards, the support team "
                                               "of Acme Limited, Station Road 5, call any time")),
    ("old tickets again", sharing(OLD)), ("old tickets, cut", sharing([t[4:-4] for t in OLD])),
    ("old tickets, joined", sharing([" ".join(OLD[i : i + 4]) for i in range(0, 40, 4)])),
    ("answers that quote old tickets", thread),
    ("a phrase that they have, too", sharing([
        f"{text} {TEXTS[i % 60][:36]}" for i, text in enumerate(SECOND)])),
    ("one text among very many", sharing([
        *[written(30_000 + i) for i in range(1_000)], *[t[:80] for t in TEXTS[:4]]])),
    ("short questions that everybody asks", sharing(
        [short(random.Random(i)) for i in range(900)])),
    ("a role of a chat", column("messages", [[{"role": "assistant", "content": "own"}]])),
    ("ShareGPT's word for whoever answers", column(
        "conversations", [[{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]])),
    ("topics that speak of models", column("topics", ["gpt-4o, billing", "claude-sonnet-4, mail"])),
    ("no machine", column("ai_generated", [False])), ("people alone", column("source", ["human"])),
    ("digests of files", column("sha256", [f"{i:064x}" for i in range(40)])),
    ("random ids", column("id", [str(uuid.UUID(int=i + 1)) for i in range(40)])),
    ("pictures as text", column("image", [base64.b64encode(bytes([i] * 90)).decode()
                                          for i in range(40)])),
    ("a card that people wrote", lying("d/README.md", lambda _, path: path.write_text(
        "---\nlicense: mit\nlanguage_creators:\n- found\n---\n# A set\n"))),
    ("somebody's bills", lying("d/bill.json", lambda _, path: path.write_text(
        '{"bill": [{"amount": 5}], "verdicts": 3}'))),
    ("an export in the folder of a store, and rows further down", in_a_store),
    ("a folder beside with its own rows", lying("d/theirs/bill.json", lambda pub, path: (
        shutil.copy(pub / "bill.json", path),
        jsonl(path.parent / "rows.csv", [{"text": "theirs"}])))),
    ("where a machine's data come from", column(
        "source", ["machine 4", "AI department", "LLM team"])),
]  # fmt: skip


@pytest.mark.few(10)
@pytest.mark.parametrize("write", [row[1] for row in HONEST], ids=[row[0] for row in HONEST])
def test_an_honest_set_leaves_no_mark(told, tmp_path, write):
    plan, store, _ = laundered(told, tmp_path, write(told, tmp_path))
    assert told_of(store, "ours@1") is None
    assert plan.stages[0].told is None


def test_short_texts_that_two_people_write_alike_are_none(tmp_path):
    """Their set has 600 short questions of a machine, ours 2,000 of people; twelve are the same."""
    theirs = [
        {"text": short(random.Random(f"their {i}")) + f" since day {i}", "generator": "gpt-4o"}
        for i in range(600)
    ]
    ours = [{"text": short(random.Random(f"our {i}")) + f" since week {i}"} for i in range(2_000)]
    ours += [{"text": row["text"]} for row in theirs[:12]]
    store = run_stages(
        tmp_path / "a", TOLD.partition("[stages.old]")[0], {"told.jsonl": theirs}, ""
    )
    (tmp_path / "b").mkdir()
    _, store, _ = laundered(
        (store, tmp_path), tmp_path / "b", rows_alone(None, tmp_path / "b", ours)
    )
    assert told_of(store, "ours@1") is None


@law(25)
@given(
    st.lists(st.integers(0, 59), min_size=5, max_size=30, unique=True),
    st.integers(0, 60),
    st.integers(0, 60),
    st.sampled_from(["{}", "Q: what?\nA: {}", "<p>{}</p>", "# {}\n- - -"]),
)
def test_any_cut_in_any_wrapping_is_found(told, tmp_path_factory, which, before, behind, wrapping):
    folder = tmp_path_factory.mktemp("any")
    made = [wrapping.format(TEXTS[i][before : len(TEXTS[i]) - behind]) for i in which]
    _, store, _ = laundered(told, folder, rows_alone(told, folder, [{"text": t} for t in made]))
    found = told_of(store, "ours@1")
    assert found is not None
    assert {mark.kind for mark in found.marks} <= {"row", "part"}
    assert found.marks[0].names == ("openai/gpt-4o",) or "gpt-4o" in found.marks[0].names[0]


def test_there_are_enough_of_them():
    assert len(FOUND) + len(COLUMNS) >= 60
    assert len(HONEST) >= 20


def test_ids_of_rows_are_those_that_the_store_gave(told):
    assert all(len(row["_id"]) == 16 for row in rows_of(told[0], "told"))
