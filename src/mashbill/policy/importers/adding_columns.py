"""Adding CSV to a folder of one's own by column, so that a hundred thousand claims take a second.

It is for files in which nothing is wrong and nothing left out; others are for
:mod:`mashbill.policy.importers.own_csv`, which tells what. What is written, and what counts as
known, is that of :mod:`mashbill.policy.importers.adding`; of claims that become equal once aliases
are replaced, the first is written.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.errors import InputError
from mashbill.core.parsing import read_bytes
from mashbill.core.shown import FORMULA
from mashbill.policy.claim_rows import CSV_BYTES
from mashbill.policy.claims import Claim, Entity
from mashbill.policy.columns import quickly, rows_of
from mashbill.policy.importers.adding import MANY, Added, Conflict, conflicts
from mashbill.policy.importers.imported import files_of
from mashbill.policy.importers.naming_nothing import ODD_OWNERS, no_name
from mashbill.policy.index import places
from mashbill.policy.merging import distinct, lowered, one, respelt, said, together
from mashbill.policy.relations import RELATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mashbill.policy.index import Index

_AT_ONCE = 1 << 18  # rows that are written together
_NUMBERS = ("share", "tokens", "rows", "of_tokens")
_ORDINARY = r"^(?P<owner>[A-Za-z0-9][A-Za-z0-9._-]*)/[A-Za-z0-9][A-Za-z0-9._-]*$"
_NO_REPOSITORY = r"(?i)/(nan|none|null|undefined)$"
_NEEDS_QUOTES = r'[,"\r\n]'


def add_csv(folder: Path, path: Path, known: Index) -> tuple[Added, int] | None:
    """Add the CSV files of a path to a folder, and change no file that is there.

    Args:
        folder: made if it is not there.
        path: a file, or a folder with ``claims*.csv`` and ``entities*.csv``.
        known: the catalogue, of which the folder is a part.

    Returns:
        What was done, and how many cells a spreadsheet may run; None if something in the files
        wants to be told, and nothing is done.

    Raises:
        InputError: if there are no files, or the folder cannot be written to.
    """
    read = _read(path)
    if read is None:
        return None
    entities, claims = read
    new_claims, known_claims = _new_claims(claims, known)
    new_entities = _new_entities(entities, known)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = [
            _write(folder, "entities-csv", new_entities, Entity),
            _write(folder, "claims-csv", new_claims, Claim),
        ]
    except OSError as error:
        msg = f"{folder}: claims cannot be written there: {error}; name a folder of your own"
        raise InputError(msg) from error
    added = Added(
        files=tuple(file for file in files if file is not None),
        new_claims=new_claims.num_rows,
        known_claims=known_claims,
        new_entities=new_entities.num_rows,
        conflicts=_conflicts(new_claims, entities, known),
    )
    return added, sum(map(_formulas, (entities, claims)))


def _read(path: Path) -> tuple[pa.Table, pa.Table] | None:
    """Return entities, each once, and claims; None if anything is to be told of them."""
    entities: list[pa.Table] = []
    claims: list[pa.Table] = []
    for file in files_of(path, "*.csv"):
        model: type[Entity | Claim] = Entity if file.name.startswith("entities") else Claim
        if model is Claim and file != path and not file.name.startswith("claims"):
            return None
        try:
            table = quickly(read_bytes(file, most=CSV_BYTES), model)
        except InputError:
            return None
        if table is None:
            return None
        named = ("id",) if model is Entity else ("child", "parent")
        if any(_names_nothing(table.column(name).combine_chunks().dictionary) for name in named):
            return None
        (entities if model is Entity else claims).append(table)
    described = together(entities, Entity)
    first = _first(described, ["id"])
    if len(first) < described.num_rows:
        if len(_first(described, described.column_names)) > len(first):
            return None  # described in other words
        described = described.take(places(first))
    return described, together(claims, Claim)


def _names_nothing(texts: pa.StringArray) -> bool:
    """Return whether a text names no model and no dataset; owners are looked at once each."""
    plain = np.asarray(pc.match_substring_regex(texts, _ORDINARY))
    plain &= ~np.asarray(pc.match_substring_regex(texts, _NO_REPOSITORY))
    ordinary = texts.take(places(np.flatnonzero(plain)))
    owners = pc.extract_regex(ordinary, _ORDINARY).field("owner").dictionary_encode()
    plainly = pc.replace_substring(pc.ascii_lower(owners.dictionary), "_", "-")
    odd = np.asarray(pc.is_in(plainly, pa.array(sorted(ODD_OWNERS), pa.string())))
    doubted = [*np.flatnonzero(~plain).tolist()]
    if odd.any():
        doubted += np.flatnonzero(plain)[odd[np.from_dlpack(owners.indices)]].tolist()
    return any(no_name(text) for text in texts.take(places(doubted)).to_pylist())


def _codes(table: pa.Table, names: Sequence[str]) -> list[np.ndarray]:
    return [np.from_dlpack(table.column(name).combine_chunks().indices) for name in names]


def _first(table: pa.Table, names: Sequence[str]) -> np.ndarray:
    """Return the first of the rows that are equal in some columns."""
    if not table.num_rows:
        return np.empty(0, np.int64)
    return distinct(_codes(table, names))


def _new_claims(claims: pa.Table, known: Index) -> tuple[pa.Table, int]:
    """Return the claims that the catalogue has not, each once, and how many others there are."""
    written = _to_ten_digits(claims)
    resolved = written
    for name in ("child", "parent"):
        place = resolved.column_names.index(name)
        column = resolved.column(name).combine_chunks()
        told = _resolved(column.dictionary, known)
        resolved = resolved.set_column(place, name, respelt(column, told))
    new = _first(resolved, resolved.column_names)
    # Equal to one that is known are at most those about a child about which something is known.
    stated = _stated(known, resolved)
    child = resolved.column("child").combine_chunks()
    asked = np.asarray(
        pc.is_in(child.dictionary, stated.column("child").combine_chunks().dictionary)
    )
    at = new[asked[np.from_dlpack(child.indices)[new]]] if len(asked) else new[:0]
    both = one(pa.concat_tables([stated, resolved.take(places(at))]))
    kept = _first(both, both.column_names)
    unknown = at[kept[kept >= stated.num_rows] - stated.num_rows]
    new = np.setdiff1d(new, np.setdiff1d(at, unknown))
    return written.take(places(new)), claims.num_rows - len(new)


def _stated(known: Index, like: pa.Table) -> pa.Table:
    """Return the claims of the catalogue, spelt as those to be added are."""
    merged = known.merged
    stated = merged.claims
    own = known.ids_of(np.arange(known.size))
    means = merged.named[np.asarray(pc.index_in(lowered(own), merged.keys))]
    for name, ends in (("child", merged.child), ("parent", merged.parent)):
        stated = stated.append_column(name, known.ids_of(means[ends]).dictionary_encode())
    return _to_ten_digits(stated).select(like.column_names).cast(like.schema)


def _to_ten_digits(claims: pa.Table) -> pa.Table:
    """Return claims with numbers as files have them."""
    for name in _NUMBERS:
        column = claims.column(name).combine_chunks()
        texts = [text and f"{float(text):.10g}" for text in column.dictionary.to_pylist()]
        place = claims.column_names.index(name)
        told = respelt(column, pa.array(texts, pa.string()))
        claims = claims.set_column(place, name, told)
    return claims


def _resolved(texts: pa.StringArray, known: Index) -> pa.StringArray:
    """Return texts with aliases replaced by the ids that they stand for."""
    place = np.asarray(pc.fill_null(pc.index_in(lowered(texts), known.merged.keys), -1))
    at = np.flatnonzero(place >= 0)
    if not len(at):
        return texts
    mask = np.zeros(len(texts), bool)
    mask[at] = True
    return pc.replace_with_mask(texts, pa.array(mask), known.ids_of(known.merged.named[place[at]]))


def _new_entities(entities: pa.Table, known: Index) -> pa.Table:
    """Return the entities of which the catalogue has less: nothing, or their names alone."""
    if not entities.num_rows:
        return entities
    ids = entities.column("id").combine_chunks().dictionary_decode()
    place = np.asarray(pc.fill_null(pc.index_in(lowered(ids), known.merged.keys), -1))
    row = np.where(place >= 0, known.merged.named[np.maximum(place, 0)], 0) if known.size else place
    if known.size:  # one that is described under this very spelling is that one
        own = np.asarray(pc.fill_null(pc.index_in(ids, known.ids), -1))
        row = np.where(own >= 0, own, row)
    bare = ~_says_more(known.merged.entities)
    is_bare = bare[row] if known.size else np.ones(len(place), bool)
    adds = (place < 0) | (is_bare & _says_more(entities))
    return entities.take(places(np.flatnonzero(adds)))


def _says_more(entities: pa.Table) -> np.ndarray:
    """Return which entities say more than a name and what it is, bool, shape (rows,)."""
    found = np.zeros(entities.num_rows, bool)
    for name in entities.column_names:
        if name not in ("id", "what") and entities.num_rows:
            found |= said(entities.column(name).combine_chunks())
    return found


def _conflicts(new: pa.Table, entities: pa.Table, known: Index) -> tuple[Conflict, ...]:
    """Return the questions answered in another way; only claims about known children are looked at.

    Questions in roles with many parents are none.
    """
    relation = new.column("relation").combine_chunks()
    asks = [RELATIONS[text][2] not in MANY for text in relation.dictionary.to_pylist()]
    mine = np.array(asks, bool)[np.from_dlpack(relation.indices)]
    child = new.column("child").combine_chunks()
    texts = _resolved(child.dictionary, known)
    spelt = lowered(known.ids)  # a question is about a name, however it is spelt
    told = spelt.filter(pa.array(np.diff(known.child_start) > 0))
    asked = np.asarray(pc.is_in(lowered(texts), told))
    mine &= asked[np.from_dlpack(child.indices)] if len(asked) else mine
    at = np.flatnonzero(mine)
    if not len(at):
        return ()
    claims = [
        claim.model_copy(update={"child": texts[code].as_py(), "parent": parent})
        for claim, code, parent in zip(
            rows_of(new.take(places(at)), Claim),
            np.from_dlpack(child.indices)[at].tolist(),
            _resolved(
                new.column("parent").combine_chunks().take(places(at)).dictionary_decode(), known
            ).to_pylist(),
            strict=True,
        )
    ]
    wanted = lowered(pa.array(sorted({claim.child for claim in claims}), pa.string()))
    children = known.ids.filter(pc.is_in(spelt, wanted)).to_pylist()
    ids = entities.column("id").combine_chunks().dictionary_decode()
    about = entities.filter(pc.is_in(lowered(ids), wanted)) if len(ids) else entities
    return conflicts(claims, known.part(children), rows_of(about, Entity))


def _formulas(table: pa.Table) -> int:
    """Return how many cells a spreadsheet may run."""
    found = 0
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        runs = np.asarray(pc.match_substring_regex(column.dictionary, FORMULA))
        if runs.any():
            found += int(runs[np.from_dlpack(column.indices)].sum())
    return found


def _write(folder: Path, name: str, table: pa.Table, model: type[Entity | Claim]) -> Path | None:
    """Write rows to a file that is named by its content, unless there are none or it is there.

    Its bytes are those that :func:`mashbill.policy.claims.write_rows` writes: the order in which
    files are read, which decides between descriptions, follows from their names.
    """
    if not table.num_rows:
        return None
    temporary = folder / f".{name}.{os.getpid()}"
    digest = hashlib.sha256()
    try:
        with temporary.open("wb") as stream:
            for piece in _pieces(table, model):
                stream.write(piece)
                digest.update(piece)
        final = folder / f"{name}-{digest.hexdigest()[:12]}.csv"
        if final.exists():
            return None
        temporary.rename(final)
    finally:
        temporary.unlink(missing_ok=True)
    return final


def _pieces(table: pa.Table, model: type[Entity | Claim]) -> Iterator[bytes]:
    """Yield the bytes of a CSV file, some rows at a time."""
    yield ",".join(table.column_names).encode() + b"\n"
    quoted = [
        _quoted(table.column(name).combine_chunks(), model.model_fields[name].default or "")
        for name in table.column_names
    ]
    codes = [table.column(name).combine_chunks().indices for name in table.column_names]
    comma, nothing, end = (pa.scalar(text, pa.large_string()) for text in (",", "", "\n"))
    for begin in range(0, table.num_rows, _AT_ONCE):
        cells = [
            texts.take(code.slice(begin, _AT_ONCE))
            for texts, code in zip(quoted, codes, strict=True)
        ]
        lines = pc.binary_join_element_wise(*cells, comma)
        ended = pc.binary_join_element_wise(lines, nothing, end)
        ends = np.frombuffer(ended.buffers()[1], np.int64)
        first, last = ends[ended.offset], ends[ended.offset + len(ended)]
        yield memoryview(ended.buffers()[2])[first:last].tobytes()


def _quoted(column: pa.DictionaryArray, default: Any) -> pa.LargeStringArray:
    """Return texts as CSV has them: quoted where they hold what divides cells or lines."""
    texts = column.dictionary
    if isinstance(default, str):
        texts = pc.if_else(pc.equal(texts, ""), default, texts)
    needs = pc.match_substring_regex(texts, _NEEDS_QUOTES)
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(needs, quoted, texts).cast(pa.large_string())
