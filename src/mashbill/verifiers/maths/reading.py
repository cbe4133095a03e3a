"""Reading one expression: a recursive descent over tokens, bounded in depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from mashbill.verifiers.maths.exact import TooHardError, Value

_DEEPEST = 40
_FACTORIAL = 3_000
_FUNCTIONS = frozenset({r"\ln", r"\log", r"\sin", r"\cos", r"\tan", r"\exp"})
_GREEK = frozenset(
    {r"\alpha", r"\beta", r"\gamma", r"\delta", r"\theta", r"\lambda", r"\mu", r"\phi", r"\omega"}
)
_ENDS = frozenset({"+", "-", "*", "/", ")", "]", "}", ",", "&", "=", ":", ";", "<", ">"})


@dataclass(frozen=True)
class Ratio:
    """A value over another, which stays where it cannot be divided by."""

    above: Value
    below: Value | None = None
    """None for 1"""

    @property
    def value(self) -> Value:
        """The value alone.

        Raises:
            TooHardError: if it stands over another.
        """
        if self.below is not None:
            raise TooHardError
        return self.above

    def over(self, other: Ratio) -> Ratio:
        """Return it over another."""
        above, below = self.above, other.above
        if not below.terms:
            raise TooHardError
        if self.below is not None:
            below = below * self.below
        if other.below is not None:
            above = above * other.below
        try:
            return Ratio(above / below)
        except TooHardError:
            return Ratio(above, below)

    def times(self, other: Ratio) -> Ratio:
        """Return the product."""
        above = self.above * other.above
        if self.below is None and other.below is None:
            return Ratio(above)
        return Ratio(above).over(Ratio(self._under * other._under))

    def plus(self, other: Ratio) -> Ratio:
        """Return the sum."""
        if self.below is None and other.below is None:
            return Ratio(self.above + other.above)
        above = self.above * other._under + other.above * self._under
        return Ratio(above).over(Ratio(self._under * other._under))

    def turned(self) -> Ratio:
        """Return it with the other sign."""
        return Ratio(-self.above, self.below)

    @property
    def _under(self) -> Value:
        return Value.of(1) if self.below is None else self.below


class Reader:
    """Reads tokens from a place on."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.place = 0
        self._depth = 0

    @property
    def next(self) -> str:
        """The mark at hand; empty at the end."""
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, mark: str) -> None:
        """Go past a mark.

        Raises:
            TooHardError: if another one stands there.
        """
        if self.next != mark:
            raise TooHardError
        self.place += 1

    def expression(self) -> Ratio:
        """Read a sum."""
        sign = self._signs()
        total = self._product()
        total = total.turned() if sign < 0 else total
        while self.next in {"+", "-"}:
            sign = self._signs()
            more = self._product()
            total = total.plus(more.turned() if sign < 0 else more)
        return total

    def _signs(self) -> int:
        sign = 1
        while self.next in {"+", "-"}:
            sign = -sign if self.next == "-" else sign
            self.place += 1
        return sign

    def _product(self) -> Ratio:
        total = self._power()
        while True:
            mark = self.next
            if mark in {"*", "/"}:
                self.place += 1
                sign = self._signs()
                more = self._power()
                total = total.times(more) if mark == "*" else total.over(more)
                total = total.turned() if sign < 0 else total
            elif mark and mark not in _ENDS and not mark[0].isdigit() and self._begins():
                before = self.tokens[self.place - 1]
                if mark == r"\frac" and before[0].isdigit() and "." not in before:
                    total = total.plus(self._power())  # 3 \frac{1}{2} is three and a half
                else:
                    total = total.times(self._power())
            elif mark[:1].isdigit() and self._is_mixed():
                total = total.plus(self._mixed())
            else:
                return total

    def _begins(self) -> bool:
        mark = self.next
        return (
            mark in {"(", "{", "[", r"\frac", r"\sqrt", r"\pi"}
            or mark in _FUNCTIONS
            or mark in _GREEK
            or (len(mark) == 1 and mark.isalpha())
        )

    def _is_mixed(self) -> bool:
        """Return whether ``3 1/2`` stands here: a whole number, and a fraction of two."""
        rest = self.tokens[self.place - 1 : self.place + 3]
        return (
            len(rest) == 4 and rest[2] == "/" and all(rest[at].isdigit() for at in (0, 1, 3))
            and int(rest[1]) < int(rest[3])
        )  # fmt: skip

    def _mixed(self) -> Ratio:
        above, below = int(self.tokens[self.place]), int(self.tokens[self.place + 2])
        self.place += 3
        return Ratio(Value.of(Fraction(above, below)))

    def _power(self) -> Ratio:
        base = self._primary()
        while self.next in {"!", "^", "'"}:
            mark = self.next
            self.place += 1
            if mark == "!":
                base = Ratio(_factorial(base.value))
            elif mark == "^":
                if self.next == "deg":  # an angle in degrees: the number is told as it is
                    self.place += 1
                    continue
                base = _raised(base, self._exponent())
            else:
                raise TooHardError
        if self.next == "deg":
            self.place += 1
        return base

    def _exponent(self) -> Ratio:
        if self.next == "{":
            self.place += 1
            if self.next == "deg":
                self.place += 1
                self.take("}")
                return Ratio(Value.of(1))
            found = self.expression()
            self.take("}")
            return found
        sign = self._signs()
        found = self._primary()
        if self.next == "^":
            self.place += 1
            found = _raised(found, self._exponent())
        return found.turned() if sign < 0 else found

    def _primary(self) -> Ratio:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TooHardError
        found = self._one()
        self._depth -= 1
        return found

    def _one(self) -> Ratio:
        mark = self.next
        self.place += 1
        if mark[:1].isdigit() or mark[:1] == ".":
            return Ratio(Value.of(Fraction(mark)))
        if mark in {"(", "{", "["}:
            found = self.expression()
            self.take({"(": ")", "{": "}", "[": "]"}[mark])
            return found
        if mark == r"\frac":
            above = self._argument()
            return above.over(self._argument())
        if mark == r"\sqrt":
            return self._root()
        if mark == r"\pi":
            return Ratio(Value.name("pi"))
        if mark in _FUNCTIONS:
            return self._function(mark)
        if mark == "|":
            found = self.expression()
            self.take("|")
            return Ratio(_absolute(found.value))
        if mark in _GREEK or (len(mark) == 1 and mark.isalpha()):
            return Ratio(Value.name(self._letter(mark)))
        if mark.startswith("'") and 2 <= len(mark) - 1 <= 3 and mark[1:].islower():
            product = Ratio(Value.of(1))
            for letter in mark[1:]:
                product = product.times(Ratio(Value.name(letter)))
            return product
        raise TooHardError

    def _letter(self, mark: str) -> str:
        if self.next != "_":
            return mark
        self.place += 1
        under = self.next
        self.place += 1
        if under == "{":
            end = self.tokens.index("}", self.place) if "}" in self.tokens[self.place :] else -1
            if end < 0:
                raise TooHardError
            under = "".join(self.tokens[self.place : end])
            self.place = end + 1
        return f"{mark}_{under}"

    def _argument(self) -> Ratio:
        """Read ``{...}``, or the one sign that LaTeX takes without braces."""
        if self.next == "{":
            self.place += 1
            found = self.expression()
            self.take("}")
            return found
        mark = self.next
        if mark.isdigit() and len(mark) > 1:  # \frac12 is a half
            self.tokens[self.place : self.place + 1] = list(mark)
        return self._primary()

    def _root(self) -> Ratio:
        degree = Fraction(2)
        if self.next == "[":
            self.place += 1
            exact = self.expression().value.rational
            self.take("]")
            if exact is None or exact.denominator != 1 or not 2 <= exact <= 20:
                raise TooHardError
            degree = exact
        return _raised(self._argument(), Ratio(Value.of(1 / degree)))

    def _function(self, name: str) -> Ratio:
        power = base = None
        while self.next in {"^", "_"}:
            self.place += 1
            if self.tokens[self.place - 1] == "^":
                power = self._exponent()
            else:
                base = self._argument()
        inner = self._power().value
        found = Ratio(_applied(name, inner, base.value if base is not None else None))
        return found if power is None else _raised(found, power)


