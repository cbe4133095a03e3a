"""``pii``: what is found, what is not, and that nothing of it is left or written anywhere."""

# ruff: noqa: RUF001 - full-width letters, as texts have them
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages
from tests_tables import table

from mashbill import RecipeError
from mashbill.core.missing import is_text
from mashbill.files.rows.redacted import KINDS
from mashbill.stages.personal.redacting import Finder, RowRedactor, texts_within
from mashbill.stages.pii import _Cells

FINDER = Finder()


def found(text, **keys):
    return [(each.kind, each.value) for each in Finder(**keys).found_in(text)]


@table(
    ("text", "wanted"),
    [
        ("Mail alice@example.com, or bob.o'hara+x@mail.example.co.uk.",
         [("email", "alice@example.com"), ("email", "bob.o'hara+x@mail.example.co.uk")]),
        ("<alice@example.com>;('carol@example.org')",
         [("email", "alice@example.com"), ("email", "carol@example.org")]),
        ("mailto:alice@example.com?subject=x", [("email", "alice@example.com")]),
        ("jürgen@münchen.de und josé@example.es",
         [("email", "jürgen@münchen.de"), ("email", "josé@example.es")]),
        ("请联系alice@example.com谢谢", [("email", "alice@example.com")]),
        ("写信到 用户@例子.广告 吧", [("email", "用户@例子.广告")]),
        ("почта: иван@пример.рф.", [("email", "иван@пример.рф")]),
        ("البريد alice@example.com هنا", [("email", "alice@example.com")]),
        ("Call +1 202-555-0123 or +44 (0)20 7946 0958",
         [("phone", "+1 202-555-0123"), ("phone", "+44 (0)20 7946 0958")]),
        ("Call me at 202-555-0123 or (415) 555-2671.",
         [("phone", "202-555-0123"), ("phone", "(415) 555-2671")]),
        ("(555) 123-4567, 555.123.4567 or 555 123 4567",
         [("phone", "(555) 123-4567"), ("phone", "555.123.4567"), ("phone", "555 123 4567")]),
        ("phone number is 2025550123", [("phone", "2025550123")]),
        ("tel:+12025550123", [("phone", "+12025550123")]),
        ("src=8.8.8.8 dst=9.9.9.9, root@8.8.4.4, http://8.8.8.8/x, ::ffff:8.8.8.8",
         [("ip", "8.8.8.8"), ("ip", "9.9.9.9"), ("ip", "8.8.4.4"), ("ip", "8.8.8.8"),
          ("ip", "8.8.8.8")]),
        ("电话:+86 138 1234 5678。", [("phone", "+86 138 1234 5678")]),
        ("тел. +7 (912) 345-67-89", [("phone", "+7 (912) 345-67-89")]),
        ("IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFFXXX",
         [("iban", "DE89 3704 0044 0532 0130 00")]),
        ("GB82WEST12345698765432.", [("iban", "GB82WEST12345698765432")]),
        ("de89370400440532013000", [("iban", "de89370400440532013000")]),
        ("card 4111 1111 1111 1111 exp", [("card", "4111 1111 1111 1111")]),
        ("5555-5555-5555-4444, 378282246310005, 3782 822463 10005",
         [("card", "5555-5555-5555-4444"), ("card", "378282246310005"),
          ("card", "3782 822463 10005")]),
        ("卡号4111111111111111。", [("card", "4111111111111111")]),
        ("SSN 536-90-4399", [("national-id", "536-90-4399")]),
        ("DNI 54362315K, NIE X2482300W",
         [("national-id", "54362315K"), ("national-id", "X2482300W")]),
        ("CF RCCMNL83S18D969H", [("national-id", "RCCMNL83S18D969H")]),
        ("CPF 390.533.447-05", [("national-id", "390.533.447-05")]),
        ("身份证 360426199101010071", [("national-id", "360426199101010071")]),
        ("from 8.8.8.8:53 and 2001:4860:4860::8888", [("ip", "8.8.8.8"),
         ("ip", "2001:4860:4860::8888")]),
        ("地址8.8.8.8是", [("ip", "8.8.8.8")]),
    ],
)  # fmt: skip
def test_what_is_found(text, wanted):
    assert found(text) == wanted


