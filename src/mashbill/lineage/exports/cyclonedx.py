"""CycloneDX 1.6 and 1.7 (ECMA-424), JSON: a machine-learning bill of materials.

The artifact is ``metadata.component``: a model with its card, or data. What it rests on stands in
``pedigree.ancestors``, and how it was made in ``formulation``. CycloneDX has no share, channel,
depth or verdict: they are ``properties`` named ``mashbill:...``; in 1.7 a citation says that they
were read from the signed ledger.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mashbill.lineage.bills.text import line_facts, to_json, verdict_facts
from mashbill.lineage.described.metrics import Metric, metrics
from mashbill.lineage.exports.account import Account
from mashbill.lineage.exports.licences import cyclonedx
from mashbill.lineage.exports.steps import Step, artifact_facts, artifact_id, files_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.core.source import Source

TOOL = "urn:mashbill:tool"
WORKFLOW = "urn:mashbill:workflow"


def write_1_6(account: Account) -> str:
    """Return the account as CycloneDX 1.6."""
    return to_json(_document(account, "1.6"))


def write_1_7(account: Account) -> str:
    """Return the account as CycloneDX 1.7, with citations."""
    document = _document(account, "1.7")
    entry = account.step.entry
    document["citations"] = [
        {
            "pointers": ["/metadata/component/properties", "/metadata/component/pedigree"],
            "timestamp": account.step.ended,
            "attributedTo": TOOL,
            "process": WORKFLOW,
            "note": f"Read from entry {entry.index} of the signed ledger, SHA-256 {entry.digest}.",
        }
    ]
    return to_json(document)


def _document(account: Account, version: str) -> dict[str, Any]:
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{version}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": version,
        "serialNumber": f"urn:uuid:{account.uuid('cyclonedx')}",
        "version": 1,
        "metadata": {
            "timestamp": account.step.ended,
            "tools": {
                "components": [
                    {
                        "type": "application",
                        "bom-ref": TOOL,
                        "name": "mashbill",
                        "version": account.version,
                    }
                ]
            },
            "component": _subject(account),
        },
        "dependencies": [
            {"ref": step.id, "dependsOn": sorted({taken.id for taken in step.taken})}
            for step in account.steps
        ],
        "formulation": [{"workflows": [_workflow(account)]}],
    }


def _properties(pairs: Iterable[tuple[str, Any]]) -> list[dict[str, str]]:
    """Write name and value pairs; a value that is not text is written as JSON."""
    return [
        {
            "name": f"mashbill:{name}",
            "value": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
        }
        for name, value in pairs
        if value is not None
    ]


def _subject(account: Account) -> dict[str, Any]:
    """Return the component that the document is about."""
    manifest = account.manifest
    pairs = [*artifact_facts(manifest).items(), ("coverage", account.coverage)]
    for closed, any_model in account.verdicts:
        for verdict in (closed, any_model):
            name = f"verdict:{verdict.definition.name}:{verdict.asked}"
            pairs.append((name, verdict.conclusion))
            pairs += [
                (f"{name}:{key}", value)
                for key, value in verdict_facts(verdict).items()
                if key not in {"definition", "asked", "conclusion"}
            ]
    pairs += [("unknown", text) for text in account.unknown]
    ancestors = [_source(account, name) for name in account.sources]
    ancestors += [_artifact(step) for step in account.steps[:-1]]
    known = {item["bom-ref"] for item in ancestors}
    for step in account.steps:
        for taken in step.taken:
            if taken.id not in known:
                known.add(taken.id)
                ancestors.append({"type": "data", "bom-ref": taken.id, "name": taken.name})
    component = _artifact(account.step, account.stated_license)
    if account.is_model:
        component["modelCard"] = _card(account)
    component["pedigree"] = {
        "ancestors": ancestors,
        "notes": "Ancestors are the sources and the artifacts between; shares are in properties.",
    }
    component["properties"] = _properties(pairs)
    return component


def _artifact(step: Step, declared: str | None = None) -> dict[str, Any]:
    """Return an artifact of the store as a component, its files inside it."""
    manifest = step.manifest
    component: dict[str, Any] = {
        "type": "machine-learning-model" if manifest.kind == "model" else "data",
        "bom-ref": step.id,
        "name": manifest.name,
        "version": manifest.version,
        "components": [
            {
                "type": "file",
                "bom-ref": f"{step.id}#{file}",
                "name": file,
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            }
            for file, sha256 in files_of(manifest)
        ],
        "properties": _properties(artifact_facts(manifest).items()),
    }
    stated = declared or step.license
    if stated is not None and (licences := cyclonedx(stated)):
        component["licenses"] = licences
    if manifest.kind == "dataset":
        component["data"] = [
            {
                "type": "dataset",
                "name": str(manifest.ref),
                "contents": {"properties": _properties([("shards", len(manifest.shards))])},
            }
        ]
    return component


def _source(account: Account, name: str) -> dict[str, Any]:
    """Return a leaf of lineage as a component, with the bill's lines about it."""
    source: Source = account.sources[name]
    pairs: list[tuple[str, Any]] = [
        ("what", source.what),
        ("kind", source.kind),
        ("route", source.route),
        ("country", source.country),
        ("terms", source.terms),
    ]
    for at, line in enumerate(account.lines_of(name), 1):
        pairs += [(f"line:{at}:{key}", value) for key, value in line_facts(line).items()]
    component: dict[str, Any] = {
        "type": "machine-learning-model" if source.what == "model" else "data",
        "bom-ref": name,
        "name": source.name,
        "properties": _properties(pairs),
    }
    if source.version:
        component["version"] = source.version
    if source.provider != "unknown":
        component["supplier"] = {"name": source.provider}
    if source.sha256:
        component["hashes"] = [{"alg": "SHA-256", "content": source.sha256}]
    # An empty list says that no licence is recorded of it, and readers need not ask for the key.
    component["licenses"] = cyclonedx(source.license) if source.license else []
    return component


