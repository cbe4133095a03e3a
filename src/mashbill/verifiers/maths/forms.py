"""What an answer is: a number with its unit, several, an interval, a relation, a matrix, a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mashbill.verifiers.maths.exact import TooHardError
from mashbill.verifiers.maths.reading import Ratio, read
from mashbill.verifiers.maths.tokens import tokens
from mashbill.verifiers.maths.units import Unit, unit_of

Kind = Literal["number", "tuple", "set", "interval", "union", "relation", "ratio", "matrix", "word"]
_RELATIONS = frozenset({"=", "<", ">", r"\le", r"\ge", "<=", ">=", r"\ne", "!=", r"\in"})
_PLAIN = {"<=": r"\le", ">=": r"\ge", "!=": r"\ne"}
_OPENS = {"(": ")", "[": "]", r"\{": r"\}", "{": "}", "|": ""}
_CLOSES = frozenset({")", "]", r"\}", "}"})
_PARTS = 40


@dataclass(frozen=True)
class Form:
    """An answer that was read."""

    kind: Kind
    number: Ratio | None = None
    parts: tuple[Form, ...] = ()
    marks: str = ""
    """brackets of an interval or tuple, the sign of a relation, or the word"""
    unit: Unit | None = None
    names: tuple[str, ...] = ()
    """of the parts of a tuple that says which is which: ``x = 1, y = 2``"""


def form_of(text: str) -> Form:
    """Read an answer.

    Raises:
        TooHardError: if it is of no form that is known here.
    """
    found = tokens(text.strip().rstrip(".").strip())
    if not found:
        raise TooHardError
    return _form(found)


def _form(found: list[str]) -> Form:
    word = _word(found)
    if word is not None:
        return word
    pieces = _split(found, r"\cup")
    if len(pieces) > 1:
        return Form("union", parts=tuple(_form(piece) for piece in pieces))
    if found[0] == r"\begin":
        return _matrix(found)
    equations = _equations(found)
    if equations is not None:
        return equations
    relation = _relation(found)
    if relation is not None:
        return relation
    pieces = _split(found, ",")
    if len(pieces) == 1:
        pieces = _split(found, ";")
    if len(pieces) > 1:
        return Form("set", parts=tuple(_form(piece) for piece in pieces))
    pieces = _split(found, ":")
    if len(pieces) > 1:
        return Form("ratio", parts=tuple(_form(piece) for piece in pieces))
    bracketed = _bracketed(found)
    if bracketed is not None:
        return bracketed
    return _number(found)


def _word(found: list[str]) -> Form | None:
    """Return an answer in words, such as ``yes``; None if it is none."""
    if all(mark.startswith("'") or mark.isalpha() for mark in found):
        words = [mark.removeprefix("'").strip() for mark in found]
        if len(words) > 1 or len(words[0]) > 3 or found[0].endswith(" "):
            return Form("word", marks=" ".join(words).casefold())
    return None


def _equations(found: list[str]) -> Form | None:
    """Return ``x = 1, x = 2`` as a set, and ``x = 1, y = 2`` as a tuple with names; else None."""
    if "=" not in found or "," not in found:
        return None
    named: dict[str, list[Form]] = {}
    pieces = _split(found, ",")
    for piece in pieces:
        at = piece.index("=") if piece.count("=") == 1 else 0
        if not at or not _named(piece[:at]) or _RELATIONS & set(piece[at + 1 :]):
            return None
        named.setdefault(" ".join(piece[:at]), []).append(_form(piece[at + 1 :]))
    if len(pieces) < 2:
        return None
    if len(named) == 1:
        return Form("set", parts=tuple(*named.values()))
    if any(len(forms) > 1 for forms in named.values()):
        raise TooHardError
    parts = tuple(forms[0] for forms in named.values())
    return Form("tuple", parts=parts, marks="()", names=tuple(named))


def _relation(found: list[str]) -> Form | None:
    signs = [at for at, mark in _outside(found) if mark in _RELATIONS]
    if not signs:
        return None
    if len(signs) > 2:
        raise TooHardError
    if len(signs) == 2:  # a < x < b is an interval of x
        return _between(found, signs)
    (at,) = signs
    left, right = found[:at], found[at + 1 :]
    sign = _PLAIN.get(found[at], found[at])
    if not left or not right:
        raise TooHardError
    named = _named(left)
    if sign in {"=", r"\in"} and named:  # x = 3 says 3
        return _form(right)
    if sign == "=" and _named(right):
        return _form(left)
    if sign == r"\in":
        raise TooHardError
    if sign in {">", r"\ge"}:
        left, right, sign = right, left, {">": "<", r"\ge": r"\le"}[sign]
    return Form("relation", parts=(_number(left), _number(right)), marks=sign)


def _between(found: list[str], signs: list[int]) -> Form:
    one, two = signs
    low, middle, high = found[:one], found[one + 1 : two], found[two + 1 :]
    first, second = (_PLAIN.get(found[at], found[at]) for at in signs)
    if not _named(middle) or not low or not high:
        raise TooHardError
    if first in {">", r"\ge"} and second in {">", r"\ge"}:
        low, high, first, second = high, low, second, first
    elif not (first in {"<", r"\le"} and second in {"<", r"\le"}):
        raise TooHardError
    marks = ("[" if first in {r"\le", r"\ge"} else "(") + (
        "]" if second in {r"\le", r"\ge"} else ")"
    )
    return Form("interval", parts=(_end(low), _end(high)), marks=marks)


def _named(found: list[str]) -> bool:
    """Return whether it is one letter, or a function of one: what an answer is called."""
    if len(found) in {1, 3} and len(found[0]) == 1 and found[0].isalpha():
        return len(found) == 1 or found[1] == "_"
    is_function = len(found) == 4 and found[1] == "(" and found[3] == ")"
    return is_function and all(len(found[at]) == 1 and found[at].isalpha() for at in (0, 2))


def _bracketed(found: list[str]) -> Form | None:
    """Return a tuple, a set or an interval; None if it is none of them."""
    opens, closes = found[0], found[-1]
    if opens not in _OPENS or closes not in _CLOSES or not _is_one(found):
        return None
    inside = found[1:-1]
    pieces = _split(inside, ",") if inside else []
    if opens == r"\{":
        if closes != r"\}":
            raise TooHardError
        return Form("set", parts=tuple(_form(piece) for piece in pieces))
    if opens == "{":
        return _form(inside)
    if len(pieces) < 2:
        if (opens, closes) == ("(", ")") and inside:
            return _form(inside)
        return None
    if len(pieces) == 2 and ("[" in (opens, closes) or "]" in (opens, closes) or _endless(pieces)):
        return Form("interval", parts=(_end(pieces[0]), _end(pieces[1])), marks=opens + closes)
    return Form("tuple", parts=tuple(_form(piece) for piece in pieces), marks=opens + closes)


def _endless(pieces: list[list[str]]) -> bool:
    return any(r"\infty" in piece for piece in pieces)


def _end(found: list[str]) -> Form:
    """Read an end of an interval."""
    if r"\infty" in found:
        rest = [mark for mark in found if mark not in {"+", r"\infty"}]
        if rest not in ([], ["-"]):
            raise TooHardError
        return Form("word", marks="-infinity" if rest else "infinity")
    return _number(found)


def _matrix(found: list[str]) -> Form:
    end = [at for at, mark in enumerate(found) if mark == r"\end"]
    if len(end) != 1 or found[1] != "{" or "matrix" not in found[2] or found[3] != "}":
        raise TooHardError
    if end[0] + 4 != len(found):
        raise TooHardError
    rows = _split(found[4 : end[0]], "\\\\")
    return Form(
        "matrix",
        parts=tuple(
            Form("tuple", parts=tuple(_form(cell) for cell in _split(row, "&")), marks="row")
            for row in rows
        ),
    )


def _number(found: list[str]) -> Form:
    """Read a number and its unit."""
    rest, unit = unit_of(found)
    if r"\pm" in rest:
        at = rest.index(r"\pm")
        if rest.count(r"\pm") > 1:
            raise TooHardError
        both = tuple(
            Form("number", read([*rest[:at], sign, *rest[at + 1 :]]), unit=unit) for sign in "+-"
        )
        return Form("set", parts=both)
    if len(_split(rest, ",")) > 1:
        raise TooHardError
    return Form("number", read(rest), unit=unit)


def _outside(found: list[str]) -> list[tuple[int, str]]:
    """Return the tokens that stand in no brackets, with their places."""
    depth, outside = 0, []
    for at, mark in enumerate(found):
        if mark in _CLOSES:
            depth -= 1
        if depth == 0:
            outside.append((at, mark))
        if mark in {"(", "[", r"\{", "{"}:
            depth += 1
    return outside


def _split(found: list[str], sign: str) -> list[list[str]]:
    """Return the pieces between a sign that stands in no brackets; none may be empty."""
    if sign not in found:
        return [found]
    places = [at for at, mark in _outside(found) if mark == sign]
    pieces, before = [], 0
    for at in [*places, len(found)]:
        pieces.append(found[before:at])
        before = at + 1
    pieces = [
        piece for place, piece in enumerate(pieces) if piece or place not in {0, len(pieces) - 1}
    ]
    if any(not piece for piece in pieces) or len(pieces) > _PARTS:
        raise TooHardError
    return pieces


def _is_one(found: list[str]) -> bool:
    """Return whether the first bracket closes at the end."""
    depth = 0
    for at, mark in enumerate(found):
        if mark in {"(", "[", r"\{", "{"}:
            depth += 1
        elif mark in _CLOSES:
            depth -= 1
            if depth == 0:
                return at == len(found) - 1
    return False
