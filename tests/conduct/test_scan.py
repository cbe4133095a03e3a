"""A scan: who is found, who is not, and that nothing depends on how the reading went."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_conduct_traffic import HASHES, HOUR, LEVELS, TOOL, Batch, Traffic, scanned
from tests_laws import law

from mashbill.conduct.events import batch_of
from mashbill.conduct.scan import known
from mashbill.conduct.scan.live import Live
from mashbill.conduct.scan.scanning import Scan
from mashbill.conduct.scan.state import State
from mashbill.conduct.scan.tally import tally
from mashbill.conduct.scan.ticking import Moments


@pytest.fixture(scope="module")
def dealt():
    """Strangers, people of one popular tool, and a queue that is dealt out to 20 accounts."""
    traffic = Traffic(3)
    traffic.people(60, 3)
    traffic.people(60, 3, "tool", TOOL)
    traffic.queue(20, 3)
    return traffic


def test_accounts_that_are_dealt_one_queue_are_found_and_nobody_else(dealt, tmp_path):
    found, cases = scanned(dealt, tmp_path / "state")
    assert {tier for tier, _, _ in found} == {"review", "act"}
    for _, kind, names in found:
        assert kind == "I"
        assert {name.rstrip("0123456789") for name in names} == {"queue"}
    assert len(found[-1][2]) == 20
    assert len(cases) == len(found)


def test_shuffled_accounts_are_no_cluster(dealt, tmp_path):
    shuffled = Traffic(0)
    shuffled.names = dealt.names
    accounts = [row["account"] for row in dealt.rows]
    random.Random(5).shuffle(accounts)
    shuffled.rows = [
        row | {"account": account} for row, account in zip(dealt.rows, accounts, strict=True)
    ]
    assert scanned(shuffled, tmp_path / "state")[0] == []


def test_accounts_of_one_organisation_may_share_a_queue(tmp_path):
    traffic = Traffic(4)
    traffic.people(30, 3)
    traffic.queue(20, 3)
    for row in traffic.rows:
        if traffic.names[row["account"]].startswith("queue"):
            row["organisation"] = HASHES.of("organisation", "one", 16)
    assert scanned(traffic, tmp_path / "state")[0] == []


class KilledError(Exception):
    """Stands for SIGKILL at some statement: what was committed stays, and nothing else."""


@law(8)
@given(st.integers(0, 1 << 32))
def test_a_scan_that_was_killed_anywhere_finds_the_same_to_the_byte(dealt, tmp_path_factory, seed):
    rand = random.Random(seed)
    folder = tmp_path_factory.mktemp("killed")
    _, whole = scanned(dealt, folder / "whole")
    left = rand.randint(1, 4000)
    held = []
    for _ in range(200):
        state = State(folder / "state", {"key": HASHES.keyid})
        run = state.database.run
        many = state.database.many

        def count(do, *args):
            nonlocal left
            left -= 1
            if not left:
                raise KilledError
            return do(*args)

        state.database.run = lambda *args, run=run: count(run, *args)
        state.database.many = lambda *args, many=many: count(many, *args)
        try:
            scan = Scan(state, HASHES, LEVELS, "log", "native", held.append)
            place, _ = scan.begin()
            rows = dealt.rows[(place or {"at": 0})["at"] :]
            size = rand.randint(200, 4000)
            begun = (place or {"at": 0})["at"]
            scan.take(
                Batch(batch_of(rows[at : at + size]), {"at": begun + at + size})
                for at in range(0, len(rows), size)
            )
            scan.end()
        except KilledError:
            left = rand.randint(500, 20_000)
            state.database.close()
            continue
        state.database.run = run
        assert run("SELECT id, version, body FROM cases ORDER BY id, version") == whole
        state.database.close()
        return
    pytest.fail("it never came to an end")


@law(10)
@given(st.integers(0, 1 << 32))
def test_what_is_kept_does_not_depend_on_order_or_division(dealt, tmp_path_factory, seed):
    rand = random.Random(seed)
    rows = dealt.rows[:3000]
    kept = []
    for way in ("in order", "otherwise"):
        state = State(tmp_path_factory.mktemp("state") / way, {})
        order = list(rows)
        if way == "otherwise":
            rand.shuffle(order)
        at = 0
        while at < len(order):
            size = rand.randint(1, 1500) if way == "otherwise" else 1000
            batch = batch_of(order[at : at + size])
            state.add(tally(batch, HASHES, LEVELS), "log", {"at": at + size})
            at += size
        names = {row["account"] for row in rows}
        base = state.database
        kept.append(
            (
                known.accounts(base, names),
                known.items(base, names),
                {name: known.traits(base, names, name) for name in ("payment", "network")},
                [
                    [(row.row, row.time, row.skeleton.tolist()) for row in found]
                    for _, found in sorted(known.samples(base, names, "all").items())
                ],
                known.spans(base, names, 0, 1 << 40),
                state.read("log"),
            )
        )
        base.close()
    assert kept[0] == kept[1]


def test_another_account_that_takes_over_after_refusals_is_found(tmp_path):
    traffic = Traffic(6)
    traffic.people(40, 2)
    task = "Translate this page of the handbook into plain German and keep its marks as they are"
    for turn in range(60):
        time = 5 * HOUR + turn * HOUR // 3
        first, second = ("one", "two") if turn % 2 else ("two", "one")
        for step in range(20):
            traffic.ask(time + step * 10**6, first, f"{task}: {traffic.say(20)}")
        traffic.ask(time + 21 * 10**6, first, f"{task}: {traffic.say(20)}", status=429)
        for step in range(10):
            traffic.ask(time + (23 + step) * 10**6, second, f"{task}: {traffic.say(20)}")
    found, _ = scanned(traffic, tmp_path / "state")
    assert ("act", "L", {"one", "two"}) in found
    assert {kind for _, kind, _ in found} == {"L"}


def test_an_account_that_waits_and_tries_again_evades_nothing(tmp_path):
    traffic = Traffic(7)
    traffic.people(40, 2)
    task = "Translate this page of the handbook into plain German and keep its marks as they are"
    for one in ("one", "two", "three"):
        for turn in range(80):
            time = traffic.random.uniform(0, 47) * HOUR
            for step in range(15):
                traffic.ask(time + step * 10**6, one, f"{task}: {traffic.say(20)}")
            traffic.ask(time + 16 * 10**6, one, f"{task}: {traffic.say(20)}", status=429)
            traffic.ask(time + 40 * 10**6 + turn, one, f"{task}: {traffic.say(20)}")
    assert scanned(traffic, tmp_path / "state")[0] == []


def test_sealed_reasoning_of_others_is_found_and_ones_own_is_not(tmp_path):
    traffic = Traffic(8)
    traffic.people(20, 1)
    blobs = [HASHES.of("blob", str(one), 8) for one in range(12)]
    for place, blob in enumerate(blobs):
        traffic.ask(HOUR * place, "maker", traffic.say(10), blobs_out=[blob])
        traffic.ask(HOUR * place + 9, "maker", traffic.say(10), blobs_in=[blob])
    for place, blob in enumerate(blobs[:3]):
        traffic.ask(HOUR * (12 + place), "thief", traffic.say(10), blobs_in=[blob])
    found, _ = scanned(traffic, tmp_path / "state")
    assert found[-1] == ("act", "X", {"thief"})
    assert all(names == {"thief"} for _, _, names in found)


def test_a_pipeline_of_one_template_that_trips_is_at_most_a_review(tmp_path):
    traffic = Traffic(9)
    for turn in range(2000):
        traffic.ask(turn * 20 * 10**6, "grader", f"{TOOL} {traffic.say(6)}", extraction=3.0)
    found, _ = scanned(traffic, tmp_path / "state")
    assert {tier for tier, _, _ in found} <= {"note", "review"}


def test_many_wordings_that_trip_are_acted_on(tmp_path):
    traffic = Traffic(10)
    for turn in range(300):
        traffic.ask(turn * 200 * 10**6, "coaxer", traffic.say(25), extraction=3.0)
    found, _ = scanned(traffic, tmp_path / "state")
    assert found[-1] == ("act", "X", {"coaxer"})


def test_volume_alone_is_never_held_against_anybody(tmp_path):
    traffic = Traffic(11)
    for turn in range(20_000):
        traffic.ask(turn * 4 * 10**6, "bulk", f"{TOOL} number {turn} {traffic.say(4)}")
    assert scanned(traffic, tmp_path / "state") == ([], [])


def test_a_state_of_another_key_is_refused(tmp_path):
    State(tmp_path / "state", {"key": "one"}).database.close()
    with pytest.raises(Exception, match="what was scanned there had key one, and this scan has ot"):
        State(tmp_path / "state", {"key": "other"})


def test_a_gateways_engine_says_what_is_held_of_an_account(dealt, tmp_path):
    published = []
    engine = Live(tmp_path / "state", HASHES, LEVELS, publish=lambda _: published.append(1))
    queue = next(name for name, who in dealt.names.items() if who == "queue3")
    person = next(name for name, who in dealt.names.items() if who == "chat3")
    assert engine.advice(queue).tier == "none"
    for batch in dealt.batches():
        engine.observe(batch.events)
    engine.close()
    assert engine.failed is None
    assert published
    held = engine.advice(queue)
    assert (held.tier, held.kinds) == ("act", ("I",))
    assert len(held.cases) == 1
    assert engine.advice(person).tier == "none"
    again = Live(tmp_path / "state", HASHES, LEVELS)  # begun anew, it knows what was held
    assert again.advice(queue) == held
    again.close()


def test_a_second_log_of_the_same_days_is_looked_at_as_the_first_was(tmp_path):
    traffic = Traffic(12)
    traffic.people(20, 2)
    first = traffic.batches()
    later = Traffic(13)
    for turn in range(300):
        later.ask(turn * 200 * 10**6, "coaxer", later.say(25), extraction=3.0)
    state = State(tmp_path / "state", {"key": HASHES.keyid})
    held = []
    for name, batches in (("one", first), ("two", later.batches())):
        scan = Scan(state, HASHES, LEVELS, name, "native", held.append)
        scan.take(batches)
        scan.end()
    state.database.close()
    assert [later.names[account] for one in held[-1:] for account in one.weighed.accounts] == [
        "coaxer"
    ]
    assert held[-1].tier == "act"


def test_years_in_which_nothing_happens_take_no_time(tmp_path):
    traffic = Traffic(14)
    for turn in range(300):
        traffic.ask(turn * 200 * 10**6, "coaxer", traffic.say(25), extraction=3.0)
    traffic.ask(70 * 365 * 24 * HOUR, "late", traffic.say(5))
    moments = []
    look = Moments.look

    def counted(self, moment, **more):
        moments.append(moment)
        return look(self, moment, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Moments, "look", counted)
        found, _ = scanned(traffic, tmp_path / "state")
    assert found[-1] == ("act", "X", {"coaxer"})
    assert len(moments) < 40
