"""Reasons of rejected rows, grouped by kind: as many as there are, bounded, safe to print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.reasons import Reasons, plain
from mashbill.core.record import beyond, is_beyond

KINDS = [
    (
        ["5 characters, below 20", "17 characters, below 20", "0 characters, below 20"],
        "3 … characters, below 20",
    ),
    (["right at 0.1234, below 0.5", "right at 0.4, below 0.5"], "2 right at …, below 0.5"),
    (
        [
            "the teacher began with ' The', which begins none of ['good', 'bad']",
            "the teacher began with \"It's\", which begins none of ['good', 'bad']",
        ],
        "2 the teacher began with …, which begins none of ['good', 'bad']",
    ),
    (["its column text is empty"] * 4, "4 its column text is empty"),
    (["it doesn't fit", "it doesn't fit"], "2 it doesn't fit"),
    (["", ""], "2 "),
    (["line 3 its last answer is empty"], "1 line 3 its last answer is empty"),
    (["line 3 its text is empty", "line 14 its text is empty"], "2 lines: its text is empty"),
    (["a.jsonl line 3 is odd", "a.jsonl line 14 is odd"], "2 a.jsonl lines: is odd"),
    (["beyond the 20 rows that are wanted"] * 25, "25 beyond the 20 rows that are wanted"),
]


@pytest.mark.parametrize(("reasons", "told"), KINDS)
def test_reasons_that_differ_in_numbers_or_quotations_are_one_kind(reasons, told):
    assert Reasons(reasons).told() == told


def test_the_two_commonest_are_told_the_commonest_first():
    counted = Reasons(["a"] * 2 + ["b"] * 5 + ["c"] * 3)
    assert counted.told() == "5 b; 3 c; and 2 for other reasons"
    assert counted.told(3) == "5 b; 3 c; 2 a"
    assert [str(each) for each in counted.commonest(None)] == ["5 b", "3 c", "2 a"]
    assert counted.rows == 10


@law(150)
@given(st.lists(st.tuples(st.text(max_size=40), st.integers(1, 9)), max_size=30))
def test_no_row_is_lost_and_nothing_told_is_long_or_acts_on_a_terminal(given_):
    counted = Reasons()
    for reason, rows in given_:
        counted.add(reason, rows)
    kinds = counted.commonest(None)
    assert sum(each.rows for each in kinds) == counted.rows == sum(rows for _, rows in given_)
    assert all(len(each.reason) <= 160 for each in kinds)
    assert all(ord(c) >= 32 and not 127 <= ord(c) < 160 for each in kinds for c in each.reason)


@law(150)
@given(st.text(alphabet=st.sampled_from("a\x1b[31m\x00\r\n\x9b\u202e[/foo]\x07"), max_size=400))
def test_a_line_of_foreign_text_holds_no_control_code(text):
    assert not set(plain(text)) & set("\x1b\x00\r\n\x9b\u202e\x07")
    assert len(plain(text)) <= 160


def test_kinds_beyond_memory_are_counted_together():
    counted = Reasons(f"{'x' * place} y" for place in range(1500))
    assert counted.rows == 1500
    assert counted.commonest(1)[0].reason == "other reasons"


@given(st.integers(1, 10**7), st.text(max_size=20))
def test_a_row_beyond_those_that_are_wanted_is_known_as_one_that_was_good(wanted, text):
    assert is_beyond(beyond(wanted))
    assert not is_beyond(f"{text} {beyond(wanted)}")
