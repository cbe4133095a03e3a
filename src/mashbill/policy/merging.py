"""The catalogue as numbers: files put together by the rules of ``load_catalogue``, by column.

The rules are those of :func:`mashbill.policy.claims.load_catalogue`, which reads row by row; a law
holds the two to the same catalogue. Here every step is over whole columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.policy.claims import Claim, Entity
from mashbill.policy.columns import TEXT, schema_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = 1 << 62  # of a key that stands for several columns


@dataclass(frozen=True)
class Merged:
    """A catalogue of n entities and m claims."""

    entities: pa.Table
    """one column of TEXT a field, in the order of ``Catalogue.entities``"""
    claims: pa.Table
    """one column of TEXT a field but for ``child`` and ``parent``, in the order of claims"""
    child: np.ndarray
    """int32, shape (m,): row of the entity"""
    parent: np.ndarray
    """int32, shape (m,)"""
    keys: pa.StringArray
    """lower-case ids and aliases, sorted"""
    named: np.ndarray
    """int32, shape (keys,): row of the entity that each means"""


def merge(entities: Sequence[pa.Table], claims: Sequence[pa.Table]) -> Merged:
    """Put tables of files together, in the order in which files are read.

    Args:
        entities: of :func:`mashbill.policy.columns.read_columns`, one a file.
        claims: the same.
    """
    known = _described(together(entities, Entity))
    keys, named = _names(known)
    stated = together(claims, Claim)
    child, parent, texts = _ends(stated)
    lower = lowered(texts)
    found = pc.fill_null(pc.index_in(lower, keys), -1)
    place = np.asarray(found)
    entity = np.where(place >= 0, named[np.maximum(place, 0)] if len(named) else 0, -1)
    relation = stated.column("relation").chunk(0)
    new, what = _new(entity, child, parent, relation)
    entity = entity.astype(np.int32)
    entity[new] = np.arange(known.num_rows, known.num_rows + len(new), dtype=np.int32)
    bare = _bare(texts.take(pa.array(new)), what)
    if len(new):
        known = one(pa.concat_tables([known, bare]))
        more = lower.take(pa.array(new))
        first = np.sort(np.unique(_codes(more), return_index=True)[1])
        keys = pa.concat_arrays([keys, more.take(pa.array(first))])
        named = np.concatenate([named, entity[new[first]]])
    order = pc.sort_indices(keys)
    child, parent = entity[child], entity[parent]
    kept = distinct([child, parent, *_numbers(stated)])
    return Merged(
        entities=known,
        claims=stated.drop_columns(["child", "parent"]).take(pa.array(kept)).combine_chunks(),
        child=child[kept],
        parent=parent[kept],
        keys=keys.take(order),
        named=named[np.asarray(order)],
    )


def lowered(texts: pa.StringArray) -> pa.StringArray:
    """Return texts in lower case as Python has it."""
    lower = pc.ascii_lower(texts)
    other = np.flatnonzero(~np.asarray(pc.string_is_ascii(texts)))
    if not len(other):
        return lower
    mask = np.zeros(len(texts), bool)
    mask[other] = True
    values = [text.lower() for text in texts.take(pa.array(other)).to_pylist()]
    return pc.replace_with_mask(lower, pa.array(mask), pa.array(values, pa.string()))


def one(table: pa.Table) -> pa.Table:
    """Return a table whose columns are one piece each, with each text of a column once."""
    if all(column.num_chunks == 1 for column in table.columns):
        return table  # each piece has its texts once
    return table.unify_dictionaries().combine_chunks()


def together(tables: Sequence[pa.Table], model: type[Entity | Claim]) -> pa.Table:
    """Return tables behind one another as one, as :func:`one` has it."""
    filled = [table for table in tables if table.num_rows]
    if not filled:
        empty = [
            pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), pa.array([], pa.string()))
        ]
        schema = schema_of(model)
        return pa.table({name: pa.chunked_array(empty, TEXT) for name in schema.names}, schema)
    return one(pa.concat_tables(filled))


def respelt(column: pa.DictionaryArray, texts: pa.StringArray) -> pa.DictionaryArray:
    """Return a column with other texts for its own, shape (its texts,), each of them once."""
    own = texts.dictionary_encode()
    if len(own.dictionary) == len(texts):
        return pa.DictionaryArray.from_arrays(column.indices, texts)
    code = np.from_dlpack(own.indices)[np.from_dlpack(column.indices)]
    return pa.DictionaryArray.from_arrays(pa.array(code), own.dictionary)


def _codes(texts: pa.StringArray) -> np.ndarray:
    found: np.ndarray = np.from_dlpack(texts.dictionary_encode().indices)
    return found


def _numbers(table: pa.Table) -> list[np.ndarray]:
    """Return the numbers of all columns but for the ends of claims."""
    return [
        np.from_dlpack(table.column(name).chunk(0).indices)
        for name in table.column_names
        if name not in ("child", "parent") and len(table.column(name).chunk(0).dictionary) > 1
    ]


def said(column: pa.DictionaryArray) -> np.ndarray:
    """Return which cells of a column are not blank, bool, shape (rows,)."""
    at = pc.index(column.dictionary, pa.scalar("", pa.string())).as_py()
    found: np.ndarray = np.from_dlpack(column.indices) != at
    return found


def _described(rows: pa.Table) -> pa.Table:
    """Keep one description of each entity: the first that says more than a name, else the last."""
    if not rows.num_rows:
        return rows
    says_more = np.zeros(rows.num_rows, bool)
    for name in rows.column_names:
        if name not in ("id", "what"):
            says_more |= said(rows.column(name).chunk(0))
    code = np.from_dlpack(rows.column("id").chunk(0).indices)
    place = np.arange(rows.num_rows)
    # Of those that say more the first is best, of the others the last; any of the former is better.
    rank = np.where(says_more, place, 2 * rows.num_rows - place)
    best = np.lexsort((rank, code))
    best = best[np.flatnonzero(np.diff(code[best], prepend=-1))]
    _, first = np.unique(code, return_index=True)  # where each stands for the first time
    chosen = best[np.argsort(first, kind="stable")]
    if len(chosen) == rows.num_rows:
        return rows
    return rows.take(pa.array(chosen)).combine_chunks()


def _names(entities: pa.Table) -> tuple[pa.StringArray, np.ndarray]:
    """Return each lower-case id or alias once, with the first entity that has it."""
    if not entities.num_rows:
        return pa.array([], pa.string()), np.empty(0, np.int32)
    ids = entities.column("id").chunk(0).dictionary_decode()
    with_more = np.flatnonzero(said(entities.column("aliases").chunk(0)))
    cells = entities.column("aliases").chunk(0).take(pa.array(with_more)).dictionary_decode()
    parts = pc.split_pattern(cells, ";")
    sizes = np.asarray(pc.list_value_length(parts)) if len(parts) else np.empty(0, np.int64)
    owner = np.concatenate([np.arange(len(ids)), np.repeat(with_more, sizes)])
    texts = lowered(pa.concat_arrays([ids, pc.list_flatten(parts).cast(pa.string())]))
    # An id stands before the aliases of the same entity, and behind those of earlier ones.
    order = np.argsort(owner, kind="stable")
    encoded = texts.take(pa.array(order)).dictionary_encode()
    _, first = np.unique(np.from_dlpack(encoded.indices), return_index=True)
    return encoded.dictionary, owner[order][first].astype(np.int32)


def _ends(claims: pa.Table) -> tuple[np.ndarray, np.ndarray, pa.StringArray]:
    """Return child and parent of each claim as places among all their texts, and these texts."""
    ends = [claims.column(name).chunk(0) for name in ("child", "parent")]
    both = (
        pa.chunked_array([end.cast(TEXT) for end in ends], TEXT)
        .unify_dictionaries()
        .combine_chunks()
    )
    both = both.chunk(0) if isinstance(both, pa.ChunkedArray) else both
    codes = np.from_dlpack(both.indices)
    return codes[: len(ends[0])], codes[len(ends[0]) :], both.dictionary


def _new(
    entity: np.ndarray, child: np.ndarray, parent: np.ndarray, relation: pa.DictionaryArray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the texts that only claims name, in their order, and which of them are data."""
    unknown = entity < 0
    if not unknown.any():
        return np.empty(0, np.int64), np.empty(0, bool)
    sequence = np.stack([child, parent], axis=1).ravel()
    at = np.flatnonzero(unknown[sequence])
    new, first = np.unique(sequence[at], return_index=True)
    order = np.argsort(first, kind="stable")
    new, at = new[order], at[first[order]]
    words = np.array(relation.dictionary.to_pylist(), object)[
        np.from_dlpack(relation.indices)[at // 2]
    ]
    return new, (words == "composed-from") | ((words == "trained-on") & (at % 2 == 1))


def _bare(ids: pa.StringArray, is_data: np.ndarray) -> pa.Table:
    """Return rows of entities that are known by their names alone."""
    what = pa.array(np.where(is_data, "dataset", "model"), pa.string())
    blank = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(ids), np.int32)), pa.array([""]))
    told = {"id": ids.dictionary_encode(), "what": what.dictionary_encode()}
    schema = schema_of(Entity)
    return pa.table({name: told.get(name, blank) for name in schema.names}, schema=schema)


def distinct(columns: list[np.ndarray]) -> np.ndarray:
    """Return the first of the rows that are equal in all columns, in order; exact, no hashes."""
    rows = len(columns[0])
    if not rows:
        return np.empty(0, np.int64)
    key, most = np.zeros(rows, np.int64), 1
    for column in columns:
        values = int(column.max()) + 1
        if most * values >= _MOST:
            distinct, key = np.unique(key, return_inverse=True)
            most = len(distinct)
            if most == rows:
                return np.arange(rows)
        key, most = key * values + column, most * values
    _, first = np.unique(key, return_index=True)
    return np.sort(first)
