"""The catalogue by column, so that a question about one model reads what it rests on and no more.

An index is made of the CSV files (:mod:`mashbill.policy.merging`) and holds all that they say, as
Arrow's columns in one file that is mapped into memory, not read. Names are found by bisection;
claims stand in the order of the files, beside two lists that give them by child and by parent.
Rows are read by the validator that reads the files. Arrow is in the base already; rows of SQLite
would have to become arrays for each question about the whole, and DuckDB would be new to every
auditor's machine. Where an index is kept, and why it is believed: :mod:`mashbill.policy.keeping`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.policy.claims import Catalogue, Claim, Entity, not_found, plain_name
from mashbill.policy.columns import rows_of
from mashbill.policy.merging import Merged, lowered
from mashbill.policy.near_names import closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mashbill.policy.sealed import Sealed

_TOO_MANY = 2_001  # names that hold a text: one more than tell anything
_AT_ONCE = 10_000  # rows that are made into objects together


@dataclass(frozen=True)
class Index:
    """A catalogue of n entities and m claims, by column."""

    merged: Merged
    child_start: np.ndarray
    """int64, shape (n + 1,): claims about entity i are ``by_child[child_start[i]:...]``"""
    by_child: np.ndarray
    """int32, shape (m,): claims, those about one entity side by side and in order"""
    parent_start: np.ndarray
    """int64, shape (n + 1,)"""
    by_parent: np.ndarray
    """int32, shape (m,)"""
    kept: str = ""
    """why it could not be kept for the next time; empty if it is, or need not be"""
    place: Sealed | None = field(default=None, repr=False)
    """where it is kept; None if it is not"""
    sha256: str = ""
    """digest of the file in which it is kept, or the first digits of it"""
    _row: dict[str, int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, merged: Merged) -> Index:
        """Return the index of a catalogue."""
        size = merged.entities.num_rows
        return cls(
            merged,
            *_grouped(merged.child, size),
            *_grouped(merged.parent, size),
        )

    @property
    def size(self) -> int:
        """Entities."""
        return int(self.merged.entities.num_rows)

    @cached_property
    def ids(self) -> pa.StringArray:
        """Id of each entity; to be asked for only where all are wanted."""
        return self.merged.entities.column("id").chunk(0).dictionary_decode()

    def ids_of(self, rows: Sequence[int] | np.ndarray) -> pa.StringArray:
        """Return the ids of some entities."""
        column = self.merged.entities.column("id").chunk(0)
        code = np.from_dlpack(column.indices)[np.asarray(rows, np.int64)]
        return column.dictionary.take(places(code))

    def codes(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return a fact of every entity as (code, texts), as it is read: blank has its default."""
        return _decoded(self.merged.entities, name, Entity)

    def claimed(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return a cell of every claim as (code, texts); blank has its default."""
        return _decoded(self.merged.claims, name, Claim)

    # -- names ----------------------------------------------------------------------------------

    def find(self, text: str) -> Entity:
        """Return the entity of an id, alias or bare name, as :meth:`Catalogue.find` does.

        Raises:
            InputError: if there is none, or a bare name fits several; near ones are listed.
        """
        return self.entities([self._found(text)])[0]

    def get(self, text: str) -> Entity | None:
        """Return the same, or None: for many texts, of which most are no names."""
        rows = self._fits(plain_name(text))
        return self.entities(rows)[0] if len(rows) == 1 else None

    def _found(self, text: str) -> int:
        name = plain_name(text)
        fits = self._fits(name)
        if len(fits) == 1:
            return fits[0]
        raise not_found(text, sorted(self._called(fits)) or closest(name, self._ids_with))

    def _fits(self, name: str) -> list[int]:
        """Return the rows that a name may stand for: its own, or those of it behind an owner."""
        row = self._of_key(name)
        if row is not None:
            return [row]
        return [] if "/" in name else self._named(pc.ends_with(self.merged.keys, f"/{name}"))

    def _ids_with(self, part: str) -> list[str]:
        """Return the ids of all names that hold a text; of very many, the first."""
        return self._called(self._named(pc.match_substring(self.merged.keys, part)))

    def _called(self, rows: list[int]) -> list[str]:
        ids = self.ids_of(rows)
        if len(ids) > _TOO_MANY:
            ids = ids.take(pc.sort_indices(ids)[:_TOO_MANY])
        return [str(name) for name in ids.to_pylist()]

    def _of_key(self, name: str) -> int | None:
        keys, low, high = self.merged.keys, 0, len(self.merged.keys)
        while low < high:
            middle = (low + high) // 2
            if keys[middle].as_py() < name:
                low = middle + 1
            else:
                high = middle
        if low < len(keys) and keys[low].as_py() == name:
            return int(self.merged.named[low])
        return None

    def _named(self, mask: pa.BooleanArray) -> list[int]:
        """Return the entities of these keys."""
        rows: list[int] = np.unique(self.merged.named[np.flatnonzero(np.asarray(mask))]).tolist()
        return rows

    def row_of(self, entity: str) -> int | None:
        """Return the row of an id as it is written; None if there is none."""
        if entity not in self._row:
            row = self._of_key(entity.lower())
            if (
                row is None or self.ids_of([row])[0].as_py() != entity
            ):  # two ids differ in case only
                place = pc.index(self.ids, pa.scalar(entity, pa.string())).as_py()
                row = place if place >= 0 else None
            if row is None:
                return None
            self._row[entity] = row
        return self._row[entity]

    # -- rows -----------------------------------------------------------------------------------

    def entities(self, rows: Sequence[int] | np.ndarray) -> list[Entity]:
        """Return entities by their rows."""
        found: list[Entity] = rows_of(self.merged.entities.take(places(rows)), Entity)
        self._row.update((entity.id, int(row)) for entity, row in zip(found, rows, strict=True))
        return found

    def claims(self, rows: Sequence[int] | np.ndarray) -> list[Claim]:
        """Return claims by their rows."""
        table = self.merged.claims.take(places(rows))
        for name, ends in (("parent", self.merged.parent), ("child", self.merged.child)):
            table = table.add_column(0, name, self.ids_of(ends[np.asarray(rows, np.int64)]))
        return [_claim(row) for row in _cells(table)]

    def about(self, entity: str, most: int | None = None) -> tuple[list[Claim], int]:
        """Return claims about what an entity was made from, the first of them, and how many."""
        return self._side(entity, self.child_start, self.by_child, most)

    def uses(self, entity: str, most: int | None = None) -> tuple[list[Claim], int]:
        """Return claims that name an entity as a parent, the first of them, and how many."""
        return self._side(entity, self.parent_start, self.by_parent, most)

    def _side(
        self, entity: str, start: np.ndarray, by: np.ndarray, most: int | None
    ) -> tuple[list[Claim], int]:
        row = self.row_of(entity)
        if row is None:
            return [], 0
        begin, end = int(start[row]), int(start[row + 1])
        last = end if most is None else min(end, begin + most)
        return self.claims(by[begin:last]), end - begin

    def serves_as(self, entity: str) -> frozenset[str]:
        """Return the relations in which an entity is a parent of something."""
        row = self.row_of(entity)
        if row is None:
            return frozenset()
        code, texts = self.claimed("relation")
        mine = self.by_parent[self.parent_start[row] : self.parent_start[row + 1]]
        return frozenset(texts[at] for at in np.unique(code[mine]).tolist())

    def disputes(self) -> dict[str, list[Claim]]:
        """Return claims that contradict each other, by the name of their dispute."""
        found: dict[str, list[Claim]] = {}
        code, texts = self.claimed("dispute")
        blank = texts.index("") if "" in texts else -1
        for claim in self.claims(np.flatnonzero(code != blank)):
            found.setdefault(claim.dispute, []).append(claim)
        return found

    def part(self, entities: Iterable[str]) -> Catalogue:
        """Return the catalogue of some entities, and of all that they rest on."""
        rows = [row for row in map(self.row_of, entities) if row is not None]
        keep = np.zeros(self.size, bool)
        waiting = np.unique(np.array(rows, np.int64))
        keep[waiting] = True
        stated = []
        while len(waiting):
            mine = self.by_child[ragged(self.child_start[waiting], self.child_start[waiting + 1])]
            stated.append(mine)
            below = np.unique(self.merged.parent[mine])
            waiting = below[~keep[below]].astype(np.int64)
            keep[waiting] = True
        claims = np.sort(np.concatenate(stated)) if stated else np.empty(0, np.int64)
        found = {entity.id: entity for entity in self.entities(np.flatnonzero(keep))}
        return Catalogue(found, tuple(self.claims(claims)), Names(self), whole=self)

    def whole(self) -> Catalogue:
        """Return the catalogue as objects: for small ones, and for tests."""
        entities = {entity.id: entity for entity in self.entities(np.arange(self.size))}
        claims = self.claims(np.arange(len(self.merged.child)))
        return Catalogue(entities, tuple(claims), dict(Names(self).items()))

    def listed(self, text: str, most: int | None = None) -> tuple[list[int], int]:
        """Return the entities with a text in id, provider, country or kind, by their ids.

        Steps on the way, which one record tells of and nobody can have, are none of them.

        Args:
            text: any of it, whatever its case.
            most: how many are wanted; all if None.

        Returns:
            Their rows, and how many there are.
        """
        code, texts = self.codes("is_step")
        steps = np.array([text == "true" for text in texts], bool)[code]
        found = np.flatnonzero(self._holding(text.lower()) & ~steps)
        lower = lowered(self.ids_of(found))
        table = pa.table({"name": lower, "row": found})
        keys = [("name", "ascending"), ("row", "ascending")]
        if most is not None and most < len(found):
            order = pc.select_k_unstable(table, most, keys)
        else:
            order = pc.sort_indices(table, keys)
        return found[np.asarray(order)].tolist(), len(found)

    def _holding(self, text: str) -> np.ndarray:
        names = ("provider", "country", "kind")
        facts = {name: self.codes(name) for name in names}
        if " " in text:  # it may run from one fact into the next
            columns = [self.ids]
            columns += [
                pa.array(texts, pa.string()).take(pa.array(code)) for code, texts in facts.values()
            ]
            joined = pc.binary_join_element_wise(*columns, " ")
            return np.asarray(pc.match_substring(lowered(joined), text))
        held = np.asarray(pc.match_substring(lowered(self.ids), text))
        for code, texts in facts.values():
            held = held | np.array([text in value.lower() for value in texts], bool)[code]
        return held

    def batches(self, rows: Sequence[int]) -> Iterator[tuple[Entity, int]]:
        """Yield entities and how many claims there are about each, some thousands at a time."""
        for begin in range(0, len(rows), _AT_ONCE):
            some = np.array(rows[begin : begin + _AT_ONCE], np.int64)
            counts = (self.child_start[some + 1] - self.child_start[some]).tolist()
            yield from zip(self.entities(some), counts, strict=True)


class Names(Mapping[str, str]):
    """Lower-case id or alias -> id, of all that an index has."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def __getitem__(self, name: str) -> str:
        row = self._index._of_key(name)  # noqa: SLF001 - one thing in two classes
        if row is None:
            raise KeyError(name)
        return str(self._index.ids_of([row])[0].as_py())

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.merged.keys.to_pylist())

    def __len__(self) -> int:
        return len(self._index.merged.keys)


