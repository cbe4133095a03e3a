"""Which texts are duplicates but for case, punctuation and spacing, in some twenty scripts."""

# ruff: noqa: E501, RUF001
# Texts of many scripts: letters that look like others, and are wider than they count.

import hashlib
import itertools
import re
import time
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages
from tests_tables import table

from mashbill.core.letters import folded, kind
from mashbill.core.words import words
from mashbill.files.rows import points, text
from mashbill.files.rows.points import spelt
from mashbill.files.rows.text import matching_key, matching_keys, place

# script: texts that all differ; groups of texts that are one
TABLE = {
    "latin": (
        ["résumé", "resume", "Maße", "Masse", "sık", "sik", "x²", "x2", "①", "1", "don't", "dont"],
        [["The end.", "the END", "“The end”", "(the) end…", "the  \u3000end!"],
         ["caf\u00e9", "cafe\u0301", "CAFÉ", "CAFE\u0301"], ["well-known", "well known"],
         ["İzmir", "izmir", "i\u0307zmir"], ["Fuẞball", "fußball"], ["co\xadop", "coop", "\ufeffcoop"],
         ["rock ’n’ roll", "rock 'n' roll", "rock `n´ roll"], ["COVID-19", "Covid 19", "covid—19"],
         ["He left - I stayed", "he left, I stayed", "he left — I stayed"],
         ["He has - 5 apples", "he has 5 apples"], ["¿Qué?", "qué"], ["1990–2000", "1990-2000"]],
    ),
    "greek": (
        ["μητέρα", "μήτρα", "α + β", "α - β", "πότε", "ποτέ"],
        [["ΟΔΥΣΣΕΎΣ", "οδυσσεύς", "Οδυσσεύσ"], ["τι;", "τι\u037e", "Τι"], ["καλά·", "καλά\u0387"]],
    ),
    "cyrillic": (["мой", "мои", "ёлка", "елка"], [["«Да!»", "да", "ДА…"], ["й", "и\u0306"]]),
    "arabic": (
        ["وَلَد", "وُلِد", "كتب", "كتاب", "٣٫٥", "٣٥", "٥٠٪", "٥٠"],
        [["ماذا؟", "ماذا", "«ماذا»"], ["أ", "ا\u0654"], ["نعم، لا", "نعم؛ لا"]],
    ),
    "persian": (["می\u200cخواهم", "میخواهم", "می خواهم"], [["سلام!", "سلام", "\u200fسلام"]]),
    "hebrew": (["ילד", "ילדה", "שָׁם", "שֵׁם"], [["צה״ל", 'צה"ל'], ["תל־אביב", "תל-אביב", "תל אביב"]]),
    "devanagari": (
        ["लड़का", "लड़की", "कि", "की", "क", "क्ष", "क्\u200dष", "कम", "काम"],
        [["वह आया।", "वह आया", "“वह आया!”"], ["क़लम", "\u0958लम"]],
    ),
    "bengali": (["ছেলে", "ছেলা", "দিন", "দীন"], [["কী?", "কী"], ["মো", "ম\u09c7\u09be"]]),
    "tamil": (["கல்", "கால்", "கொடி", "கோடி"], [["ஆம்.", "ஆம்"], ["கொ", "க\u0bc6\u0bbe"]]),
    "telugu": (["కల", "కాల", "కలి", "కలు"], [["అవును!", "అవును"]]),
    "thai": (
        ["ปู", "ปี", "ปา", "ไก่", "ไก้", "๑ ๒", "๑๒"],
        [["เด็ก ๆ", "เด็กๆ", "เด็ก\u200bๆ"], ["ไป ตลาด", "ไปตลาด", "“ไปตลาด”"]],
    ),
    "lao": (["ປູ", "ປີ", "ປາ"], [["ສະບາຍດີ!", "ສະບາຍດີ", "ສະບາຍ ດີ"]]),
    "khmer": (["ប្រុស", "ស្រី", "កូន", "កាន"], [["បាទ។", "បាទ"], ["ខ្ញុំ\u200bទៅ", "ខ្ញុំទៅ"]]),
    "burmese": (["ကို", "ကိ", "ကု", "ကား"], [["ဟုတ်ကဲ့။", "ဟုတ်ကဲ့"]]),
    "tibetan": (["བོད", "བུད", "ཀ་ཁ", "ཀཁ"], [["བོད་སྐད།", "བོད་སྐད"]]),
    "georgian": (["კაცი", "კაცო"], [["გამარჯობა!", "ᲒᲐᲛᲐᲠᲯᲝᲑᲐ", "„გამარჯობა“"]]),
    "armenian": (["տուն", "տոն"], [["ինչո՞ւ", "ինչու", "Ինչու"], ["այո։", "ԱՅՈ"]]),
    "amharic": (["ልጅ", "ልጆች"], [["ሰላም፡ለዓለም።", "ሰላም ለዓለም", "ሰላም፣ ለዓለም"]]),
    "chinese": (
        ["男孩", "女孩", "三、五", "三五", "百分之五", "5％", "5"],
        [["你好，世界！", "你好世界", "「你好」 世界。"], ["用 Python 写", "用Python写"]],
    ),
    "japanese": (
        ["かき", "がき", "ビル", "ビール", "ビ", "ビ\u3099ル"],
        [["ジョン・スミス", "ジョンスミス", "ジョン　スミス"], ["が", "か\u3099"], ["「はい。」", "はい"]],
    ),
    "korean": (["소년", "소녀", "나무 집", "나무집"], [["안녕!", "안녕", unicodedata.normalize("NFD", "안녕")]]),
    "emoji": (
        ["👍", "👎", "👍🏽", "👍🏿", "👨\u200d👩\u200d👧", "👨\u200d👩\u200d👦", "👨👩👧", "🇩🇪", "🇪🇩", "1\ufe0f\u20e3", "1",
         "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴", "fine :)", "fine :(", "fine"],
        [["❤\ufe0f", "❤", "❤!"], ["great 👍", "Great, 👍", "great👍"], ["so :-)", "So :-)."]],
    ),
    "mathematics": (
        ["7 + 5", "7 - 5", "7 × 5", "7 ÷ 5", "7 ± 5", "7 5", "7 / 5", "7 * 5", "75", "7 ≠ 5", "7 = 5",
         "7 < 5", "7 > 5", "¬7 5", "-7 + 5", "7^5", "7.5", "7,5", "7:5", "√7 5", "7 + -5", "7%5"],
        [["7-5", "7 - 5", "7 −5", "7 – 5?"], ["x<y", "x < y."], ["≠", "=\u0338"], ["x=-5", "x = −5"],
         ["−x", "-x", "(-x)"], ["(a+b)*c", "( a + b ) * c"]],
    ),
    "formulas": (
        ["(2 + 3) * 4", "2 + 3 * 4", "2 * (3 + 4)", "2 * 3 + 4", "9 - (5 - 3)", "9 - 5 - 3", "f(x)", "f'(x)",
         "y'' + y", "y' + y", "y + y", "n - k", "n k", "n + k", "[1.2, 3]", "[1, 2.3]", "-f(x)"],
        [["The sum (5%)", "the sum: 5%"], ["about (~5)", "about ~5"]],
    ),
    "money": (["$5", "€5", "5%", "5‰", "5°", "5", "#5", "@5", "5 & 6", "5 6", "5/6"], [["$ 5.", "$5"]]),
    "programming": (
        ["C", "C++", "C#", "F#", ".NET", "NET", "C--", "a != b", "a = b", "a == b", "a := b", "a -> b",
         "a > b", "a <- b", "a < b", "a -= b", "i++", "i--", "i", "!x", "x", "x | y", "x || y", "x & y", "x y",
         "~x", "ls -l", "ls l", "*p", "&p", "p", "snake_case", "snake case", "a/b", "a\\b", "$p", "@p"],
        [["I use .NET.", "I use “.NET”", "(I use .NET)"], ["a.b()", "a, b"], ["x  ->y", "x->y"]],
    ),
}  # fmt: skip