@table(
    ("text",),
    [(text,) for text in (
        "version 1.2.3.4", "v10.0.19.41", "Version: 8.8.8.8", "requests==2.28.1.4",
        "версия 1.2.3.4",
        "版本 8.8.4.4", "pkg-1.2.3.4.tar.gz", "1.2.3.4.5", "8.8.8.8.8", "section 8.8.8.8",
        "1.2.3.4 Terms of the thing", "## 1.2.3.4 Terms", "§ 4.4.4.4", "x>=8.1.2.3",
        "192.0.2.17 and 198.51.100.3 and 203.0.113.9", "2001:db8::1", "10.1.2.3", "192.168.0.1",
        "127.0.0.1", "::1", "fe80::1", "169.254.1.1", "0.0.0.1", "255.255.255.255", "999.1.1.1",
        "256.8.8.8", "std::vector", "a::b", "dead::beef", "12:30:45", "00:1A:2B:3C:4D:5E",
        "order 4111111111111112", "4111 1111 1111 1112", "1234567890123456", "0000000000000000",
        "order 100000000000", "1700000000", "1700000000000", "1700000000000000000",
        "2024-01-15 10:30:00", "2024-01-15T10:30:00+00:00", "20240115103000",
        "2024-01-15 - 2024-02-15",
        "ISBN 978-3-16-148410-0", "DE89370400440532013001", "GB12 not an account", "AB12CDEF",
        "000-12-3456", "666-12-3456", "12-34-5678", "54362315A", "2025550123", "020 7946 0958",
        "3 + 1 202 555", "+1", "f(x) = 2 + 44 20 7946 0958 0000 0000", "3.14159265358979",
        "icon@2x.png", "git@github.com:owner/repo.git", "@user", "user@", "a@b", "x@localhost",
        "a..b@example.com.", "foo@bar", "@Override",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479", "sha256:9f86d081884c7d659a2feaa0c55ad015",
        "<EMAIL_1> <PHONE_22>", "", "🎉🎉", "订单号 20240115001", "عدد 123456", "#123-456-7890-1",
        "1.123.456.7890", "12 345 678 9012",
        "978-030-6406-15",
    )],
)  # fmt: skip
def test_what_is_not_found(text):
    assert found(text) == []


@table(
    ("text", "wanted"),
    [
        ("unter 030/90 18 20 erreichbar", [("phone", "030/90 18 20")]),
        ("Tel. 030 90 18 20", [("phone", "030 90 18 20")]),
        ("0800/123 45 67", [("phone", "0800/123 45 67")]),
        ("電話番号は０９０－１２３４－５６７８です", [("phone", "０９０－１２３４－５６７８")]),
        ("ｔａｎａｋａ＠ｋａｉｓｈａ.co.jp", [("email", "ｔａｎａｋａ＠ｋａｉｓｈａ.co.jp")]),
        ("連絡はＴ＿ａ１＠ｋａｉｓｈａ．ｃｏ．ｊｐまで",
         [("email", "Ｔ＿ａ１＠ｋａｉｓｈａ．ｃｏ．ｊｐ")]),
        ("alice＠example.com", [("email", "alice＠example.com")]),
        ("Rechnung vom 03/11/2024, 0815/4711", []),
        ("Auftrag 2019/20 30 40, 01/02/2023 12:30", []),
        ("Auftrag 030 90 18 20", []),
        ("値段は１２３４円＠一個", []),
    ],
)  # fmt: skip
def test_what_is_found_in_germany_and_japan(text, wanted):
    assert found(text, regions=["DE", "JP"]) == wanted


def test_numbers_as_they_are_dialled_are_found_where_a_region_says_so():
    assert found("Ring 020 7946 0958 today", regions=["GB"]) == [("phone", "020 7946 0958")]
    assert found("(202) 555-0123", regions=["US"]) == [("phone", "(202) 555-0123")]
    assert found("202-555-0123", regions=[]) == []
    assert found("order 2025550123", regions=["US"]) == []
    assert found("phone: 2025550123", regions=["US"]) == [("phone", "2025550123")]
    assert found("ver 1.2.3.4 on 2024-01-15 10:30", regions=["US", "GB", "DE"]) == []


def redact(*texts, put="<{kind}_{number}>", finder=FINDER):
    redactor = RowRedactor(finder, put, texts)
    return [redactor.redacted(text) for text in texts]


