"""Croissant 1.1 (MLCommons, January 2026), JSON-LD: a dataset that loaders can read.

The file belongs beside the dataset's shards. Croissant describes files, records and fields; where
the data came from is said with PROV's own terms under ``prov:wasDerivedFrom``, and channel, share
and depth, for which neither has a word, in the namespace ``mashbill``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mashbill.lineage.bills.telling import amount, counted
from mashbill.lineage.bills.text import line_facts, to_json, verdict_facts
from mashbill.lineage.exports.account import OURS, Account
from mashbill.lineage.exports.licences import address

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
PARQUET = "application/x-parquet"
SHARDS = "shards"

_TERMS = """
arrayShape citeAs column containedIn equivalentProperty excludes extract field fileProperty
fileObject fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path
recordSet references regex repeated replace samplingRate separator source subField transform
"""
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS.split()},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "mashbill": "urn:mashbill:",
    "name": {"@container": "@language"},
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}

_TYPES = (
    (r"(large_)?string(_view)?|dictionary<values=(large_)?string.*", "sc:Text"),
    (r"u?int\d+", "sc:Integer"),
    (r"float|double|halffloat", "sc:Float"),
    (r"bool", "sc:Boolean"),
    (r"timestamp\[.*", "sc:DateTime"),
    (r"date\d+\[.*", "sc:Date"),
)


def write(account: Account) -> str:
    """Return the account of a dataset as Croissant JSON-LD."""
    manifest = account.manifest
    signer = account.step.entry.keyid
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "@id": account.id,
        "name": manifest.name,
        "description": f"{counted(manifest.rows, 'record')}, "
        f"{amount(manifest.tokens, manifest.token_unit)}, "
        f"made by a {manifest.stage.get('kind', 'recorded')} step. {account.coverage}",
        "version": manifest.version,
        "url": account.id,
        "datePublished": account.step.ended,
        "creator": {
            "@type": "sc:Organization",
            "name": f"whoever holds the key that signed the ledger, SHA-256 {signer}",
        },
        "distribution": _distribution(account),
        "recordSet": _record_sets(account),
        "prov:wasDerivedFrom": _derived(account),
        "prov:wasGeneratedBy": {
            "@id": account.step.run_id,
            "@type": "prov:Activity",
            "prov:endedAtTime": account.step.ended,
        },
        "mashbill:digest": manifest.digest,
        "mashbill:verdict": [
            _named(verdict_facts(verdict)) for pair in account.verdicts for verdict in pair
        ],
        "mashbill:unknown": list(account.unknown),
    }
    licence = account.stated_license
    if licence and (stated := address(licence)):
        document["license"] = stated
    left_out = [
        name for name, kind in account.columns if _field_type(kind) is None or name.startswith(OURS)
    ]
    if left_out:
        document["mashbill:columnsLeftOut"] = left_out
    return to_json(document)


def _named(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write facts in our namespace."""
    return {f"mashbill:{key}": value for key, value in facts.items() if value is not None}


def _distribution(account: Account) -> list[dict[str, Any]]:
    """Return one file object a shard, and the set of them all, which the fields read from."""
    shards = [
        {
            "@type": "cr:FileObject",
            "@id": shard.file,
            "name": shard.file,
            "contentUrl": shard.file,
            "encodingFormat": PARQUET,
            "sha256": shard.sha256,
            "mashbill:rows": shard.rows,
            "mashbill:merkleRoot": shard.merkle_root,
        }
        for shard in account.manifest.shards
    ]
    if not shards:
        return []
    every = {
        "@type": "cr:FileSet",
        "@id": SHARDS,
        "name": SHARDS,
        "description": "All shards, in order.",
        "encodingFormat": PARQUET,
        "includes": "part-*.parquet",
    }
    return [*shards, every]


def _record_sets(account: Account) -> list[dict[str, Any]]:
    fields = []
    for name, arrow in account.columns:
        kind = _field_type(arrow)
        if kind is None or name.startswith(OURS):
            continue
        field: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": _field_id(name),
            "name": name,
            "dataType": kind,
            "source": {"fileSet": {"@id": SHARDS}, "extract": {"column": name}},
        }
        if _is_list(arrow):
            field |= {"isArray": True, "arrayShape": "-1"}
        fields.append(field)
    if not fields:
        return []
    return [{"@type": "cr:RecordSet", "@id": "records", "name": "records", "field": fields}]


def _field_id(name: str) -> str:
    """Return a column's identifier: a path that is read as an IRI reference, so escaped as one."""
    escaped = quote(name, safe="") if name not in (".", "..") else name.replace(".", "%2E")
    return f"records/{escaped}"


def _is_list(arrow: str) -> bool:
    return re.fullmatch(r"(large_)?list<.*>", arrow) is not None


def _field_type(arrow: str) -> str | None:
    """Return Croissant's type for an Arrow type, or for that of a list's items; None if none."""
    item = re.fullmatch(r"(?:large_)?list<\w+: (.*?)(?: not null)?>", arrow)
    text = item[1] if item else arrow
    return next((kind for pattern, kind in _TYPES if re.fullmatch(pattern, text)), None)


def _derived(account: Account) -> list[dict[str, Any]]:
    """Return every source with the bill's lines about it."""
    found = []
    for name, source in account.sources.items():
        lines = account.lines_of(name)
        if not lines:
            continue
        entity: dict[str, Any] = {
            "@id": name,
            "@type": "prov:Entity",
            "name": source.title,
            "mashbill:what": source.what,
            "mashbill:kind": source.kind,
            "mashbill:route": source.route,
            "mashbill:line": [_named(line_facts(line)) for line in lines],
        }
        if source.provider != "unknown":
            entity["prov:wasAttributedTo"] = {
                "@type": "prov:Organization",
                "name": source.provider,
            }
        if source.license and (stated := address(source.license)):
            entity["license"] = stated
        if source.sha256:
            entity["sha256"] = source.sha256
        found.append(entity)
    return found
