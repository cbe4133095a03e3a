"""The bytes that each token stands for, and where they stand in a text, exactly.

Which bytes a token stands for is in the tokenizer's own files: its vocabulary, written in the
letters that byte-level tokenizers have for bytes, or in plain letters with a mark for a space and
names such as ``<0x0A>`` for single bytes. Offsets that a tokenizer tells of its encoding are not
asked for: they count characters, so that of a character cut in two they say nothing, and
SentencePiece's count what was put before the text.

What is exact is checked and not believed: the bytes of all tokens, one behind the other, have to be
those of the text. Of a tokenizer that changes texts before it cuts them (lower case, composed
letters, spaces made one) that holds for texts that it leaves as they are, and others are refused,
saying why.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.models.tokenizer_identity import ids_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenizers import Tokenizer

SPACE = "\u2581"
"""how SentencePiece and what follows it write a space"""
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>\Z")
_BESIDE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
"""bytes that byte-level tokenizers write as the letter of the same number"""
_WAYS = 256
"""places that a token may begin at, while it is not known which marks stand in the text"""
_SHOWN = 24  # bytes of a text that messages show

Span = tuple[int, int]
"""where a token's bytes begin in the text's UTF-8 bytes, and where they end"""


class BytesLostError(InputError):
    """A tokenizer, or its tokens of one text, of which the bytes cannot be had."""


class TokenBytes:
    """The bytes of a tokenizer's tokens."""

    def __init__(self, tokenizer: Tokenizer, title: str = "the tokenizer") -> None:
        """Read how it writes bytes.

        Args:
            tokenizer: of the ``tokenizers`` library (``backend_tokenizer`` of a fast one).
            title: what messages call it.

        Raises:
            BytesLostError: if its tokens do not say their bytes, as WordPiece's do not.
        """
        self._tokenizer = tokenizer
        self._title = title
        told = json.loads(tokenizer.to_str())
        self.changes = _changes(told.get("normalizer"))
        """normalisers by which texts may be changed before they are cut"""
        self._check(told["model"])
        kinds = {*_types(told.get("decoder")), *_types(told.get("pre_tokenizer"))}
        self._is_bytes = "ByteLevel" in kinds
        self.has_marker = not self._is_bytes and (
            "Metaspace" in kinds or _replaces_marker(told.get("decoder"))
        )
        """whether a space is written as a mark, one of which may stand before a text's first
        word"""
        has_names = "ByteFallback" in kinds or bool(told["model"].get("byte_fallback"))
        self._has_names = has_names and not self._is_bytes
        self._unknown = self._unknown_id(told["model"])
        added = tokenizer.get_added_tokens_decoder().items()
        self._added = {i: token for i, token in added if not self._named(token.content)}
        self.marks: frozenset[int] = frozenset(
            i for i, token in self._added.items() if token.special
        )
        """ids of special tokens, which stand in a text only where it spells them out"""

    def _check(self, model: dict[str, Any]) -> None:
        kind = model.get("type") or ("WordPiece" if "max_input_chars_per_word" in model else "")
        if kind == "WordPiece":
            how = "is a WordPiece tokenizer, whose tokens leave out the spaces between words"
        elif model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
            how = "marks parts of words (##, </w>), so that its tokens leave out the spaces"
        else:
            return
        msg = (
            f"{self._title} {how}, and no text can be had of them byte by byte; take a model with "
            "a byte-level, SentencePiece or Unigram tokenizer"
        )
        raise BytesLostError(msg)

    def _unknown_id(self, model: dict[str, Any]) -> int | None:
        told = model.get("unk_id")
        if isinstance(told, int):
            return told
        token = model.get("unk_token")
        return self._tokenizer.token_to_id(token) if isinstance(token, str) else None

    @cached_property
    def all(self) -> list[bytes]:
        """The bytes of each id; of ids that no token has, none."""
        found = [b""] * ids_of(self._tokenizer)
        for token, i in self._tokenizer.get_vocab().items():
            own = self._added.get(i)
            found[i] = self._bytes(token) if own is None else own.content.encode()
        return found

    def _named(self, token: str) -> bytes:
        """Return the byte that a token names, which some have as a special token; or none."""
        named = _BYTE.match(token) if self._has_names else None
        return bytes([int(named[1], 16)]) if named else b""

    def _bytes(self, token: str) -> bytes:
        if self._is_bytes:
            try:
                return bytes(_LETTERS[letter] for letter in token)
            except KeyError:  # a token that was put there as text, as the decoder reads it too
                return token.encode()
        if named := self._named(token):
            return named
        return (token.replace(SPACE, " ") if self.has_marker else token).encode()

    def of(self, ids: Sequence[int]) -> list[bytes]:
        """Return the bytes of each token; of a special one, what it is written as.

        Raises:
            BytesLostError: if an id is no token's, or stands for what is not known.
        """
        found = []
        for i in ids:
            if not 0 <= i < len(self.all):
                msg = (
                    f"{self._title} has {len(self.all):,} ids, and {i} is none of them: it is of "
                    "another tokenizer"
                )
                raise BytesLostError(msg)
            if i == self._unknown:
                msg = (
                    f"{self._title} has no token for a part of the text, and writes "
                    f"{self.all[i].decode(errors='replace')!r} there; take a model whose tokenizer "
                    "falls back on bytes"
                )
                raise BytesLostError(msg)
            found.append(self.all[i])
        return found

    def spans(self, ids: Sequence[int], text: str) -> list[Span]:
        """Return where the bytes of each token stand in a text.

        A special token stands in the text where the text spells it out, and has no bytes elsewhere.
        So has the space that some tokenizers put before a text's first word, and behind a token
        that was added to the vocabulary.

        Raises:
            BytesLostError: if the tokens are not the text, saying where they part.
        """
        whole = text.encode()
        ways: list[dict[int, int]] = [{0: 0}]  # of each token: where it ends -> where it begins
        begins, furthest = True, (0, b"")
        for i, token in zip(ids, self.of(ids), strict=True):
            ends: dict[int, int] = {}
            for at in sorted(ways[-1]):
                for written in self._written(i, token, begins=begins):
                    if whole.startswith(written, at):
                        ends.setdefault(at + len(written), at)
                    elif at >= furthest[0]:
                        furthest = (at, written)
            if not ends or len(ends) > _WAYS:
                raise self._lost(whole, *furthest)
            ways.append(ends)
            begins = i in self._added or (begins and not token)
        if len(whole) not in ways[-1]:
            raise self._lost(whole, max(ways[-1]), b"")
        found: list[Span] = []
        at = len(whole)
        for ends in reversed(ways[1:]):
            found.append((ends[at], at))
            at = ends[at]
        return found[::-1]

    def _written(self, i: int, token: bytes, *, begins: bool) -> Iterator[bytes]:
        """Yield what a token may be in the text: its bytes, or fewer."""
        if i in self.marks:
            yield b""
        if token:
            yield token
        if begins and self.has_marker and token.startswith(b" "):
            yield token[1:]

    def _lost(self, whole: bytes, at: int, token: bytes) -> BytesLostError:
        stands = whole[at : at + _SHOWN].decode(errors="replace")
        has = token[:_SHOWN].decode(errors="replace")
        why = (
            f"it changes texts before it cuts them ({', '.join(self.changes)})"
            if self.changes
            else "it leaves out or changes something"
        )
        msg = (
            f"the tokens of {self._title} are not the text: at byte {at:,} of {len(whole):,} the "
            f"text has {stands!r}, and the tokens {has!r}; {why}, so this text cannot be aligned "
            "by its bytes"
        )
        return BytesLostError(msg)


