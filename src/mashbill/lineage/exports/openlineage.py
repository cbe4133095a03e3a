"""OpenLineage, object model 2-0-2, JSON: one COMPLETE run event a step, oldest first.

OpenLineage knows runs, jobs and datasets, so a model is a dataset here. Role and channel are an
input facet, and the bill and verdicts an output dataset's facet, ``mashbill_bill``; both are
custom facets, so they carry ``_producer`` and ``_schemaURL``.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from mashbill.lineage.bills.text import to_json
from mashbill.lineage.exports.account import NAMESPACE, OURS, Account
from mashbill.lineage.exports.steps import Step, Taken

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = "https://openlineage.io/spec/facets"
JOBS = "mashbill"
SOURCES = "mashbill-sources"


def write(account: Account) -> str:
    """Return the account as a JSON array of run events."""
    return to_json([_event(account, step) for step in account.steps])


def _producer(account: Account) -> str:
    return f"urn:mashbill:producer:{account.version}"


def _facet(account: Account, schema: str, **fields: Any) -> dict[str, Any]:
    """Return a facet; ``schema`` is a path under OpenLineage's facets, or a URN of ours."""
    url = schema if schema.startswith("urn:") else f"{FACETS}/{schema}"
    return {"_producer": _producer(account), "_schemaURL": url, **fields}


def _event(account: Account, step: Step) -> dict[str, Any]:
    manifest = step.manifest
    distribution, _, version = step.maker.partition(" ")
    return {
        "eventType": "COMPLETE",
        "eventTime": step.ended,
        "producer": _producer(account),
        "schemaURL": SPEC,
        "run": {
            "runId": str(uuid.uuid5(NAMESPACE, step.run_id)),
            "facets": {
                "processing_engine": _facet(
                    account,
                    "1-1-1/ProcessingEngineRunFacet.json#/$defs/ProcessingEngineRunFacet",
                    name=distribution or "mashbill",
                    version=version or account.version,
                ),
                "mashbill_commit": _facet(
                    account,
                    "urn:mashbill:facet:commit:1",
                    entry=step.entry.index,
                    entryDigest=step.entry.digest,
                    seconds=step.seconds,
                    literals=manifest.stage,
                ),
            },
        },
        "job": {
            "namespace": JOBS,
            "name": manifest.name,
            "facets": {
                "jobType": _facet(
                    account,
                    "2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet",
                    processingType="BATCH",
                    integration="MASHBILL",
                    jobType=str(manifest.stage.get("kind", manifest.kind)).upper(),
                )
            },
        },
        "inputs": [_input(account, taken) for taken in step.taken],
        "outputs": [_output(account, step)],
    }


def _version_facet(account: Account, manifest: Manifest) -> dict[str, Any]:
    return _facet(
        account,
        "1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet",
        datasetVersion=manifest.digest,
    )


def _input(account: Account, taken: Taken) -> dict[str, Any]:
    use = _facet(
        account, "urn:mashbill:facet:use:1", role=taken.role, channel=taken.channel, id=taken.id
    )
    found: dict[str, Any] = {
        "namespace": JOBS,
        "name": taken.name,
        "facets": {},
        "inputFacets": {"mashbill_use": use},
    }
    source = account.sources.get(taken.id)
    if taken.manifest is not None:
        found["facets"]["version"] = _version_facet(account, taken.manifest)
    elif source is not None:
        # Two sources may have one title, so the name ends with the start of the digest.
        found["namespace"] = SOURCES
        found["name"] = f"{source.title} {taken.id.rpartition(':')[2][:12]}"
        found["facets"]["mashbill_source"] = _facet(
            account, "urn:mashbill:facet:source:1", **source.model_dump(mode="json")
        )
    return found


def _output(account: Account, step: Step) -> dict[str, Any]:
    manifest = step.manifest
    facets = {"version": _version_facet(account, manifest)}
    output: dict[str, Any] = {
        "namespace": JOBS,
        "name": str(manifest.ref),
        "facets": facets,
        "outputFacets": {},
    }
    if manifest.kind == "dataset":
        output["outputFacets"]["outputStatistics"] = _facet(
            account,
            "1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/"
            "OutputStatisticsOutputDatasetFacet",
            rowCount=manifest.rows,
            fileCount=len(manifest.shards),
        )
    if step is account.step:
        facets["mashbill_bill"] = _facet(
            account,
            "urn:mashbill:facet:bill:1",
            bill=[{"id": account.source_id(line), **line.as_json()} for line in account.lines],
            verdicts=[verdict.as_json() for pair in account.verdicts for verdict in pair],
            unknown=list(account.unknown),
            coverage=account.coverage,
        )
        if account.columns:
            facets["schema"] = _facet(
                account,
                "1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet",
                fields=[
                    {"name": name, "type": kind}
                    for name, kind in account.columns
                    if not name.startswith(OURS)
                ],
            )
    return output