def _applied(name: str, inner: Value, base: Value | None) -> Value:
    exact = inner.rational
    if name == r"\exp":
        return Value.name("e").to(inner)
    if name in {r"\ln", r"\log"}:
        if base is not None and base.rational is not None and exact is not None:
            found = _logarithm(base.rational, exact)
            if found is not None:
                return Value.of(found)
        if exact == 1:
            return Value.of(0)
        if name == r"\ln" and inner == Value.name("e"):
            return Value.of(1)
    if exact == 0 and name in {r"\sin", r"\tan"}:
        return Value.of(0)
    if exact == 0 and name == r"\cos":
        return Value.of(1)
    under = "" if base is None else f"_{base.text}"
    return Value.name(f"{name}{under}({inner.text})")


def _logarithm(base: Fraction, number: Fraction) -> Fraction | None:
    """Return the whole power of a base that a number is; None if there is none up to 400."""
    if base <= 1 or number <= 0:
        return None
    power, found = 0, Fraction(1)
    inverse = number < 1
    wanted = 1 / number if inverse else number
    while found < wanted and power < 400:
        found *= base
        power += 1
    return (Fraction(-power) if inverse else Fraction(power)) if found == wanted else None


def _raised(base: Ratio, power: Ratio) -> Ratio:
    if base.below is None:
        return Ratio(base.above.to(power.value))
    return Ratio(base.above.to(power.value)).over(Ratio(base.below.to(power.value)))


def _factorial(value: Value) -> Value:
    exact = value.rational
    if exact is None or exact.denominator != 1 or not 0 <= exact <= _FACTORIAL:
        raise TooHardError
    return Value.of(math.factorial(int(exact)))


def _absolute(value: Value) -> Value:
    exact = value.rational
    if exact is not None:
        return Value.of(abs(exact))
    raise TooHardError


def read(tokens: list[str]) -> Ratio:
    """Read all tokens as one expression.

    Raises:
        TooHardError: if they are none, or beyond what is known here.
    """
    reader = Reader(list(tokens))
    found = reader.expression()
    if reader.place != len(reader.tokens):
        raise TooHardError
    return found
