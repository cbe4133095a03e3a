"""Honest bulk use: programs that ask thousands of like things, each by one account and one key."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mashbill.conduct.simulate.ground import pick
from mashbill.conduct.simulate.people import Place, arrive, patient, several, stranger, template
from mashbill.conduct.simulate.texts import Mixer, pool_item
from mashbill.conduct.simulate.world import Account, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mashbill.conduct.simulate.texts import Frame


def job(
    world: World,
    account: Account,
    place: Place,
    prompts: Iterator[tuple[str, str]],
    count: int,
    a_minute: float,
    *,
    reasoning: bool = False,
    tokens: tuple[float, float] = (500.0, 350.0),
    declared: str | None = None,
) -> Iterator[float]:
    """Work through a queue of prompts at a rate, with pauses, and wait where it is asked to."""
    yield from arrive(world, account, place.address())
    gap = 60.0 / a_minute
    for _ in range(count):
        system, text = next(prompts)

        def asks(system: str = system, text: str = text) -> float:
            return world.ask(
                account,
                place.address(),
                system,
                text,
                tokens=tokens,
                reasoning=reasoning,
                declared=declared,
            )

        yield from patient(world, asks)
        if account.banned <= world.now:
            return
        pause = world.random() < 0.001  # somebody looks at what came, and starts it again
        yield world.after(14_400.0 if pause else gap)


def order(world: World, size: int, in_order: float) -> tuple[int, int]:
    """Return a step and a beginning by which a pool is gone through: each item once."""
    if world.random() < in_order:
        return 1, 0
    step = 1 + int(world.random() * (size - 1))
    while math.gcd(step, size) > 1:  # else it does not come to each item
        step += 1
    return step, int(world.random() * size)


def sft(world: World) -> None:
    """One template over items of a public pool; strangers take the same pools."""
    part = world.section
    pools = [int(size) for size in part.numbers("pools")]
    sums = _sums(part.numbers("pool_shares"))

    def makes() -> Iterator[float]:
        account, place = stranger(world, "program"), Place(world, "program")
        size = pools[pick(sums, world.random())]
        steps = world.random() < part.share("asks_steps")
        slot = "frame_steps" if steps else "frame_sft"
        frame = template(world, slot, part.share("public_template"))
        system = world.say("own_line") if world.random() < 0.4 else ""
        prompts = _pool(world, size, frame, system, part.share("in_order"))
        return job(
            world,
            account,
            place,
            prompts,
            min(size, int(world.drawn(part, "items")) + 1),
            world.drawn(part, "rate_per_minute"),
            reasoning=world.random() < part.share("reasoning"),
        )

    several(world, part.count("accounts", world.ground.scale), makes)


def _pool(
    world: World, size: int, frame: Frame, system: str, in_order: float
) -> Iterator[tuple[str, str]]:
    """Yield prompts of a public pool, each item once, and then again."""
    step, place = order(world, size, in_order)
    while True:
        item = pool_item(size, place, "maths") if world.ground.texts else ""
        yield system, world.fill(frame, item)
        place = (place + step) % size


def selfinstruct(world: World) -> None:
    """Tasks made from tasks: seeds of a public set, and what came of them."""
    part = world.section
    shown = part.whole("shown")

    def prompts(frame: Frame) -> Iterator[tuple[str, str]]:
        while True:
            tasks = [
                pool_item(175, int(world.random() * 175), "seed_task")
                if world.random() < 0.75
                else world.say("seed_task")
                for _ in range(shown)
            ]
            yield "", world.fill(frame, "\n".join(f"{n}. {x}" for n, x in enumerate(tasks, 1)))

    _simple(world, "frame_selfinstruct", prompts, tokens=(420.0, 180.0))


def evolve(world: World) -> None:
    """Prompts made harder, in depth and in breadth."""
    breadth = world.section.share("breadth")

    def prompts(frame: Frame) -> Iterator[tuple[str, str]]:
        other = template(world, "frame_breadth", world.section.share("public_template"))
        while True:
            chosen = other if world.random() < breadth else frame
            yield "", world.fill(chosen, world.say("chat"))

    _simple(world, "frame_evolve", prompts, tokens=(300.0, 260.0))


def judging(world: World) -> None:
    """Two answers compared, at times in both orders."""
    part = world.section

    def prompts(frame: Frame) -> Iterator[tuple[str, str]]:
        twice = world.random() < part.share("both_orders")
        while True:
            ask, one, other = world.say("chat"), world.say("answer"), world.say("answer")
            yield "", world.fill(frame, f"{ask}\n\n[A]\n{one}\n\n[B]\n{other}")
            if twice:
                yield "", world.fill(frame, f"{ask}\n\n[A]\n{other}\n\n[B]\n{one}")

    _simple(world, "frame_judge", prompts, tokens=(1400.0, 220.0))


def rubric(world: World) -> None:
    """Attempts of a learner graded: the grader is asked to reason first, and to give a score."""
    part = world.section
    group = part.whole("group")

    def prompts(frame: Frame) -> Iterator[tuple[str, str]]:
        while True:
            task = world.say("maths")
            for _ in range(group):
                attempt = f"{world.say('answer')} {world.say('answer')}"
                yield "", world.fill(frame, f"Task: {task}\nAttempt: {attempt}")

    _simple(world, "frame_rubric", prompts, tokens=(1100.0, 500.0))


def translation(world: World) -> None:
    """Passages into another language."""

    def prompts(frame: Frame) -> Iterator[tuple[str, str]]:
        source = world.ground.languages[world.language()]
        while True:
            yield "", world.fill(frame, f"{world.say('passage', source)} {world.say('passage')}")

    _simple(world, "frame_translate", prompts, tokens=(350.0, 300.0))


def _simple(
    world: World,
    slot: str,
    prompts: Callable[[Frame], Iterator[tuple[str, str]]],
    *,
    tokens: tuple[float, float],
) -> None:
    """Let accounts work through queues of their own by one template each."""
    part = world.section

    def makes() -> Iterator[float]:
        account, place = stranger(world, "program"), Place(world, "program")
        short = "reasons" in part.values and world.random() >= part.share("reasons")
        frame = template(world, f"{slot}_short" if short else slot, part.share("public_template"))
        reasoning = "reasoning" in part.values and world.random() < part.share("reasoning")
        return job(
            world,
            account,
            place,
            prompts(frame),
            int(world.drawn(part, "items")) + 1,
            world.drawn(part, "rate_per_minute"),
            reasoning=reasoning,
            tokens=tokens,
        )

    several(world, part.count("accounts", world.ground.scale), makes)


def harness(world: World) -> None:
    """Strangers who run the same public benchmark whole, in its order, by the same template."""
    part = world.section
    sizes = [int(size) for size in part.numbers("benchmarks")]

    def prompts(size: int, frame: Frame, shots: str) -> Iterator[tuple[str, str]]:
        while True:
            for place in range(size):
                item = pool_item(1_000_000 + size, place, "maths") if world.ground.texts else ""
                yield "", shots + world.fill(frame, item)

    def makes() -> Iterator[float]:
        account, place = stranger(world, "program"), Place(world, "program")
        size = sizes[int(world.random() * len(sizes))]
        steps = world.random() < part.share("steps")
        slot = "frame_harness_steps" if steps else "frame_harness"
        frame = world.frame(slot, public=int(world.random() * 2))
        shots = ""
        if world.random() < part.share("shots") and world.ground.texts:
            items = [pool_item(2_000_000 + size, shot, "maths") for shot in range(4)]
            answers = [world.words.say("answer", "en", Mixer(size, shot)) for shot in range(4)]
            shots = "".join(
                f"{world.fill(frame, x)} {y}\n\n" for x, y in zip(items, answers, strict=True)
            )
        runs = world.geometric(part.number("runs_mean"))
        rate = world.drawn(part, "rate_per_minute")
        return job(world, account, place, prompts(size, frame, shots), size * runs, rate)

    several(world, part.count("accounts", world.ground.scale), makes)


def redteam(world: World) -> None:
    """A declared red team: jailbreaks tried, by an organisation that says so."""
    part = world.section
    frames = part.whole("templates")

    def prompts() -> Iterator[tuple[str, str]]:
        own = [world.frame("jailbreak", public=int(world.random() * frames)) for _ in range(8)]
        while True:
            if world.random() < part.share("jailbreak"):
                frame = own[int(world.random() * len(own))]
                yield "", world.fill(frame, world.say("jail_goal"))
            else:
                yield "", world.say("chat")

    def makes() -> Iterator[float]:
        organisation = f"redteam-{world.word(32)}"
        account = stranger(world, "program", organisation=organisation)
        signed = f"{world.word(256)}" if world.random() < part.share("declared") else None
        return job(
            world,
            account,
            Place(world, "program"),
            prompts(),
            int(world.drawn(part, "prompts")) + 1,
            world.drawn(part, "rate_per_minute"),
            declared=signed,
        )

    several(world, part.count("accounts", world.ground.scale), makes)


def retry(world: World) -> None:
    """Programs that ask faster than they may, are refused, and wait: always on the same key."""
    part = world.section

    def makes() -> Iterator[float]:
        account, place = stranger(world, "program", limit="paid"), Place(world, "program")
        frame = template(world, "frame_sft", 0.3)
        return _hasty(world, account, place, frame)

    several(world, part.count("accounts", world.ground.scale), makes)


def _hasty(world: World, account: Account, place: Place, frame: Frame) -> Iterator[float]:
    """Ask too fast, and wait as one is told or longer each time."""
    part = world.section
    yield from arrive(world, account, place.address())
    gap = 60.0 / (account.limit * part.number("over_limit"))
    doubles = 0.0 if world.random() < part.share("obeys") else part.number("least_backoff")
    for _ in range(int(world.drawn(part, "items")) + 1):
        text = world.fill(frame, world.say("maths"))

        def asks(text: str = text) -> float:
            return world.ask(account, place.address(), "", text)

        yield from patient(world, asks, tries=part.whole("tries"), doubles=doubles)
        if account.banned <= world.now:
            return
        yield world.after(gap)


def _sums(parts: tuple[float, ...]) -> tuple[float, ...]:
    """Return running sums."""
    total, found = 0.0, []
    for part in parts:
        total += part
        found.append(total)
    return tuple(found)
