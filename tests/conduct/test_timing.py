"""Accounts that ask in the same seconds: seen where one hand lets them go, and not by chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_conduct_traffic import HASHES, HOUR, TASK, Traffic, scanned
from tests_laws import law

from mashbill.conduct.signals import timing

DAY = 86_400


def slots(times):
    found = {timing.slot(int(time * 1e6)) for time in times} - {None}
    return sorted(found)


def group(draws, accounts, daily, days=14, waves=0.0, phase=None):
    """Return the slots of accounts that ask by chance, and so many of their requests in waves.

    Waves are at moments of their own, or at one phase of each quarter of an hour.
    """
    own = {}
    moments = np.random.default_rng(99).uniform(0, 900, days * 96 + 1)
    for _ in range(accounts):
        number = draws.poisson(daily * days)
        times = draws.uniform(0, days * DAY, number)
        led = draws.random(number) < waves
        block = (times[led] // 900).astype(int)
        begins = moments[block] if phase is None else phase
        times[led] = block * 900 + begins + draws.exponential(8, led.sum())
        own[draws.bytes(16)] = slots(times)
    return own


def crowd_of(*groups):
    counts = {}
    for own in groups:
        for each in own.values():
            for slot in each:
                counts[slot] = counts.get(slot, 0) + 1
    return counts


def weighed(own, crowd=None):
    return timing.evidence(timing.trials(own, crowd_of(own) if crowd is None else crowd))


@pytest.mark.parametrize(("accounts", "daily"), [(12, 18), (50, 25), (5, 200)])
def test_half_of_the_requests_in_waves_are_seen(accounts, daily):
    assert weighed(group(np.random.default_rng(1), accounts, daily, waves=0.5)) > 1


@pytest.mark.few(3)
@pytest.mark.parametrize("every", [60, 120, 300, 900, 3600])
@pytest.mark.parametrize("accounts", [3, 6])
def test_programs_that_ask_at_fixed_times_of_their_own_are_no_sign(every, accounts):
    """Each polls by its own clock, so that two of them may hit the same seconds for ever."""
    draws = np.random.default_rng(8)
    found = []
    for _ in range(60):
        own = {}
        for _ in range(accounts):
            times = np.arange(draws.uniform(0, every), 14 * DAY, every)
            own[draws.bytes(16)] = slots(times + draws.uniform(0, 4, len(times)))
        found.append(weighed(own))
    assert np.mean([10**one for one in found]) <= 1.1
    assert max(found) < 1


def test_a_tool_whose_schedule_is_seventeen_past_is_no_sign():
    assert weighed(group(np.random.default_rng(2), 20, 40, waves=0.9, phase=437)) < 0.2


def test_waves_at_round_minutes_are_left_to_schedulers():
    for phase in (0, 300, 600):
        assert weighed(group(np.random.default_rng(2), 20, 40, waves=0.9, phase=phase)) < 0.1


def test_what_all_the_world_does_at_a_moment_is_no_sign():
    """A service comes back, and all ask again: the group, and many strangers."""
    draws = np.random.default_rng(3)
    own = group(draws, 20, 40, waves=0.5)
    strangers = group(draws, 300, 40, waves=0.5)
    assert weighed(own) > 2
    assert weighed(own, crowd_of(own, strangers)) < 0.1


@pytest.mark.parametrize("daily", [4, 18, 200])
def test_moments_of_ones_own_are_no_sign_on_average_and_cost_little(daily):
    draws = np.random.default_rng(4)
    found = [weighed(group(draws, 8, daily)) for _ in range(150)]
    assert np.mean([10**one for one in found]) <= 1.05
    assert min(found) > -0.05


def test_hours_of_the_day_are_no_sign():
    """All ask within the same two hours of each day, at moments of their own."""
    draws = np.random.default_rng(5)
    own = {
        draws.bytes(16): slots(
            np.concatenate([day * DAY + draws.uniform(0, 7200, 30) for day in range(14)])
        )
        for _ in range(20)
    }
    assert weighed(own) < 0.3


@law(200)
@given(st.dictionaries(st.binary(min_size=16, max_size=16),
                       st.lists(st.integers(0, 10**15), max_size=30), max_size=6))  # fmt: skip
def test_a_chance_is_a_chance_whatever_the_slots_are(times):
    own = {one: slots(time / 1e6 for time in each) for one, each in times.items()}
    tried = timing.trials(own, crowd_of(own))
    assert all(0 < chance < 1 and number == 1 and hit in (0, 1) for chance, number, hit in tried)
    assert -0.05 < timing.evidence(tried) <= timing.LIMIT


def test_kept_blocks_are_an_eighth_and_hold_no_round_minute():
    seconds = np.arange(0, 30 * DAY, 20)
    kept = [second for second in seconds.tolist() if timing.slot(second * 10**6) is not None]
    assert 0.9 < len(kept) / (len(seconds) * timing.SLOTS / 45 / timing.KEPT) < 1.1
    assert all(second % 300 >= 60 for second in kept)
    assert all(timing.slot(second * 10**6) == second // 20 for second in kept)


def test_accounts_that_ask_in_the_same_seconds_and_share_a_card_are_found(tmp_path):
    traffic = Traffic(41)
    draws = np.random.default_rng(6)
    beats = np.sort(draws.uniform(0, 14 * DAY, 1200))
    for one in range(12):
        for time in draws.choice(beats, 300, replace=False):
            traffic.ask(
                (time + draws.exponential(3)) * 10**6, f"beat{one}", f"{TASK} {traffic.say(40)}",
                network=f"beat{one}", payment=f"card{one % 3}",
            )  # fmt: skip
    traffic.people(60, 14)
    found, cases = scanned(traffic, tmp_path / "state")
    assert found
    assert all(names <= {f"beat{one}" for one in range(12)} for _, _, names in found)
    assert all(kind == "I" for _, kind, _ in found)
    assert any('"signal":"timing"' in body for _, _, body in cases)


def test_a_common_client_and_address_are_shown_and_count_for_nothing(tmp_path):
    traffic = Traffic(3)
    traffic.people(60, 3)
    traffic.queue(20, 3)
    plain, _ = scanned(traffic, tmp_path / "plain")
    for row in traffic.rows:
        if traffic.names[row["account"]].startswith("queue"):
            row["agent"] = HASHES.of("agent", "bot/1", 8)
            row["address"] = HASHES.of("address", "10.0.0.1", 8)
    found, cases = scanned(traffic, tmp_path / "state")
    assert found == plain, "they add nothing"
    (_, _, body) = cases[-1]
    assert "20 of these accounts have one client program in common" in body
    assert "20 of these accounts have one address in common" in body


def test_jobs_of_strangers_that_run_at_the_full_hour_are_not_found(tmp_path):
    traffic = Traffic(42)
    draws = np.random.default_rng(7)
    for one in range(12):
        for hour in range(14 * 24):
            traffic.ask(
                hour * HOUR + draws.exponential(9) * 10**6, f"job{one}",
                f"{TASK} {traffic.say(40)}", network=f"job{one}", payment=f"job{one}",
            )  # fmt: skip
    traffic.people(60, 14)
    found, _ = scanned(traffic, tmp_path / "state")
    assert found == []
