"""Honest accounts: where they are, what they pay with, when they were opened, how they talk."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from mashbill.conduct.simulate.ground import DAY, pick
from mashbill.conduct.simulate.world import Account, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mashbill.conduct.simulate.texts import Frame

Sort = Literal["person", "program"]
_CARRIER_EXITS = 6  # addresses of a carrier's translator that one customer comes out of


class Place:
    """Where an account's requests come from."""

    __slots__ = ("_address", "_also", "_fixed", "_pool", "_until", "_world")

    def __init__(self, world: World, sort: Sort) -> None:
        """Draw where an account is."""
        network, ground = world.given["network"], world.ground
        self._world = world
        self._pool: tuple[str, ...] = ()
        self._fixed = False
        self._also = ""
        chance = world.random()
        if sort == "program":
            self._fixed = True
            nets = ground.clouds if chance < network.share("cloud") else ground.blocks
            self._address = f"{world.choose(nets)}.{1 + int(world.random() * 253)}"
            self._until = 0.0
            return
        if chance < network.share("carrier"):
            first = int(world.random() * (len(ground.carriers) - _CARRIER_EXITS))
            self._pool = ground.carriers[first : first + _CARRIER_EXITS]
        elif chance < network.share("carrier") + network.share("vpn"):
            self._pool = ground.vpns
        elif world.random() < network.share("second_place"):
            self._also = private(world)
        self._address = private(world)
        self._until = world.after(network.number("moves_days") * DAY)

    def address(self) -> str:
        """Return the address that a visit comes from."""
        world = self._world
        if self._fixed:
            return self._address
        if self._pool:
            return world.choose(self._pool)
        if self._also and world.random() < 0.35:
            return self._also
        if world.now > self._until:
            self._until = world.after(world.given["network"].number("moves_days") * DAY)
            self._address = renewed(world, self._address)
        return self._address


def private(world: World) -> str:
    """Return somebody's address at home."""
    ground = world.ground
    if world.random() < world.given["network"].share("ipv6"):
        return f"fd{world.word(8)}:{world.word(16)}:{world.word(16)}::{world.word(16)}"
    block = ground.blocks[pick(ground.block_sums, world.random())]
    return f"{block}.{1 + int(world.random() * 253)}"


def renewed(world: World, address: str) -> str:
    """Return the address that a provider gives next: of the same block in most cases."""
    if world.random() < 0.3:
        return private(world)
    block, _, _ = address.rpartition(":" if ":" in address else ".")
    return (
        f"{block}:{world.word(16)}"
        if ":" in address
        else (f"{block}.{1 + int(world.random() * 253)}")
    )


def agent_of(world: World, sort: Sort) -> str:
    """Return a User-Agent."""
    ground = world.ground
    if world.random() < world.given["network"].share("own_agent"):
        return f"app-{world.word(24)}/{1 + int(world.random() * 9)}.0"
    if sort == "program":
        return world.choose(ground.programs)
    return ground.agents[pick(ground.agent_sums, world.random())]


def opened(world: World) -> float:
    """Return when an account that asks from now on was opened: before, or hours ago."""
    part = world.given["world"]
    if world.random() < part.share("opened_within") and world.now > 0:
        return world.now
    return world.now - DAY * (0.2 + world.drawn(part, "signed_up_before_days"))


def stranger(
    world: World,
    sort: Sort,
    *,
    limit: str | None = None,
    signed_up: float | None = None,
    cluster: str | None = None,
    payment: str | None = None,
    agent: str | None = None,
    organisation: str | None = None,
    share: float | None = None,
) -> Account:
    """Return an account of somebody who is linked to nobody but by what is given."""
    network, known = world.given["network"], world.given["world"]
    if payment is None and not (sort == "person" and world.random() < network.share("unpaid")):
        payment = f"pay-{world.word()}"
        if world.random() < network.share("shared_payment"):
            # one of few tokens that pay for several: relatives, friends, second accounts
            payment = f"pay-{world.name}-{int(world.now / DAY)}-{int(world.random() * 3)}"
    if limit is None:
        limit = "bulk" if sort == "program" else "paid" if payment else "free"
    account = world.open_account(
        opened(world) if signed_up is None else signed_up,
        limit,
        cluster=cluster,
        payment=payment,
        agent=agent or agent_of(world, sort),
        organisation=organisation,
        share=share,
    )
    if not world.campaign and world.random() < known.share("honest_banned"):
        at = world.now + world.random() * (world.end - world.now)
        world.spawn(world.banning(account), at)
    return account