def test_the_same_has_one_name_in_a_row():
    assert redact("a@example.com A@Example.com b@example.com", "+1 202-555-0123 a@example.com") == [
        "<EMAIL_1> <EMAIL_1> <EMAIL_2>", "<PHONE_1> <EMAIL_1>",
    ]  # fmt: skip
    assert redact("+1 (202) 555-0123 = +12025550123") == ["<PHONE_1> = <PHONE_1>"]
    assert redact("a@example.com", put="[gone]") == ["[gone]"]
    # What was redacted before keeps its number, and a new one gets another.
    assert redact("<EMAIL_3> wrote to a@example.com") == ["<EMAIL_3> wrote to <EMAIL_4>"]


def test_no_value_is_left_where_nobody_would_take_it_for_one():
    (text,) = redact("ping 8.8.8.8; version 8.8.8.8; x8.8.8.88")
    assert "8.8.8.8" not in text


PIECES = st.sampled_from([
    "alice@example.com", "ALICE@example.com", "b@例子.广告", "+1 202-555-0123", "+442079460958",
    "8.8.8.8", "v8.8.8.8", "192.0.2.1", "4111 1111 1111 1111", "4111111111111111", "1", "-", ".",
    "@",
    "GB82WEST12345698765432", "536-90-4399", "2001:4860:4860::8888", "text", "请", " ", "\n", "<",
    "<EMAIL_1>", "<PHONE_2>", "a", "+", "0", ":", "example.com", "é", "\u00a0", "🎉", "_",
])  # fmt: skip
TEXTS = st.lists(st.lists(PIECES, max_size=8).map("".join), min_size=1, max_size=3)


@law(400)
@given(TEXTS, st.sampled_from(["<{kind}_{number}>", "[x]", "{number}{kind}", ""]))
@example(["8.8.8.8", "8.8.8.88.8.8.8"], "")
@example(["+1 202-555-01234111 1111 1111 1111"], "")
def test_redacting_twice_is_redacting_once_and_no_value_is_left(texts, put):
    once = redact(*texts, put=put)
    values = [each.value for text in texts for each in FINDER.found_in(text)]
    if put:
        assert not any(value in text for value in values for text in once)
        assert redact(*once, put=put) == once
    assert [FINDER.found_in(text) for text in once] == [[] for _ in once]


@law(200)
@given(st.text(max_size=80))
@example("@" * 70)
@example("1" * 70)
@example("+" + "1 " * 40)
@example("a." * 40 + "@" + "b." * 30)
def test_any_text_is_looked_at(text):
    for each in FINDER.found_in(text):
        assert text[each.start : each.stop] == each.value
        assert each.value not in repr(each)


def test_long_texts_take_time_that_grows_with_them():
    for piece in ("a@", "1-", "1.", "+1 ", "a.b-", "AB12 ", "12:"):
        FINDER.found_in(piece * 20_000)


IMPORT = '[stages.got]\nkind = "import"\ntitle = "t"\nsource = "set.jsonl"\ngenerator = "none"\n'
STAGE = '[stages.out]\nkind = "pii"\ninput = "got"\n'
SECRET = ("alice@example.com", "+1 202-555-0123", "4111 1111 1111 1111")
ROWS = [
    {"text": f"write to {SECRET[0]}", "note": f"or {SECRET[1]}, {SECRET[0]}", "n": 1},
    {"text": "nothing here 192.0.2.1", "note": None, "n": 2},
    {"text": "card", "note": "", "n": 3, "chat": [
        {"role": "user", "content": f"my card is {SECRET[2]}"},
        {"role": "assistant", "content": [{"type": "text", "text": f"not {SECRET[2]}"}]}]},
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 4096])
def test_rows_are_redacted_in_all_columns_and_turns(tmp_path, size):
    stage = STAGE + f"shard_rows = {size}\n"
    store = run_stages(tmp_path, IMPORT + stage, {"set.jsonl": ROWS})
    rows = rows_of(store, "out")
    assert [row["text"] for row in rows] == ["write to <EMAIL_1>", ROWS[1]["text"], "card"]
    assert rows[0]["note"] == "or <PHONE_1>, <EMAIL_1>"
    assert json.loads(rows[2]["chat"]) == [
        {"role": "user", "content": "my card is <CARD_1>"},
        {"role": "assistant", "content": [{"type": "text", "text": "not <CARD_1>"}]},
    ]
    measures = store.find("out").measures
    assert {k: v for k, v in measures["found"].items() if v} == {"email": 2, "phone": 1, "card": 2}
    assert measures["rows_touched"] == 2
    assert set(measures["libraries"]) == {"email-validator", "phonenumbers", "python-stdnum"}
    # What the rows were is in what they were made of, and nowhere else.
    for path in store.root.rglob("*"):
        if path.is_file() and "got@" not in str(path):
            data = path.read_bytes()
            assert not any(secret.encode() in data for secret in SECRET), path


