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

from mashbill.core.parsing import half_a_character

_SETS = ("$set", "$frozenset")
_TAGS = frozenset({"$tuple", "$map", "$bytes", "$int", "$float", "$complex", "$other", *_SETS})
_SHOWN = 80
_PATIENCE = 4_000_000  # characters that are compared where members of sets are paired
_PART = 0.25
_LARGEST = 10**308
DEEPEST = 40
"""values in one another; as a map, each is three lists in one another of JSON"""


def tag_of(value: Any) -> str:
    """Return the tag of a value that JSON has not; empty for others."""
    if isinstance(value, dict) and len(value) == 1 and (name := next(iter(value))) in _TAGS:
        return str(name)
    return ""


def flaw(value: Any) -> str:
    """Return what is wrong with a value that somebody wrote in this notation; empty if nothing."""
    left = [(value, 0, False)]
    holds_members = []
    while left:
        part, depth, is_member = left.pop()
        tag = tag_of(part)
        inner = part[tag] if tag else part
        if depth > DEEPEST:
            return f"values are nested deeper than {DEEPEST}"
        if wrong := _flaw_of_tag(tag, inner) if tag else _flaw_of_plain(part):
            return wrong
        if is_member and (tag == "$map" or (not tag and isinstance(part, dict))):
            return "an object can be no member of a set and no key"
        if tag in _SETS or tag == "$map":
            holds_members.append([one[0] if tag == "$map" else one for one in inner])
        if tag == "$map":
            left += [(key, depth + 1, True) for key, _ in inner]
            left += [(one, depth + 1, False) for _, one in inner]
        elif isinstance(inner, list) and tag != "$complex":
            left += [(one, depth + 1, is_member or tag in _SETS) for one in inner]
        elif isinstance(inner, dict):
            left += [(one, depth + 1, False) for one in inner.values()]
    for members in holds_members:
        if len(set(map(_text, members))) < len(members):
            return "a member of a set, or a key, is there twice"
    return ""


def _flaw_of_plain(part: Any) -> str:
    if isinstance(part, dict):
        if not all(isinstance(key, str) for key in part):
            return "an object has a key that is no text; write '$map'"
        unknown = next((key for key in part if len(part) == 1 and key.startswith("$")), "")
        if unknown:
            return f"{unknown!r:.40} is none of {', '.join(sorted(_TAGS - {'$other'}))}"
    elif isinstance(part, int) and abs(part) >= _LARGEST:
        return "a whole number has more than 308 digits; write '$int'"
    elif part is not None and not isinstance(part, bool | int | float | str | list):
        return f"a value is {type(part).__name__:.40}, which has no notation here"
    elif isinstance(part, str) and half_a_character(part):
        return "a text holds half of a character"
    return ""


def _flaw_of_tag(tag: str, inner: Any) -> str:
    if tag == "$other":
        return "'$other' says that a value has no notation, so nothing equals it"
    if tag in ("$tuple", *_SETS):
        return "" if isinstance(inner, list) else f"{tag!r} needs a list"
    if tag == "$map":
        if not isinstance(inner, list) or any(
            not isinstance(pair, list) or len(pair) != 2 for pair in inner
        ):
            return "'$map' needs a list of pairs, each a list of key and value"
    elif number(inner, tag) is None and not (tag == "$bytes" and _is_hex(inner)):
        return f"{inner!r:.40} is no value of {tag!r}"
    return ""


def _is_hex(text: Any) -> bool:
    return isinstance(text, str) and len(text) % 2 == 0 and not set(text) - set("0123456789abcdef")


def number(value: Any, tag: str = "") -> int | float | complex | None:
    """Return a number, as JSON or as the inner part of a tag; None for what is none."""
    try:
        if tag == "$int":
            return int(value, 0)
        if tag == "$float":
            return float(value) if isinstance(value, str) else None
        if tag == "$complex":
            real, imaginary = (_real(part) for part in value)
            return complex(real, imaginary)
    except (TypeError, ValueError, OverflowError):
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


