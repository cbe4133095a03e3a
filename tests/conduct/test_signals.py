"""Each signal by itself: what it sees, what it does not, and that honest ways stay below."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.conduct.evidence.betting import counted, graded
from mashbill.conduct.evidence.tiers import NOTE
from mashbill.conduct.signals import evenness, linkage, partition, replay, succession, wording
from mashbill.conduct.signals.families import families
from mashbill.conduct.signals.templates import alike, in_all, phrasings, template

HOUR = succession.HOUR


def runs(*values):
    return np.array(sorted(values), np.uint32)


def test_newcomers_that_follow_bans_are_seen_and_a_steady_stream_is_not():
    bans = {bytes([one]): (220 + 220 * one) * HOUR for one in range(5)}
    behind = {bytes([50 + one]): time + HOUR for one, time in enumerate(bans.values())}
    old = dict.fromkeys(bans, 0)
    found = succession.successions(bans, {**old, **behind}, 10**18)
    assert [hit for _, hit in found.trials[6 * HOUR]] == [1] * 5
    assert found.pairs == sorted(zip(bans, behind, strict=True))
    assert succession.evidence(found) > 4
    steady = {bytes([60, one]): 5 * HOUR * one for one in range(200)}
    assert succession.evidence(succession.successions(bans, {**old, **steady}, 10**18)) <= 0


def test_who_comes_back_the_next_day_is_seen():
    bans = {bytes([one]): (200 + 200 * one) * HOUR for one in range(5)}
    behind = {bytes([50 + one]): time + 20 * HOUR for one, time in enumerate(bans.values())}
    found = succession.successions(bans, {**dict.fromkeys(bans, 0), **behind}, 10**18)
    assert succession.evidence(found) > 3.5


def test_a_stream_does_not_hide_behind_its_own_successors():
    """Each is banned after two days, and goes on within a day: nobody else ever comes."""
    bans, first = {}, {bytes([0]): 0}
    for one in range(12):
        bans[bytes([one])] = (240 + 60 * one) * HOUR
        first[bytes([one + 1])] = bans[bytes([one])] + 20 * HOUR
    found = succession.successions(bans, first, 10**18)
    shares = [share for share, _ in found.trials[24 * HOUR]]
    assert all(share == 1 / round(1 / share) for share in shares), "its own window alone was hit"
    assert succession.evidence(found) > 2


@pytest.mark.parametrize(("daily", "number"), [(0.1, 15), (0.5, 6), (0.5, 15), (3, 6)])
def test_newcomers_of_a_tool_are_no_sign_on_average(daily, number):
    """Of 1,000 tools, always the same: an e-value's mean is 1 at most, whoever is banned."""
    draws = np.random.default_rng(7)
    found = []
    for _ in range(1000):
        bans = {bytes([one]): int(draws.uniform(3, 43) * 24 * HOUR) for one in range(number)}
        come = np.cumsum(draws.exponential(1 / daily, int(45 * daily * 3) + 20))
        first = {one.to_bytes(2, "big"): int(at * 24 * HOUR) for one, at in enumerate(come)}
        seen = succession.successions(bans, dict.fromkeys(bans, 0) | first, 45 * 24 * HOUR)
        found.append(10 ** succession.evidence(seen))
    assert np.mean(np.minimum(found, 300)) < 1.6
    for value in (10, 100):
        assert np.mean(np.array(found) >= value) <= 1 / value


@pytest.mark.parametrize("number", [5, 10, 15])
def test_newcomers_by_day_and_bans_in_the_morning_are_no_sign(number):
    """Whoever moderates does so at ten, and people begin between nine and six."""
    draws = np.random.default_rng(9)
    found = []
    for _ in range(400):
        bans = {bytes([one]): (10 + 24 * 3 * (one + 1)) * HOUR for one in range(number)}
        come = {f"n{day}".encode(): int((day * 24 + draws.uniform(9, 18)) * HOUR)
                for day in range(3 * number + 6) if draws.random() < 0.5}  # fmt: skip
        first = dict.fromkeys(bans, 0) | come
        seen = succession.successions(bans, first, 10**18)
        found.append(10 ** succession.evidence(seen))
    assert np.mean(np.minimum(found, 300)) < 1.3
    assert np.mean(np.array(found) >= 10) <= 0.1