def _letters() -> dict[str, int]:
    """Return the letters that byte-level tokenizers write bytes in, as GPT-2's did first."""
    found = {chr(byte): byte for byte in _BESIDE}
    others = (byte for byte in range(256) if chr(byte) not in found)
    return found | {chr(256 + number): byte for number, byte in enumerate(list(others))}


_LETTERS = _letters()


def _parts(step: Any) -> Iterator[dict[str, Any]]:
    """Yield a normaliser, pre-tokenizer or decoder and what it is made of, however deep."""
    waiting = [step]
    while waiting:
        held = waiting.pop()
        if not isinstance(held, dict):
            continue
        yield held
        for key in ("decoders", "pretokenizers", "normalizers"):
            waiting += held.get(key) or []


def _types(step: Any) -> list[str]:
    return [str(part.get("type")) for part in _parts(step)]


def _changes(normaliser: Any) -> list[str]:
    """Return the kinds of normalisers that do more than write a space as the mark for one."""
    return sorted(
        {
            str(part.get("type"))
            for part in _parts(normaliser)
            if part.get("type") not in {"Sequence", "Prepend"} and part.get("content") != SPACE
        }
    )


def _replaces_marker(decoder: Any) -> bool:
    return any(
        part.get("type") == "Replace"
        and part.get("content") == " "
        and part.get("pattern") == {"String": SPACE}
        for part in _parts(decoder)
    )
