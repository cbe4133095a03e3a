"""W3C PROV (Recommendation, 30 April 2013) as PROV-JSON (W3C Member Submission, 24 April 2013).

Artifacts, sources and verdicts are entities, steps are activities, providers and mashbill are
agents. PROV has no share, channel or depth: they are attributes in the namespace ``mashbill``,
``urn:mashbill:``, one derivation a line of the bill. Any other tool may ignore them.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from mashbill.lineage.bills.text import line_facts, to_json, verdict_facts
from mashbill.lineage.exports.account import Account
from mashbill.lineage.exports.steps import Step, artifact_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.source import Source
    from mashbill.lineage.bills.definitions import Verdict

PREFIX = "urn:mashbill:"
Records = dict[str, dict[str, Any]]


def write(account: Account) -> str:
    """Return the account as PROV-JSON."""
    document: dict[str, Records] = {
        "entity": {},
        "activity": {},
        "agent": {},
        "used": {},
        "wasGeneratedBy": {},
        "wasAssociatedWith": {},
        "wasAttributedTo": {},
        "wasDerivedFrom": {},
    }
    for name, source in account.sources.items():
        _source(document, name, source)
    for step in account.steps:
        _step(document, step, account)
    for at, line in enumerate(account.lines):
        document["wasDerivedFrom"][f"_:line{at}"] = {
            "prov:generatedEntity": _name(account.id),
            "prov:usedEntity": _name(account.source_id(line)),
            "prov:activity": _name(account.step.run_id),
            **_attributes(line_facts(line)),
        }
    for closed, any_model in account.verdicts:
        for verdict in (closed, any_model):
            _verdict(document, verdict, account)
    prefixes = {"mashbill": PREFIX, "prov": "http://www.w3.org/ns/prov#"}
    used = {kind: records for kind, records in document.items() if records}
    return to_json({"prefix": prefixes, **used})


def _name(identifier: str) -> str:
    """Write one of our identifiers as a qualified name."""
    return "mashbill:" + identifier.removeprefix(PREFIX)


def _typed(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _attributes(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write facts in our namespace, leaving out what is empty."""
    return {f"mashbill:{key}": value for key, value in facts.items() if value not in (None, "", [])}


def _source(document: dict[str, Records], name: str, source: Source) -> None:
    facts = source.model_dump(mode="json", exclude={"name"})
    document["entity"][_name(name)] = {
        "prov:label": source.title,
        "prov:type": _typed("mashbill:Source"),
        **_attributes(facts),
    }
    if source.provider != "unknown":
        key = hashlib.sha256(source.provider.encode()).hexdigest()[:16]
        document["agent"][f"mashbill:provider:{key}"] = {
            "prov:label": source.provider,
            "prov:type": _typed("prov:Organization"),
        }
        document["wasAttributedTo"][f"_:by{len(document['wasAttributedTo'])}"] = {
            "prov:entity": _name(name),
            "prov:agent": f"mashbill:provider:{key}",
        }


def _step(document: dict[str, Records], step: Step, account: Account) -> None:
    manifest, run, made = step.manifest, _name(step.run_id), _name(step.id)
    document["entity"][made] = {
        "prov:label": str(manifest.ref),
        "prov:type": _typed(f"mashbill:{manifest.kind.capitalize()}"),
        **_attributes(artifact_facts(manifest)),
    }
    document["activity"][run] = {
        "prov:endTime": step.ended,
        "prov:label": f"{manifest.stage.get('kind', manifest.kind)} {manifest.ref}",
        **_attributes(
            {
                "seconds": step.seconds,
                "ledger_entry": step.entry.index,
                "literals": json.dumps(manifest.stage, sort_keys=True, ensure_ascii=False),
            }
        ),
    }
    document["wasGeneratedBy"][f"_:made{step.entry.index}"] = {
        "prov:entity": made,
        "prov:activity": run,
        "prov:time": step.ended,
    }
    maker = step.maker or f"mashbill {account.version}"
    agent = f"mashbill:software:{maker.replace(' ', ':')}"
    document["agent"][agent] = {
        "prov:label": maker,
        "prov:type": _typed("prov:SoftwareAgent"),
    }
    document["wasAssociatedWith"][f"_:ran{step.entry.index}"] = {
        "prov:activity": run,
        "prov:agent": agent,
    }
    for at, taken in enumerate(step.taken):
        thing = _name(taken.id)
        document["entity"].setdefault(thing, {"prov:label": taken.name})
        document["used"][f"_:used{step.entry.index}.{at}"] = {
            "prov:activity": run,
            "prov:entity": thing,
            "prov:role": taken.role,
            **_attributes({"channel": taken.channel}),
        }
        document["wasDerivedFrom"][f"_:from{step.entry.index}.{at}"] = {
            "prov:generatedEntity": made,
            "prov:usedEntity": thing,
            "prov:activity": run,
            **_attributes({"channel": taken.channel}),
        }


def _verdict(document: dict[str, Records], verdict: Verdict, account: Account) -> None:
    about = verdict.definition
    name = f"mashbill:verdict:{account.uuid(f'{about.name} {about.version} {verdict.asked}')}"
    document["entity"][name] = {
        "prov:label": f"{about.name} version {about.version}, {verdict.asked}: "
        f"{verdict.conclusion}",
        "prov:type": _typed("mashbill:Verdict"),
        **_attributes(verdict_facts(verdict)),
    }
    document["wasDerivedFrom"][f"_:judged{name.rpartition(':')[2]}"] = {
        "prov:generatedEntity": name,
        "prov:usedEntity": _name(account.id),
    }
