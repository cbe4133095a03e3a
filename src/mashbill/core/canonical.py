"""One value, one byte string: canonical JSON (RFC 8785, JCS), and the digests made of it.

A *digest* is the identity of bytes; a *fingerprint* the identity of what was asked for. Both
are lower-case hexadecimal SHA-256. What has no canonical form raises instead of being guessed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rfc8785

from mashbill.core.errors import CanonicalError

if TYPE_CHECKING:
    from collections.abc import Mapping

row_json = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode
"""JSON text of a record, or of one value of it, that :func:`plain_value` has prepared"""


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 bytes of a JSON value.

    Args:
        value: None, bool, int within ±2**53, finite float, str, list, tuple or dict of these.

    Raises:
        CanonicalError: if the value, or a part of it, has no canonical form.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        msg = f"no canonical form for {value!r:.200}: {error}; use JSON values only"
        raise CanonicalError(msg) from error


def canonical_row(row: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of one record's columns.

    The bytes are RFC 8785 too, with floats replaced by their C99 hexadecimal form and binary by
    its hexadecimal text. That keeps every bit, and lets the C encoder do the work: a general
    RFC 8785 encoder is ten times slower, and every row of every dataset passes through here.

    Raises:
        CanonicalError: if a value is not None, bool, int, float, str, bytes, or a list or an object
            of those, such as a message.
    """
    try:
        return row_json({key: plain_value(value) for key, value in row.items()}).encode()
    except (TypeError, ValueError) as error:
        msg = f"a record has a column with no canonical form: {error}; columns are {list(row)}"
        raise CanonicalError(msg) from error


_NESTED = 100  # lists and objects inside each other that a record may hold


def plain_value(value: Any, depth: int = 0) -> Any:
    """Return a record's value as JSON has it; TypeError if it has no such form.

    Args:
        value: of a column.
        depth: lists and objects that it is in.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if kind is int:
        # Beyond 2**53 a JSON reader elsewhere may round; text keeps the digits.
        return value if -(2**53) < value < 2**53 else str(value)
    if kind is float:
        return value.hex()
    if kind is bytes:
        return value.hex()
    if kind is list or kind is dict:
        if depth >= _NESTED:
            msg = f"it has more than {_NESTED} lists inside each other"
            raise TypeError(msg)
        if kind is list:
            return [plain_value(item, depth + 1) for item in value]
        return {_key(key): plain_value(item, depth + 1) for key, item in value.items()}
    msg = f"{value!r:.100} is a {kind.__name__}"
    raise TypeError(msg)


def _key(key: Any) -> str:
    if type(key) is not str:
        msg = f"{key!r:.100} is the key of an object and no text"
        raise TypeError(msg)
    return key


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's canonical bytes, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal, reading it in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def changed_keys(old: Any, new: Any) -> list[str]:
    """List what differs between two JSON values, one ``key: old -> new`` line each."""
    lines = []
    waiting = [("", old, new)]
    while waiting:
        prefix, one, two = waiting.pop()
        if isinstance(one, dict) and isinstance(two, dict):
            keys = sorted(one.keys() | two.keys(), reverse=True)
            where = f"{prefix}." if prefix else ""
            waiting += [(f"{where}{key}", one.get(key), two.get(key)) for key in keys]
        elif one != two:
            lines.append(f"{prefix}: {one!r:.80} -> {two!r:.80}")
    return lines
