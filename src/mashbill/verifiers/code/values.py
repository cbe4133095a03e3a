"""Values of programs as JSON, and when two of them are the same.

What JSON has is written as it is: null, booleans, numbers, texts, lists, and objects whose keys are
texts. What it has not is an object with one key:

    {"$tuple": [...]}   {"$set": [...]}   {"$frozenset": [...]}   {"$map": [[key, value], ...]}
    {"$bytes": "00ff"}  {"$int": "0x..."} {"$float": "nan"}       {"$complex": [real, imaginary]}

and a value of any other type is ``{"$other": "TYPE"}``, which equals nothing.

Values are compared here, outside of the sandbox: what a program says of equality (``__eq__``) has
no part in it.
"""

from __future__ import annotations

import json
import math
from typing import Any

_SETS = ("$set", "$frozenset")
_TAGS = frozenset({"$tuple", "$map", "$bytes", "$int", "$float", "$complex", "$other", *_SETS})
_SHOWN = 80
_PAIRED = 256  # members of a set that are compared with each other


def tag_of(value: Any) -> str:
    """Return the tag of a value that JSON has not; empty for others."""
    if isinstance(value, dict) and len(value) == 1 and (name := next(iter(value))) in _TAGS:
        return str(name)
    return ""


def flaw(value: Any) -> str:
    """Return what is wrong with a value that somebody wrote in this notation; empty if nothing."""
    left = [value]
    while left:
        part = left.pop()
        tag = tag_of(part)
        if isinstance(part, list):
            left += part
        elif not tag and isinstance(part, dict):
            left += part.values()
            unknown = next((key for key in part if len(part) == 1 and key.startswith("$")), "")
            if unknown:
                return f"{unknown!r:.40} is none of {', '.join(sorted(_TAGS - {'$other'}))}"
        elif tag and (wrong := _flaw_of_tag(tag, part[tag], left)):
            return wrong
    return ""


def _flaw_of_tag(tag: str, inner: Any, left: list[Any]) -> str:
    if tag == "$other":
        return "'$other' says that a value has no notation, so nothing equals it"
    if tag in ("$tuple", *_SETS):
        if not isinstance(inner, list):
            return f"{tag!r} needs a list"
        left += inner
    elif tag == "$map":
        if not isinstance(inner, list) or any(
            not isinstance(pair, list) or len(pair) != 2 for pair in inner
        ):
            return "'$map' needs a list of pairs, each a list of key and value"
        left += [one for pair in inner for one in pair]
    elif number(inner, tag) is None and not (tag == "$bytes" and _is_hex(inner)):
        return f"{inner!r:.40} is no value of {tag!r}"
    return ""


def _is_hex(text: Any) -> bool:
    return isinstance(text, str) and len(text) % 2 == 0 and not set(text) - set("0123456789abcdef")


def number(value: Any, tag: str = "") -> int | float | complex | None:
    """Return a number, as JSON or as the inner part of a tag; None for what is none."""
    try:
        if tag == "$int":
            return int(value, 16)
        if tag == "$float":
            return float(value) if isinstance(value, str) else None
        if tag == "$complex":
            real, imaginary = (_real(part) for part in value)
            return complex(real, imaginary)
    except (TypeError, ValueError):
        return None
    if tag or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value


def _real(part: Any) -> float:
    tag = tag_of(part)
    found = number(part[tag] if tag else part, tag)
    if found is None or isinstance(found, complex):
        raise ValueError
    return float(found)


class Same:
    """Says whether two values are the same, numbers within a tolerance."""

    def __init__(self, relative: float, absolute: float) -> None:
        """Take the tolerance of numbers of which one is no whole number."""
        self._relative, self._absolute = relative, absolute

    def __call__(self, said: Any, known: Any) -> bool:
        """Return whether a value is the one that is expected; a tuple is a list to this.

        Both are nested no deeper than what reads JSON takes.
        """
        ours, theirs = tag_of(said), tag_of(known)
        if "$other" in (ours, theirs):
            return False
        if "$map" in (ours, theirs) and "" in (ours, theirs):
            said, known = (_pairs(value, tag) for value, tag in ((said, ours), (known, theirs)))
            ours, theirs = tag_of(said), tag_of(known)
        one, two = (_inner(value, tag) for value, tag in ((said, ours), (known, theirs)))
        if isinstance(one, list) and isinstance(two, list):
            kinds = {_kind(ours), _kind(theirs)}
            if len(kinds) != 1 or len(one) != len(two):
                return False
            if kinds != {"list"}:
                return self._same_members(one, two)
            return all(self(a, b) for a, b in zip(one, two, strict=True))
        if isinstance(one, dict) and isinstance(two, dict):
            return one.keys() == two.keys() and all(self(one[key], two[key]) for key in two)
        if isinstance(one, bool) or isinstance(two, bool):
            return one is two
        first, second = (number(value, tag) for value, tag in ((one, ours), (two, theirs)))
        if first is not None and second is not None:
            return self._same_numbers(first, second)
        return bool(first is None and second is None and ours == theirs and one == two)

    def _same_members(self, one: list[Any], two: list[Any]) -> bool:
        written = (
            sorted(json.dumps(member, sort_keys=True) for member in each) for each in (one, two)
        )
        if next(written) == next(written):
            return True
        if len(two) > _PAIRED:
            return False
        left = list(two)
        for member in one:
            place = next((i for i, other in enumerate(left) if self(member, other)), None)
            if place is None:
                return False
            del left[place]
        return True

    def _same_numbers(self, one: Any, two: Any) -> bool:
        if isinstance(one, int) and isinstance(two, int):
            return bool(one == two)
        if isinstance(one, complex) or isinstance(two, complex):
            return all(
                self._close(float(a), float(b))
                for a, b in ((one.real, two.real), (one.imag, two.imag))
            )
        try:
            return self._close(float(one), float(two))
        except OverflowError:
            return bool(one == two)

    def _close(self, one: float, two: float) -> bool:
        if math.isnan(one) or math.isnan(two):
            return math.isnan(one) and math.isnan(two)
        return math.isclose(one, two, rel_tol=self._relative, abs_tol=self._absolute)


def _inner(value: Any, tag: str) -> Any:
    return value[tag] if tag else value


def _pairs(value: Any, tag: str) -> Any:
    """Return an object as pairs, as a map with other keys than texts is written."""
    if tag or not isinstance(value, dict):
        return value
    return {"$map": [[key, one] for key, one in value.items()]}


def _kind(tag: str) -> str:
    if tag in _SETS:
        return "set"
    return "map" if tag == "$map" else "list"


def told(value: Any) -> str:
    """Return a value as a reason shows it, cut."""
    tag = tag_of(value)
    if tag == "$other":
        return f"a value of type {value[tag]!r:.40}"
    text = f"{value!r}" if not tag else f"{tag[1:]} {value[tag]!r}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