def _card(account: Account) -> dict[str, Any]:
    """Return the model card: how it is built, what it was trained on, what was measured, limits.

    What training itself measured has no held-out rows, and says so in its slice.
    """
    manifest, described = account.manifest, account.described
    trained = [
        {"type": name, "value": json.dumps(value), "slice": "measured while training"}
        for name, value in sorted(manifest.measures.items())
        if isinstance(value, int | float)
    ]
    found = [_metric(one) for one in metrics(described)]
    parameters: dict[str, Any] = {
        "task": described.task,
        "architectureFamily": str(manifest.stage.get("kind", "")),
        "datasets": [
            {"ref": artifact_id(taken.manifest)}
            for taken in account.step.taken
            if taken.manifest is not None and taken.manifest.kind == "dataset"
        ],
        **_forms(account),
    }
    built = described.built
    if built is not None:
        if built.family:
            parameters["architectureFamily"] = built.family
        parameters["modelArchitecture"] = built.architecture
    limits = [*described.limits, *account.unknown]
    card: dict[str, Any] = {
        "modelParameters": {key: value for key, value in parameters.items() if value != ""},
        "considerations": {"technicalLimitations": limits},
        "properties": _properties(
            [
                *((f"fact:{name}", value) for name, value in described.facts()),
                *((f"use:{one.title}", "\n".join(one.code)) for one in described.usages),
            ]
        ),
    }
    if found or trained:
        card["quantitativeAnalysis"] = {"performanceMetrics": [*found, *trained]}
    return card


def _forms(account: Account) -> dict[str, list[dict[str, str]]]:
    """Return what goes in and comes out, where that is known."""
    described = account.described
    labels = ", ".join(label.name for label in described.labels)
    if described.task not in ("text-classification", "text-generation"):
        return {}
    out = f"one of {len(described.labels)} labels: {labels}" if labels else "text"
    return {"inputs": [{"format": "text"}], "outputs": [{"format": out}]}


def _metric(one: Metric) -> dict[str, Any]:
    told: dict[str, Any] = {"type": one.name, "value": json.dumps(one.value), "slice": one.of}
    if one.low is not None and one.high is not None:
        bounds = {"lowerBound": json.dumps(one.low), "upperBound": json.dumps(one.high)}
        told["confidenceInterval"] = bounds
    return told


def _workflow(account: Account) -> dict[str, Any]:
    """Return how everything upstream was made: one task a step."""
    run_of = {step.id: step.run_id for step in account.steps}
    return {
        "bom-ref": WORKFLOW,
        "uid": account.uuid("workflow"),
        "name": f"how {account.manifest.ref} was made",
        "taskTypes": ["build"],
        "timeEnd": account.step.ended,
        "tasks": [_task(step) for step in account.steps],
        "taskDependencies": [
            {
                "ref": step.run_id,
                "dependsOn": sorted({run_of[t.id] for t in step.taken if t.id in run_of}),
            }
            for step in account.steps
        ],
    }


def _task(step: Step) -> dict[str, Any]:
    manifest = step.manifest
    literals = [
        {"name": key, "value": json.dumps(value, ensure_ascii=False)}
        for key, value in sorted(manifest.stage.items())
    ]
    inputs: list[dict[str, Any]] = [
        {
            "resource": {"ref": taken.id},
            "properties": _properties([("role", taken.role), ("channel", taken.channel)]),
        }
        for taken in step.taken
    ]
    if literals:
        inputs.append({"parameters": literals})
    return {
        "bom-ref": step.run_id,
        "uid": step.entry.digest,
        "name": f"{manifest.stage.get('kind', manifest.kind)} {manifest.ref}",
        "taskTypes": ["build" if manifest.kind == "model" else "other"],
        "inputs": inputs,
        "outputs": [{"type": "artifact", "resource": {"ref": step.id}}],
        "timeEnd": step.ended,
        "properties": _properties(
            [("seconds", step.seconds), ("ledger_entry", step.entry.index), ("maker", step.maker)]
        ),
    }