def test_the_time_before_a_tool_was_there_is_no_quiet_time_of_it():
    draws = np.random.default_rng(10)
    found = []
    for _ in range(400):
        bans = {bytes([one]): int((30 + 2 * one) * 24 * HOUR) for one in range(10)}
        come = 20 + np.cumsum(draws.exponential(1, 60))
        first = {f"n{one}".encode(): int(at * 24 * HOUR) for one, at in enumerate(come)}
        first |= dict.fromkeys(bans, int(20 * 24 * HOUR))
        seen = succession.successions(bans, first, 10**18)
        found.append(10 ** succession.evidence(seen))
    assert np.mean(np.minimum(found, 300)) < 1.3
    assert np.mean(np.array(found) >= 10) <= 0.1


def test_two_bans_of_one_evening_are_one():
    bans = {bytes([one]): (240 + one) * HOUR for one in range(4)}
    first = dict.fromkeys(bans, 0) | {b"new": 245 * HOUR}
    found = succession.successions(bans, first, 10**18)
    assert [len(found.trials[window]) for window in succession.WINDOWS] == [1, 1]


@law(300)
@given(
    st.lists(st.integers(72, 900), min_size=1, max_size=12, unique=True),
    st.integers(0, 30),
    st.randoms(use_true_random=False),
)
def test_windows_that_are_compared_are_not_chosen_by_who_comes(bans, number, rand):
    """Which windows are asked is the same whoever comes in them, so that chance stays chance."""
    at = {bytes([one]): time * HOUR for one, time in enumerate(bans)}
    some = {bytes([100 + one]): rand.randrange(1000 * HOUR) for one in range(number)}
    none = succession.successions(at, dict.fromkeys(at, 0), 1000 * HOUR)
    came = succession.successions(at, dict.fromkeys(at, 0) | some, 1000 * HOUR)
    assert {w: len(t) for w, t in none.trials.items()} == {
        w: len(t) for w, t in came.trials.items()
    }
    assert all(hit == 0 and share == 0 for trials in none.trials.values() for share, hit in trials)


@pytest.mark.parametrize("begins", [28, 29, 100])
def test_bans_in_a_logs_first_hours_say_nothing(begins):
    bans, first = {b"a": 100 * HOUR}, {b"a": begins * HOUR, b"b": 101 * HOUR}
    found = succession.successions(bans, first, 10**18)
    assert bool(found.trials) == (begins == 28)


def test_a_window_that_is_not_over_is_not_looked_at():
    bans, first = {b"a": 100 * HOUR}, {b"a": 0, b"b": 101 * HOUR}
    assert succession.successions(bans, first, 105 * HOUR).trials == {}


@pytest.mark.parametrize(
    ("pairs", "shared", "chance", "least", "most"),
    [(3, 3, 0, 2, 2), (1, 1, 0, 1, 1.7), (20, 0, 0, 0, 0), (40, 1, 0, -10, 0), (20, 20, 1, 0, 0),
     (10, 9, 0.9, -1, 0.3)],
)  # fmt: skip
def test_what_a_newcomer_has_of_a_banned_account_counts(pairs, shared, chance, least, most):
    newcomers = [(chance, place < shared) for place in range(pairs)]
    assert least <= succession.inherited(newcomers) <= most


def test_counts_of_strangers_are_no_sign_on_average():
    """Of 20,000 groups, always the same: an e-value's mean is at most 1, and so are its tails."""
    draws = np.random.default_rng(5)
    found = []
    for _ in range(20_000):
        middles = draws.normal(draws.uniform(3, 6), evenness.STRANGERS, 6)
        found.append(10 ** evidence_of(draws.poisson(np.exp(middles))))
    assert np.mean(found) < 1.2
    for value in (10, 100):
        assert np.mean(np.array(found) >= value) <= 1 / value


def evidence_of(counts):
    return evenness.evidence([int(one) for one in counts], 18, [18] * len(counts))


def test_equal_shares_are_seen_and_bounded_by_the_days_they_were_seen():
    even = [100, 96, 104, 99, 101, 97, 103, 100, 98, 102] * 3
    assert evidence_of(even) == evenness.limit(18) == pytest.approx(4.0, abs=0.11)
    assert evenness.evidence(even, 3, [3] * len(even)) == evenness.limit(3) < 1.2
    assert evidence_of(even[:3]) == 0
    assert evidence_of([5, 300, 12, 90, 2000, 40, 7, 150]) < 0


