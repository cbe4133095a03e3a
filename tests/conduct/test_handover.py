"""What follows refusals: the very request, by whom, and how long what is around it is kept."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_conduct_traffic import HASHES, HOUR, LEVELS, TASK, Traffic
from tests_laws import law

from mashbill.conduct.scan.scanning import Scan
from mashbill.conduct.scan.state import State
from mashbill.conduct.signals import handover
from mashbill.conduct.signals.handover import Companions, handovers

SECOND = handover.SECOND
REQUEST = np.arange(20, dtype="<u4").tobytes()
OTHER = np.arange(100, 120, dtype="<u4").tobytes()
SHORT = np.arange(3, dtype="<u4").tobytes()


def asked(time, account, skeleton=REQUEST):
    return (round(time * SECOND), f"{time}", account, skeleton)


def test_the_refused_request_asked_by_another_account_is_seen():
    found = handovers([asked(2000, b"a")], [asked(2003, b"b")], {}, Companions())
    assert found.trials[b"a"]["request"] == {1: (1, 1)}
    assert found.trials[b"a"]["known"] == {0: (1, 0)}  # that it did so is not known before it did
    assert found.takers[b"a", b"b", "request"] == (1, "2003")
    assert 1.9 > handover.evidence(found.trials[b"a"], ("request",)) > 1.7


@pytest.mark.parametrize(
    "exchange",
    [
        asked(2003, b"a"),  # the account itself
        asked(2003, b"b", OTHER),  # another request
        asked(2011, b"b"),  # too late
        asked(1999, b"b"),  # before the refusal
    ],
)
def test_what_is_no_handover_is_none(exchange):
    found = handovers([asked(2000, b"a")], [exchange], {}, Companions())
    assert found.trials[b"a"]["request"] in ({0: (1, 0)}, {1: (1, 0)})
    assert found.takers == {}


def test_accounts_of_one_organisation_share_a_limit():
    both = {b"a": b"o", b"b": b"o"}
    found = handovers([asked(2000, b"a")], [asked(2003, b"b")], both, Companions())
    assert found.takers == {}
    found = handovers([asked(2000, b"a")], [asked(2003, b"b")], {b"a": b"o"}, Companions())
    assert found.takers != {}


def test_short_prompts_are_the_same_by_chance():
    refused = [asked(2000, b"a", SHORT)]
    found = handovers(refused, [asked(2003, b"b", SHORT)], {}, Companions())
    assert "request" not in found.trials[b"a"]


def test_who_is_refused_each_second_is_counted_once():
    refused = [asked(2000 + place, b"a") for place in range(8)]
    found = handovers(refused, [asked(2009, b"b")], {}, Companions())
    assert found.trials[b"a"]["request"] == {1: (1, 1)}
    assert found.trials[b"a"]["template"] == {1: (1, 1)}
    apart = [asked(2000 + 10 * place, b"a") for place in range(8)]
    found = handovers(apart, [asked(2009, b"b")], {}, Companions())
    assert sum(number for number, _ in found.trials[b"a"]["request"].values()) == 8


def test_a_ring_of_keys_is_known_from_its_second_turn_on():
    keys = [bytes([65 + place]) for place in range(5)]
    refused, exchanges = [], []
    for turn in range(15):
        skeleton = np.arange(turn, turn + 20, dtype="<u4").tobytes()
        time = 2000 + 100 * turn
        refused.append(asked(time, keys[turn % 5], skeleton))
        exchanges.append(asked(time + 1, keys[(turn + 1) % 5], skeleton))
    companions = Companions()
    found = handovers(refused, exchanges, {}, companions)
    assert companions.all() == [tuple(keys)]
    whole = handover.added(found.trials.values())
    assert handover.followed(whole, "request") == (15, 15)
    assert handover.followed(whole, "known") == (15, 11)  # the first four joined them
    assert handover.evidence(whole, ("known",)) > 15


def test_a_popular_request_fills_the_windows_before_as_well():
    draws = random.Random(4)
    crowd = [asked(draws.uniform(0, 40_000), bytes([place % 250, 1])) for place in range(8_000)]
    crowd.sort()
    refused = [asked(time, b"a") for time in range(2000, 40_000, 150)]
    found = handovers(refused, crowd, {}, Companions())
    assert handover.followed(found.trials[b"a"], "request")[1] > 150
    assert handover.evidence(found.trials[b"a"], ("request",)) < 1.3


@law(60)
@given(st.sampled_from(["request", "template"]), st.integers(1, 12))
def test_a_refusal_that_nothing_follows_more_than_precedes_it_is_a_fair_bet(how, hits):
    """Of windows of which so many are hit the one behind is with their share: the mean is 1."""
    share = hits / (handover.BEFORE[how] + 1)
    hit, missed = (10 ** handover.evidence({how: {hits: (1, real)}}, (how,)) for real in (1, 0))
    assert share * hit + (1 - share) * missed == pytest.approx(1)


def test_the_mean_of_many_refusals_among_strangers_is_one():
    draws = random.Random(9)
    values = []
    for _ in range(4000):
        crowd = sorted(asked(draws.uniform(0, 2400), bytes([place])) for place in range(3))
        found = handovers([asked(2000, b"refused")], crowd, {}, Companions())
        values.append(10 ** handover.evidence(found.trials[b"refused"], ("request",)))
    assert 0.7 < np.mean(values) < 1.35


@pytest.mark.parametrize("rows", [1, 7, 100_000])
def test_keys_that_are_changed_when_refused_are_found_however_the_log_is_cut(tmp_path, rows):
    """What happened around a refusal is kept until it is looked at, an hour later or more."""
    traffic = Traffic(21)
    traffic.people(15, 1)
    for turn in range(40):
        text, time = f"{TASK} {traffic.say(30)}", 10 * HOUR + turn * 100 * SECOND
        traffic.ask(time, f"key{turn % 4}", text, status=429)
        traffic.ask(time + SECOND, f"key{(turn + 1) % 4}", text)
        if turn % 3 == 0:
            traffic.ask(time + 7 * SECOND, "honest", f"{TASK} {traffic.say(30)}", status=429)
    state = State(tmp_path / "state", {"key": HASHES.keyid})
    held = []
    scan = Scan(state, HASHES, LEVELS, "log", "native", held.append)
    scan.take(traffic.batches(rows))
    scan.end()
    state.database.close()
    found = {
        (one.tier, one.weighed.kind, tuple(sorted(map(traffic.names.get, one.weighed.accounts))))
        for one in held
    }
    assert ("act", "L", ("key0", "key1", "key2", "key3")) in found
    assert not [one for one in found if "honest" in one[2]]