def places(numbers: Sequence[int] | np.ndarray) -> pa.Int64Array:
    """Return numbers as Arrow's ``take`` wants them.

    pa.array would load pandas where it is installed: half a second for nothing.
    """
    whole = np.ascontiguousarray(numbers, np.int64)
    return pa.Array.from_buffers(pa.int64(), len(whole), [None, pa.py_buffer(whole)])


def ragged(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the integers of many ranges, one behind the other."""
    sizes = end - begin
    shift = np.repeat(begin - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    places: np.ndarray = np.arange(int(sizes.sum())) + shift
    return places


def _grouped(of: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    start = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=size))]).astype(np.int64)
    return start, np.argsort(of, kind="stable").astype(np.int32)


def _decoded(
    table: pa.Table, name: str, model: type[Entity | Claim]
) -> tuple[np.ndarray, list[str]]:
    column = table.column(name).chunk(0)
    texts = column.dictionary.to_pylist()
    default = model.model_fields[name].default
    if isinstance(default, str) and default and "" in texts:
        texts[texts.index("")] = default
    return np.from_dlpack(column.indices), texts


def _cells(table: pa.Table) -> Iterator[dict[str, Any]]:
    names = table.column_names
    columns = [table.column(name).to_pylist() for name in names]
    for row in zip(*columns, strict=True):
        yield {name: cell for name, cell in zip(names, row, strict=True) if cell != ""}


def _claim(cells: dict[str, Any]) -> Claim:
    """Return a claim; one whose ends became the same by their aliases is as it was read."""
    if cells["child"] != cells["parent"]:
        return Claim.model_validate(cells)
    apart = Claim.model_validate({**cells, "parent": f"{cells['parent']} "})
    return apart.model_copy(update={"parent": cells["parent"]})
