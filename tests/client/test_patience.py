"""How long a service that says nothing, or limits only, is waited for."""

from types import SimpleNamespace

import pytest

from mashbill.client.patience import Patience
from mashbill.client.pressure import Breaker

ROUTE = SimpleNamespace(
    account=SimpleNamespace(host="models.example"), patience=900.0, first_patience=60.0
)


@pytest.mark.parametrize(
    ("reached", "since", "says"),
    [
        (False, 59.0, ""),
        (False, 61.0, "models.example has not answered for 60 s; at last: refused (look at"),
        (True, 899.0, ""),
        (True, 901.0, "models.example has not answered for 900 s; at last: refused"),
    ],
)
def test_who_was_never_reached_is_waited_for_less_and_told_of_the_address(reached, since, says):
    patience, breaker = Patience(ROUTE, reached), Breaker()
    breaker.failed("refused", 100.0)
    told = patience.unanswered(100.0 + since, breaker)
    assert told.startswith(says)
    assert bool(told) == bool(says)
    assert ("base_url" in told) == (bool(says) and not reached)


def test_a_wait_that_limits_ask_for_is_not_counted_against_them():
    patience = Patience(ROUTE, reached=True)
    assert patience.starved(1e9) == ""
    patience.limited(100.0, 500.0)
    patience.limited(600.0, 300.0)
    assert patience.starved(100.0 + 800.0 + 900.0) == ""
    told = patience.starved(100.0 + 800.0 + 901.0)
    assert told == "models.example has answered with rate limits only for 900 s"
    patience.answered()
    assert patience.starved(1e9) == ""
