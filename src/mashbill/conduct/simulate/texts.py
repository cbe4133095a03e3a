"""Prompts by grammars of our own, in eight languages: ``grammar.toml`` says what is said.

A *frame* is a template as one account or one campaign has it: everything in it is drawn but for
the item that it is filled with, and what differs from request to request (``{reply}``, ``{way}``).
An item of a pool is its number's own: whoever takes item 17 of a public pool has the same words.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.core.plain_toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Callable

    Random = Callable[[], float]

_SLOT = re.compile(r"\{(\w+)\}")
_FIRST = ("ba", "der", "fo", "gil", "ha", "jun", "ka", "lor", "mi", "nar", "ost", "pel", "qua")
_LAST = ("dan", "fix", "gen", "hub", "kit", "lax", "mon", "nix", "pod", "ris", "sol", "tek", "vo")
_MASK = (1 << 64) - 1
_LATE = {"item": "", "reply": "answer", "way": "evolve_way"}
"""what a frame leaves open -> what it is then drawn from; the item is given"""


class Rule:
    """A slot: one of its options is taken, each a tuple of texts and slots, last one first."""

    __slots__ = ("late", "name", "options")

    def __init__(self, name: str, late: Rule | None = None) -> None:
        """Start with no options."""
        self.name = name
        self.options: list[tuple[str | Rule, ...]] = []
        self.late = late


_NUMBER, _WORD = Rule("n"), Rule("w")
_ITEM = Rule("item")
_ITEM.late = _ITEM

Frame = tuple[str | Rule, ...]


class Mixer:
    """Numbers that a number decides: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""

    __slots__ = ("_state",)

    def __init__(self, *parts: int) -> None:
        """Start at numbers that together are a place."""
        state = 0x1234567
        for part in parts:
            state = ((state ^ part) * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & _MASK
        self._state = state

    def __call__(self) -> float:
        """Return the next number of [0, 1)."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)


class Words:
    """What can be said, by language and slot."""

    def __init__(self, lists: dict[str, dict[str, list[str]]]) -> None:
        """Join the slots of each language; one that it lacks is English's.

        Raises:
            InputError: if a slot is named that no language has.
        """
        self._rules: dict[str, dict[str, Rule]] = {}
        english = {name: Rule(name) for name in lists["en"]}
        for language, slots in lists.items():
            own = {name: Rule(name) for name in slots} if language != "en" else english
            self._rules[language] = {**english, **own}
        for language, slots in lists.items():
            rules = self._rules[language]
            for name, options in slots.items():
                rules[name].options.extend(_compiled(option, rules) for option in options)

    def say(self, slot: str, language: str, random: Random) -> str:
        """Return one of what a slot can say."""
        return _text(self._rules[language][slot].options, random, None, "")

    def frame(self, slot: str, language: str, random: Random) -> Frame:
        """Return a template: all is drawn but the item and what differs by request."""
        options = self._rules[language][slot].options
        todo: list[str | Rule] = list(options[int(random() * len(options))])
        parts: list[str | Rule] = []
        while todo:
            part = todo.pop()
            if isinstance(part, Rule) and part.late is None:
                if part is _NUMBER or part is _WORD:
                    parts.append(_made_up(part, random))
                else:
                    todo.extend(part.options[int(random() * len(part.options))])
            else:
                parts.append(part)
        return tuple(reversed(parts))

    def fill(self, frame: Frame, item: str, random: Random) -> str:
        """Return a template with an item in it."""
        return _text([frame], random, _ITEM, item)


def _text(
    options: list[tuple[str | Rule, ...]], random: Random, open_slot: Rule | None, item: str
) -> str:
    """Return one of the options, all slots in it drawn."""
    todo: list[str | Rule] = list(options[int(random() * len(options))])
    out: list[str] = []
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            out.append(part)
        elif part is _NUMBER or part is _WORD:
            out.append(_made_up(part, random))
        elif part is _ITEM:
            out.append(item if open_slot is part else "")
        else:
            rule = part.late or part
            todo.extend(rule.options[int(random() * len(rule.options))])
    return "".join(out)


def _made_up(rule: Rule, random: Random) -> str:
    """Return a number, or a word that is none."""
    if rule is _NUMBER:
        return str(2 + int(random() * 97))
    place = int(random() * 2197)
    return (
        _FIRST[place % 13]
        + _LAST[place // 13 % 13]
        + ("", "a", "is", "o", "ur", "em", "y")[place // 169 % 7]
    )


def _compiled(text: str, rules: dict[str, Rule]) -> tuple[str | Rule, ...]:
    """Return an option's texts and slots, last one first."""
    parts: list[str | Rule] = []
    for place, part in enumerate(_SLOT.split(text)):
        if place % 2 == 0:
            if part:
                parts.append(part)
            continue
        if part == "item":
            parts.append(_ITEM)
        elif part in _LATE:
            parts.append(Rule(part, late=rules[_LATE[part]]))
        elif part in {"n", "w"}:
            parts.append(_NUMBER if part == "n" else _WORD)
        elif part in rules:
            parts.append(rules[part])
        else:
            msg = f"grammar.toml: {text!r:.80} names {{{part}}}, which no list is called"
            raise InputError(msg)
    return tuple(reversed(parts))


@cache
def words() -> Words:
    """Return what the package's grammar can say."""
    return Words(read_toml(resources.files(__package__) / "grammar.toml")[1])


def pool_item(pool: int, number: int, slot: str, language: str = "en") -> str:
    """Return an item of a public pool: the same words for everybody."""
    return words().say(slot, language, Mixer(77, pool, number))
