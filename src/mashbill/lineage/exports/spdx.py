"""SPDX 3.0.1, JSON-LD, with the AI and Dataset profiles.

Models are AI packages, datasets are dataset packages, and each step is a relationship: trainedOn,
descendantOf, generates or hasInput. SPDX has no teacher, channel, share or depth: they stand on
the relationship in the extension for name and value pairs, and verdicts are annotations.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import TYPE_CHECKING, Any

from mashbill.lineage.bills.text import line_facts, to_json
from mashbill.lineage.described.metrics import metrics
from mashbill.lineage.exports.account import NAMESPACE, Account
from mashbill.lineage.exports.licences import spdx_expression, spdx_references
from mashbill.lineage.exports.steps import Step, Taken, artifact_facts, files_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mashbill.core.source import Source

CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
CREATION = "_:creation"
SIGNER = "urn:mashbill:signer"
TOOL = "urn:mashbill:tool"
PROFILES = ("core", "software", "simpleLicensing", "ai", "dataset", "extension")


class _Graph:
    """The elements so far, in order; an identifier is written once."""

    def __init__(self) -> None:
        self.elements: dict[str, dict[str, Any]] = {}

    def add(self, kind: str, spdx_id: str, **fields: Any) -> str:
        """Add an element, leaving out fields that are None, and return its identifier."""
        kept = {name: value for name, value in fields.items() if value is not None}
        element = {"type": kind, "spdxId": spdx_id, "creationInfo": CREATION, **kept}
        self.elements.setdefault(spdx_id, element)
        return spdx_id

    def relate(
        self, start: str, kind: str, ends: Iterable[str], facts: Mapping[str, Any] | None = None
    ) -> None:
        """Add a relationship, with facts in its extension."""
        to = sorted(set(ends))
        if not to:
            return
        key = json.dumps([start, kind, to, facts], sort_keys=True)
        self.add(
            "Relationship",
            f"urn:uuid:{uuid.uuid5(NAMESPACE, key)}",
            relationshipType=kind,
            to=to,
            extension=[_extension(facts)] if facts else None,
            **{"from": start},
        )


def write(account: Account) -> str:
    """Return the account as an SPDX document."""
    graph = _Graph()
    graph.add("Agent", SIGNER, name=f"holder of the key {account.step.entry.keyid}")
    graph.add("Tool", TOOL, name=f"mashbill {account.version}")
    for name, source in account.sources.items():
        _source(graph, name, source)
    for step in account.steps:
        is_own = step is account.step
        about = _about_model(account) if is_own and account.is_model else {}
        _artifact(graph, step, account.stated_license if is_own else None, about)
    for step in account.steps:
        for taken in step.taken:
            _taken(graph, step, taken)
    for line in account.lines:
        graph.relate(account.id, "descendantOf", [account.source_id(line)], line_facts(line))
    for pair in account.verdicts:
        for verdict in pair:
            statement = json.dumps(verdict.as_json(), ensure_ascii=False, sort_keys=True)
            graph.add(
                "Annotation",
                f"urn:uuid:{account.uuid(statement)}",
                annotationType="other",
                contentType="application/json",
                subject=account.id,
                statement=statement,
            )
    elements = list(graph.elements)
    graph.add(
        "SpdxDocument",
        f"urn:uuid:{account.uuid('spdx')}",
        name=str(account.manifest.ref),
        comment=account.coverage,
        profileConformance=list(PROFILES),
        rootElement=[account.id],
        element=elements,
    )
    creation = {
        "type": "CreationInfo",
        "@id": CREATION,
        "specVersion": "3.0.1",
        "created": _time(account.step.ended),
        "createdBy": [SIGNER],
        "createdUsing": [TOOL],
    }
    return to_json({"@context": CONTEXT, "@graph": [creation, *graph.elements.values()]})


def _time(text: str) -> str:
    """Return a time as SPDX writes it: UTC, to the second."""
    moment = dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _extension(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "extension_CdxPropertiesExtension",
        "extension_cdxProperty": [
            {
                "type": "extension_CdxPropertyEntry",
                "extension_cdxPropName": f"mashbill:{name}",
                "extension_cdxPropValue": value
                if isinstance(value, str)
                else json.dumps(value, ensure_ascii=False),
            }
            for name, value in facts.items()
            if value is not None
        ],
    }


def _hash(value: str) -> dict[str, str]:
    return {"type": "Hash", "algorithm": "sha256", "hashValue": value}


def _package(graph: _Graph, spdx_id: str, *, is_model: bool, **fields: Any) -> None:
    """Add a model or a dataset."""
    if is_model:
        graph.add("ai_AIPackage", spdx_id, software_primaryPurpose="model", **fields)
    else:
        graph.add(
            "dataset_DatasetPackage",
            spdx_id,
            software_primaryPurpose="data",
            dataset_datasetType=["text"],
            **fields,
        )


def _licence(graph: _Graph, spdx_id: str, text: str) -> None:
    """Declare a licence; a name that SPDX does not list is written out behind its reference."""
    expression = spdx_expression(text)
    if expression is None:
        return
    custom = []
    for reference, name in spdx_references(text).items():
        target = f"urn:uuid:{uuid.uuid5(NAMESPACE, 'licence text ' + name)}"
        graph.add("simplelicensing_SimpleLicensingText", target, simplelicensing_licenseText=name)
        custom.append({"type": "DictionaryEntry", "key": reference, "value": target})
    named = f"{expression} {text}" if custom else expression  # two texts may have one reference
    licence = graph.add(
        "simplelicensing_LicenseExpression",
        f"urn:uuid:{uuid.uuid5(NAMESPACE, f'licence {named}')}",
        simplelicensing_licenseExpression=expression,
        simplelicensing_customIdToUri=custom or None,
    )
    graph.relate(spdx_id, "hasDeclaredLicense", [licence])


def _source(graph: _Graph, name: str, source: Source) -> None:
    provider = None
    if source.provider != "unknown":
        key = uuid.uuid5(NAMESPACE, f"provider {source.provider}")
        provider = graph.add("Organization", f"urn:uuid:{key}", name=source.provider)
    known = source.model_dump(mode="json", include={"what", "kind", "route", "country", "terms"})
    _package(
        graph,
        name,
        is_model=source.what == "model",
        name=source.name,
        software_packageVersion=source.version or None,
        suppliedBy=provider,
        originatedBy=[provider] if provider else None,
        verifiedUsing=[_hash(source.sha256)] if source.sha256 else None,
        extension=[_extension(known)],
    )
    if source.license:
        _licence(graph, name, source.license)


def _about_model(account: Account) -> dict[str, Any]:
    """Return what the AI profile has words for of the model itself."""
    described, manifest = account.described, account.manifest
    built, kind = described.built, str(manifest.stage.get("kind", "model"))
    types = [kind, described.task, "" if built is None else built.architecture]
    learned = [
        f"{each.name}: {each.rows:,} rows, {each.tokens:,} {manifest.token_unit} a pass, "
        f"{each.epochs:.4g} passes"
        for each in manifest.learned_from
    ]
    facts = "; ".join(f"{name}: {value}" for name, value in described.facts())
    return {
        "ai_typeOfModel": list(dict.fromkeys(one for one in types if one)),
        "ai_metric": [
            {"type": "DictionaryEntry", "key": f"{one.name}; {one.of}", "value": one.told()}
            for one in metrics(described)
        ]
        or None,
        "ai_limitation": " ".join(described.limits) or None,
        "ai_informationAboutTraining": "; ".join(learned) or None,
        "ai_informationAboutApplication": "\n\n".join(
            f"{one.title}:\n" + "\n".join(one.code) for one in described.usages
        )
        or None,
        "description": f"{described.what()}. {facts}",
    }


def _artifact(graph: _Graph, step: Step, declared: str | None, about: Mapping[str, Any]) -> None:
    """Add an artifact of the store and its files, with what more is known about it."""
    manifest = step.manifest
    is_model = manifest.kind == "model"
    fields: dict[str, Any] = {}
    if is_model:
        fields["ai_typeOfModel"] = [str(manifest.stage.get("kind", "model"))]
        fields["ai_hyperparameter"] = [
            {"type": "DictionaryEntry", "key": key, "value": json.dumps(value, ensure_ascii=False)}
            for key, value in sorted(manifest.stage.items())
        ] or None
    fields |= about
    facts = {**artifact_facts(manifest), "ledger_entry": step.entry.index}
    _package(
        graph,
        step.id,
        is_model=is_model,
        name=manifest.name,
        software_packageVersion=manifest.version,
        software_downloadLocation=step.id,
        builtTime=_time(step.ended),
        releaseTime=_time(step.ended),
        suppliedBy=SIGNER,
        originatedBy=[SIGNER],
        extension=[_extension(facts)],
        **fields,
    )
    files = [
        graph.add(
            "software_File",
            f"{step.id}#{file}",
            name=file,
            verifiedUsing=[_hash(sha256)],
        )
        for file, sha256 in files_of(manifest)
    ]
    graph.relate(step.id, "contains", files)
    stated = declared or step.license
    if stated is not None:
        _licence(graph, step.id, stated)


def _taken(graph: _Graph, step: Step, taken: Taken) -> None:
    """Relate an artifact to one thing that its step took in."""
    if taken.id not in graph.elements:
        _package(graph, taken.id, is_model=False, name=taken.name)
    facts = {"role": taken.role, "channel": taken.channel, "run": step.run_id}
    if taken.role == "trained-on":
        graph.relate(step.id, "trainedOn", [taken.id], facts)
    elif taken.role in {"rows", "source", "base"}:
        graph.relate(step.id, "descendantOf", [taken.id], facts)
    elif taken.channel == "content":
        graph.relate(taken.id, "generates", [step.id], facts)
    else:
        graph.relate(step.id, "hasInput", [taken.id], facts)
