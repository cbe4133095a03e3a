"""Redacting the texts of a row: what is found gets a name, the same wherever it stands in the row.

After that no text of the row holds what was found, also where it stands as a part of something
else; and to redact again changes nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from mashbill.files.rows.redacted import KINDS, Kind, written
from mashbill.stages.personal.addresses import emails, ips
from mashbill.stages.personal.found import Found
from mashbill.stages.personal.numbers import COUNTRIES, cards, ibans, national_ids, phones

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KIND, NUMBER = "{kind}", "{number}"
_DIGITS = re.compile(r"[0-9]{1,9}")
_ROUNDS = 8
"""times that a text is looked at again: what was hidden by its neighbours may be seen then"""


class Finder:
    """Finds some kinds."""

    def __init__(
        self,
        kinds: Sequence[Kind] = KINDS,
        regions: Sequence[str] = ("US",),
        countries: Sequence[str] = COUNTRIES,
    ) -> None:
        """Say what to look for.

        Args:
            kinds: what.
            regions: of telephone numbers that are written as they are dialled there.
            countries: of identity numbers.
        """
        self._kinds = [kind for kind in KINDS if kind in kinds]
        self._regions = tuple(regions)
        self._countries = tuple(countries)

    def found_in(self, text: str) -> list[Found]:
        """Return what is found, in order, none over another."""
        taken: list[Found] = []
        for kind in self._kinds:
            for found in self._of_kind(kind, text):
                if all(found.stop <= one.start or one.stop <= found.start for one in taken):
                    taken.append(found)
        return sorted(taken, key=lambda each: each.start)

    def _of_kind(self, kind: Kind, text: str) -> Iterable[Found]:
        if kind == "email":
            return emails(text)
        if kind == "ip":
            return ips(text)
        if kind == "card":
            return cards(text)
        if kind == "iban":
            return ibans(text)
        if kind == "national-id":
            return national_ids(text, self._countries)
        return phones(text, self._regions)


class RowRedactor:
    """Redacts the texts of one row."""

    def __init__(self, finder: Finder, put: str, texts: Iterable[str]) -> None:
        """Look at all texts of the row.

        Args:
            finder: finds.
            put: what stands in the place of a find; ``{kind}`` is its kind in capitals,
                ``{number}`` counts different ones of a kind within the row.
            texts: of the row.
        """
        self.counts: Counter[str] = Counter()
        """finds by kind"""
        self._finder = finder
        self._put = put
        self._names: dict[tuple[str, str], str] = {}
        self._numbers: Counter[str] = Counter()
        self._values: dict[str, str] = {}
        """value as it stands somewhere -> what stands in its place"""
        whole = list(texts)
        for text in whole:
            for kind, number in numbered(put, text):
                self._numbers[kind] = max(self._numbers[kind], number)
        for text in whole:
            self.redacted(text, counts=True)
        known = -1
        while known < len(self._values):  # one text's redaction may show what another has, too
            known = len(self._values)
            for text in whole if known else ():
                self.redacted(text)

    def redacted(self, text: str, *, counts: bool = False) -> str:
        """Return a text without what was found in any text of the row."""
        for _ in range(_ROUNDS):
            before = text
            pieces, at = [], 0
            for each in self._finder.found_in(text):
                pieces += [text[at : each.start], self._name(each)]
                at = each.stop
                self.counts[each.kind] += counts
            text = "".join(pieces) + text[at:]
            # Where a value stands in another one, or as what nobody would take for it.
            for value in sorted(self._values, key=len, reverse=True):
                text = text.replace(value, self._values[value])
            if text == before:
                break
        return text

    def _name(self, found: Found) -> str:
        key = (found.kind, found.same)
        if key not in self._names:
            kind = written(found.kind)
            self._numbers[kind] += 1
            name = self._put.replace(KIND, kind).replace(NUMBER, str(self._numbers[kind]))
            self._names[key] = name
        self._values[found.value] = self._names[key]
        return self._names[key]

    def value(self, value: Any) -> Any:
        """Return a JSON value with its texts redacted, keys of objects too.

        It is walked with a list of what waits, since a stranger wrote it.
        """
        if isinstance(value, str):
            return self.redacted(value)
        waiting = [value]
        while waiting:
            part = waiting.pop()
            if isinstance(part, dict):
                self._redact_keys(part)
            places = part.items() if isinstance(part, dict) else enumerate(part)
            for place, inner in list(places):
                if isinstance(inner, str):
                    part[place] = self.redacted(inner)
                elif isinstance(inner, dict | list):
                    waiting.append(inner)
        return value

    def _redact_keys(self, part: dict[str, Any]) -> None:
        """Redact the keys of an object, in place; two that become one are told apart."""
        for key, inner in list(part.items()):
            del part[key]  # and put behind the others again, so that the order stays
            new = self.redacted(key)
            while new in part:
                new += "_"
            part[new] = inner


def texts_within(value: Any) -> list[str]:
    """Return all texts of a JSON value, keys of objects too."""
    found, waiting = [], [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, dict):
            waiting += reversed([text for pair in part.items() for text in pair])
        elif isinstance(part, list):
            waiting += reversed(part)
    return found


def numbered(put: str, text: str) -> list[tuple[str, int]]:
    """Return (kind, number) of all that an earlier redaction put into a text."""
    head, has_kind, rest = put.partition(KIND)
    middle, has_number, tail = rest.partition(NUMBER)
    found: list[tuple[str, int]] = []
    if not (has_kind and has_number):
        return found
    for kind in map(written, KINDS):
        for piece in text.split(f"{head}{kind}{middle}")[1:]:
            digits = _DIGITS.match(piece)
            if digits and piece.startswith(tail, digits.end()):
                found.append((kind, int(digits[0])))
    return found
