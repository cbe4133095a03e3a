"""From where the reading of a log goes on: a value of JSON, checked against the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from mashbill.conduct.logs.lines import NEAR
from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mashbill.conduct.events import Hashes
    from mashbill.conduct.logs.forms import Form

_SKIP = 1 << 20


def near_hash(near: bytes, hashes: Hashes) -> str:
    """Return the hash of the end of the line before a position, by which it is known again."""
    return hashes.of("position", near[-NEAR:].decode("latin-1"), 8).hex()


def position_of(
    form: Form, offset: int, line: int, near: bytes, hashes: Hashes, *, is_ended: bool
) -> dict[str, Any]:
    """Return a position behind a line of a file of lines.

    Args:
        form: of the log.
        offset: bytes before it, of what a packed file unpacks to.
        line: lines before it.
        near: the end of the line before it.
        hashes: by whose key that is hashed.
        is_ended: whether the line before it had its end when it was read.
    """
    position = {"form": form, "offset": offset, "line": line, "near": near_hash(near, hashes)}
    return position if is_ended else {**position, "ended": False}


def checked_position(position: Mapping[str, Any] | None, form: Form, path: Path) -> dict[str, Any]:
    """Return a position, or that of the beginning.

    Raises:
        InputError: if it is none, or of a log of another form.
    """
    if position is None:
        return {"form": form, "row": 0} if form == "parquet" else {
            "form": form, "offset": 0, "line": 0, "near": "",
        }  # fmt: skip
    wanted = ("row",) if form == "parquet" else ("offset", "line")
    numbers = [position.get(key) for key in wanted]
    if position.get("form") != form or not all(
        isinstance(each, int) and each >= 0 for each in numbers
    ):
        msg = f"{path}: this is no position in a log of the form {form}; begin without one"
        raise InputError(msg)
    return dict(position)


def skip_to(stream: BinaryIO, position: dict[str, Any], path: Path, hashes: Hashes) -> bytes:
    """Go to a position, and return the end of the line before it.

    Raises:
        InputError: if another line stands before it: the file is not the one of the position.
    """
    left, near = position["offset"], b""
    if not left:
        return b""
    if stream.seekable():
        begin = max(0, left - NEAR - 1)
        stream.seek(begin)
        left -= begin
    while left:
        piece = stream.read(min(left, _SKIP))
        if not piece:
            msg = (
                f"{path} has fewer bytes than were read of it: it was cut, or is another file; "
                "begin without a position, or name the file that was read"
            )
            raise InputError(msg)
        left -= len(piece)
        near = (near + piece)[-NEAR - 1 :]
    if near_hash(_line_end(near), hashes) != position.get("near"):
        msg = (
            f"{path} is not the file of this position: what stands before byte "
            f"{position['offset']:,} is another line; begin without a position, or name the file "
            "that was read"
        )
        raise InputError(msg)
    return _line_end(near)


def _line_end(near: bytes) -> bytes:
    """Return the last line of some bytes, without its end."""
    return near.removesuffix(b"\n").rsplit(b"\n", 1)[-1]
