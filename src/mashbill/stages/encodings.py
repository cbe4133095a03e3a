"""Encodings of text files: which there are, where a file is not in its own, and which it may be."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from mashbill.conduct.opening import open_text_stream
from mashbill.core.cells import text_encoding
from mashbill.core.errors import InputError, RecipeError

if TYPE_CHECKING:
    from pathlib import Path

_PIECE = 1 << 20
_SAMPLE = 1 << 18
_COMMON = [
    "utf_8", "utf_16", "utf_32", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255",
    "cp1256", "koi8_r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "mac_roman", "cp437",
]  # fmt: skip
_ENOUGH = 5  # bytes beyond ASCII below which any guess would be as good as another


def reading_name(encoding: str, name: str) -> str:
    """Return the codec to read a file with: of UTF-8, the one that takes a byte order mark off.

    Raises:
        InputError: if there is no such encoding of text.
    """
    try:
        found = text_encoding(encoding)
    except RecipeError as error:
        msg = f"{name}: {error}"
        raise InputError(msg) from error
    return "utf-8-sig" if found == "utf-8" else found


def where_undecodable(data: bytes | Path, name: str, encoding: str) -> InputError:
    """Return the error about a file that is not in its encoding: where, and what it may be."""
    where, around = _place(data, name, encoding)
    guess = guessed(around)
    may_be = f"; it reads as {guess}: write encoding = {guess!r} in the recipe" if guess else ""
    if not may_be:
        may_be = "; set encoding in the recipe"
    return InputError(
        f'{name} is not {encoding} at {where}{may_be}, or on_bad_bytes = "reject" to put such rows '
        'aside with their reason, or "replace"'
    )


def guessed(data: bytes) -> str:
    """Return which encoding some bytes are likely in; empty if none can be told."""
    from charset_normalizer import from_bytes

    if sum(byte > 127 for byte in data) < _ENOUGH:
        return ""
    best = from_bytes(data, cp_isolation=_COMMON).best()
    return "" if best is None else best.encoding.replace("_", "-")


def _place(data: bytes | Path, name: str, encoding: str) -> tuple[str, bytes]:
    """Return line and byte, of what is unpacked, at which it fails, and the bytes around it."""
    decoder = codecs.getincrementaldecoder(encoding)()
    before, line, last = 0, 1, False
    with open_text_stream(data, name) as raw:
        while not last:
            piece = raw.read(_PIECE)
            last = not piece
            pending = len(decoder.getstate()[0])
            try:
                line += decoder.decode(piece, last).count("\n")
            except UnicodeDecodeError as error:
                good = error.object[: error.start].decode(encoding, "replace")
                around = bytes(error.object[max(error.start - _SAMPLE, 0) :][: 2 * _SAMPLE])
                at = before - pending + error.start
                return f"line {line + good.count(chr(10))}, byte {at}", around
            except UnicodeError:  # how it begins does not say which UTF-16 it is
                return "its beginning", piece[:_SAMPLE]
            before += len(piece)
    return "an unknown place", b""
