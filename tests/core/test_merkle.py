import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashbill.core.errors import AuditError
from mashbill.core.merkle import Growing, leaf, path, root, root_from_path


def by_the_book(leaves):
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(
        b"\x01" + by_the_book(leaves[:split]) + by_the_book(leaves[split:])
    ).digest()


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_the_root_is_that_of_rfc_6962(items):
    leaves = [leaf(item) for item in items]
    assert root(leaves) == by_the_book(leaves).hex()


trees = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


@given(trees)
def test_every_leaf_s_path_leads_to_the_root(items):
    leaves = [leaf(item) for item in items]
    for index, one in enumerate(leaves):
        assert root_from_path(one, index, len(leaves), path(leaves, index)) == root(leaves)


def leads_to(expected, *proof):
    try:
        return root_from_path(*proof) == expected
    except AuditError:
        return False


@given(trees, st.data())
def test_a_path_that_was_tampered_with_leads_elsewhere(items, data):
    leaves = [leaf(item) for item in items]
    size, expected = len(leaves), root(leaves)
    index = data.draw(st.integers(0, size - 1))
    siblings = path(leaves, index)
    one = leaves[index]
    assert leads_to(expected, one, index, size, siblings)
    assert not leads_to(expected, leaf(b"other leaf"), index, size, siblings)
    assert not leads_to(expected, one, index, size, [*siblings, one])
    for at, sibling in enumerate(siblings):
        place, bit = data.draw(st.integers(0, 31)), data.draw(st.integers(0, 7))
        flipped = bytearray(sibling)
        flipped[place] ^= 1 << bit
        altered = [*siblings[:at], bytes(flipped), *siblings[at + 1 :]]
        assert not leads_to(expected, one, index, size, altered)
        assert not leads_to(expected, one, index, size, siblings[:at] + siblings[at + 1 :])
    # Where leaves are equal, another place may have the same path and be as true.
    other = data.draw(st.integers(-1, size))
    if not 0 <= other < size or leaves[other] != one:
        assert not leads_to(expected, one, other, size, siblings)


def test_a_leaf_that_is_not_there_has_no_path():
    with pytest.raises(IndexError):
        path([leaf(b"a")], 1)


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_a_growing_tree_has_the_root_of_the_whole_at_every_size(records):
    tree, leaves = Growing(), []
    assert tree.root() == root(leaves)
    for record in records:
        leaves.append(leaf(record))
        tree.add(leaves[-1])
        assert (tree.root(), tree.size) == (root(leaves), len(leaves))
