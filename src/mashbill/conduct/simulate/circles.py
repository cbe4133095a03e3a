"""Campaigns of a circle of accounts: blobs of reasoning replayed, jailbreaks passed on."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mashbill.conduct.simulate.campaigns import accounts_of
from mashbill.conduct.simulate.ground import DAY
from mashbill.conduct.simulate.people import Place, arrive, chat_text, stranger
from mashbill.conduct.simulate.proxies import Exits, Reseller, used

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.conduct.simulate.texts import Frame
    from mashbill.conduct.simulate.world import Account, World

_HELD = 400  # blobs that a circle has at hand
_Had = tuple[float, str, str]  # when a blob may be replayed, the blob, its account


def replay(world: World) -> None:
    """Let accounts have blobs of a strong model, and present them as others or to a sibling."""
    part = world.section
    start = world.random() * max(0.0, world.end - part.number("days") * DAY)
    seller, held = Reseller(world), deque[_Had](maxlen=_HELD)
    for _ in range(accounts_of(world)):
        first = start + world.random() * DAY
        account = seller.account(first, f"{world.name}-0", 1.0)
        world.spawn(_replaying(world, account, first, held), 0.0)


def _replaying(world: World, account: Account, first: float, held: deque[_Had]) -> Iterator[float]:
    """Ask the strong model, and replay what it, or another account's, thought."""
    part = world.section
    exits = Exits(world)
    strong, weak = world.ground.models[0], world.ground.models[-1]
    until = first + part.number("days") * DAY
    yield from used(world, account, first, exits)
    while True:
        at = world.after(DAY / part.number("rate"))
        if at >= until:
            return
        yield at
        address = exits.address()
        ripe = [had for had in held if had[0] <= world.now]
        if ripe and world.random() < part.share("replayed"):
            others = [had for had in ripe if had[2] != account.name]
            as_other = world.random() < part.share("other_account") and bool(others)
            blob = world.choose([had[1] for had in (others if as_other else ripe)])
            prints = world.random() < part.share("prints")
            wait = world.ask(
                account,
                address,
                "",
                world.say("print_blob" if prints else "follow"),
                model=strong if as_other else weak,
                blobs_in=(blob,),
                reasoning=True,
                endpoint="responses",
            )
        else:
            blob = world.word()
            wait = world.ask(
                account,
                address,
                "",
                world.say("maths"),
                model=strong,
                blobs_out=(blob,),
                reasoning=True,
                endpoint="responses",
            )
            if world.answered:
                held.append((world.after(part.number("delay_hours") * 3600), blob, account.name))
        if wait < 0:
            return


def jailbreak(world: World) -> None:
    """Let a circle of users, each by themselves, use the jailbreaks that go round in it."""
    part = world.section
    start = world.random() * max(0.0, world.end - part.number("days") * DAY)
    frames = [world.frame("jailbreak") for _ in range(part.whole("templates"))]
    seller = Reseller(world)
    for _ in range(accounts_of(world)):
        world.spawn(_trying(world, seller, start + 4 * DAY * world.random(), frames), 0.0)


def _trying(world: World, seller: Reseller, first: float, frames: list[Frame]) -> Iterator[float]:
    """Use the circle's templates among other talk."""
    part = world.section
    yield first
    cluster = f"{world.name}-0"
    place: Place | Exits
    if world.random() < part.share("private"):
        account = stranger(world, "person", cluster=cluster, share=part.share("jailbreak"))
        place = Place(world, "person")
    else:
        account, place = seller.account(first, cluster, part.share("jailbreak")), Exits(world)
    yield from arrive(world, account, place.address())
    tongue = world.language()
    until = first + part.number("days") * DAY
    for at in world.moments(part.number("rate"), world.ground.zones[tongue], until):
        yield max(at, world.now)
        if world.random() < part.share("jailbreak"):
            frame = frames[int(world.random() * len(frames))]
            text = world.fill(frame, world.say("jail_goal"))
        else:
            text = chat_text(world, world.ground.languages[tongue], follows=False, innocent=0.02)
        if world.ask(account, place.address(), "", text) < 0:
            return
