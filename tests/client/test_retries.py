"""What is tried again: each at its time, in the order of times, and later the more it failed."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.client import retries
from mashbill.client.retries import Retries

MOMENTS = st.floats(0, 1000, allow_nan=False)


@law()
@given(st.lists(MOMENTS, max_size=20), st.lists(MOMENTS, max_size=5))
def test_what_is_due_comes_once_and_in_order(times, looks):
    kept = Retries()
    for place, at in enumerate(times):
        kept.put((at, place), at)
    left = sorted((at, place) for place, at in enumerate(times))
    for now in sorted(looks):
        assert kept.first == (left[0][0] if left else None)
        found = kept.due(now)
        assert found == [each for each in left if each[0] <= now]
        left = left[len(found) :]
        assert (len(kept), sorted(kept)) == (len(left), left)


@law()
@given(st.integers(1, 2000), MOMENTS)
def test_who_failed_often_waits_long_but_not_for_ever(failures, now):
    kept = Retries()
    kept.back_off(SimpleNamespace(failures=min(failures, 60)), now)
    longest = min(retries._BACKOFF * 2.0 ** (min(failures, 60) - 1), retries._LONGEST_BACKOFF)
    assert now + longest / 2 <= kept.first <= now + longest