def sides(at):
    return [pytest.param(value[at], id=script) for script, value in TABLE.items()]


@table("texts", sides(0))
def test_texts_that_say_something_else_differ(texts):
    keys = matching_keys(pa.array(texts)).to_pylist()
    assert keys == [matching_key(each) for each in texts]
    for (one, key), (other, another) in itertools.combinations(zip(texts, keys, strict=True), 2):
        assert key != another, (one, other)
    # Also within a sentence.
    keys = [matching_key(f"Tell me, please: {each} - and why?") for each in texts]
    for (one, key), (other, another) in itertools.combinations(zip(texts, keys, strict=True), 2):
        assert key != another, (one, other)


@table("groups", sides(1))
def test_texts_that_differ_in_case_punctuation_and_spacing_are_one(groups):
    for group in groups:
        keys = matching_keys(pa.array(group)).to_pylist()
        assert len(set(keys)) == 1, dict(zip(group, keys, strict=True))
        assert len({place(each, 3) for each in group}) == 1
        forms = [unicodedata.normalize(form, each) for each in group for form in ("NFC", "NFD")]
        assert {matching_key(each) for each in forms} == set(keys)


def test_english_has_the_keys_that_it_had():
    for one, key in {
        "It's a well-known film (1994), isn't it?": "it s a well known film 1994 isn t it",
        '"Great!" she said; then: nothing...': "great she said then nothing",
        "A state-of-the-art phone — bought in U.S.A.": "a state of the art phone bought in u s a",
        "\t snake_case [sic] \n": "snake_case sic",
    }.items():
        assert matching_key(one) == key


@given(st.text(st.characters(max_codepoint=0x17F, exclude_characters="\xadµİŉſ")))
@law(300)
def test_latin_texts_are_split_as_they_were(text):
    """Two parts of a corpus, one made by release 0.1 and one now, have no row in common."""
    text = unicodedata.normalize("NFC", text)
    key = re.sub(r"\W+", " ", text.lower()).strip()
    if key:
        data = hashlib.sha256(f"5\n{key}".encode()).digest()
        assert place(text, 5) == int.from_bytes(data[:6], "big") / 2**48