def test_rows_are_rejected_with_kinds_and_no_values(tmp_path):
    store = run_stages(tmp_path, IMPORT + STAGE + 'found = "reject"\n', {"set.jsonl": ROWS})
    assert [row["n"] for row in rows_of(store, "out")] == [2]
    gone = rows_of(store, "out", "rejected")
    assert [row["_reason"] for row in gone] == ["it holds 2 email, 1 phone", "it holds 2 card"]
    assert not any(secret in json.dumps(gone, default=str) for secret in SECRET)


def test_only_some_columns_and_kinds(tmp_path):
    stage = STAGE + 'columns = ["note"]\nkinds = ["email"]\nput = "[{kind}]"\n'
    store = run_stages(tmp_path, IMPORT + stage, {"set.jsonl": ROWS})
    rows = rows_of(store, "out")
    assert rows[0]["note"] == f"or {SECRET[1]}, [EMAIL]"
    assert rows[0]["text"] == ROWS[0]["text"]


def test_cells_of_lists_are_looked_at():
    batch = pa.RecordBatch.from_pydict(
        {"x": pa.array([["a@example.com", None], None, []], pa.list_(pa.string())),
         "n": pa.array([1, 2, 3])}
    )  # fmt: skip
    cells = _Cells(batch, "x")
    assert is_text(batch.schema.field("x").type.value_type)
    assert cells.texts(0) == ["a@example.com"]
    cells.redact(0, RowRedactor(FINDER, "<{kind}>", cells.texts(0)))
    assert cells.column().to_pylist() == [["<EMAIL>", None], None, []]
    assert not _Cells(batch, "n").has_texts


def test_keys_of_objects_are_redacted_and_stay_apart():
    value = {"a@example.com": 1, "to": {"A@Example.com": "x"}, "A@example.com": [None, 2.5, True]}
    redactor = RowRedactor(FINDER, "<{kind}>", texts_within(value))
    assert redactor.value(value) == {
        "<EMAIL>": 1, "to": {"<EMAIL>": "x"}, "<EMAIL>_": [None, 2.5, True],
    }  # fmt: skip
    assert list(value) == ["<EMAIL>", "to", "<EMAIL>_"]


def test_texts_within_a_value_are_walked_without_end():
    deep = leaf = []
    for _ in range(5000):
        leaf.append([])
        leaf = leaf[0]
    leaf.append("a@example.com")
    assert texts_within(deep) == ["a@example.com"]
    RowRedactor(FINDER, "x", texts_within(deep)).value(deep)
    assert texts_within(deep) == ["x"]


@table(
    ("keys", "says"),
    [
        ('kinds = ["name"]', "kinds"),
        ('regions = ["usa"]', "no country's two letters"),
        ('regions = ["QZ"]', "knows no such country"),
        ('regions = ["UK"]', "knows no such country; did you mean GB?"),
        ('countries = ["xx"]', "choose of us, es"),
        ('put = "{value}"', "no other brace or digit"),
        ('put = "a@b.com"', "may not have an @"),
        ('columns = ["txt"]', "columns = 'txt' is no column of got; did you mean 'text'"),
        ("kinds = []", "kinds"),
    ],
)
def test_a_stage_that_makes_no_sense_is_refused(keys, says):
    with tempfile.TemporaryDirectory() as folder, pytest.raises(RecipeError, match=says):
        run_stages(Path(folder), IMPORT + STAGE + keys + "\n", {"set.jsonl": ROWS})


def test_all_kinds_are_told_in_order():
    assert KINDS == ("email", "iban", "card", "national-id", "phone", "ip")
