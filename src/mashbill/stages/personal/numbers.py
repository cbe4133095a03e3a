"""Numbers of accounts and people that carry a check: cards, IBANs, identity numbers, telephones.

What a number has to be is python-stdnum's and phonenumbers' to say. Numbers that are digits alone
with a weak check or none (a Dutch BSN, a Polish PESEL, a German tax number) are not looked for,
since one order number in ten would be one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from mashbill.core.extras import needs
from mashbill.core.installed import is_installed
from mashbill.stages.personal.found import Found

_EDGE = r"(?<![A-Za-z0-9_])(?<![0-9][.,])"
_END = r"(?![A-Za-z0-9_]|[.,][0-9])"
_GAP = "[ \u00a0\u2011-]"
_CARD = re.compile(
    rf"{_EDGE}(?<![0-9][ -])(?:"
    rf"[0-9]{{4}}(?P<a>{_GAP}?)[0-9]{{4}}(?P=a)[0-9]{{4}}(?P=a)[0-9]{{4}}(?:(?P=a)[0-9]{{3}})?|"
    rf"3[47][0-9]{{2}}(?P<b>{_GAP}?)[0-9]{{6}}(?P=b)[0-9]{{5}}|"
    rf"3[0689][0-9]{{2}}(?P<c>{_GAP}?)[0-9]{{6}}(?P=c)[0-9]{{4}}){_END}(?![ -][0-9])"
)
_ISSUERS = re.compile(
    r"4[0-9]{15}(?:[0-9]{3})?|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)[0-9]{12,13}|"
    r"3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}|"
    r"35(?:2[89]|[3-8][0-9])[0-9]{12}|62[0-9]{14}(?:[0-9]{3})?|5[06-9][0-9]{14}|6[0-9]{15}"
)
"""first digits and lengths of the great schemes: Visa, Mastercard, American Express, Diners,
Discover, JCB, UnionPay, Maestro"""
_IBAN = re.compile(rf"(?<![A-Za-z0-9_])[A-Z]{{2}}[0-9]{{2}}(?:{_GAP}?[A-Z0-9]){{11,30}}")
_SMALL_IBAN = re.compile(r"(?<![A-Za-z0-9_])[a-z]{2}[0-9]{2}[a-z0-9]{11,30}(?![A-Za-z0-9_])")
_SHORTEST = 15  # letters and digits of an IBAN

_NATIONAL: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("us", r"[0-9]{3}-[0-9]{2}-[0-9]{4}", ("ssn", "itin")),
    ("es", r"[0-9]{8}-?[A-Z]|[XYZ]-?[0-9]{7}-?[A-Z]", ("dni", "nie")),
    ("it", r"[A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]", ("codicefiscale",)),
    ("fr", r"[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
     ("nir",)),
    ("cn", r"[1-9][0-9]{16}[0-9Xx]", ("ric",)),
    ("br", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", ("cpf",)),
    ("in", r"[2-9][0-9]{3} [0-9]{4} [0-9]{4}", ("aadhaar",)),
    ("kr", r"[0-9]{6}-[0-9]{7}", ("rrn",)),
    ("mx", r"[A-Z]{4}[0-9]{6}[HM][A-Z]{5}[0-9A-Z][0-9]", ("curp",)),
    ("se", r"[0-9]{6}[-+][0-9]{4}", ("personnummer",)),
    ("fi", r"[0-9]{6}[-+A-F][0-9]{3}[0-9A-Y]", ("hetu",)),
)  # fmt: skip
COUNTRIES = tuple(country for country, _, _ in _NATIONAL)
"""whose identity numbers are looked for: those with a form of their own"""
_PATTERNS = {
    country: (re.compile(f"{_EDGE}(?<!-)(?:{form}){_END}(?!-)"), names)
    for country, form, names in _NATIONAL
}

_CALLED = re.compile(
    r"(?:\b(?:tel|telephone|phone|telefon|fon|mobile|mobil|cell|call|fax|whatsapp|sms|ring)\b|"
    r"тел|телефон|звоните|电话|電話|手机|手機|전화|هاتف|फ़ोन)[^0-9]{0,16}$",
    re.IGNORECASE,
)
_BEFORE = 28  # characters in front of a number that say what it is
_MAY_BE_PHONE = re.compile(r"[+\uff0b]\W{0,3}\d")
_DIGITS = re.compile(r"[(\[]?\d(?:[ ()\[\]./\u00a0\u2010-\u2015\uff0d-]{0,3}\d){5,17}")
"""what a number could be that is written as it is dialled in a country"""
NORTH_AMERICA = frozenset({"US", "CA"})
"""regions of one numbering plan, whose numbers are quickly told from others"""
_AREA = re.compile(
    r"\(?0[1-9][0-9]{1,4}\)? ?/ ?(?=[0-9](?:[ -]?[0-9]){4})[1-9][0-9]{1,8}"
    r"(?:[ -][0-9]{2,4}){0,3}(?![0-9/])"
)
"""a prefix and its area code, divided from five digits or more by a stroke, as in Germany"""
_NANP = re.compile(
    r"(?<![0-9])[(\[]?[2-9][0-9]{2}[)\]]?[ ./\u00a0\u2010-\u2015-]{0,3}"
    r"[2-9][0-9]{2}[ ./\u00a0\u2010-\u2015-]{0,2}[0-9]{4}(?![0-9])"
)
"""the same, where all numbers have ten digits: most digits of a text are none"""
_SHAPE = re.compile(
    r"(?<![0-9A-Za-z_])(?<![0-9][ .-])(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}"
    r"(?![0-9A-Za-z_]|[ .-][0-9])"
)
"""as they are written, also of numbers that the plan has not, as people make them up"""
_AROUND = 24  # characters on either side by which the library tells whether it is one


@cache
def _checks() -> dict[str, Any]:
    """Return the checks of python-stdnum by what they are of: each has ``is_valid``."""
    with needs("kind = 'pii'", "pii"):
        from stdnum import iban, luhn
        from stdnum.br import cpf
        from stdnum.cn import ric
        from stdnum.es import dni, nie
        from stdnum.fi import hetu
        from stdnum.fr import nir
        from stdnum.in_ import aadhaar
        from stdnum.it import codicefiscale
        from stdnum.kr import rrn
        from stdnum.mx import curp
        from stdnum.se import personnummer
        from stdnum.us import itin, ssn
    return {
        "iban": iban, "luhn": luhn, "cpf": cpf, "ric": ric, "dni": dni, "nie": nie, "hetu": hetu,
        "nir": nir, "aadhaar": aadhaar, "codicefiscale": codicefiscale, "rrn": rrn, "curp": curp,
        "personnummer": personnummer, "itin": itin, "ssn": ssn,
    }  # fmt: skip


def cards(text: str) -> Iterator[Found]:
    """Yield numbers of payment cards: of a known scheme, written as on cards, with Luhn's check."""
    for match in _CARD.finditer(text):
        digits = re.sub(r"[^0-9]", "", match[0])
        if _ISSUERS.fullmatch(digits) and _checks()["luhn"].is_valid(digits):
            yield Found("card", match.start(), match.end(), match[0], digits)


