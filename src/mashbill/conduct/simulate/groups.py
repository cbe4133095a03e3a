"""Honest accounts that share something: an employer, a class, a tool, a household."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mashbill.conduct.simulate.ground import DAY
from mashbill.conduct.simulate.people import (
    Place,
    agent_of,
    arrive,
    chat_text,
    patient,
    private,
    several,
    stranger,
    talker,
    template,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mashbill.conduct.simulate.texts import Frame
    from mashbill.conduct.simulate.world import Account, World

_NIGHT = 14.0 / 24  # part of the day after which a lecture is over


def organisation(world: World) -> None:
    """Twelve keys behind one address: of one account, or of accounts that say whose they are."""
    part = world.section

    def makes() -> Iterator[float]:
        name = f"org-{world.word(40)}"
        place, payment = Place(world, "program"), f"pay-{world.word()}"
        agent = agent_of(world, "program")
        zone = world.ground.zones[world.language()]
        shared = world.say("own_line")
        alone = world.random() < part.share("one_account")
        whole: Account | None = None
        for _ in range(part.whole("keys")):
            account = whole or stranger(
                world, "program", organisation=name, payment=payment, agent=agent, cluster=name
            )
            whole = account if alone else None
            own = world.random() >= part.share("shared_system")
            system = world.say("own_line") if own else shared
            frame = template(world, "frame_sft", 0.2)
            process = _key(world, account, f"key-{world.word()}", place, zone, system, frame)
            world.spawn(process, world.now)
        yield from ()

    count = part.count("organisations", world.ground.scale)
    several(world, count, makes, least=-world.end / 2)


def _key(
    world: World,
    account: Account,
    key: str,
    place: Place,
    zone: float,
    system: str,
    frame: Frame,
) -> Iterator[float]:
    """Use one key on working days."""
    for at in world.moments(world.section.number("rate") * 7 / 5, zone):
        if (at / DAY + 2) % 7 >= 5:  # the world starts on a Wednesday
            continue
        yield max(at, world.now)
        text = world.fill(frame, world.say("passage"))

        def asks(text: str = text) -> float:
            return world.ask(account, place.address(), system, text, key=key)

        yield from patient(world, asks)
        if account.banned <= world.now:
            return


def school_class(world: World) -> None:
    """Two hundred students, one assignment, one deadline, one campus."""
    part = world.section

    def makes() -> Iterator[float]:
        name = f"class-{world.word(40)}"
        tongue = world.language()
        text = world.say("assignment")
        campus = [private(world)]
        while len(campus) < part.whole("campus_addresses"):
            campus.append(_neighbour(world, campus[0]))
        lecture = world.now
        deadline = lecture + part.number("runs_days") * DAY
        deadline += (_NIGHT - deadline / DAY % 1.0) * DAY
        system = world.say("own_line") if world.random() < 0.3 else ""
        for _ in range(part.whole("students")):
            late = world.random() >= part.share("signed_up_then")
            at = lecture + world.random() * (
                (deadline - lecture) if late else part.number("signup_hours") * 3600
            )
            process = _student(world, name, text, campus, deadline, system, tongue)
            world.spawn(process, at)
        yield from ()

    count = part.count("classes", world.ground.scale)
    several(world, count, makes)


def _neighbour(world: World, address: str) -> str:
    """Return another address of a block."""
    mark = ":" if ":" in address else "."
    block, _, _ = address.rpartition(mark)
    return f"{block}{mark}{1 + int(world.random() * 253)}"


def _student(
    world: World,
    cluster: str,
    assignment: str,
    campus: list[str],
    deadline: float,
    system: str,
    tongue: int,
) -> Iterator[float]:
    """Sign up, and do the assignment in one's own words, most of it late."""
    part = world.section
    account = stranger(world, "person", signed_up=world.now, cluster=cluster)
    home = Place(world, "person")
    world.sign_up(account, world.choose(campus))
    tail = part.number("deadline_hours_median") * 3600
    whens = []
    for _ in range(int(world.drawn(part, "requests")) + 1):
        if world.random() < part.share("near_deadline"):
            whens.append(deadline - min(world.lognormal(tail, 0.8), 2 * DAY))
        else:
            whens.append(world.now + world.random() * max(deadline - world.now, 3600.0))
    language = world.ground.languages[tongue]
    for at in sorted(whens):
        yield max(at, world.now + 20.0 * (1 + world.random()))
        address = (
            world.choose(campus) if world.random() < part.share("on_campus") else (home.address())
        )
        if world.random() < 0.1:
            text = chat_text(world, language, follows=False, innocent=0.05)
        else:
            number = int(world.random() * part.whole("questions"))
            text = world.fill(world.frame("student"), chr(ord("a") + number))
            if world.random() < part.share("pastes_assignment") and text:
                text = f"{assignment}\n\n{text}"

        def asks(text: str = text, address: str = address) -> float:
            return world.ask(account, address, system, text, tokens=(500.0, 300.0))

        yield from patient(world, asks)
        if account.banned <= world.now:
            return


