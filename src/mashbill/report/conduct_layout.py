"""Who acts as one with whom, laid out: accounts in groups, and what holds groups together.

Accounts that share a value hang on one *hub* and not on each other, so that 500 accounts with one
prompt family are 500 lines and not 124,750. The reason that divides the accounts into the most
readable groups makes *discs*, in which accounts are dots; values of other reasons are labels
between the discs. Hubs are placed by forces (Fruchterman and Reingold, Software: Practice and
Experience 1991) from a fixed beginning, and then moved apart until none overlaps, so that one case
has one drawing.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mashbill.report.templating import drawn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.conduct.evidence.case import Case, Link

ORDER = ("payment", "address", "signup", "network", "agent", "template")
"""reasons, in the order in which groups are made where nothing else decides"""
DIRECTED = ("handover", "succession", "replay")
_SHORT = {
    "payment": "one payment", "address": "one address", "signup": "one sign-up burst",
    "network": "one network", "agent": "one client", "template": "one prompt family",
}  # fmt: skip
DISCS, LABELS = 80, 30
"""drawn at most; what is more is put together, or told"""
FEW = 12
"""accounts that are drawn one by one, by name"""
_GROUPS = 40  # that a reason may divide accounts into and be well read
_SPACE = 12.5
LETTER = 6.4
"""width of a letter of a label"""
_ALL = 0.9  # of the accounts: what so many share is said once, and not drawn as lines to all


@dataclass(frozen=True)
class Hub:
    """Accounts that share one value."""

    why: str
    members: tuple[str, ...]
    strength: float


@dataclass
class Disc:
    """Accounts that are drawn together: those of a hub, or one alone."""

    why: str
    label: str
    accounts: list[str]
    x: float = 0.0
    y: float = 0.0

    @property
    def radius(self) -> float:
        """Return how large the disc is."""
        return 9.0 + _SPACE * math.sqrt(len(self.accounts)) * 0.62


@dataclass
class Tag:
    """A value that accounts of several discs share, or some of one."""

    hub: Hub
    joins: dict[int, int]
    """place of a disc -> how many of its accounts"""
    label: str
    x: float = 0.0
    y: float = 0.0


@dataclass
class Layout:
    """What is drawn, and where."""

    discs: list[Disc]
    tags: list[Tag]
    arrows: list[Link]
    hidden: int
    """shared values that are not drawn"""
    common: list[Hub]
    """those that as good as all accounts share"""
    spots: dict[str, tuple[float, float]] = field(default_factory=dict)
    """where each account's dot is"""


def hubs(links: Sequence[Link]) -> list[Hub]:
    """Return what accounts share, larger ones first: a hub a value, or a component without one."""
    pairs: dict[tuple[str, str | None], list[Link]] = {}
    for link in links:
        if link.why not in DIRECTED:
            pairs.setdefault((link.why, link.value), []).append(link)
    found = []
    for (why, value), own in pairs.items():
        for group in [own] if value else components(own):
            members = {end for link in group for end in (link.a, link.b)}
            strength = max(link.strength for link in group)
            found.append(Hub(why, tuple(sorted(members)), strength))
    return sorted(found, key=lambda hub: (-len(hub.members), ORDER.index(hub.why), hub.members))


def components(links: Sequence[Link]) -> list[list[Link]]:
    """Return links that hang together, by the first of each."""
    leader: dict[str, str] = {}

    def lead(name: str) -> str:
        while leader.setdefault(name, name) != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for link in links:
        leader[lead(link.b)] = lead(link.a)
    groups: dict[str, list[Link]] = {}
    for link in links:
        groups.setdefault(lead(link.a), []).append(link)
    return [*groups.values()]


