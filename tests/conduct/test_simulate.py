"""The simulator: seeded, in order, with a truth that covers every account."""

import hashlib
import json
import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.conduct.simulate import CAMPAIGNS, HONEST, KINDS, parameters, simulate
from mashbill.conduct.simulate.ground import ground
from mashbill.conduct.simulate.parameters import Section
from mashbill.conduct.simulate.simulating import chatting
from mashbill.conduct.simulate.texts import Mixer, Words, pool_item, words
from mashbill.conduct.simulate.world import World
from mashbill.core.errors import InputError

KEYS = {
    "id", "time", "kind", "account", "key", "organisation", "model", "endpoint", "status",
    "retry_after", "tokens_in", "tokens_out", "payment", "address", "agent", "signed_up", "system",
    "text", "blobs_in", "blobs_out", "reasoning", "declared",
}  # fmt: skip
DAY = timedelta(days=1)
TONGUES = parameters()["languages"].texts("names")


def when(row):
    return datetime.fromisoformat(row["time"])


def rows_of(found):
    return [json.loads(line) for line in found.events.read_text().splitlines()]


def truth_of(found):
    told = [json.loads(line) for line in found.truth.read_text().splitlines()]
    return {row["account"]: row for row in told}


def written(folder, **more):
    given = {"seed": 1, "scale": 0.0005, "days": 3.0, **more}
    return simulate(folder, **given)