def test_a_text_of_nothing_but_punctuation_is_itself():
    for group in (["?", "!", "...", "()", "—", ":)"], ["{", "}"]):
        assert len({matching_key(each) for each in group}) == len(group)
    assert matching_key(" . . . ") == matching_key("...")
    assert matching_key(" \n\x00") == matching_key("") == ""


ASCII = st.text([chr(code) for code in range(128)], max_size=12)
POINTED = st.text(" abxy12--..,,:;'\"!?()[]{}+*/=<>^|~%$#@_", max_size=12)
WIDE = st.text(
    "ab x1 2-−–.,:'’!()[]{}+*/=<>√·✓é\u0301İıßẞΣς\u200d\u200b\xad\ufe0f\uffff\x00 का।ขู่ กา你好三，・👍🏽🇩🇪𝐱𐒰𐩐",
    max_size=12,
)


@given(st.lists(ASCII | POINTED | WIDE | st.text(max_size=8), max_size=6))
@law(400)
def test_the_quick_ways_agree_with_the_slow_one(texts):
    slow = []
    for each in texts:
        small = folded(each)
        slow.append(
            text._spaced(spelt(small)).strip(" ") or "".join(c for c in small if kind(c) != "space")
        )
    assert matching_keys(pa.array(texts, pa.string())).to_pylist() == slow
    assert [matching_key(each) for each in texts] == slow


@given(WIDE | POINTED | st.text(max_size=12))
@law(400)
def test_spelling_and_case_change_no_key(each):
    key = matching_key(each)
    for form in ("NFC", "NFD"):
        assert matching_key(unicodedata.normalize(form, each)) == key
    if not set(each) & set("ßẞı"):
        assert matching_key(each.upper()) == key
    assert matching_key(each.lower()) == key


WORD = st.sampled_from(
    [
        "word",
        "Über",
        "लड़की",
        "ছেলে",
        "כן",
        "ሰላም",
        "ინგლისი",
        "안녕",
        "나",
        "it",
        "C++",
        "5",
        "👍🏽",
        "ὁδός",
    ]
)


@given(st.lists(WORD, min_size=1, max_size=5), st.data())
@law(300)
def test_punctuation_and_spacing_between_words_change_no_key(several, data):
    between = st.sampled_from(
        [", ", "; ", "  ", "\n", " … ", "। ", " — ", "\u2003", "” “", ") (", "?! "]
    )
    texts = ["".join(word + data.draw(between) for word in several) for _ in range(2)]
    assert matching_key(texts[0]) == matching_key(texts[1])
    assert matching_key(texts[0]) == matching_key(f"“{' '.join(several)}.”")


@pytest.mark.few(4)
@pytest.mark.parametrize(
    "said", ["+" * 99999, "ab-" * 40000, "-(" * 40000, "x" + "'" * 99999, " :(" * 30000, ") " * 40000,
             "a" + "\u0301\u0323" * 40000, "1.2," * 30000, "\u200d" * 99999, "- " * 50000 + "("],
)  # fmt: skip
def test_no_text_takes_long(said):
    """Each took minutes where time grew with the square of the length."""
    began = time.process_time()
    for end in ("", "é"):
        matching_keys(pa.array([said + end]))
        words(said + end, marks=True)
    assert time.process_time() - began < 20


def test_a_long_text_is_read_in_pieces(monkeypatch):
    said = "It is 7 - 5, or -(3 + 4) * 2, with COVID-19 in .NET. "
    whole = matching_key(said * 9)
    monkeypatch.setattr(points, "_AT_ONCE", len(said) - 1)
    assert matching_key(said * 9) == whole


@given(st.characters(codec="utf-8"), st.characters(codec="utf-8"))
@law(400)
def test_letters_marks_and_signs_are_told_apart(one, other):
    """Two characters that are no punctuation are one only if they are by case or by spelling."""
    if {kind(one), kind(other)} <= {"word", "sign"}:
        same = matching_key(f"a{one}") == matching_key(f"a{other}")
        assert same == (folded(f"a{one}") == folded(f"a{other}"))


@pytest.mark.parametrize("stage", ["corpus", "dedup"])
def test_a_run_keeps_what_differs_and_merges_what_does_not(tmp_path, stage):
    different = [each for texts, _ in TABLE.values() for each in texts]
    rows = [{"text": each} for each in dict.fromkeys(different)]
    again = [{"text": f"“{row['text']}”,"} for row in rows[::7]]
    recipe = (
        f'[stages.texts]\nkind = "corpus"\ntitle = "t"\nsource = "t.jsonl"\n'
        f"dedup = {str(stage == 'corpus').lower()}\n"
        '[stages.once]\nkind = "dedup"\ninput = "texts"\nexact = false\n'
    )
    expected = {matching_key(row["text"]) for row in rows}
    store = run_stages(tmp_path, recipe, {"t.jsonl": [*rows, *again]})
    kept = rows_of(store, "texts" if stage == "corpus" else "once")
    assert len(kept) == len(expected)
    assert len(kept) > 0.95 * len(rows)
