"""Whether two answers are the same: right, wrong, or not to be told here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from mashbill.verifiers.maths.exact import TooHardError, Value
from mashbill.verifiers.maths.forms import Form, form_of
from mashbill.verifiers.maths.reading import Ratio
from mashbill.verifiers.maths.tokens import tokens

Verdict = Literal["same", "other", "unknown"]
_WHOLE = re.compile(r"[-+]?\d{1,300}(?:\.\d{1,300})?")
_SCIENTIFIC = re.compile(r"[-+]?\d{1,300}(?:\.\d{1,300})?[eE][-+]?\d{1,3}")
_COMMA = re.compile(r"[-+]?\d{1,300},(?:\d{1,2}|\d{4,300})")
"""a number with a comma before its decimals, as much of the world writes it; or a pair"""
_FRACTION = re.compile(
    r"([-+]?)(?:(\d{1,300})/(\d{1,300})|\\[dt]?frac\{(\d{1,300})\}\{(\d{1,300})\})"
)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_LEADING = re.compile(r"[-+]?\$?\d{1,3}(?:,\d{3})+(?:\.\d+)?\s*(?:[a-zA-Z\\%]|$)")
"""a number with commas between thousands, and a unit: no pair"""
NUMBER_WORDS = frozenset(
    {
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
        "nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
        "hundred", "thousand", "million", "billion", "half", "third", "quarter", "infinity", "pi",
    }
)  # fmt: skip
"""words of numbers, which are not read here: a text with one may say a number"""
_NEAR = 1e-9
_DECIMALS = 6
"""decimals to which a decimal answer and an exact one have to agree, as math-verify has it"""


# What Python raises of numbers and tokens that are none: it is no form that is known here.
SLIPS = (RecursionError, ValueError, ArithmeticError, IndexError)


@dataclass(frozen=True)
class Compared:
    """What came of comparing."""

    verdict: Verdict
    reason: str


def compare(output: str, known: str) -> Compared:
    """Compare an answer with the one that is known to be right.

    Args:
        output: the answer.
        known: the right one.
    """
    one, two = output.strip(), known.strip()
    first, second = _plain(one), _plain(two)
    if first is not None and second is not None:
        if first == second:
            return Compared("same", "the same number")
        if _near_enough(one, second) or _near_enough(two, first):
            return Compared("same", f"the same to {_DECIMALS} decimals")
        return Compared("other", "another number")
    if second is not None and _decimals(two) and _COMMA.fullmatch(one):
        if Fraction(one.replace(",", ".")) == second:
            return Compared("same", "the same number, with a comma before its decimals")
        return Compared("other", "another number")
    found = _read_and_compared(without_thousands(one), without_thousands(two))
    if found.verdict == "unknown" and _written_the_same(one, two):
        return Compared("same", "written the same")
    return found


def _read_and_compared(one: str, two: str) -> Compared:
    try:
        told = form_of(two)
    except (TooHardError, *SLIPS):
        return Compared("unknown", "the reference is of no form that is known here")
    try:
        said = form_of(one)
    except (TooHardError, *SLIPS):
        return Compared("unknown", "the answer is of no form that is known here")
    try:
        verdict = _same(said, told)
    except (TooHardError, *SLIPS):
        return Compared("unknown", "the two cannot be told apart here")
    if verdict == "other" and (_rounded(one, told) or _rounded(two, said)):
        return Compared("same", f"the same to {_DECIMALS} decimals")
    return Compared(verdict, {"same": "the same", "other": "another"}.get(verdict, "unknown"))


def _written_the_same(one: str, two: str) -> bool:
    """Return whether two answers are one text, layout aside: so they are the same."""
    if not any(letter.isalnum() for letter in one):
        return False
    if " ".join(one.split()) == " ".join(two.split()):
        return True
    try:
        first, second = tokens(one), tokens(two)
    except (TooHardError, *SLIPS):
        return False
    return bool(first) and first == second


def without_thousands(text: str) -> str:
    """Return an answer without the commas between thousands, where they can be nothing else."""
    if not _LEADING.match(text):
        return text
    return _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text, count=1)


def is_read(text: str) -> bool:
    """Return whether an answer is of a form that is known here."""
    if _plain(text.strip()) is not None:
        return True
    try:
        form_of(text)
    except (TooHardError, *SLIPS):
        return False
    return True


def _plain(text: str) -> Fraction | None:
    """Read a number in plain digits, which most answers are; None if it is none."""
    plain = text.strip("$ ").rstrip(".") if text[:1] == "$" or text[-1:] in {"$", "."} else text
    if _WHOLE.fullmatch(plain) or _SCIENTIFIC.fullmatch(plain):
        return Fraction(plain)
    found = _FRACTION.fullmatch(plain)
    if found is not None:
        below = int(found[3] or found[5])
        if not below:
            return None
        exact = Fraction(int(found[2] or found[4]), below)
        return -exact if found[1] == "-" else exact
    if _THOUSANDS.fullmatch(plain):
        return Fraction(plain.replace(",", ""))
    return None


def _decimals(text: str) -> int:
    """Return how many decimals a plain decimal number has; 0 if it is none."""
    plain = text.strip("$ ")
    return len(plain.partition(".")[2]) if _WHOLE.fullmatch(plain) else 0


def _near_enough(written: str, exact: Fraction) -> bool:
    places = _decimals(written)
    if places < _DECIMALS:
        return False
    return round(exact, _DECIMALS) == round(Fraction(written.strip("$ ")), _DECIMALS)


def _rounded(written: str, other: Form) -> bool:
    """Return whether a decimal is another answer's value, to so many decimals."""
    if _decimals(written) < _DECIMALS or other.kind != "number" or other.number is None:
        return False
    try:
        value = other.number.value.number()
    except TooHardError:
        return False
    if abs(value.imag) > _NEAR:
        return False
    exact = Fraction(Decimal(written.strip("$ ")))
    return round(Fraction(value.real), _DECIMALS) == round(exact, _DECIMALS)


