"""A licence as cards and rows of others write it, in the one spelling that it has here.

``cc-by-4.0``, ``CC BY 4.0`` and https://creativecommons.org/licenses/by/4.0/ are one licence. What
is written in a recipe is identity, and stays as it is; this is for what comes from strangers.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

from mashbill.policy.licence_words import LicenceText, read_licence, reference, spdx_identifier

_HUB = {
    "c-uda": "C-UDA-1.0",
    "gemma": "LicenseRef-Gemma-ToU",
    "odbl": "ODbL-1.0",
    "odc-by": "ODC-By-1.0",
    "pddl": "PDDL-1.0",
    "cc0": "CC0-1.0",
}
"""names that cards use and SPDX spells otherwise; case does not matter"""
_LLAMA = re.compile(r"llama-?(\d(?:\.\d)?)")
_ADDRESSES = (
    (re.compile(r"spdx\.org/licenses/([\w.+-]+?)(?:\.html|\.json)?"), r"\1"),
    (re.compile(r"opensource\.org/licenses?/([\w.+-]+?)(?:\.php|\.html)?"), r"\1"),
    (re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)(?:/deed(?:\.\w+)?|/legalcode)?"),
     r"cc-\1-\2"),
    (re.compile(r"creativecommons\.org/publicdomain/zero/1\.0(?:/deed(?:\.\w+)?|/legalcode)?"),
     "cc0-1.0"),
    (re.compile(r"apache\.org/licenses/license-(\d\.\d)(?:\.txt|\.html)?"), r"apache-\1"),
    (re.compile(r"opendatacommons\.org/licenses/by/1-0"), "odc-by-1.0"),
    (re.compile(r"opendatacommons\.org/licenses/odbl/1-0"), "odbl-1.0"),
)  # fmt: skip
"""address of a text without its scheme -> identifier"""
_LIST = re.compile(r"""\[\s*(?:'[^']*'|"[^"]*")(?:\s*,\s*(?:'[^']*'|"[^"]*"))*\s*,?\s*\]""")
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_NAMED_BY = ("spdx_id", "spdx", "id", "license", "License", "licence", "name", "title", "url")
"""keys by which an object tells its licence, the surest first"""
_MANY = 1000  # licences of one cell: what is behind is not read


def licence_of(value: Any) -> str | None:
    """Return the licence that a cell of a row, or a value of a card, tells.

    Args:
        value: a text; a list of them, which all hold (lists in lists, and texts that are written
            as lists, too); an object that has one under a key such as ``name``; None or NaN.

    Returns:
        an identifier or expression as SPDX spells it; a name as it was written where SPDX has
        none; None where nothing is told, or the text says so (``NOASSERTION``, ``unknown``). Of a
        list all that differ, joined by AND in its order; names are references then.
    """
    told = dict.fromkeys(text for item in _listed(value) if (text := _of_text(item)) is not None)
    if len(told) < 2:
        return next(iter(told), None)
    return " AND ".join(dict.fromkeys(_member(text) for text in told))


def _listed(value: Any) -> list[str]:
    """Return the texts of a value, in order."""
    found: list[str] = []
    waiting = [value]
    while waiting and len(found) < _MANY:
        item = waiting.pop()
        if isinstance(item, str):
            if _LIST.fullmatch(item.strip()):
                found += [one or other for one, other in _QUOTED.findall(item)]
            else:
                found.append(item)
        elif isinstance(item, dict):
            waiting += [item[key] for key in _NAMED_BY if item.get(key)][:1]
        elif isinstance(item, list | tuple):
            waiting += reversed(item)
        elif isinstance(item, int | float) and not isinstance(item, bool) and math.isfinite(item):
            found.append(str(item))  # a number of somebody's list of licences: not known here
    return found


def _member(text: str) -> str:
    """Return a licence as it can stand among others."""
    read = read_licence(text)
    if read.kind == "name":
        return reference(read.text)
    return f"({read.text})" if " OR " in read.text else read.text


@lru_cache(4096)
def _of_text(text: str) -> str | None:
    return (usual(text).text) or None


def usual(text: str) -> LicenceText:
    """Return what a stranger's text is, where it is not SPDX's own writing, too.

    Only what leads to an identifier of SPDX's list or to a known name is taken for it: words such
    as "license" and "version", white space, and addresses of texts.
    """
    read = read_licence(text)
    if read.kind != "name" or read.text.startswith("LicenseRef-"):
        return read
    key = read.text.lower()
    known = _HUB.get(key) or _at_address(key) or _without_words(key)
    if known is None and (llama := _LLAMA.fullmatch(key)):
        known = f"LicenseRef-Llama-{llama[1]}"
    return read_licence(known) if known else read


def _at_address(key: str) -> str | None:
    bare = re.sub(r"^https?://(www\.)?", "", key)
    if bare == key:
        return None
    for pattern, becomes in _ADDRESSES:
        match = pattern.fullmatch(bare.rstrip("/"))
        if match:
            return spdx_identifier(match.expand(becomes))
    return None


def _without_words(key: str) -> str | None:
    """Return the identifier that is left of, say, "the apache license, version 2" or "gplv3"."""
    plain = re.sub(r"[(),_]", " ", key)
    plain = re.sub(r"\b(?:the|licen[cs]e[ds]?|version)\b", " ", plain)
    plain = re.sub(r"[\s-]*v(?:er)?\.?\s*(?=\d)", "-", plain)
    plain = re.sub(r"[\s-]+", "-", plain).strip("-")
    return spdx_identifier(plain) or spdx_identifier(f"{plain}.0")
