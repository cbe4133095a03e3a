"""Exact values: sums of rational multiples of powers, in a form that two equal values share.

A term is a rational number times a product of powers: of primes with exponents between 0 and 1
(roots), of letters, of pi, e and i, and of functions that stay as they are. Roots of different
primes' products are independent over the rationals (A. S. Besicovitch, "On the linear independence
of fractional powers of integers", J. London Math. Soc. 1940), so two values that hold roots alone
are equal only if they have the same form. Nothing here is a float but :meth:`Value.number`, which
is for telling values apart.

Every operation is bounded: what is too large or too hard raises :class:`TooHardError`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

Base = int | str
"""a prime, or a name: a letter, ``pi``, ``e``, ``i``, or a function's such as ``ln(2)``"""
Powers = tuple[tuple[Base, Fraction], ...]
_BITS = 80_000  # of a numerator or denominator
_TERMS = 60
_EXPONENT = 4_000
_FACTORED = 10**12  # a radicand below this is factored by trial division in a millisecond
_SMALL = 1_000_003
ONE: Powers = ()


class TooHardError(Exception):
    """It is beyond what this form holds, or beyond its bounds; somebody else may know."""


@dataclass(frozen=True)
class Value:
    """A sum of terms; zero has none."""

    terms: tuple[tuple[Powers, Fraction], ...]
    """(powers, factor) in order, no factor 0"""

    @classmethod
    def of(cls, number: Fraction | int) -> Value:
        """Return a rational number."""
        exact = Fraction(number)
        return cls(((ONE, exact),) if exact else ())

    @classmethod
    def name(cls, name: str) -> Value:
        """Return a letter, or what is treated as one."""
        return cls(((((name, Fraction(1)),), Fraction(1)),))

    @cached_property
    def rational(self) -> Fraction | None:
        """The value as a rational number; None if it is none."""
        if not self.terms:
            return Fraction(0)
        if len(self.terms) == 1 and self.terms[0][0] == ONE:
            return self.terms[0][1]
        return None

    @cached_property
    def names(self) -> frozenset[str]:
        """Letters, constants and functions in it."""
        return frozenset(
            base for powers, _ in self.terms for base, _ in powers if isinstance(base, str)
        )

    def __add__(self, other: Value) -> Value:
        """Return the sum."""
        if self.rational is not None and other.rational is not None:
            return Value.of(_bounded(self.rational + other.rational))
        found = dict(self.terms)
        for powers, factor in other.terms:
            found[powers] = found.get(powers, Fraction(0)) + factor
        return _value(found)

    def __neg__(self) -> Value:
        """Return it with the other sign."""
        return Value(tuple((powers, -factor) for powers, factor in self.terms))

    def __sub__(self, other: Value) -> Value:
        """Return the difference."""
        return self + -other

    def __mul__(self, other: Value) -> Value:
        """Return the product."""
        if self.rational is not None and other.rational is not None:
            return Value.of(_bounded(self.rational * other.rational))
        if len(self.terms) * len(other.terms) > _TERMS * 4:
            raise TooHardError
        found: dict[Powers, Fraction] = {}
        for one, a in self.terms:
            for two, b in other.terms:
                powers, more = _together(one, two)
                found[powers] = found.get(powers, Fraction(0)) + _bounded(a * b * more)
        return _value(found)

    def inverse(self) -> Value:
        """Return 1 over it.

        Raises:
            TooHardError: if it is 0, or a sum whose roots cannot be taken out below.
        """
        if not self.terms:
            raise TooHardError
        if len(self.terms) == 1:
            ((powers, factor),) = self.terms
            turned, more = _together(tuple((base, -power) for base, power in powers), ())
            return _value({turned: more / factor})
        if len(self.terms) == 2:
            # (a + b) times (a - b) has no square roots, if both are such.
            first, second = (Value((term,)) for term in self.terms)
            below = first * first - second * second
            if len(below.terms) == 1:
                return (first - second) * below.inverse()
        raise TooHardError

    def __truediv__(self, other: Value) -> Value:
        """Return the quotient."""
        if other.rational:
            exact = other.rational
            return Value(tuple((p, _bounded(f / exact)) for p, f in self.terms))
        if self.terms and len(other.terms) > 1:
            # One may be a multiple of the other, whatever they hold.
            factor = self.multiple_of(other)
            if factor is not None:
                return Value.of(factor)
        return self * other.inverse()

    def multiple_of(self, other: Value) -> Fraction | None:
        """Return the rational number that it is times another value; None if there is none."""
        if len(self.terms) != len(other.terms) or not self.terms:
            return None
        factor = self.terms[0][1] / other.terms[0][1]
        same = all(
            mine[0] == its[0] and mine[1] == factor * its[1]
            for mine, its in zip(self.terms, other.terms, strict=True)
        )
        return factor if same else None

    def to(self, power: Value) -> Value:
        """Return it to a power.

        Raises:
            TooHardError: if the power is no rational number, but of e; or if there is no one root.
        """
        exact = power.rational
        if exact is None:
            if self == Value.name("e") and len(power.terms) == 1:
                return Value.name(f"exp({power.text})")
            raise TooHardError
        if exact.denominator == 1:
            return self._to_whole(int(exact))
        return self._root(exact)

    def _to_whole(self, power: int) -> Value:
        if abs(power) > _EXPONENT:
            raise TooHardError
        if power < 0:
            return self._to_whole(-power).inverse()
        if len(self.terms) == 1:
            ((powers, factor),) = self.terms
            _bounded_power(factor, power)
            turned, more = _together(tuple((base, of * power) for base, of in powers), ())
            return _value({turned: more * factor**power})
        if power > 12:
            raise TooHardError
        found = Value.of(1)
        for _ in range(power):
            found = found * self
        return found

    def _root(self, power: Fraction) -> Value:
        """Return a power that is no whole number: of one term without letters."""
        if not self.terms:
            return self if power > 0 else self.inverse()
        if len(self.terms) > 1 or self.names - {"pi", "e"} or abs(power) > 64:
            raise TooHardError
        ((powers, factor),) = self.terms
        found = Value(((ONE, Fraction(1)),))
        if factor < 0:
            if power.denominator != 2:
                if power.denominator % 2 == 0:
                    raise TooHardError
                found = Value.of(-1 if power.numerator % 2 else 1)  # the real root
            else:
                found = Value.name("i").to(Value.of(power.numerator % 4))
            factor = -factor
        parts: dict[Base, Fraction] = {base: of * power for base, of in powers}
        for number, sign in ((factor.numerator, 1), (factor.denominator, -1)):
            for prime, times in _factored(number).items():
                parts[prime] = parts.get(prime, Fraction(0)) + sign * times * power
        turned, more = _together(tuple(parts.items()), ())
        return found * _value({turned: more})

    def number(self) -> complex:
        """Return about how much it is.

        Raises:
            TooHardError: if it holds letters or functions, or is out of the range of a float.
        """
        total = 0j
        for powers, factor in self.terms:
            try:
                term = complex(factor)
                for base, power in powers:
                    if isinstance(base, str) and base not in _NUMBERS:
                        raise TooHardError
                    known = _NUMBERS[base] if isinstance(base, str) else base
                    term *= known ** float(power)
            except OverflowError as error:
                raise TooHardError from error
            total += term
        return total

    @property
    def text(self) -> str:
        """The form as text, the same for equal values."""
        return (
            " + ".join(
                f"{factor}" + "".join(f"·{base}^{power}" for base, power in powers)
                for powers, factor in self.terms
            )
            or "0"
        )


