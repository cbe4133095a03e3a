import math

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from mashbill.core.canonical import canonical, canonical_row, changed_keys
from mashbill.core.errors import CanonicalError

text = st.text(st.characters(exclude_categories=["Cs"]))
plain = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text
names = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))


@given(st.dictionaries(names, plain | st.lists(plain | st.dictionaries(names, plain))))
def test_a_row_without_floats_has_the_bytes_of_rfc_8785(row):
    assert canonical_row(row) == rfc8785.dumps(row)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_in_a_row_keeps_every_bit(value):
    row = canonical_row({"x": value}).decode()
    assert math.copysign(1, float.fromhex(row[6:-2])) == math.copysign(1, value)
    assert float.fromhex(row[6:-2]) == value


@given(st.dictionaries(text, plain), st.randoms())
def test_the_order_of_keys_changes_nothing(value, random):
    keys = list(value)
    random.shuffle(keys)
    assert canonical({key: value[key] for key in keys}) == canonical(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x", 2**60, "\ud800"])
def test_what_has_no_canonical_form_raises(value):
    with pytest.raises(CanonicalError):
        canonical({"key": value})


@pytest.mark.parametrize("value", [{1}, object(), "\ud800", {1: 2}])
def test_a_row_that_has_no_canonical_form_raises(value):
    with pytest.raises(CanonicalError):
        canonical_row({"key": value})


def test_changed_keys_name_what_differs():
    old, new = {"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}, "d": 4}
    assert changed_keys(old, new) == ["b.c: 2 -> 3", "d: None -> 4"]
