"""Licences by SPDX identifier: what kind each is, from the ScanCode index in license-expression."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal

from license_expression import ExpressionError, get_license_index, get_spdx_licensing

from mashbill.policy.licence_words import Part, identifiers, read_licence, spdx_identifier

__all__ = ["STRICTER", "LicenceKind", "chosen", "identifiers", "licence_kind", "part_kind",
           "spdx_identifier", "spelled", "together"]  # fmt: skip

LicenceKind = Literal["permissive", "share-alike", "non-commercial", "not known"]

_PERMISSIVE = {"Permissive", "Public Domain", "CLA"}
_SHARE_ALIKE = {"Copyleft", "Copyleft Limited"}
_EXPRESSION = re.compile(r"[\w.+-]+( (AND|OR|WITH) [\w.+-]+)*")
STRICTER: tuple[LicenceKind, ...] = ("permissive", "share-alike", "non-commercial", "not known")
"""kinds, the mildest first"""


@cache
def _categories() -> dict[str, str]:
    found: dict[str, str] = {}
    for item in get_license_index():
        for key in (item.get("spdx_license_key"), *item.get("other_spdx_license_keys", ())):
            if key:
                found.setdefault(key.lower(), item["category"])
    return found


@cache
def _licensing() -> Any:
    return get_spdx_licensing()


def licence_kind(licence: str | None) -> LicenceKind:
    """Return what kind a licence is; of several that all hold, the strictest.

    Of several of which one may be chosen it is the kind of :func:`chosen`.
    """
    return max(map(part_kind, chosen(licence)), key=STRICTER.index, default="not known")


def chosen(licence: str | None) -> tuple[Part, ...]:
    """Return the licences that hold together, where an expression leaves a choice the mildest.

    Empty if no licence is recorded.
    """

    def milder(one: tuple[Part, ...], two: tuple[Part, ...]) -> tuple[Part, ...]:
        return min(one, two, key=lambda parts: max(STRICTER.index(part_kind(p)) for p in parts))

    found = read_licence(licence or "").fold(
        lambda part: (part,), lambda one, two: tuple(dict.fromkeys((*one, *two))), milder
    )
    return found or ()


def part_kind(part: Part) -> LicenceKind:
    """Return what kind one licence is; an exception only ever gives more leave."""
    key = part.licence
    category = _categories().get(key.lower())
    if "-NC-" in f"{key.upper()}-" and key.upper().startswith("CC-"):
        return "non-commercial"
    if category in _PERMISSIVE:
        return "permissive"
    return "share-alike" if category in _SHARE_ALIKE else "not known"


def spelled(licence: str) -> str:
    """Return a licence identifier as SPDX spells it, where it is one: apache-2.0, odc-by-1.0."""
    try:
        parsed = _licensing().parse(licence, simple=True)
    except ExpressionError:
        return licence
    return str(parsed) if parsed is not None else licence


def together(licences: list[str]) -> str:
    """Return the expression under which all of these hold, each once: MIT AND LicenseRef-Llama-3.1.

    What is no SPDX expression stays out of it.
    """
    valid = [
        f"({licence})" if " " in licence else licence
        for licence in dict.fromkeys(licences)
        if read_licence(licence).kind != "none"
        and (_EXPRESSION.fullmatch(licence) or read_licence(licence).kind == "expression")
    ]
    if not valid:
        return ""
    return str(_licensing().parse(" AND ".join(valid)).simplify())