def lay_out(case: Case) -> Layout:
    """Return what is drawn of a case's graph, and where."""
    accounts = [node.account for node in case.graph.nodes]
    every = hubs(case.graph.links)
    home = _homes(accounts, every) if len(accounts) > FEW else {}
    inside: dict[int, list[str]] = {}
    for name, at in home.items():
        inside.setdefault(at, []).append(name)
    discs: list[Disc] = []
    place: dict[str, int] = {}
    for at, mine in sorted(inside.items()):
        why = every[at].why
        place |= dict.fromkeys(mine, len(discs))
        discs.append(Disc(why, f"{_SHORT[why]} · {len(mine):,}", mine))
    directed = [link for link in case.graph.links if link.why in DIRECTED]
    ends = {end for link in directed for end in (link.a, link.b)}
    alone = [name for name in accounts if name not in home]
    for name in alone:
        if name in ends or len(accounts) <= FEW:
            place[name] = len(discs)
            discs.append(Disc("", drawn(case.name_of(name), 22), [name]))
    rest = [name for name in alone if name not in place]
    if rest:
        place |= dict.fromkeys(rest, len(discs))
        discs.append(Disc("", "alone" if len(rest) == 1 else f"no link · {len(rest):,}", rest))
    discs, place = _at_most(discs, place)
    tags, common = [], []
    for at, hub in enumerate(every):
        where = Counter(place[name] for name in hub.members)
        only = next(iter(where))
        if len(where) == 1 and (at in inside or len(discs[only].accounts) == len(hub.members)):
            continue  # the disc says so itself
        if inside and len(discs) > 2 and len(hub.members) >= _ALL * len(accounts):
            common.append(hub)
            continue
        tags.append(Tag(hub, dict(where), f"{_SHORT[hub.why]} · {len(hub.members):,}"))
    _name_what_all_share(discs, every)
    layout = Layout(discs, tags[:LABELS], directed, max(0, len(tags) - LABELS), common)
    _place(layout, place)
    for disc in discs:
        layout.spots |= _spots(disc)
    return layout


def _homes(accounts: Sequence[str], every: Sequence[Hub]) -> dict[str, int]:
    """Return in the disc of which hub each account stands, by its place in ``every``.

    A reason is the better the more accounts it covers, and the nearer it divides them into a few
    groups: one group tells least, and many small ones are not read.
    """
    by_why: dict[str, list[int]] = {}
    for at, hub in enumerate(every):
        by_why.setdefault(hub.why, []).append(at)

    def worth(why: str) -> float:
        groups = by_why[why]
        covered = len({name for at in groups for name in every[at].members})
        many = 0.5 if len(groups) == 1 else min(1.0, _GROUPS / len(groups))
        return covered * many

    home: dict[str, int] = {}
    for why in sorted(by_why, key=lambda why: (-worth(why), ORDER.index(why))):
        for at in by_why[why]:
            for name in every[at].members:
                home.setdefault(name, at)
    return {name: home[name] for name in accounts if name in home}


def _at_most(discs: list[Disc], place: dict[str, int]) -> tuple[list[Disc], dict[str, int]]:
    """Return at most :data:`DISCS` discs, the smallest of more put into one."""
    if len(discs) <= DISCS:
        return discs, place
    largest = sorted(range(len(discs)), key=lambda at: (-len(discs[at].accounts), at))[: DISCS - 1]
    kept = [discs[at] for at in sorted(largest)]
    others = [
        name for at, disc in enumerate(discs) if at not in set(largest) for name in disc.accounts
    ]
    kept.append(Disc("", f"{len(discs) - len(kept):,} small groups · {len(others):,}", others))
    return kept, {name: at for at, disc in enumerate(kept) for name in disc.accounts}


def _name_what_all_share(discs: Sequence[Disc], every: Sequence[Hub]) -> None:
    """Add to a disc's label what else exactly its accounts share."""
    whole: dict[tuple[str, ...], list[str]] = {}
    for hub in every:
        whole.setdefault(hub.members, []).append(hub.why)
    for disc in discs:
        also = [why for why in whole.get(tuple(sorted(disc.accounts)), []) if why != disc.why]
        if disc.why and also:
            names = [_SHORT[why] for why in dict.fromkeys([disc.why, *also])]
            disc.label = f"{', '.join(names)} · {len(disc.accounts):,}"


