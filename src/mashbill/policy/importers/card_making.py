"""How an artifact came about, as ``bill.json`` tells it, into claims of one step each.

Every thing of the graph that was made becomes an entity of its own, named behind the card's id: a
step on the way, which no one else can have. So shares are what they were in the store, parts of
rows that were made alike, and what several sources had a part in is counted once. What is of
unknown origin there is of unknown origin here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mashbill.core.evaluation import is_number
from mashbill.core.source import Source
from mashbill.policy.claims import ENTIRE
from mashbill.policy.importers.card_sources import route_of, source_id
from mashbill.policy.licence_cells import licence_of
from mashbill.policy.relations import RELATIONS, relation_of

if TYPE_CHECKING:
    from mashbill.policy.importers.imported import Gathering

MOST = 20_000
"""things of a graph that are read"""
MOST_PARTS = 200_000
WORDS = "who wrote the words of its prompts, not recorded"
"""name of what teachers were asked in, where the bill says that nobody declared who wrote it"""
_NOTE = "from the making in bill.json"
_KINDS = {"made": "dataset", "dataset": "dataset", "model": "model"}


@dataclass(frozen=True)
class _Thing:
    """One thing of a graph, read."""

    what: str
    """model or dataset, as an entity has it"""
    name: str
    leaf: Source | None
    """of a source"""
    parts: tuple[tuple[str, int, float | None], ...]
    """(channel and purpose, place of the part, tokens)"""
    words_unknown: bool = False
    """whether nobody said who wrote what a teacher was asked in for it"""

    @property
    def is_known(self) -> bool:
        """Whether it is a source that somebody can have: a model or a dataset."""
        leaf = self.leaf
        return leaf is not None and leaf.what in ("model", "dataset") and not leaf.contradicted


@dataclass
class _Named:
    """The id of each thing, none of them another's, whatever the case of its letters."""

    child: str
    ids: list[str] = field(default_factory=list)
    taken: dict[str, object] = field(default_factory=dict)

    def add(self, thing: _Thing) -> None:
        """Name the next thing."""
        leaf = thing.leaf
        if thing.is_known and leaf is not None:
            same: object = (leaf.what, leaf.kind, leaf.provider, leaf.country, leaf.license)
            wished = source_id(leaf)
        else:
            same = len(self.ids)
            wished = f"{self.child}: {thing.name or f'rows {len(self.ids) + 1}'}"
        name, number = wished, 1
        while self.taken.setdefault(name.lower(), same) != same:
            number += 1
            name = f"{wished} ({number})"
        self.ids.append(name)


def read_making(
    gathered: Gathering,
    where: str,
    told: Any,
    child: tuple[str, str],
    source: str,
) -> set[tuple[str, str]] | str:
    """Add the entities and claims of a graph.

    Args:
        gathered: what to add to; nothing is added of a graph that cannot be read.
        where: file and key, for what is left out.
        told: the value of ``making``.
        child: id of the card's entity, and whether it is a model or a dataset.
        source: where the claims stand.

    Returns:
        parent in small letters, and role, of what the card itself need not claim again; or why the
        graph cannot be read.
    """
    things = _read(told, child[1])
    if isinstance(things, str):
        return things
    named = _Named(child[0], taken={child[0].lower(): "the card's own"})
    for thing in things[:-1]:
        named.add(thing)
    named.ids.append(child[0])
    for thing, name in zip(things[:-1], named.ids, strict=False):
        _entity(gathered, where, thing, name, source)
    words = f"{child[0]}: {WORDS}"
    if any(thing.words_unknown for thing in things):
        gathered.add_entity(where, id=words, what="dataset", is_step=True, source=source)
    known: set[tuple[str, str]] = set()
    for place, thing in enumerate(things):
        weighed: dict[tuple[int, str], list[float | None]] = {}
        for how, part, tokens in thing.parts:
            relation = _relation(how, things[part], thing)
            weighed.setdefault((part, relation), []).append(tokens)
        for (part, relation), each in _by_parent(weighed, named.ids).items():
            for tokens in each:
                _claim(gathered, where, named.ids[place], things[part], named.ids[part], relation,
                       tokens, source)  # fmt: skip
        if thing.words_unknown:
            gathered.add_claim(
                where, child=named.ids[place], parent=words, relation="prompt-source", of=ENTIRE,
                source=source, note=_NOTE,
            )  # fmt: skip
        if thing.is_known:
            roles = {role for _, _, role in RELATIONS.values()}
            known |= {(named.ids[place].lower(), role) for role in roles}
    return known


