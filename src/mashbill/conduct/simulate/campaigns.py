"""Campaigns after the public reports: many accounts, one queue, and what nobody offered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mashbill.conduct.simulate.ground import DAY
from mashbill.conduct.simulate.people import chat_text
from mashbill.conduct.simulate.proxies import Exits, Reseller, used
from mashbill.conduct.simulate.texts import pool_item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mashbill.conduct.simulate.texts import Frame
    from mashbill.conduct.simulate.world import Account, World

_WAVE = 900.0  # seconds between the waves in which balanced loads start
_WAYS = {
    "coaxing": "frame_coax",
    "grading": "frame_grade_campaign",
    "rewriting": "frame_rewrite_campaign",
    "tools": "frame_tools_campaign",
    "coding": "frame_coding_campaign",
    "vision": "",
}
_ITEMS = {"coding": "agent_task", "tools": "agent_task", "rewriting": "chat"}


class Queue:
    """An operator's work: items of a pool, each asked once, whoever's account asks it."""

    def __init__(self, world: World, number: int, language: str | None = None) -> None:
        """Draw the templates, and the order of the pool."""
        part = world.section
        self._world = world
        self._pool = 5_000_000 + number
        self._size = part.whole("pool") if "pool" in part.values else 100_000
        self._place = int(world.random() * self._size)
        self._step = 1 + int(world.random() * (self._size - 1))
        while math.gcd(self._step, self._size) > 1:
            self._step += 1
        self._ways = [way for way in _WAYS if way in part.values and part.share(way) > 0]
        self._language = language
        self._fresh = "paraphrase" in part.values and part.share("paraphrase") > 0
        many = part.whole("templates") if "templates" in part.values else 1
        self._frames: dict[tuple[str, str], list[Frame]] = {}
        self._many = many

    def item(self, slot: str, language: str) -> str:
        """Return the next item, which no other account gets."""
        self._place = (self._place + self._step) % self._size
        if not self._world.ground.texts:
            return ""
        return pool_item(self._pool, self._place, slot, language)

    def prompt(self, ways: dict[str, float], language: str) -> str:
        """Return the next request's text."""
        world = self._world
        chance = world.random() * sum(ways.values())
        way = next(iter(ways))
        for name, share in ways.items():
            way = name
            chance -= share
            if chance < 0:
                break
        if way == "vision":
            self.item("maths", "en")
            return world.say("vision")
        if self._fresh:
            item = self.item("maths", language)
            return world.fill(world.frame("frame_paraphrase"), item) if item else ""
        tongue = language if way == "coaxing" else "en"
        frames = self._frames.get((way, tongue))
        if frames is None:
            made = [world.frame(_WAYS[way], tongue) for _ in range(self._many)]
            frames = self._frames[way, tongue] = made
        frame = frames[int(world.random() * len(frames))]
        return world.fill(frame, self.item(_ITEMS.get(way, "maths"), tongue))

    def next(self, *, late: bool = True) -> str:
        """Return the next request's text, in the shares that the parameters give."""
        part = self._world.section
        ways = {way: part.share(way) for way in self._ways if late or way != "coaxing"}
        return self.prompt(ways or {"coding": 1.0}, self._tongue())

    def _tongue(self) -> str:
        part, ground = self._world.section, self._world.ground
        if "non_english" in part.values and self._world.random() < part.share("non_english"):
            others = ground.languages[1:]
            return others[int(self._world.random() * len(others))]
        return self._language or "en"


def accounts_of(world: World) -> int:
    """Return how many accounts a campaign has at this world's scale."""
    part = world.section
    if "accounts" in part.values:
        return part.count("accounts", world.ground.scale)
    exchanges = part.number("exchanges") * world.ground.scale
    return max(part.whole("least"), round(exchanges / part.number("per_account")))


def pooled(world: World) -> None:
    """Run accounts of a reseller that share queues and mix in what other customers ask."""
    part = world.section
    days = part.number("days")
    count = accounts_of(world)
    rate = part.number("rate") if "rate" in part.values else part.number("per_account") / days
    start = world.random() * max(0.0, world.end - days * DAY)
    until = min(world.end, start + days * DAY)
    apart = "paraphrase" not in part.values
    queues = part.whole("queues") if "queues" in part.values else 1
    for number in range(queues):
        queue = Queue(world, number)
        seller = Reseller(world, shares=apart)
        own = count // queues + (number < count % queues)
        for _ in range(own):
            harvest = 1.0
            if "harvest_mean" in part.values:
                drawn = world.rng.gauss(part.number("harvest_mean"), part.number("harvest_spread"))
                harvest = min(0.98, max(0.03, drawn))
            first = start + world.random() * min(3.0 * DAY, (until - start) / 4)
            account = seller.account(first, f"{world.name}-{number}", harvest)
            process = _harvesting(world, account, queue, (first, until), rate, harvest)
            world.spawn(process, 0.0)
            at = world.rng.expovariate(world.given["proxies"].number("banned_a_day")) * DAY
            world.spawn(world.banning(account), max(first, 0.0) + at)