def test_who_came_later_or_was_banned_is_held_to_the_time_that_it_was_there():
    draws = np.random.default_rng(8)
    there = [18, 18, 18, 18, 9, 9, 6, 6]
    counts = [int(draws.poisson(6 * spans)) for spans in there]
    assert evenness.evidence(counts, 18, there) > 2
    assert evenness.evidence(counts, 18, [18] * 8) < 1


@pytest.mark.parametrize(
    ("accounts", "pairs", "chosen_from", "least", "most"),
    [
        (20, 15, 20, 1.9, 2.0),  # a family, of which most share a card
        (5, 4, 5000, 0.0, 0.0),  # five of many, found by their card
        (20, 0, 20, 0.0, 0.0),
        (300, 3, 300, 0.0, 0.0),  # as many as strangers would
    ],
)
def test_what_is_shared_counts_by_how_it_was_found(accounts, pairs, chosen_from, least, most):
    assert least <= linkage.evidence(accounts, pairs, 0.0, chosen_from) <= most


def test_accounts_on_one_network_share_openly():
    values = {b"a": b"card", b"b": b"card", b"c": b"card"}
    assert linkage.by_value(values, dict.fromkeys(values, (b"n",))) == []
    apart = {name: (name,) for name in values}
    assert len(linkage.by_value(values, apart)) == 2
    assert linkage.by_value(values, {}) == []  # where no network is known, nothing is


def test_strangers_meet_and_a_dealt_queue_does_not():
    draws = random.Random(3)
    pool = range(4000)
    strangers = [set(draws.sample(pool, 400)) for _ in range(12)]
    honest = [set(draws.sample(pool, 400)) for _ in range(8)]
    dealt = list(pool)
    draws.shuffle(dealt)
    queue = [set(dealt[400 * one : 400 * one + 400]) for one in range(8)]
    assert partition.evidence(*partition.meetings(honest, strangers)) < 0
    assert partition.evidence(*partition.meetings(queue, strangers)) == partition.LIMIT
    assert partition.evidence(*partition.meetings(queue, [])) == 0


def test_one_template_is_one_piece_of_evidence_however_often_it_runs():
    one = [runs(1, 2, 3, 4, 5, 100 + place) for place in range(16)]
    few = wording.evidence(one, one[:8], [True] * 8, 100, (0, 100))
    many = wording.evidence(one, one[:8], [True] * 8, 1_000_000, (0, 1_000_000))
    assert few == many < 3.5
    other = [runs(*range(9 * place, 9 * place + 6)) for place in range(16)]
    assert wording.evidence(other, other[:8], [True] * 8, 200, (0, 200)) > 6


@pytest.mark.parametrize("trips", [(1, 0), (0, 1)])
def test_one_prompt_is_never_a_note(trips):
    one = [runs(1, 2, 3, 4, 5)]
    assert wording.LEAST == 2
    assert wording.evidence(one, one, [bool(trips[1])], 1, trips) < NOTE


@law(60)
@given(st.lists(st.sets(st.integers(0, 30), min_size=1, max_size=9), max_size=20))
def test_phrasings_are_those_of_comparing_each_with_each(prompts):
    leaders, times = [], []
    for prompt in [runs(*one) for one in prompts]:
        for place, leader in enumerate(leaders):
            if alike(prompt, leader):
                times[place] += 1
                break
        else:
            leaders.append(prompt)
            times.append(1)
    assert phrasings([runs(*one) for one in prompts]) == (len(times), times.count(1))


def test_every_alternative_has_more_trips_than_any_honest_account():
    for parts in wording.PARTS:
        for share in wording.SHARES:
            shape = [1 - share, *(share * one for one in parts)]
            ratios = [other / own for own, other in zip(wording.NULL, shape, strict=True)]
            assert ratios[0] < min(ratios[1:])
    assert sum(wording.NULL) == pytest.approx(1)