def ibans(text: str) -> Iterator[Found]:
    """Yield IBANs, whose check and form by country hold; what follows in capitals is none."""
    for pattern in (_IBAN, _SMALL_IBAN):
        for match in pattern.finditer(text):
            value = match[0]
            while len(value) >= _SHORTEST:
                end = match.start() + len(value)
                if not text[end : end + 1].isalnum() and _checks()["iban"].is_valid(
                    value.replace("\u00a0", " ").replace("\u2011", "-")
                ):
                    same = re.sub(r"[^A-Z0-9]", "", value.upper())
                    yield Found("iban", match.start(), end, value, same)
                    break
                value = value[:-1]


def national_ids(text: str, countries: Sequence[str]) -> Iterator[Found]:
    """Yield identity numbers of some countries, whose check holds."""
    for country in countries:
        pattern, names = _PATTERNS[country]
        for match in pattern.finditer(text):
            if any(_checks()[name].is_valid(match[0]) for name in names):
                same = country + re.sub(r"[^A-Z0-9]", "", match[0].upper())
                yield Found("national-id", match.start(), match.end(), match[0], same)


def phones(text: str, regions: Sequence[str]) -> Iterator[Found]:
    """Yield telephone numbers: international ones, and of some countries as they are dialled there.

    Digits without any sign between them are one only behind a word that says so.
    """
    with needs("kind = 'pii'", "pii"):
        import phonenumbers as library
    wanted: list[tuple[str | None, int, str]] = []
    if _MAY_BE_PHONE.search(text):
        wanted.append((None, 0, text))
    for home in regions:
        pattern = _NANP if home in NORTH_AMERICA else _DIGITS
        wanted += [(home, first, piece) for first, piece in _around(text, pattern)]
    # As it is dialled at home a number is one only in the groups that are usual there.
    strict = library.Leniency.STRICT_GROUPING
    for region, first, piece in wanted:
        leniency = library.Leniency.VALID if region is None else strict
        for match in library.PhoneNumberMatcher(piece, region, leniency=leniency):
            value, start = match.raw_string, first + match.start
            if value.isdecimal() and not _CALLED.search(text[max(0, start - _BEFORE) : start]):
                continue
            form = library.format_number(match.number, library.PhoneNumberFormat.E164)
            yield Found("phone", start, start + len(value), value, form)
    yield from _as_said(text, regions)
    for shaped in _SHAPE.finditer(text) if NORTH_AMERICA & set(regions) else ():
        digits = re.sub(r"[^0-9]", "", shaped[0])
        yield Found("phone", shaped.start(), shaped.end(), shaped[0], f"+1{digits}")


def _as_said(text: str, regions: Sequence[str]) -> Iterator[Found]:
    """Yield numbers in groups that are not usual, where a stroke or a word tells what they are."""
    with needs("kind = 'pii'", "pii"):
        import phonenumbers as library
    for home in regions:
        if home in NORTH_AMERICA:
            continue
        for match in _DIGITS.finditer(text):
            before = text[max(0, match.start() - _BEFORE) : match.start()]
            area = _AREA.match(text, match.start())
            if not (area and not before[-1:].isalnum()) and not _CALLED.search(before):
                continue
            piece = text[match.start() : match.end()]
            for each in library.PhoneNumberMatcher(piece, home, leniency=library.Leniency.VALID):
                start = match.start() + each.start
                form = library.format_number(each.number, library.PhoneNumberFormat.E164)
                value = each.raw_string
                yield Found("phone", start, start + len(value), value, form)


def _around(text: str, pattern: re.Pattern[str]) -> list[tuple[int, str]]:
    """Return the parts of a text with digits as telephone numbers have them: (start, part)."""
    found: list[list[int]] = []
    for match in pattern.finditer(text):
        first, last = max(0, match.start() - _AROUND), match.end() + _AROUND
        if found and first <= found[-1][1]:
            found[-1][1] = last
        else:
            found.append([first, last])
    return [(first, text[first:last]) for first, last in found]


def unknown_regions(regions: Sequence[str]) -> list[str]:
    """Return those of some regions that phonenumbers knows nothing of, if it is here."""
    if not is_installed("phonenumbers"):
        return []  # a run says what it lacks
    with needs("kind = 'pii'", "pii"):
        from phonenumbers import SUPPORTED_REGIONS
    return [region for region in regions if region not in SUPPORTED_REGIONS]