def tool(world: World) -> None:
    """Strangers who run the same tool with the prompt that it comes with."""
    part = world.section
    for number in range(part.count("tools", world.ground.scale)):
        frame = world.frame("tool_system", public=number)
        system = world.fill(frame, "")
        agent = f"tool-{number}/{1 + number % 4}.2"
        several(world, part.whole("strangers"), _user_of(world, number, system, agent))


def _user_of(world: World, number: int, system: str, agent: str) -> Callable[[], Iterator[float]]:
    """Return what makes somebody who runs a tool."""
    part = world.section

    def makes() -> Iterator[float]:
        account = stranger(world, "person", agent=agent, cluster=f"tool-{number}")
        place = Place(world, "person")
        yield from arrive(world, account, place.address())
        own = world.random() < part.share("changed_prompt")
        prompt = world.say("own_line") if own else system
        hourly = world.random() < part.share("hourly")
        tongue = world.language()
        left = int(world.drawn(part, "requests")) + 1
        rate = 0.3 + 2.0 * world.random()
        for at, _ in zip(
            world.moments(rate, world.ground.zones[tongue]), range(left), strict=False
        ):
            when = (math.floor(at / 3600) + 1) * 3600 + 4 * world.random() if hourly else at
            yield max(when, world.now)
            text = world.say("passage", world.ground.languages[tongue])
            if world.ask(account, place.address(), prompt, text, tokens=(1500.0, 250.0)) < 0:
                return

    return makes


def family(world: World) -> None:
    """Families and flatmates: one address, and at times one card."""
    part = world.section

    def makes() -> Iterator[float]:
        name = f"family-{world.word(40)}"
        place = Place(world, "person")
        payment = f"pay-{world.word()}" if world.random() < part.share("one_card") else None
        tongue = world.language()
        for _ in range(part.whole("members")):
            account = stranger(world, "person", payment=payment, cluster=name)
            world.spawn(_member(world, account, place, tongue), world.now)
        yield from ()

    count = part.count("households", world.ground.scale)
    several(world, count, makes, least=-world.end / 2)


def _member(world: World, account: Account, place: Place, tongue: int) -> Iterator[float]:
    """Chat from home."""
    rate = world.drawn(world.section, "rate")
    yield from arrive(world, account, place.address())
    yield from talker(world, account, place, tongue, rate, innocent=0.02)


def company(world: World) -> None:
    """Thirty employees with accounts of their own, one card, one office and one template."""
    part = world.section

    def makes() -> Iterator[float]:
        name = f"company-{world.word(40)}"
        card = f"pay-{world.word()}"
        office = [private(world)]
        while len(office) < part.whole("office_addresses"):
            office.append(_neighbour(world, office[0]))
        head = world.say("opening")
        system = world.say("company_system")
        tongue = world.language()
        bought = world.now - DAY * (0.2 + 60 * world.random())
        for _ in range(part.whole("employees")):
            together = world.random() < part.share("signed_up_together")
            account = stranger(
                world,
                "person",
                cluster=name,
                limit="paid",
                payment=card if world.random() < part.share("one_card") else None,
                signed_up=min(bought + 8 * 3600 * world.random(), world.now) if together else None,
            )
            process = _employee(world, account, office, system, head, tongue)
            world.spawn(process, world.now)
        yield from ()

    count = part.count("companies", world.ground.scale)
    several(world, count, makes, least=-world.end / 2)


def _employee(
    world: World, account: Account, office: list[str], system: str, head: str, tongue: int
) -> Iterator[float]:
    """Work by the template, and ask other things between."""
    part = world.section
    home = Place(world, "person")
    rate = world.drawn(part, "rate")
    language = world.ground.languages[tongue]
    yield from arrive(world, account, world.choose(office))
    for at in world.moments(rate, world.ground.zones[tongue]):
        yield max(at, world.now)
        inside = world.random() < part.share("office")
        address = world.choose(office) if inside else home.address()
        if world.random() < part.share("uses_template"):
            text = f"{head}\n{world.say('company')}" if head else ""
            asked = world.ask(account, address, system, text, tokens=(600.0, 250.0))
        else:
            text = chat_text(world, language, follows=False, innocent=0.02)
            asked = world.ask(account, address, "", text)
        if asked < 0:
            return
