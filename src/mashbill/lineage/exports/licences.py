"""Which licences have an identifier: SPDX's, and Hugging Face's list for cards.

A licence that is not here is written by its name, as LicenseRef-* always is: every standard takes
a name, and a wrong identifier would not validate.
"""

from __future__ import annotations

from mashbill.core.naming import reference_name
from mashbill.policy.licences import spdx_identifier

_HUB = """
afl-3.0 apache-2.0 artistic-2.0 bigcode-openrail-m bigscience-openrail-m bsd-2-clause bsd-3-clause
bsd-3-clause-clear bsl-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0
cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0
cdla-sharing-1.0 creativeml-openrail-m ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gemma
isc llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa ofl-1.1
openrail osl-3.0 postgresql unlicense wtfpl zlib
"""
_TO_HUB = {name: name for name in _HUB.split()} | {
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


def spdx(text: str) -> str | None:
    """Return the SPDX identifier that a licence is written with, in its usual case, or None."""
    return spdx_identifier(text)


def spdx_expression(text: str) -> str:
    """Return a licence as an SPDX expression: its identifier, or a LicenseRef made of its name."""
    bare = reference_name(text.removeprefix("LicenseRef-"), "-")
    return spdx(text) or f"LicenseRef-{bare or 'unnamed'}"


def hub(text: str) -> str | None:
    """Return the identifier in Hugging Face's list of licences, or None."""
    return _TO_HUB.get(text.lower())
