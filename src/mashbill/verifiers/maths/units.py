"""Units of answers: what they measure, and how many of the first of their kind they are.

The factors are exact: those of the SI, and of the international yard and pound (1959).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mashbill.verifiers.maths.exact import TooHardError


@dataclass(frozen=True)
class Unit:
    """A unit."""

    measures: str
    """what it measures, with its power; or the word, of a unit that is not known"""
    factor: Fraction = Fraction(1)
    is_known: bool = True


def _table() -> dict[str, Unit]:
    found: dict[str, Unit] = {}

    def add(measures: str, factor: str | int | Fraction, *names: str) -> None:
        unit = Unit(measures, Fraction(factor))
        for name in names:
            found[name] = unit

    add("length", "1/1000", "mm", "millimeter", "millimetre")
    add("length", "1/100", "cm", "centimeter", "centimetre")
    add("length", 1, "m", "meter", "metre")
    add("length", 1000, "km", "kilometer", "kilometre")
    add("length", "254/10000", "inch", "inche", "in")
    add("length", "3048/10000", "ft", "foot", "feet")
    add("length", "9144/10000", "yd", "yard")
    add("length", "1609344/1000", "mi", "mile")
    add("mass", "1/1000", "mg", "milligram")
    add("mass", 1, "g", "gram")
    add("mass", 1000, "kg", "kilogram")
    add("mass", "45359237/100000", "lb", "pound")
    add("time", 1, "s", "sec", "second")
    add("time", 60, "min", "minute")
    add("time", 3600, "h", "hr", "hour")
    add("time", 86400, "day")
    add("time", 604800, "week")
    add("volume", "1/1000", "ml", "milliliter", "millilitre")
    add("volume", 1, "l", "liter", "litre")
    add("length/time", Fraction(1609344, 3600000), "mph")
    add("length/time", Fraction(1000, 3600), "kph", "kmh")
    add("percent", 1, "%", "percent")
    add("angle", 1, "degree", "deg")
    add("money", 1, "dollar")
    add("money", "1/100", "cent")
    return found


_KNOWN = _table()
_LETTERS = frozenset({"m", "g", "s", "h", "l"})
_SHORT = 3  # letters of an abbreviation, which is a unit behind a number alone


def unit_of(found: list[str]) -> tuple[list[str], Unit | None]:
    """Return tokens without the unit that stands behind them, and that unit.

    Args:
        found: tokens of a number.

    Raises:
        TooHardError: if what stands behind the number is words that are no unit.
    """
    rest, power = list(found), 1
    if rest[-4:-2] == ["^", "{"] and rest[-1] == "}":
        rest = [*rest[:-3], rest[-2]]
    if (compound := _compound(rest)) is not None:
        return compound
    is_power = len(rest) > 2 and rest[-2] == "^" and rest[-1] in {"2", "3"}
    if is_power and (_as_word(rest[-3]) or (len(rest) == 4 and rest[-3] in _LETTERS)):
        power, rest = int(rest[-1]), rest[:-2]
    if not rest:
        raise TooHardError
    last = rest[-1]
    if last == "%":
        return rest[:-1], _KNOWN["%"]
    if last == "deg":
        cut = rest[:-2] if len(rest) > 1 and rest[-2] == "^" else rest[:-1]
        return cut, _KNOWN["deg"]
    word = _as_word(last)
    if len(rest) == 2 and last in _LETTERS and rest[0][0].isdigit():
        word = last  # 5 m: behind one number alone
    if word is None or len(rest) < 2:
        return list(found), None
    if len(rest) > 2 and rest[-2] in {"'square", "'sq", "'cubic"}:
        power = 3 if rest[-2] == "'cubic" else 2
        rest = [*rest[:-2], last]
    if not (rest[-2][0].isdigit() or rest[-2] in {")", "}"}):
        return list(found), None
    known = _KNOWN.get(word) or _KNOWN.get(word.removesuffix("s"))
    if known is None:
        if len(word) <= _SHORT:
            return list(found), None  # letters that are multiplied
        return rest[:-1], Unit(word.removesuffix("s"), is_known=False)
    if power == 1:
        return rest[:-1], known
    return rest[:-1], Unit(f"{known.measures}^{power}", known.factor**power)


def _compound(found: list[str]) -> tuple[list[str], Unit] | None:
    """Return tokens without a unit over a unit, such as ``km / h``, and that; None if none is."""
    rest, power = list(found), 1
    if rest[-2:-1] == ["^"] and rest[-1] in {"2", "3"}:
        rest, power = rest[:-2], int(rest[-1])
    if len(rest) < 4 or rest[-2] != "/" or not rest[-4][0].isdigit():
        return None
    names = [_as_word(mark) or mark for mark in (rest[-3], rest[-1])]
    if all(len(name) == 1 for name in names):
        return None  # letters
    above, below = (_KNOWN.get(name) or _KNOWN.get(name.removesuffix("s")) for name in names)
    if above is None or below is None:
        return None
    under = below.measures if power == 1 else f"{below.measures}^{power}"
    unit = Unit(f"{above.measures}/{under}", above.factor / below.factor**power)
    return rest[:-3], unit


def _as_word(mark: str) -> str | None:
    if mark.startswith("'"):
        return mark[1:].casefold()
    return None