@pytest.mark.parametrize("shares", [(0.026, 0.002), (0.088, 0.006)])
def test_an_account_of_innocent_neighbours_alone_is_no_finding(shares):
    """Commissions to write over J's levels, and talk of prompts and reasoning over X's."""
    for whole in (50, 500, 5000):
        counts = (whole * (1 - sum(shares)), *(share * whole for share in shares))
        shapes = [shape for parts in wording.PARTS for shape in graded(wording.SHARES, parts)]
        assert counted(counts, wording.NULL, shapes) < 0


@law(40)
@given(
    st.integers(1, 5000),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_fewer_trips_than_an_honest_account_may_have_never_speak_against_it(prompts, first, second):
    low = int(prompts * first * wording.NULL[1])
    high = int(prompts * second * wording.NULL[2])
    sampled = [runs(*range(9 * place, 9 * place + 6)) for place in range(16)]
    tripped = [runs(*range(10**6 + 9 * place, 10**6 + 9 * place + 6)) for place in range(8)]
    tripped = tripped[: low + high]
    highs = [place < high for place in range(len(tripped))]
    assert wording.evidence(sampled, tripped, highs, prompts, (low, high)) < 1.3


def test_sealed_reasoning_of_two_answers_of_others_is_acted_on_and_moving_is_not():
    assert replay.across_accounts(0) == 0
    assert 2.6 < replay.across_accounts(1) < 4 <= replay.across_accounts(3)
    assert replay.across_models(1) == 0
    assert replay.across_models(1000) < 2.6


def test_a_template_is_what_recurs_and_needs_a_few_runs():
    prompts = [runs(1, 2, 3, 4, 5, 6, 50 + place) for place in range(10)]
    assert template(prompts).runs.tolist() == [1, 2, 3, 4, 5, 6]
    assert template(prompts).shares.tolist() == [1.0] * 6
    assert template(prompts[:3]).runs.tolist() == []
    assert template([runs(1, 2, 50 + place) for place in range(10)]).runs.tolist() == []


def of_templates(frames, prompts, seed):
    """Return what recurs in prompts of some templates, filled with what each has for itself."""
    draws = random.Random(seed)
    return template(
        [
            runs(*range(100 * (frame := draws.choice(frames)), 100 * frame + 8), 10**6 + one)
            for one in draws.sample(range(10**6), prompts)
        ]
    )


def test_accounts_of_one_queue_are_a_family_though_each_has_a_part_of_its_templates():
    named = {bytes([1, place]): of_templates(range(12), 48, place) for place in range(12)}
    named |= {bytes([100, place]): of_templates([50 + place], 48, place) for place in range(100)}
    assert max(families(named), key=len) == sorted(bytes([1, place]) for place in range(12))
    assert all(len({name[0] for name in one}) == 1 for one in families(named))


def test_two_queues_that_share_a_template_are_two_families():
    named = {bytes([1, place]): of_templates([1, 2, 3, 4], 48, place) for place in range(10)}
    named |= {bytes([2, place]): of_templates([4, 5, 6, 7], 48, 99 + place) for place in range(10)}
    assert {tuple({name[0] for name in one}) for one in families(named, 3)} == {(1,), (2,)}


def test_families_do_not_grow_by_chains():
    chain = {
        bytes([place]): of_templates([place, place + 1], 48, place) for place in range(40)
    }  # each has one of its two templates in common with the next
    assert max((len(one) for one in families(chain)), default=0) <= 4


def test_a_family_of_all_is_one():
    named = {place.to_bytes(2): of_templates([7, 8], 48, place) for place in range(1200)}
    assert max(map(len, families(named))) == 1200


@law(30)
@given(st.permutations(range(8)))
def test_families_do_not_depend_on_the_order_of_accounts(order):
    named = {bytes([one]): of_templates([one % 3], 9, one) for one in order}
    assert families(named) == families(dict(sorted(named.items())))
    assert [len(one) for one in families(named, 3)] == [3, 3]


def test_kinds_of_prompts_are_counted_from_a_sample():
    same = [runs(1, 2, 3, 4)] * 12
    assert phrasings(same) == (1, 0)
    assert in_all(same, 10**6) == 1
    other = [runs(*range(9 * place, 9 * place + 6)) for place in range(10)]
    assert in_all(other, 1000) == pytest.approx(1000)
    assert in_all([], 5) == 0
    for size in itertools.islice((3, 40, 4000), 3):
        assert in_all(other[:3], size) <= size
