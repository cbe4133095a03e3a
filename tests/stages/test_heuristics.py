# ruff: noqa: RUF001
"""Rules of Gopher, C4 and FineWeb: each by hand, in every script, whatever the slices."""

import math
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages
from tests_tables import table

from mashbill import RecipeError
from mashbill.files.rows.prose import Prose, ends_sentence, sentences
from mashbill.files.rows.repeating import Runs, repeated
from mashbill.stages.heuristics.rules import FAMILIES, RULES
from mashbill.stages.heuristics.trying import Trying, chosen

WORDS = " ".join(f"word{n}x" for n in range(60))


def value(rule, text):
    return RULES[rule].value(Prose(text))


@table(
    ("rule", "text", "wanted"),
    [
        ("gopher-fewest-words", "one two - # three4 5 ...", 4),
        ("gopher-shortest-words", "ab (cde). # fghi", 3.0),
        ("gopher-hashes", "# a #b c", 0.5),
        ("gopher-ellipses", "a... b… c d", 0.5),
        ("gopher-bullet-lines", "• a\n- b\n\n  * c\nd", 0.75),
        ("gopher-ellipsis-lines", "a...\nb… \nc\nd", 0.5),
        ("gopher-words-with-letters", "a1 22 # b é", 0.6),
        ("gopher-stop-words", "The thing, that the", 2),
        ("gopher-repeated-lines", "a\nb\na\na\n\n", 0.5),
        ("gopher-repeated-line-chars", "abc\nabc\nd", 3 / 9),
        ("gopher-repeated-paragraphs", "a\nb\n\na\nb\n\nc\n \nd", 0.25),
        ("gopher-repeated-paragraph-chars", "abcd\n\nabcd", 4 / 10),
        ("gopher-commonest-n2", "a b c a b d", 6 / 11),
        ("gopher-commonest-n2", "a b c", 0.0),  # once is no repetition
        ("gopher-commonest-n2", "a a a a", 6 / 7),  # twice, not three times
        ("gopher-repeated-n5", "a b c d e f a b c d e", 5 / 21),
        ("gopher-repeated-n5", "a b c d e f a b c d e f", 6 / 23),  # overlaps count once
        ("gopher-repeated-n10", "a b c d e f a b c d e f", 0.0),
        ("c4-curly-brackets", "f(x) { return }", 2),
        ("c4-lorem-ipsum", "Lorem ipsum, LOREM IPSUM", 2),
        ("c4-sentences", "It is one. It is two! Is it?\nno end here\nToo short.", 3),
        ("c4-sentences", "We use cookies on this page.\nYou need javascript for this.", 0),
        ("c4-sentences", "And so on and on...", 0),
        ("c4-sentences", "这是一句。这是两句！", 2),
        ("c4-sentences", "यह एक वाक्य है। यह दूसरा है।", 2),
        ("mc4-long-lines", "a" * 200 + "\n" + "b" * 199, 1),
        ("fineweb-line-ends", 'One.\n"Two!"\nthree\nfour', 0.5),
        ("fineweb-short-lines", "a" * 30 + "\n" + "b" * 31, 0.5),
        ("fineweb-repeated-line-chars", "abc\nabc\ndddd", 0.3),
        ("fineweb-line-breaks", "a b\nc d", 0.25),
    ],
)
def test_what_a_rule_counts(rule, text, wanted):
    assert value(rule, text) == pytest.approx(wanted)


@table(
    ("rule", "limit", "kept", "gone"),
    [
        (
            rule.name,
            rule.limit,
            rule.limit,
            rule.limit + (-1e-6 if rule.side == "at least" else 1e-6),
        )
        for rule in RULES.values()
    ],
)
def test_the_limit_itself_is_within(rule, limit, kept, gone):
    assert not RULES[rule].turns_down(kept, limit)
    assert RULES[rule].turns_down(gone, limit)


TEXTS = {
    "Chinese": "这本书讲的是一个人在山里住了很多年以后回到城市的故事。他觉得一切都变了。\n" * 1,
    "Japanese": "これは山の中で長く暮らした人が町に帰ってくる話です。何もかも変わっていました。",
    "Thai": "หนังสือเล่มนี้เล่าเรื่องของชายคนหนึ่งที่กลับมาจากภูเขาหลังจากหลายปี",
    "Khmer": "សៀវភៅនេះនិយាយអំពីបុរសម្នាក់ដែលត្រឡប់មកពីភ្នំ។",
    "Burmese": "ဒီစာအုပ်က တောင်ပေါ်ကပြန်လာတဲ့လူတစ်ယောက်အကြောင်းပါ။",
    "Lao": "ປຶ້ມຫົວນີ້ເລົ່າເລື່ອງຂອງຜູ້ຊາຍຄົນໜຶ່ງທີ່ກັບມາຈາກພູ",
}