def _same(one: Form, two: Form) -> Verdict:
    if one.kind == two.kind == "number":
        return _same_numbers(one, two)
    if one.kind != two.kind:
        return _of_two_kinds(one, two)
    if one.kind == "word":
        return "same" if one.marks == two.marks else "other"
    if one.kind == "relation":
        return _same_relations(one, two)
    if one.kind == "ratio":
        return _proportional(
            [_value(part) for part in one.parts], [_value(part) for part in two.parts]
        )
    if one.kind in {"set", "union"}:
        return _unordered(one.parts, two.parts)
    if one.kind == "tuple" and one.names and two.names:  # x = 1, y = 2
        if set(one.names) != set(two.names):
            return "other"
        places = [two.names.index(name) for name in one.names]
        return _ordered(one.parts, [two.parts[place] for place in places])
    if one.marks != two.marks and one.kind == "interval":
        return "other"
    return _ordered(one.parts, two.parts)


def _of_two_kinds(one: Form, two: Form) -> Verdict:
    """Compare an answer with one of another kind: the same only where both may be meant."""
    kinds = {one.kind, two.kind}
    if kinds == {"tuple", "interval"}:  # (1, 2) may be either
        interval = one if one.kind == "interval" else two
        return _ordered(one.parts, two.parts) if interval.marks == "()" else "other"
    if kinds == {"set", "tuple"}:  # 1, 2 without brackets may be a pair
        return _ordered(one.parts, two.parts)
    if kinds == {"set", "number"}:
        several = one if one.kind == "set" else two
        return _unordered(several.parts, (two if several is one else one,))
    words = {word for form in (one, two) if form.kind == "word" for word in form.marks.split()}
    if NUMBER_WORDS & words:
        return "unknown"
    return "other" if "word" in kinds or "relation" not in kinds else "unknown"


def _ordered(one: Sequence[Form], two: Sequence[Form]) -> Verdict:
    if len(one) != len(two):
        return "other"
    return _all([_same(a, b) for a, b in zip(one, two, strict=True)])


def _unordered(one: Sequence[Form], two: Sequence[Form]) -> Verdict:
    """Compare sets: each part of one is in the other, however often it is written."""
    verdicts = [_any([_same(a, b) for b in two]) for a in one]
    verdicts += [_any([_same(a, b) for a in one]) for b in two]
    return _all(verdicts)


def _all(verdicts: Sequence[Verdict]) -> Verdict:
    if "other" in verdicts:
        return "other"
    return "unknown" if "unknown" in verdicts else "same"


def _any(verdicts: Sequence[Verdict]) -> Verdict:
    if "same" in verdicts:
        return "same"
    return "unknown" if "unknown" in verdicts else "other"


def _value(form: Form) -> Value:
    if form.kind != "number" or form.number is None or form.unit is not None:
        raise TooHardError
    return form.number.value


def _same_numbers(one: Form, two: Form) -> Verdict:
    if one.number is None or two.number is None:
        raise TooHardError
    first, second = one.number, two.number
    mine, its = one.unit, two.unit
    if mine is None or its is None:
        percent = next((u for u in (mine, its) if u is not None and u.measures == "percent"), None)
        if percent is None:
            return _equal(first, second)  # who leaves a unit out may mean the one that is asked for
        hundred = Ratio(Value.of(100))
        other = _equal(first.over(hundred), second) if mine else _equal(first, second.over(hundred))
        return _any([_equal(first, second), other])
    if mine.measures != its.measures:
        if mine.is_known and its.is_known:
            return "other"
        return "unknown" if _equal(first, second) == "same" else "other"
    if mine.factor == its.factor:
        return _equal(first, second)
    return _equal(
        first.times(Ratio(Value.of(mine.factor))), second.times(Ratio(Value.of(its.factor)))
    )


def _equal(one: Ratio, two: Ratio) -> Verdict:
    """Compare two values."""
    if one == two:
        return "same"
    a, b = one.above, two.above
    if one.below is not None or two.below is not None:
        a = a * (two.below or Value.of(1))
        b = b * (one.below or Value.of(1))
        if a == b:
            return "same"
    names = a.names | b.names
    if names <= {"i"} or names in ({"pi"}, {"e"}):
        return "other"  # of one form alone: see mashbill.verifiers.maths.exact
    if any("(" in name for name in names):  # functions that stay as they are
        return "unknown"
    if names - {"pi", "e", "i"}:
        return "other"  # polynomials in letters, of one form alone
    far = abs(a.number() - b.number())
    return "other" if far > _NEAR * max(1.0, abs(a.number())) else "unknown"


def _same_relations(one: Form, two: Form) -> Verdict:
    if one.marks != two.marks:
        return "other"
    first, second = (_difference(form) for form in (one, two))
    if not first.terms or not second.terms:
        return "unknown"  # an identity: it says the same of everything
    factor = first.multiple_of(second)
    if factor is None:
        return "other"
    return "same" if factor > 0 or one.marks in {"=", r"\ne"} else "other"


def _difference(form: Form) -> Value:
    left, right = (_value(part) for part in form.parts)
    return left - right


def _proportional(one: list[Value], two: list[Value]) -> Verdict:
    if len(one) != len(two) or not one[0].terms or not two[0].terms:
        return "other" if len(one) != len(two) else "unknown"
    return _all(
        [_equal(Ratio(a * two[0]), Ratio(b * one[0])) for a, b in zip(one, two, strict=True)]
    )
