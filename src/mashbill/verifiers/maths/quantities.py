"""A number with its unit, as a text gives it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from mashbill.verifiers.maths.comparing import SLIPS, without_thousands
from mashbill.verifiers.maths.exact import TooHardError
from mashbill.verifiers.maths.forms import form_of
from mashbill.verifiers.maths.units import Unit

_POWER_OF_TEN = re.compile(r"([-+]?\d{1,30}(?:\.\d{1,30})?)[eE]([-+]?\d{1,3})(?![\d.])")
_LARGEST = 10**300


@dataclass(frozen=True)
class Quantity:
    """A real number, and the unit that it is told in, if it names one."""

    number: Fraction
    unit: Unit | None = None

    def is_like(self, other: Quantity) -> bool:
        """Return whether both measure the same, as far as they say what."""
        if self.unit is None or other.unit is None:
            return True
        return self.unit.measures == other.unit.measures

    def in_unit_of(self, other: Quantity) -> Fraction:
        """Return the number in another's unit."""
        if self.unit is None or other.unit is None:
            return self.number
        return self.number * self.unit.factor / other.unit.factor


def quantity_of(text: str) -> Quantity | None:
    """Read a number with its unit; None if it is none, or out of the range of a float.

    ``1.5e3`` and what is exact but no rational number, such as a root, are numbers, too.
    """
    plain = _POWER_OF_TEN.sub(r"\1*10^{\2}", without_thousands(text.strip()))
    try:
        form = form_of(plain)
        if form.kind != "number" or form.number is None:
            return None
        value = form.number.value
        exact = value.rational
        if exact is None:
            about = value.number()
            if abs(about.imag) > 1e-12 * abs(about):
                return None
            exact = Fraction(about.real)
        float(exact)
    except (TooHardError, *SLIPS):
        return None
    return Quantity(exact, form.unit) if abs(exact) < _LARGEST else None
