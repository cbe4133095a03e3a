"""The small log of our own: an object a line.

A row in plain words has any of these keys, of which ``time`` and ``account`` must be there:

``id``, ``time``, ``kind`` (``exchange`` where it says none, ``signup``, ``ban``), ``account``,
``key``, ``organisation``, ``model``, ``endpoint`` (or the path that was asked), ``status``,
``retry_after``, ``tokens_in``, ``tokens_out``, ``payment``, ``address``, ``agent``, ``signed_up``,
``system``; one of ``text``, ``messages``, ``prompt``, ``input``, ``contents``; ``blobs_in``,
``blobs_out`` (whole blobs, hashed here), ``reasoning``, ``declared`` (64 hexadecimal digits).

It is hashed and sketched here. A row that was hashed and sketched by its writer has ``id``,
``time``, ``kind``, ``model``, ``endpoint``, ``status``, ``retry_after``, ``tokens_in``,
``tokens_out``, ``signed_up``, ``reasoning``, and the other columns of
:data:`mashbill.conduct.events.SCHEMA` in an object ``sketch``, with bytes in hexadecimal digits,
beside ``keyid``, which names the key of the hashes. A row of another key is refused: nothing in it
could be compared.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mashbill.conduct import sketching
from mashbill.conduct.events import KINDS, SCHEMA
from mashbill.conduct.logs import blobs, fields, turns
from mashbill.conduct.logs.lines import NoRowError, object_of
from mashbill.conduct.logs.rows import Notes, Seen, Sketched

if TYPE_CHECKING:
    from collections.abc import Iterable

PROMPTS = ("text", "messages", "prompt", "input", "contents")
"""keys that hold what was asked; the first that is there counts"""
KNOWN = frozenset(
    {
        "id", "time", "kind", "account", "key", "organisation", "model", "endpoint", "status",
        "retry_after", "tokens_in", "tokens_out", "payment", "address", "agent", "signed_up",
        "system", "blobs_in", "blobs_out", "reasoning", "declared", *PROMPTS,
    }
)  # fmt: skip
"""keys of a row in plain words"""
_OPEN = (
    "id", "time", "kind", "model", "endpoint", "status", "retry_after", "tokens_in", "tokens_out",
    "signed_up", "reasoning",
)  # fmt: skip
_SIZES = {
    each.name: each.type.byte_width for each in SCHEMA if pa.types.is_fixed_size_binary(each.type)
}
_LISTS = ("blobs_in", "blobs_out")
_BLOB = 8  # bytes
MOST_ODDS = 1e6
"""log10 odds of a text, either way"""
_WIDEST = 2**32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(row: dict[str, Any], place: str, keyid: str, notes: Notes) -> Seen | Sketched:
    """Return what a row says.

    Args:
        row: the object of a line.
        place: its id where it names none.
        keyid: of the hashes.
        notes: where it is counted what else it holds.

    Raises:
        NoRowError: with the reason, if it is none.
    """
    if "sketch" in row:
        return _sketched(row, keyid, notes)
    if not row.keys() <= KNOWN:
        notes.strange(row.keys() - KNOWN)
    at = fields.moment(row.get("time"))
    system, text = _asked(row)
    given, brought = _blobs(row, "blobs_in", notes), _blobs(row, "blobs_out", notes)
    if given is None and any(isinstance(row.get(key), list) for key in PROMPTS):
        given = blobs.presented(row)
    reasoning = row.get("reasoning")
    if reasoning is not None and not isinstance(reasoning, bool):
        notes.left_out["reasoning"] += 1
        reasoning = None
    signed_up = row.get("signed_up")
    optional = fields.optional
    return Seen(
        id=fields.name(row, "id") if "id" in row else place,
        time=at,
        kind=_kind(row),
        account=fields.name(row, "account"),
        key=optional(row, "key", notes),
        organisation=optional(row, "organisation", notes),
        model=optional(row, "model", notes),
        endpoint=fields.endpoint(row.get("endpoint"), notes),
        status=fields.status(row.get("status"), notes),
        retry_after=fields.wait(row.get("retry_after"), at, notes),
        tokens_in=fields.count(row.get("tokens_in"), "tokens_in", notes),
        tokens_out=fields.count(row.get("tokens_out"), "tokens_out", notes),
        payment=optional(row, "payment", notes),
        address=optional(row, "address", notes),
        agent=optional(row, "agent", notes),
        signed_up=_signed_up(signed_up, notes) if signed_up is not None else None,
        system=system,
        text=text,
        blobs_in=given,
        blobs_out=brought,
        reasoning=reasoning,
        declared=fields.digest(row.get("declared"), "declared", notes),
    )


def _kind(row: dict[str, Any]) -> str:
    kind = row.get("kind")
    if kind is None:
        return "exchange"
    if kind not in KINDS:
        msg = f"kind is none of {', '.join(KINDS)}"
        raise NoRowError(msg)
    return str(kind)


def _asked(row: dict[str, Any]) -> tuple[str, str]:
    text = row.get("text")
    system = row.get("system")
    if isinstance(text, str) and (system is None or isinstance(system, str)):
        return system or "", text
    if isinstance(text, str):
        return turns.asked({"system": system})[0], text
    given = next((key for key in PROMPTS if row.get(key) is not None), None)
    asked = {"system": system}
    if given is not None:
        value = row[given]
        if given == "messages" and isinstance(value, str):
            value = written_messages(value)
        asked[given] = value
    return turns.asked(asked)


def written_messages(text: str) -> Any:
    """Return messages that a log wrote as a JSON text; what is none is the text of one turn."""
    if text.lstrip()[:1] not in ("[", "{"):
        return text
    try:
        found = object_of(b'{"messages":' + text.encode() + b"}")["messages"]
    except (NoRowError, UnicodeEncodeError):
        return text
    return [found] if isinstance(found, dict) else found


def _blobs(row: dict[str, Any], key: str, notes: Notes) -> list[str] | None:
    given = row.get(key)
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        notes.left_out[key] += 1
        return None
    return list(dict.fromkeys(given))[-blobs.MOST :]


def _signed_up(value: Any, notes: Notes) -> int | None:
    try:
        return fields.moment(value)
    except NoRowError:
        notes.left_out["signed_up"] += 1
        return None


def _sketched(row: dict[str, Any], keyid: str, notes: Notes) -> Sketched:
    sketch = row["sketch"]
    if not isinstance(sketch, dict):
        msg = "sketch is no object"
        raise NoRowError(msg)
    if sketch.get("keyid") != keyid:
        msg = f"it was hashed by another key than {keyid}, so that nothing in it can be compared"
        raise NoRowError(msg)
    strange = row.keys() - {*_OPEN, "sketch"} | sketch.keys() - {*SCHEMA.names, "keyid"}
    if strange:
        notes.strange(strange)
    at = fields.moment(row.get("time"))
    signed_up, reasoning = row.get("signed_up"), row.get("reasoning")
    found: Sketched = {
        "id": fields.name(row, "id"),
        "time": at,
        "kind": _kind(row),
        "model": fields.optional(row, "model", notes),
        "endpoint": fields.endpoint(row.get("endpoint"), notes),
        "status": fields.count(row.get("status"), "status", notes, 999),
        "retry_after": fields.wait(row.get("retry_after"), at, notes),
        "tokens_in": fields.count(row.get("tokens_in"), "tokens_in", notes),
        "tokens_out": fields.count(row.get("tokens_out"), "tokens_out", notes),
        "signed_up": None if signed_up is None else fields.moment(signed_up),
        "reasoning": reasoning if isinstance(reasoning, bool) else None,
    }
    for key in _SIZES:
        if sketch.get(key) is not None:
            found[key] = _bytes(key, sketch[key])
    if "account" not in found:
        msg = "sketch names no account"
        raise NoRowError(msg)
    for key in ("jailbreak", "extraction"):
        found[key] = _odds(key, sketch.get(key))
    for key in _LISTS:
        found[key] = _list_of_bytes(key, sketch.get(key))
    found["skeleton"] = _skeleton(sketch.get("skeleton"))
    return found


def _bytes(key: str, value: Any, size: int = 0) -> bytes:
    size = size or _SIZES[key]
    try:
        found = bytes.fromhex(value) if isinstance(value, str) and len(value) == 2 * size else b""
    except ValueError:
        found = b""
    if len(found) != size:
        msg = f"{key} is not {2 * size} hexadecimal digits"
        raise NoRowError(msg)
    return found


def _list_of_bytes(key: str, value: Any) -> list[bytes] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > blobs.MOST:
        msg = f"{key} is no list of {blobs.MOST} hashes at most"
        raise NoRowError(msg)
    return [_bytes(key, each, _BLOB) for each in value]


def _odds(key: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MOST_ODDS:
        msg = f"{key} is no log10 odds"
        raise NoRowError(msg)
    return float(value)


def _skeleton(value: Any) -> list[int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > sketching.LONGEST:
        msg = f"skeleton is no list of {sketching.LONGEST} hashes at most"
        raise NoRowError(msg)
    before = -1
    for each in value:
        if type(each) is not int or not before < each < _WIDEST:
            msg = "skeleton is not of ascending numbers of 32 bits"
            raise NoRowError(msg)
        before = each
    return value


def write_native(batch: pa.RecordBatch, keyid: str) -> bytes:
    """Return events as lines in the form that is hashed and sketched, which :func:`read` reads.

    Args:
        batch: of :data:`mashbill.conduct.events.SCHEMA`.
        keyid: of the hashes that made them.
    """
    return b"".join(_lines(batch, keyid))


def _lines(batch: pa.RecordBatch, keyid: str) -> Iterable[bytes]:
    times = [index for index, each in enumerate(batch.schema) if pa.types.is_timestamp(each.type)]
    for index in times:
        whole = batch.column(index).cast(pa.int64())
        batch = batch.set_column(index, pa.field(batch.schema.names[index], pa.int64()), whole)
    for row in batch.to_pylist():
        sketch: dict[str, Any] = {"keyid": keyid}
        line: dict[str, Any] = {}
        for key, value in row.items():
            if value is None:
                continue
            if key in _OPEN:
                line[key] = _text_of(value) if key in ("time", "signed_up") else value
            elif key in _LISTS:
                sketch[key] = [each.hex() for each in value]
            else:
                sketch[key] = value.hex() if isinstance(value, bytes) else value
        line["sketch"] = sketch
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _text_of(moment: int) -> str:
    found = (_EPOCH + timedelta(microseconds=moment)).isoformat(timespec="microseconds")
    return found.replace("+00:00", "Z")
