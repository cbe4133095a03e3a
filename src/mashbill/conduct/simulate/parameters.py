"""Parameters of the simulated traffic: what each is, and where it is from.

They stand in ``parameters.toml``, each as a value beside its source, and are frozen: whoever tunes
a detector does not change them. A file of the same form may be given in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.core.plain_toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Value = float | str | tuple[float, ...] | tuple[str, ...]
_MOST = 1e9
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Section:
    """The parameters of a kind of traffic, or of what all kinds share."""

    name: str
    values: Mapping[str, Value]
    sources: Mapping[str, str]

    def number(self, key: str) -> float:
        """Return a number."""
        value = self._value(key)
        if isinstance(value, float):
            return value
        raise self._other(key, "a number")

    def share(self, key: str) -> float:
        """Return a number from 0 to 1."""
        value = self.number(key)
        if 0 <= value <= 1:
            return value
        raise self._other(key, "a share from 0 to 1")

    def whole(self, key: str) -> int:
        """Return a whole number."""
        value = self.number(key)
        if value == int(value):
            return int(value)
        raise self._other(key, "a whole number")

    def text(self, key: str) -> str:
        """Return a text."""
        value = self._value(key)
        if isinstance(value, str):
            return value
        raise self._other(key, "a text")

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return a list of numbers."""
        value = self._value(key)
        if isinstance(value, tuple):
            found = tuple(part for part in value if isinstance(part, float))
            if len(found) == len(value):
                return found
        raise self._other(key, "a list of numbers")

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self._value(key)
        if isinstance(value, tuple):
            found = tuple(part for part in value if isinstance(part, str))
            if len(found) == len(value):
                return found
        raise self._other(key, "a list of texts")

    def count(self, key: str, scale: float) -> int:
        """Return a count at a scale, at least ``least`` where the section bounds it."""
        least = self.whole("least") if "least" in self.values else 1
        return max(least, round(self.number(key) * scale))

    def _value(self, key: str) -> Value:
        if key not in self.values:
            msg = f"parameters of {self.name}: {key} is not there; write it as [value, source]"
            raise InputError(msg)
        return self.values[key]

    def _other(self, key: str, what: str) -> InputError:
        return InputError(f"parameters of {self.name}: {key} is {self.values[key]!r}, not {what}")


@dataclass(frozen=True, slots=True)
class Parameters:
    """All parameters, by section."""

    sections: Mapping[str, Section]
    sources: Mapping[str, str]
    """what each source is, by the name that parameters give for it"""

    def __getitem__(self, name: str) -> Section:
        """Return a section.

        Raises:
            InputError: if there is none of that name.
        """
        if name not in self.sections:
            msg = f"parameters have no section {name}; they have {', '.join(self.sections)}"
            raise InputError(msg)
        return self.sections[name]


def parameters(path: Path | None = None) -> Parameters:
    """Return the parameters of a file, or those that come with the package.

    Raises:
        InputError: naming the file, the section and the key, if one is not ``[value, source]``
            with a source that the file names.
    """
    file = resources.files(__package__) / "parameters.toml" if path is None else path
    _, read = read_toml(file)
    sources = read.pop("sources", None)
    if not isinstance(sources, dict) or not all(isinstance(x, str) for x in sources.values()):
        msg = f'{file}: [sources] is not there; it says what each source is, as name = "words"'
        raise InputError(msg)
    sections = {}
    for name, table in read.items():
        if not isinstance(table, dict):
            msg = f"{file}: {name} stands outside of any section"
            raise InputError(msg)
        values: dict[str, Value] = {}
        named: dict[str, str] = {}
        for key, pair in table.items():
            values[key], named[key] = _pair(pair, sources, f"{file}: {name}.{key}")
        sections[name] = Section(name, values, named)
    return Parameters(sections, sources)


def _pair(pair: object, sources: Mapping[str, str], where: str) -> tuple[Value, str]:
    """Return a parameter's value, and its source."""
    if not isinstance(pair, list) or len(pair) != 2:
        msg = f"{where} is {pair!r:.100}; write [value, source]"
        raise InputError(msg)
    value, source = pair
    if not isinstance(source, str) or source not in sources:
        msg = f"{where}: its source is {source!r:.100}, and [sources] has {', '.join(sources)}"
        raise InputError(msg)
    if isinstance(value, list) and 0 < len(value) <= _LONGEST:
        parts = [_plain(part, where) for part in value]
        numbers = tuple(part for part in parts if isinstance(part, float))
        texts = tuple(part for part in parts if isinstance(part, str))
        if not (numbers and texts):
            return numbers or texts, source
    return _plain(value, where), source


def _plain(value: object, where: str) -> float | str:
    """Return a number or a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST:
        return float(value)
    msg = f"{where} has {value!r:.100}; a number up to {_MOST:g}, a text or a list of one of them"
    raise InputError(msg)
