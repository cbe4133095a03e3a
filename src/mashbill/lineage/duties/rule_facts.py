"""The facts of a source and of an artifact, as house rules are put to them.

What is not recorded is left out, so that a rule that asks for it wants review: an empty text, or
``unknown``, would make a comparison false, and a rule that forbids something would pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.policy.licence_words import is_no_licence

if TYPE_CHECKING:
    from mashbill.core.source import Source
    from mashbill.core.use import Use
    from mashbill.lineage.duties.obligations import OutputLicence

_NO_FACTS = {"terms", "sha256"}


def source_facts(source: Source) -> dict[str, Any]:
    """Return what is recorded of a source, by name; of what is contradicted nothing is."""
    if source.contradicted:
        return {}
    known = source.model_dump(mode="json", exclude=_NO_FACTS, exclude_none=True)
    for name in ("provider", "country", "kind"):
        # Rows of unknown origin are of kind unknown, and rules ask for that by `what`.
        if known[name] == "unknown" and (name != "kind" or source.what == "model"):
            del known[name]
    if not known["version"]:
        del known["version"]
    if is_no_licence(known.get("license")):
        known.pop("license", None)
        if has_no_licence(source):
            known["license"] = ""
    return known


def has_no_licence(source: Source) -> bool:
    """Return whether there is no licence to be recorded: terms stand in its place, or nothing."""
    if source.kind in {"program", "test-double"}:
        return True
    return source.kind == "closed-api" and not source.route.startswith("dataset:")


def use_facts(use: Use) -> dict[str, Any]:
    """Return what is declared of a use, by name."""
    known = use.model_dump(mode="json", exclude_none=True)
    if not known["operator"]["name"]:
        del known["operator"]["name"]
    return known


def licence_facts(licence: OutputLicence) -> dict[str, Any]:
    """Return an artifact's licences, its own and those that came to it; nothing if one is lacking.

    A rule that asks whether a licence is among them cannot be answered by those that are known.
    """
    if licence.unknown or not licence.stated:
        return {}
    return {"licence": licence.expression, "licences": list(licence.licences)}
