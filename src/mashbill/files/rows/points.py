"""Where punctuation bears meaning: in numbers and formulas, names such as .NET, and :-).

:func:`spelt` writes out a folded text with the points that mean something; everything else reads
it by :func:`may_mean`, which is quick and says no only where there is no such point. The rule is
told in :mod:`mashbill.files.rows.text`.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass

from mashbill.core.letters import UNSPACED, kind, word_pattern

_OPEN, _CLOSE = "([{", ")]}"
_IN_NUMBERS = ".,:'’·٫٬．，："  # noqa: RUF001
_SAME = str.maketrans({"’": "'", "‐": "-", "‑": "-", "‒": "-", "–": "-", "−": "-", "﹣": "-", "－": "-"})  # noqa: RUF001, E501  # fmt: skip
MINUS = "−"  # noqa: RUF001
_DASHES = r"\-‐‑‒–−﹣－"  # noqa: RUF001
"""of these one may be a minus; the em dash is none"""
_OPERATORS = "+*/^×÷±∓∙⋅∗∘√∛∑∏∫¬∧∨∩∪⊕⊗"  # noqa: RUF001
"""signs that a bracket beside them has to do with"""
_VALUES = "%‰°$€£¥₹₽₩₺₴₫₪฿¢∞"
"""signs that may stand before a minus as a number does"""
_FACE = r"""(?<!\S)[:;][-'^]?[()\[\]{}dpo/\\|*]+(?=[.!?,]*(?!\S))"""
_VARIABLE = re.compile(rf"(?![{UNSPACED}])[^\W\d_][\u0300-\u036f]*\d*")
"""one letter, which may be numbered"""

_GLUE = "\0"
"""behind a sign that stands before what it belongs to; no token has it, as it counts as space"""
_BEFORE = re.compile(f"{_GLUE} *")

_GAP = r"[\s\x00-\x1f\x7f-\x9f]*"
_O = "".join(map(re.escape, _OPERATORS))
# It begins with a class, so that a search passes over other characters at once.
_MAY_MEAN = re.compile(
    rf"[{_DASHES}.,:;'’·٫٬．，：!()\[\]{{}}{_O}](?:"  # noqa: RUF001
    rf"(?<=\d[{_IN_NUMBERS}])\d|(?<=[·{MINUS}])"
    rf"|(?<=[{_DASHES}])(?:(?! )[\W\d_]| [\W\d_]| ?[^\W\d_](?:[\W\d_]|$)|$"
    rf"| ?[^\s({_DASHES}]*\()"
    rf"|(?<=<[{_DASHES}])"
    r"|(?<=[!:])=|(?<=[.!])(?<!\w.)[^\s.!?,\"'”’)\]]"  # noqa: RUF001
    rf"|(?<=[{_O}]){_GAP}[(\[{{]|(?<=[)\]}}]){_GAP}[{_O}{_DASHES}]"
    rf"|(?<=['’]){_GAP}[(={_O}{_DASHES}]"  # noqa: RUF001
    r"|(?<=[:;])(?<!\w.)[-'^()\[\]{}dpo/\\|*])",
    re.DOTALL,
)
MAY_MEAN_ASCII = (
    r"(?s)-(?:[^a-z ]| [^a-z]| ?[a-z](?:[^a-z]|$)|$| ?[^\s(-]*\()|<-|[!:]="
    r"|(?:^|\W)[.!][^\s.!?,\"')\]]|[+*/^]\W*[(\[{]|[)\]}]\W*[-+*/^]|'\W*[-(=+*/^]"
    r"|(?:^|\W)[:;][-'^()\[\]{}dpo/\\|*]"
)
"""the same for folded texts of ASCII, but for points between digits, and as RE2 has it: it looks
neither back nor ahead"""


def may_mean(text: str) -> bool:
    """Return whether a folded text may have points that mean something."""
    return _MAY_MEAN.search(text) is not None


@dataclass(slots=True)
class _Token:
    text: str
    kind: str
    """``word``, ``sign``, ``dash`` or ``point``"""
    gap: bool
    """whether white space is before it"""
    out: str = " "
    """what stands for it"""

    @property
    def means(self) -> bool:
        return self.out != " "


_AT_ONCE = 1 << 20  # characters: a token takes some 150 bytes
_FAR = 16  # tokens looked past: brackets and primes in a row
_EDGE = _Token("", "edge", gap=True)


@functools.cache
def _scanner() -> re.Pattern[str]:
    return re.compile(
        rf"(?P<face>{_FACE})|(?P<word>{word_pattern()})|(?P<dash>[{_DASHES}]+)|.", re.DOTALL
    )


def spelt(text: str) -> str:
    """Return a folded text as words and signs, with the points that mean something.

    What is left out is a space, and signs have spaces around them. A text of more than a million
    characters is cut at a space into pieces, each of which is read by itself.
    """
    pieces = []
    while len(text) > _AT_ONCE:
        end = text.find(" ", _AT_ONCE) + 1 or len(text)
        pieces.append(_spelt(text[:end]))
        text = text[end:]
    return " ".join([*pieces, _spelt(text)])


def _spelt(text: str) -> str:
    tokens = [_EDGE]
    gap = True
    for found in _scanner().finditer(text):
        piece = found[0]
        name = {"face": "word"}.get(str(found.lastgroup), found.lastgroup) or kind(piece)
        if name != "space":
            out = piece if found.lastgroup == "word" else " " if name == "point" else f" {piece} "
            tokens.append(_Token(piece, name, gap, out))
        gap = name == "space"
    tokens.append(_EDGE)
    for at, token in enumerate(tokens):
        if token.kind == "dash":
            token.out = _dash(tokens, at)
        elif token.kind == "point":
            token.out = _point(tokens, at)
    # A bracket means something beside an operator, or beside one that does.
    for at in range(1, len(tokens) - 1):
        if tokens[at].text in _OPEN and _operates(tokens[at - 1], _OPEN):
            tokens[at].out = f" {tokens[at].text} "
    for at in range(len(tokens) - 2, 0, -1):
        if tokens[at].text in _CLOSE and _operates(tokens[at + 1], _CLOSE):
            tokens[at].out = f" {tokens[at].text} "
    joined = "".join(f" {token.out}" if token.gap else token.out for token in tokens[1:-1])
    return _BEFORE.sub("", joined)


def _operates(token: _Token, brackets: str) -> bool:
    """Return whether a bracket beside it means something."""
    if token.kind == "edge" or not token.means:
        return False
    return token.kind == "dash" or token.text in _OPERATORS or token.text in brackets


def _is_value(token: _Token) -> bool:
    """Return whether a token may be what something is subtracted from."""
    if token.kind == "word":
        found = _VARIABLE.fullmatch(token.text) or re.search(r"\d", token.text)
        return found is not None
    return token.kind != "edge" and token.text in _CLOSE + _VALUES


def _is_subtracted(tokens: list[_Token], at: int) -> bool:
    """Return whether there is a number, a variable or a function at a place, or behind brackets."""
    last = min(at + _FAR, len(tokens) - 1)
    while at < last and (
        tokens[at].text in _OPEN + "√"
        or tokens[at].kind == "dash"
        or unicodedata.category(tokens[at].text[0]) == "Sc"
        or (tokens[at].text == "." and not tokens[at + 1].gap)
    ):
        at += 1
    token, after = tokens[at], tokens[at + 1] if tokens[at].kind != "edge" else _EDGE
    if token.kind != "word":
        return False
    if token.text[0].isdecimal() or _VARIABLE.fullmatch(token.text):
        return True
    return after.text == "(" and not after.gap


def _dash(tokens: list[_Token], at: int) -> str:
    """Return what stands for a dash: nothing, unless it is a sign."""
    before, dash, after = tokens[at - 1 : at + 2]
    text, certain = dash.text.translate(_SAME), MINUS in dash.text
    apart = dash.gap or before.kind != "word"
    if (after.text in ("=", ">") and not after.gap) or (before.text == "<" and not dash.gap):
        if not _is_subtracted(tokens, at + 1):
            return f" {text} "
    elif not (apart or certain or _is_value(before)):
        return " "  # a hyphen: well-known, COVID-19
    if len(text) > 1 and _is_value(before) and not dash.gap and after.gap:
        return f"{text} "
    if certain or _is_subtracted(tokens, at + 1):
        if _is_value(before) or (certain and before.kind == "word"):
            return f" {text} "
        if certain or not after.gap or before.kind == "sign" or before.text in tuple(_OPEN):
            return f" {text}{_GLUE}"
    return " "


def _point(tokens: list[_Token], at: int) -> str:
    """Return what stands for a point: nothing, unless it is part of a number, a name or a term."""
    before, point, after = tokens[at - 1 : at + 2]
    text = point.text.translate(_SAME)
    glued = not point.gap and not after.gap and before.kind == after.kind == "word"
    if glued and (
        text == "·"
        or (text in _IN_NUMBERS and before.text[-1].isdecimal() and after.text[0].isdecimal())
    ):
        return text
    if text in ("!", ":") and after.text == "=" and not after.gap:
        return f" {text} "
    begun = after.kind == "word" or (text == "!" and after.text == "(")
    if text in (".", "!") and begun and not after.gap and _begins(tokens, at):
        return f" {text}"
    is_prime = text == "'" and not point.gap and (
        _VARIABLE.fullmatch(before.text) or (before.text in ("'", "’") and before.means)  # noqa: RUF001
    )  # fmt: skip
    if is_prime and ((after.text == "(" and not after.gap) or _follows(tokens, at + 1)):
        return text
    return " "


def _begins(tokens: list[_Token], at: int) -> bool:
    """Return whether what is at a place begins a word, a bracket or a quotation."""
    before, this = tokens[at - 1 : at + 1]
    if this.gap or before.text in (*_OPEN, "=", "+", "/", "~") or before.kind == "dash":
        return True
    if before.kind == "sign":
        return unicodedata.category(before.text) == "Sc"
    return before.text in tuple("\"'“‘«„") and before.gap  # noqa: RUF001


def _follows(tokens: list[_Token], at: int) -> bool:
    """Return whether an operator or a sign of equality is at a place, past primes."""
    last = min(at + _FAR, len(tokens) - 1)
    while at < last and tokens[at].text in ("'", "’"):  # noqa: RUF001
        at += 1
    if tokens[at].text == "(":
        return not tokens[at].gap
    return tokens[at].kind == "dash" or (
        tokens[at].kind == "sign" and tokens[at].text in _OPERATORS + "="
    )
