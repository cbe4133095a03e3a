"""Licences by SPDX identifier: what kind each is, from the ScanCode index in license-expression."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal

from license_expression import ExpressionError, get_license_index, get_spdx_licensing

LicenceKind = Literal["permissive", "share-alike", "non-commercial", "not known"]

_PERMISSIVE = {"Permissive", "Public Domain", "CLA"}
_SHARE_ALIKE = {"Copyleft", "Copyleft Limited"}
_EXPRESSION = re.compile(r"[\w.+-]+( (AND|OR|WITH) [\w.+-]+)*")
_STRICTER: tuple[LicenceKind, ...] = ("permissive", "share-alike", "non-commercial", "not known")


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
    """Return what kind a licence expression is; of several that all hold, the strictest."""
    if not licence:
        return "not known"
    try:
        keys = _licensing().license_keys(licence)
    except ExpressionError:
        return "not known"
    kinds = [_one(key) for key in keys]
    return max(kinds, key=_STRICTER.index, default="not known")


def _one(key: str) -> LicenceKind:
    category = _categories().get(key.lower())
    if "-NC-" in f"{key.upper()}-" and key.upper().startswith("CC-"):
        return "non-commercial"
    if category in _PERMISSIVE:
        return "permissive"
    return "share-alike" if category in _SHARE_ALIKE else "not known"


@cache
def identifiers() -> dict[str, str]:
    """Return every SPDX identifier, lower-case -> in its usual case."""
    return {
        key.lower(): key
        for item in get_license_index()
        if (key := item.get("spdx_license_key") or "") and not key.startswith("LicenseRef-")
    }


def spdx_identifier(text: str) -> str | None:
    """Return the SPDX identifier that a licence is written with, in its usual case, or None."""
    return identifiers().get(text.lower())


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
        if _EXPRESSION.fullmatch(licence)
    ]
    if not valid:
        return ""
    return str(_licensing().parse(" AND ".join(valid)).simplify())
