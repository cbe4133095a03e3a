"""Encodings of text files: which there are, where a file is not in its own, and which it may be."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from mashbill.core.cells import text_encoding
from mashbill.core.errors import InputError, RecipeError
from mashbill.files.opening import open_text_stream

if TYPE_CHECKING:
    from pathlib import Path

_PIECE = 1 << 20
_SAMPLE = 1 << 18
_COMMON = [
    "utf_8", "utf_16", "utf_32", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255",
    "cp1256", "koi8_r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "mac_roman", "cp437",
]  # fmt: skip
_LATIN = frozenset({"cp1252", "cp1250", "cp1254", "mac_roman", "cp437"})
"""encodings of one byte a letter whose letters are mostly Latin"""
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""byte order marks; that of UTF-32 begins as that of UTF-16 does"""
_FEW = 3  # broken sequences that a file of UTF-8 may have, however short it is
_WORD = re.compile(r"\S+")
_WORDS = 48  # characters in which a word that differs is looked for
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
    return InputError(
        f'{name} is not {encoding} at {where}{_remedy(around, encoding)}on_bad_bytes = "reject" '
        'to put such rows aside with their reason, or "replace"'
    )


def _remedy(around: bytes, encoding: str) -> str:
    """Return what to do about bytes that are not of their file's encoding, up to on_bad_bytes."""
    is_utf8 = reading_name(encoding, "") == "utf-8-sig"
    if is_utf8 and not _has_mark(around) and _is_mostly_utf8(around):
        return "; all but a few of its bytes are UTF-8, so a few are broken: correct them, or set "
    found = likely(around)
    if not found:
        return "; set encoding in the recipe, or "
    if len(found) == 1:
        return f"; it reads as {found[0]}: write encoding = {found[0]!r} in the recipe, or "
    one, other = found
    words = _differing(around.decode(one, "replace"), around.decode(other, "replace"))
    shown = " or ".join(f"{name} ({word!r})" for name, word in zip(found, words, strict=True))
    return (
        f"; it reads as {shown}: write the encoding whose words are right into the recipe, such as "
        f"encoding = {one!r}, or "
    )


def likely(data: bytes) -> tuple[str, ...]:
    """Return which encodings some bytes are likely in, the likelier first; empty if none is.

    Statistics of letters mistake western Europe's languages for those of central Europe, whose
    code pages differ in a few letters: where both are possible, both are returned.
    """
    from charset_normalizer import from_bytes

    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return (encoding,)
    if sum(byte > 127 for byte in data) < _ENOUGH:
        return ()
    best = from_bytes(data, cp_isolation=_COMMON).best()
    if best is None:
        return ()
    guess = best.encoding.replace("_", "-")
    if guess.replace("-", "_") not in _LATIN:
        return (guess,)
    western = _decoded(data, "cp1252")
    if western is None:
        return (guess,)
    others = [guess, "cp1250"] if guess != "cp1252" else ["cp1250"]
    for other in others:
        text = _decoded(data, other)
        if text is not None and text != western:
            return ("cp1252", other)
    return ("cp1252",)


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeError:
        return None


def _has_mark(data: bytes) -> bool:
    return any(data.startswith(mark) for mark, _ in _MARKS)


def _is_mostly_utf8(data: bytes) -> bool:
    """Return whether bytes are UTF-8 but for a few sequences, and some of them beyond ASCII."""
    # They are cut out of a file, perhaps within a character.
    data = re.sub(rb"^[\x80-\xbf]{1,3}", b"", data)
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(data)
    bad = text.count("\ufffd") - data.count("\ufffd".encode())
    good = sum(character > "\x7f" for character in text) - text.count("\ufffd")
    return good > 0 and (bad * 1000 < good or bad <= min(_FEW, good))


def _differing(one: str, other: str) -> tuple[str, str]:
    """Return the first word that two readings have differently, as each has it."""
    if len(one) != len(other):
        return one[:_WORDS], other[:_WORDS]
    at = next(place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
    start = max(0, at - _WORDS // 2)
    words = list(_WORD.finditer(one, start, at + _WORDS // 2))
    inside = [word for word in words if word.start() <= at < word.end()]
    begin, end = inside[0].span() if inside else (at, at + 1)
    return one[begin:end], other[begin:end]


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