_NUMBERS: dict[str, complex] = {"pi": math.pi, "e": math.e, "i": 1j}


def _value(found: dict[Powers, Fraction]) -> Value:
    kept = [(powers, factor) for powers, factor in found.items() if factor]
    if len(kept) > _TERMS:
        raise TooHardError
    kept.sort(key=lambda term: [(isinstance(base, str), str(base), of) for base, of in term[0]])
    return Value(tuple(kept))


def _together(one: Powers, two: Powers) -> tuple[Powers, Fraction]:
    """Return the product of two products of powers, and the rational number that comes out."""
    if not one and not two:
        return ONE, Fraction(1)
    found: dict[Base, Fraction] = dict(one)
    for base, power in two:
        found[base] = found.get(base, Fraction(0)) + power
    factor = Fraction(1)
    kept: list[tuple[Base, Fraction]] = []
    for base, power in found.items():
        if base == "i":
            whole = int(power) % 4
            factor *= -1 if whole in {2, 3} else 1
            if whole % 2:
                kept.append(("i", Fraction(1)))
        elif isinstance(base, int):
            whole = math.floor(power)
            if whole:
                _bounded_power(Fraction(base), abs(whole))
                factor *= Fraction(base) ** whole
            if power - whole:
                kept.append((base, power - whole))
        elif power:
            if abs(power) > _EXPONENT:
                raise TooHardError
            kept.append((base, power))
    kept.sort(key=lambda item: (isinstance(item[0], str), item[0]))
    return tuple(kept), factor


def _bounded(number: Fraction) -> Fraction:
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > _BITS:
        raise TooHardError
    return number


def _bounded_power(number: Fraction, power: int) -> None:
    bits = max(number.numerator.bit_length(), number.denominator.bit_length())
    if bits > 1 and bits * power > _BITS:
        raise TooHardError


def _factored(number: int) -> dict[int, int]:
    """Return the primes of a number with how often each divides it.

    Raises:
        TooHardError: if that would take long.
    """
    found: dict[int, int] = {}
    divisor = 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            found[divisor] = found.get(divisor, 0) + 1
            number //= divisor
        divisor += 1 if divisor == 2 else 2
        if divisor > _SMALL or (divisor > 5_000 and number > _FACTORED):
            raise TooHardError
    if number > 1:
        found[number] = found.get(number, 0) + 1
    return found