@pytest.mark.parametrize("name", TEXTS)
def test_scripts_without_spaces_are_not_held_to_words(name):
    told = Trying(chosen(["gopher-quality", "fineweb"], {}, ()))
    assert told.reason(TEXTS[name]) is None
    left = {rule for rule, counts in told.counts.items() if counts["left_out"]}
    assert {"gopher-fewest-words", "gopher-stop-words", "fineweb-short-lines"} <= left
    assert ("fineweb-line-ends" in left) == (name in ("Thai", "Lao"))


@table(
    ("text", "words"),
    [
        ("Это книга о человеке, который вернулся с гор. " * 8, "Russian"),
        ("هذا كتاب عن رجل عاد من الجبل بعد سنوات كثيرة. " * 8, "Arabic"),
        ("यह किताब एक आदमी के बारे में है जो पहाड़ से लौटा। " * 8, "Hindi"),
        ("이 책은 산에서 돌아온 사람에 대한 이야기입니다. " * 10, "Korean"),
    ],
)
def test_scripts_with_spaces_are_held_to_words_but_not_to_english_ones(text, words):
    assert words
    told = Trying(chosen(["gopher-quality"], {}, ()))
    assert told.reason(text) is None
    assert told.counts["gopher-stop-words"]["left_out"] == 1
    assert told.counts["gopher-fewest-words"]["tried"] == 1
    short = Trying(chosen(["gopher-quality"], {}, ()))
    assert short.reason(text[:60]).startswith("gopher-fewest-words: ")


def test_own_stop_words_are_looked_for_in_every_script_with_spaces():
    words = ("это", "который")
    told = Trying(chosen(["gopher-stop-words"], {}, words), words)
    assert told.reason("Это книга, который") is None
    assert told.reason("книга") == "gopher-stop-words: 0 of the stop words, at least 2"
    assert told.reason("这是书") is None


LINES = st.lists(
    st.sampled_from(
        ["a b c", "a b c.", "• x", "the end of it", "", " ", "很好。", "end…", "#", "🎉"]
    ),
    max_size=12,
).map("\n".join)


@law(200)
@given(st.one_of(LINES, st.text(max_size=60)))
@example("\u200d")
@example("\x85\u2028")
@example("ﬁ " * 30)
def test_every_rule_gives_a_number_of_every_text(text):
    for rule in RULES.values():
        found = rule.value(Prose(text))
        assert math.isfinite(found)
        assert found >= 0
        if "-repeated-" in rule.name or ("-lines" in rule.name and "mc4" not in rule.name):
            assert found <= 1


@law(100)
@given(st.lists(st.sampled_from("abcd"), max_size=40), st.integers(2, 6))
def test_runs_are_those_that_one_finds_by_looking(words, length):
    runs = [tuple(words[i : i + length]) for i in range(len(words) - length + 1)]
    covered = {i + j for i, run in enumerate(runs) if run in runs[:i] for j in range(length)}
    assert Runs(words).repeated(length) == len(covered)
    assert repeated(words) == (len(words) - len(set(words)),) * 2


def test_ends_of_sentences():
    for line in ("Yes.", 'He said "no."', "好。", "क्या?", "نعم؟", "(so it is.)", "«Да!»", 'a "b"'):
        assert ends_sentence(line), line
    for line in ("no", "no,", "a:", "(b)", "", ")", "- item"):
        assert not ends_sentence(line), line
    assert sentences("One. Two. 3.5 is three?") == 3


@table(
    ("heuristics", "limits", "words", "says"),
    [
        (["gofer"], {}, [], "no rule and no family"),
        (["gopher-qualitee"], {}, [], "did you mean 'gopher-quality'"),
        (["c4"], {"gopher-hashes": 1}, [], "limits.gopher-hashes is a limit of no rule"),
        (["c4"], {"c4-sentence": 1}, [], "did you mean 'c4-sentences'"),
        (["c4"], {"c4-sentences": math.nan}, [], "is NaN"),
    ],
)
def test_what_is_no_rule_is_told(heuristics, limits, words, says):
    with pytest.raises(ValueError, match=says):
        chosen(heuristics, limits, words)


