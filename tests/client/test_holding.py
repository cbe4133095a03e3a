"""What limits hold back: for as long as is said, longer the more there are, and never for ever."""

import json
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.client.holding import Holding
from mashbill.client.limits import LONGEST_HOLD, Asked, Pace, Shared
from mashbill.client.recording import Recording
from mashbill.client.route import Counts

NOW = 1000.0


def holding():
    told = []
    account = SimpleNamespace(alias="a")
    route = SimpleNamespace(account=account, place="models.example, model m", model="m")
    context = SimpleNamespace(run="r", clock=lambda: NOW, write=told.append, tell=told.append)
    return Holding(Pace(Shared(None, None, NOW)), Recording(route, context), Counts()), told


@law()
@given(st.integers(0, 50), st.none() | st.floats(0, LONGEST_HOLD))
def test_a_limit_is_waited_for_as_long_as_it_says_at_least(before, said):
    held, _ = holding()
    for _ in range(before):
        held.limited()
    wait = held.wait_of(said)
    assert wait >= (said or 0.0)
    assert wait <= max(said or 0.0, 60.0)
    assert said is None or before >= 4 or wait == said
    held.answered()
    assert held.wait_of(None) == 1.0


@law()
@given(st.floats(0, 2 * LONGEST_HOLD), st.booleans())
def test_a_limit_goes_on_record_and_one_that_is_too_long_ends_the_run(wait, is_believed):
    held, told = holding()
    asked = Asked(wait if is_believed else None, "Retry-After: x", is_believed)
    error = held.record(asked, wait, "c", "slow down", NOW - 2, NOW)
    (event,) = told
    assert json.loads(event.detail)["seconds"] == 2.0
    assert (error is not None) == (wait > LONGEST_HOLD or not is_believed)
    held.hold(wait, NOW, "x")
    held.hold(wait / 2, NOW, "x")
    left = held.pace.held_until - NOW
    assert abs(held.counts.waited - left) < 1e-6, "what overlaps counts once"
    assert (held.over(NOW) is None) == (left <= LONGEST_HOLD + 1.0)


def test_what_is_out_of_all_bounds_is_told_once():
    held, told = holding()
    held.pace.unbelieved = "a limit"
    held.learn({}, "c", NOW)
    held.learn({}, "c", NOW)
    assert told == ["models.example, model m: a limit is out of all bounds, and is left out"]