def digest(found):
    return hashlib.sha256(found.events.read_bytes() + found.truth.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Return what one kind wrote, made once."""

    @cache
    def kept(kind, **more):
        found = written(tmp_path_factory.mktemp(kind) / "log", kinds=[kind], **more)
        return found, rows_of(found), truth_of(found)

    return kept


@law(4)
@given(
    seed=st.integers(0, 2**40),
    kinds=st.lists(st.sampled_from([k for k in KINDS if k != "harness"]), min_size=1, max_size=3),
    days=st.floats(0.05, 1.5),
    texts=st.booleans(),
)
def test_a_seed_decides_every_byte(tmp_path_factory, seed, kinds, days, texts):
    given = {"seed": seed, "kinds": sorted(set(kinds)), "days": days, "texts": texts}
    folder = tmp_path_factory.mktemp("logs")
    one = written(folder / "one", scale=0.0002, **given)
    again = written(folder / "again", scale=0.0002, **given)
    assert digest(one) == digest(again)
    given["seed"] = seed + 1
    other = written(folder / "other", scale=0.0002, **given)
    assert not one.rows or digest(one) != digest(other)


@pytest.mark.few(8)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "surge"])
def test_each_kind_alone_writes_rows_in_order_with_a_truth_for_each_account(kept, kind):
    # those who only chat are many at any scale
    found, rows, truth = kept(kind, days=0.2) if kind == "chat" else kept(kind)
    assert rows
    assert found.rows == len(rows) == found.exchanges[kind]
    assert found.bytes == found.events.stat().st_size
    order = [(row["time"], row["id"]) for row in rows]
    assert order == sorted(order)
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["account"] for row in rows} == set(truth)
    assert found.accounts == {kind: len(truth)}
    assert {row["kind"] for row in truth.values()} == {kind}
    assert {row["honest"] for row in truth.values()} == {kind not in CAMPAIGNS}
    for row in rows:
        assert set(row) <= KEYS
        if row["kind"] == "exchange":
            assert set(row) == KEYS
            assert row["text"]
            assert (row["retry_after"] is None) == (row["status"] != 429)


def test_a_surge_comes_within_days_of_a_release(tmp_path):
    found = written(tmp_path / "log", kinds=["surge"], days=20.0, scale=0.001)
    rows = rows_of(found)
    assert found.accounts["surge"] == 60
    start = datetime.fromisoformat(parameters()["world"].text("start"))
    first = min(map(when, rows)) - start
    assert 12.6 * DAY <= first < 14 * DAY
    assert {row.get("model") for row in rows if row["kind"] == "exchange"} == {"amber-4-large"}


def test_a_kind_writes_the_same_alone_and_among_others(tmp_path):
    alone = written(tmp_path / "alone", kinds=["hydra"])
    among = written(tmp_path / "among", kinds=["hydra", "jailbreak", "family"])
    truth = truth_of(among)
    lines = among.events.read_text().splitlines()
    own = [x for x in lines if truth[json.loads(x)["account"]]["kind"] == "hydra"]
    assert own == alone.events.read_text().splitlines()


def test_without_texts_a_log_is_else_the_same(tmp_path):
    kinds = ["sft", "rubric", "hydra", "class", "rotation", "surge", "replay"]
    whole, bare = (
        rows_of(written(tmp_path / name, kinds=kinds, texts=name == "whole", scale=0.0001))
        for name in ("whole", "bare")
    )
    assert all(row.get("text") is None and row.get("system") is None for row in bare)
    for row in whole + bare:
        row.pop("text", None)
        row.pop("system", None)
    assert whole == bare


def test_abusive_accounts_are_one_in_a_hundred():
    given, scale = parameters(), 0.01
    fills = chatting(given, scale)
    assert fills > 30_000
    # the campaigns whose accounts the parameters count, and what they leave to others
    counted = sum(
        given[name].count("accounts", scale)
        for name in ("hydra", "replay", "jailbreak", "adaptive")
    )
    assert counted == 250 + 12 + 25 + 25
    assert set(KINDS) == {*HONEST, *CAMPAIGNS, "chat"}


def test_a_hydra_asks_as_often_as_the_letter_says_and_mixes_as_its_accounts_say(tmp_path):
    found = written(tmp_path / "log", kinds=["hydra"], scale=0.004, days=6.0, texts=False)
    truth = truth_of(found)
    assert len(truth) == 100
    exchanges = [row for row in rows_of(found) if row["kind"] == "exchange"]
    # all have begun by the second day; a request of Poisson's process varies by its root
    late = [row for row in exchanges if row["time"] >= "2026-04-26" and row["status"] != 403]
    expected = 100 * 25.6 * 2
    assert abs(len(late) - expected) < 5 * math.sqrt(expected) + 0.02 * expected
    shares = [row["share"] for row in truth.values()]
    assert 0.5 < sum(shares) / 100 < 0.7
    assert len({row["cluster"] for row in truth.values()}) == 3


def test_a_pivot_moves_half_of_its_traffic_within_a_day_of_a_release(tmp_path):
    found = written(tmp_path / "log", kinds=["pivot"], scale=0.0003, days=20.0)
    rows = [row for row in rows_of(found) if row["kind"] == "exchange"]
    before = [row["model"] for row in rows if row["time"] < "2026-05-04T14:24"]
    after = [row["model"] for row in rows if row["time"] > "2026-05-05T14:24"]
    assert set(before) == {"amber-3-large"}
    assert len(after) > 300
    assert abs(Counter(after)["amber-4-large"] / len(after) - 0.5) < 0.1


def test_in_a_rotation_another_key_takes_over_within_seconds_and_honest_retries_keep_theirs(kept):
    _, rows, truth = kept("rotation", scale=0.0005)
    handed = []
    last = {}
    for row in rows:
        if row["kind"] != "exchange":
            continue
        cluster = truth[row["account"]]["cluster"]
        before = last.get(cluster)
        if before and before["status"] == 429:
            assert row["account"] != before["account"]
            handed.append((when(row) - when(before)).total_seconds())
        last[cluster] = row
    assert len(handed) > 40
    assert sorted(handed)[len(handed) // 2] < 2
    _, rows, _ = kept("retry")
    refused = [row for row in rows if row.get("status") == 429]
    assert len(refused) > 20
    keys = defaultdict(set)
    for row in rows:
        if row["kind"] == "exchange":
            keys[row["account"]].add(row["key"])
    assert {len(own) for own in keys.values()} == {1}
    answered = {(row["key"], row["text"]) for row in rows if row.get("status") == 200}
    later = sum((row["key"], row["text"]) in answered for row in refused)
    assert later > 0.9 * len(refused)


def test_who_succeeds_a_banned_account_is_opened_after_the_ban(tmp_path):
    found = written(tmp_path / "log", kinds=["succession"], days=20.0)
    truth, rows = truth_of(found), rows_of(found)
    banned = {row["account"]: row["time"] for row in rows if row["kind"] == "ban"}
    assert len(banned) > 10
    assert {
        row["status"]
        for row in rows
        if row["kind"] == "exchange" and row["time"] > banned.get(row["account"], "9")
    } == {403}
    streams = defaultdict(list)
    for row in rows:
        own = streams[truth[row["account"]]["cluster"]]
        if row["account"] not in own:
            own.append(row["account"])
    opened = {row["account"]: row["time"] for row in rows if row["kind"] == "signup"}
    pairs = [pair for own in streams.values() for pair in pairwise(own)]
    assert len(pairs) > 8
    assert all(opened[new] > banned[old] for old, new in pairs)


def test_blobs_are_replayed_by_a_campaign_and_stay_in_their_conversation_elsewhere(kept):
    def presented(kind, **more):
        """Return for each blob presented whether account and model are those that had it."""
        had, found = {}, Counter()
        for row in kept(kind, **more)[1]:
            for blob in row.get("blobs_in", ()):
                owner = had[blob]
                found[owner[0] == row["account"], owner[1] == row["model"]] += 1
            for blob in row.get("blobs_out", ()):
                had[blob] = row["account"], row["model"]
        return found

    campaign = presented("replay", days=14.0)
    assert sum(times for (own, _), times in campaign.items() if not own) > 100
    assert sum(times for (_, model), times in campaign.items() if not model) > 100
    own = presented("agent")
    assert set(own) == {(True, True)}
    moved = presented("switcher")
    assert {account for account, _ in moved} == {True}
    assert moved[True, False] > 0


def test_strangers_share_items_of_a_public_pool_and_a_campaign_s_accounts_never_do(tmp_path):
    def repeats(kind, **more):
        owners = defaultdict(set)
        for row in rows_of(written(tmp_path / kind, kinds=[kind], **more)):
            if row.get("text") and row["status"] == 200:
                owners[row["text"]].add(row["account"])
        return sum(len(own) > 1 for own in owners.values())

    assert repeats("harness", scale=0.0003) > 150
    assert repeats("coercion", days=5.0) == 0


def test_an_adaptive_campaign_shares_nothing_and_says_nothing_twice(tmp_path):
    found = written(tmp_path / "log", kinds=["adaptive"], days=6.0)
    rows = [row for row in rows_of(found) if row["kind"] == "exchange"]
    payers = defaultdict(set)
    for row in rows:
        if row["payment"]:
            payers[row["payment"]].add(row["account"])
    assert {len(accounts) for accounts in payers.values()} == {1}
    share = [row["share"] for row in truth_of(found).values()]
    assert 0.07 < sum(share) / len(share) < 0.13


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"scale": 0.0}, "scale is 0.0"),
        ({"scale": math.nan}, "scale is nan"),
        ({"days": -1.0}, "days is -1.0"),
        ({"kinds": ["chat", "sftt"]}, "no kind is called sftt; there are sft"),
    ],
)
def test_what_cannot_be_simulated_is_refused(tmp_path, given, said):
    with pytest.raises(InputError, match=said):
        written(tmp_path / "log", **given)
    assert not (tmp_path / "log").exists()


def test_a_log_that_is_there_is_not_written_over(tmp_path):
    written(tmp_path, kinds=["tutor"])
    before = (tmp_path / "events.jsonl").read_bytes()
    with pytest.raises(InputError, match="is there already"):
        written(tmp_path, kinds=["tutor"], seed=2)
    assert (tmp_path / "events.jsonl").read_bytes() == before


@pytest.mark.slow
def test_every_parameter_decides_something(tmp_path, monkeypatch):
    read = set()
    value = Section._value

    def noted(self, key):
        read.add((self.name, key))
        return value(self, key)

    monkeypatch.setattr(Section, "_value", noted)
    given = parameters()
    given["world"].number("days")  # read where a caller names no days
    few = ["surge", "switcher", "retry", "curious", "family", "redteam", "pivot"]
    others = [kind for kind in KINDS if kind not in {*few, "chat"}]
    for kinds, days, scale in ((others, 6.0, 2e-5), (few, 14.0, 3e-4), (["chat"], 0.1, 2e-5)):
        found = simulate(
            tmp_path / kinds[0], seed=1, scale=scale, days=days, given=given, kinds=kinds
        )
        assert found.rows > 100
    all_of_them = {(name, key) for name, part in given.sections.items() for key in part.values}
    left = all_of_them - read
    # what a share of 0 or few accounts need not read
    assert left <= {("jailbreak", "coaxing"), ("retry", "least_backoff")}


def test_people_turn_up_as_often_as_they_are_said_to_and_more_by_day(tmp_path):
    given = parameters()
    shared = ground(given, seed=4, scale=0.01, days=45.0, texts=False)
    world = World("chat", given, shared)
    times = [at for _ in range(40) for at in world.moments(5.0, 0.0)]
    expected = 40 * 45 * 5.0
    assert abs(len(times) - expected) < 0.05 * expected
    night = sum((at / 3600) % 24 < 7 or (at / 3600) % 24 >= 22 for at in times) / len(times)
    assert abs(night - 9 * 0.15 / (15 + 9 * 0.15)) < 0.02
    turns = [world.geometric(1.63) for _ in range(20_000)]
    assert abs(sum(turns) / len(turns) - 1.63) < 0.05
    gaps = sorted(world.drawn(given["chat"], "gap") for _ in range(20_000))
    assert abs(gaps[10_000] - 130.9) < 5


@law(40)
@given(number=st.integers(0, 2**63), pool=st.integers(0, 2**40), language=st.sampled_from(TONGUES))
def test_an_item_of_a_public_pool_is_the_same_for_everybody(number, pool, language):
    item = pool_item(pool, number, "maths", language)
    assert item == pool_item(pool, number, "maths", language)
    assert "{" not in item
    assert item != pool_item(pool, number + 1, "passage", language)


def test_a_frame_leaves_open_what_differs_by_request():
    found = words()
    frame = found.frame("frame_coax", "de", Mixer(3))
    one, other = found.fill(frame, "Aufgabe 1.", Mixer(1)), found.fill(frame, "Rest 2.", Mixer(2))
    assert one.replace("Aufgabe 1.", "") == other.replace("Rest 2.", "")
    with pytest.raises(InputError, match=r"names \{nothing\}, which no list is called"):
        Words({"en": {"a": ["{nothing}"]}})
