"""What a campaign's accounts come by: addresses, cards, programs and sign-ups of resellers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.conduct.simulate.ground import DAY
from mashbill.conduct.simulate.people import agent_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.conduct.simulate.world import Account, World


class Exits:
    """Where the requests of one account of a campaign come out."""

    __slots__ = ("_keeps", "_open", "_until", "_world")

    def __init__(self, world: World) -> None:
        """Draw whether the account keeps an address."""
        self._world = world
        part = world.given["proxies"]
        self._keeps = world.random() < part.share("own_address")
        self._open = [residential(world) for _ in range(1 if self._keeps else part.whole("exits"))]
        self._until = [world.now] * len(self._open)

    def address(self) -> str:
        """Return the address of a request."""
        world, part = self._world, self._world.given["proxies"]
        chance = world.random()
        if self._keeps:
            return self._open[0]
        for name, pool in (
            ("by_vpn", world.ground.vpns),
            ("exit_shared", world.ground.exits),
        ):
            if chance < part.share(name):
                return world.choose(pool)
            chance -= part.share(name)
        if chance < part.share("by_datacentre"):
            return f"{world.choose(world.ground.centres)}.{1 + int(world.random() * 253)}"
        place = int(world.random() * len(self._open))
        if world.now > self._until[place]:
            self._until[place] = world.after(part.number("rotates_hours") * 3600)
            self._open[place] = residential(world)
        return self._open[place]


def residential(world: World) -> str:
    """Return a residential exit: an address of a block in which honest people live."""
    size = world.given["proxies"].whole("residential_networks")
    block = int(world.random() * min(size, len(world.ground.blocks)))
    return f"{world.ground.blocks[block]}.{1 + int(world.random() * 253)}"


class Reseller:
    """Who opens accounts for a campaign: in bursts, some on one card, most by common programs."""

    __slots__ = ("_agents", "_burst", "_card", "_left", "_shares", "_world")

    def __init__(self, world: World, *, shares: bool = True) -> None:
        """Start with no burst and no card.

        Args:
            world: the clock.
            shares: whether anything is shared: cards, sign-ups, programs.
        """
        part = world.given["proxies"]
        self._world = world
        self._shares = shares
        self._card = ""
        self._left = 0
        self._burst = 0.0
        self._agents = [f"client-{world.word(24)}/1.0" for _ in range(part.whole("agents_own"))]

    def signed_up(self, first: float) -> float:
        """Return when an account was opened that is first used at a time."""
        world, part = self._world, self._world.given["proxies"]
        aged = -part.number("aged_days") * DAY * (0.05 - world.rng.expovariate(1.0))
        alone = not self._shares or world.random() < part.share("burst_alone")
        if alone:
            return first - abs(aged)
        if self._left <= 0:
            self._left = world.geometric(part.number("burst_mean"))
            self._burst = first - abs(aged)
        self._left -= 1
        late = world.random() * part.number("burst_hours") * 3600
        return min(self._burst + late, first - 60.0)

    def payment(self) -> str | None:
        """Return what pays for an account."""
        world, part = self._world, self._world.given["proxies"]
        if world.random() < part.share("unpaid"):
            return None
        if not self._shares or world.random() < part.share("card_alone"):
            return f"pay-{world.word()}"
        if not self._card or world.random() < 1 / part.number("card_group_mean"):
            self._card = f"pay-{world.word()}"
        return self._card

    def agent(self) -> str:
        """Return an account's User-Agent."""
        world = self._world
        common = world.random() < world.given["proxies"].share("agent_common")
        return (
            agent_of(world, "program")
            if common or not self._shares
            else (world.choose(self._agents))
        )

    def account(self, first: float, cluster: str, share: float, limit: str = "paid") -> Account:
        """Return an account that is first used at a time."""
        world = self._world
        return world.open_account(
            self.signed_up(first),
            limit,
            cluster=cluster,
            share=round(share, 4),
            payment=self.payment(),
            agent=self.agent(),
        )


def used(world: World, account: Account, first: float, exits: Exits) -> Iterator[float]:
    """Sign up, if that is within the world, and wait until the first use."""
    if account.signed_up > world.now:
        yield account.signed_up
        world.sign_up(account, exits.address())
    elif 0 <= account.signed_up == world.now:
        world.sign_up(account, exits.address())
    yield max(first, world.now)