def _by_parent(
    weighed: dict[tuple[int, str], list[float | None]], ids: list[str]
) -> dict[tuple[int, str], list[float | None]]:
    """Return the tokens of each parent and relation, added up; unknown ones stand by themselves.

    Two sources may have one id: versions of one thing.
    """
    together: dict[tuple[str, str], tuple[int, list[float | None]]] = {}
    for (part, relation), tokens in weighed.items():
        key = (ids[part].lower(), relation)
        place, found = together.setdefault(key, (part, []))
        together[key] = (place, found + tokens)
    added: dict[tuple[int, str], list[float | None]] = {}
    for (_, relation), (part, tokens) in together.items():
        figures = [one for one in tokens if one is not None]
        unknown: list[float | None] = [None] if len(figures) < len(tokens) else []
        added[part, relation] = [*([float(sum(figures))] if figures else []), *unknown]
    return added


def _relation(how: str, part: _Thing, thing: _Thing) -> str:
    is_data = part.what == "dataset" or not (part.is_known or part.parts)
    return relation_of(how, is_data=is_data, to_model=thing.what == "model")


def _claim(
    gathered: Gathering,
    where: str,
    child: str,
    part: _Thing,
    parent: str,
    relation: str,
    tokens: float | None,
    source: str,
) -> None:
    route = route_of(part.leaf.route) if part.is_known and part.leaf is not None else "unknown"
    gathered.add_claim(
        where, child=child, parent=parent, relation=relation, route=route, tokens=tokens,
        of=ENTIRE, source=source, note=_NOTE,
    )  # fmt: skip


def _entity(gathered: Gathering, where: str, thing: _Thing, name: str, source: str) -> None:
    leaf = thing.leaf
    if leaf is not None and thing.is_known:
        facts = leaf.model_dump(include={"what", "provider", "country", "kind"})
        licence = licence_of(leaf.license)
        gathered.add_entity(where, id=name, source=source, license=licence, **facts)
        return
    is_program = leaf is not None and leaf.what == "program"
    # What is of unknown origin may be a model, so reaching it is a hop.
    what = thing.what if thing.parts else "dataset" if is_program else "model"
    kind = "program" if is_program else "unknown"
    gathered.add_entity(where, id=name, what=what, kind=kind, is_step=True, source=source)


def _read(told: Any, what: str) -> list[_Thing] | str:
    """Return the things of a graph, or why it is none."""
    if not isinstance(told, list) or not told:
        return "it holds no making"
    if len(told) > MOST:
        return f"its making has {len(told):,} things, and {MOST:,} are read at most"
    things: list[_Thing] = []
    parts = 0
    for place, one in enumerate(told):
        try:
            things.append(_thing(one, place))
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            return f"making[{place}] is no thing of a bill: {str(error).splitlines()[0]:.200}"
        parts += len(things[-1].parts)
        if parts > MOST_PARTS:
            return f"its making has more than {MOST_PARTS:,} parts, which is more than are read"
    last = things[-1]
    if last.leaf is not None or last.what != what or not last.parts:
        return f"its making is that of a {last.what}, and the card is of a {what}"
    return things


def _thing(one: Any, place: int) -> _Thing:
    kind = one["is"]
    if kind == "source":
        leaf = Source.model_validate(one["source"])
        is_model = leaf.what == "model"
        return _Thing("model" if is_model else "dataset", leaf.title, leaf, ())
    parts = []
    for how, part, tokens in one["parts"]:
        if not isinstance(part, int) or isinstance(part, bool) or not 0 <= part < place:
            msg = f"a part stands at {part!r:.40}, which is no place before it"
            raise ValueError(msg)
        if tokens is not None and not (is_number(tokens) and tokens >= 0):
            msg = f"a part has {tokens!r:.40} tokens"
            raise ValueError(msg)
        relation_of(str(how), is_data=True, to_model=True)  # a channel that is none is told here
        parts.append((str(how), part, None if tokens is None else float(tokens)))
    words_unknown = bool(one.get("words")) and bool(parts)
    return _Thing(_KINDS[kind], str(one["name"])[:200], None, tuple(parts), words_unknown)