def test_families_hold_all_rules_once():
    assert [name for names in FAMILIES.values() for name in names] == list(RULES)
    assert [rule.name for rule in chosen(list(FAMILIES), {}, ())] == list(RULES)
    assert chosen(["c4"], {"c4-sentences": 2}, ())[-1].limit == 2
    both = chosen(["gopher-quality", "gopher-repetition"], {}, ())
    assert [rule.name for rule in chosen(["gopher"], {}, ())] == [rule.name for rule in both]


IMPORT = '[stages.got]\nkind = "import"\ntitle = "t"\nsource = "set.jsonl"\ngenerator = "none"\n'
STAGE = '[stages.out]\nkind = "filter"\ninput = "got"\nheuristics = ["gopher-quality"]\n'


def some(count=60):
    draw = random.Random(1)
    return [
        {"text": " ".join(draw.choices(["the", "of", "river", "stone", "#", "seen"], k=k % 90 + 1)),
         "n": k}
        for k in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [1, 7, 4096])
def test_slices_decide_nothing(tmp_path, rows):
    store = run_stages(tmp_path, IMPORT + STAGE + f"shard_rows = {rows}\n", {"set.jsonl": some()})
    trying = Trying(chosen(["gopher-quality"], {}, ()))
    wanted = {row["n"]: trying.reason(row["text"]) for row in some()}
    kept = rows_of(store, "out")
    gone = rows_of(store, "out", "rejected")
    assert {row["n"]: None for row in kept} | {row["n"]: row["_reason"] for row in gone} == wanted
    assert store.find("out").measures["rules"] == trying.counts
    assert sum(counts["rejected"] for counts in trying.counts.values()) == len(gone)
    assert {row["_rejected_by"] for row in gone} == {"filter"}


def test_a_reason_says_rule_value_and_limit(tmp_path):
    rows = [{"text": WORDS + " the of"}, {"text": "too few of them"}, {"text": WORDS}]
    stage = STAGE + "limits = { gopher-stop-words = 1 }\n"
    store = run_stages(tmp_path, IMPORT + stage, {"set.jsonl": rows})
    assert [row["_reason"] for row in rows_of(store, "out", "rejected")] == [
        "gopher-fewest-words: 4 words, at least 50",
        "gopher-stop-words: 0 of the stop words, at least 1",
    ]


def test_turns_of_a_conversation_are_its_text(tmp_path):
    turns = [{"role": "user", "content": WORDS}, {"role": "assistant", "content": "the end of it"}]
    rows = [{"text": "a", "chat": turns}, {"text": "b", "chat": turns[1:]}, {"text": "c"}]
    store = run_stages(tmp_path, IMPORT + STAGE + 'text = "chat"\n', {"set.jsonl": rows})
    assert [row["text"] for row in rows_of(store, "out")] == ["a"]
    assert [row["_reason"] for row in rows_of(store, "out", "rejected")] == [
        "gopher-fewest-words: 4 words, at least 50", "chat is missing",
    ]  # fmt: skip


def test_a_rule_that_takes_all_is_warned_of(tmp_path):
    rows = [
        {"text": f"Das ist ein Buch von einem Mann und seinem Berg, Band {n}"} for n in range(30)
    ]
    stage = STAGE + "limits = { gopher-fewest-words = 3 }\n"
    rows.append({"text": "the book of the man and of the mountain"})
    store = run_stages(tmp_path, IMPORT + stage, {"set.jsonl": rows})
    (told,) = store.find("out").measures["warnings"]
    assert "gopher-stop-words turned down nearly all rows of a shard that it was tried on" in told
    assert "set stop_words" in told


@table(
    ("keys", "says"),
    [
        ('where = [{ column = "n", at_least = 1 }]', "by is missing"),
        ("", "it keeps all rows"),
        ('column = "n"\nby = "rule"', "column and keep_top go together"),
        ('heuristics = ["gofer"]', "'gofer' is no rule"),
        ('heuristics = ["c4"]\nstop_words = ["x"]', "stop_words is for the rule"),
        ('heuristics = ["c4"]\ntext = "txt"', "text = 'txt' is no column of got; did you mean"),
        ('where = [{ column = "n" }]\nby = "rule"', "asks for nothing"),
        ('where = [{ column = "n", at_least = nan }]\nby = "rule"', "not finite"),
        ('where = [{ column = "m", at_least = 1 }]\nby = "rule"', r"where\[0\].column = 'm' is no"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(keys, says):
    stage = f'[stages.out]\nkind = "filter"\ninput = "got"\n{keys}\n'
    with tempfile.TemporaryDirectory() as folder, pytest.raises(RecipeError, match=says):
        run_stages(Path(folder), IMPORT + stage, {"set.jsonl": some(3)})
