"""Orders that come in one by one are submitted together, and never put off without end."""

from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.client import gathering
from mashbill.client.gathering import Gathering


@law()
@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 2)), min_size=1, max_size=40))
def test_however_they_come_none_waits_longer_than_the_longest(steps):
    gathered, now, since, waiting = Gathering(), 0.0, None, []
    for number, (step, count) in enumerate(steps):
        now += step
        come = [(number, place) for place in range(count)]
        gathered.add(come, now)
        waiting += come
        since = now if since is None and come else since
        if since is None:
            assert gathered.due is None
            continue
        assert since <= gathered.due <= since + gathering._LONGEST_GATHER
        if gathered.is_due(now):
            assert gathered.take() == waiting
            since, waiting = None, []


def test_what_comes_is_waited_after_and_what_was_put_back_is_looked_at_later():
    gathered = Gathering()
    gathered.add(["a"], 10.0)
    first = gathered.due
    gathered.add([], 10.1)
    assert gathered.due == first, "other lanes' traffic puts nothing off"
    gathered.add(["b"], 10.2)
    assert gathered.due > first
    assert not gathered.is_due(10.2)
    assert gathered.is_due(gathered.due)
    assert gathered.take() == ["a", "b"]
    assert (gathered.due, gathered.take()) == (None, [])
    gathered.put_back(["b"], 11.0)
    assert gathered.due == 11.0 + gathering._BLOCKED