def arrive(world: World, account: Account, address: str) -> Iterator[float]:
    """Sign up, if the account is opened now, and wait until its first request."""
    if account.signed_up >= 0 and account.signed_up >= world.now:
        if account.signed_up > world.now:
            yield account.signed_up
        world.sign_up(account, address)
        median = world.given["world"].number("signup_lead_hours_median")
        yield world.after(median * 3600 / math.log(2))  # exponential, so that its median is that


def patient(
    world: World, asks: Callable[[], float], *, tries: int = 6, doubles: float = 0.0
) -> Iterator[float]:
    """Ask until it is answered, waiting as told, or longer and longer; on the same key.

    Args:
        world: the clock.
        asks: makes the request.
        tries: after which it is given up.
        doubles: seconds of the first wait of somebody who does not read what a refusal says.
    """
    for attempt in range(tries):
        wait = asks()
        if wait <= 0:
            return
        own = doubles * 2**attempt if doubles else wait
        yield world.now + own * (1.0 + 0.25 * world.random())


def chat_text(world: World, language: str, follows: bool, innocent: float) -> str:
    """Return what a person says."""
    if world.random() < innocent:
        return world.say("innocent", language)
    return world.say("follow" if follows else "chat", language)


def conversation(
    world: World,
    account: Account,
    place: Place,
    language: str,
    system: str,
    innocent: float,
    left: int = 1 << 30,
) -> Iterator[float]:
    """Talk once, as people in the trace do; at most so many requests."""
    part = world.given["chat"]
    address = place.address()
    tokens = part.number("tokens_in_median"), part.number("tokens_out_median")
    spreads = part.number("tokens_in_spread"), part.number("tokens_out_spread")
    for turn in range(min(left, world.geometric(part.number("turns_mean")))):
        if turn:
            yield world.now + world.drawn(part, "gap")
        text = chat_text(world, language, turn > 0, innocent)

        def asks(text: str = text) -> float:
            return world.ask(account, address, system, text, tokens=tokens, spreads=spreads)

        yield from patient(world, asks)
        if account.banned <= world.now:
            return


def talker(
    world: World,
    account: Account,
    place: Place,
    language: int,
    rate: float,
    *,
    innocent: float,
    until: float = float("inf"),
) -> Iterator[float]:
    """Chat at a rate: a process."""
    part = world.given["chat"]
    tongue = world.ground.languages[language]
    system = world.say("own_line") if world.random() < part.share("system_prompt") else ""
    zone = world.ground.zones[language]
    for at in world.moments(rate / part.number("turns_mean"), zone, until):
        yield max(at, world.now)
        yield from conversation(world, account, place, tongue, system, innocent)
        if account.banned <= world.now:
            return


def several(
    world: World, count: int, makes: Callable[[], Iterator[float]], *, least: float = 0.0
) -> None:
    """Let so many processes begin at times drawn evenly over the world's days."""
    starts = sorted(least + world.random() * (world.end - least) for _ in range(count))
    world.spawn(_beginning(world, starts, makes), 0.0)


def _beginning(
    world: World, starts: list[float], makes: Callable[[], Iterator[float]]
) -> Iterator[float]:
    """Begin a process at each of some times."""
    for at in starts:
        yield at
        world.spawn(makes(), at)


def template(
    world: World, slot: str, public: float, language: str = "en", *, published: int = 5
) -> Frame:
    """Return an account's template: one of those that are published, or its own."""
    number = int(world.random() * published) if world.random() < public else None
    return world.frame(slot, language, public=number)
