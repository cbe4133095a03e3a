"""A sketch says that two prompts are of one template; all who have its key draw it alike."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.conduct.events import Hashes, key_of
from mashbill.conduct.sketching import HEAD, LONGEST, READ, RUN, TAIL, skeleton, sketch
from mashbill.core.errors import InputError

HASHES = Hashes(b"k" * 32)
OTHER = Hashes(b"o" * 32)
WORDS = st.lists(st.text("abcdefgh", min_size=3, max_size=8), max_size=300)


@law(80)
@given(st.text(max_size=400), st.text(max_size=400))
def test_any_text_has_a_sketch_within_bounds(system, text):
    made = sketch(system, text, HASHES)
    assert list(made.skeleton) == sorted(set(made.skeleton))
    assert len(made.skeleton) <= max(LONGEST, HEAD + TAIL)
    assert all(0 <= run < 1 << 32 for run in made.skeleton)
    assert (made.system is None) == (not system)
    assert (made.item is None) == (not text)
    assert made == sketch(system, text, HASHES)


@law(80)
@given(WORDS, st.integers(0, 99))
def test_case_spaces_and_numbers_make_no_other_template(words, number):
    one = " ".join([*words, str(number)])
    other = "  \n".join([*(word.upper() for word in words), str(number + 1)])
    assert skeleton("", one, 7) == skeleton("", other, 7)


@law(60)
@given(WORDS, WORDS, st.integers(0, 5))
def test_of_what_two_texts_share_both_keep_the_same_or_one_was_full(template, words, at):
    filled = [*template[:at], *words, *template[at:]]
    one, other = skeleton("", " ".join(template), 7), skeleton("", " ".join(filled), 7)
    if len(template) - at >= HEAD + RUN:  # its end is the end of both
        assert len(set(one[:]) & set(other)) >= 1
    drawn = {run for run in one if run < (1 << 32) // 16}
    if len(template) <= 40 and not at and len(words) < HEAD:
        assert drawn <= set(other) | set(skeleton("", " ".join(words), 7)) or len(other) >= LONGEST


def test_a_sixteenth_of_a_long_texts_runs_is_kept_beside_its_ends():
    draws = random.Random(1)
    sizes = []
    for _ in range(200):
        text = " ".join("".join(draws.choices("abcdefghij", k=6)) for _ in range(220))
        sizes.append(len(skeleton("", text, 7)) - (HEAD - RUN + 1) - (TAIL - RUN + 1))
    expected = (220 - RUN + 1 - 54) / 16
    assert 0.8 * expected < sum(sizes) / len(sizes) < 1.1 * expected


def test_another_key_makes_nothing_that_can_be_joined():
    text = "Say in one word what the weather will be like in the town of my aunt tomorrow morning"
    one, other = sketch("", text, HASHES), sketch("", text, OTHER)
    assert one.item != other.item
    assert not set(one.skeleton) & set(other.skeleton)
    assert HASHES.of("item", "x", 8) != HASHES.of("system", "x", 8)


def test_scripts_without_spaces_have_runs_too():
    one = skeleton("", "请把下面的句子翻译成德文: 今天天气很好", 7)
    other = skeleton("", "请把下面的句子翻译成德文: 我们明天去公园", 7)
    assert len(set(one) & set(other)) >= 6


def test_of_a_very_long_text_both_ends_are_read():
    draws = random.Random(2)
    text = " ".join("".join(draws.choices("abcdefghij", k=6)) for _ in range(READ))
    whole = set(skeleton("", text, 7))
    made = set(sketch("", text, Hashes(b"k" * 32)).skeleton)
    assert len(made) <= LONGEST
    assert len(whole) <= LONGEST


def test_a_key_is_made_once_and_read_again(tmp_path):
    path = tmp_path / "deep" / "key"
    assert key_of(path).keyid == key_of(path, make=False).keyid
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("not hexadecimal\n")
    with pytest.raises(InputError, match="is not a key of hashes"):
        key_of(path)
    with pytest.raises(InputError, match="is not there"):
        key_of(tmp_path / "none", make=False)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.7", "192.0.2.200", True),
        ("192.0.2.7", "192.0.3.7", False),
        ("2001:db8:1:2::1", "2001:db8:1:ffff::1", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("::ffff:192.0.2.7", "192.0.2.9", True),
    ],
)
def test_a_network_is_a_block_of_addresses(one, other, same):
    assert (HASHES.network(one) == HASHES.network(other)) is same
    assert HASHES.network("no address") is None
