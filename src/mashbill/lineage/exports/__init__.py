"""Exports: the bill of an artifact in the terms of the standards that others read.

Each format is one file that turns an :class:`Account` into text. What a standard has no word for
goes to its extension point; ``docs/exports.md`` lists what that is for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.lineage.exports import card as _card
from mashbill.lineage.exports import croissant as _croissant
from mashbill.lineage.exports import cyclonedx as _cyclonedx
from mashbill.lineage.exports import eu_2_5 as _eu_2_5
from mashbill.lineage.exports import openlineage as _openlineage
from mashbill.lineage.exports import prov as _prov
from mashbill.lineage.exports import spdx as _spdx
from mashbill.lineage.exports.account import Account, gather

if TYPE_CHECKING:
    from collections.abc import Callable

    from mashbill.core.artifact import ArtifactKind, Manifest
    from mashbill.core.store import Store

__all__ = ["FORMATS", "Account", "Exporter", "export", "gather"]


@dataclass(frozen=True)
class Exporter:
    """One format: what it is, which artifacts it can tell of, and the function that writes it."""

    title: str
    suffix: str
    """how the name of such a file ends by custom"""
    write: Callable[[Account], str]
    kinds: tuple[ArtifactKind, ...] = ("dataset", "model")


_CYCLONEDX_1_7 = Exporter("CycloneDX 1.7, JSON", ".cdx.json", _cyclonedx.write_1_7)

FORMATS: dict[str, Exporter] = {
    "cyclonedx": _CYCLONEDX_1_7,
    "cyclonedx-1.7": _CYCLONEDX_1_7,
    "cyclonedx-1.6": Exporter("CycloneDX 1.6, JSON", ".cdx.json", _cyclonedx.write_1_6),
    "prov": Exporter("W3C PROV, PROV-JSON", ".prov.json", _prov.write),
    "croissant": Exporter("Croissant 1.1, JSON-LD", ".json", _croissant.write, ("dataset",)),
    "card": Exporter("Hugging Face card", ".md", _card.write),
    "eu-2.5": Exporter("EU training-content summary, section 2.5", ".md", _eu_2_5.write),
    "openlineage": Exporter("OpenLineage 2-0-2 run events, JSON", ".json", _openlineage.write),
    "spdx": Exporter("SPDX 3.0.1, JSON-LD", ".spdx.json", _spdx.write),
}


def export(store: Store, manifest: Manifest, format: str) -> str:  # noqa: A002 - the word for it
    """Return the bill of an artifact in a format of :data:`FORMATS`: the text of the file.

    Raises:
        InputError: listing the formats, if there is none of that name or it cannot tell of this
            kind of artifact.
        StoreError: if the artifact's lineage cannot be read.
    """
    exporter = FORMATS.get(format)
    fitting = ", ".join(name for name, one in FORMATS.items() if manifest.kind in one.kinds)
    if exporter is None:
        msg = f"there is no export format {format!r}; for {manifest.ref} there are {fitting}"
        raise InputError(msg)
    if manifest.kind not in exporter.kinds:
        msg = (
            f"{exporter.title} tells of a {' or '.join(exporter.kinds)}, and {manifest.ref} is a "
            f"{manifest.kind}; for it there are {fitting}"
        )
        raise InputError(msg)
    return exporter.write(gather(store, manifest))
