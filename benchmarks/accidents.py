"""What an accident does to a store, or somebody who alters bytes, lines and values."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from strangers import stranger

from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.ledger import GENESIS
from mashbill.core.record import CALL
from mashbill.core.store import CALLS, LEDGER, MANIFEST, NODES

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from mashbill.core.ledger import Signer


@dataclass
class Touched:
    """What a tampering did, and so what an audit has to say."""

    files: set[str]
    """any of these has to be named"""
    entry: int | None = None
    """first entry touched, if the ledger was and is still there"""
    needs_checkpoint: bool = False


class Accidents:
    """Kinds of tampering that sign for nothing, or for single lines."""

    draw: random.Random
    store: Path
    whole: dict[str, bytes]
    files: list[str]
    artifacts: list[str]
    lines: list[bytes]
    signer: Signer

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the store."""
        raise NotImplementedError

    def delete(self, name: str) -> None:
        """Delete a file of the store."""
        raise NotImplementedError

    # Bytes of any file.

    def bytes_of(self, name: str, place: int, data: bytes, *, at_end: bool = False) -> Touched:
        """Write a file whose first altered byte is at ``place``."""
        self.write(name, data)
        if name != LEDGER:
            return Touched({name})
        line = self.whole[LEDGER][:place].count(b"\n")
        return Touched({name}, line, needs_checkpoint=at_end)

    def spot(self) -> tuple[str, bytes, int]:
        # A fifth of the tamperings go to the ledger, which else would be one file of many.
        name = LEDGER if self.draw.random() < 0.2 else self.draw.choice(self.files)
        data = self.whole[name]
        return name, data, self.draw.randrange(len(data))

    def t_flip_a_bit(self) -> Touched:
        name, data, at = self.spot()
        flipped = bytes([data[at] ^ 1 << self.draw.randrange(8)])
        return self.bytes_of(name, at, data[:at] + flipped + data[at + 1 :])

    def t_delete_a_byte(self) -> Touched:
        name, data, at = self.spot()
        return self.bytes_of(name, at, data[:at] + data[at + 1 :])

    def t_insert_a_byte(self) -> Touched:
        name, data, at = self.spot()
        return self.bytes_of(name, at, data[:at] + self.draw.randbytes(1) + data[at:])

    def t_append_bytes(self) -> Touched:
        name, data, _ = self.spot()
        return self.bytes_of(name, len(data), data + self.draw.randbytes(self.draw.randint(1, 9)))

    def t_truncate(self) -> Touched:
        name, data, at = self.spot()
        return self.bytes_of(name, at, data[:at], at_end=True)

    def t_overwrite_with_zeros(self) -> Touched:
        name, data, at = self.spot()
        end = min(len(data), at + self.draw.randint(1, 64))
        return self.bytes_of(name, at, data[:at] + bytes(end - at) + data[end:])

    # Lines of the ledger.

    def write_lines(
        self, lines: list[bytes], entry: int | None = None, *, note: bool = False
    ) -> Touched:
        """Write a ledger; the entry touched is the first that differs, unless given."""
        if entry is None:
            same = [a == b for a, b in zip(lines, self.lines, strict=False)]
            entry = [*same, False].index(False)
        self.write(LEDGER, b"".join(line + b"\n" for line in lines))
        return Touched({LEDGER}, entry, needs_checkpoint=note)

    def t_ledger_line_deleted(self) -> Touched:
        at = self.draw.randrange(len(self.lines) - 1)
        return self.write_lines(self.lines[:at] + self.lines[at + 1 :])

    def t_ledger_line_duplicated(self) -> Touched:
        at, to = self.draw.randrange(len(self.lines)), self.draw.randint(0, len(self.lines))
        return self.write_lines([*self.lines[:to], self.lines[at], *self.lines[to:]])

    def t_ledger_lines_swapped(self) -> Touched:
        one, two = self.draw.sample(range(len(self.lines)), 2)
        lines = list(self.lines)
        lines[one], lines[two] = lines[two], lines[one]
        return self.write_lines(lines)

    def t_ledger_lines_reordered(self) -> Touched:
        start = self.draw.randrange(len(self.lines) - 1)
        end = self.draw.randint(start + 2, len(self.lines))
        piece = self.lines[start:end]
        self.draw.shuffle(piece)
        return self.write_lines([*self.lines[:start], *piece, *self.lines[end:]])

    def t_ledger_tail_cut(self) -> Touched:
        left = self.draw.randint(1, len(self.lines) - 1)
        return self.write_lines(self.lines[:left], note=True)

    def t_ledger_tail_cut_with_its_files(self) -> Touched:
        left = self.draw.randint(1, len(self.lines) - 1)
        spoken = {item["name"] for line in self.lines[:left] for item in opened(line)["subject"]}
        for name in self.whole.keys() - spoken - {LEDGER, CALLS}:
            self.delete(name)
        return self.write_lines(self.lines[:left], note=True)

    def t_ledger_entry_signed_by_another_key(self) -> Touched:
        at = self.draw.randrange(len(self.lines))
        sealed = stranger().seal(opened(self.lines[at]))
        return self.write_lines([*self.lines[:at], sealed, *self.lines[at + 1 :]])

    def t_ledger_entry_introducing_another_key(self) -> Touched:
        at = self.draw.randrange(len(self.lines))
        other, statement = stranger(), opened(self.lines[at])
        statement["predicate"]["public_key"] = other.public.hex()
        # The entry by itself is a new signer's first; what stands behind it has another
        # predecessor, and behind the last one nothing stands.
        is_last = at == len(self.lines) - 1
        lines = [*self.lines[:at], other.seal(statement), *self.lines[at + 1 :]]
        return self.write_lines(lines, at if is_last else at + 1, note=is_last)

    def resigned(self, signer: Signer, start: int) -> list[bytes]:
        """Return the ledger with every line from one on chained and signed anew."""
        lines = self.lines[:start]
        for line in self.lines[start:]:
            statement = opened(line)
            predicate = statement["predicate"]
            predicate["previous"] = digest_bytes(lines[-1]) if lines else GENESIS
            if "public_key" in predicate:
                predicate["public_key"] = signer.public.hex()
            if len(lines) == start:
                predicate["at"] = "2020-01-01T00:00:00.000+00:00"
            lines.append(signer.seal(statement))
        return lines

    def t_ledger_signed_again_by_another_key(self) -> Touched:
        return self.write_lines(self.resigned(stranger(), 0), note=True)

    def t_ledger_signed_again_by_its_own_key(self) -> Touched:
        start = self.draw.randrange(len(self.lines))
        return self.write_lines(self.resigned(self.signer, start), note=True)

    # Files that stay well formed.

    def rewritten(self, name: str, column: str, row: int, value: Any) -> Touched:
        table = read(self.whole[name])
        at = table.schema.get_field_index(column)
        values = table.column(column).to_pylist()
        values[row] = value
        kind = table.schema.field(column)
        table = table.set_column(at, kind, pa.array(values, kind.type))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self.write(name, sink.getvalue().to_pybytes())
        return Touched({name})

    def shards(self) -> list[str]:
        return [n for n in self.files if n.endswith(".parquet") and not n.endswith(f"/{NODES}")]

    def t_parquet_value(self) -> Touched | None:
        name = self.draw.choice(self.shards())
        table = read(self.whole[name])
        if not table.num_rows:
            return None
        column = self.draw.choice(table.column_names)
        row = self.draw.randrange(table.num_rows)
        value = table.column(column)[row].as_py()
        other = altered(value, self.draw)
        return None if other is None else self.rewritten(name, column, row, other)

    def t_parquet_rows_exchanged(self) -> Touched | None:
        name = self.draw.choice(self.shards())
        table = read(self.whole[name])
        if table.num_rows < 2:
            return None
        order = list(range(table.num_rows))
        one, two = self.draw.sample(order, 2)
        order[one], order[two] = order[two], order[one]
        sink = pa.BufferOutputStream()
        pq.write_table(table.take(order), sink, compression="zstd")
        self.write(name, sink.getvalue().to_pybytes())
        return Touched({name})

    def t_node_edge_or_count(self) -> Touched | None:
        name = self.draw.choice([n for n in self.files if n.endswith(f"/{NODES}")])
        table = read(self.whole[name])
        column = self.draw.choice(["to", "via", "tokens", "number_records", "about", "is_root"])
        row = self.draw.randrange(table.num_rows)
        other = altered(table.column(column)[row].as_py(), self.draw)
        return None if other is None else self.rewritten(name, column, row, other)

    def t_manifest_field(self) -> Touched | None:
        name = self.draw.choice([n for n in self.files if n.endswith(f"/{MANIFEST}")])
        body = json.loads(self.whole[name])
        inner: Any = body
        while True:
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            if not keys:
                return None
            key = self.draw.choice(keys)
            if not isinstance(inner[key], dict | list):
                break
            inner = inner[key]
        other = altered(inner[key], self.draw)
        if other is None:
            return None
        inner[key] = other
        self.write(name, canonical(body))
        return Touched({name})

    def t_file_deleted(self) -> Touched:
        name = self.draw.choice(self.files)
        self.delete(name)
        return Touched({name})

    def t_files_swapped(self) -> Touched:
        one, two = self.draw.sample([name for name in self.files if name != LEDGER], 2)
        self.write(one, self.whole[two])
        self.write(two, self.whole[one])
        return Touched({one, two})

    def t_file_added(self) -> Touched:
        folder = self.draw.choice(self.artifacts)
        name = self.draw.choice(["part-99999.parquet", "rejected-99999.parquet", "note.json"])
        copied = self.whole[self.draw.choice(self.files)]
        self.write(f"{folder}/{name}", copied)
        return Touched({f"{folder}/{name}"})

    def t_artifact_added(self) -> Touched:
        folder = self.draw.choice(self.artifacts)
        other = f"{folder}-{self.draw.randrange(100)}"
        (self.store / other).mkdir(exist_ok=True)
        self.write(f"{other}/{MANIFEST}", self.whole[f"{folder}/{MANIFEST}"])
        return Touched({other})

    # Rows of the calls.

    def sql(self, statement: str, values: list[Any]) -> Touched:
        with closing(sqlite3.connect(self.store / CALLS)) as db, db:
            db.execute(statement, values)
        return Touched({CALLS})

    @cached_property
    def rested_on(self) -> list[str]:
        """Calls that some record rests on: no root of the ledger is over the others.

        A stage's trial asks in a sitting of its own, whose answers none of its records need.
        """
        found: set[str] = set()
        for name, data in self.whole.items():
            if name.startswith("datasets/") and not name.endswith(NODES) and ".parquet" in name:
                table = read(data)
                if CALL in table.column_names:
                    found |= {call.hex() for call in table.column(CALL).to_pylist() if call}
        return sorted(found)

    def call(self) -> dict[str, Any]:
        with closing(sqlite3.connect(self.store / CALLS)) as db:
            db.row_factory = sqlite3.Row
            rows = db.execute("SELECT request FROM calls").fetchall()
            there = {row["request"] for row in rows}.intersection(self.rested_on)
            request = self.draw.choice(sorted(there))
            row = db.execute("SELECT * FROM calls WHERE request = ?", [request]).fetchone()
            return dict(row)

    def t_call_value(self) -> Touched | None:
        call = self.call()
        column = self.draw.choice(sorted(call))
        other = altered(call[column], self.draw)
        if column in {"teacher", "choices", "logprobs"} and _same_json(call[column], other):
            return None
        change = f"UPDATE calls SET {column} = ? WHERE request = ?"  # noqa: S608 - our own names
        return None if other is None else self.sql(change, [other, call["request"]])

    def t_call_prefix(self) -> Touched:
        call = self.call()
        change = "UPDATE texts SET text = substr(text, 2) WHERE digest = ?"
        return self.sql(change, [call["prefix"]])

    def t_call_deleted(self) -> Touched:
        return self.sql("DELETE FROM calls WHERE request = ?", [self.call()["request"]])

    def t_call_replaced_by_another(self) -> Touched | None:
        one, two = self.call(), self.call()
        if one == two:
            return None
        two["request"] = one["request"]
        change = f"INSERT OR REPLACE INTO calls ({', '.join(two)}) VALUES "  # noqa: S608 - our own names
        return self.sql(f"{change} ({', '.join('?' * len(two))})", list(two.values()))


def _same_json(one: str, two: str) -> bool:
    """Return whether two texts say the same, as 1.5 and 1.50 do: then nothing was altered."""
    try:
        return bool(json.loads(one) == json.loads(two))
    except ValueError:
        return False


def opened(line: bytes) -> dict[str, Any]:
    statement: dict[str, Any] = json.loads(base64.b64decode(json.loads(line)["payload"]))
    return statement


def read(data: bytes) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(data)).read()


def altered(value: Any, draw: random.Random) -> Any:
    """Return another value of the same type; None if there is none."""
    match value:
        case bool():
            return not value
        case int():
            return value + draw.choice([-1, 1, 7])
        case float():
            return value + draw.choice([-0.25, 1.0])
        case str():
            at = draw.randint(0, len(value))
            return value[:at] + draw.choice("0aZ ") + value[at:]
        case bytes() if value:
            at = draw.randrange(len(value))
            return value[:at] + bytes([value[at] ^ 1 << draw.randrange(8)]) + value[at + 1 :]
        case list() if value:
            at = draw.randrange(len(value))
            other = altered(value[at], draw)
            return None if other is None else [*value[:at], other, *value[at + 1 :]]
        case _:
            return None
