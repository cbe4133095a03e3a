"""Taking known keys out of what somebody else wrote: bodies, headers, addresses, exceptions.

A server, a proxy or a library may echo the key that it was sent. It is taken out where foreign text
comes in (:class:`mashbill.client.transport.Carrier`), and again from an answer that was put
together of a stream's pieces, before anything is told, kept or exported.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mashbill.client.order import Answered, Refused
from mashbill.core.chat import ToolCall, calls_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GONE = "[key removed]"
"""what stands in a key's place; whole JSON stays whole JSON with it"""
LONG = 8
"""characters from which a key is taken out wherever it stands: a shorter one may be a word of an
answer, and is taken out behind "Bearer" and of errors alone"""
_SHORT = 4  # from which it is taken out of errors
_BEARER = r"(?i:(bearer(?:\s|%20|\+)+))"
_ANY_BEARER = re.compile(_BEARER + r"[A-Za-z0-9._~+/=-]{8,}")
_PIECE = 12
"""characters of a key that are taken out of errors wherever they stand together, in any case: what
a library quotes of a response may begin or end within a key"""
_PROBE = _PIECE // 2  # some so many of a piece begin at a multiple of it
_NOTHING = re.compile(r"\0|(?<!\\)\\+(?:u00|x)00|%(?:25)*00|&#[xX]?0+;")
"""NUL, as it is or written out: it stands between the letters of UTF-16 and UTF-32"""
_MARKS = ("\\u00", "\\x", "%", "&#", "\0")
"""one of these stands in every text in which a letter of a key is written otherwise"""
_MARKS_OF = {"/": ("\\/",), '"': ('\\"', "&quot"), "\\": ("\\\\",), "'": ("\\'", "&apos"),
             "&": ("&amp",), "<": ("&lt",), ">": ("&gt",)}  # fmt: skip
"""and these, of a character that has its own; JSON is full of them, and few keys hold one"""
_NAMED = {"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;", "'": "&apos;"}


