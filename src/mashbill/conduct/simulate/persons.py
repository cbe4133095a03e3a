"""Honest people, each on an account of their own: chat, agents, tutors, the curious, a release."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from mashbill.conduct.simulate.ground import DAY
from mashbill.conduct.simulate.people import (
    Place,
    arrive,
    chat_text,
    patient,
    private,
    several,
    stranger,
    talker,
)
from mashbill.conduct.simulate.world import Account, World

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEP = (3000.0, 350.0)


def chat(world: World, accounts: int) -> None:
    """Ordinary chat, with the arrivals and lengths of a real trace."""
    part = world.section
    drawn = []
    for _ in range(accounts):
        rate = world.drawn(part, "rate")
        first = world.after(DAY / rate)
        if first < world.end:
            drawn.append((first, rate))
    drawn.sort()

    def beginning() -> Iterator[float]:
        for at, rate in drawn:
            yield at
            world.spawn(_chatting(world, rate), at)

    world.spawn(beginning(), 0.0)


def _chatting(world: World, rate: float) -> Iterator[float]:
    """Be somebody who chats now and then."""
    account, place = stranger(world, "person"), Place(world, "person")
    yield from arrive(world, account, place.address())
    innocent = world.given["chat"].share("innocent")
    yield from talker(world, account, place, world.language(), rate, innocent=innocent)


def curious(world: World) -> None:
    """People who ask about reasoning, system prompts and encodings, and mean nothing by it."""
    part = world.section

    def makes() -> Iterator[float]:
        account, place = stranger(world, "person"), Place(world, "person")
        yield from arrive(world, account, place.address())
        requests = world.drawn(part, "requests")
        days = 1.0 + world.random() * 20.0
        yield from talker(
            world,
            account,
            place,
            world.language(),
            requests / days,
            innocent=part.share("innocent"),
            until=world.now + days * DAY,
        )

    several(world, part.count("accounts", world.ground.scale), makes)


def surge(world: World) -> None:
    """People who come to see a new model, with new accounts and with riddles that all have read."""
    part = world.section
    ground = world.ground
    releases = [at for at in ground.releases if at < world.end]
    if not releases:
        return
    within = part.number("within_days") * DAY

    def beginning() -> Iterator[float]:
        total = part.count("accounts", ground.scale)
        whens = sorted(
            release - within / 3 * _log(world)
            for release in (releases[place % len(releases)] for place in range(total))
        )
        for at in whens:
            yield at
            world.spawn(_looking(world), at)

    world.spawn(beginning(), 0.0)


def _log(world: World) -> float:
    """Return minus a number of the exponential distribution."""
    return -(world.after(1.0) - world.now)


def _looking(world: World) -> Iterator[float]:
    """See what the new model can do, and stay or not."""
    part = world.section
    new = world.random() < part.share("new_accounts")
    signed_up = world.now if new else None
    account, place = stranger(world, "person", signed_up=signed_up), Place(world, "person")
    account.adopts = world.now
    if new:
        world.sign_up(account, place.address())
        yield world.after(600.0)
    tongue = world.language()
    riddles = part.whole("riddles")
    for _ in range(int(world.drawn(part, "requests")) + 1):
        if world.random() < part.share("puzzles"):
            number = int(world.random() * riddles)
            text = world.fill(world.frame("riddle", public=number), "")
        else:
            text = chat_text(world, world.ground.languages[tongue], follows=False, innocent=0.05)

        def asks(text: str = text) -> float:
            return world.ask(account, place.address(), "", text)

        yield from patient(world, asks)
        yield world.after(3600.0 if world.random() < 0.2 else 150.0)
    if world.random() < part.share("stays"):
        yield from talker(world, account, place, tongue, 0.6, innocent=0.02)


def agent(world: World) -> None:
    """Coding agents: long conversations with tools, each carrying its own blobs of reasoning."""
    part = world.section

    def makes() -> Iterator[float]:
        account, place = stranger(world, "person", limit="bulk"), Place(world, "person")
        yield from arrive(world, account, place.address())
        frame = world.frame("agent_system", public=int(world.random() * part.whole("tools")))
        system = world.fill(frame, "")
        blobs = world.random() < part.share("blobs")
        rate = part.number("conversations") * part.share("active")
        for at in world.moments(rate, world.ground.zones[world.language()]):
            yield max(at, world.now)
            yield from _coding(world, account, place.address(), system, blobs)
            if account.banned <= world.now:
                return

    several(world, part.count("accounts", world.ground.scale), makes, least=-world.end / 2)


def _coding(
    world: World, account: Account, address: str, system: str, blobs: bool
) -> Iterator[float]:
    """Work on one task with tools."""
    part = world.given["agent"]
    held: list[str] = []
    most = part.whole("blobs_kept")
    for turn in range(int(world.drawn(part, "turns")) + 1):
        text = world.say("tool_result" if turn else "agent_task")
        brought = (world.word(),) if blobs else ()
        shown = tuple(held)

        def asks(
            text: str = text, brought: tuple[str, ...] = brought, shown: tuple[str, ...] = shown
        ) -> float:
            return world.ask(
                account,
                address,
                system,
                text,
                tokens=(2000.0 + 900.0 * len(shown), 250.0),
                blobs_in=shown,
                blobs_out=brought,
                reasoning=blobs,
                endpoint="responses" if blobs else "chat",
            )

        yield from patient(world, asks)
        if world.answered:
            held = [*held, *brought][-most:]
        yield world.now + world.drawn(part, "gap")


def tutor(world: World) -> None:
    """Tutoring services: pupils' problems, and the wish to see the work."""
    part = world.section

    def makes() -> Iterator[float]:
        account, place = stranger(world, "program"), Place(world, "program")
        yield from arrive(world, account, place.address())
        own = world.random() < part.share("languages_own")
        tongue = world.language() if own else 0
        language = world.ground.languages[tongue]
        system = world.say("tutor_system")
        rate = world.drawn(part, "rate")
        for at in world.moments(rate, world.ground.zones[tongue]):
            yield max(at, world.now)
            shows = world.random() < part.share("show_work")
            text = world.say("tutor" if shows else "maths", language)
            if world.ask(account, place.address(), system, text, tokens=(400.0, 450.0)) < 0:
                return

    several(world, part.count("accounts", world.ground.scale), makes, least=-world.end)


