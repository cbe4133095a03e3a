"""A log of a service whose users are known: honest kinds and campaigns, on one clock.

What is written: ``events.jsonl``, a row a line in the raw form of the native log, by time and
then by id, and ``truth.jsonl``, a line an account: who it is, honest or of which campaign, in which
cluster, and for accounts that mix in other people's requests, which share is the campaign's.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.conduct.simulate import campaigns, circles, groups, persons, pipelines
from mashbill.conduct.simulate.ground import ground
from mashbill.conduct.simulate.parameters import Parameters, parameters
from mashbill.conduct.simulate.world import World
from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

HONEST: Mapping[str, Callable[[World], None]] = {
    "sft": pipelines.sft,
    "selfinstruct": pipelines.selfinstruct,
    "evolve": pipelines.evolve,
    "judging": pipelines.judging,
    "rubric": pipelines.rubric,
    "translation": pipelines.translation,
    "agent": persons.agent,
    "harness": pipelines.harness,
    "organisation": groups.organisation,
    "class": groups.school_class,
    "tool": groups.tool,
    "aggregator": persons.aggregator,
    "redteam": pipelines.redteam,
    "tutor": persons.tutor,
    "retry": pipelines.retry,
    "surge": persons.surge,
    "curious": persons.curious,
    "family": groups.family,
    "company": groups.company,
    "switcher": persons.switcher,
}
"""kinds beside chat, which fills up to the share of abusive accounts"""
CAMPAIGNS: Mapping[str, Callable[[World], None]] = {
    "coaxed": campaigns.pooled,
    "agentic": campaigns.pooled,
    "pivot": campaigns.pooled,
    "hydra": campaigns.pooled,
    "coercion": campaigns.pooled,
    "rotation": campaigns.rotation,
    "succession": campaigns.succession,
    "replay": circles.replay,
    "jailbreak": circles.jailbreak,
    "adaptive": campaigns.pooled,
}
KINDS = (*HONEST, "chat", *CAMPAIGNS)
_SMALLEST, _LARGEST = 1e-6, 10.0
_LONGEST = 3650.0
_HELD = 1 << 20  # letters that are written at once


@dataclass(frozen=True, slots=True)
class Simulated:
    """What was written."""

    events: Path
    truth: Path
    rows: int
    bytes: int
    accounts: Mapping[str, int]
    """by kind, of those that are in the log"""
    exchanges: Mapping[str, int]
    """rows by kind, sign-ups and bans among them"""


def simulate(
    to: Path,
    *,
    seed: int,
    scale: float = 0.01,
    kinds: Sequence[str] | None = None,
    days: float | None = None,
    texts: bool = True,
    given: Parameters | None = None,
) -> Simulated:
    """Write a log with known truth into a folder, and return what it has.

    Equal arguments give equal bytes. A kind's rows do not depend on which others are written.

    Args:
        to: a folder; it is made.
        seed: decides everything that is drawn.
        scale: of the counts of accounts; 0.01 has one of a hundred.
        kinds: of :data:`KINDS`; all where none is given.
        days: length of the world; the parameters' own where it is not given.
        texts: whether prompts are written. Without them a log is else the same.
        given: other parameters.

    Raises:
        InputError: if an argument or a parameter is none that can be simulated, or there is such a
            log in the folder.
    """
    chosen = _checked(scale, kinds, days)
    given = parameters() if given is None else given
    events, truth = to / "events.jsonl", to / "truth.jsonl"
    shared = ground(given, seed=seed, scale=scale, days=days, texts=texts)
    worlds = [World(kind, given, shared) for kind in KINDS if kind in chosen]
    for world in worlds:
        world.campaign = world.name in CAMPAIGNS
        if world.name == "chat":
            persons.chat(world, chatting(given, scale))
        else:
            {**HONEST, **CAMPAIGNS}[world.name](world)
    to.mkdir(parents=True, exist_ok=True)
    counts = dict.fromkeys((world.name for world in worlds), 0)
    streams = [_counted(world, counts) for world in worlds]
    size, rows = 0, 0
    try:
        with events.open("xb") as file, truth.open("xb") as told:
            held, length = [], 0
            for _, _, line in heapq.merge(*streams):
                held.append(line)
                length += len(line)
                if length >= _HELD:
                    size += file.write("".join(held).encode())
                    rows += len(held)
                    held, length = [], 0
                    _tell(worlds, told.write)
            size += file.write("".join(held).encode())
            rows += len(held)
            _tell(worlds, told.write)
    except FileExistsError as error:
        msg = f"{error.filename} is there already; name another folder, or remove it"
        raise InputError(msg) from error
    accounts = {world.name: world.accounts for world in worlds}
    return Simulated(events, truth, rows, size, accounts, counts)


def chatting(given: Parameters, scale: float) -> int:
    """Return how many accounts only chat: so many that abusive ones have their share of all."""
    shared = ground(given, seed=0, scale=scale, days=0.01, texts=False)
    abusive, honest = 0, 0
    for name in CAMPAIGNS:
        abusive += _expected(World(name, given, shared))
    for name in HONEST:
        honest += _expected(World(name, given, shared))
    share = given["world"].share("abusive_in")
    return max(1, round(abusive * (1 - share) / share) - honest)


def _expected(world: World) -> int:
    """Return how many accounts a kind has over the whole of its days."""
    part, scale = world.section, world.ground.scale
    if "one_account" in part.values:
        alone = part.share("one_account")
        each = alone + (1 - alone) * part.number("keys")
        return round(part.count("organisations", scale) * each)
    for groups_of, members in (
        ("classes", "students"),
        ("tools", "strangers"),
        ("households", "members"),
        ("companies", "employees"),
        ("operators", "keys"),
    ):
        if groups_of in part.values and members in part.values:
            return part.count(groups_of, scale) * part.whole(members)
    if "streams" in part.values:
        each = 1 + part.number("days") / part.number("banned_after_days")
        return round(part.count("streams", scale) * each)
    return campaigns.accounts_of(world)


def _counted(world: World, counts: dict[str, int]) -> Iterator[tuple[int, str, str]]:
    """Yield a world's rows, and count them."""
    for row in world.run():
        counts[world.name] += 1
        yield row


def _tell(worlds: list[World], write: Callable[[bytes], int]) -> None:
    """Write the truth of accounts that came since it was last written."""
    for world in worlds:
        if world.truths:
            write("".join(world.truths).encode())
            world.truths.clear()


def _checked(scale: float, kinds: Sequence[str] | None, days: float | None) -> frozenset[str]:
    """Return the kinds that are asked for."""
    if not _SMALLEST <= scale <= _LARGEST:
        msg = f"scale is {scale!r}; a number from {_SMALLEST:g} to {_LARGEST:g}"
        raise InputError(msg)
    if days is not None and not 0 < days <= _LONGEST:
        msg = f"days is {days!r}; a number above 0, up to {_LONGEST:g}"
        raise InputError(msg)
    unknown = sorted(set(kinds or ()) - set(KINDS))
    if unknown:
        msg = f"no kind is called {', '.join(unknown)}; there are {', '.join(KINDS)}"
        raise InputError(msg)
    return frozenset(kinds or KINDS)
