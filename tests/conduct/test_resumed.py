"""Streams that go on after bans: who is named as an heir, and who came that day by chance."""

from tests_conduct_traffic import HOUR, TASK, Traffic, scanned


def banned_stream(traffic, bans, card, *, name="stream", **more):
    """Let one stream go on under another name after each ban; return its accounts."""
    begins, names = 0, []
    for number, end in enumerate([*bans, 40]):
        account = f"{name}{number}"
        names.append(account)
        for _ in range(int(60 * (end - begins))):
            traffic.ask(
                (begins + traffic.random.random() * (end - begins)) * 24 * HOUR, account,
                f"{TASK} {traffic.say(40)}", payment=card(number),
                network=account, **more,
            )  # fmt: skip
        if end < 40:
            traffic.ban(end * 24 * HOUR, account)
        begins = end + 0.3
    return names


def strangers_of(traffic, days):
    """Add strangers with the same template who begin on these days, one of them behind a ban."""
    for one, day in enumerate(days):
        rate = 20 * 3**one
        for _ in range(rate):
            traffic.ask(
                (day + traffic.random.random() * 6) * 24 * HOUR, f"stranger{one}",
                f"{TASK} {traffic.say(40)}", payment=f"own{one}", network=f"own{one}",
            )  # fmt: skip


BANS = (6, 12, 17, 23, 28, 34)


def test_who_goes_on_with_a_banned_stream_is_named_and_no_stranger_who_came_that_day(tmp_path):
    traffic = Traffic(31)
    stream = banned_stream(traffic, BANS, card=lambda number: f"card{number // 3}")
    strangers_of(traffic, (6.2, 20, 28.1))
    traffic.people(40, 40)
    found, _ = scanned(traffic, tmp_path / "state")
    acted = [(kind, names) for tier, kind, names in found if tier == "act"]
    assert acted, found
    for kind, names in acted:
        assert kind == "I"
        assert names <= set(stream), "a stranger began by chance on the day of a ban"
    # Cards are changed after every third account, and who changes card and network is not named.
    assert set(stream) - set().union(*(names for _, names in acted)) <= {"stream6"}


def test_a_stream_that_shares_nothing_but_its_work_names_nobody(tmp_path):
    traffic = Traffic(32)
    banned_stream(traffic, BANS, card=lambda number: f"card{number}")
    traffic.people(40, 40)
    found, _ = scanned(traffic, tmp_path / "state")
    assert found == []


def test_classmates_who_begin_after_a_ban_are_nobodys_heirs(tmp_path):
    """All of a class are on one network; pupils begin behind each of the bans."""
    traffic = Traffic(33)
    for one in range(30):
        for _ in range(12):
            traffic.ask(
                (10 + one + traffic.random.random() * 0.9) * 24 * HOUR, f"pupil{one}",
                f"{TASK} {traffic.say(40)}", network="school",
            )  # fmt: skip
    for one in (8, 11, 14, 17, 20, 23):
        traffic.ban((11 + one) * 24 * HOUR, f"pupil{one}")
    traffic.people(40, 40)
    found, _ = scanned(traffic, tmp_path / "state")
    assert found == []


def test_accounts_of_one_organisation_replace_each_other_and_are_no_heirs(tmp_path):
    traffic = Traffic(34)
    banned_stream(traffic, BANS, card=lambda _: "card", organisation="o")
    banned_stream(
        traffic, [one + 1 for one in BANS], card=lambda _: "other", organisation="p",
        name="second",
    )  # fmt: skip
    traffic.people(40, 40)
    found, _ = scanned(traffic, tmp_path / "state")
    assert found == []


def test_people_behind_common_exits_are_nobodys_heirs(tmp_path):
    """They use eight of sixty networks each, as those do who share a provider of exits."""
    traffic = Traffic(35)
    draws = traffic.random
    for one in range(40):
        exits = draws.sample(range(60), 8)
        for number in range(24):
            traffic.ask(
                (one + draws.random() * 3) * 24 * HOUR, f"visitor{one}",
                f"{TASK} {traffic.say(40)}", network=f"exit{exits[number % 8]}",
            )  # fmt: skip
    for one in (5, 8, 11, 14, 17, 20, 23, 26):
        traffic.ban((one + 4) * 24 * HOUR, f"visitor{one}")
    traffic.people(40, 40)
    found, _ = scanned(traffic, tmp_path / "state")
    assert found == []
