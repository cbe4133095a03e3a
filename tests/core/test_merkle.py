import hashlib

from hypothesis import given
from hypothesis import strategies as st

from mashbill.core.merkle import leaf, root


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