def _harvesting(
    world: World,
    account: Account,
    queue: Queue,
    during: tuple[float, float],
    rate: float,
    harvest: float,
) -> Iterator[float]:
    """Send one account's part of the queue, and its other customers' requests."""
    part = world.section
    first, until = during
    exits = Exits(world)
    wave = part.share("synchronised") if "synchronised" in part.values else 0.0
    begins = first + part.share("late") * (until - first) if "late" in part.values else first
    reasoning = world.random() < world.given["proxies"].share("reasoning")
    customers = [
        (world.ground.languages[world.language()], world.say("own_line")) for _ in range(4)
    ]
    moved = _moves(world)
    yield from used(world, account, first, exits)
    while True:
        at = world.after(DAY / rate)
        if world.random() < wave:
            at = (math.floor(at / _WAVE) + 1) * _WAVE + world.rng.expovariate(0.12)
        if at >= until:
            return
        yield at
        if world.random() < harvest:
            system, text = "", queue.next(late=world.now >= begins)
            chosen = moved()
        else:
            language, line = customers[int(world.random() * len(customers))]
            system = line if world.random() < 0.3 else ""
            text, chosen = chat_text(world, language, world.random() < 0.3, 0.02), None
        for _ in range(3):
            wait = world.ask(
                account, exits.address(), system, text, model=chosen, reasoning=reasoning
            )
            if wait <= 0:
                break
            yield world.now + wait
        if wait < 0:
            return


def _moves(world: World) -> Callable[[], str | None]:
    """Return what says which model a request asks: half of a pivot's go to a new one in a day."""
    part, ground = world.section, world.ground
    if "moved" not in part.values:
        return lambda: None
    within = part.number("moved_hours") * 3600

    def model() -> str | None:
        known = [at for at in ground.releases if at <= world.now]
        if not known:
            return ground.models[0]
        part_moved = part.share("moved") * min(1.0, (world.now - known[-1]) / within)
        if world.random() < part_moved:
            return ground.new_models[min(len(known), len(ground.new_models)) - 1]
        return ground.models[0] if len(known) == 1 else ground.new_models[0]

    return model


def rotation(world: World) -> None:
    """Let operators go on with another account's key, at once, where one is refused."""
    part = world.section
    for number in range(part.count("operators", world.ground.scale)):
        start = world.random() * world.end * 0.9
        world.spawn(_rotating(world, number, start), 0.0)


def _rotating(world: World, number: int, start: float) -> Iterator[float]:
    """Work through one queue, one key after the other."""
    part = world.section
    seller, queue = Reseller(world), Queue(world, number)
    plain = world.random() < part.share("one_address")
    exits = [Exits(world) for _ in range(1 if plain else part.whole("keys"))]
    address = exits[0].address() if plain else None
    ring = [seller.account(start, f"{world.name}-{number}", 1.0) for _ in range(part.whole("keys"))]
    news = sorted((x.signed_up, n) for n, x in enumerate(ring) if x.signed_up >= 0)
    for at, place in news:
        yield max(at, world.now)
        world.sign_up(ring[place], address or exits[place].address())
    yield max(start, world.now)
    frame = world.frame("frame_sft")
    frames = [frame, *(world.frame("frame_sft") for _ in range(part.whole("templates") - 1))]
    gap = 60.0 / (ring[0].limit * part.number("over_limit"))
    at = 0
    for _ in range(int(world.drawn(part, "items")) + 1):
        text = world.fill(frames[int(world.random() ** 2 * len(frames))], queue.item("maths", "en"))
        for _ in range(len(ring)):
            where = address or exits[at].address()
            wait = world.ask(ring[at], where, "", text)
            if wait == 0:
                break
            at = (at + 1) % len(ring)
            yield world.now + world.drawn(part, "takes_over_seconds")
        yield world.after(gap)


def succession(world: World) -> None:
    """Let streams go on under a new account's name where theirs is banned."""
    part = world.section
    last = max(0.0, world.end - part.number("days") * DAY)
    for number in range(part.count("streams", world.ground.scale)):
        world.spawn(_succeeding(world, number, world.random() * last), 0.0)


def _succeeding(world: World, number: int, start: float) -> Iterator[float]:
    """Run one stream through its accounts."""
    part = world.section
    seller, queue = Reseller(world, shares=False), Queue(world, number)
    frame = world.frame("frame_sft")
    until = start + part.number("days") * DAY
    cluster = f"{world.name}-{number}"
    account = seller.account(start, cluster, 1.0)
    exits = Exits(world)
    yield from used(world, account, start, exits)
    while world.now < until:
        ends = world.after(part.number("banned_after_days") * DAY)
        while True:
            at = world.after(DAY / part.number("rate"))
            if at >= min(ends, until):
                break
            yield at
            coaxes = world.random() < part.share("coaxing")
            text = queue.next() if coaxes else world.fill(frame, queue.item("maths", "en"))
            world.ask(account, exits.address(), "", text)
        if ends >= until:
            return
        yield ends
        world.ban(account)
        for _ in range(int(world.random() * 4)):  # until somebody sees that it is over
            yield world.after(40.0)
            world.ask(account, exits.address(), "", world.fill(frame, ""))
        at = world.now + world.drawn(part, "resumes_hours") * 3600
        before, payment, agent = account, account.payment, account.agent
        keeps = [world.random() < part.share(f"keeps_{x}") for x in ("card", "network", "agent")]
        account = world.open_account(
            at - min(3600.0, 0.5 * (at - world.now)),
            "paid",
            cluster=cluster,
            share=1.0,
            payment=payment if keeps[0] else seller.payment(),
            agent=agent if keeps[2] else seller.agent(),
        )
        account.model = before.model
        exits = exits if keeps[1] else Exits(world)
        yield from used(world, account, at, exits)
