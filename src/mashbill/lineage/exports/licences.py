"""How each standard writes a licence: SPDX's identifiers and expressions, Hugging Face's list.

A licence that is not here is written by its name, as LicenseRef-* always is: every standard takes
a name, and a wrong identifier would not validate. A text that says that there is none, such as
NOASSERTION, is no licence and is not written.
"""

from __future__ import annotations

from typing import Any

from mashbill.core.naming import reference_name
from mashbill.policy.licence_words import LicenceText, read_licence

_HUB = """
afl-3.0 apache-2.0 artistic-2.0 bigcode-openrail-m bigscience-openrail-m bsd-2-clause bsd-3-clause
bsd-3-clause-clear bsl-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0
cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0
cdla-sharing-1.0 creativeml-openrail-m ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gemma
isc llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa ofl-1.1
openrail osl-3.0 postgresql unlicense wtfpl zlib
"""
_NEWER = {
    "agpl-3.0-only": "agpl-3.0",
    "agpl-3.0-or-later": "agpl-3.0",
    "c-uda-1.0": "c-uda",
    "gpl-2.0-only": "gpl-2.0",
    "gpl-2.0-or-later": "gpl-2.0",
    "gpl-3.0-only": "gpl-3.0",
    "gpl-3.0-or-later": "gpl-3.0",
    "lgpl-2.1-only": "lgpl-2.1",
    "lgpl-2.1-or-later": "lgpl-2.1",
    "lgpl-3.0-only": "lgpl-3.0",
    "lgpl-3.0-or-later": "lgpl-3.0",
    "odbl-1.0": "odbl",
    "odc-by-1.0": "odc-by",
    "pddl-1.0": "pddl",
}
"""SPDX's name of now -> the Hub's, which is a former one of SPDX's or a shorter one"""
_TO_HUB = {name: name for name in (*_HUB.split(), *_NEWER.values())} | _NEWER


def spdx(text: str) -> str | None:
    """Return the SPDX identifier that a licence is written with, in its usual case, or None."""
    read = read_licence(text)
    return read.text if read.kind == "identifier" else None


def spdx_expression(text: str) -> str | None:
    """Return a licence as an SPDX expression; None if the text says that there is none.

    An identifier or expression as it stands, in the usual case; for a name a LicenseRef made of it.
    """
    read = read_licence(text)
    if read.kind == "none":
        return None
    return _reference(read) if read.kind == "name" else read.text


def _reference(read: LicenceText) -> str:
    bare = reference_name(read.text.removeprefix("LicenseRef-"), "-")
    return f"LicenseRef-{bare or 'unnamed'}"


def spdx_references(text: str) -> dict[str, str]:
    """Return the references in a licence's SPDX expression, and the name that each stands for."""
    read = read_licence(text)
    if read.kind == "name":
        return {_reference(read): text}
    marks = ("LicenseRef-", "AdditionRef-")
    words = [word for part in read.parts for word in part.text.split(" WITH ")]
    return {word: word for word in words if word.startswith(marks)}


def cyclonedx(text: str) -> list[dict[str, Any]]:
    """Return CycloneDX's list of licences for one; empty if the text says that there is none."""
    read = read_licence(text)
    match read.kind:
        case "none":
            return []
        case "identifier":
            return [{"license": {"id": read.text}}]
        case "expression":
            return [{"expression": read.text}]
        case _:
            return [{"license": {"name": text}}]


def address(text: str) -> str | None:
    """Return where SPDX has a licence's text, else what it is called; None if there is none."""
    read = read_licence(text)
    if read.kind == "identifier":
        return f"https://spdx.org/licenses/{read.text}.html"
    return (text if read.kind == "name" else read.text) or None


def hub(text: str) -> str | None:
    """Return the identifier in Hugging Face's list of licences, or None."""
    return _TO_HUB.get(text.lower())
