"""Licences as other people's lists write them, as SPDX identifiers or LicenseRef-NAME.

Hugging Face's ids are mostly SPDX's in small letters
(https://huggingface.co/docs/hub/repositories-licenses); the Data Provenance Initiative's names are
the keys of its ``constants/license_classes.json``.
"""

from __future__ import annotations

import re

from mashbill.policy.licence_cells import usual
from mashbill.policy.licence_words import reference, spdx_identifier

# A name without "only" or "or later" is SPDX's former identifier, which meant that version.
_HUB = {
    "agpl-3.0": "AGPL-3.0-only",
    "gpl-2.0": "GPL-2.0-only",
    "gpl-3.0": "GPL-3.0-only",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-3.0": "LGPL-3.0-only",
}
_DPI = {
    "Academic Free License v3.0": "AFL-3.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Artistic License 2.0": "Artistic-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BigScience OpenRAIL-M": "LicenseRef-bigscience-openrail-m",
    "C-UDA": "C-UDA-1.0",
    "GNU General Public License v2.0": "GPL-2.0-only",
    "GNU General Public License v3.0": "GPL-3.0-only",
    "ISC License": "ISC",
    "LGPL 2.1": "LGPL-2.1-only",
    "LGPL 3.0": "LGPL-3.0-only",
    "Llama 2": "LicenseRef-Llama-2",
    "MIT License": "MIT",
    "Meta Llama3 Community License": "LicenseRef-Llama-3",
    "ODC BY 1.0": "ODC-By-1.0",
    "OGL 3.0": "OGL-UK-3.0",
}
_DPI_NO_LICENCE = frozenset(
    ["", "Anthropic", "Custom", "No License", "OpenAI", "Request Form", "Unclear", "Unspecified",
     "Various"]
)  # fmt: skip
"""what stands where a licence would, and is none: among it, whose terms of service apply"""


def from_hub(text: str, name: str = "") -> str | None:
    """Return the licence of a card.

    Args:
        text: the key ``license``.
        name: the key ``license_name``, which says what ``other`` is.
    """
    key = text.strip().lower()
    if key == "other":
        return _written(name) or "LicenseRef-other"
    return _HUB.get(key) or _written(text)


def _written(text: str) -> str | None:
    """Return a licence as an expression, or a reference made of its name; None if it is none."""
    read = usual(text)
    return reference(read.text) if read.kind == "name" else read.text or None


def from_dpi(text: str) -> str | None:
    """Return the licence that the Data Provenance Initiative names, or None if it names none."""
    name = text.strip()
    if name in _DPI_NO_LICENCE:
        return None
    return _DPI.get(name) or spdx_identifier(re.sub(r"\s+", "-", name.lower())) or _written(name)