class Scrubber:
    """Knows keys, and takes them out of text in whatever form they stand there.

    Forms are the key itself; each of its characters escaped as JSON, a URL, HTML or Python writes
    it, or not, in any mixture; the key within base64 (of either alphabet, at any offset, as HTTP's
    basic authentication has it) and in hexadecimal; each of these with NULs between, as UTF-16 and
    UTF-32 have them.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys: set[str] = set()
        self._signs: tuple[str, ...] = ()
        """one of these stands in each text that may hold a key"""
        self._small_signs: tuple[str, ...] = ()
        self._signs_in_bytes: tuple[bytes, ...] = ()
        self._pattern: re.Pattern[str] | None = None
        self._in_any_case: re.Pattern[str] | None = None
        self._in_errors: re.Pattern[str] | None = None
        self._pieces: frozenset[str] = frozenset()
        self._probes: frozenset[str] = frozenset()
        self.add(keys)

    def add(self, keys: Iterable[str]) -> None:
        """Know these keys too; empty ones are none."""
        new = {key for key in keys if key} - self._keys
        if not new:
            return
        self._keys |= new
        # The longest first: one key may begin another.
        known = sorted(self._keys, key=lambda key: (-len(key), key))
        plain: list[str] = []
        anywhere, in_errors = [], []
        for key in known:
            spelt = _spelt_out(key)
            if len(key) >= LONG:
                forms = [*_within_base64(key), key.encode().hex(), key.encode().hex().upper()]
                plain += [key, *forms]
                anywhere.append(spelt)
                anywhere += [
                    "".join(char if char.isalnum() else _spelt(char) for char in form)
                    for form in forms
                ]
            else:
                plain += [f"{word} {key}" for word in ("Bearer", "bearer", "BEARER")]
                anywhere.append(f"(?i:(?<=bearer )){spelt}(?![A-Za-z0-9])")
                if len(key) >= _SHORT:
                    in_errors.append(f"(?<![A-Za-z0-9]){spelt}(?![A-Za-z0-9])")
        marks = {mark for char in set("".join(known)) for mark in _MARKS_OF.get(char, ())}
        self._signs = (*plain, *_MARKS, *sorted(marks))
        self._signs_in_bytes = tuple(sign.encode() for sign in self._signs)
        self._small_signs = tuple({sign.lower() for sign in self._signs})
        self._pattern = re.compile("|".join(anywhere)) if anywhere else None
        self._in_any_case = re.compile("|".join(anywhere), re.IGNORECASE) if anywhere else None
        self._pieces, self._probes = _windows(known, _PIECE), _windows(known, _PROBE)
        self._in_errors = re.compile("|".join(in_errors)) if in_errors else None

    def text(self, text: str, *, is_error: bool = False) -> str:
        """Return text without keys.

        Args:
            text: what somebody else wrote.
            is_error: whether it is no answer: then whatever stands behind "Bearer" goes, and short
                keys, pieces of keys and keys in another case do too.
        """
        text = self._without(text, is_error=is_error)
        if self._keys and _NOTHING.search(text):
            bare = _NOTHING.sub("", text)
            said = self._without(bare, is_error=is_error)
            if said != bare:
                return said
        return text

    def _without(self, text: str, *, is_error: bool) -> str:
        if not is_error:
            if self._pattern is not None and self._may_hold(text):
                text = self._pattern.sub(GONE, text)
            return text
        if self._in_any_case is not None:
            small = text.lower()
            if any(sign in small for sign in self._small_signs):
                text = self._in_any_case.sub(GONE, text)
        text = _ANY_BEARER.sub(rf"\g<1>{GONE}", text)
        if self._in_errors is not None:
            text = self._in_errors.sub(GONE, text)
        return self._without_pieces(text)

    def _without_pieces(self, text: str) -> str:
        """Return text in which no _PIECE characters of a key stand together, in any case."""
        # ASCII alone is made small: the small letters of others may be more than one character.
        small = text.translate(_SMALL)
        if not any(small[at : at + _PROBE] in self._probes for at in range(0, len(small), _PROBE)):
            return text
        found: list[str] = []
        kept = 0  # up to where the text is in `found`, or is a key's
        for at in range(len(small) - _PIECE + 1):
            if small[at : at + _PIECE] in self._pieces:
                if at > kept or not found:
                    found += [text[kept:at], GONE]
                kept = at + _PIECE
        return "".join([*found, text[kept:]])

    def _may_hold(self, text: str) -> bool:
        return any(sign in text for sign in self._signs)

    def data(self, body: bytes, *, is_error: bool = False) -> bytes:
        """Return a body without keys; its other bytes are as they were."""
        if not is_error and not any(sign in body for sign in self._signs_in_bytes):
            return body
        # Each byte is one character, and keys are ASCII.
        whole = body.decode("latin-1")
        if b"\0" in body:
            # As whoever reads JSON would read it; what is taken out leaves whole JSON, in UTF-8.
            with contextlib.suppress(UnicodeError):
                read = body.decode(json.detect_encoding(body), "surrogatepass")
                said = self.text(read, is_error=is_error)
                if said != read:
                    whole = said.encode("utf-8", "surrogatepass").decode("latin-1")
                    return self.text(whole, is_error=is_error).encode("latin-1")
        scrubbed = self.text(whole, is_error=is_error)
        return body if scrubbed == whole else scrubbed.encode("latin-1")

    def headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return headers without keys; as they came if there is none in them."""
        values = list(headers.values())
        whole = "\n".join(values)
        if self.text(whole, is_error=True) == whole:
            return headers
        scrubbed = [self.text(value, is_error=True) for value in values]
        return dict(zip((name.lower() for name in headers), scrubbed, strict=True))

    def outcome(self, outcome: Answered | Refused) -> Answered | Refused:
        """Return what was read of a response without keys that only its pieces made whole."""
        if self._pattern is None:
            return outcome
        if isinstance(outcome, Refused):
            reason = self.text(outcome.reason, is_error=True)
            if outcome.kept is not None:
                self._clean(outcome.kept)
            return outcome if reason == outcome.reason else replace(outcome, reason=reason)
        return self._clean(outcome)

    def _clean(self, outcome: Answered) -> Answered:
        answer = outcome.answer
        calls, opaque = calls_to_json(answer.tool_calls), answer.opaque
        kept = opaque.to_json() if opaque is not None else ""
        parts = (answer.text, answer.failed, calls, answer.reasoning, kept, outcome.served,
                 outcome.flags)  # fmt: skip
        whole = "\n".join(parts)
        if not self._may_hold(whole) and GONE not in whole:
            return outcome
        clean: dict[str, Any] = {
            name: said
            for name in ("text", "failed", "reasoning")
            if (said := self.text(getattr(answer, name))) != getattr(answer, name)
        }
        if self.text(calls) != calls:
            clean["tool_calls"] = tuple(map(self._call, answer.tool_calls))
        if self.text(kept) != kept:
            clean["opaque"] = None  # a sealed block is of no use without a part of it
        if clean:
            outcome.answer = replace(answer, **clean)
        outcome.served = self.text(outcome.served)
        if clean or any(GONE in said for said in (answer.text, answer.reasoning)):
            outcome.flags = ",".join(part for part in (outcome.flags, "key-removed") if part)
        return outcome

    def _call(self, call: ToolCall) -> ToolCall:
        return ToolCall(self.text(call.id), self.text(call.name), self.text(call.arguments))


_SMALL = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _windows(keys: Iterable[str], size: int) -> frozenset[str]:
    """Return whatever so many characters stand together in a key that has a piece, small."""
    long = [key.translate(_SMALL) for key in keys if len(key) >= _PIECE]
    return frozenset(k[at : at + size] for k in long for at in range(len(k) - size + 1))


def _spelt_out(key: str) -> str:
    """Return a pattern of a key, each character escaped or not.

    It begins within no run of backslashes: from each of them a search would walk the rest of the
    run, which takes time by the square of its length.
    """
    first = rf"(?:(?<!\\)(?=\\)|(?!\\)){_spelt(key[0])}"
    return first + "".join(_spelt(char) for char in key[1:])


def _spelt(char: str) -> str:
    """Return a pattern of one ASCII character in all the ways in which it is escaped."""
    code = f"{ord(char):02x}"
    hexadecimal = "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in code)
    plain = re.escape(char)
    ways = [plain if char.isalnum() else rf"\\*{plain}", rf"%(?:25)*{hexadecimal}",
            rf"\\+(?:u00|x){hexadecimal}", f"&#(?:0*{ord(char)}|[xX]0*{hexadecimal});"]  # fmt: skip
    if char in _NAMED:
        ways.append(_NAMED[char])
    return f"(?:{'|'.join(ways)})"


def _within_base64(key: str) -> list[str]:
    """Return the part of base64 text that follows from a key alone, at each of three offsets."""
    found: list[str] = []
    for offset, first in enumerate((0, 2, 3)):
        bits = (offset + len(key)) * 8
        whole = base64.b64encode(b"\0" * offset + key.encode()).decode()[first : bits // 6]
        found += {whole, whole.translate(str.maketrans("+/", "-_"))}
    return found