def aggregator(world: World) -> None:
    """Apps with one key and many end users, whose addresses some pass on."""
    part = world.section

    def makes() -> Iterator[float]:
        account, own = stranger(world, "program"), Place(world, "program")
        yield from arrive(world, account, own.address())
        passes = world.random() < part.share("passes_address")
        users = [
            (private(world), world.ground.languages[world.language()], world.say("own_line"))
            for _ in range(part.whole("users") if passes else 20)
        ]
        shared = world.say("own_line")
        innocent = part.share("innocent")
        for at in world.moments(world.drawn(part, "rate"), 0.0):
            yield max(at, world.now)
            address, language, line = users[int(world.random() ** 2 * len(users))]
            system = line if world.random() < 0.1 else shared
            text = chat_text(world, language, world.random() < 0.35, innocent)
            address = address if passes else own.address()
            if world.ask(account, address, system, text, tokens=(900.0, 250.0)) < 0:
                return

    several(world, part.count("accounts", world.ground.scale), makes, least=-world.end)


def switcher(world: World) -> None:
    """People who take a conversation, with its blobs, to another model of the same service."""
    part = world.section

    def makes() -> Iterator[float]:
        account, place = stranger(world, "person"), Place(world, "person")
        yield from arrive(world, account, place.address())
        zone = world.ground.zones[world.language()]
        left = world.geometric(part.number("conversations_mean"))
        for at, _ in zip(world.moments(0.7, zone), range(left), strict=False):
            yield max(at, world.now)
            yield from _switching(world, account, place.address())

    several(world, part.count("accounts", world.ground.scale), makes)


def _switching(world: World, account: Account, address: str) -> Iterator[float]:
    """Talk once, and move to another model within the conversation."""
    part = world.given["switcher"]
    turns = 1 + world.geometric(part.number("turns_mean"))
    at = 1 + int(world.random() * turns) if world.random() < part.share("switches") else turns
    model, held = world.model(account), list[str]()
    for turn in count():
        if turn >= turns:
            return
        if turn == at:
            model = world.choose([name for name in world.ground.models if name != model])
        text = world.say("follow" if turn else "chat")
        brought = world.word()

        def asks(text: str = text, brought: str = brought, model: str = model) -> float:
            return world.ask(
                account,
                address,
                "",
                text,
                model=model,
                tokens=_DEEP,
                blobs_in=held,
                blobs_out=(brought,),
                reasoning=True,
                endpoint="messages",
            )

        yield from patient(world, asks)
        if account.banned <= world.now:
            return
        if world.answered:
            held.append(brought)
        yield world.now + world.drawn(part, "gap")