def _text(value: Any) -> str:
    """Return a text that is the same for values that are the same without any tolerance."""
    tag = tag_of(value)
    inner = value[tag] if tag else value
    if tag in _SETS and isinstance(inner, list):
        return f"{{{','.join(sorted(map(_text, inner)))}}}"
    if tag in ("", "$tuple") and isinstance(inner, list):
        return f"[{','.join(map(_text, inner))}]"
    if not tag and isinstance(inner, dict):
        return f"<{','.join(sorted(f'{_text(key)}:{_text(inner[key])}' for key in inner))}>"
    if (found := number(inner, tag)) is not None and not isinstance(found, complex):
        return hex(int(found)) if found - found == 0 and found == int(found) else repr(found)
    return json.dumps(value, sort_keys=True)


class Same:
    """Says whether two values are the same, numbers within a tolerance."""

    def __init__(self, relative: float, absolute: float) -> None:
        """Take the tolerance of numbers of which one is no whole number."""
        self._relative, self._absolute = relative, absolute

    def __call__(self, said: Any, known: Any, paired: int = 256) -> bool:
        """Return whether a value is the one that is expected; a tuple is a list to this.

        Args:
            said: what a program gave, nested no deeper than what reads JSON takes.
            known: what is expected, without a flaw.
            paired: members of a set that are compared with each other, at most.
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
                return self._same_members(one, two, kinds == {"map"}, paired)
            return all(self(a, b, paired) for a, b in zip(one, two, strict=True))
        if isinstance(one, dict) and isinstance(two, dict):
            return one.keys() == two.keys() and all(self(one[key], two[key], paired) for key in two)
        if isinstance(one, bool) or isinstance(two, bool):
            return one is two
        first, second = (number(value, tag) for value, tag in ((one, ours), (two, theirs)))
        if first is not None and second is not None:
            return self._same_numbers(first, second)
        return bool(first is None and second is None and ours == theirs and one == two)

    def _same_members(self, one: list[Any], two: list[Any], is_map: bool, paired: int) -> bool:
        """Return whether members are the same in any order.

        What is written the same is told apart first; the rest, which are numbers within the
        tolerance, is paired, as far as that takes no longer than can be waited for.
        """
        keyed = [
            {
                _text(pair[0] if is_map and isinstance(pair, list) and pair else pair): pair
                for pair in each
            }
            for each in (one, two)
        ]
        if not is_map and keyed[0].keys() == keyed[1].keys():
            return True
        if is_map and not all(isinstance(pair, list) and len(pair) == 2 for pair in one):
            return False
        both = keyed[0].keys() & keyed[1].keys()
        if is_map and not all(self(keyed[0][key][1], keyed[1][key][1], paired) for key in both):
            return False
        rest, left = ([each[key] for key in each if key not in both] for each in keyed)
        sizes = sum(len(key) for each in keyed for key in each if key not in both)
        if len(rest) != len(left) or len(rest) > paired or len(rest) * sizes > _PATIENCE:
            return False
        for member in rest:
            same = (i for i, other in enumerate(left) if self(member, other, paired // len(rest)))
            if (place := next(same, None)) is None:
                return False
            del left[place]
        return True

    def _same_numbers(self, one: Any, two: Any) -> bool:
        if isinstance(one, int) and isinstance(two, int):
            return bool(one == two)
        try:
            if isinstance(one, complex) or isinstance(two, complex):
                one, two = complex(one), complex(two)
                return self._close(one.real, two.real) and self._close(one.imag, two.imag)
            if isinstance(one, int) or isinstance(two, int):
                return self._near_whole(*((one, two) if isinstance(one, int) else (two, one)))
            return self._close(one, two)
        except OverflowError:
            return bool(one == two)

    def _near_whole(self, whole: int, real: float) -> bool:
        """Return whether a number is a whole one but for an error of rounding.

        Half of one off is another number, however large they are; and so is one off.
        """
        if real.is_integer():
            return int(real) == whole
        return self._close(float(whole), real) and abs(float(whole) - real) < _PART

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