def _place(layout: Layout, place: Mapping[str, int]) -> None:
    """Give every disc and tag its place, from the top left corner on."""
    discs, tags = layout.discs, layout.tags
    first = len(discs)
    sizes = [(max(disc.radius, len(disc.label) * LETTER / 2), disc.radius + 17) for disc in discs]
    sizes += [(len(tag.label) * LETTER / 2 + 12, 17.0) for tag in tags]
    pulls: Counter[tuple[int, int]] = Counter()
    for number, tag in enumerate(tags):
        for disc, count in tag.joins.items():
            pulls[disc, first + number] += count
    for link in layout.arrows:
        one, two = sorted((place[link.a], place[link.b]))
        if one != two:
            pulls[one, two] += 1
    half = np.array(sizes, float).reshape(-1, 2) + 7.0
    at = _apart(_forces(half, pulls), half)
    at -= (at - half).min(axis=0) if len(at) else 0.0
    things: list[Disc | Tag] = [*discs, *tags]
    for thing, (x, y) in zip(things, at.tolist(), strict=True):
        thing.x, thing.y = round(x, 1), round(y, 1)


def _forces(half: np.ndarray, pulls: Mapping[tuple[int, int], int]) -> np.ndarray:
    """Return places by forces; ``half`` is half of each thing's width and height, shape (n, 2)."""
    n = len(half)
    turn = np.arange(n) * math.pi * (3 - math.sqrt(5))
    size = 30.0 + float(np.sqrt((half[:, 0] * half[:, 1]).sum())) if n else 0.0
    at = (
        np.stack([np.cos(turn) * 1.5, np.sin(turn)], axis=1)
        * (size * np.sqrt((np.arange(n) + 0.5) / max(n, 1)))[:, None]
    )
    if n < 2:
        return at
    wanted = (half.max(axis=1)[:, None] + half.max(axis=1)[None, :]) * 0.9 + (
        20.0 if n > FEW else 70.0
    )
    ends = np.array(sorted(pulls), int).reshape(-1, 2)
    for round_ in range(240):
        away = at[:, None] - at[None]
        far = np.sqrt((away**2).sum(axis=2)) + np.eye(n) + 1e-9
        # Things that nothing joins do not drive each other out of sight.
        near = (far < 2.0 * wanted) & ~np.eye(n, dtype=bool)
        push = (away * np.where(near, (wanted / far) ** 2, 0.0)[:, :, None]).sum(axis=1)
        if len(ends):
            one, two = ends[:, 0], ends[:, 1]
            pull = away[one, two] * (far[one, two] / wanted[one, two])[:, None]
            np.add.at(push, one, -pull)
            np.add.at(push, two, pull)
        push -= at * [0.9, 1.6]  # towards the middle, and wider than high, as a page is
        length = np.sqrt((push**2).sum(axis=1)) + 1e-9
        heat = size * 0.12 * (1 - round_ / 240) + 0.5
        at = at + push / length[:, None] * np.minimum(length, heat)[:, None]
    return at


def _apart(at: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return places moved apart until no two boxes overlap, or for so many rounds."""
    at = at.copy()
    n = len(at)
    for _ in range(400):
        gap = at[:, None] - at[None]
        over = half[:, None] + half[None] - np.abs(gap)
        hit = (over > 0.01).all(axis=2) & ~np.eye(n, dtype=bool)
        if not hit.any():
            break
        side = np.where(
            gap != 0, np.sign(gap), np.sign(np.arange(n)[:, None] - np.arange(n)[None])[:, :, None]
        )
        flat = over[:, :, 0] < over[:, :, 1]  # along the axis on which less is in the way
        move = np.stack(
            [np.where(flat, over[:, :, 0], 0), np.where(flat, 0, over[:, :, 1])], axis=2
        )
        at += (side * move * hit[:, :, None] * 0.3).sum(axis=1)
    return at


def _spots(disc: Disc) -> dict[str, tuple[float, float]]:
    """Return where the dots of a disc are: in a spiral, as seeds of a sunflower."""
    turn = math.pi * (3 - math.sqrt(5))
    return {
        name: (
            round(disc.x + _SPACE * 0.58 * math.sqrt(i) * math.cos(i * turn), 1),
            round(disc.y + _SPACE * 0.58 * math.sqrt(i) * math.sin(i * turn), 1),
        )
        for i, name in enumerate(disc.accounts)
    }
